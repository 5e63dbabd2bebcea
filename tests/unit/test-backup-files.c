/* SPDX-License-Identifier: PostgreSQL
 *
 * PostgreSQL's backup_manifest: what it says is found again, and what PostgreSQL would not have written is refused.
 */
#include "config.h"

#include "pg/backup-files.h"

#include <string.h>

#include "base/error.h"
#include "unit-backup-files.h"
#include "unit.h"

#define ROW(path, rest)                                                                                                \
    "{ \"Path\": \"" path "\", \"Size\": 3, \"Last-Modified\": \"2026-11-22 23:23:05 GMT\"" rest " }"
#define CRC ", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"b73f4b36\""

static const char rows_of_all_kinds[] =
    "{ \"Path\": \"pg_tblspc/16385/PG_15_202209061/5/16386\", \"Size\": 1417216, \"Last-Modified\": \"2026-11-22 "
    "23:23:05 GMT\", "
    "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"cfbcf413\" },\n"
    "{ \"Path\": \"base/1/1259\", \"Size\": 3, \"Last-Modified\": \"2026-11-22 23:23:05 GMT\", "
    "\"Checksum-Algorithm\": \"SHA224\", \"Checksum\": \"23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7\" "
    "},\n"
    "{ \"Encoded-Path\": \"61ff62\", \"Size\": 0, \"Last-Modified\": \"2026-11-22 23:23:05 GMT\" },\n"
    "{ \"Path\": \"b\\u00e9\", \"Size\": 3 }";

START_TEST(rows_are_found_by_their_paths)
{
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
    CLEANUP(backup_files_free) struct backup_files *files = NULL;
    struct backup_file *file;

    files_make(&text, rows_of_all_kinds);
    ck_assert_int_eq(backup_files_read(text.data, text.len, &files), 0);
    ck_assert_int_eq(files->version, 1);
    ck_assert_uint_eq(files->system_identifier, 0);
    ck_assert_uint_eq(files->len, 4);
    ck_assert_uint_eq(files->total_bytes, 1417216 + 3 + 0 + 3);
    ck_assert_str_eq(files->files[0].path, "a\xff"
                                           "b");
    ck_assert_uint_eq(files->range_count, 1);
    ck_assert_uint_eq(files->ranges[0].timeline, 1);
    ck_assert_uint_eq(files->ranges[0].start_lsn, 0x2000028);
    ck_assert_uint_eq(files->ranges[0].end_lsn, 0x2000100);
    file = backup_files_find(files, "pg_tblspc/16385/PG_15_202209061/5/16386");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(file->size, 1417216);
    ck_assert_uint_eq(file->kind, BACKUP_SUM_CRC32C);
    ck_assert_mem_eq(file->sum, "\xcf\xbc\xf4\x13", 4);
    ck_assert(!file->seen);
    ck_assert_uint_eq(backup_files_find(files, "base/1/1259")->kind, BACKUP_SUM_SHA224);
    ck_assert_uint_eq(backup_files_find(files, "b\xc3\xa9")->kind, BACKUP_SUM_NONE);
    ck_assert_ptr_null(backup_files_find(files, "base/1/1258"));
}
END_TEST

START_TEST(the_same_wherever_it_is_cut)
{
    static const size_t steps[] = { 1, 2, 7, 64, 255, 1000 };
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);

    files_make(&text, rows_of_all_kinds);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        CLEANUP(backup_reader_free) struct backup_reader *reader = backup_reader_new();
        CLEANUP(backup_files_free) struct backup_files *files = NULL;

        for (size_t at = 0; at < text.len; at += steps[i])
            ck_assert_int_eq(
                backup_reader_add(reader, text.data + at, text.len - at < steps[i] ? text.len - at : steps[i]), 0);
        ck_assert_int_eq(backup_reader_end(reader, &files), 0);
        ck_assert_uint_eq(files->len, 4);
    }
}
END_TEST

