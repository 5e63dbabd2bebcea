/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/receive-plan.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>

uint64_t
receive_point_lsn(const struct receive_point *point, uint32_t segment_bytes)
{
    return point->segment * segment_bytes;
}

/* NULL: that timeline is none of this history. */
static const struct wal_history_entry *
history_entry(const struct wal_history *history, uint32_t timeline)
{
    for (size_t i = 0; i < history->len; i++)
        if (history->entries[i].timeline == timeline)
            return &history->entries[i];
    return NULL;
}

/* A timeline that was left before this segment has no more to give: the next one begins in the segment in which it was
 * left. false: the timeline is none of this history. */
static bool
point_settle(const struct receive_facts *facts, struct receive_point *point, uint32_t *forked)
{
    const struct wal_history_entry *entry = history_entry(facts->history, point->timeline);
    const struct wal_history_entry *last = &facts->history->entries[facts->history->len - 1];

    while (entry != NULL && entry < last && receive_point_lsn(point, facts->segment_bytes) >= entry->end_lsn) {
        if (receive_point_lsn(point, facts->segment_bytes) > entry->end_lsn)
            *forked = point->timeline;
        point->segment = entry->end_lsn / facts->segment_bytes;
        entry++;
        point->timeline = entry->timeline;
    }
    return entry != NULL;
}

/* With two contents it is there, too: which one is right is not to be found out here. */
static const struct wal_range *
archive_find(const struct wal_ranges *archive, const struct receive_point *point)
{
    const struct wal_range *range = wal_range_find(&archive->whole, point->timeline, point->segment);

    return range != NULL ? range : wal_range_find(&archive->disputed, point->timeline, point->segment);
}

/* A timeline that was left within the segment: the file of the next one has that part of it, too. */
static bool
point_change(const struct receive_facts *facts, struct receive_point *point)
{
    const struct wal_history_entry *entry = history_entry(facts->history, point->timeline);
    const struct wal_history_entry *last = &facts->history->entries[facts->history->len - 1];
    struct receive_point next = *point;

    if (entry == NULL || entry == last || entry->end_lsn / facts->segment_bytes != point->segment)
        return false;
    next.timeline = entry[1].timeline;
    if (archive_find(facts->archive, &next) == NULL)
        return false;
    *point = next;
    return true;
}

static bool
plan_pass(const struct receive_facts *facts, struct receive_point *point, uint32_t *forked)
{
    bool passed = false;

    while (facts->archive != NULL) {
        const struct wal_range *range = archive_find(facts->archive, point);

        if (range == NULL && !point_change(facts, point))
            break;
        if (range != NULL) {
            point->segment = range->last + 1;
            (void)point_settle(facts, point, forked);
        }
        passed = true;
    }
    return passed;
}

bool
receive_plan_pass(const struct receive_facts *facts, struct receive_point *point)
{
    uint32_t forked = 0;

    return plan_pass(facts, point, &forked);
}

/* Raise `end` to the segment `behind` the newest one of `timeline` in `set`. */
static bool
set_end(const struct wal_range_set *set, uint32_t timeline, unsigned behind, uint64_t *end)
{
    bool found = false;

    for (size_t i = 0; i < set->len; i++)
        if (set->items[i].timeline == timeline) {
            found = true;
            if (set->items[i].last + behind > *end)
                *end = set->items[i].last + behind;
        }
    return found;
}

/* Behind the newest segment of the newest timeline that the archive has anything of; one that is not whole is begun
 * anew. */
static bool
archive_end(const struct receive_facts *facts, struct receive_point *ret_point, uint32_t *forked)
{
    const struct wal_ranges *archive = facts->archive;

    for (size_t i = facts->history->len; i-- > 0;) {
        struct receive_point end = { .timeline = facts->history->entries[i].timeline };
        bool found = set_end(&archive->whole, end.timeline, 1, &end.segment);

        found |= set_end(&archive->disputed, end.timeline, 1, &end.segment);
        found |= set_end(&archive->partial, end.timeline, 0, &end.segment);
        if (!found)
            continue;
        *ret_point = end;
        return point_settle(facts, ret_point, forked);
    }
    return false;
}

static bool
archive_is_empty(const struct wal_ranges *archive)
{
    return archive->whole.len == 0 && archive->disputed.len == 0 && archive->partial.len == 0;
}

bool
receive_plan_is_spooled(const struct receive_facts *facts)
{
    return facts->spooled && history_entry(facts->history, facts->spool.timeline) != NULL;
}

static void
plan_at(const struct receive_facts *facts, uint64_t lsn, enum receive_origin origin, struct receive_plan *plan)
{
    plan->point.segment = lsn / facts->segment_bytes;
    plan->point.timeline = wal_history_at(facts->history, receive_point_lsn(&plan->point, facts->segment_bytes));
    plan->origin = origin;
}

int
receive_plan_make(const struct receive_facts *facts, struct receive_plan *ret_plan)
{
    struct receive_plan plan = { .origin = RECEIVE_FROM_SPOOL, .point = facts->spool };

    if (receive_plan_is_spooled(facts)) {
        (void)point_settle(facts, &plan.point, &plan.forked);
        (void)plan_pass(facts, &plan.point, &plan.forked);
    } else if (archive_is_empty(facts->archive) && !facts->spooled) {
        plan_at(facts, facts->slot_lsn != 0 ? facts->slot_lsn : facts->server_lsn, RECEIVE_FROM_NOW, &plan);
    } else if (archive_end(facts, &plan.point, &plan.forked)) {
        plan.origin = RECEIVE_FROM_ARCHIVE;
        if (facts->slot_lsn != 0 && facts->slot_lsn / facts->segment_bytes < plan.point.segment)
            plan_at(facts, facts->slot_lsn, RECEIVE_FROM_SLOT, &plan);
    } else {
        (void)error_set(PGCASK_NOT_FOUND,
                        "the WAL that is archived is not of a timeline from which that server (timeline %" PRIu32
                        ") comes",
                        facts->history->entries[facts->history->len - 1].timeline);
        return error_hint(PGCASK_NOT_FOUND, "is this the right server? If it is, this is a gap: 'pgcask wal receive "
                                            "--accept-gap' begins behind it; then take a new base backup");
    }
    *ret_plan = plan;
    return 0;
}
