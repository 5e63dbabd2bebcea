/* SPDX-License-Identifier: PostgreSQL
 *
 * Ranges, gaps and windows of random archives against a model that asks for every quarter of a segment on its own, as
 * PostgreSQL looks for it.
 */
#include "config.h"

#include "unit-wal-range.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum {
    TIMELINES = 4,
    SEGMENTS = 8,
    UNITS = SEGMENTS * 4,
    BASES = 4,
    SEEDS = 400,
};

/* What is where, and where each timeline comes from. */
struct world {
    enum state files[TIMELINES + 1][SEGMENTS];
    struct wal_history histories[TIMELINES]; /* of timeline i + 1 */
    struct wal_base bases[BASES];
    struct wal_ranges ranges;
};

static uint64_t random_state;

static unsigned
random_below(unsigned limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(random_state >> 33) % limit;
}

static void
world_ranges(struct world *world)
{
    wal_ranges_free(&world->ranges);
    wal_ranges_begin(&world->ranges, SEGMENT);
    for (uint32_t t = TIMELINES; t > 0; t--)
        for (uint64_t n = SEGMENTS; n-- > 0;)
            add_state(&world->ranges, world->files[t][n], t, n);
    wal_ranges_end(&world->ranges);
}

/* A parent's history, the fork from it, and itself. The fork may lie before the parent began. */
static void
world_history(struct world *world, uint32_t timeline)
{
    struct wal_history *history = &world->histories[timeline - 1];

    if (timeline > 1) {
        const struct wal_history *parent = &world->histories[random_below(timeline - 1)];

        for (size_t i = 0; i < parent->len; i++) {
            MEM_GROW(history->entries, history->len, history->cap);
            history->entries[history->len++] = parent->entries[i];
        }
        history->entries[history->len - 1].end_lsn = (uint64_t)random_below(UNITS) * UNIT;
    }
    MEM_GROW(history->entries, history->len, history->cap);
    history->entries[history->len++] = (struct wal_history_entry){ timeline, UINT64_MAX };
}

static void
world_make(struct world *world, unsigned seed)
{
    unsigned holes; /* in percent */

    *world = (struct world){ 0 };
    random_state = seed * UINT64_C(2654435761) + 1;
    holes = random_below(4) * 12;
    for (uint32_t t = 1; t <= TIMELINES; t++) {
        world_history(world, t);
        for (unsigned n = 0; n < SEGMENTS; n++)
            if (random_below(100) >= holes)
                world->files[t][n] = WHOLE;
            else
                world->files[t][n] = random_below(3) > 0 ? ABSENT : random_below(2) ? PARTIAL : DISPUTED;
    }
    for (unsigned i = 0; i < BASES; i++) {
        struct wal_base *base = &world->bases[i];

        base->timeline = 1 + random_below(TIMELINES);
        base->start_lsn = (uint64_t)random_below(UNITS - 4) * UNIT;
        base->stop_lsn = base->start_lsn + (uint64_t)(1 + random_below(3)) * UNIT;
        base->finished_s = 1000 + i;
        base->wal_included = random_below(4) == 0;
    }
    world_ranges(world);
}

static void
world_free(struct world *world)
{
    for (size_t i = 0; i < TIMELINES; i++)
        wal_history_free(&world->histories[i]);
    wal_ranges_free(&world->ranges);
}

/* The model. */

static size_t
model_owner(const struct wal_history *history, unsigned unit)
{
    uint32_t timeline = wal_history_at(history, (uint64_t)unit * UNIT);
    size_t owner = 0;

    while (history->entries[owner].timeline != timeline)
        owner++;
    return owner;
}

/* PostgreSQL opens the file of the newest timeline that began in this segment or before it. */
static enum wal_reach_end
model_has(const struct world *world, const struct wal_history *history, unsigned unit)
{
    unsigned number = unit / 4;

    for (size_t i = history->len; i-- > model_owner(history, unit);) {
        uint64_t begin = i > 0 ? history->entries[i - 1].end_lsn : 0;
        enum state state = number < SEGMENTS ? world->files[history->entries[i].timeline][number] : ABSENT;

        if (begin / SEGMENT > number)
            continue;
        if (state == DISPUTED)
            return WAL_REACH_DISPUTED;
        if (state == WHOLE)
            return WAL_REACH_ALL;
    }
    return WAL_REACH_MISSING;
}