START_TEST(version_2_tells_the_system)
{
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
    CLEANUP(backup_files_free) struct backup_files *files = NULL;

    (void)buf_adds(
        &text,
        "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": 18446744073709551615,\n\"Files\": []");
    (void)buf_adds(&text, ",\n\"WAL-Ranges\": [\n],\n");
    files_sum(&text);
    ck_assert_int_eq(backup_files_read(text.data, text.len, &files), 0);
    ck_assert_int_eq(files->version, 2);
    ck_assert_uint_eq(files->system_identifier, UINT64_MAX);
    ck_assert_ptr_null(backup_files_find(files, "a"));
}
END_TEST

START_TEST(a_changed_byte_is_found)
{
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
    CLEANUP(backup_files_free) struct backup_files *files = NULL;
    char *place;

    files_make(&text, ROW("base/1/1259", CRC));
    place = strstr(text.data, "1259");
    *place = '2';
    ck_assert_int_eq(backup_files_read(text.data, text.len, &files), ERROR_CORRUPT);
    ck_assert_error_has("digest of itself");
    *place = '1';
    ck_assert_int_eq(backup_files_read(text.data, text.len, &files), 0);
}
END_TEST

START_TEST(a_cut_manifest_is_corrupt)
{
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);

    files_make(&text, rows_of_all_kinds);
    for (size_t len = 0; len < text.len - 1; len++) { /* without the newline at the end it is whole */
        CLEANUP(backup_files_free) struct backup_files *files = NULL;

        ck_assert_int_eq(backup_files_read(text.data, len, &files), ERROR_CORRUPT);
    }
}
END_TEST

static const struct {
    const char *rows, *part;
} bad_rows[] = {
    { ROW("a", CRC) ",\n" ROW("a", CRC), "twice the file 'a'" },
    { ROW("", CRC), "no path" },
    { ROW("/etc/passwd", CRC), "no path" },
    { ROW("base/../../x", CRC), "no path" },
    { ROW("a//b", CRC), "no path" },
    { ROW("a/", CRC), "no path" },
    { ROW("a", ", \"Encoded-Path\": \"61\""), "no path" },
    { "{ \"Encoded-Path\": \"2e2e\", \"Size\": 3 }", "no path" },
    { "{ \"Encoded-Path\": \"6100\", \"Size\": 3 }", "no path" }, /* a NUL */
    { "{ \"Encoded-Path\": \"616\", \"Size\": 3 }", "no path" },
    { "{ \"Size\": 3 }", "no path" },
    { "{ \"Path\": \"a\" }", "'Size' is missing" },
    { "{ \"Path\": \"a\", \"Size\": -3 }", "Size" },
    { "{ \"Path\": \"a\", \"Size\": 3.5 }", "Size" },
    { "{ \"Path\": \"a\", \"Size\": 99999999999999999999 }", "Size" },
    { "{ \"Path\": \"a\", \"Size\": \"3\" }", "wrong kind" },
    { "{ \"Path\": 3, \"Size\": 3 }", "wrong kind" },
    { "{ \"Path\": [], \"Size\": 3 }", "wrong kind" },
    { "{ \"Path\": null, \"Size\": 3 }", "wrong kind" },
    { ROW("a", ", \"Size\": 4"), "twice the key" },
    { ROW("a", ", \"Sizes\": 4"), "unknown key" },
    { ROW("a", ", \"Timeline\": 4"), "unknown key" }, /* of another object */
    { ROW("a", ", \"Checksum-Algorithm\": \"CRC32C\""), "half of a checksum" },
    { ROW("a", ", \"Checksum\": \"b73f4b36\""), "half of a checksum" },
    { ROW("a", ", \"Checksum-Algorithm\": \"MD5\", \"Checksum\": \"b73f4b36\""), "unknown checksum algorithm 'MD5'" },
    { ROW("a", ", \"Checksum-Algorithm\": \"SHA256\", \"Checksum\": \"b73f4b36\""), "checksum" },
    { ROW("a", ", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"b73f4b3\""), "checksum" },
    { "3", "a value where none belongs" },
    { "[]", "where none belongs" },
};

