/* SPDX-License-Identifier: PostgreSQL
 *
 * What is dumped of a database: names for pg_dump that mean one table only,
 * patterns as the catalog is asked for them, and which tables become streams of
 * their own. The server is a scripted double: see unit-pg.h.
 */
#include "config.h"

#include "pipeline/dump-plan.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "unit-pg.h"
#include "unit-talk.h"
#include "unit.h"

enum { MIB = 1048576 };

/* ---- names for pg_dump ---- */

static const struct pattern_row {
    const char *schema, *name, *pattern;
} pattern_rows[] = {
    { "public", "orders", "\"public\".\"orders\"" },
    { "Public", "Order Line", "\"Public\".\"Order Line\"" },  /* without quotes they would become small */
    { "a.b", "c.d", "\"a.b\".\"c.d\"" },
    { "a*", "b?", "\"a*\".\"b?\"" },                          /* no wildcards between quotes */
    { "a$", "(b|c)[d]{2}^+\\", "\"a$\".\"(b|c)[d]{2}^+\\\"" }, /* nor is it a regular expression */
    { "a\"b", "\"", "\"a\"\"b\".\"\"\"\"" },
    { "\"\"", "x", "\"\"\"\"\"\".\"x\"" },
    { "\xc3\xbc", "line\nbreak", "\"\xc3\xbc\".\"line\nbreak\"" },
    { "it's", "-t", "\"it's\".\"-t\"" },
};

START_TEST(a_name_means_one_table_only)
{
    const struct pattern_row *row = &pattern_rows[_i];
    CLEANUP_FREE char *pattern = dump_pattern(row->schema, row->name);

    ck_assert_str_eq(pattern, row->pattern);
}
END_TEST

START_TEST(the_longest_names_fit)
{
    char quotes[64] = { 0 }, wanted[300] = { 0 };
    CLEANUP_FREE char *pattern = NULL;

    memset(quotes, '"', 63);
    memset(wanted, '"', 257);
    wanted[128] = '.';
    pattern = dump_pattern(quotes, quotes);
    ck_assert_str_eq(pattern, wanted);
}
END_TEST

/* ---- plans ---- */

/* The tables of the double. A LIKE pattern matches those whose text it is, or all. */
static const struct {
    const char *schema, *name, *oid;
    uint64_t size;
} tables[] = {
    { "public", "events", "10", 300 * MIB },
    { "public", "orders", "11", 20 * MIB },
    { "private", "Log", "12", 10 * MIB },
    { "public", "small", "13", 1 },
    { "lohn", "gehälter", "14", 0 },
};

static const char *database_size;
static const char *refused;

static void
add_matches(struct buf *rows, const char *like)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        CLEANUP_FREE char *name = mem_printf("%s.%s", tables[i].schema, tables[i].name);
        CLEANUP_FREE char *any = mem_printf("%%.%s", tables[i].name), *all = mem_printf("%s.%%", tables[i].schema);

        if (strcmp(like, name) == 0 || strcmp(like, any) == 0 || strcmp(like, all) == 0)
            ck_assert_int_eq(buf_addf(rows, "%s\t%s\t%s\n", tables[i].schema, tables[i].name, tables[i].oid), 0);
    }
}

/* The parameter of the last query: the log has it in brackets. */
static char *
last_param(void)
{
    const char *last = twin.log.items[twin.log.len - 1];
    const char *open = strrchr(last, '[');

    return mem_strndup(open + 1, strlen(open) - 2);
}

static const char *
answer(const char *sql)
{
    static char kept[4096];
    CLEANUP_BUF struct buf rows = BUF_INIT(sizeof kept - 1);

    kept[0] = '\0';
    if (refused != NULL && strstr(sql, refused) != NULL)
        return "!refused";
    if (strstr(sql, "pg_database_size") != NULL)
        return database_size;
    if (strstr(sql, "getdatabaseencoding") != NULL)
        return "LATIN1\n";
    if (strstr(sql, "LIKE $1") != NULL) {
        CLEANUP_FREE char *like = last_param();

        add_matches(&rows, like);
    } else if (strstr(sql, "pg_table_size") != NULL) {
        CLEANUP_FREE char *least = last_param();

        for (size_t i = 0; i < ARRAY_LEN(tables); i++)
            if (tables[i].size >= strtoull(least, NULL, 10))
                ck_assert_int_eq(buf_addf(&rows, "%s\t%s\t%" PRIu64 "\t%s\n", tables[i].schema, tables[i].name,
                                          tables[i].size, tables[i].oid), 0);
    } else
        return NULL;
    if (rows.len > 0)
        memcpy(kept, rows.data, rows.len + 1);
    return kept;
}

static void
setup(void)
{
    database_size = "419430400\n"; /* 400 MiB */
    refused = NULL;
    double_start(answer);
}

