/* SPDX-License-Identifier: PostgreSQL
 *
 * Exchanging databases by name: both renames in one transaction, or none; what was
 * there keeps a dated name that fits. The server is a scripted double: see
 * unit-pg.h. Against real ones: tests/cli.
 */
#include "config.h"

#include "pipeline/swap.h"

#include <string.h>

#include "base/error.h"
#include "unit-pg.h"
#include "unit-talk.h"
#include "unit.h"

#define TIME_LEN strlen("20261122T132211Z")

static const char *refused;  /* a statement with this in it fails */
static const char *there;    /* how many databases have the name */
static const char *befores;  /* those that were put aside, newest first */
static bool held;            /* a session holds the database up until it is ended */

static const char *
answer(const char *sql)
{
    if (refused != NULL && strstr(sql, refused) != NULL)
        return "!refused";
    if (strstr(sql, "count(*) FROM pg_database") != NULL)
        return there;
    if (strstr(sql, "starts_with(datname") != NULL)
        return befores;
    if (held && strncmp(sql, "ALTER DATABASE \"shop\"", 21) == 0)
        double_wait("pg_terminate_backend");
    return strncmp(sql, "SELECT", 6) == 0 ? "t\n" : NULL;
}

static void
setup(void)
{
    refused = NULL;
    there = "1\n";
    befores = "";
    held = false;
    double_start(answer);
}

/* The statements that change something, one a line; owned by the caller. */
static char *
changes(void)
{
    CLEANUP_STRV struct strv kept = { 0 };

    for (size_t i = 0; i < twin.log.len; i++)
        if (strncmp(twin.log.items[i], "SELECT", 6) != 0 && strncmp(twin.log.items[i], "connect", 7) != 0)
            strv_add(&kept, twin.log.items[i]);
    return strv_join(&kept, "\n");
}

static int
swap(const char *name, const char *fresh, char **ret_kept)
{
    const struct pg_server server = { twin.conninfo, NULL };

    return swap_in(&server, name, fresh, ret_kept);
}

START_TEST(both_names_change_in_one_transaction)
{
    CLEANUP_FREE char *kept = NULL, *log = NULL, *wanted = NULL;

    ck_assert_msg(swap("shop", "fresh", &kept) == 0, "%s", error_text());
    ck_assert_int_eq(strncmp(kept, "shop_before_", 12), 0);
    ck_assert_uint_eq(strlen(kept), 12 + TIME_LEN);
    wanted = mem_printf("BEGIN\nALTER DATABASE \"shop\" RENAME TO \"%s\"\n"
                        "ALTER DATABASE \"fresh\" RENAME TO \"shop\"\nCOMMIT", kept);
    log = changes();
    ck_assert_str_eq(log, wanted);
}
END_TEST

START_TEST(names_are_quoted)
{
    CLEANUP_FREE char *kept = NULL, *log = NULL;

    ck_assert_int_eq(swap("my \"shop\"", "Fresh one", &kept), 0);
    log = changes();
    ck_assert_has(log, "ALTER DATABASE \"Fresh one\" RENAME TO \"my \"\"shop\"\"\"");
}
END_TEST

START_TEST(where_the_original_is_gone_there_is_one_rename)
{
    CLEANUP_FREE char *log = NULL;
    char *kept = NULL;

    there = "0\n";
    ck_assert_int_eq(swap("shop", "fresh", &kept), 0);
    ck_assert_ptr_null(kept);
    log = changes();
    ck_assert_str_eq(log, "BEGIN\nALTER DATABASE \"fresh\" RENAME TO \"shop\"\nCOMMIT");
}
END_TEST

#define A10 "aaaaaaaaaa"

