/* SPDX-License-Identifier: PostgreSQL
 *
 * Plans of rescues: what belongs to a table, in which order it comes back, and
 * what of the rest of the database is left alone.
 */
#include "config.h"

#include "pg/rescue.h"

#include "unit-rescue.h"

/* Everything that belongs to s.t, mixed with what does not. */
static const struct made_entry whole[] = {
    { 1, ARCHIVE_PRE_DATA, .desc = "ENCODING", .tag = "ENCODING", .defn = "SET client_encoding = 'LATIN1';\n" },
    { 2, PRE, .desc = "SCHEMA", .tag = "s", .defn = "CREATE SCHEMA s;\n", .owner = "me" },
    { 9, PRE, .desc = "FUNCTION", .tag = "f()", .defn = "CREATE FUNCTION s.f() …;\n", .owner = "me" },
    { 10, PRE, .desc = "TABLE", .tag = "t",
      .defn = "CREATE TABLE s.t (\n    id integer\n);\n\n\n", .owner = "me", .relkind = 'r' },
    { 11, NONE, .desc = "COMMENT", .tag = "TABLE t",
      .defn = "COMMENT ON TABLE s.t IS 'x';\n", .owner = "me", .deps = "10" },
    { 12, NONE, .desc = "ACL", .tag = "TABLE t",
      .defn = "GRANT SELECT ON TABLE s.t TO you;\n", .owner = "me", .deps = "10" },
    { 13, NONE, .desc = "SECURITY LABEL", .tag = "TABLE t",
      .defn = "SECURITY LABEL FOR p ON TABLE s.t IS 'x';\n", .deps = "10" },
    { 20, PRE, .desc = "TABLE", .tag = "other",
      .defn = "CREATE TABLE s.other (id integer);\n", .owner = "me", .relkind = 'r' },
    { 21, NONE, .desc = "COMMENT", .tag = "TABLE other", .defn = "COMMENT ON TABLE s.other IS 'x';\n", .deps = "20" },
    { 22, PRE, .desc = "SEQUENCE", .tag = "q", .defn = "CREATE SEQUENCE s.q;\n", .owner = "me", .deps = "10" },
    { 23, PRE, .desc = "SEQUENCE", .tag = "free", .defn = "CREATE SEQUENCE s.free;\n", .owner = "me" },
    { 24, PRE, .desc = "SEQUENCE OWNED BY", .tag = "q",
      .defn = "ALTER SEQUENCE s.q OWNED BY s.t.id;\n", .owner = "me" },
    { 25, PRE, .desc = "SEQUENCE OWNED BY", .tag = "qo", .defn = "ALTER SEQUENCE s.qo OWNED BY s.other.id;\n" },
    { 26, PRE, .desc = "SEQUENCE", .tag = "ident", .owner = "me",
      .defn = "ALTER TABLE s.t ALTER COLUMN i ADD GENERATED ALWAYS AS IDENTITY (\n    SEQUENCE NAME s.ident\n);\n" },
    { 27, PRE, .desc = "VIEW", .tag = "v", .defn = "CREATE VIEW s.v AS SELECT * FROM s.t;\n", .deps = "10" },
    { 28, NONE, .desc = "COMMENT", .tag = "VIEW v", .defn = "COMMENT ON VIEW s.v IS 'x';\n", .deps = "27" },
    { 30, PRE, .desc = "DEFAULT", .tag = "t id", .owner = "me",
      .defn = "ALTER TABLE ONLY s.t ALTER COLUMN id SET DEFAULT nextval('s.q'::regclass);\n" },
    { 31, PRE, .desc = "DEFAULT", .tag = "other id",
      .defn = "ALTER TABLE ONLY s.other ALTER COLUMN id SET DEFAULT 1;\n" },
    { 40, DATA, .desc = "TABLE DATA", .tag = "other", .copy_stmt = "COPY s.other (id) FROM stdin;\n" },
    { 41, DATA, .desc = "TABLE DATA", .tag = "t", .copy_stmt = "COPY s.t (id) FROM stdin;\n", .owner = "me" },
    { 42, DATA, .desc = "SEQUENCE SET", .tag = "q", .defn = "SELECT pg_catalog.setval('s.q', 7, true);\n" },
    { 43, DATA, .desc = "SEQUENCE SET", .tag = "free", .defn = "SELECT pg_catalog.setval('s.free', 7, true);\n" },
    { 44, DATA, .desc = "SEQUENCE SET", .tag = "ident", .defn = "SELECT pg_catalog.setval('s.ident', 1, false);\n" },
    { 45, DATA, .desc = "STATISTICS DATA", .tag = "t",
      .defn = "SELECT * FROM pg_catalog.pg_restore_relation_stats();\n", .deps = "10" },
    { 50, POST, .desc = "CONSTRAINT", .tag = "t p",
      .defn = "ALTER TABLE ONLY s.t\n    ADD CONSTRAINT p PRIMARY KEY (id);\n" },
    { 51, POST, .desc = "CONSTRAINT", .tag = "other p",
      .defn = "ALTER TABLE ONLY s.other\n    ADD CONSTRAINT op PRIMARY KEY (id);\n" },
    { 52, POST, .desc = "CHECK CONSTRAINT", .tag = "t c",
      .defn = "ALTER TABLE s.t ADD CONSTRAINT c CHECK (s.f(id)) NOT VALID;\n" },
    { 53, POST, .desc = "INDEX", .tag = "i", .owner = "me",
      .defn = "CREATE INDEX i ON s.t USING btree (id);\n\nALTER TABLE s.t CLUSTER ON i;\n\n"
        "ALTER INDEX s.i ALTER COLUMN 1 SET STATISTICS 5;\n" },
    { 54, NONE, .desc = "COMMENT", .tag = "INDEX i", .defn = "COMMENT ON INDEX s.i IS 'x';\n", .deps = "53" },
    { 55, POST, .desc = "STATISTICS", .tag = "st",
      .defn = "CREATE STATISTICS s.st ON (id + 1), i FROM s.t;\n", .owner = "me" },
    { 56, POST, .desc = "RULE", .tag = "t r",
      .defn = "CREATE RULE r AS\n    ON INSERT TO s.t DO INSERT INTO s.other (id) VALUES (new.id);\n" },
    { 57, POST, .desc = "RULE", .tag = "other r",
      .defn = "CREATE RULE r AS\n    ON INSERT TO s.other DO DELETE FROM s.t;\n" },
    { 58, POST, .desc = "TRIGGER", .tag = "t tr",
      .defn = "CREATE TRIGGER tr BEFORE UPDATE OF \"on\" ON s.t FOR EACH ROW EXECUTE FUNCTION s.f();\n" },
    { 59, POST, .desc = "TRIGGER", .tag = "other tr",
      .defn = "CREATE TRIGGER tr AFTER INSERT ON s.other FROM s.t EXECUTE FUNCTION s.f();\n" },
    { 60, POST, .desc = "FK CONSTRAINT", .tag = "t fk",
      .defn = "ALTER TABLE ONLY s.t\n    ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES s.other(id);\n" },
    { 61, NONE, .desc = "COMMENT", .tag = "CONSTRAINT fk ON t",
      .defn = "COMMENT ON CONSTRAINT fk ON s.t IS 'x';\n", .deps = "60" },
    { 62, POST, .desc = "FK CONSTRAINT", .tag = "other fk",
      .defn = "ALTER TABLE ONLY s.other\n    ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES s.t(id);\n" },
    { 63, POST, .desc = "POLICY", .tag = "t po",
      .defn = "CREATE POLICY po ON s.t USING ((EXISTS ( SELECT 1 FROM s.other)));\n" },
    { 64, POST, .desc = "ROW SECURITY", .tag = "t", .defn = "ALTER TABLE s.t ENABLE ROW LEVEL SECURITY;\n" },
    { 65, POST, .desc = "PUBLICATION TABLE", .tag = "pub t",
      .defn = "ALTER PUBLICATION pub ADD TABLE ONLY s.t;\n", .deps = "10" },
    { 66, NONE, .desc = "ACL", .tag = "SEQUENCE q", .defn = "GRANT USAGE ON SEQUENCE s.q TO you;\n", .deps = "22" },
};

