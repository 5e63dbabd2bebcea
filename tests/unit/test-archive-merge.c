/* SPDX-License-Identifier: PostgreSQL
 *
 * Archives with rows in large blocks: nothing but the blocks' heads may differ.
 */
#include "config.h"

#include "pg/archive-merge.h"

#include "base/buf.h"
#include "base/error.h"
#include "unit.h"

#include <string.h>

enum { LIMIT_BYTES = 16 * 1024 * 1024, MERGED_BYTES = 64 * 1024 };

static const char toc[] = "a table of contents";

static int
take(void *ctx, const void *data, size_t len)
{
    return buf_add(ctx, data, len);
}

static void
put_number(struct buf *buf, int size, int value)
{
    unsigned char bytes[9] = { value < 0 };
    unsigned rest = (unsigned)(value < 0 ? -value : value);

    for (int i = 1; i <= 4; i++, rest >>= 8)
        bytes[i] = (unsigned char)rest;
    ck_assert_int_eq(buf_add(buf, bytes, (size_t)size + 1), 0);
}

static void
put_rows(struct buf *buf, int size, const char *row, size_t row_len, int count)
{
    for (int i = 0; i < count; i++) {
        put_number(buf, size, (int)row_len);
        ck_assert_int_eq(buf_add(buf, row, row_len), 0);
    }
}

static void
put_table(struct buf *buf, int size, int id)
{
    ck_assert_int_eq(buf_add(buf, "\1", 1), 0);
    put_number(buf, size, id);
}

/* Merge `in`, given in pieces of `step` bytes. */
static void
merge(const struct buf *in, int size, size_t step, struct buf *ret_out)
{
    struct archive archive = { .toc_size = sizeof toc, .int_size = size };
    CLEANUP(archive_merge_free) struct archive_merge *merge = archive_merge_new(&archive, take, ret_out);

    for (size_t at = 0; at < in->len; at += step)
        ck_assert_int_eq(archive_merge_add(merge, in->data + at, in->len - at < step ? in->len - at : step), 0);
    ck_assert_int_eq(archive_merge_end(merge), 0);
}

static void
same(const struct buf *got, const struct buf *wanted)
{
    ck_assert_uint_eq(got->len, wanted->len);
    ck_assert_int_eq(memcmp(got->data, wanted->data, wanted->len), 0);
}

static const struct {
    int int_size;
    size_t step;
} ways[] = {
    { 4, 1 },       /* every head is cut */
    { 4, 7 },       /* never where a head ends */
    { 8, 11 },      /* the other size of numbers */
    { 4, 1 << 20 }, /* all at once */
};

START_TEST(rows_are_merged_and_tables_kept_apart)
{
    int size = ways[_i].int_size;
    CLEANUP_BUF struct buf in = BUF_INIT(LIMIT_BYTES), wanted = BUF_INIT(LIMIT_BYTES), out = BUF_INIT(LIMIT_BYTES);
    struct buf *both[] = { &in, &wanted };

    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(buf_add(both[i], toc, sizeof toc), 0);
        put_table(both[i], size, 3);
        if (both[i] == &in)
            put_rows(&in, size, "12345", 5, 3);
        else
            put_rows(&wanted, size, "123451234512345", 15, 1);
        put_number(both[i], size, 0);
        put_table(both[i], size, 4); /* without rows */
        put_number(both[i], size, 0);
        put_table(both[i], size, 5);
        put_rows(both[i], size, "x", 1, 1);
        put_number(both[i], size, 0);
    }
    merge(&in, size, ways[_i].step, &out);
    same(&out, &wanted);
}
END_TEST

START_TEST(blocks_end_at_their_limit_and_large_ones_stay)
{
    CLEANUP_BUF struct buf in = BUF_INIT(LIMIT_BYTES), wanted = BUF_INIT(LIMIT_BYTES), out = BUF_INIT(LIMIT_BYTES);
    CLEANUP_FREE char *half = mem_zalloc(MERGED_BYTES / 2), *large = mem_zalloc(MERGED_BYTES + 1);

    ck_assert_int_eq(buf_add(&in, toc, sizeof toc), 0);
    put_table(&in, 4, 3);
    put_rows(&in, 4, half, MERGED_BYTES / 2, 3);
    put_rows(&in, 4, large, MERGED_BYTES + 1, 1);
    put_rows(&in, 4, "x", 1, 1);
    put_number(&in, 4, 0);

    ck_assert_int_eq(buf_add(&wanted, toc, sizeof toc), 0);
    put_table(&wanted, 4, 3);
    put_rows(&wanted, 4, large, MERGED_BYTES, 1); /* all zeros: any of them will do */
    put_rows(&wanted, 4, half, MERGED_BYTES / 2, 1);
    put_rows(&wanted, 4, large, MERGED_BYTES + 1, 1);
    put_rows(&wanted, 4, "x", 1, 1);
    put_number(&wanted, 4, 0);
    merge(&in, 4, ways[_i].step, &out);
    same(&out, &wanted);
}
END_TEST

