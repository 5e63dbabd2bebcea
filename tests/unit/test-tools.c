/* SPDX-License-Identifier: PostgreSQL
 *
 * PostgreSQL's programs, played by small scripts: which version is taken, what they
 * are started with, and that no secret is among their arguments.
 */
#include "config.h"

#include "pg/tools.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "unit-dir.h"
#include "unit-talk.h"
#include "unit.h"

#define SECRET "hush'hush \\now"

static struct pg_tools_spec spec;
static struct pg_tools *tools;

static void
setup(void)
{
    dir_make();
    spec = (struct pg_tools_spec){ .bindir = unit_dir, .conninfo = "dbname=shop", .server_version = 150020 };
    tools = NULL;
}

static void
teardown(void)
{
    pg_tools_free(tools);
    dir_remove();
}

/* A program of that name in the directory. */
static void
script(const char *name, const char *text)
{
    CLEANUP_FREE char *path = dir_path(name), *whole = mem_printf("#!/bin/sh\n%s\n", text);

    dir_put(path, whole, 0700);
}

/* pg_dump that says so; %s in quotes for the shell. */
static void
pg_dump_says(const char *words)
{
    CLEANUP_FREE char *text = mem_printf("[ \"$*\" = --version ] || exit 9\nprintf '%%s' '%s'", words);

    script("pg_dump", text);
}

/* ---- versions ---- */

static const struct version_row {
    const char *says;
    int server;
    const char *version; /* NULL: refused */
    const char *error;
} version_rows[] = {
    { "pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n", 150020, "15.20", NULL },
    { "pg_dump (PostgreSQL) 15.20\n", 150020, "15.20", NULL },
    { "pg_dump (PostgreSQL) 15.20", 150020, "15.20", NULL },              /* no newline */
    { "pg_dump (PostgreSQL) 15.1\n", 150020, "15.1", NULL },              /* the major is what counts */
    { "pg_dump (PostgreSQL) 18beta1\n", 150020, "18beta1", NULL },
    { "pg_dump (PostgreSQL) 19devel\n", 180001, "19devel", NULL },
    { "pg_dump (EnterpriseDB) 17.2.0\n", 150020, "17.2.0", NULL },
    { "pg_dump (PostgreSQL) 9.6.24\n", 90624, "9.6.24", NULL },
    { "pg_dump (PostgreSQL) 14.19\n", 150020, NULL, "is version 14.19, older than the server's 15" },
    { "pg_dump (PostgreSQL) 9.6.24\n", 130000, NULL, "is version 9.6.24, older than the server's 13" },
    { "pg_dump (PostgreSQL) 1.5\n", 150020, NULL, "is version 1.5, older than the server's 15" },
    /* nonsense */
    { "", 150020, NULL, "does not tell its version" },
    { "\n", 150020, NULL, "does not tell its version" },
    { "15.20\n", 150020, NULL, "does not tell its version" },
    { "psql (PostgreSQL) 15.20\n", 150020, NULL, "does not tell its version: it says 'psql (PostgreSQL) 15.20" },
    { "pg_dumpall (PostgreSQL) 15.20\n", 150020, NULL, "does not tell its version" },
    { "pg_dump 15.20\n", 150020, NULL, "does not tell its version" },
    { "pg_dump (PostgreSQL) \n", 150020, NULL, "does not tell its version" },
    { "pg_dump (PostgreSQL) newest\n", 150020, NULL, "does not tell its version" },
    { "pg_dump (PostgreSQL) -15\n", 150020, NULL, "does not tell its version" },
    { "pg_dump (PostgreSQL) 99999999999999999999\n", 150020, NULL, "does not tell its version" },
    /* for reading archives only, no server is asked */
    { "pg_dump (PostgreSQL) 15.20\n", 0, "15.20", NULL },
    { "pg_dump (PostgreSQL) newest\n", 0, NULL, "does not tell its version" },
    { "", 0, NULL, "does not tell its version" },
};

START_TEST(only_a_version_that_fits_is_taken)
{
    const struct version_row *row = &version_rows[_i];

    pg_dump_says(row->says);
    spec.server_version = row->server;
    if (row->version != NULL) {
        ck_assert_msg(pg_tools_find(&spec, &tools) == 0, "%s", error_text());
        ck_assert_str_eq(pg_tools_version(tools), row->version);
        return;
    }
    ck_assert_int_eq(pg_tools_find(&spec, &tools), ERROR_USAGE);
    ck_assert_ptr_null(tools);
    ck_assert_error_has("/pg_dump' ");
    ck_assert_error_has(row->error);
}
END_TEST

