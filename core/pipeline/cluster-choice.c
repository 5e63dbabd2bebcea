/* SPDX-License-Identifier: PostgreSQL
 *
 * Pure: each base backup on each timeline is tried, the newest first. The best of
 * the reasons why none serves is told: the one of the try that came nearest.
 */
#include "config.h"

#include "pipeline/cluster-choice.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum near { NEAR_NOT, NEAR_BEFORE, NEAR_BROKEN, NEAR_BEHIND }; /* why a try failed; more is nearer */
#define US_PER_S INT64_C(1000000)

/* One base backup on one timeline. */
struct
try {
    const struct choice *choice;
    const struct choice_base *base;
    const struct wal_history *history;
    const struct recovery_target *target;
    bool named; /* the user chose the base backup */
    uint64_t from_lsn;
    struct wal_reach reach;
    struct strv doubts;
};

static uint32_t
history_timeline(const struct wal_history *history)
{
    return history->entries[history->len - 1].timeline;
}

/* ---- what there is along a history ---- */

/* Was the base backup made on the part of its timeline that this history goes through? */
static bool
try_is_on_history(const struct try *try)
{
    const struct wal_base *wal = &try->base->wal;
    struct wal_history route = { 0 };
    bool holds = false;

    wal_range_route(try->history, &route);
    for (size_t i = 0; i < route.len; i++)
        holds |= route.entries[i].timeline == wal->timeline && wal->stop_lsn <= route.entries[i].end_lsn;
    wal_history_free(&route);
    return holds;
}

/* WAL in the backup need not be in the archive: whole segments up to that of its end. */
static void
try_look(struct try *try)
{
    const struct wal_base *wal = &try->base->wal;
    const struct wal_ranges *ranges = &try->choice->ranges;
    uint64_t bytes = ranges->segment_bytes, last = (wal->stop_lsn - 1) / bytes;

    try->from_lsn = wal->start_lsn;
    if (wal->wal_included)
        try->from_lsn =
            wal_range_find(&ranges->whole, wal->timeline, last) != NULL ? wal->stop_lsn : (last + 1) * bytes;
    wal_range_check(ranges, try->history, wal->timeline, try->from_lsn, UINT64_MAX, &try->reach);
    if (wal->wal_included &&
        try->reach.end == WAL_REACH_ASTRAY) /* it has never been on that history's WAL: its own it is */
        try->reach = (struct wal_reach){ .end = WAL_REACH_MISSING,
                                         .lsn = try->from_lsn,
                                         .timeline = wal->timeline,
                                         .missing = { wal->timeline, last + 1, last + 1 } };
}

/* Is there WAL behind the place where the chain ends? */
static bool
try_has_gap(const struct try *try)
{
    struct wal_range_set gaps = { 0 };
    bool has;

    wal_range_gaps(&try->choice->ranges, try->history, try->base->wal.timeline, try->from_lsn, &gaps);
    has = gaps.len > 0;
    wal_range_set_free(&gaps);
    return has;
}

static char *
try_segment_text(const struct try *try)
{
    struct wal_name name =
        wal_segment_at(try->reach.missing.timeline, try->reach.missing.first, try->choice->ranges.segment_bytes);

    return wal_name_text(&name);
}

static enum near
try_broken(const struct try *try, const char *what)
{
    CLEANUP_FREE char *segment = try_segment_text(try), *lsn = wal_lsn_text(try->reach.lsn);

    (void)error_set(ERROR_USAGE, "from backup '%s' %s is not reached: WAL segment '%s' %s, so the chain ends at %s",
                    try->base->id, what, segment,
                    try->reach.end == WAL_REACH_DISPUTED ? "is there with two contents" : "is missing", lsn);
    return NEAR_BROKEN;
}

/* ---- when WAL came into the archive ---- */

/* Does the row belong to what recovery would go through, and before the end of the chain? */
static bool
row_is_used(const struct try *try, const struct wal_row *row)
{
    uint64_t bytes = try->choice->ranges.segment_bytes, begin = wal_segment_number(&row->name, (uint32_t)bytes) * bytes;

    if (row->name.timeline != wal_history_at(try->history, begin) &&
        row->name.timeline != wal_history_at(try->history, begin + bytes - 1))
        return false;
    if (row->name.file == WAL_PARTIAL)
        return try->reach.partial && begin / bytes == try->reach.missing.first;
    return row->name.file == WAL_SEGMENT && begin + bytes > try->from_lsn && begin < try->reach.lsn;
}

struct arrival {
    bool known;
    int64_t newest_s; /* of what is used */
    bool partial;     /* that one is only a part of a segment */
};