/* The first unit from `from` on that cannot be replayed, at most `to`. */
static unsigned
model_reach(const struct world *world, const struct wal_history *history, unsigned from, unsigned to)
{
    while (from < to && model_has(world, history, from) == WAL_REACH_ALL)
        from++;
    return from;
}

/* Recovery begins on the timeline that it is told. */
static bool
model_leads(const struct wal_history *history, const struct wal_base *base)
{
    for (uint64_t lsn = base->start_lsn; lsn < base->stop_lsn; lsn += UNIT)
        if (wal_history_at(history, lsn) != base->timeline)
            return false;
    return true;
}

static bool
model_restorable(const struct world *world, const struct wal_history *history, unsigned unit)
{
    for (unsigned i = 0; i < BASES; i++) {
        const struct wal_base *base = &world->bases[i];
        unsigned start = (unsigned)(base->start_lsn / UNIT), stop = (unsigned)(base->stop_lsn / UNIT);

        if (!model_leads(history, base) || unit < stop)
            continue;
        if (model_reach(world, history, start, unit) == unit ||
            (base->wal_included && model_reach(world, history, stop, unit) == unit))
            return true;
    }
    return false;
}

/* The check agrees with the model, whatever it is asked. */
START_TEST(a_check_finds_the_first_segment_that_is_missing)
{
    struct world world;

    world_make(&world, (unsigned)_i);
    for (unsigned round = 0; round < 40; round++) {
        const struct wal_history *history = &world.histories[random_below(TIMELINES)];
        unsigned from = random_below(UNITS), to = from + random_below(UNITS + 8 - from);
        unsigned reach = model_reach(&world, history, from, to);
        uint32_t timeline = wal_history_at(history, (uint64_t)from * UNIT);
        struct wal_reach seen;

        wal_range_check(&world.ranges, history, timeline, (uint64_t)from * UNIT, (uint64_t)to * UNIT, &seen);
        ck_assert_uint_eq(seen.lsn, (uint64_t)reach * UNIT);
        ck_assert_int_eq(seen.end, reach == to ? WAL_REACH_ALL : model_has(&world, history, reach));
        if (seen.end == WAL_REACH_ALL)
            continue;
        ck_assert_uint_eq(seen.missing.first, reach / 4);
        ck_assert_uint_eq(seen.missing.last, reach / 4);
    }
    world_free(&world);
}
END_TEST

/* What is named as missing is what has to be found again. */
START_TEST(the_named_segment_is_the_cure)
{
    struct world world;

    world_make(&world, (unsigned)_i);
    for (unsigned round = 0; round < 10; round++) {
        const struct wal_history *history = &world.histories[random_below(TIMELINES)];
        unsigned from = random_below(UNITS);
        uint32_t timeline = wal_history_at(history, (uint64_t)from * UNIT);
        struct wal_reach before, after;

        wal_range_check(&world.ranges, history, timeline, (uint64_t)from * UNIT, UINT64_MAX, &before);
        ck_assert_int_ne(before.end, WAL_REACH_ALL);
        if (before.missing.first >= SEGMENTS)
            continue;
        world.files[before.missing.timeline][before.missing.first] = WHOLE;
        world_ranges(&world);
        wal_range_check(&world.ranges, history, timeline, (uint64_t)from * UNIT, UINT64_MAX, &after);
        ck_assert_uint_gt(after.lsn, before.lsn);
    }
    world_free(&world);
}
END_TEST

/* Behind the newest unit whose own segment is there. */
static unsigned
model_limit(const struct world *world, const struct wal_history *history)
{
    for (unsigned unit = UNITS; unit-- > 0;)
        if (world->files[history->entries[model_owner(history, unit)].timeline][unit / 4] == WHOLE)
            return unit + 1;
    return 0;
}

