/* SPDX-License-Identifier: PostgreSQL
 *
 * Connection strings taken apart and put together, and results as text. The server
 * is a scripted double: see unit-pg.h. Against real ones: tests/cli.
 */
#include "config.h"

#include "pg/conn.h"

#include <string.h>

#include "base/cancel.h"
#include "base/error.h"
#include "unit-pg.h"
#include "unit-talk.h"
#include "unit.h"

/* ---- connection strings ---- */

static const struct conninfo_row {
    const char *conninfo, *database;
    const char *text; /* NULL: refused */
} conninfo_rows[] = {
    { "", NULL, "" },
    { "dbname=shop", NULL, "dbname='shop'" },
    { "dbname=shop", "other", "dbname='other'" },
    { "", "other", "dbname='other'" },
    { "user=me password=secret dbname=shop", NULL, "user='me' dbname='shop'" },
    { "password=secret", "d", "dbname='d'" },
    { "user='' dbname=shop", NULL, "user='' dbname='shop'" },
    { "user='it\\'s me' application_name='back\\\\slash'", NULL, "user='it\\'s me' application_name='back\\\\slash'" },
    { "dbname=shop", "it's \\ a=b host=evil", "dbname='it\\'s \\\\ a=b host=evil'" }, /* stays one value */
    { "dbname=shop", "", "dbname=''" },
    { "postgresql://me:secret@h:5433/shop?connect_timeout=3", NULL,
      "user='me' connect_timeout='3' dbname='shop' host='h' port='5433'" },
    { "postgres://me:sec%20ret@/shop?host=/run/x", "d", "user='me' host='/run/x' dbname='d'" },
    { "host=a,b port=1,2", NULL, "host='a,b' port='1,2'" },
    { "nonsense", NULL, NULL },
    { "password=secret nonsense", NULL, NULL },
    { "passwort=secret", NULL, NULL },
    { "password='secret", NULL, NULL },
    { "postgresql://me:secret@[h/x", NULL, NULL },
};

static const char *
conninfo_value(const PQconninfoOption *options, const char *key)
{
    for (; options->keyword != NULL; options++)
        if (strcmp(options->keyword, key) == 0)
            return options->val;
    return NULL;
}

START_TEST(a_program_gets_it_all_but_the_password)
{
    const struct conninfo_row *row = &conninfo_rows[_i];
    CLEANUP_FREE char *text = NULL;
    int rc = pg_conninfo(row->conninfo, row->database, &text);
    PQconninfoOption *options;

    ck_assert_int_eq(rc, row->text ? 0 : ERROR_USAGE);
    ck_assert_pstr_eq(text, row->text);
    if (row->text == NULL) {
        ck_assert_str_eq(error_text(), "conninfo is not a valid connection string"); /* libpq's words may tell a secret */
        return;
    }
    ck_assert_lacks(text, "secret");
    options = PQconninfoParse(text, NULL);
    ck_assert_ptr_nonnull(options); /* libpq reads it */
    if (row->database != NULL)
        ck_assert_str_eq(conninfo_value(options, "dbname"), row->database);
    PQconninfoFree(options);
}
END_TEST

static const struct part_row {
    const char *conninfo;
    const char *password, *database;
} part_rows[] = {
    { "", NULL, "postgres" },
    { "user=me", NULL, "postgres" },
    { "dbname=shop password=secret", "secret", "shop" },
    { "dbname='my shop' password='it\\'s'", "it's", "my shop" },
    { "password=''", "", "postgres" },
    { "postgresql://me:sec%20ret@h/shop", "sec ret", "shop" },
    { "postgresql://me@h", NULL, "postgres" },
    { "dbname=a dbname=b", NULL, "b" }, /* the last one, as in libpq */
};

START_TEST(its_parts_are_found)
{
    const struct part_row *row = &part_rows[_i];
    CLEANUP_FREE char *password = NULL, *database = NULL;

    ck_assert_int_eq(pg_conninfo_password(row->conninfo, &password), 0);
    ck_assert_int_eq(pg_conninfo_database(row->conninfo, &database), 0);
    ck_assert_pstr_eq(password, row->password);
    ck_assert_pstr_eq(database, row->database);
}
END_TEST

