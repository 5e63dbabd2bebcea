/* SPDX-License-Identifier: PostgreSQL
 *
 * Which names in a piece of SQL move to the target schema, and which only look like it.
 */
#include "config.h"

#include "pg/rescue-move.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

/* Rescued: tables s.t, s.audit, "S "
"1"."T.x"; index s.i; sequence s.q; statistics s.st. Target: r. `moved` NULL: as it is. */
static const struct move_row {
    const char *sql, *moved;
} move_rows[] = {
    /* names of tables */
    { "CREATE TABLE s.t (\n    id integer\n);", "CREATE TABLE \"r\".t (\n    id integer\n);" },
    { "CREATE TABLE s.other (id integer);", NULL },
    { "CREATE TABLE x.t (id integer);", NULL },
    { "ALTER TABLE ONLY S.T ADD c int", "ALTER TABLE ONLY \"r\".T ADD c int" },
    { "ALTER TABLE \"S\".t ADD c int", NULL },                                    /* another schema */
    { "ALTER TABLE ONLY \"S 1\".\"T.x\" ADD c int", "ALTER TABLE ONLY \"r\".\"T.x\" ADD c int" },
    { "COMMENT ON COLUMN s.t.c IS 's.t'", "COMMENT ON COLUMN \"r\".t.c IS 's.t'" },
    { "GRANT SELECT(id) ON TABLE s.t TO s", "GRANT SELECT(id) ON TABLE \"r\".t TO s" },
    { "ADD FOREIGN KEY (a) REFERENCES s.t(id)", "ADD FOREIGN KEY (a) REFERENCES \"r\".t(id)" },
    { "ADD FOREIGN KEY (a) REFERENCES s.other(id)", NULL },
    { "INHERITS (s.t, s.other)", "INHERITS (\"r\".t, s.other)" },
    { "INSERT INTO s.t (a) VALUES (1)", "INSERT INTO \"r\".t (a) VALUES (1)" },
    { "COPY s.t (a) FROM stdin;", "COPY \"r\".t (a) FROM stdin;" },
    { "ALTER TABLE ONLY s.other ATTACH PARTITION s.t DEFAULT",
      "ALTER TABLE ONLY s.other ATTACH PARTITION \"r\".t DEFAULT" },
    { "c s.t, d s.t[]", "c \"r\".t, d \"r\".t[]" },                                /* the row type of a rescued table */
    /* what shares the name of a table */
    { "EXECUTE FUNCTION s.audit()", NULL },
    { "CHECK ((s.audit(c) > 0))", NULL },
    { "ON s.audit FOR EACH ROW EXECUTE FUNCTION s.audit()", "ON \"r\".audit FOR EACH ROW EXECUTE FUNCTION s.audit()" },
    { "x text COLLATE s.t", NULL },
    { "a.s.t", NULL },                                                            /* a column of something else */
    { "CREATE STATISTICS s.t ON a, b FROM s.t", "CREATE STATISTICS s.t ON a, b FROM \"r\".t" },
    { "s . t", NULL },                                                            /* pg_dump writes none such */
    /* indexes and sequences: only where one must stand, since a type may have the same name */
    { "ALTER INDEX s.i ATTACH PARTITION s.i", "ALTER INDEX \"r\".i ATTACH PARTITION \"r\".i" },
    { "COMMENT ON INDEX s.i IS 'x'", "COMMENT ON INDEX \"r\".i IS 'x'" },
    { "DEFAULT 'new'::s.i", NULL },
    { "c s.q", NULL },
    { "CREATE SEQUENCE s.q START WITH 1", "CREATE SEQUENCE \"r\".q START WITH 1" },
    { "ALTER SEQUENCE s.q OWNED BY s.t.id", "ALTER SEQUENCE \"r\".q OWNED BY \"r\".t.id" },
    { "IDENTITY (\n    SEQUENCE NAME s.q\n    START", "IDENTITY (\n    SEQUENCE NAME \"r\".q\n    START" },
    { "GRANT USAGE ON SEQUENCE s.q TO x", "GRANT USAGE ON SEQUENCE \"r\".q TO x" },
    { "CREATE STATISTICS s.st ON a", "CREATE STATISTICS \"r\".st ON a" },
    { "ALTER TABLE s.st ADD c int", NULL },                                       /* statistics are no table */
    /* literals */
    { "SET DEFAULT nextval('s.q'::regclass)", "SET DEFAULT nextval('\"r\".\"q\"'::regclass)" },
    { "nextval('s.other'::regclass)", NULL },
    { "nextval(('s.q'::text)::regclass)", "nextval(('\"r\".\"q\"'::text)::regclass)" },
    { "SELECT pg_catalog.setval('s.q', 5, true);", "SELECT pg_catalog.setval('\"r\".\"q\"', 5, true);" },
    { "f('s.t'::pg_catalog.regclass)", "f('\"r\".\"t\"'::pg_catalog.regclass)" },
    { "f('\"S 1\".\"T.x\"'::regclass)", "f('\"r\".\"T.x\"'::regclass)" },
    { "f('s.t'::text)", NULL },
    { "CHECK (c <> 's.t')", NULL },
    { "f('s.t')", NULL },
    { "'s.t.c'::regclass", NULL },
    { "'''s.t'::regclass", NULL },                                                /* no name at all */
    { "$$s.t$$ 's.t", "" },                                                       /* unclosed: refused */
};

