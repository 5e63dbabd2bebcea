/* SPDX-License-Identifier: PostgreSQL
 *
 * Being asked to stop: by each of the signals, once for the sleepers, the hooks and the programs we started.
 */
#include "config.h"

#include "base/cancel.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/process.h"
#include "unit.h"

/* Cancelling cannot be taken back: each test is a process of its own, so without forks there are none. */

static void
setup(void)
{
    cancel_start();
}

static void
wait_until_requested(void)
{
    while (!cancel_requested())
        (void)usleep(1000);
}

START_TEST(nothing_is_cancelled_at_start)
{
    ck_assert(!cancel_requested());
    ck_assert_int_eq(cancel_check(), 0);
    ck_assert_int_eq(cancel_or(PGCASK_RETRY), PGCASK_RETRY);
    ck_assert_str_eq(error_text(), "");
}
END_TEST

static const int signal_rows[] = { SIGINT, SIGTERM, SIGHUP };

START_TEST(a_signal_cancels)
{
    ck_assert_int_eq(kill(getpid(), signal_rows[_i]), 0);
    wait_until_requested();
    ck_assert_int_eq(cancel_check(), ERROR_CANCELLED);
    ck_assert_error_has("stopped by a signal");
}
END_TEST

START_TEST(a_second_signal_ends_the_process)
{
    ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
    wait_until_requested();
    ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
    for (;;)
        (void)pause();
}
END_TEST

static void
hang(void *ctx)
{
    (void)ctx;
    for (;;)
        (void)pause();
}

START_TEST(a_second_signal_ends_even_a_hook_that_hangs)
{
    cancel_hook_add(hang, NULL);
    ck_assert_int_eq(kill(getpid(), SIGINT), 0);
    wait_until_requested();
    ck_assert_int_eq(kill(getpid(), SIGINT), 0);
    for (;;)
        (void)pause();
}
END_TEST

START_TEST(a_broken_pipe_is_no_signal)
{
    int pair[2];

    ck_assert_int_eq(pipe(pair), 0);
    ck_assert_int_eq(close(pair[0]), 0);
    ck_assert_int_eq(write(pair[1], "x", 1), -1);
    ck_assert_int_eq(close(pair[1]), 0);
    ck_assert(!cancel_requested());
}
END_TEST

START_TEST(the_cancellation_is_the_error_of_its_consequences)
{
    cancel_request();
    (void)error_set(PGCASK_FAILED, "connection lost");
    ck_assert_int_eq(cancel_or(PGCASK_FAILED), ERROR_CANCELLED);
    ck_assert_str_eq(error_text(), "stopped by a signal");
}
END_TEST

static const int64_t sleep_rows_ms[] = { 0, 1, 50, 999, 1001 };

START_TEST(sleep_takes_its_time)
{
    int64_t begun_ms = clock_mono_ms();

    ck_assert_int_eq(cancel_sleep_ms(sleep_rows_ms[_i]), 0);
    ck_assert_int_ge(clock_mono_ms() - begun_ms, sleep_rows_ms[_i] - 1); /* both ends are rounded down */
}
END_TEST

static void *
sleeper(void *ret_rc)
{
    *(int *)ret_rc = cancel_sleep_ms(INT64_C(1000) * 3600);
    return NULL;
}

START_TEST(all_sleepers_wake_when_cancelled)
{
    enum { SLEEPERS = 4 };
    pthread_t threads[SLEEPERS];
    int rcs[SLEEPERS];

    for (int i = 0; i < SLEEPERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, sleeper, &rcs[i]), 0);
    ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
    for (int i = 0; i < SLEEPERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(rcs[i], ERROR_CANCELLED);
    }
    ck_assert_int_eq(cancel_sleep_ms(INT64_C(1000) * 3600), ERROR_CANCELLED); /* nor does anybody fall asleep now */
}
END_TEST

static atomic_uint called[3];

static void
hook(void *ctx)
{
    (void)atomic_fetch_add((atomic_uint *)ctx, 1);
}

