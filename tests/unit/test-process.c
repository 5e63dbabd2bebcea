/* SPDX-License-Identifier: PostgreSQL
 *
 * Other programs: how they end, what they say, what they inherit, and that none is left behind.
 */
#include "config.h"

#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "unit.h"

static unsigned signals_sent;

/* In front of the C library's: counts. */
int
kill(pid_t pid, int number)
{
    signals_sent++;
    return (int)syscall(SYS_kill, pid, number);
}

/* sh -c script */
struct shell {
    const char *argv[4];
    struct process_spec spec;
};

static void
shell(struct shell *shell, const char *script)
{
    *shell = (struct shell){ .argv = { "/bin/sh", "-c", script, NULL } };
    shell->spec.argv = shell->argv;
}

static void
start(const char *script, enum process_stream in, enum process_stream out, struct process *ret_process)
{
    struct shell sh;

    shell(&sh, script);
    sh.spec.in = in;
    sh.spec.out = out;
    ck_assert_msg(process_start(&sh.spec, ret_process) == 0, "%s", error_text());
}

/* Whatever happened in it, a test leaves no child, neither running nor as a zombie. */
static void
expect_no_children(void)
{
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

/* ---- how it ends ---- */

static const struct {
    const char *script;
    int code;
    const char *text; /* of process_finish; NULL: none */
    const char *talk;
} end_rows[] = {
    { "exit 0", 0, NULL, "" },
    { "echo fine >&2", 0, NULL, "fine" },                              /* talk is no failure */
    { "exit 1", 1, "sh failed with exit code 1: it gave no reason", "" },
    { "echo 'no such table' >&2; exit 3", 3, "sh failed with exit code 3: no such table", "no such table" },
    { "printf 'a\\nb\\n\\n' >&2; exit 1", 1, "sh failed with exit code 1: a\nb", "a\nb" },
    { "kill -9 $$", 137, "sh was ended by signal 9", "" },
    { "echo bye >&2; kill -TERM $$", 143, "sh was ended by signal 15: bye", "bye" },
    { "exit 128", 128, "sh failed with exit code 128: it gave no reason", "" },
    { "exit 255", 255, "sh failed with exit code 255: it gave no reason", "" }, /* as of ssh that cannot connect */
};

START_TEST(the_end_is_told)
{
    CLEANUP_FREE char *talk = NULL;
    struct process process;

    start(end_rows[_i].script, PROCESS_NULL, PROCESS_NULL, &process);
    ck_assert_int_eq(process_end(&process, &talk), end_rows[_i].code);
    ck_assert_str_eq(talk, end_rows[_i].talk);
    start(end_rows[_i].script, PROCESS_NULL, PROCESS_NULL, &process);
    error_clear();
    ck_assert_int_eq(process_finish(&process), end_rows[_i].text ? PGCASK_FAILED : 0);
    ck_assert_str_eq(error_text(), end_rows[_i].text ? end_rows[_i].text : "");
    ck_assert_int_eq(process.pid, 0);
    ck_assert_ptr_null(process.name);
    expect_no_children();
}
END_TEST

START_TEST(much_talk_neither_blocks_nor_counts_in_full)
{
    CLEANUP_FREE char *talk = NULL;
    struct process process;

    start("head -c 4000000 /dev/zero | tr '\\0' x >&2; exit 7", PROCESS_NULL, PROCESS_NULL, &process);
    ck_assert_int_eq(process_end(&process, &talk), 7);
    ck_assert_uint_eq(strlen(talk), 65536);
    ck_assert_uint_eq(strspn(talk, "x"), 65536);
}
END_TEST

static const char *const missing_rows[] = { "pgcask-no-such-program", "/no/such/program", "/", "" };

START_TEST(a_missing_program_is_named)
{
    const char *argv[] = { missing_rows[_i], NULL };
    const struct process_spec spec = { .argv = argv, .in = PROCESS_PIPE, .out = PROCESS_PIPE };
    struct process process = { 0 };
    CLEANUP_BUF struct buf out = BUF_INIT(10);
    CLEANUP_FREE char *wanted = mem_printf("could not start '%s'", missing_rows[_i]);
    int before = dup(0), after;

    ck_assert_int_eq(close(before), 0);
    ck_assert_int_eq(process_start(&spec, &process), PGCASK_FAILED);
    ck_assert_error_has(wanted);
    ck_assert_int_eq(process.pid, 0);
    ck_assert_int_eq(process_output(&spec, &out), PGCASK_FAILED);
    process_kill(&process); /* harmless */
    expect_no_children();
    after = dup(0);
    ck_assert_int_eq(close(after), 0);
    ck_assert_int_eq(after, before); /* no descriptor stays open */
}
END_TEST

/* ---- its streams ---- */

START_TEST(output_is_collected_whatever_its_size)
{
    CLEANUP_BUF struct buf out = BUF_INIT(20 << 20);
    struct shell sh;

    shell(&sh, "head -c 10000000 /dev/zero; echo end");
    ck_assert_msg(process_output(&sh.spec, &out) == 0, "%s", error_text());
    ck_assert_uint_eq(out.len, 10000004);
    ck_assert_str_eq(out.data + 10000000, "end\n");
    expect_no_children();
}
END_TEST

START_TEST(too_much_output_ends_the_program)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000);
    struct shell sh;

    shell(&sh, "exec cat /dev/zero"); /* would go on for ever */
    ck_assert_int_eq(process_output(&sh.spec, &out), PGCASK_FAILED);
    ck_assert_error_has("1000 bytes");
    expect_no_children();
}
END_TEST