START_TEST(no_part_of_nonsense_is_found_or_shown)
{
    static char untouched[] = "untouched";
    char *password = untouched, *database = untouched;

    ck_assert_int_eq(pg_conninfo_password("password=secret nonsense", &password), ERROR_USAGE);
    ck_assert_lacks(error_text(), "secret");
    ck_assert_int_eq(pg_conninfo_database("password=secret nonsense", &database), ERROR_USAGE);
    ck_assert_lacks(error_text(), "secret");
    ck_assert_ptr_eq(password, untouched);
    ck_assert_ptr_eq(database, untouched);
}
END_TEST

START_TEST(a_server_that_is_not_there_is_told_with_a_cure)
{
    const struct pg_server server = { "host=/nonexistent password=secret user=me dbname=d", NULL };
    struct pg_conn *conn = NULL;

    ck_assert_int_eq(pg_connect(&server, NULL, &conn), PGCASK_FAILED);
    ck_assert_ptr_null(conn);
    ck_assert_error_has("could not connect to PostgreSQL: ");
    ck_assert_error_has("/nonexistent");
    ck_assert_lacks(error_text(), "secret");
    ck_assert_ptr_null(strchr(error_text(), '\n'));
    ck_assert_str_eq(error_cure(), "is the server running, and are host and port in conninfo right?");
    pg_close(NULL); /* no harm */
}
END_TEST

/* A server that refuses everybody in these words. */
struct refusal {
    int listener;
    const char *words;
};

static void *
refuse(void *arg)
{
    const struct refusal *refusal = arg;
    CLEANUP_FD int fd = accept(refusal->listener, NULL, NULL);
    CLEANUP_BUF struct buf body = BUF_INIT(4096);
    char startup[4096], head[5] = "E";
    uint32_t len;

    ck_assert_int_ge(read(fd, startup, sizeof startup), 8);
    ck_assert_int_eq(buf_add(&body, "SFATAL\0C28000\0M", 15), 0);
    ck_assert_int_eq(buf_add(&body, refusal->words, strlen(refusal->words) + 1), 0);
    ck_assert_int_eq(buf_add(&body, "", 1), 0);
    len = htonl((uint32_t)body.len + 4);
    memcpy(head + 1, &len, sizeof len);
    ck_assert_int_eq(write(fd, head, sizeof head), sizeof head);
    ck_assert_int_eq(write(fd, body.data, body.len), (ssize_t)body.len);
    return NULL;
}

static const struct {
    const char *words, *hint;
} refusal_rows[] = {
    { "Peer authentication failed for user \"postgres\"", "peer wants the operating system user of that name: run pgcask as" },
    { "password authentication failed for user \"me\"", "check user and password of the cluster (password, password_file" },
    { "role \"me\" does not exist", "the server has no such role: check user in conninfo" },
    { "database \"d\" does not exist", "check dbname and user in conninfo, and databases of the job" },
    { "the database system is starting up", "is the server running" },
    { "something new", NULL }, /* better no cure than a wrong one */
};

START_TEST(who_is_refused_is_told_a_cure)
{
    char dir[] = "/tmp/pgcask-test-conn.XXXXXX";
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    CLEANUP_FD int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct refusal refusal = { listener, refusal_rows[_i].words };
    CLEANUP_FREE char *conninfo = NULL;
    struct pg_conn *conn = NULL;
    struct pg_server server = { NULL, NULL };
    pthread_t thread;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432", dir);
    ck_assert_int_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, refuse, &refusal), 0);
    server.conninfo = conninfo = mem_printf("host=%s port=5432 user=me dbname=d gssencmode=disable", dir);
    ck_assert_int_eq(pg_connect(&server, NULL, &conn), PGCASK_FAILED);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_error_has(refusal.words);
    if (refusal_rows[_i].hint == NULL)
        ck_assert_ptr_null(error_cure());
    else
        ck_assert_msg(error_cure() != NULL && strstr(error_cure(), refusal_rows[_i].hint) != NULL, "hint is '%s'",
                      error_cure() ? error_cure() : "none");
    (void)unlink(address.sun_path);
    (void)rmdir(dir);
}
END_TEST

/* ---- sessions ---- */

static const char *answer_text;

static const char *
answer(const char *sql)
{
    return strcmp(sql, "QUERY") == 0 ? answer_text : NULL;
}

static void
setup(void)
{
    answer_text = NULL;
    double_start(answer);
}