/* The patterns of pg_dump are in its database's encoding. */
START_TEST(names_are_told_in_the_encoding_of_the_database)
{
    const struct dump_selection selection = { .content = "all", .tables = "lohn.gehälter" };
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    struct dump_plan plan;

    ck_assert_msg(dump_plan_make(conn, &selection, &plan) == 0, "%s", error_text());
    ck_assert_str_eq(plan.encoding, "LATIN1");
    ck_assert_str_eq(plan.arguments.items[0], "--table=\"lohn\".\"geh\xe4" "lter\"");
    dump_plan_free(&plan);
}
END_TEST

static const struct like_row {
    const char *word, *like;
} like_rows[] = {
    { "public.orders", "public.orders" },
    { "orders", "%.orders" },             /* in any schema */
    { "public.*", "public.%" },
    { "*.*", "%.%" },
    { "p?blic.o*s", "p_blic.o%s" },
    { "public.order_line", "public.order\\_line" }, /* LIKE's own signs mean themselves */
    { "public.100%", "public.100\\%" },
    { "public.a\\b", "public.a\\\\b" },
    { "Public.Log", "Public.Log" },       /* as it is in the catalog */
    { "it's.x", "it's.x" },
};

START_TEST(a_pattern_is_asked_for_as_it_is_meant)
{
    const struct dump_selection selection = { .content = "all", .exclude_tables = like_rows[_i].word };
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *log = NULL, *wanted = mem_printf(" ORDER BY 1, 2 [%s]\n", like_rows[_i].like);
    struct dump_plan plan;

    ck_assert_msg(dump_plan_make(conn, &selection, &plan) == 0, "%s", error_text());
    log = double_log();
    ck_assert_has(log, wanted);
    dump_plan_free(&plan);
}
END_TEST

#define EVENTS "\"public\".\"events\""
#define ORDERS "\"public\".\"orders\""
#define LOG "\"private\".\"Log\""
#define SMALL "\"public\".\"small\""
#define NO_ROWS "--exclude-table-data="

static const struct plan_row {
    struct dump_selection selection;
    const char *own;       /* tables that are streams of their own, in this order */
    const char *arguments; /* of the main one, ':' between them */
    uint64_t main_size;    /* what stays in it */
} plan_rows[] = {
    /* from 8 MiB on, but a share of the whole: none of 400 MiB has less than 8 */
    { { .content = "all" }, "events orders Log", NO_ROWS EVENTS ":" NO_ROWS ORDERS ":" NO_ROWS LOG, 70 * MIB },
    { { .content = "data" }, "events orders Log", NO_ROWS EVENTS ":" NO_ROWS ORDERS ":" NO_ROWS LOG, 70 * MIB },
    { { .content = "schema" }, "", "", 0 },
    /* as the job says */
    { { .content = "all", .table_size = 20 * MIB }, "events orders", NO_ROWS EVENTS ":" NO_ROWS ORDERS, 80 * MIB },
    { { .content = "all", .table_size = 20 * MIB + 1 }, "events", NO_ROWS EVENTS, 100 * MIB },
    { { .content = "all", .table_size = 1 }, "events orders Log small",
      NO_ROWS EVENTS ":" NO_ROWS ORDERS ":" NO_ROWS LOG ":" NO_ROWS SMALL, 70 * MIB - 1 },
    /* only some tables */
    { { .content = "all", .tables = "public.orders small" }, "orders",
      "--table=" ORDERS ":--table=" SMALL ":" NO_ROWS ORDERS, 380 * MIB },
    { { .content = "all", .tables = "private.*" }, "Log", "--table=" LOG ":" NO_ROWS LOG, 390 * MIB },
    { { .content = "schema", .tables = "events" }, "", "--table=" EVENTS, 0 },
    /* all but some */
    { { .content = "all", .exclude_tables = "events" }, "orders Log",
      "--exclude-table=" EVENTS ":" NO_ROWS ORDERS ":" NO_ROWS LOG, 370 * MIB },
    { { .content = "all", .exclude_tables = "nothing" }, "events orders Log",
      NO_ROWS EVENTS ":" NO_ROWS ORDERS ":" NO_ROWS LOG, 70 * MIB },
    { { .content = "all", .exclude_table_data = "public.*" }, "Log",
      NO_ROWS EVENTS ":" NO_ROWS ORDERS ":" NO_ROWS SMALL ":" NO_ROWS LOG, 390 * MIB },
    { { .content = "all", .tables = "public.*", .exclude_tables = "orders", .exclude_table_data = "small" }, "events",
      "--table=" EVENTS ":--table=" ORDERS ":--table=" SMALL ":--exclude-table=" ORDERS ":" NO_ROWS SMALL
      ":" NO_ROWS EVENTS,
      100 * MIB },
};