static const struct broken_row {
    const char *text; /* NULL: there is none */
    const char *error;
} broken_rows[] = {
    { NULL, "pg_dump" },
    { "echo 'no such container' >&2; exit 125", "no such container" },
    { "echo 'pg_dump (PostgreSQL) 15.20'; exit 1", "pg_dump" }, /* it says the right thing, and fails */
    { "kill -9 $$", "pg_dump" },
    { "exec 2>&1; yes 'pg_dump (PostgreSQL) 15.20' | head -n 1000", "4096" }, /* more than anybody wants to know */
};

START_TEST(a_program_that_cannot_be_asked_is_refused_with_a_cure)
{
    const struct broken_row *row = &broken_rows[_i];

    if (row->text != NULL)
        script("pg_dump", row->text);
    ck_assert_int_eq(pg_tools_find(&spec, &tools), ERROR_USAGE);
    ck_assert_ptr_null(tools);
    ck_assert_error_has(row->error);
    ck_assert_ptr_nonnull(error_cure());
    ck_assert_has(error_cure(), "client programs of major version 15 or newer");
}
END_TEST

START_TEST(a_bad_conninfo_is_refused_before_anything_is_started)
{
    spec.conninfo = "host=h password=" SECRET " what=is=this";
    ck_assert_int_eq(pg_tools_find(&spec, &tools), ERROR_USAGE);
    ck_assert_error_has("conninfo is not a valid connection string");
    ck_assert_lacks(error_text(), "hush");
}
END_TEST

/* ---- arguments ---- */

static char *
argv_of(const char *program)
{
    CLEANUP_STRV struct strv argv = { 0 };

    pg_tools_argv(tools, program, &argv);
    return strv_join(&argv, "|");
}

START_TEST(programs_come_from_bindir)
{
    CLEANUP_FREE char *argv = NULL, *wanted = dir_path("pg_restore");

    pg_dump_says("pg_dump (PostgreSQL) 15.20");
    ck_assert_int_eq(pg_tools_find(&spec, &tools), 0);
    ck_assert(!pg_tools_prefixed(tools));
    argv = argv_of("pg_restore");
    ck_assert_str_eq(argv, wanted);
}
END_TEST

/* exec, bindir: what stands before a program. Asked through the prefix, too: pg_dump itself says nothing here. */
static const struct exec_row {
    const char *exec;
    bool bindir;
    const char *argv; /* D: the directory */
} exec_rows[] = {
    { "D/enter -i  chain", true, "D/enter|-i|chain|D/pg_restore" },
    { "D/enter", true, "D/enter|D/pg_restore" },
    { "D/enter\tone two", false, "D/enter|one|two|pg_restore" }, /* looked for in there */
};

static char *
in_dir(const char *text)
{
    CLEANUP_STRV struct strv pieces = { 0 };

    for (; *text != '\0'; text++)
        if (*text == 'D')
            strv_add(&pieces, unit_dir);
        else
            strv_addf(&pieces, "%c", *text);
    return strv_join(&pieces, "");
}

START_TEST(the_exec_prefix_stands_before_every_program)
{
    const struct exec_row *row = &exec_rows[_i];
    CLEANUP_FREE char *exec = in_dir(row->exec), *wanted = in_dir(row->argv), *argv = NULL;

    script("enter", "for last; do before=$program program=$last; done\n"
                    "case $before in */pg_dump | pg_dump) ;; *) exit 8 ;; esac\n"
                    "[ \"$last\" = --version ] && echo 'pg_dump (PostgreSQL) 16.4'");
    spec.exec = exec;
    spec.bindir = row->bindir ? unit_dir : NULL;
    ck_assert_msg(pg_tools_find(&spec, &tools) == 0, "%s", error_text());
    ck_assert_str_eq(pg_tools_version(tools), "16.4");
    ck_assert(pg_tools_prefixed(tools));
    argv = argv_of("pg_restore");
    ck_assert_str_eq(argv, wanted);
}
END_TEST

