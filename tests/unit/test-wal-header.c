/* SPDX-License-Identifier: PostgreSQL
 *
 * The first bytes of a segment: whose it is, and whether it is the one that its
 * name says.
 */
#include "config.h"

#include "pg/wal-header.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit-segment.h"
#include "unit.h"

enum { MIB = 1 << 20 };

START_TEST(a_header_is_read_as_it_was_written)
{
    struct segment_page page = segment_page(3, 0x1AFF, 16 * MIB);
    struct wal_header header;

    ck_assert_msg(wal_header_read(&page, sizeof page, &header) == 0, "%s", error_text());
    ck_assert_int_eq(header.major, 15);
    ck_assert_uint_eq(header.timeline, 3);
    ck_assert_uint_eq(header.address, UINT64_C(0x1AFF) * 16 * MIB);
    ck_assert_uint_eq(header.system_identifier, SEGMENT_SYSTEM);
    ck_assert_uint_eq(header.segment_bytes, 16 * MIB);
    ck_assert_uint_eq(header.block_bytes, 8192);
}
END_TEST

static const struct magic_row {
    uint16_t magic;
    int major;
} magic_rows[] = {
    { 0xD106, 13 }, { 0xD10D, 14 }, { 0xD110, 15 }, { 0xD113, 16 }, { 0xD116, 17 }, { 0xD118, 18 },
    { 0xD107, 0 }, /* between two releases */
    { 0xD1FF, 0 }, /* of one to come */
};

START_TEST(the_magic_tells_the_release)
{
    struct segment_page page = segment_page(1, 1, 16 * MIB);
    struct wal_header header;

    page.magic = magic_rows[_i].magic;
    ck_assert_int_eq(wal_header_read(&page, sizeof page, &header), 0);
    ck_assert_int_eq(header.major, magic_rows[_i].major);
}
END_TEST

static const struct bad_row {
    size_t at; /* of the page */
    size_t size;
    uint64_t value;
    const char *reason;
} bad_rows[] = {
#define AT(field) offsetof(struct segment_page, field), sizeof(((struct segment_page *)0)->field)
    { AT(magic), 0, "it begins with 0000" },
    { AT(magic), 0x10D1, "it begins with 10D1" },           /* of a machine with the other byte order */
    { AT(info), 0, "its flags are 0000" },                  /* the header of a page within a segment */
    { AT(info), 0x12, "its flags are 0012" },
    { AT(segment_bytes), 0, "a segment has 0 bytes" },
    { AT(segment_bytes), 16 * MIB - 1, "a segment has 16777215 bytes" },
    { AT(segment_bytes), UINT32_MAX, "a segment has 4294967295 bytes" },
    { AT(block_bytes), 0, "a page of it has 0 bytes" },
    { AT(block_bytes), 8191, "a page of it has 8191 bytes" },
    { AT(block_bytes), 1 << 17, "a page of it has 131072 bytes" },
    { AT(address), 16 * MIB + 8192, "where no segment begins" },
    { AT(timeline), 0, "no timeline" },
    { AT(system_identifier), 0, "no system identifier" },
#undef AT
};

START_TEST(what_is_no_header_is_refused)
{
    const struct bad_row *row = &bad_rows[_i];
    struct segment_page page = segment_page(1, 1, 16 * MIB);
    struct wal_header header = { .major = 4711 };

    memcpy((char *)&page + row->at, &row->value, row->size);
    ck_assert_int_eq(wal_header_read(&page, sizeof page, &header), ERROR_CORRUPT);
    ck_assert_error_has(row->reason);
    ck_assert_int_eq(header.major, 4711);
}
END_TEST

START_TEST(a_header_that_is_cut_off_is_refused)
{
    struct segment_page page = segment_page(1, 1, 16 * MIB);
    struct wal_header header;

    ck_assert_int_eq(wal_header_read(&page, sizeof page - 1, &header), ERROR_CORRUPT);
    ck_assert_error_has("39 bytes, not even a header's 40");
    ck_assert_int_eq(wal_header_read("", 0, &header), ERROR_CORRUPT);
}
END_TEST

static const struct check_row {
    const char *name;
    uint32_t timeline; /* of the page */
    uint64_t size;
    const char *reason; /* NULL: it fits */
} check_rows[] = {
    { "000000030000001A000000FF", 3, 16 * MIB, NULL },
    { "000000030000001A000000FF.partial", 3, 16 * MIB, NULL },
    { "000000030000001A000000FF", 2, 16 * MIB, NULL }, /* timeline 3 begins in it */
    { "000000020000001A000000FF", 3, 16 * MIB, "is of timeline 2, its header says 3" },
    { "000000030000001A000000FE", 3, 16 * MIB, "holds what its header calls '000000030000001A000000FF'" },
    { "000000030000001B000000FF", 3, 16 * MIB, "holds what its header calls '000000030000001A000000FF'" },
    { "0000000300000019000001FF", 3, 16 * MIB, "cannot be a segment of 16777216 bytes" }, /* the same number */
    { "000000030000001A000000FF", 3, 16 * MIB - 1, "has 16777215 bytes, its header says 16777216" },
    { "000000030000001A000000FF", 3, 32 * MIB, "has 33554432 bytes, its header says 16777216" },
};

START_TEST(a_segment_is_the_one_that_its_name_says)
{
    const struct check_row *row = &check_rows[_i];
    struct segment_page page = segment_page(row->timeline, 0x1AFF, 16 * MIB);
    struct wal_header header;
    struct wal_name name;
    int rc;

    ck_assert_int_eq(wal_header_read(&page, sizeof page, &header), 0);
    ck_assert_int_eq(wal_name_parse(row->name, &name), 0);
    rc = wal_header_check(&header, &name, row->size);
    ck_assert_int_eq(rc, row->reason == NULL ? 0 : ERROR_CORRUPT);
    if (row->reason != NULL)
        ck_assert_error_has(row->reason);
}
END_TEST

static Suite *
wal_header_suite(void)
{
    Suite *suite = suite_create("wal-header");
    TCase *reading = tcase_create("reading"), *checking = tcase_create("checking");

    tcase_add_test(reading, a_header_is_read_as_it_was_written);
    tcase_add_loop_test(reading, the_magic_tells_the_release, 0, ARRAY_LEN(magic_rows));
    tcase_add_loop_test(reading, what_is_no_header_is_refused, 0, ARRAY_LEN(bad_rows));
    tcase_add_test(reading, a_header_that_is_cut_off_is_refused);
    suite_add_tcase(suite, reading);
    tcase_add_loop_test(checking, a_segment_is_the_one_that_its_name_says, 0, ARRAY_LEN(check_rows));
    suite_add_tcase(suite, checking);
    return suite;
}

UNIT_MAIN(wal_header_suite)
