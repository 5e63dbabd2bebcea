/* SPDX-License-Identifier: PostgreSQL
 *
 * What a rescue puts to the SQL of single entries or takes off it: partitions,
 * inheritance, storage, rows, grants; and real archives.
 */
#include "config.h"

#include "pg/rescue.h"

#include "unit-rescue.h"

/* s.p has the partitions p1 (an own entry attaches it) and p2 (its definition does: PostgreSQL 13); p2 has p2a. */
static const struct made_entry parts[] = {
    { 10, PRE, .desc = "TABLE", .tag = "p",
      .defn = "CREATE TABLE s.p (\n    id integer\n)\nPARTITION BY RANGE (id);\n" },
    { 11, PRE, .desc = "TABLE", .tag = "p1", .defn = "CREATE TABLE s.p1 (\n    id integer\n);\n" },
    { 12, PRE, .desc = "TABLE", .tag = "p2",
      .defn = "CREATE TABLE s.p2 (\n    id integer\n)\nPARTITION BY LIST (id);\n"
        "ALTER TABLE ONLY s.p ATTACH PARTITION s.p2 DEFAULT;\n" },
    { 13, PRE, .desc = "TABLE", .tag = "p2a",
      .defn = "CREATE TABLE s.p2a (\n    id integer\n);\nALTER TABLE ONLY s.p2 ATTACH PARTITION s.p2a DEFAULT;\n" },
    { 14, PRE, .desc = "FOREIGN TABLE", .tag = "pf",
      .defn = "CREATE FOREIGN TABLE s.pf (\n    id integer\n)\nSERVER x;\n",
      .owner = "me" },
    { 15, PRE, .desc = "TABLE ATTACH", .tag = "p1",
      .defn = "ALTER TABLE ONLY s.p ATTACH PARTITION s.p1 FOR VALUES FROM (1) TO (2);\n" },
    { 16, PRE, .desc = "TABLE ATTACH", .tag = "pf",
      .defn = "ALTER TABLE ONLY s.p ATTACH PARTITION s.pf FOR VALUES FROM (2) TO (3);\n" },
    /* --load-via-partition-root */
    { 20, DATA, .desc = "TABLE DATA", .tag = "p1", .copy_stmt = "COPY s.p (id) FROM stdin;\n" },
    { 21, DATA, .desc = "TABLE DATA", .tag = "pf", .copy_stmt = "COPY s.pf (id) FROM stdin;\n" },
    { 30, POST, .desc = "INDEX", .tag = "i", .defn = "CREATE INDEX i ON ONLY s.p USING btree (id);\n" },
    { 31, POST, .desc = "CONSTRAINT", .tag = "p1 k",
      .defn = "ALTER TABLE ONLY s.p1\n    ADD CONSTRAINT i1 UNIQUE (id);\n" },
    { 32, POST, .desc = "INDEX ATTACH", .tag = "i1", .defn = "ALTER INDEX s.i ATTACH PARTITION s.i1;\n" },
    { 33, POST, .desc = "TRIGGER", .tag = "p1 tr", .defn = "\nALTER TABLE s.p1 DISABLE TRIGGER tr;\n" },
};

