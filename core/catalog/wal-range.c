/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "catalog/wal-range.h"

#include "base/mem.h"

static uint64_t
lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
wal_range_route(const struct wal_history *history, struct wal_history *ret_route)
{
    struct wal_history route = { .len = history->len, .cap = history->len };
    uint64_t end_lsn = UINT64_MAX;

    route.entries = mem_realloc_array(NULL, history->len, sizeof *route.entries);
    for (size_t i = history->len; i-- > 0;) {
        end_lsn = lower(end_lsn, history->entries[i].end_lsn);
        route.entries[i] = (struct wal_history_entry){ history->entries[i].timeline, end_lsn };
    }
    *ret_route = route;
}

/* On its way along a history. */
struct walk {
    const struct wal_ranges *ranges;
    const struct wal_history *history;
    struct wal_history route; /* of it */
    uint64_t lsn;             /* everything before it was there */
    size_t at;                /* the route's entry on which `lsn` lies */
    size_t disputed;          /* the entry whose segment was in dispute when a step failed so */
};

/* LSN of the first byte behind segment `number`. */
static uint64_t
segment_end(const struct walk *walk, uint64_t number)
{
    uint64_t bytes = walk->ranges->segment_bytes;

    return number >= UINT64_MAX / bytes ? UINT64_MAX : (number + 1) * bytes;
}

static uint64_t
entry_begin(const struct walk *walk, size_t entry)
{
    return entry == 0 ? 0 : walk->route.entries[entry - 1].end_lsn;
}

static void
walk_to(struct walk *walk, uint64_t lsn)
{
    walk->lsn = lsn;
    while (walk->at + 1 < walk->route.len && walk->route.entries[walk->at].end_lsn <= lsn)
        walk->at++;
}

/* False when recovery along the history can never be at `lsn` of `timeline`. The walk's route is to be freed anyhow. */
static bool
walk_begin(struct walk *walk, const struct wal_history *history, uint32_t timeline, uint64_t lsn)
{
    walk->history = history;
    wal_range_route(history, &walk->route);
    for (size_t i = 0; i < walk->route.len; i++)
        if (walk->route.entries[i].timeline == timeline) {
            walk->at = i;
            if (lsn < entry_begin(walk, i) || lsn > walk->route.entries[i].end_lsn)
                return false;
            walk_to(walk, lsn);
            return true;
        }
    return false;
}

/* A timeline has no segments from before it began; by the history, for the route has other ends. */
static bool
entry_has(const struct walk *walk, size_t entry, uint64_t number)
{
    return entry == 0 || walk->history->entries[entry - 1].end_lsn / walk->ranges->segment_bytes <= number;
}

/* The newest timeline that has something of the segment at walk->lsn. */
static size_t
walk_newest(const struct walk *walk, uint64_t before_lsn)
{
    uint64_t number = walk->lsn / walk->ranges->segment_bytes, limit = lower(before_lsn, segment_end(walk, number));
    size_t newest = walk->at;

    for (size_t i = walk->at + 1; i < walk->route.len && entry_begin(walk, i) < limit; i++)
        if (entry_has(walk, i, number))
            newest = i;
    return newest;
}

/* Take the segment at walk->lsn, and those behind it that are as easily had. */
static enum wal_reach_end
walk_step(struct walk *walk)
{
    const struct wal_history_entry *entries = walk->route.entries;
    uint64_t bytes = walk->ranges->segment_bytes, number = walk->lsn / bytes;

    for (size_t i = walk_newest(walk, UINT64_MAX) + 1; i-- > walk->at;) {
        const struct wal_range *range = wal_range_find(&walk->ranges->whole, entries[i].timeline, number);
        uint64_t covered;

        if (!entry_has(walk, i, number))
            continue;
        if (wal_range_find(&walk->ranges->disputed, entries[i].timeline, number) != NULL) {
            walk->disputed = i;
            return WAL_REACH_DISPUTED;
        }
        if (range == NULL)
            continue;
        covered = lower(entries[i].end_lsn, segment_end(walk, number));
        /* the segment of the switch itself is looked at on its own: a newer timeline may have it, too */
        if (i == walk->at && entries[i].end_lsn / bytes > number + 1)
            covered = lower(entries[i].end_lsn / bytes * bytes, segment_end(walk, range->last));
        if (covered > walk->lsn) {
            walk_to(walk, covered);
            return WAL_REACH_ALL;
        }
    }
    return WAL_REACH_MISSING;
}

static bool
walk_has_partial(const struct walk *walk, uint64_t number)
{
    for (size_t i = walk->at; i <= walk_newest(walk, UINT64_MAX); i++)
        if (wal_range_find(&walk->ranges->partial, walk->route.entries[i].timeline, number) != NULL)
            return true;
    return false;
}

