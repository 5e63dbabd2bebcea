/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/buf.h"
#include "base/error.h"
#include "stage/lz4-frame.h"
#include "unit.h"

#include <string.h>
#include <xxhash.h>

enum { GUARD_BYTES = 64 * 1024 };

/* ---- blocks ---- */

static const struct {
    const char *block;
    size_t len;
    const char *plain; /* NULL: refused */
} blocks[] = {
    { "\x30"
      "abc",
      4, "abc" },      /* literals alone */
    { "\x00", 1, "" }, /* nothing */
    { "\x11"
      "a\x01\0"
      "\x10"
      "b",
      6, "aaaaaab" }, /* a match that repeats what it is writing */
    { "\x40"
      "abcd\x04\0"
      "\x10"
      "x",
      9, "abcdabcdx" }, /* one that does not */
    { "\xf0\x05"
      "01234567890123456789",
      22, "01234567890123456789" }, /* a length of two bytes */
    { "\x1f"
      "a\x01\0\x02"
      "\x10"
      "b",
      7, "aaaaaaaaaaaaaaaaaaaaaab" }, /* the same of a match: 15 + 2 + 4 */
    { "\x10\x61\x00", 3, NULL },      /* an offset is cut */
    { "\x11"
      "a\x02\0"
      "\x10"
      "b",
      6, NULL }, /* a match before the first byte */
    { "\x11"
      "a\0\0"
      "\x10"
      "b",
      6, NULL }, /* offset zero */
    { "\x30"
      "ab",
      3, NULL },             /* literals are cut */
    { "\xf0\xff", 2, NULL }, /* a length goes on */
    { "\x1f"
      "a\x01\0",
      4, NULL }, /* a length of a match is missing */
    { "\x11"
      "a\x01\0",
      4, NULL },                     /* it ends with a match */
    { "\xf0\xff\xff\xff", 4, NULL }, /* a length that goes on and on */
};

START_TEST(a_block_is_expanded_or_refused)
{
    unsigned char out[64];
    size_t len = 77;
    CLEANUP_FREE unsigned char *exact = mem_alloc(blocks[_i].len); /* so that a byte too many is seen */
    int rc;

    memcpy(exact, blocks[_i].block, blocks[_i].len);
    rc = lz4_block_expand(exact, blocks[_i].len, out, 0, 0, sizeof out, &len);
    ck_assert_int_eq(rc, blocks[_i].plain ? 0 : ERROR_CORRUPT);
    if (rc == 0) {
        ck_assert_uint_eq(len, strlen(blocks[_i].plain));
        ck_assert_int_eq(memcmp(out, blocks[_i].plain, len), 0);
    } else
        ck_assert_uint_eq(len, 77);
}
END_TEST

START_TEST(a_block_never_grows_over_its_room)
{
    unsigned char *out = mem_alloc(6);
    size_t len;

    ck_assert_int_eq(lz4_block_expand((const unsigned char *)"\x11"
                                                             "a\x01\0"
                                                             "\x10"
                                                             "b",
                                      6, out, 0, 0, 6, &len),
                     ERROR_CORRUPT);
    ck_assert_int_eq(lz4_block_expand((const unsigned char *)"\x70"
                                                             "abcdefg",
                                      8, out, 0, 0, 6, &len),
                     ERROR_CORRUPT);
    free(out);
}
END_TEST

/* ---- frames ---- */

static void
add_number(struct buf *frame, uint32_t number)
{
    unsigned char bytes[] = { (unsigned char)number, (unsigned char)(number >> 8), (unsigned char)(number >> 16),
                              (unsigned char)(number >> 24) };

    ck_assert_int_eq(buf_add(frame, bytes, 4), 0);
}

static void
add_head(struct buf *frame, unsigned flags, unsigned sizes)
{
    unsigned char head[3] = { (unsigned char)flags, (unsigned char)sizes };

    add_number(frame, 0x184D2204);
    head[2] = (unsigned char)(XXH32(head, 2, 0) >> 8);
    ck_assert_int_eq(buf_add(frame, head, 3), 0);
}

static void
add_block(struct buf *frame, const char *block, size_t len, bool compressed, bool sum)
{
    add_number(frame, (uint32_t)len | (compressed ? 0 : 0x80000000));
    ck_assert_int_eq(buf_add(frame, block, len), 0);
    if (sum)
        add_number(frame, XXH32(block, len, 0));
}

/* Two blocks, the second of which refers to the first, with all checksums. */
static void
make_frame(struct buf *frame)
{
    static const char plain[] = "abcdabcdxbcdx";

    add_head(frame, 0x40 | 0x10 | 0x04, 0x40);
    add_block(frame,
              "\x40"
              "abcd\x04\0"
              "\x10"
              "x",
              9, true, true);
    add_block(frame,
              "\x00\x04\0"
              "\x00",
              4, true, true);
    add_number(frame, 0);
    add_number(frame, XXH32(plain, strlen(plain), 0));
}

struct source {
    const char *data;
    size_t len, pos;
};

static int
source_read(void *ctx, void *data, size_t size, size_t *ret_len)
{
    struct source *source = ctx;
    size_t len = source->len - source->pos < size ? source->len - source->pos : size;

    memcpy(data, source->data + source->pos, len);
    source->pos += len;
    *ret_len = len;
    return 0;
}