START_TEST(large_tables_become_streams_of_their_own)
{
    const struct plan_row *row = &plan_rows[_i];
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *arguments = NULL, *own = NULL;
    CLEANUP_STRV struct strv names = { 0 };
    struct dump_plan plan;

    ck_assert_msg(dump_plan_make(conn, &row->selection, &plan) == 0, "%s", error_text());
    for (size_t i = 0; i < plan.len; i++)
        strv_add(&names, plan.tables[i].name);
    own = strv_join(&names, " ");
    ck_assert_str_eq(own, row->own);
    arguments = strv_join(&plan.arguments, ":");
    ck_assert_str_eq(arguments, row->arguments);
    ck_assert_uint_eq(plan.size, 400 * MIB);
    ck_assert_uint_eq(plan.main_size, row->main_size);
    dump_plan_free(&plan);
    dump_plan_free(&plan); /* twice is no harm */
}
END_TEST

START_TEST(every_stream_is_locked_before_it_is_needed)
{
    const struct dump_selection selection = { .content = "all" };
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *log = NULL;
    struct dump_plan plan;

    ck_assert_int_eq(dump_plan_make(conn, &selection, &plan), 0);
    log = double_log();
    ck_assert_has(log, "\nLOCK TABLE ONLY " EVENTS " IN ACCESS SHARE MODE\nLOCK TABLE ONLY " ORDERS
                       " IN ACCESS SHARE MODE\nLOCK TABLE ONLY " LOG " IN ACCESS SHARE MODE");
    dump_plan_free(&plan);
}
END_TEST

static const struct share_row {
    const char *size, *least;
} share_rows[] = {
    { "0\n", "8388608" },
    { "1677721600\n", "8388608" },   /* 200 × 8 MiB */
    { "1677721800\n", "8388609" },
    { "2000000000000\n", "10000000000" }, /* never more than 200 streams */
    { "\\N\n", "8388608" },
};

START_TEST(what_is_large_grows_with_the_database)
{
    const struct dump_selection selection = { .content = "all" };
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *log = NULL, *wanted = mem_printf(" ORDER BY 3 DESC, 1, 2 [%s]", share_rows[_i].least);
    struct dump_plan plan;

    database_size = share_rows[_i].size;
    ck_assert_int_eq(dump_plan_make(conn, &selection, &plan), 0);
    log = double_log();
    ck_assert_has(log, wanted);
    dump_plan_free(&plan);
}
END_TEST

START_TEST(a_table_that_is_not_there_is_a_usage_error)
{
    const struct dump_selection selection = { .content = "all", .tables = "orders publix.orders" };
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    struct dump_plan plan = { .size = 42 };

    ck_assert_int_eq(dump_plan_make(conn, &selection, &plan), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "no table matches 'publix.orders'");
    ck_assert_has(error_cure(), "SCHEMA.TABLE");
    ck_assert_uint_eq(plan.size, 42); /* untouched */
}
END_TEST

static const char *const questions[] = { "pg_database_size", "LIKE $1", "pg_table_size", "LOCK TABLE" };

START_TEST(what_the_server_refuses_is_an_error)
{
    const struct dump_selection selection = { .content = "all", .tables = "public.*" };
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    struct dump_plan plan;

    refused = questions[_i];
    ck_assert_int_eq(dump_plan_make(conn, &selection, &plan), PGCASK_FAILED);
    ck_assert_error_has("refused");
    if (strcmp(questions[_i], "LOCK TABLE") == 0)
        ck_assert_error_has("table " EVENTS ": ");
}
END_TEST

static Suite *
dump_plan_suite(void)
{
    Suite *suite = suite_create("dump-plan");
    TCase *names = tcase_create("names"), *plans = tcase_create("plans");

    tcase_add_loop_test(names, a_name_means_one_table_only, 0, ARRAY_LEN(pattern_rows));
    tcase_add_test(names, the_longest_names_fit);
    suite_add_tcase(suite, names);
    tcase_add_checked_fixture(plans, setup, double_stop);
    tcase_add_test(plans, names_are_told_in_the_encoding_of_the_database);
    tcase_add_loop_test(plans, a_pattern_is_asked_for_as_it_is_meant, 0, ARRAY_LEN(like_rows));
    tcase_add_loop_test(plans, large_tables_become_streams_of_their_own, 0, ARRAY_LEN(plan_rows));
    tcase_add_test(plans, every_stream_is_locked_before_it_is_needed);
    tcase_add_loop_test(plans, what_is_large_grows_with_the_database, 0, ARRAY_LEN(share_rows));
    tcase_add_test(plans, a_table_that_is_not_there_is_a_usage_error);
    tcase_add_loop_test(plans, what_the_server_refuses_is_an_error, 0, ARRAY_LEN(questions));
    suite_add_tcase(suite, plans);
    return suite;
}

UNIT_MAIN(dump_plan_suite)
