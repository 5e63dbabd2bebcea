/* SPDX-License-Identifier: PostgreSQL
 *
 * Changed blocks into the file they belong to, wherever their bytes are cut; and files that are none of these.
 */
#include "config.h"

#include "pg/incremental.h"

#include <string.h>

#include "base/error.h"
#include "unit-incremental.h"
#include "unit.h"

enum { LIMIT = 1 << 20 };

static int
file_cut(void *ctx, uint64_t size)
{
    struct buf *file = ctx;

    if (file->len > size)
        file->len = (size_t)size;
    return 0;
}

static int
file_grow(void *ctx, uint64_t size)
{
    struct buf *file = ctx;

    while (file->len < size)
        ck_assert_int_eq(buf_add(file, "", 1), 0);
    return 0;
}

static int
file_put(void *ctx, uint64_t offset, const void *data, size_t len)
{
    struct buf *file = ctx;

    ck_assert_uint_lt(offset + len, LIMIT);
    (void)file_grow(ctx, offset + len);
    memcpy(file->data + offset, data, len);
    return 0;
}

static const struct incremental_ops ops = { file_cut, file_put, file_grow };

static int
apply(const struct buf *change, size_t step, uint32_t block_bytes, struct buf *file)
{
    CLEANUP(incremental_free) struct incremental *incremental = incremental_new(change->len, block_bytes, &ops, file);
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < change->len; at += step)
        rc = incremental_add(incremental, change->data + at, change->len - at < step ? change->len - at : step);
    return rc < 0 ? rc : incremental_end(incremental);
}

static const struct {
    const char *before;
    uint32_t cut;
    const char *changes, *after;
} rows[] = {
    { "ABCD", 4, "1X", "AXCD" }, { "ABCD", 4, "3X 0Y", "YBCX" }, { "ABCD", 4, "", "ABCD" }, /* nothing was changed */
    { "ABCD", 2, "", "AB" },                                                                /* it was cut */
    { "ABCD", 0, "", "" },       { "ABCD", 2, "2X", "ABX" }, /* cut, and then longer again */
    { "ABCD", 2, "3X", "AB.X" },                             /* what was cut does not come back */
    { "AB", 2, "4X", "AB..X" },  { "AB", 4, "", "AB.." },        { "AB", 4, "0X", "XB.." }, { "", 0, "0A 1B", "AB" },
};

START_TEST(blocks_find_their_places)
{
    static const size_t steps[] = { 1, 7, 12, 1000, 1024, 4096, LIMIT };

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        CLEANUP_BUF struct buf change = BUF_INIT(LIMIT), file = BUF_INIT(LIMIT), wanted = BUF_INIT(LIMIT);

        inc_file(&change, rows[_i].cut, rows[_i].changes);
        inc_blocks(&file, rows[_i].before);
        inc_blocks(&wanted, rows[_i].after);
        ck_assert_msg(apply(&change, steps[i], INC_BLOCK, &file) == 0, "%s", error_text());
        ck_assert_uint_eq(file.len, wanted.len);
        ck_assert(wanted.len == 0 || memcmp(file.data, wanted.data, wanted.len) == 0);
    }
}
END_TEST

/* A word of a good file, changed. */
static const struct {
    size_t at;
    uint32_t word;
    const char *part;
} bad_rows[] = {
    { 0, 0x12345678, "magic number" }, { 1, 3, "does not fit" }, /* one block more than there is */
    { 1, 1, "does not fit" },          { 1, UINT32_MAX, "impossible" },
    { 2, UINT32_MAX, "impossible" },   { 3, UINT32_MAX, "block number" },
};

START_TEST(other_files_are_corrupt)
{
    CLEANUP_BUF struct buf change = BUF_INIT(LIMIT), file = BUF_INIT(LIMIT);

    inc_file(&change, 2, "0A 1B");
    memcpy(change.data + bad_rows[_i].at * 4, &bad_rows[_i].word, 4);
    ck_assert_int_eq(apply(&change, 100, INC_BLOCK, &file), ERROR_CORRUPT);
    ck_assert_error_has(bad_rows[_i].part);
}
END_TEST

START_TEST(cut_or_too_long)
{
    CLEANUP_BUF struct buf change = BUF_INIT(LIMIT), file = BUF_INIT(LIMIT);

    inc_file(&change, 2, "0A 1B");
    for (size_t len = 0; len < change.len; len += 100) {
        CLEANUP(incremental_free) struct incremental *incremental = incremental_new(change.len, INC_BLOCK, &ops, &file);

        ck_assert_int_eq(incremental_add(incremental, change.data, len), 0);
        ck_assert_int_eq(incremental_end(incremental), ERROR_CORRUPT);
    }
    ck_assert_int_eq(apply(&change, 100, INC_BLOCK * 2, &file), ERROR_CORRUPT); /* of a server with other blocks */
    inc_blocks(&change, "C");
    ck_assert_int_eq(apply(&change, 100, INC_BLOCK, &file), ERROR_CORRUPT);
}
END_TEST

START_TEST(the_size_of_a_block_is_found)
{
    CLEANUP_BUF struct buf good = BUF_INIT(100), odd = BUF_INIT(100);
    uint32_t bytes = 0;

    inc_control(&good, 8192);
    ck_assert_int_eq(incremental_block_bytes(good.data, good.len, &bytes), 0);
    ck_assert_uint_eq(bytes, 8192);
    ck_assert_int_eq(incremental_block_bytes(good.data, good.len - 1, &bytes), ERROR_CORRUPT);
    ck_assert_int_eq(incremental_block_bytes("", 0, &bytes), ERROR_CORRUPT);
    inc_control(&odd, 8191);
    ck_assert_int_eq(incremental_block_bytes(odd.data, odd.len, &bytes), ERROR_CORRUPT);
}
END_TEST

static Suite *
incremental_suite(void)
{
    Suite *suite = suite_create("incremental");
    TCase *tcase = tcase_create("incremental");

    tcase_add_loop_test(tcase, blocks_find_their_places, 0, ARRAY_LEN(rows));
    tcase_add_loop_test(tcase, other_files_are_corrupt, 0, ARRAY_LEN(bad_rows));
    tcase_add_test(tcase, cut_or_too_long);
    tcase_add_test(tcase, the_size_of_a_block_is_found);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(incremental_suite)
