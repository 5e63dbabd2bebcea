/* SPDX-License-Identifier: PostgreSQL
 *
 * Histories of timelines: read as PostgreSQL reads them, refused where they make no
 * sense, and which timeline a position is on.
 */
#include "config.h"

#include "pg/wal-history.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "unit.h"

static const struct read_row {
    uint32_t timeline;
    const char *text;
    const char *seen; /* "timeline:LSN in hex …", without the last; NULL: refused */
} read_rows[] = {
    { 2, "1\t0/3000160\tno recovery target specified\n", "1:3000160" },
    { 2, "1\t0/3000160\n", "1:3000160" },                               /* without a reason */
    { 2, "1\t0/3000160", "1:3000160" },                                 /* without a newline */
    { 2, "1 0/3000160 by hand\n", "1:3000160" },
    { 2, "\n# said by somebody\n  \n  1\t0/3000160\tx\r\n\n", "1:3000160" },
    { 5, "1\t0/3000160\tx\n\n2\t1A/FF000028\ty\n4\t1B/0\tz\n", "1:3000160 2:1AFF000028 4:1B00000000" },
    { 4294967295, "4294967294\tFFFFFFFF/FFFFFFFF\tx\n", "4294967294:FFFFFFFFFFFFFFFF" },
    { 4, "1\t0/5000000\tx\n3\t0/4000000\ty\n", "1:5000000 3:4000000" }, /* recovery ended before timeline 3 began */
    { 2, "", NULL },                                                    /* cut to nothing */
    { 2, "# nothing\n", NULL },
    { 3, "2\t0/1000000\tx\n1\t0/3000000\ty\n", NULL },                  /* descending */
    { 3, "1\t0/1000000\tx\n1\t0/3000000\ty\n", NULL },                  /* twice */
    { 2, "2\t0/1000000\tx\n", NULL },                                   /* its own ancestor */
    { 2, "3\t0/1000000\tx\n", NULL },
    { 2, "0\t0/1000000\tx\n", NULL },
    { 1, "1\t0/1000000\tx\n", NULL },                                   /* the first comes from none */
    { 2, "4294967297\t0/1000000\tx\n", NULL },                          /* 1, cut to 32 bits */
    { 2, "one\t0/1000000\tx\n", NULL },
    { 2, "-1\t0/1000000\tx\n", NULL },
    { 2, "1\n", NULL },
    { 2, "1\t\n", NULL },
    { 2, "1\t0-1000000\tx\n", NULL },
    { 2, "1\t0/1000000x\n", NULL },
    { 2, "10/1000000\tx\n", NULL },
    { 2, "1\t000000000000000000000/1000000\tx\n", NULL },
};

static void
check_entries(const struct wal_history *history, uint32_t timeline, const char *seen)
{
    char text[256] = "";

    for (size_t i = 0; i + 1 < history->len; i++) {
        size_t len = strlen(text);

        (void)snprintf(text + len, sizeof text - len, "%s%u:%llX", len > 0 ? " " : "", history->entries[i].timeline,
                       (unsigned long long)history->entries[i].end_lsn);
    }
    ck_assert_str_eq(text, seen);
    ck_assert_uint_gt(history->len, 0);
    ck_assert_uint_eq(history->entries[history->len - 1].timeline, timeline);
    ck_assert_uint_eq(history->entries[history->len - 1].end_lsn, UINT64_MAX);
}

START_TEST(a_history_is_read_or_refused_whole)
{
    const struct read_row *row = &read_rows[_i];
    CLEANUP_WAL_HISTORY struct wal_history history = { .cap = 0 };
    int rc = wal_history_read(row->timeline, row->text, strlen(row->text), &history);

    if (row->seen == NULL) {
        ck_assert_int_eq(rc, ERROR_CORRUPT);
        ck_assert_error_has("history of timeline");
        ck_assert_ptr_null(history.entries);
        return;
    }
    ck_assert_msg(rc == 0, "%s", error_text());
    check_entries(&history, row->timeline, row->seen);
}
END_TEST

