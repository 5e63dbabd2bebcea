/* SPDX-License-Identifier: PostgreSQL
 *
 * A program's output as a member's bytes: its end is a good one only when the program ended well.
 */
#include "config.h"

#include "stage/source-process.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

static struct source_process source;
static uint64_t progress;

static void
note_progress(void *ctx, size_t len)
{
    ck_assert_ptr_eq(ctx, &progress);
    progress += len;
}

static void
start(const char *script)
{
    const char *const argv[] = { "/bin/sh", "-c", script, NULL };
    const struct process_spec spec = { .argv = argv, .out = PROCESS_PIPE };

    source = (struct source_process){ .progress = note_progress, .progress_ctx = &progress };
    progress = 0;
    ck_assert_msg(process_start(&spec, &source.process) == 0, "%s", error_text());
}

static void
teardown(void)
{
    process_kill(&source.process);
}

static const struct {
    const char *script;
    size_t size; /* of each read */
    uint64_t len; /* in all */
} whole_rows[] = {
    { "exit 0", 1000, 0 },
    { "printf 12345", 1000, 5 },
    { "printf 12345", 5, 5 },                                          /* the end falls on a border */
    { "printf 12345", 1, 5 },
    { "printf 123; sleep 0.05; printf 45; sleep 0.05", 1000, 5 },      /* in pieces: one read gets them all */
    { "head -c 3000000 /dev/zero", 1000000, 3000000 },
    { "head -c 30000001 /dev/zero", 4194304, 30000001 },
    { "printf 12345; echo a warning >&2", 1000, 5 },                   /* talk is no failure */
};

START_TEST(output_is_read_to_its_end)
{
    CLEANUP_FREE char *data = mem_alloc(whole_rows[_i].size);
    size_t len = whole_rows[_i].size;
    uint64_t sum = 0;

    start(whole_rows[_i].script);
    while (len == whole_rows[_i].size) {
        ck_assert_msg(source_process_read(&source, data, whole_rows[_i].size, &len) == 0, "%s", error_text());
        sum += len;
    }
    ck_assert_uint_eq(sum, whole_rows[_i].len);
    ck_assert_uint_eq(progress, sum);
    ck_assert_int_eq(source.process.pid, 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* reaped */
}
END_TEST

START_TEST(progress_may_be_left_out)
{
    char data[10];
    size_t len;

    start("printf 12345");
    source.progress = NULL;
    ck_assert_int_eq(source_process_read(&source, data, sizeof data, &len), 0);
    ck_assert_mem_eq(data, "12345", 5);
}
END_TEST

static const struct {
    const char *script, *text;
} fail_rows[] = {
    { "exit 1", "sh failed with exit code 1: it gave no reason" },
    { "printf 12345; echo 'connection lost' >&2; exit 2", "sh failed with exit code 2: connection lost" },
    { "head -c 1000000 /dev/zero; kill -9 $$", "sh was ended by signal 9" },
};

START_TEST(a_program_that_fails_fails_the_read)
{
    char data[4096];
    size_t len = sizeof data;
    int rc = 0;

    start(fail_rows[_i].script);
    while (rc == 0 && len == sizeof data)
        rc = source_process_read(&source, data, sizeof data, &len); /* never a short answer that looks like an end */
    ck_assert_int_eq(rc, PGCASK_FAILED);
    ck_assert_str_eq(error_text(), fail_rows[_i].text);
}
END_TEST

START_TEST(an_ended_output_waits_for_the_exit)
{
    char data[10];
    size_t len;

    start("printf 12345; exec >&-; sleep 0.2; exit 7"); /* all bytes are there, and yet */
    ck_assert_int_eq(source_process_read(&source, data, sizeof data, &len), PGCASK_FAILED);
    ck_assert_error_has("exit code 7");
}
END_TEST

static void *
cancel_soon(void *arg)
{
    (void)usleep(50000);
    cancel_request();
    return arg;
}

START_TEST(cancelling_ends_program_and_read)
{
    CLEANUP_FREE char *data = mem_alloc(1 << 20);
    pthread_t thread;
    size_t len;

    start("printf 12345; exec sleep 1000");
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
    ck_assert_int_eq(source_process_read(&source, data, 1 << 20, &len), ERROR_CANCELLED);
    ck_assert_str_eq(error_text(), "stopped by a signal");
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

static const size_t memory_rows[] = { 1, 3, 7, 10, 11, 1000 };

START_TEST(memory_is_read_in_pieces)
{
    static const char text[] = "0123456789";
    struct source_memory memory = { text, 10, 0 };
    CLEANUP_FREE char *data = mem_alloc(memory_rows[_i]);
    size_t len = memory_rows[_i], sum = 0;

    while (len == memory_rows[_i]) {
        ck_assert_int_eq(source_memory_read(&memory, data, memory_rows[_i], &len), 0);
        ck_assert_uint_le(sum + len, 10);
        if (len > 0)
            ck_assert_mem_eq(data, text + sum, len);
        sum += len;
    }
    ck_assert_uint_eq(sum, 10);
}
END_TEST

START_TEST(no_memory_is_an_end)
{
    struct source_memory memory = { NULL, 0, 0 };
    size_t len = 4711;
    char data;

    ck_assert_int_eq(source_memory_read(&memory, &data, 1, &len), 0);
    ck_assert_uint_eq(len, 0);
}
END_TEST

static Suite *
source_process_suite(void)
{
    Suite *suite = suite_create("source-process");
    TCase *tcase = tcase_create("source-process");

    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, output_is_read_to_its_end, 0, ARRAY_LEN(whole_rows));
    tcase_add_test(tcase, progress_may_be_left_out);
    tcase_add_loop_test(tcase, a_program_that_fails_fails_the_read, 0, ARRAY_LEN(fail_rows));
    tcase_add_test(tcase, an_ended_output_waits_for_the_exit);
    tcase_add_loop_test(tcase, memory_is_read_in_pieces, 0, ARRAY_LEN(memory_rows));
    tcase_add_test(tcase, no_memory_is_an_end);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("cancel"); /* last: without forks it cannot be taken back */
    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_test(tcase, cancelling_ends_program_and_read);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(source_process_suite)