START_TEST(a_session_is_in_the_database_that_was_asked_for)
{
    const struct pg_server server = { twin.conninfo, NULL };
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    CLEANUP(pg_close) struct pg_conn *other = NULL;
    CLEANUP_FREE char *log = NULL;

    ck_assert_int_eq(pg_connect(&server, NULL, &conn), 0);
    ck_assert_int_eq(pg_connect(&server, "it's another", &other), 0);
    log = double_log();
    ck_assert_str_eq(log, "connect shop\nconnect it's another");
    ck_assert_int_eq(pg_server_version(conn), 150020);
}
END_TEST

/* Rows as libpq gives them, and as they are recorded. */
static const struct rows_row {
    const char *rows, *text;
} rows_rows[] = {
    { "", "" },
    { "1\n", "1\n" },
    { "1\t2\n3\t4\n", "1\t2\n3\t4\n" },
    { "\\N\n", "\\N\n" },
    { "\\N\tx\t\\N\n", "\\N\tx\t\\N\n" },
    { "\n", "\n" },            /* one row, an empty text: not a null */
    { "\t\n", "\t\n" },
    { "a\\b\n", "a\\\\b\n" },  /* so a text \N is no null either */
    { "a\rb\n", "a\\rb\n" },
    { "a\bb\fc\vd\n", "a\\bb\\fc\\vd\n" },
    { "\xc3\xbc \x01\x7f\n", "\xc3\xbc \x01\x7f\n" },
};

START_TEST(rows_become_text_as_copy_writes_it)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *text = NULL;

    answer_text = rows_rows[_i].rows;
    ck_assert_msg(pg_rows_text(conn, "QUERY", &text) == 0, "%s", error_text());
    ck_assert_str_eq(text, rows_rows[_i].text);
}
END_TEST

START_TEST(no_more_text_is_taken_than_allowed)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *row = mem_alloc(700 * 1024), *text = NULL;

    memset(row, '\r', 700 * 1024); /* twice as long as text */
    memcpy(row + 700 * 1024 - 2, "\n", 2);
    answer_text = row;
    ck_assert_int_eq(pg_rows_text(conn, "QUERY", &text), PGCASK_FAILED);
    ck_assert_error_has("the result of a check query");
    ck_assert_ptr_null(text);
}
END_TEST

START_TEST(a_query_without_rows_is_none)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *text = NULL;

    ck_assert_int_eq(pg_rows_text(conn, "QUERY", &text), PGCASK_FAILED);
    ck_assert_error_has("the query gives no rows: QUERY");
}
END_TEST

static const struct value_row {
    const char *rows;
    int code;
    const char *value; /* or the error */
} value_rows[] = {
    { "one\n", 0, "one" },
    { "\n", 0, "" },
    { "\\N\n", 0, NULL },
    { "one\ttwo\n", 0, "one" },
    { "", PGCASK_FAILED, "PostgreSQL gave 0 rows where 1 was expected: QUERY" },
    { "one\ntwo\n", PGCASK_FAILED, "PostgreSQL gave 2 rows where 1 was expected: QUERY" },
    { "!permission denied", PGCASK_FAILED, "PostgreSQL refused: " },
};

START_TEST(a_value_is_of_exactly_one_row)
{
    const struct value_row *row = &value_rows[_i];
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *value = NULL;

    answer_text = row->rows;
    ck_assert_int_eq(pg_value(conn, "QUERY", NULL, 0, &value), row->code);
    if (row->code == 0)
        ck_assert_pstr_eq(value, row->value);
    else
        ck_assert_error_has(row->value);
}
END_TEST

START_TEST(a_column_is_of_all_rows)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_STRV struct strv values = { 0 };
    CLEANUP_FREE char *joined = NULL, *log = NULL;
    const char *const params[] = { "x'y", NULL };

    answer_text = "a\t1\nb\t2\nc\t3\n";
    ck_assert_int_eq(pg_column(conn, "QUERY", params, 2, &values), 0);
    joined = strv_join(&values, " ");
    ck_assert_str_eq(joined, "a b c");
    log = double_log();
    ck_assert_str_eq(log, "connect shop\nQUERY [x'y, NULL]");
}
END_TEST

START_TEST(errors_of_the_server_are_told_in_its_words)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();

    answer_text = "!relation \"x\"\n does not exist";
    ck_assert_int_eq(pg_run(conn, "QUERY"), PGCASK_FAILED);
    ck_assert_error_has("relation \"x\" does not exist");
    ck_assert_ptr_null(strchr(error_text(), '\n'));
    answer_text = NULL;
    ck_assert_int_eq(pg_run(conn, "QUERY"), 0); /* and the session goes on */
}
END_TEST