/* All of it, in reads of `size`; `plain` is added to. */
static int
expand(const void *data, size_t len, size_t size, struct buf *plain)
{
    struct source source = { data, len, 0 };
    CLEANUP(lz4_frame_free) struct lz4_frame *frame = lz4_frame_new(source_read, &source);
    CLEANUP_FREE char *piece = mem_alloc(size);
    size_t got = size;
    int rc = 0;

    while (rc == 0 && got == size) {
        rc = lz4_frame_read(frame, piece, size, &got);
        if (rc == 0)
            ck_assert_int_eq(buf_add(plain, piece, got), 0);
    }
    return rc;
}

static const size_t sizes[] = { 1, 3, 13, 14, 100000 };

START_TEST(a_frame_is_read_in_pieces_of_any_size)
{
    CLEANUP_BUF struct buf frame = BUF_INIT(1024 * 1024), plain = BUF_INIT(1024 * 1024);

    make_frame(&frame);
    ck_assert_msg(expand(frame.data, frame.len, sizes[_i], &plain) == 0, "%s", error_text());
    ck_assert_str_eq(plain.data, "abcdabcdxbcdx");
}
END_TEST

START_TEST(every_flipped_byte_is_noticed)
{
    CLEANUP_BUF struct buf frame = BUF_INIT(1024 * 1024), plain = BUF_INIT(1024 * 1024);

    make_frame(&frame);
    for (size_t i = 0; i < frame.len; i++) {
        frame.data[i] ^= 0x10;
        plain.len = 0;
        ck_assert_msg(expand(frame.data, frame.len, 7, &plain) == ERROR_CORRUPT, "byte %zu", i);
        frame.data[i] ^= 0x10;
    }
}
END_TEST

START_TEST(every_cut_is_noticed)
{
    CLEANUP_BUF struct buf frame = BUF_INIT(1024 * 1024), plain = BUF_INIT(1024 * 1024);

    make_frame(&frame);
    for (size_t len = 0; len < frame.len; len++) {
        CLEANUP_FREE char *cut = mem_alloc(len + 1);

        memcpy(cut, frame.data, len);
        plain.len = 0;
        ck_assert_msg(expand(cut, len, 7, &plain) == ERROR_CORRUPT, "%zu bytes", len);
    }
    ck_assert_int_eq(buf_adds(&frame, "x"), 0);
    ck_assert_int_eq(expand(frame.data, frame.len, 7, &plain), ERROR_CORRUPT); /* something follows */
}
END_TEST

/* 40 blocks of 64 KiB: matches reach back as far as they may, over the edge of blocks, and no further. */
START_TEST(matches_reach_back_64_kib_and_no_further)
{
    CLEANUP_BUF struct buf frame = BUF_INIT(16 * 1024 * 1024), plain = BUF_INIT(16 * 1024 * 1024);
    CLEANUP_FREE char *first = mem_alloc(GUARD_BYTES);
    bool independent = _i == 1;

    for (size_t i = 0; i < GUARD_BYTES; i++)
        first[i] = (char)(i * 7 + i / 256);
    add_head(&frame, 0x40 | (independent ? 0x20 : 0), 0x40);
    add_block(&frame, first, GUARD_BYTES, false, false);
    for (int i = 0; i < 40; i++) /* 8 bytes from 65535 before, then one literal */
        add_block(&frame,
                  "\x04\xff\xff"
                  "\x10"
                  "z",
                  5, true, false);
    add_number(&frame, 0);
    ck_assert_int_eq(expand(frame.data, frame.len, 1000, &plain), independent ? ERROR_CORRUPT : 0);
    if (independent)
        return;
    ck_assert_uint_eq(plain.len, GUARD_BYTES + 40 * 9);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(memcmp(plain.data + GUARD_BYTES + i * 9, plain.data + GUARD_BYTES + i * 9 - 65535, 8), 0);
}
END_TEST

static const struct {
    unsigned flags, sizes;
} heads[] = {
    { 0x80, 0x40 },        /* another version */
    { 0x40 | 0x01, 0x40 }, /* a dictionary */
    { 0x40 | 0x02, 0x40 }, /* what is reserved */
    { 0x40, 0x30 },        /* a size of blocks that does not exist */
    { 0x40, 0xc0 },        /* what is reserved */
};

START_TEST(a_header_that_is_not_known_is_refused)
{
    CLEANUP_BUF struct buf frame = BUF_INIT(1024), plain = BUF_INIT(1024);

    add_head(&frame, heads[_i].flags, heads[_i].sizes);
    add_number(&frame, 0);
    ck_assert_int_eq(expand(frame.data, frame.len, 7, &plain), ERROR_CORRUPT);
    ck_assert_error_has("its header says what is not known");
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("lz4-frame");
    TCase *tcase = tcase_create("lz4");

    tcase_add_loop_test(tcase, a_block_is_expanded_or_refused, 0, ARRAY_LEN(blocks));
    tcase_add_test(tcase, a_block_never_grows_over_its_room);
    tcase_add_loop_test(tcase, a_frame_is_read_in_pieces_of_any_size, 0, ARRAY_LEN(sizes));
    tcase_add_test(tcase, every_flipped_byte_is_noticed);
    tcase_add_test(tcase, every_cut_is_noticed);
    tcase_add_loop_test(tcase, matches_reach_back_64_kib_and_no_further, 0, 2);
    tcase_add_loop_test(tcase, a_header_that_is_not_known_is_refused, 0, ARRAY_LEN(heads));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
