/* SPDX-License-Identifier: PostgreSQL
 *
 * Tables of contents and data blocks of custom-format archives: made ones with
 * every kind of damage, and real ones.
 */
#include "config.h"

#include "pg/archive.h"

#include "unit-archive.h"

static const struct made_entry made_two[] = {
    { .dump_id = 7, .desc = "TABLE", .schema = "s", .tag = "t", .defn = "CREATE TABLE s.t ();", .owner = "me",
      .tablespace = "", .tableam = "heap", .relkind = 'r', .deps = "3 5" },
    { .dump_id = 8, .section = ARCHIVE_DATA, .desc = "TABLE DATA", .schema = "s", .tag = "t",
      .copy_stmt = "COPY s.t FROM stdin;\n", .deps = "7" },
};

START_TEST(entries_are_read_in_every_version)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP(archive_free) struct archive *archive = NULL;
    const struct archive_entry *table, *rows;

    made_toc(&made, _i, made_two, 2);
    archive = load_made(&made);
    ck_assert_int_eq(archive->version, 0x0100 + _i);
    ck_assert_str_eq(archive->database, "shop");
    ck_assert_str_eq(archive->server_version, "15.9");
    ck_assert_str_eq(archive->dump_version, "15.10");
    ck_assert_int_eq(archive->compressed, 0);
    ck_assert_uint_eq(archive->len, 2);
    ck_assert_uint_eq(archive->toc_size, made.len);

    table = archive_find(archive, 7);
    rows = archive_find(archive, 8);
    ck_assert_ptr_eq(table, &archive->entries[0]);
    ck_assert_ptr_eq(rows, &archive->entries[1]);
    ck_assert_ptr_null(archive_find(archive, 9));
    ck_assert_str_eq(table->desc, "TABLE");
    ck_assert_str_eq(table->defn, "CREATE TABLE s.t ();");
    ck_assert_str_eq(table->owner, "me");
    ck_assert_str_eq(table->tablespace, "");
    ck_assert_ptr_null(table->copy_stmt);
    ck_assert_int_eq(table->section, ARCHIVE_PRE_DATA);
    ck_assert_uint_eq(table->dep_count, 2);
    ck_assert_int_eq(table->deps[0], 3);
    ck_assert_int_eq(table->deps[1], 5);
    ck_assert_int_eq(table->relkind, _i >= 16 ? 'r' : 0);
    ck_assert_pstr_eq(table->tableam, _i >= 14 ? "heap" : NULL);
    ck_assert_str_eq(rows->copy_stmt, "COPY s.t FROM stdin;\n");
    ck_assert_int_eq(rows->section, ARCHIVE_DATA);
    ck_assert_ptr_null(rows->owner);
}
END_TEST

START_TEST(archive_cut_anywhere_is_refused)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);

    made_toc(&made, 15, made_two, 2);
    for (size_t len = 0; len < made.len; len++) {
        struct bytes cut = { made.data, len, 0 };
        struct archive *archive = NULL;

        ck_assert_int_eq(archive_load(bytes_read, &cut, MADE_LIMIT_BYTES, &archive), PGCASK_FAILED);
        ck_assert_ptr_null(archive);
    }
}
END_TEST

START_TEST(no_more_is_read_than_allowed)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);

    made_toc(&made, 15, made_two, 2);
    for (size_t limit = 0; limit < made.len; limit++) {
        struct bytes all = { made.data, made.len, 0 };
        struct archive *archive = NULL;

        ck_assert_int_eq(archive_load(bytes_read, &all, limit, &archive), ERROR_CORRUPT);
        ck_assert_uint_le(all.at, limit);
        ck_assert_ptr_null(archive);
    }
}
END_TEST

/* Places in the header of a made archive of version 1.15. */
enum { AT_MINOR = 6, AT_INT_SIZE = 8, AT_OFFSET_SIZE = 9, AT_FORMAT = 10, AT_DATE = 12, AT_COUNT = 75 };

static const struct damage_row {
    size_t at;
    unsigned char byte;
    int code;
    const char *error;
} damage_rows[] = {
    { 0, 'p', ERROR_CORRUPT, "does not begin with 'PGDMP'" },
    { AT_MINOR - 1, 2, PGCASK_UNSUPPORTED, "version 2.15" },                /* a major version to come */
    { AT_MINOR, 17, PGCASK_UNSUPPORTED, "version 1.17" },                   /* one to come */
    { AT_MINOR, 11, PGCASK_UNSUPPORTED, "version 1.11" },                   /* PostgreSQL 8 */
    { AT_INT_SIZE, 0, ERROR_CORRUPT, "integers of 0" },
    { AT_INT_SIZE, 255, ERROR_CORRUPT, "integers of 255" },
    { AT_OFFSET_SIZE, 32, ERROR_CORRUPT, "offsets of 32" },
    { AT_FORMAT, 3, ERROR_CORRUPT, "format 3" },                            /* tar */
    { AT_DATE, 2, ERROR_CORRUPT, "number out of range" },                   /* neither + nor - */
    { AT_DATE + 4, 0x80, ERROR_CORRUPT, "number out of range" },            /* beyond int */
    { AT_COUNT, 1, ERROR_CORRUPT, "impossible number of entries -2" },
    { AT_COUNT + 6, 0, ERROR_CORRUPT, "impossible dump id 0" },
};

