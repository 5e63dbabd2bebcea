/* SPDX-License-Identifier: PostgreSQL
 *
 * A database's own properties: read strictly, and the SQL they become. The server
 * is a scripted double: see unit-pg.h. Against real ones: tests/cli.
 */
#include "config.h"

#include "pipeline/properties.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "unit-pg.h"
#include "unit-talk.h"
#include "unit.h"

static const char plain[] =
    "{\"owner\": \"o\", \"encoding\": \"UTF8\", \"collate\": \"C\", \"ctype\": \"C.UTF-8\", \"locale_provider\": \"c\","
    " \"locale\": null, \"icu_rules\": null, \"connection_limit\": -1, \"template\": false,"
    " \"tablespace\": \"pg_default\","
    " \"comment\": null, \"default_acl\": true, \"acl\": [], \"settings\": [], \"roles\": [\"o\", \"reader\"]}";

static int
read_text(const char *text, struct properties **ret_properties)
{
    CLEANUP_FREE char *exact = mem_strndup(text, strlen(text));

    return properties_read(exact, strlen(text), ret_properties);
}

/* The plain ones with some fields changed (NULL: taken away): "{\"owner\": …}". */
static int
read_changed(const char *key, const char *value, struct properties **ret_properties)
{
    CLEANUP_JSON json_t *json = json_loads(plain, 0, NULL);
    CLEANUP_FREE char *text = NULL;

    ck_assert_ptr_nonnull(json);
    if (value == NULL)
        ck_assert_int_eq(json_object_del(json, key), 0);
    else {
        json_t *made = json_loads(value, JSON_DECODE_ANY, NULL);

        ck_assert_ptr_nonnull(made);
        ck_assert_int_eq(json_object_set_new(json, key, made), 0);
    }
    text = json_pretty(json);
    return read_text(text, ret_properties);
}

/* ---- reading ---- */

static const struct read_row {
    const char *key, *value; /* NULL: the field is missing */
    const char *error;       /* NULL: taken */
} read_rows[] = {
    { "owner", NULL, "'owner' is missing" },
    { "owner", "null", "'owner' is not a string" },
    { "owner", "5", "'owner' is not a string" },
    { "encoding", NULL, "'encoding' is missing" },
    { "encoding", "[]", "'encoding' is not a string" },
    { "collate", NULL, NULL },
    { "collate", "5", "'collate' is not a string" },
    { "locale_provider", "null", NULL }, /* before PostgreSQL 15 */
    { "locale_provider", "{}", "'locale_provider' is not a string" },
    { "tablespace", "true", "'tablespace' is not a string" },
    { "comment", "5", "'comment' is not a string" },
    { "connection_limit", NULL, "'connection_limit' is missing" }, /* not: nobody may come in */
    { "connection_limit", "\"5\"", "'connection_limit' is not a whole number" },
    { "connection_limit", "1e30", "'connection_limit' is not a whole number" },
    { "template", NULL, "'template' is missing" },
    { "template", "0", "'template' is neither true nor false" },
    { "default_acl", NULL, "'default_acl' is missing" }, /* not: all grants are revoked */
    { "default_acl", "\"t\"", "'default_acl' is neither true nor false" },
    { "acl", NULL, "'acl' is missing" },
    { "acl", "{}", "'acl' is not an array" },
    { "acl", "[\"=Tc/o\"]", "'acl' 0: 'privilege' is missing" },
    { "acl", "[{\"privilege\": \"CONNECT\", \"grantee\": null, \"grantable\": false}]", NULL },
    { "acl", "[{\"privilege\": \"CONNECT\", \"grantee\": 5, \"grantable\": false}]",
      "'acl' 0: 'grantee' is not a string" },
    { "acl", "[{\"privilege\": \"CONNECT\", \"grantee\": \"r\"}]", "'acl' 0: 'grantable' is missing" },
    { "acl", "[{\"privilege\": \"ALL ON DATABASE x TO y; DROP\", \"grantee\": \"r\", \"grantable\": true}]",
      "'acl' 0: 'privilege' is not the name of one" },
    { "acl", "[{\"privilege\": \"\", \"grantee\": \"r\", \"grantable\": true}]", "'privilege' is not the name of one" },
    { "acl", "[{\"privilege\": \"CONNECT\", \"grantable\": true}, {\"privilege\": \"create\", \"grantable\": true}]",
      "'acl' 1: 'privilege' is not the name of one" },
    { "settings", NULL, "'settings' is missing" },
    { "settings", "\"a=b\"", "'settings' is not an array" },
    { "settings", "[\"a=b\"]", "'settings' 0: 'setting' is missing" },
    { "settings", "[{\"setting\": \"a=b\"}]", NULL },
    { "settings", "[{\"setting\": \"a=\", \"role\": null}, {\"setting\": \"a\", \"role\": null}]",
      "'settings' 1: 'setting' has no '='" },
    { "settings", "[{\"setting\": \"a=b\", \"role\": 5}]", "'settings' 0: 'role' is not a string" },
    { "roles", NULL, "'roles' is missing" },
    { "roles", "\"o\"", "'roles' is not an array" },
    { "roles", "[]", NULL },
    { "roles", "[\"o\", null]", "'roles' does not hold strings" },
    { "more", "5", NULL }, /* what a later major has */
};