START_TEST(partitioned_table_brings_its_partitions)
{
    CLEANUP(archive_free) struct archive *archive = make_archive(parts, ARRAY_LEN(parts));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, "s.p", "r", &text), 0);
    ck_assert_str_eq(text.data,
        "CREATE SCHEMA IF NOT EXISTS \"r\";\n"
        "CREATE TABLE \"r\".p (\n    id integer\n)\nPARTITION BY RANGE (id);\n"
        "CREATE TABLE \"r\".p1 (\n    id integer\n);\n"
        "CREATE TABLE \"r\".p2 (\n    id integer\n)\nPARTITION BY LIST (id);\n"
        "ALTER TABLE ONLY \"r\".p ATTACH PARTITION \"r\".p2 DEFAULT;\n"
        "CREATE TABLE \"r\".p2a (\n    id integer\n);\n"
        "ALTER TABLE ONLY \"r\".p2 ATTACH PARTITION \"r\".p2a DEFAULT;\n"
        "CREATE FOREIGN TABLE \"r\".pf (\n    id integer\n)\nSERVER x;\n"
        "ALTER FOREIGN TABLE \"r\".\"pf\" OWNER TO \"me\";\n"
        "ALTER TABLE ONLY \"r\".p ATTACH PARTITION \"r\".p1 FOR VALUES FROM (1) TO (2);\n"
        "ALTER TABLE ONLY \"r\".p ATTACH PARTITION \"r\".pf FOR VALUES FROM (2) TO (3);\n"
        "<s.p1 20> COPY \"r\".\"p\" (id) FROM stdin;\n" /* rows by the root, which is rescued, too */
        "<s.p2a -1> COPY \"r\".\"p2a\" FROM stdin;\n"   /* rows elsewhere; none of p, p2 and the foreign table */
        "CREATE INDEX i ON ONLY \"r\".p USING btree (id);\n"
        "ALTER TABLE ONLY \"r\".p1\n    ADD CONSTRAINT i1 UNIQUE (id);\n"
        "ALTER INDEX \"r\".i ATTACH PARTITION \"r\".i1;\n"
        "ALTER TABLE \"r\".p1 DISABLE TRIGGER tr;\n");
}
END_TEST

static const struct lone_row {
    const char *table, *plan;
} lone_rows[] = {
    { "s.p1", "CREATE SCHEMA IF NOT EXISTS \"r\";\n"
              "CREATE TABLE \"r\".p1 (\n    id integer\n);\n"
              "<s.p1 20> COPY \"r\".\"p1\" (id) FROM stdin;\n" /* never into the root that is there */
              "ALTER TABLE ONLY \"r\".p1\n    ADD CONSTRAINT i1 UNIQUE (id);\n" },
    { "s.p2", "CREATE SCHEMA IF NOT EXISTS \"r\";\n"
              "CREATE TABLE \"r\".p2 (\n    id integer\n)\nPARTITION BY LIST (id);\n"
              "CREATE TABLE \"r\".p2a (\n    id integer\n);\n"
              "ALTER TABLE ONLY \"r\".p2 ATTACH PARTITION \"r\".p2a DEFAULT;\n"
              "<s.p2a -1> COPY \"r\".\"p2a\" FROM stdin;\n" },
};

START_TEST(partition_alone_is_not_attached_to_what_is_there)
{
    CLEANUP(archive_free) struct archive *archive = make_archive(parts, ARRAY_LEN(parts));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, lone_rows[_i].table, "r", &text), 0);
    ck_assert_str_eq(text.data, lone_rows[_i].plan);
}
END_TEST

static const struct made_entry heirs[] = {
    { 10, PRE, .desc = "TABLE", .tag = "a", .defn = "CREATE TABLE s.a (\n    id integer\n);\n", .relkind = 'r' },
    { 11, PRE, .desc = "TABLE", .tag = "B b", .defn = "CREATE TABLE s.\"B b\" (\n);\n", .relkind = 'r' },
    { 12, PRE, .desc = "TABLE", .tag = "kid", .relkind = 'r',
      .defn = "CREATE TABLE s.kid (\n    c integer\n)\nINHERITS (s.a, s.\"B b\")\nWITH (fillfactor='70');\n" },
};
static const struct heir_row {
    const char *tables, *target, *tail; /* what stands behind the definition of s.kid */
} heir_rows[] = {
    { "s.kid", "r", "INHERITS (s.a, s.\"B b\")\nWITH (fillfactor='70');\n\n"
                    "ALTER TABLE ONLY \"r\".\"kid\" NO INHERIT \"s\".\"a\";\n"
                    "ALTER TABLE ONLY \"r\".\"kid\" NO INHERIT \"s\".\"B b\";\n<" },
    { "s.a s.kid", "r", "INHERITS (\"r\".a, s.\"B b\")\nWITH (fillfactor='70');\n\n"
                        "ALTER TABLE ONLY \"r\".\"kid\" NO INHERIT \"s\".\"B b\";\n<" },
    /* in its old place it is a child again */
    { "s.kid", NULL, "INHERITS (s.a, s.\"B b\")\nWITH (fillfactor='70');\n<" },
};