START_TEST(what_is_not_rows_stays_as_it_is)
{
    static const struct {
        const char *bytes;
        size_t len;
    } tails[] = {
        { "\3\0\1\0\0\0\0\2\0\0\0\0\1\0\0\0x\0\1\0\0\0y", 23 }, /* large objects */
        { "\1\0\1\0\0\0\1\1\0\0\0x", 12 },                       /* a length below zero */
        { "\1\0\1\0\0\0\0\1\0\0\x80x", 12 },                     /* one beyond any row */
        { "\1\0\1\0\0\0\0\5\0\0\0xyz", 14 },                     /* cut in a row */
        { "\1\0\1\0\0\0\0\5\0", 9 },                             /* cut in a length */
        { "\1\0\1", 3 },                                         /* cut in a number */
        { "?abc", 4 },
    };

    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        CLEANUP_BUF struct buf in = BUF_INIT(LIMIT_BYTES), out = BUF_INIT(LIMIT_BYTES);

        ck_assert_int_eq(buf_add(&in, toc, sizeof toc), 0);
        ck_assert_int_eq(buf_add(&in, tails[i].bytes, tails[i].len), 0);
        merge(&in, 4, ways[_i].step, &out);
        if (i == 3) /* there the head tells what is really there */
            in.data[sizeof toc + 7] = 3;
        same(&out, &in);
    }
}
END_TEST

static int
refuse(void *ctx, const void *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
    return PGCASK_FAILED;
}

START_TEST(an_error_of_the_taker_ends_it)
{
    struct archive archive = { .toc_size = sizeof toc, .int_size = 4 };
    CLEANUP(archive_merge_free) struct archive_merge *merging = archive_merge_new(&archive, refuse, NULL);

    ck_assert_int_eq(archive_merge_add(merging, toc, sizeof toc), PGCASK_FAILED);
}
END_TEST

/* Only the rows of entry 3 of `in`, given in pieces of `step` bytes; the code. */
static int
rows_alone(const struct buf *in, int size, size_t step, struct buf *ret_out)
{
    struct archive archive = { .toc_size = sizeof toc, .int_size = size };
    CLEANUP(archive_merge_free) struct archive_merge *merge = archive_merge_rows_new(&archive, 3, take, ret_out);

    for (size_t at = 0; at < in->len; at += step) {
        int rc = archive_merge_add(merge, in->data + at, in->len - at < step ? in->len - at : step);

        if (rc < 0)
            return rc;
    }
    return archive_merge_end(merge);
}

START_TEST(rows_alone_are_given_without_heads)
{
    int size = ways[_i].int_size;
    CLEANUP_BUF struct buf in = BUF_INIT(LIMIT_BYTES), wanted = BUF_INIT(LIMIT_BYTES), out = BUF_INIT(LIMIT_BYTES);
    CLEANUP_FREE char *large = mem_zalloc(MERGED_BYTES + 1);

    ck_assert_int_eq(buf_add(&in, toc, sizeof toc), 0);
    put_table(&in, size, 3);
    put_rows(&in, size, "row\n", 4, 3);
    put_rows(&in, size, large, MERGED_BYTES + 1, 1);
    put_rows(&in, size, "\\.\n\n\n", 5, 1);
    put_number(&in, size, 0);

    ck_assert_int_eq(buf_add(&wanted, "row\nrow\nrow\n", 12), 0);
    ck_assert_int_eq(buf_add(&wanted, large, MERGED_BYTES + 1), 0);
    ck_assert_int_eq(buf_add(&wanted, "\\.\n\n\n", 5), 0);
    ck_assert_int_eq(rows_alone(&in, size, ways[_i].step, &out), 0);
    same(&out, &wanted);
}
END_TEST

START_TEST(rows_alone_are_those_of_one_table_and_whole)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *words;
    } tails[] = {
        { "", 0, "it ends before" },
        { "\1\0\3\0\0\0\0\1\0\0\0x", 12, "it ends before" },                 /* the table does not end */
        { "\1\0\3\0\0\0\0\5\0\0\0xyz", 14, "it ends before" },               /* cut in a row */
        { "\1\0\3\0\0\0\0\5\0", 9, "it ends before" },                       /* cut in a length */
        { "\1\0\4\0\0\0\0\0\0\0\0", 11, "entry 4 where only those of 3" },   /* another table */
        { "\1\1\3\0\0\0\0\0\0\0\0", 11, "where only those of 3" },           /* an id below zero */
        { "\1\0\3\0\0\0\0\0\0\0\0\1\0\3\0\0\0\0\0\0\0\0", 22, "where only" }, /* the table twice */
        { "\3\0\3\0\0\0\0\0\0\0\0", 11, "type 3" },                          /* large objects */
        { "\1\0\3\0\0\0\1\1\0\0\0x", 12, "impossible length" },
    };

    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        CLEANUP_BUF struct buf in = BUF_INIT(LIMIT_BYTES), out = BUF_INIT(LIMIT_BYTES);

        ck_assert_int_eq(buf_add(&in, toc, sizeof toc), 0);
        ck_assert_int_eq(buf_add(&in, tails[i].bytes, tails[i].len), 0);
        ck_assert_int_eq(rows_alone(&in, 4, ways[_i].step, &out), ERROR_CORRUPT);
        ck_assert_msg(strstr(error_text(), tails[i].words) != NULL, "row %zu: %s", i, error_text());
    }
}
END_TEST

static Suite *
archive_merge_suite(void)
{
    Suite *suite = suite_create("archive-merge");
    TCase *tcase = tcase_create("merge");
    int count = (int)ARRAY_LEN(ways);

    tcase_add_loop_test(tcase, rows_are_merged_and_tables_kept_apart, 0, count);
    tcase_add_loop_test(tcase, blocks_end_at_their_limit_and_large_ones_stay, 0, count);
    tcase_add_loop_test(tcase, what_is_not_rows_stays_as_it_is, 0, count);
    tcase_add_test(tcase, an_error_of_the_taker_ends_it);
    tcase_add_loop_test(tcase, rows_alone_are_given_without_heads, 0, count);
    tcase_add_loop_test(tcase, rows_alone_are_those_of_one_table_and_whole, 0, count);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(archive_merge_suite)