START_TEST(every_field_is_what_it_must_be)
{
    const struct read_row *row = &read_rows[_i];
    CLEANUP(properties_free) struct properties *properties = NULL;
    int rc = read_changed(row->key, row->value, &properties);

    ck_assert_int_eq(rc, row->error ? ERROR_CORRUPT : 0);
    ck_assert_int_eq(properties != NULL, row->error == NULL);
    if (row->error != NULL) {
        ck_assert_error_has("the database's properties: ");
        ck_assert_error_has(row->error);
    }
}
END_TEST

static const char *const no_json[] = { "", "null", "[]", "{", "{}x", "{\"owner\": \"a\", \"owner\": \"b\"}", "{}" };

START_TEST(other_texts_are_refused)
{
    CLEANUP(properties_free) struct properties *properties = NULL;

    ck_assert_int_eq(read_text(no_json[_i], &properties), ERROR_CORRUPT);
    ck_assert_ptr_null(properties);
    ck_assert_error_has("the database's properties");
}
END_TEST

START_TEST(roles_are_listed)
{
    CLEANUP(properties_free) struct properties *properties = NULL;
    CLEANUP_FREE char *roles = NULL;

    ck_assert_int_eq(read_text(plain, &properties), 0);
    roles = strv_join(properties_roles(properties), " ");
    ck_assert_str_eq(roles, "o reader");
}
END_TEST

/* ---- SQL ---- */

static const char *refused; /* statements with this in them fail */
static const char *tablespaces;

static const char *
answer(const char *sql)
{
    if (refused != NULL && strstr(sql, refused) != NULL)
        return "!refused";
    if (strstr(sql, "FROM pg_tablespace WHERE spcname") != NULL)
        return tablespaces;
    if (strcmp(sql, "SELECT current_database()") == 0)
        return "shop\n";
    return strncmp(sql, "SELECT", 6) == 0 ? "x\n" : NULL;
}

static void
setup(void)
{
    refused = NULL;
    tablespaces = "1\n";
    double_start(answer);
}