START_TEST(output_of_a_failed_program_is_a_failure)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000);
    struct shell sh;

    shell(&sh, "echo half; echo reason >&2; exit 1");
    ck_assert_int_eq(process_output(&sh.spec, &out), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "sh failed with exit code 1: reason");
}
END_TEST

START_TEST(input_and_output_can_be_pipes)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000);
    struct process process;

    start("tr a-z A-Z", PROCESS_PIPE, PROCESS_PIPE, &process);
    ck_assert_int_eq(file_write_all(process.in_fd, "text", 4, "pipe"), 0);
    ck_assert_int_eq(close(steal_fd(&process.in_fd)), 0);
    ck_assert_int_eq(file_read_fd(process.out_fd, "pipe", &out), 0);
    ck_assert_str_eq(out.data, "TEXT");
    ck_assert_int_eq(process_finish(&process), 0);
}
END_TEST

START_TEST(two_programs_do_not_hold_each_others_pipes)
{
    struct process first, second;
    CLEANUP_BUF struct buf out = BUF_INIT(1000);

    start("cat", PROCESS_PIPE, PROCESS_PIPE, &first);
    start("exec sleep 1000", PROCESS_NULL, PROCESS_NULL, &second); /* would keep first's stdin open */
    ck_assert_int_eq(close(steal_fd(&first.in_fd)), 0);
    ck_assert_int_eq(file_read_fd(first.out_fd, "pipe", &out), 0);
    ck_assert_int_eq(process_finish(&first), 0);
    process_kill(&second);
}
END_TEST

START_TEST(no_input_is_an_empty_one)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000);
    struct shell sh;

    shell(&sh, "cat; echo end");
    sh.spec.in = PROCESS_NULL;
    ck_assert_int_eq(process_output(&sh.spec, &out), 0);
    ck_assert_str_eq(out.data, "end\n");
}
END_TEST

START_TEST(ending_closes_the_input_first)
{
    struct process process;

    start("cat", PROCESS_PIPE, PROCESS_NULL, &process);
    ck_assert_int_eq(process_end(&process, NULL), 0); /* cat waits for its end */
}
END_TEST

/* 0: the program saw what `fd` is about as its number 3. */
static int
pass(int fd)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000);
    struct shell sh;

    shell(&sh, "head -c 6 <&3");
    sh.spec.pass_fd = fd;
    if (process_output(&sh.spec, &out) < 0)
        return -1;
    return strcmp(out.data, "secret");
}

START_TEST(a_passed_descriptor_is_number_3)
{
    int pair[2], status;
    pid_t pid;

    ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
    ck_assert_int_eq(write(pair[1], "secretsecret", 12), 12);
    ck_assert_int_eq(close(pair[1]), 0);
    ck_assert_int_eq(pass(pair[0]), 0);
    pid = fork(); /* Check itself may use number 3 */
    ck_assert_int_ge(pid, 0);
    if (pid == 0) /* it is number 3 already */
        _exit((pair[0] == 3 || dup3(pair[0], 3, O_CLOEXEC) == 3) && pass(3) == 0 ? 0 : 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_int_eq(close(pair[0]), 0);
}
END_TEST

/* ---- what it inherits ---- */

START_TEST(the_environment_is_added_to_and_replaced)
{
    static const char *const env[] = { "PGCASK_TEST_A=new", "PGCASK_TEST_C=added", NULL };
    CLEANUP_BUF struct buf out = BUF_INIT(10000);
    struct shell sh;

    ck_assert_int_eq(setenv("PGCASK_TEST_A", "old", 1), 0);
    ck_assert_int_eq(setenv("PGCASK_TEST_AB", "other", 1), 0); /* a name that only begins like one that is replaced */
    ck_assert_int_eq(setenv("PGCASK_TEST_", "shorter", 1), 0); /* and one that such a one begins with */
    ck_assert_int_eq(setenv("PGCASK_TEST_B", "kept", 1), 0);
    shell(&sh, "env | grep '^PGCASK_TEST_' | LC_ALL=C sort");
    sh.spec.env = env;
    ck_assert_int_eq(process_output(&sh.spec, &out), 0);
    ck_assert_str_eq(out.data, "PGCASK_TEST_=shorter\nPGCASK_TEST_A=new\nPGCASK_TEST_AB=other\nPGCASK_TEST_B=kept\nPGCASK_TEST_C=added\n");
    ck_assert_str_eq(getenv("PGCASK_TEST_A"), "old"); /* ours is as it was */
}
END_TEST

static const char *const signal_rows[] = { "TERM", "INT", "HUP", "PIPE" };

START_TEST(signals_work_as_if_we_had_not_touched_them)
{
    CLEANUP_FREE char *script = mem_printf("kill -%s $$; echo still alive >&2", signal_rows[_i]);
    struct process process;
    sigset_t all;

    ck_assert(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    (void)sigemptyset(&all);
    (void)sigaddset(&all, SIGTERM);
    (void)sigaddset(&all, SIGINT);
    (void)sigaddset(&all, SIGHUP);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &all, NULL), 0);
    start(script, PROCESS_NULL, PROCESS_NULL, &process);
    ck_assert_int_gt(process_end(&process, NULL), 128);
    ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &all, NULL), 0);
}
END_TEST

