/* SPDX-License-Identifier: PostgreSQL
 *
 * Where secrets may come from, and what is not taken for one.
 */
#include "config.h"

#include "base/secret.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/error.h"
#include "unit-dir.h"
#include "unit.h"

static char *path;

static void
setup(void)
{
    dir_make();
    path = dir_path("secret");
}

static void
teardown(void)
{
    free(path);
    dir_remove();
}

START_TEST(a_secret_is_a_copy)
{
    char text[] = "hunter2\0x";
    struct secret *secret = secret_new(text, 9);

    memset(text, 'x', sizeof text);
    ck_assert_uint_eq(secret_len(secret), 9);
    ck_assert_mem_eq(secret_text(secret), "hunter2\0x", 10);
    secret_free(secret);
    ck_assert_str_eq(secret_text(NULL), "");
    ck_assert_uint_eq(secret_len(NULL), 0);
    secret_free(NULL);
}
END_TEST

START_TEST(a_secret_may_fill_pages)
{
    CLEANUP_FREE char *text = mem_alloc(10000);
    CLEANUP(secret_free) struct secret *secret = NULL;

    memset(text, 's', 10000);
    secret = secret_new(text, 10000);
    ck_assert_uint_eq(strlen(secret_text(secret)), 10000);
}
END_TEST

static const struct {
    const char *text;
    const char *secret; /* NULL: refused, for … */
    const char *why;
} text_rows[] = {
    { "hunter2", "hunter2", NULL },
    { "hunter2\n", "hunter2", NULL },
    { "hunter2\r\n", "hunter2", NULL },              /* from an editor of another system */
    { " with blanks\t", " with blanks\t", NULL },
    { "", NULL, "the passphrase is empty" },
    { "\n", NULL, "the passphrase is empty" },
    { "one\ntwo\n", NULL, "the passphrase has more than one line" },
    { "\ntwo", NULL, "the passphrase has more than one line" },
};

static void
check_load(const struct secret_source *source, int row)
{
    CLEANUP(secret_free) struct secret *secret = NULL;
    int rc = secret_load(source, "the passphrase", &secret);

    if (text_rows[row].secret != NULL) {
        ck_assert_msg(rc == 0, "%s", error_text());
        ck_assert_str_eq(secret_text(secret), text_rows[row].secret);
    } else {
        ck_assert_int_eq(rc, ERROR_USAGE);
        ck_assert_ptr_null(secret);
        ck_assert_str_eq(error_text(), text_rows[row].why);
    }
}

START_TEST(one_line_from_a_value)
{
    check_load(&(struct secret_source){ .value = text_rows[_i].text }, _i);
}
END_TEST

START_TEST(one_line_from_a_file)
{
    dir_put(path, text_rows[_i].text, 0600);
    check_load(&(struct secret_source){ .file = path }, _i);
}
END_TEST

START_TEST(one_line_from_the_environment)
{
    ck_assert_int_eq(setenv("PGCASK_TEST_SECRET", text_rows[_i].text, 1), 0);
    check_load(&(struct secret_source){ .env = "PGCASK_TEST_SECRET" }, _i);
}
END_TEST

START_TEST(one_line_from_a_command)
{
    CLEANUP_FREE char *command = mem_printf("  cat \t%s ", path);

    dir_put(path, text_rows[_i].text, 0600);
    check_load(&(struct secret_source){ .command = command }, _i);
}
END_TEST

START_TEST(a_file_with_a_zero_byte_is_refused)
{
    CLEANUP(secret_free) struct secret *secret = NULL;
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    ck_assert_int_eq(write(fd, "hunter2\0hidden", 14), 14);
    ck_assert_int_eq(secret_load(&(struct secret_source){ .file = path }, "the passphrase", &secret), ERROR_USAGE);
    ck_assert_error_has("more than one line");
}
END_TEST

static const unsigned mode_rows[] = { 0644, 0640, 0604, 0660, 0666 };