static const struct dbname_row {
    const char *conninfo, *database;
    const char *argument;
} dbname_rows[] = {
    { "host=h dbname=shop", NULL, "--dbname=dbname='shop' host='h'" },
    { "host=h dbname=shop", "other", "--dbname=host='h' dbname='other'" },
    { "host=h password='" "x y' dbname=shop", "it's", "--dbname=host='h' dbname='it\\'s'" },
    { "postgresql://me:secret@h/shop", NULL, "--dbname=user='me' dbname='shop' host='h'" },
};

START_TEST(programs_are_told_where_without_the_password)
{
    const struct dbname_row *row = &dbname_rows[_i];
    CLEANUP_STRV struct strv argv = { 0 };

    pg_dump_says("pg_dump (PostgreSQL) 15.20");
    spec.conninfo = row->conninfo;
    ck_assert_int_eq(pg_tools_find(&spec, &tools), 0);
    ck_assert_int_eq(pg_tools_dbname(tools, row->database, &argv), 0);
    ck_assert_uint_eq(argv.len, 1);
    ck_assert_str_eq(argv.items[0], row->argument);
}
END_TEST

/* ---- starting ---- */

static const struct start_row {
    const char *conninfo, *password, *options;
    const char *seen; /* PGPASSWORD|PGOPTIONS|PGAPPNAME */
} start_rows[] = {
    { "dbname=d", NULL, NULL, "none|none|pgcask" },
    { "dbname=d", SECRET, NULL, SECRET "|none|pgcask" },
    { "dbname=d password='hush\\'hush \\\\now'", NULL, "-c x=1", SECRET "|-c x=1|pgcask" },
    { "dbname=d password=other", SECRET, NULL, SECRET "|none|pgcask" }, /* the config's own key wins */
};

START_TEST(the_password_goes_by_the_environment)
{
    const struct start_row *row = &start_rows[_i];
    CLEANUP_STRV struct strv argv = { 0 };
    CLEANUP_BUF struct buf out = BUF_INIT(4096);
    struct process process;

    ck_assert_int_eq(unsetenv("PGPASSWORD") | unsetenv("PGOPTIONS"), 0);
    pg_dump_says("pg_dump (PostgreSQL) 15.20");
    script("psql", "printf '%s|%s|%s' \"${PGPASSWORD-none}\" \"${PGOPTIONS-none}\" \"$PGAPPNAME\"\n"
                   "case \"$*\" in *hush* | *other*) printf ' SHOWN' ;; esac");
    spec.conninfo = row->conninfo;
    spec.password = row->password;
    ck_assert_int_eq(pg_tools_find(&spec, &tools), 0);
    pg_tools_argv(tools, "psql", &argv);
    ck_assert_int_eq(pg_tools_dbname(tools, NULL, &argv), 0);
    ck_assert_int_eq(pg_tools_start(tools, &argv, row->options, PROCESS_NULL, PROCESS_PIPE, -1, &process), 0);
    ck_assert_int_eq(file_read_fd(process.out_fd, "psql", &out), 0);
    ck_assert_int_eq(process_finish(&process), 0);
    ck_assert_str_eq(out.data, row->seen);
}
END_TEST

static Suite *
tools_suite(void)
{
    Suite *suite = suite_create("tools");
    TCase *versions = tcase_create("versions"), *arguments = tcase_create("arguments");

    tcase_add_checked_fixture(versions, setup, teardown);
    tcase_add_loop_test(versions, only_a_version_that_fits_is_taken, 0, ARRAY_LEN(version_rows));
    tcase_add_loop_test(versions, a_program_that_cannot_be_asked_is_refused_with_a_cure, 0, ARRAY_LEN(broken_rows));
    tcase_add_test(versions, a_bad_conninfo_is_refused_before_anything_is_started);
    suite_add_tcase(suite, versions);
    tcase_add_checked_fixture(arguments, setup, teardown);
    tcase_add_test(arguments, programs_come_from_bindir);
    tcase_add_loop_test(arguments, the_exec_prefix_stands_before_every_program, 0, ARRAY_LEN(exec_rows));
    tcase_add_loop_test(arguments, programs_are_told_where_without_the_password, 0, ARRAY_LEN(dbname_rows));
    tcase_add_loop_test(arguments, the_password_goes_by_the_environment, 0, ARRAY_LEN(start_rows));
    suite_add_tcase(suite, arguments);
    return suite;
}

UNIT_MAIN(tools_suite)