/* Gaps are none of what is there, all of what is not, and nothing behind the newest. */
START_TEST(gaps_are_what_has_to_be_found_again)
{
    struct world world;

    world_make(&world, (unsigned)_i);
    for (unsigned t = 0; t < TIMELINES; t++) {
        const struct wal_history *history = &world.histories[t];
        unsigned from = random_below(UNITS), limit = model_limit(&world, history);
        CLEANUP_WAL_RANGE_SET struct wal_range_set gaps = { 0 };
        uint32_t timeline = wal_history_at(history, (uint64_t)from * UNIT);
        bool whole = from >= limit || model_reach(&world, history, from, limit) == limit;

        wal_range_gaps(&world.ranges, history, timeline, (uint64_t)from * UNIT, &gaps);
        ck_assert_int_eq(gaps.len == 0, whole);
        for (size_t i = 0; i < gaps.len; i++)
            for (uint64_t n = gaps.items[i].first; n <= gaps.items[i].last; n++) {
                ck_assert_uint_lt(n, SEGMENTS);
                ck_assert_int_ne(world.files[gaps.items[i].timeline][n], WHOLE);
                world.files[gaps.items[i].timeline][n] = WHOLE;
            }
        if (!whole)
            ck_assert_uint_eq(model_reach(&world, history, from, limit), limit);
        world_ranges(&world);
    }
    world_free(&world);
}
END_TEST

/* Is the way to `unit` along `history` that of the window? */
static bool
same_way(const struct world *world, const struct wal_history *history, const struct wal_window *window, unsigned unit)
{
    const struct wal_history *other = &world->histories[window->timeline - 1];

    for (unsigned u = 0; u < unit; u++)
        if (wal_history_at(history, (uint64_t)u * UNIT) != wal_history_at(other, (uint64_t)u * UNIT))
            return false;
    return true;
}

static bool
in_some_window(const struct world *world, const struct wal_windows *windows, const struct wal_history *history,
               unsigned unit)
{
    for (size_t i = 0; i < windows->len; i++) {
        const struct wal_window *window = &windows->items[i];
        uint64_t lsn = (uint64_t)unit * UNIT;

        if (lsn >= window->from_lsn && lsn <= window->reach.lsn && same_way(world, history, window, unit))
            return true;
    }
    return false;
}

START_TEST(windows_hold_every_moment_that_can_be_restored_and_no_other)
{
    CLEANUP_WAL_WINDOWS struct wal_windows windows = { 0 };
    struct world world;

    world_make(&world, (unsigned)_i);
    wal_range_windows(&world.ranges, world.histories, TIMELINES, world.bases, BASES, &windows);
    for (unsigned t = 0; t < TIMELINES; t++)
        for (unsigned unit = 0; unit <= UNITS; unit++)
            ck_assert_msg(!model_restorable(&world, &world.histories[t], unit) ||
                              in_some_window(&world, &windows, &world.histories[t], unit),
                          "timeline %u, unit %u is in no window", t + 1, unit);
    for (size_t i = 0; i < windows.len; i++) {
        const struct wal_window *window = &windows.items[i];
        unsigned last = (unsigned)(window->reach.lsn / UNIT);

        ck_assert_uint_gt(window->len, 0);
        ck_assert_uint_eq(window->from_lsn, world.bases[window->bases[0]].stop_lsn);
        for (unsigned unit = (unsigned)(window->from_lsn / UNIT); unit <= last; unit++)
            ck_assert_msg(model_restorable(&world, &world.histories[window->timeline - 1], unit),
                          "timeline %u, unit %u is in a window", window->timeline, unit);
    }
    world_free(&world);
}
END_TEST

static Suite *
wal_range_random_suite(void)
{
    Suite *suite = suite_create("wal-range-random");
    TCase *tcase = tcase_create("wal-range-random");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_check_finds_the_first_segment_that_is_missing, 0, SEEDS);
    tcase_add_loop_test(tcase, the_named_segment_is_the_cure, 0, SEEDS);
    tcase_add_loop_test(tcase, gaps_are_what_has_to_be_found_again, 0, SEEDS);
    tcase_add_loop_test(tcase, windows_hold_every_moment_that_can_be_restored_and_no_other, 0, SEEDS);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(wal_range_random_suite)
