/* SPDX-License-Identifier: PostgreSQL
 *
 * What one store, or all of them together, can restore and what it lacks.
 */
#include "config.h"

#include "pipeline/wal-status-private.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { LATE_SEGMENTS = 64 }; /* sent at the same time, they may come in any order */

#define ALL_STORES SIZE_MAX

/* Both of whole segments: is `row` the newer one? */
static bool
view_is_newer(const struct wal_status *status, const struct wal_row *row, const struct wal_range *than)
{
    uint64_t number = wal_segment_number(&row->name, status->segment_bytes);

    return row->name.timeline != than->timeline ? row->name.timeline > than->timeline : number > than->last;
}

/* In several stores, it is as old as its first copy. */
static void
view_newest(const struct wal_status *status, const struct wal_row *row, struct wal_view *view)
{
    uint64_t number = wal_segment_number(&row->name, status->segment_bytes);
    bool same = row->name.timeline == view->newest.timeline && number == view->newest.last;

    if (same ? row->mtime_s < view->newest_s
             : view->newest.timeline == 0 || view_is_newer(status, row, &view->newest)) {
        view->newest = (struct wal_range){ row->name.timeline, number, number };
        view->newest_s = row->mtime_s;
    }
}

static void
view_count(const struct wal_status *status, size_t store, struct wal_view *view)
{
    wal_ranges_begin(&view->ranges, status->segment_bytes);
    for (size_t i = 0; i < status->list.len; i++) {
        const struct wal_row *row = &status->list.rows[i];

        if (store != ALL_STORES && row->store != store)
            continue;
        view->files++;
        view->stored_bytes += row->size;
        if (wal_ranges_add(&view->ranges, &row->name, row->digest) < 0)
            error_clear(); /* no server with this segment size can have written it */
        else if (row->name.file == WAL_SEGMENT)
            view_newest(status, row, view);
    }
    wal_ranges_end(&view->ranges);
}

/* It and all that it builds on. */
static bool
view_has_base(const struct wal_status *status, size_t store, size_t base)
{
    for (size_t steps = 0; steps <= status->base_len; steps++) {
        const struct wal_status_base *facts = &status->base_facts[base];
        bool there = store != ALL_STORES && facts->in_store[store];

        for (size_t i = 0; store == ALL_STORES && i < status->view_len; i++)
            there = there || facts->in_store[i];
        if (!there || facts->parent == NULL)
            return there;
        for (base = 0; base < status->base_len && strcmp(status->base_facts[base].id, facts->parent) != 0;)
            base++;
        if (base == status->base_len)
            return false;
    }
    return false; /* a circle */
}

static void
view_windows(const struct wal_status *status, size_t store, struct wal_view *view)
{
    struct wal_base *bases = mem_zalloc((status->base_len + 1) * sizeof *bases);
    size_t *places = mem_zalloc((status->base_len + 1) * sizeof *places), count = 0;

    for (size_t i = 0; i < status->base_len; i++)
        if (view_has_base(status, store, i)) {
            places[count] = i;
            bases[count++] = status->bases[i];
        }
    wal_range_windows(&view->ranges, status->histories, status->history_len, bases, count, &view->windows);
    for (size_t i = 0; i < view->windows.len; i++)
        for (size_t j = 0; j < view->windows.items[i].len; j++)
            view->windows.items[i].bases[j] = places[view->windows.items[i].bases[j]];
    free(bases);
    free(places);
}

/* Did another timeline begin on it? Then its own end is not where the cluster went on. */
static bool
view_is_left(const struct wal_status *status, const struct wal_history *history)
{
    uint32_t timeline = history->entries[history->len - 1].timeline;

    for (size_t i = 0; i < status->history_len; i++)
        for (size_t j = 0; j + 1 < status->histories[i].len; j++)
            if (status->histories[i].entries[j].timeline == timeline)
                return true;
    return false;
}

/* What is older than every base backup is of no use, and not missed. */
static bool
view_beginning(const struct wal_status *status, const struct wal_history *history, uint32_t *ret_timeline,
               uint64_t *ret_lsn)
{
    const struct wal_range_set *whole = &status->all.ranges.whole;
    bool found = false;

    for (size_t i = 0; i < status->base_len; i++) {
        const struct wal_base *base = &status->bases[i];
        const struct wal_range *first = wal_range_from(whole, base->timeline, 0);
        uint64_t lsn = base->wal_included ? base->stop_lsn : base->start_lsn;
        struct wal_reach reach;

        /* the archive may have begun after a backup that can do without it */
        if (base->wal_included && first != NULL && lsn / status->segment_bytes < first->first)
            lsn = first->first * status->segment_bytes;
        wal_range_check(&status->all.ranges, history, base->timeline, lsn, lsn, &reach);
        if (reach.end == WAL_REACH_ASTRAY || (found && lsn >= *ret_lsn))
            continue;
        *ret_timeline = base->timeline;
        *ret_lsn = lsn;
        found = true;
    }
    for (size_t i = 0; !found && i < history->len; i++) {
        const struct wal_range *first = wal_range_from(whole, history->entries[i].timeline, 0);

        found = first != NULL && first->first * status->segment_bytes < history->entries[i].end_lsn;
        if (found) {
            *ret_timeline = history->entries[i].timeline;
            *ret_lsn = first->first * status->segment_bytes;
        }
    }
    return found;
}

