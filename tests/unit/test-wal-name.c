/* SPDX-License-Identifier: PostgreSQL
 *
 * Names of WAL files and positions in the log: what is one and what is not, and
 * which segment a position is in.
 */
#include "config.h"

#include "pg/wal-name.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

enum { MIB = 1 << 20, NO = -1 };

static const struct name_row {
    const char *text;
    int file; /* NO: refused */
    uint32_t timeline, log, piece, offset;
} name_rows[] = {
    { "00000002" "0000001A" "000000FF", WAL_SEGMENT, 2, 0x1A, 0xFF, 0 },
    { "00000001" "00000000" "00000001", WAL_SEGMENT, 1, 0, 1, 0 },
    { "FFFFFFFF" "FFFFFFFF" "FFFFFFFF", WAL_SEGMENT, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0 },
    { "000000020000001A000000FF.partial", WAL_PARTIAL, 2, 0x1A, 0xFF, 0 },
    { "000000020000001A000000FF.00000028.backup", WAL_LABEL, 2, 0x1A, 0xFF, 0x28 },
    { "00000002.history", WAL_HISTORY, 2, 0, 0, 0 },
    { "0000000A.history", WAL_HISTORY, 10, 0, 0, 0 },
    { "000000020000001A000000ff", NO, 0, 0, 0, 0 },                 /* PostgreSQL writes upper case */
    { "000000020000001A000000F", NO, 0, 0, 0, 0 },                  /* 23 digits */
    { "000000020000001A000000FF0", NO, 0, 0, 0, 0 },                /* 25 */
    { "000000020000001A000000FG", NO, 0, 0, 0, 0 },
    { "000000000000001A000000FF", NO, 0, 0, 0, 0 },                 /* there is no timeline 0 */
    { "00000000.history", NO, 0, 0, 0, 0 },
    { "000000020000001A000000FF.part", NO, 0, 0, 0, 0 },
    { "000000020000001A000000FF.partial.gz", NO, 0, 0, 0, 0 },
    { "000000020000001A000000FF.", NO, 0, 0, 0, 0 },
    { "000000020000001A000000FF.backup", NO, 0, 0, 0, 0 },          /* without its offset */
    { "000000020000001A000000FF.0000028.backup", NO, 0, 0, 0, 0 },
    { "000000020000001A000000FF.00000028.partial", NO, 0, 0, 0, 0 },
    { "000000020000001A000000FF.00000028", NO, 0, 0, 0, 0 },
    { "000000020000001A000000FF.history", NO, 0, 0, 0, 0 },
    { "00000002.partial", NO, 0, 0, 0, 0 },
    { "00000002", NO, 0, 0, 0, 0 },
    { " 00000002.history", NO, 0, 0, 0, 0 },
    { "00000002.history\n", NO, 0, 0, 0, 0 },
    { "0x000002.history", NO, 0, 0, 0, 0 },
    { "+0000002.history", NO, 0, 0, 0, 0 },
    { "pg_wal/000000020000001A000000FF", NO, 0, 0, 0, 0 },          /* a path is none */
    { "../../../../etc/passwd", NO, 0, 0, 0, 0 },
    { "RECOVERYHISTORY", NO, 0, 0, 0, 0 },
    { "", NO, 0, 0, 0, 0 },
};

START_TEST(a_name_is_taken_as_postgresql_writes_it_and_not_otherwise)
{
    const struct name_row *row = &name_rows[_i];
    struct wal_name name = { .offset = 4711 };
    CLEANUP_FREE char *again = NULL;
    int rc = wal_name_parse(row->text, &name);

    if (row->file == NO) {
        ck_assert_int_eq(rc, ERROR_USAGE);
        ck_assert_error_has("is not the name of a WAL file");
        ck_assert_uint_eq(name.offset, 4711);
        return;
    }
    ck_assert_msg(rc == 0, "%s", error_text());
    ck_assert_int_eq(name.file, row->file);
    ck_assert_uint_eq(name.timeline, row->timeline);
    ck_assert_uint_eq(name.log, row->log);
    ck_assert_uint_eq(name.piece, row->piece);
    ck_assert_uint_eq(name.offset, row->offset);
    again = wal_name_text(&name);
    ck_assert_str_eq(again, row->text);
}
END_TEST

