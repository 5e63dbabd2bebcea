/* SPDX-License-Identifier: PostgreSQL
 *
 * Frames that any zstd reads, and the table of frames with every lie it may tell.
 */
#include "config.h"

#include "stage/zstd-frame.h"

#include <string.h>
#include <zstd.h>

#include "base/error.h"
#include "unit.h"

static struct frame_tools *tools;

static void
setup(void)
{
    tools = frame_tools_new(3);
}

static void
teardown(void)
{
    frame_tools_free(tools);
}

/* Words (which compress) or noise (which does not); owned by the caller. */
static unsigned char *
make_plain(size_t len, bool noise)
{
    unsigned char *plain = mem_alloc(len);
    uint64_t state = 42;

    for (size_t i = 0; i < len; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        plain[i] = noise ? (unsigned char)(state >> 56) : (unsigned char)"a word and more "[(i + (state >> 63)) % 16];
    }
    return plain;
}

/* ---- frames ---- */

static const struct {
    size_t len;
    bool noise;
} frame_rows[] = {
    { 0, false }, { 1, false }, { 65536, false }, { FRAME_PLAIN_BYTES, false },
    { 1, true }, { 65535, true }, { FRAME_PLAIN_BYTES - 1, true }, { FRAME_PLAIN_BYTES, true },
};

START_TEST(frames_come_back_as_they_were)
{
    size_t len = frame_rows[_i].len, stored = 0;
    CLEANUP_FREE unsigned char *plain = make_plain(len, frame_rows[_i].noise), *frame = mem_alloc(frame_bound());
    CLEANUP_FREE unsigned char *back = mem_alloc(len);

    ck_assert_msg(frame_compress(tools, plain, len, frame, frame_bound(), &stored) == 0, "%s", error_text());
    ck_assert_uint_le(stored, frame_bound());
    if (!frame_rows[_i].noise && len > 1000)
        ck_assert_uint_lt(stored, len / 2);
    ck_assert_msg(frame_expand(tools, frame, stored, back, len) == 0, "%s", error_text());
    if (len > 0)
        ck_assert_mem_eq(back, plain, len);
    memset(back, 0, len);
    ck_assert_uint_eq(ZSTD_decompress(back, len, frame, stored), len); /* so can everybody */
    if (len > 0)
        ck_assert_mem_eq(back, plain, len);
    ck_assert_uint_eq(ZSTD_getFrameContentSize(frame, stored), len);
    ck_assert_uint_eq(frame[4] & 4, 4); /* has its checksum (RFC 8878, frame header descriptor) */
}
END_TEST

START_TEST(too_little_room_is_an_error)
{
    CLEANUP_FREE unsigned char *plain = make_plain(1000, true);
    unsigned char frame[500];
    size_t stored = 4711;

    ck_assert_int_eq(frame_compress(tools, plain, 1000, frame, sizeof frame, &stored), PGCASK_FAILED);
    ck_assert_error_has("zstd could not compress");
    ck_assert_uint_eq(stored, 4711);
    ck_assert_int_eq(frame_compress(tools, plain, 100, frame, sizeof frame, &stored), 0); /* and can be used again */
}
END_TEST

/* A frame of 1000 bytes, and one of nothing. */
struct sample {
    unsigned char *plain, frame[2000], back[2000];
    size_t len;
};

static void
make_sample(struct sample *sample)
{
    sample->plain = make_plain(1000, false);
    ck_assert_int_eq(frame_compress(tools, sample->plain, 1000, sample->frame, sizeof sample->frame, &sample->len), 0);
}

static int
expand(struct sample *sample, const void *frame, size_t len, size_t plain_len)
{
    CLEANUP_FREE unsigned char *exact = mem_alloc(len); /* the sanitizer sees what is read too far */

    memcpy(exact, frame, len);
    return frame_expand(tools, exact, len, sample->back, plain_len);
}

START_TEST(a_cut_frame_is_corrupt)
{
    struct sample sample;

    make_sample(&sample);
    for (size_t len = 0; len < sample.len; len++)
        ck_assert_int_eq(expand(&sample, sample.frame, len, 1000), ERROR_CORRUPT);
    free(sample.plain);
}
END_TEST