START_TEST(heir_lets_go_of_parents_that_are_not_rescued)
{
    const struct heir_row *row = &heir_rows[_i];
    CLEANUP(archive_free) struct archive *archive = make_archive(heirs, ARRAY_LEN(heirs));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, row->tables, row->target, &text), 0);
    ck_assert_msg(strstr(text.data, row->tail) != NULL, "plan is\n%s", text.data);
}
END_TEST

static const struct made_entry stored[] = {
    { 10, PRE, .desc = "TABLE", .tag = "a",
      .defn = "CREATE TABLE s.a ();\n", .tablespace = "", .tableam = "heap", .relkind = 'r' },
    { 11, PRE, .desc = "TABLE", .tag = "b",
      .defn = "CREATE TABLE s.b ();\n", .tablespace = "T s", .tableam = "heap", .relkind = 'r' },
    { 12, PRE, .desc = "TABLE", .tag = "c",
      .defn = "CREATE TABLE s.c ();\n", .tablespace = "T s", .tableam = "zheap", .relkind = 'r' },
    { 13, PRE, .desc = "TABLE", .tag = "p", .defn = "CREATE TABLE s.p ()\nPARTITION BY RANGE (id);\n", .tablespace = "",
      .tableam = "heap", .relkind = 'p' },
    { 20, POST, .desc = "INDEX", .tag = "i", .defn = "CREATE INDEX i ON s.a USING btree (id);\n", .tablespace = "T s" },
    { 21, POST, .desc = "FK CONSTRAINT", .tag = "a fk",
      .defn = "ALTER TABLE ONLY s.a\n    ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES s.c(id);\n" },
};

START_TEST(storage_is_chosen_as_pg_restore_does)
{
    CLEANUP(archive_free) struct archive *archive = make_archive(stored, ARRAY_LEN(stored));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, "s.a s.b s.c s.p", "r", &text), 0);
    ck_assert_str_eq(text.data,
        "CREATE SCHEMA IF NOT EXISTS \"r\";\n"
        "SET default_tablespace = '';\n"
        "SET default_table_access_method = \"heap\";\n"
        "CREATE TABLE \"r\".a ();\n"
        "SET default_tablespace = \"T s\";\n"
        "CREATE TABLE \"r\".b ();\n"
        "SET default_table_access_method = \"zheap\";\n"
        "CREATE TABLE \"r\".c ();\n"
        "SET default_tablespace = '';\n"
        "CREATE TABLE \"r\".p ()\nPARTITION BY RANGE (id);\n\nALTER TABLE \"r\".\"p\" SET ACCESS METHOD \"heap\";\n"
        "<s.a -1> COPY \"r\".\"a\" FROM stdin;\n"
        "<s.b -1> COPY \"r\".\"b\" FROM stdin;\n"
        "<s.c -1> COPY \"r\".\"c\" FROM stdin;\n"
        "SET default_tablespace = \"T s\";\n"
        "CREATE INDEX i ON \"r\".a USING btree (id);\n"
        "FK ALTER TABLE ONLY \"r\".a\n    ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES \"r\".c(id);\n");
}
END_TEST