/* The timeline on which the last byte before walk->lsn lies. */
static uint32_t
walk_timeline(const struct walk *walk, uint32_t from_timeline, uint64_t from_lsn)
{
    return walk->lsn <= from_lsn ? from_timeline : wal_history_at(&walk->route, walk->lsn - 1);
}

/* The first segment that stops the walk on its way to `to_lsn`. */
static void
walk_blame(const struct walk *walk, uint64_t to_lsn, struct wal_reach *reach)
{
    size_t blamed = reach->end == WAL_REACH_DISPUTED ? walk->disputed : walk_newest(walk, to_lsn);
    uint64_t number = walk->lsn / walk->ranges->segment_bytes;

    reach->missing = (struct wal_range){ walk->route.entries[blamed].timeline, number, number };
    reach->partial = walk_has_partial(walk, number);
}

void
wal_range_check(const struct wal_ranges *ranges, const struct wal_history *history, uint32_t from_timeline,
                uint64_t from_lsn, uint64_t to_lsn, struct wal_reach *ret_reach)
{
    struct walk walk = { .ranges = ranges, .lsn = from_lsn };
    struct wal_reach reach = { .end = WAL_REACH_ALL };

    if (walk_begin(&walk, history, from_timeline, from_lsn)) {
        while (reach.end == WAL_REACH_ALL && walk.lsn < to_lsn)
            reach.end = walk_step(&walk);
        if (reach.end != WAL_REACH_ALL)
            walk_blame(&walk, to_lsn, &reach);
        else if (walk.lsn > to_lsn && to_lsn > from_lsn)
            walk.lsn = to_lsn;
    } else {
        uint64_t number = from_lsn / ranges->segment_bytes;

        reach.end = WAL_REACH_ASTRAY;
        reach.missing = (struct wal_range){ from_timeline, number, number };
    }
    reach.lsn = walk.lsn;
    reach.timeline = walk_timeline(&walk, from_timeline, from_lsn);
    wal_history_free(&walk.route);
    *ret_reach = reach;
}

/* The end of the newest segment that is there on any of the history's timelines. */
static uint64_t
gaps_limit(const struct walk *walk)
{
    uint64_t limit = 0, bytes = walk->ranges->segment_bytes;

    for (size_t i = 0; i < walk->route.len; i++) {
        const struct wal_history_entry *entry = &walk->route.entries[i];

        for (size_t j = 0; j < walk->ranges->whole.len; j++) {
            const struct wal_range *range = &walk->ranges->whole.items[j];
            uint64_t end = lower(segment_end(walk, range->last), entry->end_lsn);

            if (range->timeline == entry->timeline && end > entry_begin(walk, i) &&
                range->first * bytes < entry->end_lsn && end > limit)
                limit = end;
        }
    }
    return limit;
}

/* The segment at walk->lsn is in dispute: the walk goes behind it. */
static void
gaps_dispute(struct walk *walk, struct wal_range_set *gaps)
{
    const struct wal_history_entry *entry = &walk->route.entries[walk->disputed];
    uint64_t number = walk->lsn / walk->ranges->segment_bytes;

    wal_range_put(gaps, entry->timeline, number, number);
    walk_to(walk, lower(entry->end_lsn, segment_end(walk, number)));
}

/* The stretch that is missing from walk->lsn on; the walk goes behind it. */
static void
gaps_missing(struct walk *walk, uint64_t limit, struct wal_range_set *gaps)
{
    const struct wal_history_entry *entry = &walk->route.entries[walk->at];
    uint64_t bytes = walk->ranges->segment_bytes, number = walk->lsn / bytes, next;
    const struct wal_range *whole = wal_range_from(&walk->ranges->whole, entry->timeline, number);

    /* what the next timeline has of this segment would do for both */
    if (walk_newest(walk, limit) > walk->at) {
        walk_to(walk, entry->end_lsn);
        return;
    }
    next = lower(entry->end_lsn, limit) / bytes;
    if (whole != NULL)
        next = lower(next, whole->first);
    if (next <= number)
        next = number + 1;
    wal_range_put(gaps, entry->timeline, number, next - 1);
    walk_to(walk, lower(entry->end_lsn, segment_end(walk, next - 1)));
}

void
wal_range_gaps(const struct wal_ranges *ranges, const struct wal_history *history, uint32_t from_timeline,
               uint64_t from_lsn, struct wal_range_set *gaps)
{
    struct walk walk = { .ranges = ranges };

    if (walk_begin(&walk, history, from_timeline, from_lsn)) {
        uint64_t limit = gaps_limit(&walk);

        while (walk.lsn < limit) {
            enum wal_reach_end end = walk_step(&walk);

            if (end == WAL_REACH_DISPUTED)
                gaps_dispute(&walk, gaps);
            else if (end == WAL_REACH_MISSING)
                gaps_missing(&walk, limit, gaps);
        }
    }
    wal_history_free(&walk.route);
    wal_range_set_join(gaps);
}