START_TEST(a_file_that_others_can_use_is_refused)
{
    CLEANUP(secret_free) struct secret *secret = NULL;

    dir_put(path, "hunter2", mode_rows[_i]);
    ck_assert_int_eq(secret_load(&(struct secret_source){ .file = path }, "the passphrase", &secret), ERROR_USAGE);
    ck_assert_error_has("the passphrase");
    ck_assert_error_has(path);
    ck_assert_error_has("wanted 0600");
    ck_assert_ptr_null(strstr(error_text(), "hunter2"));
}
END_TEST

/* Nothing there, or far too much. */
static const struct {
    struct secret_source source;
    const char *part;
} bad_rows[] = {
    { { .file = "/no/such/file" }, "'/no/such/file': No such file or directory" },
    { { .file = "/" }, "'/'" },
    { { .env = "PGCASK_TEST_NOT_SET" }, "the environment has no variable 'PGCASK_TEST_NOT_SET'" },
    { { .command = "" }, "the command for the passphrase is empty" },
    { { .command = " \t " }, "the command for the passphrase is empty" },
    { { .command = "pgcask-no-such-program" }, "command for the passphrase: could not start 'pgcask-no-such-program'" },
    { { .command = "cat /no/such/file" }, "command for the passphrase: cat failed with exit code 1: " },
    { { .command = "false" }, "command for the passphrase: false failed with exit code 1" },
    { { .command = "cat /dev/zero" }, "command for the passphrase: " },
    { { .command = "echo $HOME;id>x" }, NULL },      /* no shell: the words as they are */
};

START_TEST(a_source_that_gives_nothing_is_refused)
{
    CLEANUP(secret_free) struct secret *secret = NULL;
    int rc = secret_load(&bad_rows[_i].source, "the passphrase", &secret);

    if (bad_rows[_i].part == NULL) {
        ck_assert_int_eq(rc, 0);
        ck_assert_str_eq(secret_text(secret), "$HOME;id>x");
        return;
    }
    ck_assert_int_eq(rc, ERROR_USAGE);
    ck_assert_error_has(bad_rows[_i].part);
    ck_assert_ptr_null(secret);
}
END_TEST

START_TEST(length_has_a_limit)
{
    CLEANUP(secret_free) struct secret *secret = NULL;
    CLEANUP_FREE char *text = mem_zalloc(65536 + 2);

    memset(text, 's', 65536);
    ck_assert_int_eq(secret_load(&(struct secret_source){ .value = text }, "it", &secret), 0);
    ck_assert_uint_eq(secret_len(secret), 65536);
    secret_free(STEAL(secret));
    text[65536] = 's';
    ck_assert_int_eq(secret_load(&(struct secret_source){ .value = text }, "it", &secret), ERROR_USAGE);
    dir_put(path, text, 0600);
    ck_assert_int_eq(secret_load(&(struct secret_source){ .file = path }, "it", &secret), ERROR_USAGE);
    ck_assert_error_has("65536 bytes");
}
END_TEST

START_TEST(a_hardened_process_leaves_no_core)
{
    struct rlimit limit;

    secret_harden_process();
    ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, 0);
    ck_assert_uint_eq(limit.rlim_max, 0);
#ifndef PGCASK_SANITIZED
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
#endif
}
END_TEST

static Suite *
secret_suite(void)
{
    Suite *suite = suite_create("secret");
    TCase *tcase = tcase_create("secret");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_secret_is_a_copy);
    tcase_add_test(tcase, a_secret_may_fill_pages);
    tcase_add_loop_test(tcase, one_line_from_a_value, 0, ARRAY_LEN(text_rows));
    tcase_add_loop_test(tcase, one_line_from_a_file, 0, ARRAY_LEN(text_rows));
    tcase_add_loop_test(tcase, one_line_from_the_environment, 0, ARRAY_LEN(text_rows));
    tcase_add_loop_test(tcase, one_line_from_a_command, 0, ARRAY_LEN(text_rows));
    tcase_add_test(tcase, a_file_with_a_zero_byte_is_refused);
    tcase_add_loop_test(tcase, a_file_that_others_can_use_is_refused, 0, ARRAY_LEN(mode_rows));
    tcase_add_loop_test(tcase, a_source_that_gives_nothing_is_refused, 0, ARRAY_LEN(bad_rows));
    tcase_add_test(tcase, length_has_a_limit);
    tcase_add_test(tcase, a_hardened_process_leaves_no_core);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(secret_suite)