static const struct made_entry rights[] = {
    { 10, PRE, .desc = "TABLE", .tag = "a", .defn = "CREATE TABLE s.a ();\n", .relkind = 'r' },
    { 20, NONE, .desc = "ACL", .tag = "TABLE a", .deps = "10",
      .defn = "GRANT SELECT ON TABLE s.a TO \"Me\" WITH GRANT OPTION;\nSET SESSION AUTHORIZATION \"Me\";\n"
              "GRANT SELECT ON TABLE s.a TO you;\nRESET SESSION AUTHORIZATION;\nSET SESSION AUTHORIZATION \"Me\";\n"
              "GRANT SELECT ON TABLE s.a TO them;\nRESET SESSION AUTHORIZATION;\n" },
};
static const struct right_row {
    const char *target, *before, *behind;
} right_rows[] = {
    { "r", "\nGRANT USAGE ON SCHEMA \"r\" TO \"Me\";\nGRANT SELECT ON TABLE \"r\".a TO \"Me\" WITH GRANT OPTION;\n",
      "RESET SESSION AUTHORIZATION;\n\nREVOKE USAGE ON SCHEMA \"r\" FROM \"Me\";\n" },
    { NULL, "\nGRANT SELECT ON TABLE s.a TO \"Me\" WITH GRANT OPTION;\n", "them;\nRESET SESSION AUTHORIZATION;\n" },
};

START_TEST(grantor_may_look_into_the_schema_while_granting)
{
    CLEANUP(archive_free) struct archive *archive = make_archive(rights, ARRAY_LEN(rights));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);
    const char *before;

    ck_assert_int_eq(plan_archive(archive, "s.a", right_rows[_i].target, &text), 0);
    before = strstr(text.data, right_rows[_i].before);
    ck_assert_msg(before != NULL, "plan is\n%s", text.data);
    ck_assert_msg(strstr(before, right_rows[_i].behind) != NULL, "plan is\n%s", text.data);
}
END_TEST

static const struct made_entry data_only[] = {
    { 1, ARCHIVE_PRE_DATA, .desc = "ENCODING", .tag = "ENCODING", .defn = "SET client_encoding = 'UTF8';\n" },
    { 10, DATA, .desc = "TABLE DATA", .tag = "a", .copy_stmt = "COPY s.a (id, x) FROM stdin;\n" },
    { 11, DATA, .desc = "TABLE DATA", .tag = "b", .copy_stmt = "COPY s.b (id) FROM stdin;\n" },
    { 12, DATA, .desc = "SEQUENCE SET", .tag = "a_id_seq",
      .defn = "SELECT pg_catalog.setval('s.a_id_seq', 7, true);\n" },
};
static const struct data_row {
    const char *tables, *target, *plan;
} data_rows[] = {
    { "s.a", "r", "<s.a 10> COPY \"r\".\"a\" (id, x) FROM stdin;\n" },
    { "s.b s.a", NULL, "<s.a 10> COPY \"s\".\"a\" (id, x) FROM stdin;\n<s.b 11> COPY \"s\".\"b\" (id) FROM stdin;\n" },
};

START_TEST(data_only_archive_gives_data_steps_only)
{
    CLEANUP(archive_free) struct archive *archive = make_archive(data_only, ARRAY_LEN(data_only));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, data_rows[_i].tables, data_rows[_i].target, &text), 0);
    ck_assert_str_eq(text.data, data_rows[_i].plan);
}
END_TEST

/* An archive that cannot be rescued from. */
static const struct broken_row {
    struct made_entry entry;
    int code;
    const char *error;
} broken_rows[] = {
    { { 11, DATA, .desc = "TABLE DATA", .tag = "a" }, PGCASK_UNSUPPORTED, "rows of table 'a' were dumped as "
      "INSERT statements" },
    { { 11, DATA, .desc = "TABLE DATA", .tag = "a", .copy_stmt = "COPY FROM stdin;" }, ERROR_CORRUPT, "entry 11 "
      "of the archive (TABLE DATA)" },
    { { 11, NONE, .desc = "COMMENT", .tag = "a", .deps = "10", .defn = "COMMENT ON TABLE s.a IS 'x" }, ERROR_CORRUPT,
      "entry 11 of the archive (COMMENT): unclosed quote" },
};

