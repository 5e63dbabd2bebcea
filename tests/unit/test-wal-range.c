/* SPDX-License-Identifier: PostgreSQL
 *
 * Ranges, gaps and windows of an archive, by hand: what has a name. Random archives are in test-wal-range-random.c.
 */
#include "config.h"

#include "unit-wal-range.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

#include <string.h>

/* By hand: two timelines, the second left the first in the middle of its third segment. */

static void
make_history(uint32_t timeline, const char *text, struct wal_history *ret_history)
{
    ck_assert_int_eq(wal_history_read(timeline, text, text != NULL ? strlen(text) : 0, ret_history), 0);
}

static const struct check_row {
    const char *files;   /* "T:N", "T:N!" disputed, "T:N~" partial */
    const char *history; /* of timeline 2; NULL: that of timeline 1 is followed */
    uint64_t from, to;   /* in quarters of a segment; 0: as far as it goes */
    enum wal_reach_end end;
    uint64_t reach; /* in quarters */
    uint32_t timeline, missing_timeline;
    uint64_t missing;
    bool partial;
} checks[] = {
    /* nothing at all */
    { "", NULL, 4, 0, WAL_REACH_MISSING, 4, 1, 1, 1, false },
    /* all up to the target, and not a segment more */
    { "1:1 1:2 1:3", NULL, 5, 10, WAL_REACH_ALL, 10, 1, 0, 0, false },
    /* a target at the end of the last segment needs no further one */
    { "1:1 1:2", NULL, 5, 12, WAL_REACH_ALL, 12, 1, 0, 0, false },
    /* a hole before the target */
    { "1:1 1:3", NULL, 5, 14, WAL_REACH_MISSING, 8, 1, 1, 2, false },
    /* a hole behind the target does not count */
    { "1:1 1:3", NULL, 5, 8, WAL_REACH_ALL, 8, 1, 0, 0, false },
    /* two contents are none */
    { "1:1 1:2! 1:3", NULL, 5, 0, WAL_REACH_DISPUTED, 8, 1, 1, 2, false },
    /* a partial one is told of, and not counted */
    { "1:1 1:2~", NULL, 5, 0, WAL_REACH_MISSING, 8, 1, 1, 2, true },
    /* the switch: the new timeline's file has both halves */
    { "1:1 2:2 2:3", "1\t0/280000\tx\n", 5, 0, WAL_REACH_MISSING, 16, 2, 2, 4, false },
    /* the old timeline's file has only the first half */
    { "1:1 1:2 2:3", "1\t0/280000\tx\n", 5, 0, WAL_REACH_MISSING, 10, 1, 2, 2, false },
    /* which is enough for a target before the switch */
    { "1:1 1:2 2:3", "1\t0/280000\tx\n", 5, 10, WAL_REACH_ALL, 10, 1, 0, 0, false },
    /* the old one's .partial is what is there when the server was lost */
    { "1:1 1:2~ 2:3", "1\t0/280000\tx\n", 5, 0, WAL_REACH_MISSING, 8, 1, 2, 2, true },
    /* what the old timeline wrote behind the switch is of no use */
    { "1:1 1:2 1:3 1:4 2:2", "1\t0/280000\tx\n", 5, 0, WAL_REACH_MISSING, 12, 2, 2, 3, false },
    /* a switch at the border of two segments: nothing is copied */
    { "1:1 2:2", "1\t0/200000\tx\n", 5, 0, WAL_REACH_MISSING, 12, 2, 2, 3, false },
    { "2:1 2:2", "1\t0/200000\tx\n", 5, 0, WAL_REACH_MISSING, 5, 1, 1, 1, false },
    /* a backup made on the old timeline behind the switch */
    { "1:1 1:2 1:3 2:2 2:3", "1\t0/280000\tx\n", 12, 0, WAL_REACH_ASTRAY, 12, 1, 1, 3, false },
};

