/* SPDX-License-Identifier: PostgreSQL
 *
 * credential_process: words without a shell, what programs may say, and that none is left behind.
 */
#include "config.h"

#include "unit-aws.h"

#include "base/cancel.h"
#include "common/aws-process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

enum { LONG_MS = 30 * 1000, SHORT_MS = 300 };

/* ---- words ---- */

static const struct {
    const char *command;
    const char *want[9]; /* none: refused */
} commands[] = {
    { "/bin/a", { "/bin/a" } },
    { "  /bin/a \t b  ", { "/bin/a", "b" } },
    { "\"/opt/my tools/a\" -x \"b c\"", { "/opt/my tools/a", "-x", "b c" } },
    { "'/opt/my tools/a' 'b\"c\\d'", { "/opt/my tools/a", "b\"c\\d" } },
    { "/a\\ b c\\\\d", { "/a b", "c\\d" } },
    { "/a \"b\\\"c\\\\d\\e\"", { "/a", "b\"c\\d\\e" } },
    { "/a --x=\"b c\"d", { "/a", "--x=b cd" } },
    { "/a \"\" ''", { "/a", "", "" } },
    { "/a $HOME ~ * | b; c", { "/a", "$HOME", "~", "*", "|", "b;", "c" } }, /* no shell */
    { "/a \"b", { NULL } },
    { "/a 'b", { NULL } },
    { "/a \\", { NULL } },
    { "", { NULL } },
    { "   ", { NULL } },
    { "\"\" a", { NULL } },
};

START_TEST(a_command_is_split_as_documented)
{
    char **words = aws_process_words(commands[_i].command);
    size_t count = 0;

    if (commands[_i].want[0] == NULL) {
        ck_assert_ptr_null(words);
        ck_assert_error_has("credential_process");
        return;
    }
    ck_assert_ptr_nonnull(words);
    for (; commands[_i].want[count] != NULL; count++) {
        ck_assert_ptr_nonnull(words[count]);
        ck_assert_str_eq(words[count], commands[_i].want[count]);
    }
    ck_assert_ptr_null(words[count]);
    aws_process_words_free(words);
}
END_TEST

/* ---- programs ---- */

static struct aws_grant grant;

static void
setup(void)
{
    aws_setup();
    grant = (struct aws_grant){ 0 };
}

/* Whatever happened in it, a test leaves no child, neither running nor as a zombie. */
static void
teardown(void)
{
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    aws_grant_free(&grant);
    aws_teardown();
}

/* The script runs as a file of its own: /bin/sh PATH. */
static int
fetch(const char *script, int64_t timeout_ms)
{
    CLEANUP_FREE char *path = aws_file("script", script);
    CLEANUP_FREE char *command = plain_printf("/bin/sh '%s'", path);

    return aws_process_fetch(command, timeout_ms, &grant);
}

/* A script that prints a good document, between what comes before and after it. */
static int
fetch_document(const char *before, const char *after, int64_t timeout_ms)
{
    CLEANUP_FREE char *document = aws_document_text("1", 3600);
    CLEANUP_FREE char *script = plain_printf("%s\ncat <<'END'\n%s\nEND\n%s\n", before, document, after);

    return fetch(script, timeout_ms);
}

START_TEST(keys_come_from_its_output)
{
    int64_t now = time(NULL);

    ck_assert_msg(fetch_document("", "", LONG_MS) == 0, "%s", error_text());
    aws_expect_keys(&grant.keys, "1", true);
    ck_assert_str_eq(grant.keys.source, "credential_process");
    ck_assert_int_ge(grant.expires_s, now + 3590);
}
END_TEST

static const struct {
    const char *before, *after;
} harmless[] = {
    { "echo 'refreshing s3cr3t' >&2", "" },                              /* talk of a program that succeeds */
    { "read line; test -z \"$line\" || exit 9", "" },                    /* nothing to read */
    { "i=0; while [ $i -lt 3000 ]; do echo 'a line of talk, longer than the pipe' >&2; i=$((i + 1)); done", "" },
    { "test \"$HOME\" || exit 9", "" },                                  /* the environment is ours */
    { "", "exec >&- 2>&-; sleep 0.2" },                                  /* silent before its end */
    { "", "sleep 60 & echo $! >\"$HOME/pid\"" },                         /* somebody keeps the pipes open */
};

START_TEST(what_else_it_does_is_its_business)
{
    CLEANUP_FREE char *path = dir_path("pid");
    FILE *file;
    int pid;

    ck_assert_msg(fetch_document(harmless[_i].before, harmless[_i].after, LONG_MS) == 0, "%s", error_text());
    aws_expect_keys(&grant.keys, "1", true);
    file = fopen(path, "re");
    if (file == NULL)
        return;
    ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
}
END_TEST