START_TEST(other_rows_are_corrupt)
{
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
    CLEANUP(backup_files_free) struct backup_files *files = NULL;

    files_make(&text, bad_rows[_i].rows);
    ck_assert_int_eq(backup_files_read(text.data, text.len, &files), ERROR_CORRUPT);
    ck_assert_error_has("backup_manifest: ");
    ck_assert_error_has(bad_rows[_i].part);
}
END_TEST

static const struct {
    const char *text;
    int code;
    const char *part;
} bad_texts[] = {
    { "{ \"PostgreSQL-Backup-Manifest-Version\": 3,\n", PGCASK_UNSUPPORTED, "version 3" },
    { "{ \"PostgreSQL-Backup-Manifest-Version\": 0,\n", PGCASK_UNSUPPORTED, "version 0" },
    { "{ \"Files\": [],\n\"WAL-Ranges\": [],\n", ERROR_CORRUPT, "'PostgreSQL-Backup-Manifest-Version' is missing" },
    { "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"WAL-Ranges\": [],\n", ERROR_CORRUPT, "'Files' is missing" },
    { "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [],\n", ERROR_CORRUPT, "'WAL-Ranges' is missing" },
    { "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"Files\": [],\n\"WAL-Ranges\": [],\n", ERROR_CORRUPT,
      "'System-Identifier' is missing" },
    { FILES_BEGIN "],\n\"WAL-Ranges\": [ { \"Timeline\": 0, \"Start-LSN\": \"0/1\", \"End-LSN\": \"0/2\" } ],\n",
      ERROR_CORRUPT, "impossible range" },
    { FILES_BEGIN "],\n\"WAL-Ranges\": [ { \"Timeline\": 1, \"Start-LSN\": \"0/3\", \"End-LSN\": \"0/2\" } ],\n",
      ERROR_CORRUPT, "impossible range" },
    { FILES_BEGIN "],\n\"WAL-Ranges\": [ { \"Timeline\": 1, \"Start-LSN\": \"0/3\", \"End-LSN\": \"02\" } ],\n",
      ERROR_CORRUPT, "End-LSN" },
    { FILES_BEGIN
      "],\n\"WAL-Ranges\": [ { \"Timeline\": 4294967296, \"Start-LSN\": \"0/3\", \"End-LSN\": \"0/4\" } ],\n",
      ERROR_CORRUPT, "Timeline" },
    { FILES_BEGIN "],\n\"Files\": [],\n\"WAL-Ranges\": [],\n", ERROR_CORRUPT, "twice the key" },
};

START_TEST(other_texts_are_refused)
{
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
    CLEANUP(backup_files_free) struct backup_files *files = NULL;

    (void)buf_adds(&text, bad_texts[_i].text);
    files_sum(&text);
    ck_assert_int_eq(backup_files_read(text.data, text.len, &files), bad_texts[_i].code);
    ck_assert_error_has(bad_texts[_i].part);
}
END_TEST

START_TEST(a_line_without_end_is_refused)
{
    static char blanks[70 * 1024];
    CLEANUP(backup_reader_free) struct backup_reader *reader = backup_reader_new();
    int rc;

    memset(blanks, ' ', sizeof blanks);
    rc = backup_reader_add(reader, "{", 1);
    for (int i = 0; rc == 0 && i < 2; i++)
        rc = backup_reader_add(reader, blanks, sizeof blanks);
    ck_assert_int_eq(rc, ERROR_CORRUPT);
    ck_assert_error_has("a line of more than");
}
END_TEST