START_TEST(what_is_not_one_frame_is_corrupt)
{
    struct sample sample;
    unsigned char skippable[8] = { 0x5e, 0x2a, 0x4d, 0x18 };

    make_sample(&sample);
    ck_assert_int_eq(expand(&sample, sample.frame, sample.len + 1, 1000), ERROR_CORRUPT); /* a byte behind it */
    memcpy(sample.frame + sample.len, sample.frame, sample.len);
    ck_assert_int_eq(expand(&sample, sample.frame, 2 * sample.len, 2000), ERROR_CORRUPT); /* two of them */
    ck_assert_int_eq(expand(&sample, skippable, sizeof skippable, 1000), ERROR_CORRUPT);
    ck_assert_int_eq(expand(&sample, sample.plain, 1000, 1000), ERROR_CORRUPT);
    ck_assert_int_eq(expand(&sample, sample.frame, sample.len, 1000), 0); /* the tools are still good */
    free(sample.plain);
}
END_TEST

static const size_t wrong_rows[] = { 0, 1, 999, 1001, 2000 };

START_TEST(another_length_than_the_table_says_is_corrupt)
{
    struct sample sample;

    make_sample(&sample);
    memset(sample.back, 'u', sizeof sample.back);
    ck_assert_int_eq(expand(&sample, sample.frame, sample.len, wrong_rows[_i]), ERROR_CORRUPT);
    for (size_t i = wrong_rows[_i]; i < sizeof sample.back; i++)
        ck_assert_uint_eq(sample.back[i], 'u'); /* nothing is written behind */
    free(sample.plain);
}
END_TEST