static const struct create_row {
    const char *version;
    const char *changes; /* JSON: what differs from the plain ones */
    bool owner;
    const char *sql;     /* behind CREATE DATABASE "new" TEMPLATE template0 */
} create_rows[] = {
    { "15.20", "{}", true, " OWNER \"o\" ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER libc" },
    { "15.20", "{}", false, " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER libc" },
    { "13.22", "{}", false, " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'" }, /* knows no providers */
    { "15.20", "{\"locale_provider\": null}", false, " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'" },
    { "15.20", "{\"owner\": \"o\\\"; DROP\", \"encoding\": \"it's\"}", true,
      " OWNER \"o\"\"; DROP\" ENCODING 'it''s' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER libc" },
    { "15.20", "{\"locale_provider\": \"i\", \"locale\": \"de\", \"icu_rules\": \"&a\"}", false,
      " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'de'" },
    { "16.10", "{\"locale_provider\": \"i\", \"locale\": \"de\", \"icu_rules\": \"&a\"}", false,
      " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'de' ICU_RULES '&a'" },
    { "17.6", "{\"locale_provider\": \"b\", \"locale\": \"C.UTF-8\"}", false,
      " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'" },
    { "16.10", "{\"locale_provider\": \"b\", \"locale\": \"C.UTF-8\"}", false, /* has no builtin one yet */
      " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER libc" },
    { "15.20", "{\"tablespace\": \"fast disk\"}", false,
      " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER libc TABLESPACE \"fast disk\"" },
};

static struct properties *
with(const char *changes)
{
    CLEANUP_JSON json_t *json = json_loads(plain, 0, NULL);
    CLEANUP_JSON json_t *more = json_loads(changes, 0, NULL);
    CLEANUP_FREE char *text = NULL;
    struct properties *properties = NULL;

    ck_assert(json != NULL && more != NULL);
    ck_assert_int_eq(json_object_update(json, more), 0);
    text = json_pretty(json);
    ck_assert_msg(read_text(text, &properties) == 0, "%s", error_text());
    return properties;
}

START_TEST(the_database_is_made_as_it_was)
{
    const struct create_row *row = &create_rows[_i];
    CLEANUP(properties_free) struct properties *properties = with(row->changes);
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    CLEANUP_FREE char *log = NULL, *wanted = mem_printf("CREATE DATABASE \"new\" TEMPLATE template0%s", row->sql);

    twin.version = row->version;
    conn = double_connect();
    ck_assert_msg(properties_create(properties, conn, "new", row->owner) == 0, "%s", error_text());
    log = double_log();
    ck_assert_str_eq(strstr(log, "CREATE"), wanted);
}
END_TEST

START_TEST(a_missing_tablespace_is_told_and_left_out)
{
    CLEANUP(properties_free) struct properties *properties = with("{\"tablespace\": \"fast\"}");
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *log = NULL, *said = NULL;
    struct talk talk;
    int rc;

    tablespaces = "0\n";
    talk = talk_begin(STDERR_FILENO);
    rc = properties_create(properties, conn, "new", false);
    said = talk_end(&talk);
    ck_assert_int_eq(rc, 0);
    log = double_log();
    ck_assert_has(log, "spcname = $1 [fast]");
    ck_assert_lacks(strstr(log, "CREATE"), "TABLESPACE");
    ck_assert_has(said, "there is no tablespace \"fast\" here");
}
END_TEST

START_TEST(what_cannot_be_made_is_named)
{
    CLEANUP(properties_free) struct properties *properties = with("{}");
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();

    refused = "CREATE DATABASE";
    ck_assert_int_eq(properties_create(properties, conn, "new", false), PGCASK_FAILED);
    ck_assert_error_has("creating database \"new\": ");
    ck_assert_error_has("refused");
}
END_TEST