START_TEST(hooks_are_called_until_removed)
{
    for (int i = 0; i < 3; i++)
        cancel_hook_add(hook, &called[i]);
    cancel_hook_remove(hook, &called[1]);
    cancel_hook_remove(hook, &called[1]); /* not there any more */
    cancel_request();
    ck_assert_uint_eq(atomic_load(&called[0]), 1);
    ck_assert_uint_eq(atomic_load(&called[1]), 0);
    ck_assert_uint_eq(atomic_load(&called[2]), 1);
    cancel_hook_remove(hook, &called[0]);
    cancel_hook_remove(hook, &called[2]);
}
END_TEST

START_TEST(hooks_come_and_go_while_others_are_called)
{
    pthread_t thread;
    int rc;

    ck_assert_int_eq(pthread_create(&thread, NULL, sleeper, &rc), 0);
    for (int i = 0; i < 1000; i++) {
        cancel_hook_add(hook, &called[0]);
        if (i == 500)
            ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
        cancel_hook_remove(hook, &called[0]);
    }
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(rc, ERROR_CANCELLED);
}
END_TEST

START_TEST(the_first_signal_can_be_soft)
{
    cancel_soften(hook, &called[0]);
    ck_assert_int_eq(kill(getpid(), signal_rows[_i]), 0);
    while (atomic_load(&called[0]) == 0)
        (void)usleep(1000);
    ck_assert(!cancel_requested());
    ck_assert_int_eq(kill(getpid(), signal_rows[_i]), 0);
    wait_until_requested();
    ck_assert_uint_eq(atomic_load(&called[0]), 1);
}
END_TEST

START_TEST(what_is_no_longer_soft_cancels)
{
    cancel_soften(hook, &called[0]);
    cancel_soften(NULL, NULL);
    ck_assert_int_eq(kill(getpid(), SIGTERM), 0);
    wait_until_requested();
    ck_assert_uint_eq(atomic_load(&called[0]), 0);
}
END_TEST

static const char *const sleep_argv[] = { "sleep", "1000", NULL };
static const struct process_spec sleep_spec = { .argv = sleep_argv };

START_TEST(programs_we_started_are_ended)
{
    struct process process;

    ck_assert_int_eq(process_start(&sleep_spec, &process), 0);
    ck_assert_int_eq(kill(getpid(), SIGHUP), 0);
    ck_assert_int_eq(process_end(&process, NULL), 128 + SIGTERM);
    ck_assert(cancel_requested());
}
END_TEST

START_TEST(programs_started_too_late_do_not_run_on)
{
    struct process process;

    cancel_request();
    if (process_start(&sleep_spec, &process) == 0)
        ck_assert_int_eq(process_end(&process, NULL), 128 + SIGTERM);
    else
        ck_assert_int_eq(cancel_or(PGCASK_FAILED), ERROR_CANCELLED);
}
END_TEST

static Suite *
cancel_suite(void)
{
    Suite *suite = suite_create("cancel");
    TCase *tcase = tcase_create("cancel");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 10);
    tcase_add_test(tcase, nothing_is_cancelled_at_start);
    tcase_add_loop_test(tcase, a_signal_cancels, 0, ARRAY_LEN(signal_rows));
    tcase_add_test_raise_signal(tcase, a_second_signal_ends_the_process, SIGTERM);
    tcase_add_test_raise_signal(tcase, a_second_signal_ends_even_a_hook_that_hangs, SIGINT);
    tcase_add_test(tcase, a_broken_pipe_is_no_signal);
    tcase_add_test(tcase, the_cancellation_is_the_error_of_its_consequences);
    tcase_add_loop_test(tcase, sleep_takes_its_time, 0, ARRAY_LEN(sleep_rows_ms));
    tcase_add_test(tcase, all_sleepers_wake_when_cancelled);
    tcase_add_test(tcase, hooks_are_called_until_removed);
    tcase_add_test(tcase, hooks_come_and_go_while_others_are_called);
    tcase_add_loop_test(tcase, the_first_signal_can_be_soft, 0, ARRAY_LEN(signal_rows));
    tcase_add_test(tcase, what_is_no_longer_soft_cancels);
    tcase_add_test(tcase, programs_we_started_are_ended);
    tcase_add_test(tcase, programs_started_too_late_do_not_run_on);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(cancel_suite)