/* ---- ending it ---- */

START_TEST(killing_ends_and_reaps)
{
    struct process process = { 0 };

    process_kill(&process); /* never started */
    start("exec sleep 1000", PROCESS_PIPE, PROCESS_PIPE, &process);
    process_kill(&process);
    ck_assert_int_eq(process.pid, 0);
    ck_assert_int_eq(process.in_fd, -1);
    ck_assert_int_eq(process.out_fd, -1);
    process_kill(&process); /* once more */
    expect_no_children();
}
END_TEST

START_TEST(kill_all_ends_all_that_run)
{
    enum { MANY = 20 };
    struct process processes[MANY], ended;

    process_kill_all(); /* nobody there */
    start("exit 0", PROCESS_NULL, PROCESS_NULL, &ended);
    for (int i = 0; i < MANY; i++)
        start("exec sleep 1000", PROCESS_NULL, PROCESS_NULL, &processes[i]);
    process_kill(&processes[3]);
    process_kill_all();
    for (int i = 0; i < MANY; i++)
        if (i != 3)
            ck_assert_int_eq(process_end(&processes[i], NULL), 128 + SIGTERM);
    (void)process_end(&ended, NULL); /* 0, or ended by the signal when it was not that fast */
    expect_no_children();
}
END_TEST

START_TEST(kill_all_leaves_alone_what_is_ended)
{
    struct process process;

    start("exit 0", PROCESS_NULL, PROCESS_NULL, &process);
    ck_assert_int_eq(process_end(&process, NULL), 0);
    signals_sent = 0;
    process_kill_all(); /* the pid may be somebody else's by now */
    ck_assert_uint_eq(signals_sent, 0);
    start("exec sleep 1000", PROCESS_NULL, PROCESS_NULL, &process);
    process_kill_all();
    ck_assert_uint_eq(signals_sent, 1);
    ck_assert_int_eq(process_end(&process, NULL), 128 + SIGTERM);
}
END_TEST

static Suite *
process_suite(void)
{
    Suite *suite = suite_create("process");
    TCase *tcase = tcase_create("process");

    tcase_set_timeout(tcase, 10);
    tcase_add_loop_test(tcase, the_end_is_told, 0, ARRAY_LEN(end_rows));
    tcase_add_test(tcase, much_talk_neither_blocks_nor_counts_in_full);
    tcase_add_loop_test(tcase, a_missing_program_is_named, 0, ARRAY_LEN(missing_rows));
    tcase_add_test(tcase, output_is_collected_whatever_its_size);
    tcase_add_test(tcase, too_much_output_ends_the_program);
    tcase_add_test(tcase, output_of_a_failed_program_is_a_failure);
    tcase_add_test(tcase, input_and_output_can_be_pipes);
    tcase_add_test(tcase, two_programs_do_not_hold_each_others_pipes);
    tcase_add_test(tcase, no_input_is_an_empty_one);
    tcase_add_test(tcase, ending_closes_the_input_first);
    tcase_add_test(tcase, a_passed_descriptor_is_number_3);
    tcase_add_test(tcase, the_environment_is_added_to_and_replaced);
    tcase_add_loop_test(tcase, signals_work_as_if_we_had_not_touched_them, 0, ARRAY_LEN(signal_rows));
    tcase_add_test(tcase, killing_ends_and_reaps);
    tcase_add_test(tcase, kill_all_ends_all_that_run);
    tcase_add_test(tcase, kill_all_leaves_alone_what_is_ended);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(process_suite)