START_TEST(damaged_header_is_refused)
{
    const struct damage_row *row = &damage_rows[_i];
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    struct archive *archive = NULL;

    made_toc(&made, 15, made_two, 2);
    ck_assert_uint_eq((unsigned char)made.data[AT_COUNT + 1], 2); /* the places are right */
    made.data[row->at] = (char)row->byte;
    ck_assert_int_eq(archive_load(bytes_read, &(struct bytes){ made.data, made.len, 0 }, MADE_LIMIT_BYTES, &archive),
                     row->code);
    ck_assert_error_has(row->error);
    ck_assert_ptr_null(archive);
}
END_TEST

static const struct refused_row {
    struct made_entry entry;
    const char *error;
} refused_rows[] = {
    { { .dump_id = -1, .desc = "TABLE" }, "impossible dump id -1" },
    { { .dump_id = 1, .desc = "TABLE", .section = 5 }, "unknown section 5" },
    { { .dump_id = 1, .desc = "TABLE", .deps = "2 x" }, "depends on 'x'" },
    { { .dump_id = 1, .desc = "TABLE", .deps = "0" }, "depends on '0'" },
    { { .dump_id = 1, .desc = "TABLE", .deps = "99999999999" }, "depends on '99999999999'" },
    { { .dump_id = 1, .desc = "TABLE", .deps = "12a" }, "depends on '12a'" },
};

START_TEST(impossible_entry_is_refused)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    struct archive *archive = NULL;

    made_toc(&made, 16, &refused_rows[_i].entry, 1);
    ck_assert_int_eq(archive_load(bytes_read, &(struct bytes){ made.data, made.len, 0 }, MADE_LIMIT_BYTES, &archive),
                     ERROR_CORRUPT);
    ck_assert_error_has(refused_rows[_i].error);
}
END_TEST

START_TEST(string_longer_than_the_archive_is_refused_without_memory_for_it)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    struct archive *archive = NULL;

    made_header(&made, 15, 1);
    made_int(&made, 1);
    made_int(&made, 0);
    made_int(&made, INT32_MAX);
    ck_assert_int_eq(archive_load(bytes_read, &(struct bytes){ made.data, made.len, 0 }, MADE_LIMIT_BYTES, &archive),
                     ERROR_CORRUPT);
    ck_assert_error_has("string of impossible length 2147483647");
    /* allowed by the limit, but not there: the reader's own error */
    ck_assert_int_eq(archive_load(bytes_read, &(struct bytes){ made.data, made.len, 0 }, UINT64_MAX, &archive),
                     PGCASK_FAILED);
}
END_TEST

START_TEST(nul_byte_in_a_string_is_refused)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    struct archive *archive = NULL;
    char *tag;

    made_toc(&made, 15, made_two, 2);
    tag = memmem(made.data, made.len, "CREATE", 6);
    ck_assert_ptr_nonnull(tag);
    tag[2] = '\0';
    ck_assert_int_eq(archive_load(bytes_read, &(struct bytes){ made.data, made.len, 0 }, MADE_LIMIT_BYTES, &archive),
                     ERROR_CORRUPT);
    ck_assert_error_has("NUL byte");
}
END_TEST

/* ---- data ---- */

static int
take_rows(void *ctx, const void *data, size_t len)
{
    ck_assert_uint_gt(len, 0);
    return buf_add(ctx, data, len);
}

static int
refuse_rows(void *ctx, const void *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return error_set(ERROR_CANCELLED, "enough");
}

/* A table of contents, then blocks: a large object, rows of 8, rows of 9. */
static void
make_blocks(struct buf *made, const char *rows, size_t step)
{
    made_toc(made, 15, made_two, 2);
    made_bytes(made, "\3", 1);
    made_int(made, 4);
    made_int(made, 4294967290L); /* an oid beyond int */
    made_int(made, 3);
    made_bytes(made, "\1\2\3", 3);
    made_int(made, 0);
    made_int(made, 0);
    made_rows(made, 8, "other\n\\.\n\n\n", 4);
    made_rows(made, 9, rows, step);
    made_rows(made, 10, "behind\n\\.\n\n\n", 4);
}