static const struct cut_row {
    const char *name;
    const char *stem; /* what is left of it in front of _before_ and the time: at most 63 bytes in all */
} cut_rows[] = {
    { "shop", "shop" },
    { A10 A10 A10 "aaaaaaaaa", A10 A10 A10 "aaaaaaaaa" },  /* 39 bytes: just fits */
    { A10 A10 A10 A10, A10 A10 A10 "aaaaaaaaa" },
    { A10 A10 A10 A10 A10 A10 "aaa", A10 A10 A10 "aaaaaaaaa" },
    { A10 A10 A10 "aaaaaaaa\xc3\xbc" "aaa", A10 A10 A10 "aaaaaaaa" }, /* never half of a letter */
    { A10 A10 A10 "aaaaaaa\xc3\xbc" "aaa", A10 A10 A10 "aaaaaaa\xc3\xbc" },
    { A10 A10 A10 "aaaaaa\xf0\x9f\x90\x98" "aaa", A10 A10 A10 "aaaaaa" },
};

START_TEST(the_dated_name_fits_and_stays_text)
{
    const struct cut_row *row = &cut_rows[_i];
    CLEANUP_FREE char *kept = NULL, *wanted = mem_printf("%s_before_", row->stem);

    ck_assert_int_eq(swap(row->name, "fresh", &kept), 0);
    ck_assert_msg(strncmp(kept, wanted, strlen(wanted)) == 0, "%s", kept);
    ck_assert_uint_eq(strlen(kept), strlen(wanted) + TIME_LEN);
    ck_assert_uint_le(strlen(kept), 63);
}
END_TEST

/* Every place where it may end: without a COMMIT the server undoes it all. */
static const struct fail_row {
    const char *refused;
    const char *error;
} fail_rows[] = {
    { "count(*)", "refused" },
    { "BEGIN", "refused" },
    { "ALTER DATABASE \"shop\"", "renaming database \"shop\": refused" },
    { "ALTER DATABASE \"fresh\"", "renaming database \"fresh\": refused" },
    { "COMMIT", "refused" },
};

START_TEST(what_fails_leaves_both_names)
{
    const struct fail_row *row = &fail_rows[_i];
    char *kept = NULL;
    CLEANUP_FREE char *log = NULL;

    refused = row->refused;
    ck_assert_int_eq(swap("shop", "fresh", &kept), PGCASK_FAILED);
    ck_assert_ptr_null(kept);
    ck_assert_error_has("the databases keep their names: ");
    ck_assert_error_has(row->error);
    log = changes();
    if (strcmp(row->refused, "COMMIT") != 0)
        ck_assert_lacks(log, "COMMIT");
}
END_TEST

START_TEST(sessions_in_the_way_are_ended)
{
    CLEANUP_FREE char *kept = NULL, *log = NULL;

    held = true;
    ck_assert_msg(swap("shop", "fresh", &kept) == 0, "%s", error_text());
    log = double_log();
    ck_assert_has(log, "pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 "
                       "AND pid <> pg_backend_pid() [shop]");
}
END_TEST

START_TEST(sessions_that_cannot_be_ended_are_an_error)
{
    char *kept = NULL;

    held = true;
    refused = "pg_terminate_backend";
    ck_assert_int_eq(swap("shop", "fresh", &kept), PGCASK_FAILED);
    ck_assert_error_has("the databases keep their names: ");
    ck_assert_error_has("refused");
    ck_assert_ptr_null(kept);
}
END_TEST

/* Nobody may be in a database that is renamed, we neither. */
static const struct stand_row {
    const char *name, *fresh;
    const char *place; /* NULL: there is none */
} stand_rows[] = {
    { "shop", "fresh", "connect postgres" },
    { "postgres", "fresh", "connect template1" },
    { "shop", "postgres", "connect template1" },
    { "template1", "fresh", "connect postgres" },
    { "postgres", "template1", NULL },
    { "template1", "postgres", NULL },
};

