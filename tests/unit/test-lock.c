/* SPDX-License-Identifier: PostgreSQL
 *
 * One holder at a time, named to the others, and gone with its process.
 */
#include "config.h"

#include "base/lock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "unit-dir.h"
#include "unit.h"

static char *path;
static int flock_errors[2]; /* what the next calls fail with; 0: they do not */

/* In front of the C library's. */
int
flock(int fd, int operation)
{
    int error = flock_errors[0];

    flock_errors[0] = flock_errors[1];
    flock_errors[1] = 0;
    if (error == 0)
        return (int)syscall(SYS_flock, fd, operation);
    errno = error;
    return -1;
}

static void
setup(void)
{
    dir_make();
    path = dir_path("lock");
}

static void
teardown(void)
{
    free(path);
    dir_remove();
}

/* Another process that holds the lock until it is killed. */
static pid_t
hold(void)
{
    int ready[2];
    char byte = 'n';
    pid_t pid;

    ck_assert_int_eq(pipe(ready), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct lock *lock;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* when the test fails */
        byte = lock_take(path, "job 'daily'", &lock) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &byte, 1);
        for (;;)
            (void)pause();
    }
    ck_assert_int_eq(close(ready[1]), 0);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
    ck_assert_int_eq(close(ready[0]), 0);
    return pid;
}

static void
kill_and_reap(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(a_second_process_is_told_who_has_it)
{
    struct lock *lock = NULL;
    pid_t pid = hold();
    CLEANUP_FREE char *wanted = mem_printf("another run of job 'daily' is under way (pid %d)", (int)pid);
    int rc = lock_take(path, "job 'daily'", &lock);

    kill_and_reap(pid);
    ck_assert_int_eq(rc, ERROR_LOCKED);
    ck_assert_str_eq(error_text(), wanted);
    ck_assert_ptr_nonnull(strstr(error_cure(), path));
    ck_assert_ptr_null(lock);
}
END_TEST

START_TEST(a_pid_that_cannot_be_written_is_no_reason_not_to_lock)
{
    const struct rlimit none = { 0, 0 };
    struct lock *lock = NULL;

    ck_assert_ptr_ne(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    ck_assert_msg(lock_take(path, "job", &lock) == 0, "%s", error_text());
    ck_assert_str_eq(error_text(), "");
    lock_release(lock);
}
END_TEST

START_TEST(a_killed_holder_leaves_it_free)
{
    CLEANUP(lock_release) struct lock *lock = NULL;

    kill_and_reap(hold());
    ck_assert_msg(lock_take(path, "job", &lock) == 0, "%s", error_text());
}
END_TEST

START_TEST(a_released_lock_can_be_taken_again)
{
    struct lock *lock, *again;

    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(lock_take(path, "job", &lock), 0);
        ck_assert_int_eq(lock_take(path, "job", &again), ERROR_LOCKED); /* not even by its own process */
        lock_release(lock);
    }
    lock_release(NULL);
    kill_and_reap(hold());
}
END_TEST

START_TEST(the_file_tells_the_pid)
{
    CLEANUP(lock_release) struct lock *lock = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT(100);
    CLEANUP_FREE char *wanted = mem_printf("%d\n", (int)getpid());

    dir_put(path, "123456789012345\nleft by somebody else\n", 0600);
    ck_assert_int_eq(lock_take(path, "job", &lock), 0);
    ck_assert_int_eq(file_read(path, &text), 0);
    ck_assert_str_eq(text.data, wanted);
}
END_TEST

START_TEST(rubbish_in_the_file_is_not_repeated)
{
    struct lock *lock = NULL;
    pid_t pid = hold();
    int rc;

    dir_put(path, "\033[2Jrubbish", 0600); /* the same file: the lock stays */
    rc = lock_take(path, "job", &lock);
    kill_and_reap(pid);
    ck_assert_int_eq(rc, ERROR_LOCKED);
    ck_assert_error_has("(pid not known)");
}
END_TEST

START_TEST(programs_we_start_do_not_keep_it)
{
    static const char *const argv[] = { "sleep", "1000", NULL };
    const struct process_spec spec = { .argv = argv };
    struct process process = { 0 };
    struct lock *lock;
    int rc;

    ck_assert_int_eq(lock_take(path, "job", &lock), 0);
    ck_assert_int_eq(process_start(&spec, &process), 0);
    lock_release(lock);
    rc = lock_take(path, "job", &lock);
    process_kill(&process);
    ck_assert_int_eq(rc, 0);
    lock_release(lock);
}
END_TEST

START_TEST(other_trouble_is_not_taken_for_locked)
{
    CLEANUP_FREE char *nowhere = dir_path("gone/lock"), *link = dir_path("link");
    struct lock *lock = NULL;

    ck_assert_int_eq(lock_take(nowhere, "job", &lock), PGCASK_FAILED);
    ck_assert_error_has("No such file or directory");
    ck_assert_int_eq(lock_take(unit_dir, "job", &lock), PGCASK_FAILED);
    ck_assert_error_has("Is a directory");
    dir_put(path, "precious", 0600);
    ck_assert_int_eq(symlink(path, link), 0);
    ck_assert_int_eq(lock_take(link, "job", &lock), PGCASK_FAILED); /* would overwrite what it points to */
    ck_assert_ptr_null(lock);
}
END_TEST

START_TEST(a_file_system_without_locks_is_not_taken_for_locked)
{
    struct lock *lock = NULL;

    flock_errors[0] = ENOLCK;
    ck_assert_int_eq(lock_take(path, "job", &lock), PGCASK_FAILED);
    ck_assert_error_has("could not lock");
    ck_assert_error_has("No locks available");
    ck_assert_ptr_null(lock);
}
END_TEST

START_TEST(an_interrupted_call_is_tried_again)
{
    CLEANUP(lock_release) struct lock *lock = NULL;

    flock_errors[0] = flock_errors[1] = EINTR;
    ck_assert_int_eq(lock_take(path, "job", &lock), 0);
}
END_TEST

static Suite *
lock_suite(void)
{
    Suite *suite = suite_create("lock");
    TCase *tcase = tcase_create("lock");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_second_process_is_told_who_has_it);
    tcase_add_test(tcase, a_pid_that_cannot_be_written_is_no_reason_not_to_lock);
    tcase_add_test(tcase, a_killed_holder_leaves_it_free);
    tcase_add_test(tcase, a_released_lock_can_be_taken_again);
    tcase_add_test(tcase, the_file_tells_the_pid);
    tcase_add_test(tcase, rubbish_in_the_file_is_not_repeated);
    tcase_add_test(tcase, programs_we_start_do_not_keep_it);
    tcase_add_test(tcase, other_trouble_is_not_taken_for_locked);
    tcase_add_test(tcase, a_file_system_without_locks_is_not_taken_for_locked);
    tcase_add_test(tcase, an_interrupted_call_is_tried_again);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(lock_suite)