static const struct rows_row {
    const char *stored, *rows;
} rows_rows[] = {
    { "1\ta\n2\tb\n\\.\n\n\n", "1\ta\n2\tb\n" },
    { "\\.\n\n\n", "" },                                 /* an empty table */
    { "\n\n\n\\.\n\n\n", "\n\n\n" },                     /* rows without columns */
    { "a\\\\.\n\\.\n\n\n", "a\\\\.\n" },                 /* rows that look like the mark */
    { "INSERT INTO t VALUES (1);\n\n", "INSERT INTO t VALUES (1);\n\n" }, /* no mark */
    { "x", "x" },
    { "", "" },
};
static const size_t steps[] = { 1, 2, 5, 6, 1000 };

START_TEST(rows_are_given_whatever_the_chunks)
{
    const struct rows_row *row = &rows_rows[_i];

    for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
        CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
        CLEANUP_BUF struct buf rows = BUF_INIT(MADE_LIMIT_BYTES);
        CLEANUP(archive_free) struct archive *archive = NULL;
        struct bytes bytes;

        make_blocks(&made, row->stored, steps[k]);
        bytes = (struct bytes){ made.data, made.len, 0 };
        archive = load_bytes(&bytes);
        ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, 9, take_rows, &rows), 0);
        ck_assert_str_eq(rows.len > 0 ? rows.data : "", row->rows);
        /* behind that block: the next one can be had from here */
        buf_free(&rows);
        ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, 10, take_rows, &rows), 0);
        ck_assert_str_eq(rows.data, "behind\n");
        ck_assert_uint_eq(bytes.at, made.len);
    }
}
END_TEST

START_TEST(chunk_larger_than_the_buffer_is_given_whole)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP_BUF struct buf rows = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP(archive_free) struct archive *archive = NULL;
    CLEANUP_FREE char *large = mem_alloc(200001);
    struct bytes bytes;

    for (size_t i = 0; i < 200000; i++)
        large[i] = (char)('a' + i % 23);
    large[200000] = '\0';
    make_blocks(&made, large, 200000);
    bytes = (struct bytes){ made.data, made.len, 0 };
    archive = load_bytes(&bytes);
    ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, 9, take_rows, &rows), 0);
    ck_assert_uint_eq(rows.len, 200000);
    ck_assert_mem_eq(rows.data, large, 200000);
}
END_TEST

START_TEST(rows_that_are_not_there_are_not_found)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP_BUF struct buf rows = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP(archive_free) struct archive *archive = NULL;
    struct bytes bytes;

    make_blocks(&made, "x\n", 10);
    bytes = (struct bytes){ made.data, made.len, 0 };
    archive = load_bytes(&bytes);
    ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, 4, take_rows, &rows), PGCASK_NOT_FOUND); /* no table */
    ck_assert_error_has("without rows of entry 4");
    ck_assert_uint_eq(rows.len, 0);
}
END_TEST

START_TEST(data_cut_within_a_block_is_an_error_and_not_an_end)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP(archive_free) struct archive *archive = NULL;
    struct bytes bytes;
    size_t start;

    made_toc(&made, 15, made_two, 2);
    start = made.len;
    made_rows(&made, 8, "row\n\\.\n\n\n", 3);
    bytes = (struct bytes){ made.data, made.len, 0 };
    archive = load_bytes(&bytes);
    for (size_t len = start + 1; len < made.len; len++) {
        CLEANUP_BUF struct buf rows = BUF_INIT(MADE_LIMIT_BYTES);

        bytes = (struct bytes){ made.data, len, start };
        ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, 8, take_rows, &rows), PGCASK_FAILED);
    }
}
END_TEST

START_TEST(damaged_block_is_refused)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP(archive_free) struct archive *archive = NULL;
    struct bytes bytes;
    size_t start;

    made_toc(&made, 15, made_two, 2);
    start = made.len;
    made_rows(&made, 8, "row\n", 100);
    bytes = (struct bytes){ made.data, made.len, 0 };
    archive = load_bytes(&bytes);

    made.data[start] = 2; /* a kind of block that there never was */
    bytes.at = start;
    ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, 8, refuse_rows, NULL), ERROR_CORRUPT);
    ck_assert_error_has("unknown type of data block 2");
    made.data[start] = 1;
    made.data[start + 6] = 1; /* the sign of the first chunk's length */
    bytes.at = start;
    ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, 8, refuse_rows, NULL), ERROR_CORRUPT);
    ck_assert_error_has("impossible length -4");
}
END_TEST

START_TEST(refusal_by_the_taker_ends_the_walk)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP(archive_free) struct archive *archive = NULL;
    struct bytes bytes;

    make_blocks(&made, "some rows\n\\.\n\n\n", 100);
    bytes = (struct bytes){ made.data, made.len, 0 };
    archive = load_bytes(&bytes);
    ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, 9, refuse_rows, NULL), ERROR_CANCELLED);
    ck_assert_str_eq(error_text(), "enough");
}
END_TEST