START_TEST(whole_table_comes_back_in_order)
{
    CLEANUP(archive_free) struct archive *archive = make_archive(whole, ARRAY_LEN(whole));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, "s.t", "r", &text), 0);
    ck_assert_str_eq(text.data,
        "CREATE SCHEMA IF NOT EXISTS \"r\";\n"
        "SET client_encoding = 'LATIN1';\n"
        "CREATE TABLE \"r\".t (\n    id integer\n);\n"
        "ALTER TABLE \"r\".\"t\" OWNER TO \"me\";\n"
        "COMMENT ON TABLE \"r\".t IS 'x';\n"
        "SECURITY LABEL FOR p ON TABLE \"r\".t IS 'x';\n"
        "CREATE SEQUENCE \"r\".q;\n"
        "ALTER SEQUENCE \"r\".\"q\" OWNER TO \"me\";\n"
        "ALTER SEQUENCE \"r\".q OWNED BY \"r\".t.id;\n"
        "ALTER TABLE \"r\".t ALTER COLUMN i ADD GENERATED ALWAYS AS IDENTITY (\n    SEQUENCE NAME \"r\".ident\n);\n"
        "ALTER TABLE ONLY \"r\".t ALTER COLUMN id SET DEFAULT nextval('\"r\".\"q\"'::regclass);\n"
        "<s.t 41> COPY \"r\".\"t\" (id) FROM stdin;\n"
        "SELECT pg_catalog.setval('\"r\".\"q\"', 7, true);\n"
        "SELECT pg_catalog.setval('\"r\".\"ident\"', 1, false);\n"
        "ALTER TABLE ONLY \"r\".t\n    ADD CONSTRAINT p PRIMARY KEY (id);\n"
        "ALTER TABLE \"r\".t ADD CONSTRAINT c CHECK (s.f(id)) NOT VALID;\n"
        "CREATE INDEX i ON \"r\".t USING btree (id);\n\nALTER TABLE \"r\".t CLUSTER ON i;\n\n"
        "ALTER INDEX \"r\".i ALTER COLUMN 1 SET STATISTICS 5;\n"
        "COMMENT ON INDEX \"r\".i IS 'x';\n"
        "CREATE STATISTICS \"r\".st ON (id + 1), i FROM \"r\".t;\n"
        "ALTER STATISTICS \"r\".\"st\" OWNER TO \"me\";\n"
        "CREATE RULE r AS\n    ON INSERT TO \"r\".t DO INSERT INTO s.other (id) VALUES (new.id);\n"
        "CREATE TRIGGER tr BEFORE UPDATE OF \"on\" ON \"r\".t FOR EACH ROW EXECUTE FUNCTION s.f();\n"
        "FK ALTER TABLE ONLY \"r\".t\n    ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES s.other(id);\n"
        "FK COMMENT ON CONSTRAINT fk ON \"r\".t IS 'x';\n"
        "CREATE POLICY po ON \"r\".t USING ((EXISTS ( SELECT 1 FROM s.other)));\n"
        "ALTER TABLE \"r\".t ENABLE ROW LEVEL SECURITY;\n"
        "GRANT SELECT ON TABLE \"r\".t TO you;\n"
        "GRANT USAGE ON SEQUENCE \"r\".q TO you;\n");
}
END_TEST