static const struct number_row {
    const char *text;
    uint32_t segment_bytes;
    uint64_t number;
    bool fits;
} number_rows[] = {
    { "000000010000000000000000", 16 * MIB, 0, true },
    { "0000000100000000000000FF", 16 * MIB, 255, true },
    { "000000010000000000000100", 16 * MIB, 256, false },           /* 4 GiB are 256 segments of 16 MiB */
    { "000000010000000100000000", 16 * MIB, 256, true },
    { "000000010000000000000FFF", 1 * MIB, 4095, true },
    { "000000010000000000001000", 1 * MIB, 4096, false },
    { "000000010000000000000003", 1024 * MIB, 3, true },
    { "000000010000000000000004", 1024 * MIB, 4, false },
    { "00000001FFFFFFFF00000003", 1024 * MIB, UINT64_C(0x3FFFFFFFF), true },
    { "00000001FFFFFFFF00000FFF", 1 * MIB, UINT64_C(0xFFFFFFFFFFF), true },
};

START_TEST(a_segment_has_a_number_and_a_number_a_segment)
{
    const struct number_row *row = &number_rows[_i];
    struct wal_name name, back;

    ck_assert_int_eq(wal_name_parse(row->text, &name), 0);
    ck_assert_uint_eq(wal_segment_number(&name, row->segment_bytes), row->number);
    ck_assert_int_eq(wal_segment_check(&name, row->segment_bytes), row->fits ? 0 : ERROR_CORRUPT);
    back = wal_segment_at(name.timeline, row->number, row->segment_bytes);
    if (row->fits) {
        CLEANUP_FREE char *text = wal_name_text(&back);

        ck_assert_str_eq(text, row->text);
    } else
        ck_assert_error_has("cannot be a segment of");
}
END_TEST

static const struct size_row {
    uint64_t bytes;
    bool valid;
} size_rows[] = {
    { 1 << 20, true }, { 1 << 24, true },  { 1 << 30, true },
    { 1 << 19, false }, { UINT64_C(1) << 31, false }, { (1 << 24) + 1, false }, { 3 << 20, false },
    { 0, false },      { UINT64_MAX, false },
};

START_TEST(a_segment_is_a_power_of_two_from_1_mib_to_1_gib)
{
    ck_assert(wal_segment_size_is_valid(size_rows[_i].bytes) == size_rows[_i].valid);
}
END_TEST

static const struct lsn_row {
    const char *text;
    uint64_t lsn;
    const char *again; /* NULL: refused */
} lsn_rows[] = {
    { "0/0", 0, "0/0" },
    { "1A/FF000028", UINT64_C(0x1AFF000028), "1A/FF000028" },
    { "1a/ff000028", UINT64_C(0x1AFF000028), "1A/FF000028" },
    { "0000001A/00000028", UINT64_C(0x1A00000028), "1A/28" }, /* as later releases print it */
    { "FFFFFFFF/FFFFFFFF", UINT64_MAX, "FFFFFFFF/FFFFFFFF" },
    { "100000000/0", 0, NULL },
    { "0/100000000", 0, NULL },
    { "0/", 0, NULL },
    { "/0", 0, NULL },
    { "0", 0, NULL },
    { "0/0 ", 0, NULL },
    { " 0/0", 0, NULL },
    { "0x1/0", 0, NULL },
    { "-1/0", 0, NULL },
    { "0/0/0", 0, NULL },
    { "", 0, NULL },
};

START_TEST(a_position_is_two_hexadecimal_numbers)
{
    const struct lsn_row *row = &lsn_rows[_i];
    uint64_t lsn = 4711;
    CLEANUP_FREE char *again = NULL;
    int rc = wal_lsn_parse(row->text, &lsn);

    ck_assert_int_eq(rc, row->again != NULL ? 0 : ERROR_USAGE);
    if (row->again == NULL) {
        ck_assert_uint_eq(lsn, 4711);
        ck_assert_error_has("is not a position in the write-ahead log");
        return;
    }
    ck_assert_uint_eq(lsn, row->lsn);
    again = wal_lsn_text(lsn);
    ck_assert_str_eq(again, row->again);
}
END_TEST

static Suite *
wal_name_suite(void)
{
    Suite *suite = suite_create("wal-name");
    TCase *names = tcase_create("names"), *numbers = tcase_create("numbers"), *positions = tcase_create("positions");

    tcase_add_loop_test(names, a_name_is_taken_as_postgresql_writes_it_and_not_otherwise, 0, ARRAY_LEN(name_rows));
    suite_add_tcase(suite, names);
    tcase_add_loop_test(numbers, a_segment_has_a_number_and_a_number_a_segment, 0, ARRAY_LEN(number_rows));
    tcase_add_loop_test(numbers, a_segment_is_a_power_of_two_from_1_mib_to_1_gib, 0, ARRAY_LEN(size_rows));
    suite_add_tcase(suite, numbers);
    tcase_add_loop_test(positions, a_position_is_two_hexadecimal_numbers, 0, ARRAY_LEN(lsn_rows));
    suite_add_tcase(suite, positions);
    return suite;
}

UNIT_MAIN(wal_name_suite)