START_TEST(no_flipped_bit_gives_other_bytes)
{
    struct sample sample;
    unsigned taken = 0;

    make_sample(&sample);
    for (size_t bit = 0; bit < 8 * sample.len; bit++) {
        int rc;

        sample.frame[bit / 8] ^= (unsigned char)(1 << bit % 8);
        memset(sample.back, 0, 1000);
        rc = expand(&sample, sample.frame, sample.len, 1000);
        ck_assert(rc == 0 || rc == ERROR_CORRUPT);
        taken += rc == 0; /* a few mean nothing, as one of the header's (RFC 8878, 3.1.1.1.1.3) */
        if (rc == 0)
            ck_assert_mem_eq(sample.back, sample.plain, 1000);
        sample.frame[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    ck_assert_uint_lt(taken, 8 * sample.len / 20);
    free(sample.plain);
}
END_TEST

START_TEST(a_frame_without_checksum_is_corrupt)
{
    struct sample sample;

    make_sample(&sample);
    sample.len = ZSTD_compress(sample.frame, sizeof sample.frame, sample.plain, 1000, 3);
    ck_assert_int_eq(expand(&sample, sample.frame, sample.len, 1000), ERROR_CORRUPT);
    ck_assert_error_has("checksum");
    free(sample.plain);
}
END_TEST

/* ---- the table ---- */

static const unsigned char table_bytes[] = {
    0x5e, 0x2a, 0x4d, 0x18, 25, 0, 0, 0,          /* skippable frame of 2 * 8 + 9 bytes */
    0x2c, 1, 0, 0, 0x00, 0x00, 1, 0,              /* 300 stored, 65536 plain */
    0x90, 1, 0, 0, 0x05, 0x00, 0, 0,              /* 400 stored, 5 plain */
    2, 0, 0, 0, 0, 0xb1, 0xea, 0x92, 0x8f,        /* 2 entries, no checksums */
};

START_TEST(the_table_is_written_as_the_format_says)
{
    struct frame_table table = { 0 };
    CLEANUP_BUF struct buf data = BUF_INIT(1000);

    frame_table_add(&table, 300, 65536);
    frame_table_add(&table, 400, 5);
    ck_assert_int_eq(frame_table_encode(&table, &data), 0);
    ck_assert_uint_eq(data.len, sizeof table_bytes);
    ck_assert_mem_eq(data.data, table_bytes, sizeof table_bytes);
    frame_table_free(&table);
    frame_table_free(&table);
}
END_TEST

static const size_t count_rows[] = { 0, 1, 2, 1000 };

START_TEST(a_table_comes_back_as_it_was)
{
    struct frame_table table = { 0 }, back = { 0 };
    CLEANUP_BUF struct buf data = BUF_INIT(100000);
    uint64_t size = 0, body = 0;

    for (size_t i = 0; i < count_rows[_i]; i++) {
        frame_table_add(&table, 1000 + i, i == 5 ? FRAME_PLAIN_BYTES : i);
        body += 1000 + i;
    }
    ck_assert_int_eq(frame_table_encode(&table, &data), 0);
    ck_assert_int_eq(frame_footer_decode(data.data + data.len - FRAME_FOOTER_BYTES, &size), 0);
    ck_assert_uint_eq(size, data.len);
    ck_assert_msg(frame_table_decode(data.data, data.len, body, &back) == 0, "%s", error_text());
    ck_assert_uint_eq(back.len, table.len);
    for (size_t i = 0; i < table.len; i++) {
        ck_assert_uint_eq(back.entries[i].stored, table.entries[i].stored);
        ck_assert_uint_eq(back.entries[i].plain, table.entries[i].plain);
    }
    frame_table_free(&table);
    frame_table_free(&back);
}
END_TEST

START_TEST(zstd_passes_over_the_table)
{
    struct sample sample;
    CLEANUP_BUF struct buf file = BUF_INIT(10000);
    struct frame_table table = { 0 };

    make_sample(&sample);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(buf_add(&file, sample.frame, sample.len), 0);
        frame_table_add(&table, sample.len, 1000);
    }
    ck_assert_int_eq(frame_table_encode(&table, &file), 0);
    ck_assert_uint_eq(ZSTD_decompress(sample.back, sizeof sample.back, file.data, file.len), 2000);
    ck_assert_mem_eq(sample.back, sample.plain, 1000);
    ck_assert_mem_eq(sample.back + 1000, sample.plain, 1000);
    frame_table_free(&table);
    free(sample.plain);
}
END_TEST

START_TEST(entries_with_checksums_are_read)
{
    static const unsigned char data[] = { 0x5e, 0x2a, 0x4d, 0x18, 21, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 1, 2, 3, 4,
                                          1, 0, 0, 0, 0x80, 0xb1, 0xea, 0x92, 0x8f };
    struct frame_table table = { 0 };

    ck_assert_msg(frame_table_decode(data, sizeof data, 7, &table) == 0, "%s", error_text());
    ck_assert_uint_eq(table.len, 1);
    ck_assert_uint_eq(table.entries[0].stored, 7);
    ck_assert_uint_eq(table.entries[0].plain, 8);
    frame_table_free(&table);
}
END_TEST

/* One byte of the table changed, or another body than the entries fill. */
static const struct {
    size_t at;
    unsigned char byte;
    uint64_t body;
    const char *part;
} lie_rows[] = {
    { 0, 0x5e, 699, "covers 700 bytes, the stream has 699" },
    { 0, 0x5e, 701, "covers 700 bytes, the stream has 701" },
    { 0, 0x5e, 0, "the stream has 0" },
    { 0, 0x5e, (UINT64_C(1) << 32) + 700, "the stream has 4294967996" },      /* no 32-bit sum */
    { 0, 0x5f, 700, "contradicts itself" },                                   /* not that kind of frame */
    { 4, 24, 700, "contradicts itself" },                                     /* its size */
    { 7, 1, 700, "contradicts itself" },
    { 8, 0x2d, 700, "covers 701 bytes" },
    { 11, 1, 700, "frame 0 claims 65536 bytes from 16777516" },               /* stored: more than compressing makes */
    { 14, 0x41, 700, "frame 0 claims 4259840 bytes from 300" },               /* plain: more than 4 MiB */
    { 23, 0x80, 700, "frame 1 claims 2147483653 bytes from 400" },
    { 24, 1, 700, "contradicts itself" },                                     /* fewer frames than there are */
    { 24, 3, 700, "contradicts itself" },                                     /* more */
    { 27, 0x08, 700, "claims 134217730 frames" },                             /* far more */
    { 27, 0xff, 700, "claims 4278190082 frames" },
    { 28, 0x04, 700, "unknown kind (descriptor 0x04)" },
    { 28, 0x40, 700, "unknown kind (descriptor 0x40)" },
    { 28, 0x80, 700, "contradicts itself" },                                  /* checksums that are not there */
    { 29, 0xb2, 700, "no table of frames at the end (magic 8f92eab2" },
    { 32, 0x00, 700, "no table of frames at the end" },
};

START_TEST(a_lying_table_is_corrupt)
{
    CLEANUP_FREE unsigned char *data = mem_alloc(sizeof table_bytes);
    struct frame_table table = { 0 };

    memcpy(data, table_bytes, sizeof table_bytes);
    ck_assert_int_eq(frame_table_decode(data, sizeof table_bytes, 700, &table), 0); /* as it should be */
    frame_table_free(&table);
    data[lie_rows[_i].at] = lie_rows[_i].byte;
    ck_assert_int_eq(frame_table_decode(data, sizeof table_bytes, lie_rows[_i].body, &table), ERROR_CORRUPT);
    ck_assert_error_has(lie_rows[_i].part);
    ck_assert_ptr_null(table.entries);
}
END_TEST

START_TEST(a_cut_table_is_corrupt)
{
    struct frame_table table = { 0 };

    for (size_t cut = 1; cut <= sizeof table_bytes; cut++) {
        CLEANUP_FREE unsigned char *data = mem_alloc(sizeof table_bytes - cut);

        memcpy(data, table_bytes + cut, sizeof table_bytes - cut); /* in front: the end is as it should be */
        ck_assert_int_eq(frame_table_decode(data, sizeof table_bytes - cut, 700, &table), ERROR_CORRUPT);
    }
}
END_TEST

static const struct {
    unsigned char footer[FRAME_FOOTER_BYTES];
    uint64_t size; /* 0: corrupt */
} footer_rows[] = {
    { { 0, 0, 0, 0, 0, 0xb1, 0xea, 0x92, 0x8f }, 17 },
    { { 1, 0, 0, 0, 0x80, 0xb1, 0xea, 0x92, 0x8f }, 29 },
    { { 0, 0, 0, 8, 0, 0xb1, 0xea, 0x92, 0x8f }, 8 * UINT64_C(0x8000000) + 17 },    /* the most there may be */
    { { 1, 0, 0, 8, 0, 0xb1, 0xea, 0x92, 0x8f }, 0 },
    { { 0xff, 0xff, 0xff, 0xff, 0x80, 0xb1, 0xea, 0x92, 0x8f }, 0 },
    { { 0, 0, 0, 0, 0x7c, 0xb1, 0xea, 0x92, 0x8f }, 0 },
    { { 0, 0, 0, 0, 0, 0xb1, 0xea, 0x92, 0x8e }, 0 },
};

START_TEST(the_footer_tells_the_size)
{
    uint64_t size = 0;

    ck_assert_int_eq(frame_footer_decode(footer_rows[_i].footer, &size), footer_rows[_i].size ? 0 : ERROR_CORRUPT);
    ck_assert_uint_eq(size, footer_rows[_i].size);
}
END_TEST

static Suite *
zstd_frame_suite(void)
{
    Suite *suite = suite_create("zstd-frame");
    TCase *tcase = tcase_create("frame");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, frames_come_back_as_they_were, 0, ARRAY_LEN(frame_rows));
    tcase_add_test(tcase, too_little_room_is_an_error);
    tcase_add_test(tcase, a_cut_frame_is_corrupt);
    tcase_add_test(tcase, what_is_not_one_frame_is_corrupt);
    tcase_add_loop_test(tcase, another_length_than_the_table_says_is_corrupt, 0, ARRAY_LEN(wrong_rows));
    tcase_add_test(tcase, no_flipped_bit_gives_other_bytes);
    tcase_add_test(tcase, a_frame_without_checksum_is_corrupt);
    tcase_add_test(tcase, zstd_passes_over_the_table);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("table");
    tcase_add_test(tcase, the_table_is_written_as_the_format_says);
    tcase_add_loop_test(tcase, a_table_comes_back_as_it_was, 0, ARRAY_LEN(count_rows));
    tcase_add_test(tcase, entries_with_checksums_are_read);
    tcase_add_loop_test(tcase, a_lying_table_is_corrupt, 0, ARRAY_LEN(lie_rows));
    tcase_add_test(tcase, a_cut_table_is_corrupt);
    tcase_add_loop_test(tcase, the_footer_tells_the_size, 0, ARRAY_LEN(footer_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(zstd_frame_suite)
