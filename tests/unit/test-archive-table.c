/* SPDX-License-Identifier: PostgreSQL
 *
 * Which archives go straight into their table, and by which statements.
 */
#include "config.h"

#include "pg/archive-table.h"

#include "base/error.h"
#include "unit.h"

#include <string.h>

static char table[] = "TABLE", rows[] = "TABLE DATA", sequence[] = "SEQUENCE SET", blobs[] = "BLOBS", view[] = "VIEW";
static char public[] = "public", odd_schema[] = "Odd \"one\"", name[] = "ticket", odd_name[] = "Ärger; --";
static char copy[] = "COPY public.ticket (id, note) FROM stdin;\n";
static char odd_copy[] = "COPY \"Odd \"\"one\"\"\".\"Ärger; --\" (\"a)b\", \"FROM stdin;\") FROM stdin;\n";
static char root_copy[] = "COPY public.root (id, note) FROM stdin;\n";
static char bare_copy[] = "COPY public.ticket FROM stdin;\n", oids_copy[] = "COPY public.ticket (id) WITH OIDS FROM stdin;\n";
static char two_copies[] = "COPY public.ticket (id) FROM stdin; COPY public.ticket (id) FROM stdin;\n";
static char hidden[] = "COPY public.ticket (id) FROM stdin; SELECT 1/0; -- FROM stdin;\n";
static char program[] = "COPY public.ticket (id) FROM PROGRAM 'id'; -- FROM stdin;\n";
static char open_columns[] = "COPY public.ticket (id FROM stdin;\n", no_columns[] = "COPY public.ticket () FROM stdin;\n";
static char call[] = "COPY public.ticket (f(id)) FROM stdin;\n", options[] = "COPY public.ticket FROM stdin CSV;\n";
static char no_copy[] = "", half_copy[] = "COPY public.ticket (id, note) FROM ", strange_copy[] = "COPY \"public";
static char setval[] = "SELECT pg_catalog.setval('public.ticket_id_seq', 7, true);\n";

static const struct {
    struct archive_entry entries[3];
    int compressed;
    const char *truncate_sql, *copy_sql, *after; /* NULL: not straight */
} cases[] = {
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = copy } }, 0,
      "TRUNCATE ONLY \"public\".\"ticket\"", "COPY \"public\".\"ticket\" (id, note) FROM stdin WITH (FREEZE)", NULL },
    /* definitions do not matter, the values of sequences come after the rows */
    { { { 1, .desc = table, .section = ARCHIVE_PRE_DATA, .schema = public, .tag = name },
        { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = copy },
        { 4, .desc = sequence, .section = ARCHIVE_DATA, .schema = public, .tag = name, .defn = setval } }, 0,
      "TRUNCATE ONLY \"public\".\"ticket\"", "COPY \"public\".\"ticket\" (id, note) FROM stdin WITH (FREEZE)", setval },
    /* names that need quotes */
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = odd_schema, .tag = odd_name, .copy_stmt = odd_copy } }, 0,
      "TRUNCATE ONLY \"Odd \"\"one\"\"\".\"Ärger; --\"",
      "COPY \"Odd \"\"one\"\"\".\"Ärger; --\" (\"a)b\", \"FROM stdin;\") FROM stdin WITH (FREEZE)", NULL },
    { { { 1, .desc = view, .section = ARCHIVE_PRE_DATA } }, 0, NULL, NULL, NULL }, /* no rows */
    /* of two tables */
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = copy },
        { 4, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = odd_name, .copy_stmt = odd_copy } }, 0,
      NULL, NULL, NULL },
    /* with large objects */
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = copy },
        { 4, .desc = blobs, .section = ARCHIVE_DATA } }, 0, NULL, NULL, NULL },
    /* into the root of the partitions */
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = root_copy } }, 0,
      NULL, NULL, NULL },
    /* INSERTs */
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = no_copy } }, 0,
      NULL, NULL, NULL },
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name } }, 0, NULL, NULL, NULL },
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = half_copy } }, 0,
      NULL, NULL, NULL },
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = strange_copy } }, 0,
      NULL, NULL, NULL },
    /* without columns */
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = bare_copy } }, 0,
      "TRUNCATE ONLY \"public\".\"ticket\"", "COPY \"public\".\"ticket\" FROM stdin WITH (FREEZE)", NULL },
    /* any other shape */
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = oids_copy } }, 0, NULL },
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = two_copies } }, 0, NULL },
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = hidden } }, 0, NULL },
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = program } }, 0, NULL },
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = open_columns } }, 0, NULL },
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = no_columns } }, 0, NULL },
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = call } }, 0, NULL },
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = options } }, 0, NULL },
    /* entries without a name or a kind */
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .copy_stmt = copy } }, 0, NULL, NULL, NULL },
    { { { 3, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = copy } }, 0, NULL, NULL, NULL },
    /* compressed */
    { { { 3, .desc = rows, .section = ARCHIVE_DATA, .schema = public, .tag = name, .copy_stmt = copy } }, 6,
      NULL, NULL, NULL },
};

START_TEST(one_table_alone_goes_straight)
{
    struct archive_entry entries[3];
    struct archive archive = { .compressed = cases[_i].compressed, .entries = entries };
    struct archive_table made = { 0 };

    memcpy(entries, cases[_i].entries, sizeof entries);
    while (archive.len < ARRAY_LEN(entries) && entries[archive.len].dump_id != 0)
        archive.len++;
    ck_assert_int_eq(archive_table_make(&archive, &made), cases[_i].copy_sql != NULL);
    ck_assert_str_eq(error_text(), ""); /* that it does not is no error */
    if (cases[_i].copy_sql != NULL) {
        ck_assert_int_eq(made.dump_id, 3);
        ck_assert_str_eq(made.truncate_sql, cases[_i].truncate_sql);
        ck_assert_str_eq(made.copy_sql, cases[_i].copy_sql);
        ck_assert_uint_eq(made.after.len, cases[_i].after != NULL);
        if (cases[_i].after != NULL)
            ck_assert_str_eq(made.after.items[0], cases[_i].after);
    }
    archive_table_free(&made);
}
END_TEST

static Suite *
archive_table_suite(void)
{
    Suite *suite = suite_create("archive-table");
    TCase *tcase = tcase_create("make");

    tcase_add_loop_test(tcase, one_table_alone_goes_straight, 0, (int)ARRAY_LEN(cases));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(archive_table_suite)