START_TEST(session_is_set_up_before_anything_is_made)
{
    static const char *const wanted[] = {
        "CREATE SCHEMA IF NOT EXISTS \"r \"\"1\"\"\";", "SET statement_timeout = 0;",
        "SET idle_in_transaction_session_timeout = 0;", "SET standard_conforming_strings = on;",
        "SELECT pg_catalog.set_config('search_path', '', false);", "SET check_function_bodies = false;",
        "SET xmloption = content;", "SET client_min_messages = warning;", "SET row_security = off;",
        "SET client_encoding = 'LATIN1';",
    };
    CLEANUP(archive_free) struct archive *archive = make_archive(whole, ARRAY_LEN(whole));
    CLEANUP_STRV struct strv tables = { 0 };
    struct rescue_plan plan = { 0 };

    strv_add(&tables, "s.other");
    ck_assert_int_eq(rescue_plan_make(archive, &tables, "r \"1\"", &plan), 0);
    ck_assert_uint_gt(plan.len, ARRAY_LEN(wanted));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        ck_assert_str_eq(plan.steps[i].sql, wanted[i]);
    rescue_plan_free(&plan);
}
END_TEST

START_TEST(without_a_target_names_stay)
{
    CLEANUP(archive_free) struct archive *archive = make_archive(whole, ARRAY_LEN(whole));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, "s.other", NULL, &text), 0);
    ck_assert_ptr_null(strstr(text.data, "CREATE SCHEMA"));
    ck_assert_ptr_nonnull(strstr(text.data, "CREATE TABLE s.other (id integer);\n"));
    ck_assert_ptr_nonnull(strstr(text.data, "<s.other 40> COPY \"s\".\"other\" (id) FROM stdin;\n"));
    ck_assert_ptr_nonnull(strstr(text.data, "FK ALTER TABLE ONLY s.other\n"
    "    ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES s.t(id);\n"));
    ck_assert_ptr_null(strstr(text.data, "CREATE TABLE s.t "));
}
END_TEST

