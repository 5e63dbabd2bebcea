/* SPDX-License-Identifier: PostgreSQL
 *
 * One range at a time, fetched by another thread: its bytes, its errors, and ends at any moment.
 */
#include "config.h"

#include "stage/read-ahead.h"

#include <string.h>

#include "base/cancel.h"
#include "unit-store.h"

static struct store store;

static void
setup(void)
{
    store = (struct store){ 0 };
    store_open(&store, "s");
    store_place(&store, "key", "0123456789", 10);
}

static void
teardown(void)
{
    store_close(&store);
}

START_TEST(ranges_come_one_after_the_other)
{
    CLEANUP(read_ahead_free) struct read_ahead *ahead = read_ahead_new();
    char data[2][5] = { "....", "...." };

    for (int turn = 0; turn < 100; turn++) {
        read_ahead_begin(ahead, store.storage, "key", (uint64_t)(turn % 7), data[turn % 2], 4);
        ck_assert_int_eq(read_ahead_end(ahead), 0);
        ck_assert_int_eq(memcmp(data[turn % 2], &"0123456789"[turn % 7], 4), 0);
    }
    ck_assert_uint_eq(store.got, 400);
}
END_TEST

START_TEST(an_error_comes_with_its_text_and_the_next_range_is_fine)
{
    CLEANUP(read_ahead_free) struct read_ahead *ahead = read_ahead_new();
    char data[10];

    read_ahead_begin(ahead, store.storage, "key", 5, data, 10);
    ck_assert_int_eq(read_ahead_end(ahead), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 's': 'key' ends before byte 15");
    read_ahead_begin(ahead, store.storage, "key", 5, data, 5);
    ck_assert_int_eq(read_ahead_end(ahead), 0);
    ck_assert_int_eq(memcmp(data, "56789", 5), 0);
}
END_TEST

START_TEST(it_may_end_at_any_time)
{
    char data[10];

    store.pause_us = _i == 1 ? 20000 : 0;
    for (int turn = 0; turn < 20; turn++) {
        struct read_ahead *ahead = read_ahead_new();

        if (turn % 2 == 1)
            read_ahead_begin(ahead, store.storage, "key", 0, data, 10);
        read_ahead_free(ahead); /* nobody waited: `data` is ours again all the same */
        memset(data, 0, sizeof data);
    }
    ck_assert_uint_eq(store.got, 100);
    read_ahead_free(NULL);
}
END_TEST

START_TEST(being_stopped_is_told)
{
    CLEANUP(read_ahead_free) struct read_ahead *ahead = read_ahead_new();
    char data[10];

    cancel_request();
    read_ahead_begin(ahead, store.storage, "key", 0, data, 10);
    ck_assert_int_eq(read_ahead_end(ahead), ERROR_CANCELLED);
    ck_assert_uint_eq(store.got, 0);
}
END_TEST

static Suite *
read_ahead_suite(void)
{
    Suite *suite = suite_create("read-ahead");
    TCase *tcase = tcase_create("read-ahead");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, ranges_come_one_after_the_other);
    tcase_add_test(tcase, an_error_comes_with_its_text_and_the_next_range_is_fine);
    tcase_add_loop_test(tcase, it_may_end_at_any_time, 0, 2);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("cancel"); /* last: without forks it cannot be taken back */
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, being_stopped_is_told);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(read_ahead_suite)
