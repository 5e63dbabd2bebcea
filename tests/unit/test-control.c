/* SPDX-License-Identifier: PostgreSQL
 *
 * pg_control: taken with the right checksum, wherever a release has it, and refused
 * with any other.
 */
#include "config.h"

#include "pg/control.h"

#include <string.h>
#include <sys/stat.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/file.h"
#include "unit-dir.h"
#include "unit.h"

#define SYSTEM UINT64_C(7301234567890123456)

/* One whose struct has `size` bytes before its CRC. */
static void
make_control(unsigned char data[CONTROL_BYTES], size_t size)
{
    const uint64_t system = SYSTEM;
    const uint32_t version = 1300, catalog = 202209061;
    uint32_t crc;

    memset(data, 0, CONTROL_BYTES);
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 7);
    memcpy(data, &system, sizeof system);
    memcpy(data + 8, &version, sizeof version);
    memcpy(data + 12, &catalog, sizeof catalog);
    crc = crc32c_add(0, data, size);
    memcpy(data + size, &crc, sizeof crc);
}

static const struct size_row {
    size_t size;
    bool found;
} size_rows[] = {
    { 200, true },  { 280, true }, /* 13 to 16: 288 or so, as the alignment has it */
    { 288, true },  { 292, true }, { 508, true },
    { 196, false }, { 512, false }, /* no release: larger than a sector */
};

START_TEST(the_checksum_is_found_where_a_release_has_it)
{
    unsigned char data[CONTROL_BYTES];
    struct control control = { 0 };

    make_control(data, size_rows[_i].size);
    ck_assert_int_eq(control_read(data, sizeof data, &control), size_rows[_i].found ? 0 : ERROR_CORRUPT);
    if (!size_rows[_i].found)
        return;
    ck_assert_uint_eq(control.system_identifier, SYSTEM);
    ck_assert_uint_eq(control.version, 1300);
    ck_assert_uint_eq(control.catalog_version, 202209061);
}
END_TEST

START_TEST(no_flipped_bit_is_believed)
{
    unsigned char data[CONTROL_BYTES];
    struct control control = { .version = 4711 };

    for (size_t i = 0; i < 292; i++) {
        make_control(data, 288);
        data[i] ^= (unsigned char)(1 << (i % 8));
        ck_assert_int_eq(control_read(data, sizeof data, &control), ERROR_CORRUPT);
        ck_assert_error_has("checksum is wrong");
    }
    ck_assert_uint_eq(control.version, 4711);
}
END_TEST

START_TEST(one_that_is_cut_off_is_refused)
{
    unsigned char data[CONTROL_BYTES];
    struct control control;

    make_control(data, 288);
    ck_assert_int_eq(control_read(data, 512, &control), 0);
    ck_assert_int_eq(control_read(data, 511, &control), ERROR_CORRUPT);
    ck_assert_int_eq(control_read(data, 0, &control), ERROR_CORRUPT);
}
END_TEST

START_TEST(it_is_read_from_a_data_directory)
{
    unsigned char data[CONTROL_BYTES];
    CLEANUP_FREE char *global = dir_path("global"), *path = dir_path("global/pg_control");
    struct control control;

    ck_assert_int_eq(control_load(unit_dir, &control), PGCASK_NOT_FOUND);
    ck_assert_int_eq(mkdir(global, 0700), 0);
    make_control(data, 288);
    ck_assert_int_eq(file_write(path, data, sizeof data), 0);
    ck_assert_int_eq(control_load(unit_dir, &control), 0);
    ck_assert_uint_eq(control.system_identifier, SYSTEM);
    data[100] ^= 1;
    ck_assert_int_eq(file_write(path, data, sizeof data), 0);
    ck_assert_int_eq(control_load(unit_dir, &control), ERROR_CORRUPT);
    ck_assert_error_has("global/pg_control': its checksum");
}
END_TEST

static Suite *
control_suite(void)
{
    Suite *suite = suite_create("control");
    TCase *reading = tcase_create("reading"), *files = tcase_create("files");

    tcase_add_loop_test(reading, the_checksum_is_found_where_a_release_has_it, 0, ARRAY_LEN(size_rows));
    tcase_add_test(reading, no_flipped_bit_is_believed);
    tcase_add_test(reading, one_that_is_cut_off_is_refused);
    suite_add_tcase(suite, reading);
    tcase_add_checked_fixture(files, dir_make, dir_remove);
    tcase_add_test(files, it_is_read_from_a_data_directory);
    suite_add_tcase(suite, files);
    return suite;
}

UNIT_MAIN(control_suite)
