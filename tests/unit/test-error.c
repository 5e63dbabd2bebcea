/* SPDX-License-Identifier: PostgreSQL
 *
 * The error slot: set once, context in front, a cure behind, one for each thread.
 */
#include "config.h"

#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "unit.h"

static void
setup(void)
{
    error_clear();
}

START_TEST(an_empty_slot_has_an_empty_text)
{
    ck_assert_str_eq(error_text(), "");
    ck_assert_ptr_null(error_cure());
}
END_TEST

START_TEST(setting_replaces_text_and_drops_the_cure)
{
    ck_assert_int_eq(error_set(PGCASK_RETRY, "first %d", 1), PGCASK_RETRY);
    ck_assert_int_eq(error_hint(PGCASK_RETRY, "cure %s", "one"), PGCASK_RETRY);
    ck_assert_str_eq(error_text(), "first 1");
    ck_assert_str_eq(error_cure(), "cure one");
    ck_assert_int_eq(error_set(ERROR_USAGE, "second"), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "second");
    ck_assert_ptr_null(error_cure());
}
END_TEST

START_TEST(context_goes_in_front_and_keeps_the_cure)
{
    (void)error_set(PGCASK_FAILED, "disk full");
    (void)error_hint(PGCASK_FAILED, "make room");
    ck_assert_int_eq(error_context(PGCASK_FAILED, "part %d", 7), PGCASK_FAILED);
    ck_assert_int_eq(error_context(PGCASK_FAILED, "store '%s'", "offsite"), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'offsite': part 7: disk full");
    ck_assert_str_eq(error_cure(), "make room");
}
END_TEST

START_TEST(context_of_nothing_says_so)
{
    (void)error_context(PGCASK_FAILED, "store 'x'");
    ck_assert_str_eq(error_text(), "store 'x': no reason was given");
}
END_TEST

START_TEST(the_slot_may_be_used_to_make_its_next_text)
{
    (void)error_set(PGCASK_FAILED, "inner");
    (void)error_set(PGCASK_FAILED, "<%s>", error_text());
    ck_assert_str_eq(error_text(), "<inner>");
    (void)error_context(PGCASK_FAILED, "%s", error_text());
    ck_assert_str_eq(error_text(), "<inner>: <inner>");
    (void)error_hint(PGCASK_FAILED, "a");
    (void)error_hint(PGCASK_FAILED, "%sb", error_cure());
    ck_assert_str_eq(error_cure(), "ab");
}
END_TEST

START_TEST(errno_is_told_and_kept)
{
    errno = ENOSPC;
    ck_assert_int_eq(error_errno(PGCASK_FAILED, "could not write '%s'", "f"), PGCASK_FAILED);
    ck_assert_int_eq(errno, ENOSPC);
    ck_assert_str_eq(error_text(), "could not write 'f': No space left on device");
}
END_TEST

START_TEST(an_error_moves_between_slots_with_its_cure)
{
    struct error error;

    (void)error_set(ERROR_CORRUPT, "text");
    (void)error_hint(ERROR_CORRUPT, "cure");
    error_take(ERROR_CORRUPT, &error);
    ck_assert_str_eq(error_text(), "");
    ck_assert_ptr_null(error_cure());
    (void)error_set(PGCASK_FAILED, "something else");
    (void)error_hint(PGCASK_FAILED, "its cure");
    ck_assert_int_eq(error_put(&error), ERROR_CORRUPT);
    ck_assert_str_eq(error_text(), "text");
    ck_assert_str_eq(error_cure(), "cure");
    ck_assert_int_eq(error.code, 0);
    ck_assert_ptr_null(error.text);
    ck_assert_int_eq(error_put(&error), 0); /* nothing is left: the slot stays */
    ck_assert_str_eq(error_text(), "text");
}
END_TEST

START_TEST(a_taken_error_without_cure_takes_the_cure_away)
{
    struct error error;

    (void)error_set(PGCASK_FAILED, "text");
    error_take(PGCASK_FAILED, &error);
    (void)error_set(PGCASK_FAILED, "other");
    (void)error_hint(PGCASK_FAILED, "cure");
    (void)error_put(&error);
    ck_assert_ptr_null(error_cure());
}
END_TEST

START_TEST(freeing_an_error_empties_it)
{
    struct error error;

    (void)error_set(PGCASK_FAILED, "text");
    error_take(PGCASK_FAILED, &error);
    error_free(&error);
    ck_assert_int_eq(error.code, 0);
    error_free(&error);
}
END_TEST

static void *
other_thread(void *arg)
{
    struct error *error = arg;
    bool empty = error_text()[0] == '\0';

    (void)error_set(PGCASK_RETRY, "of the other thread");
    error_take(empty ? PGCASK_RETRY : PGCASK_FAILED, error);
    return NULL;
}

START_TEST(each_thread_has_its_own)
{
    struct error error;
    pthread_t thread;

    (void)error_set(PGCASK_FAILED, "of this thread");
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, &error), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_str_eq(error_text(), "of this thread");
    ck_assert_int_eq(error_put(&error), PGCASK_RETRY);
    ck_assert_str_eq(error_text(), "of the other thread");
}
END_TEST

static Suite *
error_suite(void)
{
    Suite *suite = suite_create("error");
    TCase *tcase = tcase_create("error");

    tcase_add_checked_fixture(tcase, setup, setup);
    tcase_add_test(tcase, an_empty_slot_has_an_empty_text);
    tcase_add_test(tcase, setting_replaces_text_and_drops_the_cure);
    tcase_add_test(tcase, context_goes_in_front_and_keeps_the_cure);
    tcase_add_test(tcase, context_of_nothing_says_so);
    tcase_add_test(tcase, the_slot_may_be_used_to_make_its_next_text);
    tcase_add_test(tcase, errno_is_told_and_kept);
    tcase_add_test(tcase, an_error_moves_between_slots_with_its_cure);
    tcase_add_test(tcase, a_taken_error_without_cure_takes_the_cure_away);
    tcase_add_test(tcase, freeing_an_error_empties_it);
    tcase_add_test(tcase, each_thread_has_its_own);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(error_suite)