static void
add_names(struct rescue_moves *moves)
{
    rescue_names_add(&moves->tables, "s", "t", 0);
    rescue_names_add(&moves->tables, "s", "audit", 0);
    rescue_names_add(&moves->tables, "S 1", "T.x", 0);
    rescue_names_add(&moves->others, "s", "i", 0);
    rescue_names_add(&moves->others, "s", "q", 0);
    rescue_names_add(&moves->statistics, "s", "st", 0);
    rescue_names_sort(&moves->tables);
    rescue_names_sort(&moves->others);
}

START_TEST(only_names_of_rescued_things_move)
{
    const struct move_row *row = &move_rows[_i];
    struct rescue_moves moves = { .target = "r" };
    CLEANUP_FREE char *moved = NULL;
    int rc;

    add_names(&moves);
    rc = rescue_move(&moves, row->sql, &moved);
    if (row->moved != NULL && *row->moved == '\0') {
        ck_assert_int_eq(rc, ERROR_CORRUPT);
        ck_assert_ptr_null(moved);
    } else {
        ck_assert_int_eq(rc, 0);
        ck_assert_str_eq(moved, row->moved != NULL ? row->moved : row->sql);
    }
    rescue_moves_free(&moves);
}
END_TEST

START_TEST(odd_target_is_quoted)
{
    struct rescue_moves moves = { .target = "it's \"\\" };
    CLEANUP_FREE char *moved = NULL;

    add_names(&moves);
    ck_assert_int_eq(rescue_move(&moves, "ALTER TABLE s.t nextval('s.q')", &moved), 0);
    ck_assert_str_eq(moved, "ALTER TABLE \"it's \"\"\\\".t nextval(E'\"it''s \"\"\\\\\".\"q\"')");
    rescue_moves_free(&moves);
}
END_TEST

START_TEST(without_a_target_nothing_moves)
{
    struct rescue_moves moves = { .target = NULL };
    CLEANUP_FREE char *moved = NULL;

    add_names(&moves);
    ck_assert_int_eq(rescue_move(&moves, "ALTER TABLE s.t", &moved), 0);
    ck_assert_str_eq(moved, "ALTER TABLE s.t");
    rescue_moves_free(&moves);
}
END_TEST

/* What a user writes for a table; `schema` NULL: refused. */
static const struct word_row {
    const char *word, *schema, *name;
} word_rows[] = {
    { "public.orders", "public", "orders" },
    { "Lager.Größe", "Lager", "Größe" },           /* exact, not folded */
    { "sch; drop.my table", "sch; drop", "my table" },
    { "\"a.b\".\"c\"\"d\"", "a.b", "c\"d" },
    { "a.\"b\"", "a", "b" },
    { "orders", NULL, NULL },
    { ".orders", NULL, NULL },
    { "public.", NULL, NULL },
    { "a.b.c", NULL, NULL },
    { "a.b\"c\"", NULL, NULL },
    { "a.\"b\"c", NULL, NULL },
    { "a.\"b", NULL, NULL },
    { "a.\"\"", NULL, NULL },
    { "", NULL, NULL },
};

START_TEST(table_is_named_exactly)
{
    const struct word_row *row = &word_rows[_i];
    CLEANUP_RESCUE_NAME struct rescue_name name = { 0 };
    int rc = rescue_name_parse(row->word, &name);

    if (row->schema == NULL) {
        ck_assert_int_eq(rc, ERROR_USAGE);
        ck_assert_error_has("is not of the form SCHEMA.TABLE");
        ck_assert_ptr_null(name.name);
    } else {
        CLEANUP_FREE char *shown = NULL;
        CLEANUP_RESCUE_NAME struct rescue_name again = { 0 };

        ck_assert_int_eq(rc, 0);
        ck_assert_str_eq(name.schema, row->schema);
        ck_assert_str_eq(name.name, row->name);
        shown = rescue_name_show(name.schema, name.name); /* what is shown can be given */
        ck_assert_int_eq(rescue_name_parse(shown, &again), 0);
        ck_assert_str_eq(again.schema, row->schema);
        ck_assert_str_eq(again.name, row->name);
    }
}
END_TEST

static Suite *
rescue_move_suite(void)
{
    Suite *suite = suite_create("rescue-move");
    TCase *tcase = tcase_create("rescue-move");

    tcase_add_loop_test(tcase, only_names_of_rescued_things_move, 0, ARRAY_LEN(move_rows));
    tcase_add_test(tcase, odd_target_is_quoted);
    tcase_add_test(tcase, without_a_target_nothing_moves);
    tcase_add_loop_test(tcase, table_is_named_exactly, 0, ARRAY_LEN(word_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(rescue_move_suite)