START_TEST(compressed_data_is_unsupported)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP(archive_free) struct archive *archive = NULL;
    struct bytes bytes;

    make_blocks(&made, "x", 1);
    made.data[11] = 1; /* gzip */
    bytes = (struct bytes){ made.data, made.len, 0 };
    archive = load_bytes(&bytes);
    ck_assert_int_eq(archive->compressed, 1);
    ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, 9, refuse_rows, NULL), PGCASK_UNSUPPORTED);
}
END_TEST

/* ---- real archives ---- */

static const struct fixture_row {
    const char *file;
    int version;
    size_t entries;
} fixture_rows[] = {
    { "small-15.dump", 0x010E, 34 },
    { "small-18.dump", 0x0110, 34 },
};

static const struct archive_entry *
find_named(const struct archive *archive, const char *desc, const char *tag)
{
    for (size_t i = 0; i < archive->len; i++)
        if (strcmp(archive->entries[i].desc, desc) == 0 && strcmp(archive->entries[i].tag, tag) == 0)
            return &archive->entries[i];
    ck_abort_msg("no %s '%s'", desc, tag);
    return NULL;
}

START_TEST(real_archive_is_read)
{
    const struct fixture_row *row = &fixture_rows[_i];
    CLEANUP_BUF struct buf file = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP_BUF struct buf rows = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP(archive_free) struct archive *archive = NULL;
    const struct archive_entry *data;
    struct bytes bytes;

    read_fixture(row->file, &file);
    bytes = (struct bytes){ file.data, file.len, 0 };
    archive = load_bytes(&bytes);
    ck_assert_int_eq(archive->version, row->version);
    ck_assert_uint_eq(archive->len, row->entries);
    ck_assert_str_eq(archive->database, "small");
    data = find_named(archive, "TABLE DATA", "customer");
    ck_assert_str_eq(data->copy_stmt, "COPY shop.customer (id, name, country, boss) FROM stdin;\n");
    ck_assert_str_eq(find_named(archive, "TABLE", "Odd \"name")->owner, "postgres");
    ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, data->dump_id, take_rows, &rows), 0);
    ck_assert_str_eq(rows.data, "1\tAda\tat\t\\N\n2\ttab\\there\tde\t1\n");
}
END_TEST

START_TEST(real_large_object_is_passed_over)
{
    CLEANUP_BUF struct buf file = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP_BUF struct buf rows = BUF_INIT(MADE_LIMIT_BYTES);
    CLEANUP(archive_free) struct archive *archive = NULL;
    struct bytes bytes;

    read_fixture("blob-15.dump", &file);
    bytes = (struct bytes){ file.data, file.len, 0 };
    archive = load_bytes(&bytes);
    ck_assert_int_eq(archive_data(archive, bytes_read, &bytes, 1, take_rows, &rows), PGCASK_NOT_FOUND);
    ck_assert_uint_eq(bytes.at, file.len);
}
END_TEST

static Suite *
archive_suite(void)
{
    Suite *suite = suite_create("archive");
    TCase *tcase = tcase_create("archive");

    tcase_add_loop_test(tcase, entries_are_read_in_every_version, 12, 17);
    tcase_add_test(tcase, archive_cut_anywhere_is_refused);
    tcase_add_test(tcase, no_more_is_read_than_allowed);
    tcase_add_loop_test(tcase, damaged_header_is_refused, 0, ARRAY_LEN(damage_rows));
    tcase_add_loop_test(tcase, impossible_entry_is_refused, 0, ARRAY_LEN(refused_rows));
    tcase_add_test(tcase, string_longer_than_the_archive_is_refused_without_memory_for_it);
    tcase_add_test(tcase, nul_byte_in_a_string_is_refused);
    tcase_add_loop_test(tcase, rows_are_given_whatever_the_chunks, 0, ARRAY_LEN(rows_rows));
    tcase_add_test(tcase, chunk_larger_than_the_buffer_is_given_whole);
    tcase_add_test(tcase, rows_that_are_not_there_are_not_found);
    tcase_add_test(tcase, data_cut_within_a_block_is_an_error_and_not_an_end);
    tcase_add_test(tcase, damaged_block_is_refused);
    tcase_add_test(tcase, refusal_by_the_taker_ends_the_walk);
    tcase_add_test(tcase, compressed_data_is_unsupported);
    tcase_add_loop_test(tcase, real_archive_is_read, 0, ARRAY_LEN(fixture_rows));
    tcase_add_test(tcase, real_large_object_is_passed_over);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(archive_suite)
