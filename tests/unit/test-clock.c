/* SPDX-License-Identifier: PostgreSQL
 *
 * Times as text, in UTC whatever the machine's zone is, and only in the one form that we write.
 */
#include "config.h"

#include "base/clock.h"

#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

enum { UNTOUCHED = 4711 };

static void
setup(void)
{
    ck_assert_int_eq(setenv("TZ", "Asia/Kathmandu", 1), 0); /* 5:45 h from UTC */
    tzset();
}

static const struct {
    int64_t s;
    const char *iso, *compact;
} rows[] = {
    { 0, "1970-01-01T00:00:00Z", "19700101T000000Z" },
    { 1795353731, "2026-11-22T13:22:11Z", "20261122T132211Z" },
    { 951782400, "2000-02-29T00:00:00Z", "20000229T000000Z" },    /* a leap day */
    { 4102444799, "2099-12-31T23:59:59Z", "20991231T235959Z" },   /* behind 2038 */
    { -1, "1969-12-31T23:59:59Z", "19691231T235959Z" },
};

START_TEST(times_are_written_and_read_in_utc)
{
    CLEANUP_FREE char *iso = clock_iso(rows[_i].s), *compact = clock_compact(rows[_i].s);
    int64_t s = UNTOUCHED;

    ck_assert_str_eq(iso, rows[_i].iso);
    ck_assert_str_eq(compact, rows[_i].compact);
    ck_assert_int_eq(clock_parse_iso(iso, &s), 0);
    ck_assert_int_eq(s, rows[_i].s);
    s = UNTOUCHED;
    ck_assert_int_eq(clock_parse_compact(compact, &s), 0);
    ck_assert_int_eq(s, rows[_i].s);
}
END_TEST

static const char *const bad_compact_rows[] = {
    "",
    "20261122T132211",      /* no zone */
    "20261122T132211ZZ",
    "20261122t132211Z",
    "20261122 132211Z",
    "20261322T132211Z",     /* month 13 */
    "20260231T132211Z",     /* the 31st of February */
    "20261122T242211Z",     /* hour 24 */
    "20261122T136011Z",     /* minute 60 */
    "20261122T132260Z",     /* a leap second has no number of its own */
    " 20261122T132211Z",
    "2026112 T132211Z",     /* strptime takes blanks for digits */
    "20261122T13221Z",
    "2026-11-22T13:22:11Z",
    "20261122T132211Z-daily",
};

START_TEST(other_compact_forms_are_refused)
{
    int64_t s = UNTOUCHED;

    ck_assert_int_eq(clock_parse_compact(bad_compact_rows[_i], &s), PGCASK_FAILED);
    ck_assert_int_eq(s, UNTOUCHED);
    ck_assert_error_has("is not a time of the form 20261122T132211Z");
}
END_TEST

static const char *const bad_iso_rows[] = {
    "",
    "2026-11-22T13:22:11",
    "2026-11-22T13:22:11+00:00",
    "2026-11-22 13:22:11Z",
    "2026-13-22T13:22:11Z",
    "2026-02-31T13:22:11Z",
    "2026-11-22T24:22:11Z",
    "2026-11-22T13:22:60Z",
    "2026-1-2T3:4:5Z",
    "2026- 1- 2T 3: 4: 5Z",
    " 2026-11-22T13:22:11Z",
    "2026-11-22T13:22:11Zulu",
    "20261122T132211Z",
};

START_TEST(other_iso_forms_are_refused)
{
    int64_t s = UNTOUCHED;

    ck_assert_int_eq(clock_parse_iso(bad_iso_rows[_i], &s), PGCASK_FAILED);
    ck_assert_int_eq(s, UNTOUCHED);
    ck_assert_error_has("is not a time of the form 2026-11-22T13:22:11Z");
}
END_TEST

START_TEST(compact_times_sort_as_times_do)
{
    for (int64_t s = 1; s < INT64_C(4000000000); s = s * 3 + 7) {
        CLEANUP_FREE char *before = clock_compact(s - 1), *after = clock_compact(s);

        ck_assert_int_lt(strcmp(before, after), 0);
    }
}
END_TEST

START_TEST(impossible_times_have_a_text)
{
    CLEANUP_FREE char *iso = clock_iso(INT64_MAX), *compact = clock_compact(INT64_MIN);

    ck_assert_str_eq(iso, "?");
    ck_assert_str_eq(compact, "?");
}
END_TEST

START_TEST(the_clocks_go_forward)
{
    int64_t wall_s = clock_now_s(), mono_ms = clock_mono_ms();
    struct timespec pause = { 0, 20 * 1000000 };

    ck_assert_int_ge(wall_s, INT64_C(1700000000));
    ck_assert_int_le(wall_s, time(NULL));
    ck_assert_int_eq(clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL), 0);
    ck_assert_int_ge(clock_mono_ms() - mono_ms, 19); /* both ends are rounded down */
}
END_TEST

static Suite *
clock_suite(void)
{
    Suite *suite = suite_create("clock");
    TCase *tcase = tcase_create("clock");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_loop_test(tcase, times_are_written_and_read_in_utc, 0, ARRAY_LEN(rows));
    tcase_add_loop_test(tcase, other_compact_forms_are_refused, 0, ARRAY_LEN(bad_compact_rows));
    tcase_add_loop_test(tcase, other_iso_forms_are_refused, 0, ARRAY_LEN(bad_iso_rows));
    tcase_add_test(tcase, compact_times_sort_as_times_do);
    tcase_add_test(tcase, impossible_times_have_a_text);
    tcase_add_test(tcase, the_clocks_go_forward);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(clock_suite)