/* All that a segment holds was written before the first of its copies came into a store. */
static struct arrival
try_arrival(const struct try *try)
{
    const struct wal_list *list = &try->choice->list;
    struct arrival arrival = { 0 };

    for (size_t i = 0, next; i < list->len; i = next) {
        int64_t first_s = 0;

        for (next = i;
             next < list->len && memcmp(&list->rows[next].name, &list->rows[i].name, sizeof list->rows[i].name) == 0;
             next++)
            if (list->rows[next].mtime_s > 0 && (first_s == 0 || list->rows[next].mtime_s < first_s))
                first_s = list->rows[next].mtime_s;
        if (first_s == 0 || !row_is_used(try, &list->rows[i]))
            continue;
        arrival.known = true;
        if (first_s >= arrival.newest_s) {
            arrival.newest_s = first_s;
            arrival.partial = list->rows[i].name.file == WAL_PARTIAL;
        }
    }
    return arrival;
}

/* ---- each kind of target ---- */

/* Everything up to there and at least to where the backup is consistent. */
static enum near
reach_consistent(const struct try *try)
{
    return try->reach.lsn >= try->base->wal.stop_lsn ? NEAR_NOT : try_broken(try, "the point where it is consistent");
}

static enum near
reach_end(const struct try *try)
{
    return try_has_gap(try) ? try_broken(try, "the end of the WAL") : NEAR_NOT;
}

static enum near
reach_lsn(struct try *try)
{
    CLEANUP_FREE char *what = recovery_target_text(try->target), *stop = wal_lsn_text(try->base->wal.stop_lsn);
    CLEANUP_FREE char *end = wal_lsn_text(try->reach.lsn);
    uint64_t bytes = try->choice->ranges.segment_bytes, lsn = try->target->lsn;

    if (lsn < try->base->wal.stop_lsn) {
        (void)error_set(ERROR_USAGE, "%s lies before backup '%s' is consistent, at %s", what, try->base->id, stop);
        return NEAR_BEFORE;
    }
    if (lsn < try->reach.lsn)
        return NEAR_NOT;
    if (try_has_gap(try))
        return try_broken(try, what);
    if (try->reach.partial && lsn / bytes == try->reach.missing.first) {
        strv_addf(&try->doubts, "%s lies in a segment of which only a part was archived: whether it is in that part",
                  what);
        return NEAR_NOT;
    }
    (void)error_set(ERROR_USAGE, "%s lies behind the end of what is archived, %s", what, end);
    return NEAR_BEHIND;
}

static enum near
reach_time_before(struct try *try, const char *what)
{
    CLEANUP_FREE char *finished = clock_iso(try->base->finished_s);

    if (try->target->time_us >= try->base->finished_s * US_PER_S)
        return NEAR_NOT;
    if (try->named && try->target->time_us >= try->base->started_s * US_PER_S) {
        strv_addf(&try->doubts, "%s lies before backup '%s' was finished: whether it was consistent by then", what,
                  try->base->id);
        return NEAR_NOT;
    }
    (void)error_set(ERROR_USAGE, "%s lies before backup '%s' was finished, at %s", what, try->base->id, finished);
    return NEAR_BEFORE;
}

/* Of a time it is known whether WAL came in behind it; not, what that says. */
static enum near
reach_time(struct try *try)
{
    CLEANUP_FREE char *what = recovery_target_text(try->target), *newest = NULL;
    struct arrival arrival = try_arrival(try);
    enum near near = reach_time_before(try, what);

    if (near != NEAR_NOT)
        return near;
    if (arrival.known && arrival.newest_s * US_PER_S > try->target->time_us) {
        if (arrival.partial)
            strv_addf(&try->doubts, "the last WAL before %s is a part of a segment: whether it reaches so far", what);
        return NEAR_NOT;
    }
    if (try_has_gap(try))
        return try_broken(try, what);
    if (!arrival.known) {
        strv_addf(&try->doubts, "the stores do not tell when WAL came in: whether it reaches %s", what);
        return NEAR_NOT;
    }
    newest = clock_iso(arrival.newest_s);
    (void)error_set(ERROR_USAGE, "%s lies behind the end of what is archived: the newest WAL came in at %s", what,
                    newest);
    return NEAR_BEHIND;
}

static enum near
reach_somewhere(struct try *try)
{
    CLEANUP_FREE char *what = recovery_target_text(try->target);

    if (try_has_gap(try)) {
        CLEANUP_FREE char *lsn = wal_lsn_text(try->reach.lsn);

        strv_addf(&try->doubts,
                  "the chain of WAL ends at %s, and some is archived behind that: whether %s lies before it", lsn,
                  what);
    }
    if (!try->named)
        strv_addf(&try->doubts,
                  "%s has to lie behind the end of backup '%s' (name an earlier one if it does not): whether it does",
                  what, try->base->id);
    return NEAR_NOT;
}