START_TEST(broken_entry_is_named)
{
    struct made_entry entries[] = { { 10, PRE, .desc = "TABLE", .tag = "a", .defn = "CREATE TABLE s.a ();" },
                                    broken_rows[_i].entry };
    CLEANUP(archive_free) struct archive *archive = make_archive(entries, ARRAY_LEN(entries));
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);

    ck_assert_int_eq(plan_archive(archive, "s.a", "r", &text), broken_rows[_i].code);
    ck_assert_error_has(broken_rows[_i].error);
}
END_TEST

/* Of PostgreSQL 15 and 18: the same but for the numbers. */
static const char *const fixtures[] = { "small-15.dump", "small-18.dump" };

START_TEST(real_table_is_planned)
{
    CLEANUP_BUF struct buf file = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP_BUF struct buf text = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP(archive_free) struct archive *archive = NULL;
    static const char *const wanted[] = {
        "CREATE TABLE \"r\".customer (\n    id integer NOT NULL,\n    name text NOT NULL,\n    country text,\n"
        "    boss integer\n);\n"
        "ALTER TABLE \"r\".\"customer\" OWNER TO \"postgres\";\n"
        "COMMENT ON TABLE \"r\".customer IS 'who buys; ''shop.customer''::regclass';\n"
        "CREATE SEQUENCE \"r\".customer_id_seq\n",
        "ALTER SEQUENCE \"r\".customer_id_seq OWNED BY \"r\".customer.id;\n"
        "ALTER TABLE ONLY \"r\".customer ALTER COLUMN id SET DEFAULT "
        "nextval('\"r\".\"customer_id_seq\"'::regclass);\n<shop.customer ",
        "> COPY \"r\".\"customer\" (id, name, country, boss) FROM stdin;\n"
        "SELECT pg_catalog.setval('\"r\".\"customer_id_seq\"', 2, true);\n"
        "ALTER TABLE ONLY \"r\".customer\n    ADD CONSTRAINT customer_pkey PRIMARY KEY (id);\n",
        "FK ALTER TABLE ONLY \"r\".customer\n    ADD CONSTRAINT customer_boss_fkey FOREIGN KEY (boss) "
        "REFERENCES \"r\".customer(id);\n"
        "FK ALTER TABLE ONLY \"r\".customer\n    ADD CONSTRAINT customer_country_fkey FOREIGN KEY (country) "
        "REFERENCES shop.country(code);\n"
        "FK COMMENT ON CONSTRAINT customer_country_fkey ON \"r\".customer IS 'known countries only';\n"
        "GRANT SELECT ON TABLE \"r\".customer TO PUBLIC;\n",
    };

    read_fixture(fixtures[_i], &file);
    archive = load_made(&file);
    ck_assert_int_eq(plan_archive(archive, "shop.customer", "r", &text), 0);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        ck_assert_msg(strstr(text.data, wanted[i]) != NULL, "%zu not in\n%s", i, text.data);
    ck_assert_ptr_null(strstr(text.data, "CREATE TABLE \"r\".country"));
}
END_TEST

static Suite *
rescue_define_suite(void)
{
    Suite *suite = suite_create("rescue-define");
    TCase *tcase = tcase_create("rescue-define");

    tcase_add_test(tcase, partitioned_table_brings_its_partitions);
    tcase_add_loop_test(tcase, partition_alone_is_not_attached_to_what_is_there, 0, ARRAY_LEN(lone_rows));
    tcase_add_loop_test(tcase, heir_lets_go_of_parents_that_are_not_rescued, 0, ARRAY_LEN(heir_rows));
    tcase_add_test(tcase, storage_is_chosen_as_pg_restore_does);
    tcase_add_loop_test(tcase, grantor_may_look_into_the_schema_while_granting, 0, ARRAY_LEN(right_rows));
    tcase_add_loop_test(tcase, data_only_archive_gives_data_steps_only, 0, ARRAY_LEN(data_rows));
    tcase_add_loop_test(tcase, broken_entry_is_named, 0, ARRAY_LEN(broken_rows));
    tcase_add_loop_test(tcase, real_table_is_planned, 0, ARRAY_LEN(fixtures));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(rescue_define_suite)