static void
add_files(struct wal_ranges *ranges, const char *files)
{
    CLEANUP_STRV struct strv words = { 0 };

    wal_ranges_begin(ranges, SEGMENT);
    strv_split(&words, files, " ");
    for (size_t i = 0; i < words.len; i++) {
        const char *word = words.items[i];
        char mark = word[3];

        add_state(ranges,
                  mark == '!'   ? DISPUTED
                  : mark == '~' ? PARTIAL
                                : WHOLE,
                  (uint32_t)(word[0] - '0'), (uint64_t)(word[2] - '0'));
    }
    wal_ranges_end(ranges);
}

START_TEST(a_recovery_reaches_as_far_as_its_segments)
{
    const struct check_row *row = &checks[_i];
    CLEANUP_WAL_RANGES struct wal_ranges ranges = { 0 };
    CLEANUP_WAL_HISTORY struct wal_history history = { 0 };
    struct wal_reach reach;

    add_files(&ranges, row->files);
    make_history(row->history != NULL ? 2 : 1, row->history, &history);
    wal_range_check(&ranges, &history, 1, row->from * UNIT, row->to == 0 ? UINT64_MAX : row->to * UNIT, &reach);
    ck_assert_int_eq(reach.end, row->end);
    ck_assert_uint_eq(reach.lsn, row->reach * UNIT);
    ck_assert_uint_eq(reach.timeline, row->timeline);
    ck_assert_uint_eq(reach.missing.timeline, row->missing_timeline);
    ck_assert_uint_eq(reach.missing.first, row->missing);
    ck_assert_int_eq(reach.partial, row->partial);
}
END_TEST

static const struct window_row {
    const char *files, *history;
    struct wal_base bases[2]; /* LSNs in quarters */
    const char *windows;      /* timeline:from-reach(number of backups) */
} windows_rows[] = {
    /* one backup and all WAL */
    { "1:1 1:2 1:3", NULL, { { 1, 4, 6, 1, false } }, "1:6-16(1)" },
    /* two of them share a window */
    { "1:1 1:2 1:3", NULL, { { 1, 4, 6, 1, false }, { 1, 8, 9, 2, false } }, "1:6-16(2)" },
    /* a hole between them makes two */
    { "1:1 1:3", NULL, { { 1, 4, 6, 1, false }, { 1, 12, 13, 2, false } }, "1:6-8(1) 1:13-16(1)" },
    /* a hole in what a backup needs itself: it cannot be restored */
    { "1:1 1:3", NULL, { { 1, 4, 9, 1, false } }, "" },
    /* but by the WAL that it took along */
    { "1:1 1:3", NULL, { { 1, 4, 9, 1, true } }, "1:9-9(1)" },
    { "1:2 1:3", NULL, { { 1, 4, 9, 1, true } }, "1:9-16(1)" },
    /* the new timeline's window holds that of the old one */
    { "1:1 1:2 2:2 2:3", "1\t0/280000\tx\n", { { 1, 4, 6, 1, false } }, "1:6-12(1) 2:6-16(1)" },
    { "1:1 2:2 2:3", "1\t0/280000\tx\n", { { 1, 4, 6, 1, false } }, "2:6-16(1)" },
    /* the new timeline is not reached */
    { "1:1 2:3", "1\t0/280000\tx\n", { { 1, 4, 6, 1, false } }, "1:6-8(1)" },
    /* a backup of the old timeline, made behind the switch, leads only there */
    { "1:3 2:2 2:3", "1\t0/280000\tx\n", { { 1, 12, 13, 1, false } }, "1:13-16(1)" },
};

START_TEST(backups_and_segments_make_windows)
{
    const struct window_row *row = &windows_rows[_i];
    CLEANUP_WAL_RANGES struct wal_ranges ranges = { 0 };
    CLEANUP_WAL_WINDOWS struct wal_windows windows = { 0 };
    CLEANUP_STRV struct strv words = { 0 };
    CLEANUP_FREE char *seen = NULL;
    struct wal_history histories[2] = { { 0 } };
    struct wal_base bases[2];
    size_t base_count = 0;

    for (; base_count < 2 && row->bases[base_count].timeline != 0; base_count++) {
        bases[base_count] = row->bases[base_count];
        bases[base_count].start_lsn *= UNIT;
        bases[base_count].stop_lsn *= UNIT;
    }
    add_files(&ranges, row->files);
    make_history(1, NULL, &histories[0]);
    if (row->history != NULL)
        make_history(2, row->history, &histories[1]);
    wal_range_windows(&ranges, histories, row->history != NULL ? 2 : 1, bases, base_count, &windows);
    for (size_t i = 0; i < windows.len; i++)
        strv_addf(&words, "%u:%u-%u(%zu)", windows.items[i].timeline, (unsigned)(windows.items[i].from_lsn / UNIT),
                  (unsigned)(windows.items[i].reach.lsn / UNIT), windows.items[i].len);
    seen = strv_join(&words, " ");
    ck_assert_str_eq(seen, row->windows);
    wal_history_free(&histories[0]);
    wal_history_free(&histories[1]);
}
END_TEST

