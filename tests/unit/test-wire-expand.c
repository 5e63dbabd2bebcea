/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/buf.h"
#include "base/error.h"
#include "stage/wire-expand.h"
#include "unit.h"

#include <string.h>
#include <xxhash.h>
#include <zstd.h>

enum { PLAIN_BYTES = 1000 * 1000 };

struct source {
    const char *data;
    size_t len, pos;
    int rc;
};

static int
source_read(void *ctx, void *data, size_t size, size_t *ret_len)
{
    struct source *source = ctx;
    size_t len = source->len - source->pos < size ? source->len - source->pos : size;

    if (source->rc < 0)
        return error_set(source->rc, "the server is gone");
    memcpy(data, source->data + source->pos, len);
    source->pos += len;
    *ret_len = len;
    return 0;
}

/* Compressible, and no two pieces alike. */
static char *
made_plain(void)
{
    char *plain = mem_alloc(PLAIN_BYTES);

    for (size_t i = 0; i < PLAIN_BYTES; i++)
        plain[i] = (char)(i / 100 * 31 + i % 7);
    return plain;
}

static void
made_zstd(const char *plain, size_t len, struct buf *stream)
{
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    size_t size;

    ck_assert_int_eq(buf_reserve(stream, ZSTD_compressBound(len)), 0);
    size = ZSTD_compressCCtx(zstd, stream->data, ZSTD_compressBound(len), plain, len, 1);
    ck_assert(!ZSTD_isError(size));
    stream->len = size;
    (void)ZSTD_freeCCtx(zstd);
}

static int
expand(const char *kind, struct source *source, size_t size, struct buf *plain)
{
    CLEANUP(wire_expand_free) struct wire_expand *expand = wire_expand_new(kind, source_read, source);
    CLEANUP_FREE char *piece = mem_alloc(size);
    size_t got = size;
    int rc = 0;

    while (rc == 0 && got == size) {
        rc = wire_expand_read(expand, piece, size, &got);
        if (rc == 0)
            ck_assert_int_eq(buf_add(plain, piece, got), 0);
    }
    return rc;
}

static const size_t sizes[] = { 1000, 4096, PLAIN_BYTES, PLAIN_BYTES + 1 };

START_TEST(zstd_comes_out_in_pieces_of_any_size)
{
    CLEANUP_FREE char *wanted = made_plain();
    CLEANUP_BUF struct buf stream = BUF_INIT(1 << 24), plain = BUF_INIT(1 << 24);
    struct source source = { 0 };

    made_zstd(wanted, PLAIN_BYTES, &stream);
    source = (struct source){ .data = stream.data, .len = stream.len };
    ck_assert_msg(expand("zstd", &source, sizes[_i], &plain) == 0, "%s", error_text());
    ck_assert_uint_eq(plain.len, PLAIN_BYTES);
    ck_assert_int_eq(memcmp(plain.data, wanted, PLAIN_BYTES), 0);
    ck_assert_uint_eq(source.pos, source.len); /* nothing is left for the next archive to stumble over */
}
END_TEST

START_TEST(an_empty_archive_is_one)
{
    CLEANUP_BUF struct buf stream = BUF_INIT(1 << 20), plain = BUF_INIT(1 << 20);
    struct source source;

    made_zstd("", 0, &stream);
    source = (struct source){ .data = stream.data, .len = stream.len };
    ck_assert_int_eq(expand("zstd", &source, 100, &plain), 0);
    ck_assert_uint_eq(plain.len, 0);
}
END_TEST

START_TEST(a_cut_is_noticed_wherever_it_is)
{
    CLEANUP_FREE char *wanted = made_plain();
    CLEANUP_BUF struct buf stream = BUF_INIT(1 << 24), plain = BUF_INIT(1 << 24);

    made_zstd(wanted, 5000, &stream);
    for (size_t len = 0; len < stream.len; len++) {
        struct source source = { .data = stream.data, .len = len };

        plain.len = 0;
        ck_assert_msg(expand("zstd", &source, 777, &plain) == ERROR_CORRUPT, "%zu bytes", len);
    }
}
END_TEST

START_TEST(what_is_no_zstd_is_refused)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(1 << 20);
    struct source source = { .data = "this is a tar", .len = 13 };

    ck_assert_int_eq(expand("zstd", &source, 100, &plain), ERROR_CORRUPT);
    ck_assert_error_has("the zstd stream that the server sent is spoilt");
}
END_TEST

/* A window of gigabytes is for servers that mean harm. */
START_TEST(a_huge_window_is_refused)
{
    static const char head[] = "\x28\xb5\x2f\xfd\x00\xa0" "\x01\0\0"; /* 2^30 bytes */
    CLEANUP_BUF struct buf plain = BUF_INIT(1 << 20);
    struct source source = { .data = head, .len = sizeof head - 1 };

    ck_assert_int_eq(expand("zstd", &source, 100, &plain), ERROR_CORRUPT);
    ck_assert_error_has("memory");
}
END_TEST

static const char *const kinds[] = { "zstd", "lz4" };

START_TEST(an_error_of_the_source_is_passed_on)
{
    CLEANUP_BUF struct buf plain = BUF_INIT(1 << 20);
    struct source source = { .rc = PGCASK_RETRY };

    ck_assert_int_eq(expand(kinds[_i], &source, 100, &plain), PGCASK_RETRY);
    ck_assert_error_has("the server is gone");
}
END_TEST

START_TEST(lz4_is_the_other_kind)
{
    static const char descriptor[] = "\x40\x40";
    CLEANUP_BUF struct buf stream = BUF_INIT(1024), plain = BUF_INIT(1024);
    char check = (char)(XXH32(descriptor, 2, 0) >> 8);
    struct source source;

    ck_assert_int_eq(buf_add(&stream, "\x04\x22\x4d\x18\x40\x40", 6), 0);
    ck_assert_int_eq(buf_add(&stream, &check, 1), 0);
    ck_assert_int_eq(buf_add(&stream, "\x04\0\0\0\x30" "abc\0\0\0\0", 12), 0);
    source = (struct source){ .data = stream.data, .len = stream.len };
    ck_assert_msg(expand("lz4", &source, 100, &plain) == 0, "%s", error_text());
    ck_assert_str_eq(plain.data, "abc");
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("wire-expand");
    TCase *tcase = tcase_create("expand");

    tcase_add_loop_test(tcase, zstd_comes_out_in_pieces_of_any_size, 0, ARRAY_LEN(sizes));
    tcase_add_test(tcase, an_empty_archive_is_one);
    tcase_add_test(tcase, a_cut_is_noticed_wherever_it_is);
    tcase_add_test(tcase, what_is_no_zstd_is_refused);
    tcase_add_test(tcase, a_huge_window_is_refused);
    tcase_add_loop_test(tcase, an_error_of_the_source_is_passed_on, 0, ARRAY_LEN(kinds));
    tcase_add_test(tcase, lz4_is_the_other_kind);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