START_TEST(a_zero_byte_is_part_of_no_history)
{
    CLEANUP_WAL_HISTORY struct wal_history history = { .cap = 0 };

    ck_assert_int_eq(wal_history_read(2, "1\t0/1\0\tx\n", 9, &history), ERROR_CORRUPT);
    ck_assert_int_eq(wal_history_read(2, "\0\0\0\0", 4, &history), ERROR_CORRUPT);
}
END_TEST

START_TEST(a_file_that_is_too_large_is_not_looked_at)
{
    CLEANUP_WAL_HISTORY struct wal_history history = { .cap = 0 };
    size_t len = WAL_HISTORY_LIMIT_BYTES + 1;
    CLEANUP_FREE char *text = mem_alloc(len);

    memset(text, '\n', len);
    memcpy(text, "1\t0/1\tx", 7);
    ck_assert_int_eq(wal_history_read(2, text, len, &history), ERROR_CORRUPT);
    ck_assert_error_has("1048577 bytes");
    ck_assert_int_eq(wal_history_read(2, text, len - 1, &history), 0);
}
END_TEST

START_TEST(without_a_file_a_timeline_is_alone)
{
    CLEANUP_WAL_HISTORY struct wal_history history = { .cap = 0 };

    ck_assert_int_eq(wal_history_read(7, NULL, 0, &history), 0);
    check_entries(&history, 7, "");
    ck_assert_uint_eq(wal_history_at(&history, 0), 7);
    ck_assert_uint_eq(wal_history_at(&history, UINT64_MAX), 7);
}
END_TEST

static const struct at_row {
    const char *text; /* of timeline 4 */
    uint64_t lsn;
    uint32_t timeline;
} at_rows[] = {
    { "1\t0/300\tx\n3\t0/500\ty\n", 0, 1 },
    { "1\t0/300\tx\n3\t0/500\ty\n", 0x2FF, 1 },
    { "1\t0/300\tx\n3\t0/500\ty\n", 0x300, 3 }, /* the point belongs to the one that begins there */
    { "1\t0/300\tx\n3\t0/500\ty\n", 0x4FF, 3 },
    { "1\t0/300\tx\n3\t0/500\ty\n", 0x500, 4 },
    { "1\t0/300\tx\n3\t0/500\ty\n", UINT64_MAX, 4 },
    { "1\t0/500\tx\n3\t0/300\ty\n", 0x2FF, 1 }, /* nothing of timeline 3 counts */
    { "1\t0/500\tx\n3\t0/300\ty\n", 0x300, 4 },
    { "1\t0/500\tx\n3\t0/300\ty\n", 0x400, 4 },
    { "1\t0/500\tx\n3\t0/500\ty\n", 0x500, 4 },
};

START_TEST(a_position_is_on_one_timeline)
{
    const struct at_row *row = &at_rows[_i];
    CLEANUP_WAL_HISTORY struct wal_history history = { .cap = 0 };

    ck_assert_int_eq(wal_history_read(4, row->text, strlen(row->text), &history), 0);
    ck_assert_uint_eq(wal_history_at(&history, row->lsn), row->timeline);
}
END_TEST

START_TEST(an_empty_history_reaches_nothing)
{
    const struct wal_history history = { .cap = 0 };

    ck_assert_uint_eq(wal_history_at(&history, 0), 0);
}
END_TEST

static Suite *
wal_history_suite(void)
{
    Suite *suite = suite_create("wal-history");
    TCase *reading = tcase_create("reading"), *finding = tcase_create("finding");

    tcase_add_loop_test(reading, a_history_is_read_or_refused_whole, 0, ARRAY_LEN(read_rows));
    tcase_add_test(reading, a_zero_byte_is_part_of_no_history);
    tcase_add_test(reading, a_file_that_is_too_large_is_not_looked_at);
    tcase_add_test(reading, without_a_file_a_timeline_is_alone);
    suite_add_tcase(suite, reading);
    tcase_add_loop_test(finding, a_position_is_on_one_timeline, 0, ARRAY_LEN(at_rows));
    tcase_add_test(finding, an_empty_history_reaches_nothing);
    suite_add_tcase(suite, finding);
    return suite;
}

UNIT_MAIN(wal_history_suite)