static void
view_waiting(const struct wal_status *status, struct wal_range_set *waiting)
{
    for (size_t i = 0; i < status->server.ready.len; i++) {
        struct wal_name name;
        uint64_t number;

        if (wal_name_parse(status->server.ready.items[i], &name) < 0 || name.file != WAL_SEGMENT ||
            wal_segment_check(&name, status->segment_bytes) < 0) {
            error_clear(); /* a history or a label: none of the segments */
            continue;
        }
        number = wal_segment_number(&name, status->segment_bytes);
        wal_range_put(waiting, name.timeline, number, number);
    }
    wal_range_set_join(waiting);
}

static bool
view_may_be_late(const struct wal_status *status, const struct wal_view *view, const struct wal_range *range)
{
    if (status->server_answers && status->server.archives && status->server.ready_known)
        return false; /* it would say so */
    return range->timeline == view->newest.timeline && view->newest.last < range->first + LATE_SEGMENTS &&
           status->now_s - view->newest_s < status->max_lag_ms / 1000;
}

/* How far from range->first on it is, or is not, in the set; at most to range->last. */
static bool
view_run(const struct wal_range_set *set, const struct wal_range *range, uint64_t *last)
{
    const struct wal_range *found = wal_range_from(set, range->timeline, range->first);
    bool in = found != NULL && found->first <= range->first;

    if (in && found->last < *last)
        *last = found->last;
    else if (!in && found != NULL && found->first <= *last)
        *last = found->first - 1;
    return in;
}

static void
view_where(const struct wal_status *status, struct wal_gap *gap)
{
    for (size_t i = 0; i < status->view_len; i++)
        if (wal_range_find(&status->views[i].ranges.whole, gap->range.timeline, gap->range.first) != NULL)
            strv_add(&gap->where, status->views[i].name);
}

/* One gap may be several: of each the longest piece that has the same reason. */
static void
view_add_gap(const struct wal_status *status, struct wal_view *view, const struct wal_range_set *waiting,
             struct wal_range range)
{
    for (uint64_t last = range.last, end = range.last;; range.first = last + 1, last = end) {
        bool disputed = view_run(&view->ranges.disputed, &range, &last);
        bool elsewhere = view_run(&status->all.ranges.whole, &range, &last);
        bool waits = view_run(waiting, &range, &last);
        struct wal_gap *gap;

        disputed = view_run(&status->all.ranges.disputed, &range, &last) || disputed;
        MEM_GROW(view->gaps, view->len, view->cap);
        gap = &view->gaps[view->len++];
        *gap = (struct wal_gap){ .range = { range.timeline, range.first, last }, .kind = WAL_GAP_LOST };
        if (disputed)
            gap->kind = WAL_GAP_DISPUTED;
        else if (waits)
            gap->kind = WAL_GAP_WAITING;
        else if (view_may_be_late(status, view, &gap->range))
            gap->kind = WAL_GAP_LATE;
        else if (elsewhere)
            gap->kind = WAL_GAP_ELSEWHERE;
        if (elsewhere)
            view_where(status, gap);
        if (last == end)
            return;
    }
}

static void
view_gaps(const struct wal_status *status, const struct wal_range_set *waiting, struct wal_view *view)
{
    CLEANUP_WAL_RANGE_SET struct wal_range_set gaps = { 0 };

    for (size_t i = 0; i < status->history_len; i++) {
        uint32_t timeline = 0;
        uint64_t lsn = 0;

        if (!view_is_left(status, &status->histories[i]) &&
            view_beginning(status, &status->histories[i], &timeline, &lsn))
            wal_range_gaps(&view->ranges, &status->histories[i], timeline, lsn, &gaps);
    }
    for (size_t i = 0; i < gaps.len; i++)
        view_add_gap(status, view, waiting, gaps.items[i]);
}

/* Rows are in order: the same segment in several stores comes in one go. */
static void
view_behind(const struct wal_status *status, struct wal_view *view)
{
    struct wal_range last = view->newest;

    for (size_t i = 0; i < status->list.len; i++) {
        const struct wal_row *row = &status->list.rows[i];

        if (row->name.file != WAL_SEGMENT || wal_segment_check(&row->name, status->segment_bytes) < 0)
            continue;
        if (!view_is_newer(status, row, &view->newest))
            continue;
        if (view_is_newer(status, row, &last)) {
            view->behind++;
            last.timeline = row->name.timeline;
            last.last = wal_segment_number(&row->name, status->segment_bytes);
        }
        if (row->mtime_s > 0 && (view->behind_s == 0 || row->mtime_s < view->behind_s))
            view->behind_s = row->mtime_s;
    }
    error_clear(); /* of names that were passed over */
}

void
wal_views_make(struct wal_status *status)
{
    CLEANUP_WAL_RANGE_SET struct wal_range_set waiting = { 0 };

    view_waiting(status, &waiting);
    view_count(status, ALL_STORES, &status->all);
    for (size_t i = 0; i < status->view_len; i++)
        view_count(status, i, &status->views[i]);
    view_windows(status, ALL_STORES, &status->all);
    view_gaps(status, &waiting, &status->all);
    for (size_t i = 0; i < status->view_len; i++) {
        view_windows(status, i, &status->views[i]);
        view_gaps(status, &waiting, &status->views[i]);
        view_behind(status, &status->views[i]);
    }
}

static void
view_free(struct wal_view *view)
{
    wal_ranges_free(&view->ranges);
    wal_windows_free(&view->windows);
    for (size_t i = 0; i < view->len; i++)
        strv_free(&view->gaps[i].where);
    free(view->gaps);
    *view = (struct wal_view){ 0 };
}

void
wal_views_free(struct wal_status *status)
{
    view_free(&status->all);
    for (size_t i = 0; i < status->view_len; i++)
        view_free(&status->views[i]);
    free(status->views);
    status->views = NULL;
    status->view_len = 0;
}