/* The statements of properties_apply on the two sessions, in their order. */
static const struct apply_row {
    const char *changes;
    bool owner;
    const char *refused;
    const char *log;
} apply_rows[] = {
    { "{}", true, NULL, "" },
    { "{\"comment\": \"it's\"}", false, NULL, "COMMENT ON DATABASE \"shop\" IS 'it''s'" },
    { "{\"connection_limit\": 7}", false, NULL, "ALTER DATABASE \"new\" CONNECTION LIMIT 7" },
    { "{\"connection_limit\": 0}", false, NULL, "ALTER DATABASE \"new\" CONNECTION LIMIT 0" },
    { "{\"template\": true}", false, NULL, "ALTER DATABASE \"new\" IS_TEMPLATE true" },
    { "{\"settings\": [{\"setting\": \"search_path=a, \\\"b c\\\"\", \"role\": null}]}", true, NULL,
      "BEGIN\nSELECT set_config($1, $2, true) [search_path, a, \"b c\"]\n"
      "ALTER DATABASE \"shop\" SET \"search_path\" FROM CURRENT\nCOMMIT" },
    { "{\"settings\": [{\"setting\": \"my.x==\", \"role\": \"a \\\"b\\\"\"}]}", true, NULL,
      "BEGIN\nSELECT set_config($1, $2, true) [my.x, =]\n"
      "ALTER ROLE \"a \"\"b\"\"\" IN DATABASE \"shop\" SET \"my.x\" FROM CURRENT\nCOMMIT" },
    { "{\"settings\": [{\"setting\": \"x=it's\", \"role\": null}]}", true, "set_config",
      "BEGIN\nSELECT set_config($1, $2, true) [x, it's]\nROLLBACK\nALTER DATABASE \"shop\" SET \"x\" TO 'it''s'" },
    { "{\"default_acl\": false}", true, NULL, "REVOKE ALL ON DATABASE \"new\" FROM PUBLIC, \"o\"" },
    { "{\"default_acl\": false}", false, NULL, "" }, /* no owner, no grants */
    { "{\"default_acl\": false, \"acl\": ["
      "{\"grantor\": \"o\", \"grantee\": null, \"privilege\": \"CONNECT\", \"grantable\": false},"
      "{\"grantor\": \"o\", \"grantee\": \"r\\\"x\", \"privilege\": \"CREATE\", \"grantable\": true}]}",
      true, NULL,
      "REVOKE ALL ON DATABASE \"new\" FROM PUBLIC, \"o\"\nGRANT CONNECT ON DATABASE \"new\" TO PUBLIC\n"
      "GRANT CREATE ON DATABASE \"new\" TO \"r\"\"x\" WITH GRANT OPTION" },
};

/* As a restore does it: first what the database is to have, at the very end what may keep us out of it. */
static int
put_back(const struct properties *properties, struct pg_conn *maintenance, struct pg_conn *inside, bool owner)
{
    int rc = properties_apply(properties, maintenance, inside, "new", owner);

    return rc < 0 ? rc : properties_finish(properties, maintenance, "new");
}

START_TEST(the_rest_is_put_back_in_its_place)
{
    const struct apply_row *row = &apply_rows[_i];
    CLEANUP(properties_free) struct properties *properties = with(row->changes);
    CLEANUP(pg_close) struct pg_conn *maintenance = double_connect();
    CLEANUP(pg_close) struct pg_conn *inside = double_connect();
    CLEANUP_FREE char *log = NULL, *wanted = NULL;

    refused = row->refused;
    ck_assert_msg(put_back(properties, maintenance, inside, row->owner) == 0, "%s", error_text());
    log = double_log();
    wanted = mem_printf("connect shop\nconnect shop\nSELECT current_database()%s%s", *row->log ? "\n" : "", row->log);
    ck_assert_str_eq(log, wanted);
}
END_TEST

START_TEST(a_setting_that_is_refused_stops_nothing)
{
    CLEANUP(properties_free) struct properties *properties =
        with("{\"settings\": [{\"setting\": \"gone=1\"}, {\"setting\": \"kept=2\"}], \"comment\": \"c\"}");
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *log = NULL, *said = NULL;
    struct talk talk;
    int rc;

    refused = "\"gone\"";
    talk = talk_begin(STDERR_FILENO);
    rc = properties_apply(properties, conn, conn, "new", true);
    said = talk_end(&talk);
    ck_assert_int_eq(rc, 0);
    log = double_log();
    ck_assert_has(said, "that setting of the database is not put back");
    ck_assert_has(log, "SET \"kept\" FROM CURRENT");
    ck_assert_has(log, "COMMENT ON");
}
END_TEST

static const char *const needed[] = { "COMMENT", "REVOKE", "GRANT", "CONNECTION LIMIT", "IS_TEMPLATE" };