static const struct {
    const char *script, *error;
} failures[] = {
    { "exit 1", "credential_process 'sh' failed with exit code 1" },
    { "echo first >&2; echo 'sign in again' >&2; exit 255",
      "credential_process 'sh' failed with exit code 255: sign in again" },
    { "printf 'no newline' >&2; exit 2", "failed with exit code 2: no newline" },
    { "echo why >&2; echo >&2; echo >&2; exit 3", "failed with exit code 3: why" },
    { "i=0; while [ $i -lt 3000 ]; do echo 'a line of talk, longer than the pipe' >&2; i=$((i + 1)); done; "
      "echo end >&2; exit 4",
      "failed with exit code 4: end" },
    { "kill -TERM $$", "credential_process 'sh' was ended by signal 15" },
    { "echo '{\"Version\": 1, \"SecretAccessKey\": \"s3cr3t\"}'; exit 5", "failed with exit code 5" },
    { "", "credential_process gave nothing" },
    { "echo s3cr3t", "credential_process gave something that is not JSON" },
    { "head -c 1000 /dev/zero", "credential_process gave something that is not JSON" },
    { "echo '{\"AccessKeyId\": \"AKIA\", \"SecretAccessKey\": \"s3cr3t\"}'", "'Version' is missing" },
    { "echo '{\"Version\": 1, \"AccessKeyId\": \"AKIA\"}'",
      "credential_process has an access key without its secret key" },
    { "cat /dev/zero", "credential_process 'sh' gave more than 65536 bytes" },
    { "head -c 65537 /dev/zero", "credential_process 'sh' gave more than 65536 bytes" },
};

START_TEST(a_failure_names_the_program_and_its_last_words)
{
    ck_assert_int_eq(fetch(failures[_i].script, LONG_MS), PGCASK_FAILED);
    ck_assert_error_has(failures[_i].error);
    ck_assert_ptr_null(grant.keys.access_key);
}
END_TEST

START_TEST(a_program_that_is_not_there_is_named)
{
    ck_assert_int_eq(aws_process_fetch("/nowhere/tool --token s3cr3t", LONG_MS, &grant), PGCASK_FAILED);
    ck_assert_error_has("credential_process could not start 'tool': No such file");
}
END_TEST

/* Gone, or at least no more than a zombie that init has not taken yet. */
static bool
is_gone(int pid)
{
    CLEANUP_FREE char *path = plain_printf("/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    char text[512] = "";
    const char *end;

    if (file == NULL)
        return true;
    if (fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    (void)fclose(file);
    end = strrchr(text, ')');
    return end == NULL || end[2] == 'Z' || end[2] == 'X';
}

START_TEST(one_that_hangs_is_killed_with_what_it_started)
{
    static const char *const scripts[] = {
        "sleep 1000 & echo $! >\"$HOME/pid\"; wait",
        "trap '' TERM INT HUP; sleep 1000 & echo $! >\"$HOME/pid\"; wait",
        "exec >&- 2>&-; sleep 1000 & echo $! >\"$HOME/pid\"; wait",
        "sleep 1000 & echo $! >\"$HOME/pid\"; while :; do echo talk >&2; done",
    };
    CLEANUP_FREE char *path = dir_path("pid");
    FILE *file;
    int pid;

    ck_assert_int_eq(fetch(scripts[_i], SHORT_MS), PGCASK_FAILED);
    ck_assert_error_has("credential_process 'sh' did not end in time");
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%d", &pid), 1);
    ck_assert_int_eq(fclose(file), 0);
    while (!is_gone(pid)) /* the time limit of the test is the limit */
        (void)usleep(1000);
}
END_TEST

START_TEST(no_other_descriptor_reaches_it)
{
    int rc;

    for (int fd = 3; fd < 256; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* those of whoever runs the tests; most are not open */
    rc = fetch_document("for fd in /proc/self/fd/*; do\n"
                        "    case $fd:$(readlink $fd) in */[012]:*) ;; *pipe:*) exit 9;; esac\n"
                        "done", "", LONG_MS);
    ck_assert_msg(rc == 0, "%s", error_text());
}
END_TEST

START_TEST(ignored_and_blocked_signals_are_not_inherited)
{
    sigset_t all, before;
    int rc;

    (void)signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(sigfillset(&all), 0);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &all, &before), 0);
    rc = fetch("kill -PIPE $$; exit 9", LONG_MS);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    ck_assert_int_eq(rc, PGCASK_FAILED);
    ck_assert_error_has("was ended by signal 13");
}
END_TEST

/* Last: a run that is being stopped stays so. */
START_TEST(a_run_that_is_stopped_does_not_wait_for_it)
{
    cancel_request();
    ck_assert_int_eq(fetch("sleep 1000", LONG_MS), PGCASK_FAILED);
    ck_assert_error_has("credential_process 'sh' was stopped");
}
END_TEST

static Suite *
aws_process_suite(void)
{
    Suite *suite = suite_create("aws-process");
    TCase *tcase = tcase_create("aws-process");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_command_is_split_as_documented, 0, ARRAY_LEN(commands));
    tcase_add_test(tcase, keys_come_from_its_output);
    tcase_add_loop_test(tcase, what_else_it_does_is_its_business, 0, ARRAY_LEN(harmless));
    tcase_add_loop_test(tcase, a_failure_names_the_program_and_its_last_words, 0, ARRAY_LEN(failures));
    tcase_add_test(tcase, a_program_that_is_not_there_is_named);
    tcase_add_loop_test(tcase, one_that_hangs_is_killed_with_what_it_started, 0, 4);
    tcase_add_test(tcase, no_other_descriptor_reaches_it);
    tcase_add_test(tcase, ignored_and_blocked_signals_are_not_inherited);
    tcase_add_test(tcase, a_run_that_is_stopped_does_not_wait_for_it);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(aws_process_suite)