START_TEST(a_lost_connection_is_an_error)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *value = NULL;

    answer_text = ".";
    ck_assert_int_eq(pg_value(conn, "QUERY", NULL, 0, &value), PGCASK_FAILED);
    ck_assert_int_eq(pg_run(conn, "OTHER"), PGCASK_FAILED);
    ck_assert_str_ne(error_text(), "");
}
END_TEST

START_TEST(once_stopped_nothing_is_asked_but_to_put_things_back)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP(pg_close) struct pg_conn *late = NULL;
    CLEANUP_FREE char *value = NULL, *log = NULL;

    cancel_request();
    ck_assert_int_eq(pg_run(conn, "ONE"), ERROR_CANCELLED);
    ck_assert_int_eq(pg_runf(conn, "TWO %d", 2), ERROR_CANCELLED);
    ck_assert_int_eq(pg_value(conn, "THREE", NULL, 0, &value), ERROR_CANCELLED);
    ck_assert_int_eq(pg_run_always(conn, "FOUR"), 0);
    late = double_connect();
    ck_assert_int_eq(pg_run_always(late, "FIVE"), 0);
    log = double_log();
    ck_assert_str_eq(log, "connect shop\nFOUR\nconnect shop\nFIVE");
}
END_TEST

START_TEST(names_and_texts_are_quoted)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *ident = pg_ident(conn, "a\"b"), *literal = pg_literal(conn, "it's \\ so");

    ck_assert_str_eq(ident, "\"a\"\"b\"");
    ck_assert_str_eq(literal, " E'it''s \\\\ so'");
}
END_TEST

START_TEST(rows_are_copied_in)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *log = NULL;

    answer_text = "<";
    ck_assert_msg(pg_copy_begin(conn, "QUERY") == 0, "%s", error_text());
    ck_assert_int_eq(pg_copy_bytes(conn, "1\tone\n", 6), 0);
    ck_assert_int_eq(pg_copy_bytes(conn, "2\ttwo\n", 6), 0);
    ck_assert_int_eq(pg_copy_end(conn), 0);
    ck_assert_int_eq(pg_run(conn, "NEXT"), 0);
    log = double_log();
    ck_assert_str_eq(log, "connect shop\nQUERY\ncopy 1\tone\n\ncopy 2\ttwo\n\nNEXT");
}
END_TEST

START_TEST(a_statement_that_takes_no_rows_is_refused)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();

    ck_assert_int_eq(pg_copy_begin(conn, "QUERY"), PGCASK_FAILED);
}
END_TEST

static Suite *
conn_suite(void)
{
    Suite *suite = suite_create("conn");
    TCase *conninfo = tcase_create("conninfo"), *session = tcase_create("session");

    tcase_add_loop_test(conninfo, a_program_gets_it_all_but_the_password, 0, ARRAY_LEN(conninfo_rows));
    tcase_add_loop_test(conninfo, its_parts_are_found, 0, ARRAY_LEN(part_rows));
    tcase_add_test(conninfo, no_part_of_nonsense_is_found_or_shown);
    tcase_add_test(conninfo, a_server_that_is_not_there_is_told_with_a_cure);
    tcase_add_loop_test(conninfo, who_is_refused_is_told_a_cure, 0, ARRAY_LEN(refusal_rows));
    suite_add_tcase(suite, conninfo);
    tcase_add_checked_fixture(session, setup, double_stop);
    tcase_add_test(session, a_session_is_in_the_database_that_was_asked_for);
    tcase_add_loop_test(session, rows_become_text_as_copy_writes_it, 0, ARRAY_LEN(rows_rows));
    tcase_add_test(session, no_more_text_is_taken_than_allowed);
    tcase_add_test(session, a_query_without_rows_is_none);
    tcase_add_loop_test(session, a_value_is_of_exactly_one_row, 0, ARRAY_LEN(value_rows));
    tcase_add_test(session, a_column_is_of_all_rows);
    tcase_add_test(session, errors_of_the_server_are_told_in_its_words);
    tcase_add_test(session, a_lost_connection_is_an_error);
    tcase_add_test(session, names_and_texts_are_quoted);
    tcase_add_test(session, rows_are_copied_in);
    tcase_add_test(session, a_statement_that_takes_no_rows_is_refused);
    tcase_add_test(session, once_stopped_nothing_is_asked_but_to_put_things_back); /* last: it stays so without forks */
    suite_add_tcase(suite, session);
    return suite;
}

UNIT_MAIN(conn_suite)
