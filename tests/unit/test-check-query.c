/* SPDX-License-Identifier: PostgreSQL
 *
 * Check queries: run as their author would, compared to the byte. The server is a
 * scripted double: see unit-pg.h.
 */
#include "config.h"

#include "pipeline/check-query.h"

#include <string.h>

#include "base/error.h"
#include "unit-manifest.h"
#include "unit-pg.h"
#include "unit-talk.h"
#include "unit.h"

static const char *result;  /* of every query */
static const char *refused; /* a statement that fails */

static const char *
answer(const char *sql)
{
    if (refused != NULL && strcmp(sql, refused) == 0)
        return "!refused";
    return strncmp(sql, "SELECT", 6) == 0 ? result : NULL;
}

static void
setup(void)
{
    result = "42\n";
    refused = NULL;
    double_start(answer);
}

static void
add_check(struct manifest *manifest, const char *name, const char *database, const char *query, const char *wanted)
{
    *manifest_add_check(manifest) = (struct manifest_check){ mem_strdup(name), mem_strdup(database), mem_strdup(query),
                                                             mem_strdup(wanted) };
}

START_TEST(a_query_sees_the_search_path_of_its_database)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *text = NULL, *log = NULL;

    result = "a\tb\\c\n\\N\t\n";
    ck_assert_int_eq(check_query(conn, "SELECT x", &text), 0);
    ck_assert_str_eq(text, "a\tb\\\\c\n\\N\t\n");
    log = double_log();
    ck_assert_str_eq(log, "connect shop\nRESET search_path\nSELECT x\nSET search_path TO ''");
}
END_TEST

static const char *const steps[] = { "RESET search_path", "SELECT x" };

START_TEST(a_query_that_fails_is_an_error)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *text = NULL;

    refused = steps[_i];
    ck_assert_int_eq(check_query(conn, "SELECT x", &text), PGCASK_FAILED);
    ck_assert_error_has("refused");
    ck_assert_ptr_null(text);
}
END_TEST

START_TEST(something_that_gives_no_rows_is_no_check)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *text = NULL;

    ck_assert_int_eq(check_query(conn, "UPDATE x", &text), PGCASK_FAILED);
    ck_assert_error_has("the query gives no rows");
    ck_assert_ptr_null(text);
}
END_TEST

START_TEST(equal_results_are_counted)
{
    CLEANUP(manifest_free) struct manifest *manifest = manifest_new();
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *log = NULL;
    size_t count = 99;

    add_check(manifest, "one", "shop", "SELECT 1", "42\n");
    add_check(manifest, "elsewhere", "other", "SELECT 2", "7\n");
    add_check(manifest, "three", "shop", "SELECT 3", "42\n");
    ck_assert_msg(check_compare(conn, manifest, "shop", &count) == 0, "%s", error_text());
    ck_assert_uint_eq(count, 2);
    log = double_log();
    ck_assert_has(log, "SELECT 1");
    ck_assert_has(log, "SELECT 3");
    ck_assert_lacks(log, "SELECT 2"); /* not a question for this database */
}
END_TEST

START_TEST(without_checks_nothing_is_asked)
{
    CLEANUP(manifest_free) struct manifest *manifest = manifest_new();
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *log = NULL;
    size_t count = 99;

    add_check(manifest, "elsewhere", "other", "SELECT 2", "42\n");
    ck_assert_int_eq(check_compare(conn, manifest, "shop", &count), 0);
    ck_assert_uint_eq(count, 0);
    log = double_log();
    ck_assert_str_eq(log, "connect shop");
}
END_TEST

static const struct differ_row {
    const char *rows, *text; /* now, and as text */
    const char *before;
} differ_rows[] = {
    { "41\n", "41\n", "42\n" },
    { "", "", "42\n" },                /* no row any more */
    { "42\n42\n", "42\n42\n", "42\n" }, /* one too many */
    { "\\N\n", "\\N\n", "\n" },        /* a null is no empty text */
    { "\n", "\n", "\\N\n" },
    { "1\t2\n", "1\t2\n", "1\t2 \n" }, /* to the byte */
    { "42\n", "42\n", "" },
};

START_TEST(any_difference_is_told_with_both_sides)
{
    const struct differ_row *row = &differ_rows[_i];
    CLEANUP(manifest_free) struct manifest *manifest = manifest_new();
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *wanted =
        mem_printf("check 'users' gives '%s', when the backup was made it gave '%s'", row->text, row->before);
    size_t count = 99;

    result = row->rows;
    add_check(manifest, "users", "shop", "SELECT x", row->before);
    ck_assert_int_eq(check_compare(conn, manifest, "shop", &count), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), wanted);
    ck_assert_uint_eq(count, 99);
}
END_TEST

START_TEST(the_first_that_differs_ends_it)
{
    CLEANUP(manifest_free) struct manifest *manifest = manifest_new();
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *log = NULL;
    size_t count;

    add_check(manifest, "good", "shop", "SELECT 1", "42\n");
    add_check(manifest, "bad", "shop", "SELECT 2", "43\n");
    add_check(manifest, "late", "shop", "SELECT 3", "44\n");
    ck_assert_int_eq(check_compare(conn, manifest, "shop", &count), PGCASK_FAILED);
    ck_assert_error_has("check 'bad' gives");
    log = double_log();
    ck_assert_lacks(log, "SELECT 3");
}
END_TEST

START_TEST(a_query_that_cannot_be_run_any_more_is_named)
{
    CLEANUP(manifest_free) struct manifest *manifest = manifest_new();
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    size_t count;

    refused = "SELECT gone";
    add_check(manifest, "users", "shop", "SELECT gone", "42\n");
    ck_assert_int_eq(check_compare(conn, manifest, "shop", &count), PGCASK_FAILED);
    ck_assert_error_has("check 'users': ");
    ck_assert_error_has("refused");
}
END_TEST

static Suite *
check_query_suite(void)
{
    Suite *suite = suite_create("check-query");
    TCase *tcase = tcase_create("all");

    tcase_add_checked_fixture(tcase, setup, double_stop);
    tcase_add_test(tcase, a_query_sees_the_search_path_of_its_database);
    tcase_add_loop_test(tcase, a_query_that_fails_is_an_error, 0, ARRAY_LEN(steps));
    tcase_add_test(tcase, something_that_gives_no_rows_is_no_check);
    tcase_add_test(tcase, equal_results_are_counted);
    tcase_add_test(tcase, without_checks_nothing_is_asked);
    tcase_add_loop_test(tcase, any_difference_is_told_with_both_sides, 0, ARRAY_LEN(differ_rows));
    tcase_add_test(tcase, the_first_that_differs_ends_it);
    tcase_add_test(tcase, a_query_that_cannot_be_run_any_more_is_named);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(check_query_suite)