START_TEST(many_files_are_sorted)
{
    enum { MANY = 20000 };
    CLEANUP_BUF struct buf rows = BUF_INIT(1 << 24);
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 24);
    CLEANUP(backup_files_free) struct backup_files *files = NULL;

    for (unsigned i = 0; i < MANY; i++)
        (void)buf_addf(&rows, "%s{ \"Path\": \"base/%u\", \"Size\": %u" CRC " }", i > 0 ? ",\n" : "", i * 7919 % MANY,
                       i);
    files_make(&text, rows.data);
    ck_assert_int_eq(backup_files_read(text.data, text.len, &files), 0);
    ck_assert_uint_eq(files->len, MANY);
    for (size_t i = 1; i < files->len; i++)
        ck_assert_int_lt(strcmp(files->files[i - 1].path, files->files[i].path), 0);
    ck_assert_uint_eq(backup_files_find(files, "base/7919")->size, 1);
}
END_TEST

/* "abc" by all of them: FIPS 180-4's examples; CRC-32C as PostgreSQL writes it. */
static const struct {
    enum backup_sum_kind kind;
    const char *sum;
} sum_rows[] = {
    { BACKUP_SUM_NONE, NULL },
    { BACKUP_SUM_CRC32C, "\xb7\x3f\x4b\x36" },
    { BACKUP_SUM_SHA224, "\x23\x09\x7d\x22\x34\x05\xd8\x22\x86\x42\xa4\x77\xbd\xa2\x55\xb3\x2a\xad\xbc\xe4\xbd\xa0\xb3"
                         "\xf7\xe3\x6c\x9d\xa7" },
    { BACKUP_SUM_SHA256,
      "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61"
      "\xf2\x00\x15\xad" },
};

START_TEST(sums_are_compared)
{
    CLEANUP(backup_sum_free) struct backup_sum *sum = backup_sum_new();
    struct backup_file file = {
        .path = "base/1", .size = 3, .kind = (uint8_t)sum_rows[_i].kind, .sum = (const unsigned char *)sum_rows[_i].sum
    };

    for (int again = 0; again < 2; again++) { /* one after the other */
        backup_sum_begin(sum, sum_rows[_i].kind);
        backup_sum_add(sum, "ab", 2);
        backup_sum_add(sum, "c", 1);
        ck_assert_int_eq(backup_sum_end(sum, &file), 0);
    }
    backup_sum_begin(sum, sum_rows[_i].kind);
    backup_sum_add(sum, "abd", 3);
    ck_assert_int_eq(backup_sum_end(sum, &file), sum_rows[_i].kind == BACKUP_SUM_NONE ? 0 : ERROR_CORRUPT);
    backup_sum_begin(sum, sum_rows[_i].kind);
    backup_sum_add(sum, "ab", 2);
    ck_assert_int_eq(backup_sum_end(sum, &file), ERROR_CORRUPT);
    ck_assert_error_has("'base/1' has 2 bytes, the backup_manifest says 3");
}
END_TEST

static Suite *
backup_files_suite(void)
{
    Suite *suite = suite_create("backup-files");
    TCase *tcase = tcase_create("backup-files");

    tcase_add_test(tcase, rows_are_found_by_their_paths);
    tcase_add_test(tcase, the_same_wherever_it_is_cut);
    tcase_add_test(tcase, version_2_tells_the_system);
    tcase_add_test(tcase, a_changed_byte_is_found);
    tcase_add_test(tcase, a_cut_manifest_is_corrupt);
    tcase_add_loop_test(tcase, other_rows_are_corrupt, 0, ARRAY_LEN(bad_rows));
    tcase_add_loop_test(tcase, other_texts_are_refused, 0, ARRAY_LEN(bad_texts));
    tcase_add_test(tcase, a_line_without_end_is_refused);
    tcase_add_test(tcase, many_files_are_sorted);
    tcase_add_loop_test(tcase, sums_are_compared, 0, ARRAY_LEN(sum_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(backup_files_suite)