static enum near
try_reach(struct try *try)
{
    enum near near;

    try_look(try);
    near = reach_consistent(try);
    if (near != NEAR_NOT)
        return near;
    switch (try->target->kind) {
    case RECOVERY_END:
        return reach_end(try);
    case RECOVERY_IMMEDIATE:
        return NEAR_NOT;
    case RECOVERY_LSN:
        return reach_lsn(try);
    case RECOVERY_TIME:
        return reach_time(try);
    case RECOVERY_XID:
    case RECOVERY_NAME:
        break;
    }
    return reach_somewhere(try);
}

/* ---- all of them ---- */

char *
choice_windows(const struct choice *choice)
{
    CLEANUP_WAL_WINDOWS struct wal_windows windows = { 0 };
    CLEANUP_FREE struct wal_base *bases = mem_realloc_array(NULL, choice->len + 1, sizeof *bases);
    CLEANUP_STRV struct strv texts = { 0 };

    for (size_t i = 0; i < choice->len; i++)
        bases[i] = choice->bases[i].wal;
    wal_range_windows(&choice->ranges, choice->histories, choice->history_len, bases, choice->len, &windows);
    for (size_t i = 0; i < windows.len; i++) {
        const struct wal_window *window = &windows.items[i];
        const struct choice_base *base = &choice->bases[window->bases[0]];
        struct wal_history *history = NULL;
        struct try try = { .choice = choice, .base = base };
        CLEANUP_FREE char *from = wal_lsn_text(window->from_lsn), *to = wal_lsn_text(window->reach.lsn);
        CLEANUP_FREE char *from_time = clock_iso(window->from_s), *to_time = NULL;
        struct arrival arrival = { 0 };

        for (size_t j = 0; j < choice->history_len; j++)
            if (history_timeline(&choice->histories[j]) == window->timeline)
                history = &choice->histories[j];
        if (history != NULL) {
            try.history = history;
            try_look(&try);
            arrival = try_arrival(&try);
        }
        to_time = arrival.known ? clock_iso(arrival.newest_s) : mem_strdup("time not known");
        strv_addf(&texts, "timeline %" PRIu32 " from %s (%s, backup '%s') to %s (archived %s)", window->timeline, from,
                  from_time, base->id, to, to_time);
    }
    return texts.len > 0 ? strv_join(&texts, "; ") : mem_strdup("");
}

static int
choice_none(const struct choice *choice, struct error *why)
{
    CLEANUP_FREE char *windows = choice_windows(choice), *unknown = NULL;
    int rc;

    if (why->code == 0)
        rc = error_set(ERROR_USAGE, "no base backup lies on that timeline");
    else
        rc = error_put(why);
    unknown = strv_join(&choice->unknown, "; ");
    if (windows[0] == '\0' && unknown[0] == '\0')
        return error_hint(rc, "'pgcask wal status' says what there is, and what is missing");
    return error_hint(rc, "%s%s%s%s%s", windows[0] != '\0' ? "what can be restored: " : "", windows,
                      windows[0] != '\0' && unknown[0] != '\0' ? "; " : "",
                      unknown[0] != '\0' ? "histories that cannot be read: " : "", unknown);
}

/* False: not that one; the reason is kept when it is nearer than those before. */
static bool
choice_try(struct try *try, enum near *nearest, struct error *why, struct strv *passed)
{
    enum near near;

    if (!try_is_on_history(try))
        return false;
    near = try_reach(try);
    if (near == NEAR_NOT)
        return true;
    strv_free(&try->doubts);
    if (near == NEAR_BROKEN)
        strv_addf(passed, "%s", error_text());
    if (near > *nearest) {
        error_free(why);
        error_take(ERROR_USAGE, why);
        *nearest = near;
    }
    error_clear();
    return false;
}

int
choice_make(const struct choice *choice, const char *id, const struct recovery_target *target,
            struct choice_made *ret_made)
{
    bool named = strcmp(id, "latest") != 0;
    CLEANUP_STRV struct strv passed = { 0 };
    enum near nearest = NEAR_NOT;
    struct error why = { 0 };

    for (size_t i = choice->history_len; i > 0; i--)
        for (size_t j = choice->len; j > 0; j--) {
            struct try try = { .choice = choice,
                               .base = &choice->bases[j - 1],
                               .history = &choice->histories[i - 1],
                               .target = target,
                               .named = named };

            if (target->timeline != 0 && target->timeline != history_timeline(try.history))
                continue;
            if (named ? strcmp(try.base->id, id) != 0 : try.base->bad)
                continue;
            if (!choice_try(&try, &nearest, &why, &passed))
                continue;
            error_free(&why);
            *ret_made = (struct choice_made){ .base = j - 1,
                                              .timeline = history_timeline(try.history),
                                              .reach = try.reach,
                                              .doubts = try.doubts,
                                              .passed = passed };
            passed = (struct strv){ 0 };
            return 0;
        }
    return choice_none(choice, &why);
}

void
choice_made_free(struct choice_made *made)
{
    strv_free(&made->doubts);
    strv_free(&made->passed);
}

void
cleanup_choice_made(struct choice_made *made)
{
    choice_made_free(made);
}