START_TEST(it_is_done_from_a_third_database)
{
    const struct stand_row *row = &stand_rows[_i];
    CLEANUP_FREE char *kept = NULL;
    int rc = swap(row->name, row->fresh, &kept);

    if (row->place == NULL) {
        ck_assert_int_lt(rc, 0);
        ck_assert_str_eq(error_text(), "the databases keep their names: there is no database to stand in meanwhile but "
                                       "'postgres' and 'template1'");
        return;
    }
    ck_assert_msg(rc == 0, "%s", error_text());
    ck_assert_str_eq(twin.log.items[0], row->place);
    ck_assert_str_eq(twin.log.items[1], row->place);
}
END_TEST

START_TEST(without_a_server_the_names_stay)
{
    const struct pg_server server = { "host=/nonexistent", NULL };
    char *kept = NULL;

    ck_assert_int_eq(swap_in(&server, "shop", "fresh", &kept), PGCASK_FAILED);
    ck_assert_error_has("the databases keep their names: could not connect to PostgreSQL");
    ck_assert_int_eq(swap_back(&server, "shop", &kept), PGCASK_FAILED);
    ck_assert_error_has("could not connect to PostgreSQL");
    ck_assert_ptr_null(kept);
}
END_TEST

/* ---- back ---- */

START_TEST(the_newest_that_was_put_aside_comes_back)
{
    const struct pg_server server = { twin.conninfo, NULL };
    CLEANUP_FREE char *kept = NULL, *log = NULL, *wanted = NULL;

    befores = "shop_before_20261122T020000Z\nshop_before_20261121T020000Z\n";
    ck_assert_msg(swap_back(&server, "shop", &kept) == 0, "%s", error_text());
    ck_assert_int_eq(strncmp(kept, "shop_restored_", 14), 0);
    ck_assert_uint_eq(strlen(kept), 14 + TIME_LEN);
    wanted = mem_printf("BEGIN\nALTER DATABASE \"shop\" RENAME TO \"%s\"\n"
                        "ALTER DATABASE \"shop_before_20261122T020000Z\" RENAME TO \"shop\"\nCOMMIT", kept);
    log = changes();
    ck_assert_str_eq(log, wanted);
    free(log);
    log = double_log();
    ck_assert_has(log, "ORDER BY datname DESC [shop_before_]");
}
END_TEST

START_TEST(without_one_put_aside_there_is_no_way_back)
{
    const struct pg_server server = { twin.conninfo, NULL };
    CLEANUP_FREE char *log = NULL;
    char *kept = NULL;

    ck_assert_int_eq(swap_back(&server, "shop", &kept), ERROR_USAGE);
    ck_assert_error_has("there is no database 'shop_before_…'");
    ck_assert_str_eq(error_cure(), "name the database as it was before the swap");
    log = changes();
    ck_assert_str_eq(log, "");
}
END_TEST

static Suite *
swap_suite(void)
{
    Suite *suite = suite_create("swap");
    TCase *in = tcase_create("in"), *back = tcase_create("back");

    tcase_add_checked_fixture(in, setup, double_stop);
    tcase_add_test(in, both_names_change_in_one_transaction);
    tcase_add_test(in, names_are_quoted);
    tcase_add_test(in, where_the_original_is_gone_there_is_one_rename);
    tcase_add_loop_test(in, the_dated_name_fits_and_stays_text, 0, ARRAY_LEN(cut_rows));
    tcase_add_loop_test(in, what_fails_leaves_both_names, 0, ARRAY_LEN(fail_rows));
    tcase_add_test(in, sessions_in_the_way_are_ended);
    tcase_add_test(in, sessions_that_cannot_be_ended_are_an_error);
    tcase_add_loop_test(in, it_is_done_from_a_third_database, 0, ARRAY_LEN(stand_rows));
    tcase_add_test(in, without_a_server_the_names_stay);
    suite_add_tcase(suite, in);
    tcase_add_checked_fixture(back, setup, double_stop);
    tcase_add_test(back, the_newest_that_was_put_aside_comes_back);
    tcase_add_test(back, without_one_put_aside_there_is_no_way_back);
    suite_add_tcase(suite, back);
    return suite;
}

UNIT_MAIN(swap_suite)
