/* SPDX-License-Identifier: PostgreSQL
 *
 * The moments that base backups and gap-free WAL together can bring back.
 */
#include "config.h"

#include "catalog/wal-range.h"

#include "base/mem.h"

#include <stdlib.h>

struct window_search {
    const struct wal_ranges *ranges;
    const struct wal_base *bases;
    const struct wal_history *histories, *routes;
    struct wal_windows found;
};

static bool
window_route_holds(const struct wal_history *route, const struct wal_base *base)
{
    for (size_t i = 0; i < route->len; i++)
        if (route->entries[i].timeline == base->timeline)
            return base->stop_lsn <= route->entries[i].end_lsn;
    return false;
}

/* False: it cannot be restored along this history. */
static bool
window_reach(const struct window_search *search, size_t history, const struct wal_base *base,
             struct wal_reach *ret_reach)
{
    const struct wal_history *way = &search->histories[history];

    if (!window_route_holds(&search->routes[history], base))
        return false;
    wal_range_check(search->ranges, way, base->timeline, base->start_lsn, UINT64_MAX, ret_reach);
    if (ret_reach->end == WAL_REACH_ASTRAY || (ret_reach->lsn < base->stop_lsn && !base->wal_included))
        return false;
    if (ret_reach->lsn < base->stop_lsn)
        wal_range_check(search->ranges, way, base->timeline, base->stop_lsn, UINT64_MAX, ret_reach);
    return true;
}

/* Two backups of one timeline that reach the same end lead into the same window. */
static struct wal_window *
window_at(struct wal_windows *windows, uint32_t timeline, const struct wal_reach *reach)
{
    struct wal_window *window;

    for (size_t i = 0; i < windows->len; i++)
        if (windows->items[i].timeline == timeline && windows->items[i].reach.lsn == reach->lsn)
            return &windows->items[i];
    MEM_GROW(windows->items, windows->len, windows->cap);
    window = &windows->items[windows->len++];
    *window = (struct wal_window){ .timeline = timeline, .from_lsn = UINT64_MAX, .reach = *reach };
    return window;
}

/* By where they became consistent. */
static void
window_add_base(struct wal_window *window, const struct wal_base *bases, size_t index)
{
    size_t place = window->len;

    MEM_GROW(window->bases, window->len, window->cap);
    window->len++;
    for (; place > 0 && bases[window->bases[place - 1]].stop_lsn > bases[index].stop_lsn; place--)
        window->bases[place] = window->bases[place - 1];
    window->bases[place] = index;
    window->from_lsn = bases[window->bases[0]].stop_lsn;
    window->from_s = bases[window->bases[0]].finished_s;
}

/* Where the ways of two histories part; UINT64_MAX: never. */
static uint64_t
window_parting(const struct wal_history *a, const struct wal_history *b)
{
    uint64_t begin_lsn = 0;

    for (size_t i = 0; i < a->len && i < b->len; i++) {
        uint64_t end_a = a->entries[i].end_lsn, end_b = b->entries[i].end_lsn;

        if (a->entries[i].timeline != b->entries[i].timeline)
            return begin_lsn;
        if (end_a != end_b)
            return end_a < end_b ? end_a : end_b;
        begin_lsn = end_a;
    }
    return UINT64_MAX;
}

static const struct wal_history *
window_history(const struct window_search *search, const struct wal_window *window)
{
    const struct wal_history *history = search->routes;

    while (history->entries[history->len - 1].timeline != window->timeline)
        history++;
    return history;
}

/* Is every moment of `a` one of `b`? */
static bool
window_is_within(const struct window_search *search, const struct wal_window *a, const struct wal_window *b)
{
    return b->from_lsn <= a->from_lsn && a->reach.lsn <= b->reach.lsn &&
           a->reach.lsn <= window_parting(window_history(search, a), window_history(search, b));
}

static bool
window_is_spare(const struct window_search *search, const struct wal_window *window)
{
    for (size_t i = 0; i < search->found.len; i++) {
        const struct wal_window *other = &search->found.items[i];

        if (other == window || !window_is_within(search, window, other))
            continue;
        /* of two that are the same, the older timeline's stays */
        if (!window_is_within(search, other, window) || other->timeline < window->timeline)
            return true;
    }
    return false;
}

static int
window_compare(const void *a, const void *b)
{
    const struct wal_window *x = a, *y = b;

    if (x->from_lsn != y->from_lsn)
        return x->from_lsn < y->from_lsn ? -1 : 1;
    return (x->timeline > y->timeline) - (x->timeline < y->timeline);
}

static void
window_keep(struct window_search *search, struct wal_windows *ret_windows)
{
    struct wal_windows kept = { 0 };

    for (size_t i = 0; i < search->found.len; i++)
        if (!window_is_spare(search, &search->found.items[i])) {
            MEM_GROW(kept.items, kept.len, kept.cap);
            kept.items[kept.len++] = search->found.items[i];
        }
    for (size_t i = 0; i < search->found.len; i++)
        if (window_is_spare(search, &search->found.items[i]))
            free(search->found.items[i].bases);
    free(search->found.items);
    if (kept.len > 0)
        qsort(kept.items, kept.len, sizeof *kept.items, window_compare);
    *ret_windows = kept;
}

void
wal_range_windows(const struct wal_ranges *ranges, const struct wal_history *histories, size_t history_count,
                  const struct wal_base *bases, size_t base_count, struct wal_windows *ret_windows)
{
    struct wal_history *routes = mem_zalloc((history_count + 1) * sizeof *routes);
    struct window_search search = { .ranges = ranges, .bases = bases, .histories = histories, .routes = routes };

    for (size_t i = 0; i < history_count; i++) {
        wal_range_route(&histories[i], &routes[i]);
        for (size_t j = 0; j < base_count; j++) {
            struct wal_reach reach;

            if (window_reach(&search, i, &bases[j], &reach))
                window_add_base(window_at(&search.found, routes[i].entries[routes[i].len - 1].timeline, &reach), bases,
                                j);
        }
    }
    window_keep(&search, ret_windows);
    for (size_t i = 0; i < history_count; i++)
        wal_history_free(&routes[i]);
    free(routes);
}

void
wal_windows_free(struct wal_windows *windows)
{
    for (size_t i = 0; i < windows->len; i++)
        free(windows->items[i].bases);
    free(windows->items);
    *windows = (struct wal_windows){ 0 };
}

void
cleanup_wal_windows(struct wal_windows *windows)
{
    wal_windows_free(windows);
}