START_TEST(anything_else_that_is_refused_is_an_error)
{
    CLEANUP(properties_free) struct properties *properties =
        with("{\"comment\": \"c\", \"default_acl\": false, \"connection_limit\": 3, \"template\": true,"
             " \"acl\": [{\"grantee\": null, \"privilege\": \"CONNECT\", \"grantable\": false}]}");
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();

    refused = needed[_i];
    ck_assert_int_eq(put_back(properties, conn, conn, true), PGCASK_FAILED);
    ck_assert_error_has("properties of database \"new\": ");
}
END_TEST

/* ---- saving ---- */

static const char *outside_row, *inside_row;

static const char *
answer_save(const char *sql)
{
    return strstr(sql, "d.datname = $1") != NULL ? outside_row : inside_row;
}

static void
setup_save(void)
{
    double_start(answer_save);
}

START_TEST(what_two_sessions_see_becomes_one_text)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP(properties_free) struct properties *properties = NULL;
    CLEANUP_FREE char *text = NULL, *log = NULL;

    outside_row = "{\"owner\": \"o\", \"encoding\": \"UTF8\", \"connection_limit\": -1, \"template\": false,"
                  " \"default_acl\": true, \"acl\": [], \"roles\": [\"o\"]}\n";
    inside_row = "{\"comment\": \"c\", \"settings\": []}\n";
    ck_assert_msg(properties_save(conn, conn, "it's", &text) == 0, "%s", error_text());
    log = double_log();
    ck_assert_has(log, "d.datname = $1 [it's]");
    ck_assert_has(text, "\"comment\": \"c\"");
    ck_assert_msg(read_text(text, &properties) == 0, "%s", error_text());
}
END_TEST

static const struct save_row {
    const char *outside, *inside;
} save_rows[] = {
    { "", "{}\n" },           /* dropped meanwhile */
    { "{}\n", "" },
    { "!refused", "{}\n" },
    { "{}\n", "!refused" },
    { "rubbish\n", "{}\n" },
    { "{}\n", "[]\n" },
};

START_TEST(what_cannot_be_asked_is_not_saved)
{
    CLEANUP(pg_close) struct pg_conn *conn = double_connect();
    CLEANUP_FREE char *text = NULL;

    outside_row = save_rows[_i].outside;
    inside_row = save_rows[_i].inside;
    ck_assert_int_lt(properties_save(conn, conn, "shop", &text), 0);
    ck_assert_ptr_null(text);
    ck_assert_str_ne(error_text(), "");
}
END_TEST

static Suite *
properties_suite(void)
{
    Suite *suite = suite_create("properties");
    TCase *reading = tcase_create("reading"), *sql = tcase_create("sql"), *saving = tcase_create("saving");

    tcase_add_loop_test(reading, every_field_is_what_it_must_be, 0, ARRAY_LEN(read_rows));
    tcase_add_loop_test(reading, other_texts_are_refused, 0, ARRAY_LEN(no_json));
    tcase_add_test(reading, roles_are_listed);
    suite_add_tcase(suite, reading);
    tcase_add_checked_fixture(sql, setup, double_stop);
    tcase_add_loop_test(sql, the_database_is_made_as_it_was, 0, ARRAY_LEN(create_rows));
    tcase_add_test(sql, a_missing_tablespace_is_told_and_left_out);
    tcase_add_test(sql, what_cannot_be_made_is_named);
    tcase_add_loop_test(sql, the_rest_is_put_back_in_its_place, 0, ARRAY_LEN(apply_rows));
    tcase_add_test(sql, a_setting_that_is_refused_stops_nothing);
    tcase_add_loop_test(sql, anything_else_that_is_refused_is_an_error, 0, ARRAY_LEN(needed));
    suite_add_tcase(suite, sql);
    tcase_add_checked_fixture(saving, setup_save, double_stop);
    tcase_add_test(saving, what_two_sessions_see_becomes_one_text);
    tcase_add_loop_test(saving, what_cannot_be_asked_is_not_saved, 0, ARRAY_LEN(save_rows));
    suite_add_tcase(suite, saving);
    return suite;
}

UNIT_MAIN(properties_suite)