START_TEST(foreign_keys_among_the_rescued_point_to_the_rescued)
{
    CLEANUP(archive_free) struct archive *archive = make_archive(whole, ARRAY_LEN(whole));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, "s.t s.other s.t", "r", &text), 0);
    ck_assert_ptr_nonnull(strstr(text.data, "FOREIGN KEY (id) REFERENCES \"r\".other(id)"));
    ck_assert_ptr_nonnull(strstr(text.data, "FOREIGN KEY (id) REFERENCES \"r\".t(id)"));
    ck_assert_ptr_nonnull(strstr(text.data, "ON INSERT TO \"r\".other DO DELETE FROM \"r\".t;"));
    ck_assert_ptr_null(strstr(strstr(text.data, "CREATE TABLE \"r\".t") + 1, "CREATE TABLE \"r\".t")); /* once */
}
END_TEST

static const struct refused_row {
    const char *tables, *target;
    int code;
    const char *error, *cure;
} refused_rows[] = {
    { "s.tt", "r", ERROR_USAGE, "no table 's.tt' in this backup", "did you mean 's.t'?" },
    { "s.t S.other", "r", ERROR_USAGE, "no table 'S.other' in this backup", "did you mean 's.other'?" },
    { "nowhere.nothing_like_that", "r", ERROR_USAGE, "no table 'nowhere.nothing_like_that' in this backup", NULL },
    { "s.v", NULL, ERROR_USAGE, "no table 's.v' in this backup", "did you mean 's.t'?" }, /* a view */
    { "other", "r", ERROR_USAGE, "'other' is not of the form SCHEMA.TABLE", "did you mean 's.other'?" },
    { "a.b.c", "r", ERROR_USAGE, "'a.b.c' is not of the form SCHEMA.TABLE", "a part that holds a dot" },
};

START_TEST(impossible_wish_is_refused_with_a_cure)
{
    const struct refused_row *row = &refused_rows[_i];
    CLEANUP(archive_free) struct archive *archive = make_archive(whole, ARRAY_LEN(whole));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, row->tables, row->target, &text), row->code);
    ck_assert_str_eq(error_text(), row->error);
    if (row->cure == NULL)
        ck_assert_ptr_null(error_cure());
    else
        ck_assert_msg(strstr(error_cure(), row->cure) != NULL, "cure is '%s'", error_cure());
}
END_TEST

static const struct made_entry clashing[] = {
    { 10, PRE, .desc = "TABLE", .tag = "t", .defn = "CREATE TABLE s.t ();", .relkind = 'r' },
    { 11, ARCHIVE_PRE_DATA, .desc = "TABLE", .schema = "x", .tag = "t",
      .defn = "CREATE TABLE x.t ();", .relkind = 'r' },
    { 12, ARCHIVE_PRE_DATA, .desc = "TABLE", .schema = "x", .tag = "u",
      .defn = "CREATE TABLE x.u ();", .relkind = 'r' },
    { 13, POST, .desc = "INDEX", .tag = "u", .defn = "CREATE UNIQUE INDEX u ON s.t USING btree (a);" },
};
static const struct clash_row {
    const char *tables, *target, *error; /* NULL: no clash */
} clash_rows[] = {
    { "s.t x.t", "r", "'s.t' and 'x.t' would have one name in schema 'r'" },
    { "s.t x.u", "r", "'s.u' and 'x.u' would have one name in schema 'r'" }, /* an index and a table */
    { "x.t x.u", "r", NULL },
    { "s.t x.t", NULL, NULL },
};

START_TEST(two_things_of_one_name_are_refused)
{
    const struct clash_row *row = &clash_rows[_i];
    CLEANUP(archive_free) struct archive *archive = make_archive(clashing, ARRAY_LEN(clashing));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, row->tables, row->target, &text), row->error != NULL ? ERROR_USAGE : 0);
    if (row->error != NULL)
        ck_assert_str_eq(error_text(), row->error);
}
END_TEST

static Suite *
rescue_suite(void)
{
    Suite *suite = suite_create("rescue");
    TCase *tcase = tcase_create("rescue");

    tcase_add_test(tcase, whole_table_comes_back_in_order);
    tcase_add_test(tcase, session_is_set_up_before_anything_is_made);
    tcase_add_test(tcase, without_a_target_names_stay);
    tcase_add_test(tcase, foreign_keys_among_the_rescued_point_to_the_rescued);
    tcase_add_loop_test(tcase, impossible_wish_is_refused_with_a_cure, 0, ARRAY_LEN(refused_rows));
    tcase_add_loop_test(tcase, two_things_of_one_name_are_refused, 0, ARRAY_LEN(clash_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(rescue_suite)