/* A listing may hold anything: a hole of a billion segments costs nothing. */
START_TEST(a_wide_gap_is_one_step)
{
    CLEANUP_WAL_RANGES struct wal_ranges ranges = { 0 };
    CLEANUP_WAL_HISTORY struct wal_history history = { 0 };
    CLEANUP_WAL_RANGE_SET struct wal_range_set gaps = { 0 };

    wal_ranges_begin(&ranges, SEGMENT);
    add(&ranges, WAL_SEGMENT, 1, 3, DIGEST_A);
    add(&ranges, WAL_SEGMENT, 1, UINT64_MAX / SEGMENT, DIGEST_A);
    wal_ranges_end(&ranges);
    make_history(1, NULL, &history);
    wal_range_gaps(&ranges, &history, 1, 3 * (uint64_t)SEGMENT, &gaps);
    ck_assert_uint_eq(gaps.len, 1);
    ck_assert_uint_eq(gaps.items[0].first, 4);
    ck_assert_uint_eq(gaps.items[0].last, UINT64_MAX / SEGMENT - 1);
}
END_TEST

START_TEST(the_same_file_twice_is_one)
{
    CLEANUP_WAL_RANGES struct wal_ranges ranges = { 0 };

    wal_ranges_begin(&ranges, SEGMENT);
    for (unsigned i = 0; i < 2; i++) {
        add(&ranges, WAL_SEGMENT, 1, 6, DIGEST_A);
        add(&ranges, WAL_SEGMENT, 1, 5, DIGEST_A);
        add(&ranges, WAL_PARTIAL, 1, 6, DIGEST_B);
        add(&ranges, WAL_HISTORY, 2, 0, DIGEST_A);
        add(&ranges, WAL_LABEL, 1, 9, DIGEST_A);
    }
    wal_ranges_end(&ranges);
    ck_assert_uint_eq(ranges.whole.len, 1);
    ck_assert_uint_eq(ranges.whole.items[0].first, 5);
    ck_assert_uint_eq(ranges.whole.items[0].last, 6);
    ck_assert_uint_eq(ranges.disputed.len, 0);
    ck_assert_uint_eq(ranges.partial.len, 0);
}
END_TEST

/* 16 MiB segments have 256 for one value of the first half, 1 MiB ones 4096. */
START_TEST(a_name_of_another_segment_size_is_refused)
{
    CLEANUP_WAL_RANGES struct wal_ranges ranges = { 0 };
    struct wal_name name = { .file = WAL_SEGMENT, .timeline = 1, .log = 0, .piece = 256 };

    wal_ranges_begin(&ranges, 16 << 20);
    ck_assert_int_eq(wal_ranges_add(&ranges, &name, DIGEST_A), ERROR_CORRUPT);
    wal_ranges_end(&ranges);
    ck_assert_uint_eq(ranges.whole.len, 0);
}
END_TEST

static Suite *
wal_range_suite(void)
{
    Suite *suite = suite_create("wal-range");
    TCase *tcase = tcase_create("wal-range");

    tcase_add_loop_test(tcase, a_recovery_reaches_as_far_as_its_segments, 0, ARRAY_LEN(checks));
    tcase_add_loop_test(tcase, backups_and_segments_make_windows, 0, ARRAY_LEN(windows_rows));
    tcase_add_test(tcase, a_wide_gap_is_one_step);
    tcase_add_test(tcase, the_same_file_twice_is_one);
    tcase_add_test(tcase, a_name_of_another_segment_size_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(wal_range_suite)
