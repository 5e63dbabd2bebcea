/* SPDX-License-Identifier: PostgreSQL
 *
 * Checksums as S3 writes them, of bodies and of what is put together from parts.
 */
#include "config.h"

#include "unit-plain.h"

#include "common/s3-body.h"

#include <stdio.h>
#include <string.h>

/* Values of other programs: python3's zlib.crc32 and hashlib.md5. */
static const struct {
    const char *text, *crc32, *md5, *md5_hex;
} bodies[] = {
    { "", "AAAAAA==", "1B2M2Y8AsgTpgAmY7PhCfg==", "d41d8cd98f00b204e9800998ecf8427e" },
    { "123456789", "y/Q5Jg==", "JfnnlDI7RTiF9RgfG2JNCw==", "25f9e794323b453885f5181f1b624d0b" },
    { "hello world", "DUoRhQ==", "XrY7u+Ae7tCTyyK7j1rNww==", "5eb63bbbe01eeed093cb22bb8f5acdc3" },
};

START_TEST(a_body_has_its_checksums)
{
    struct s3_body body;

    s3_body_digest(bodies[_i].text, strlen(bodies[_i].text), true, &body);
    ck_assert_str_eq(body.crc32, bodies[_i].crc32);
    ck_assert_str_eq(body.md5, bodies[_i].md5);
    ck_assert_str_eq(body.md5_hex, bodies[_i].md5_hex);
    ck_assert_ptr_eq(body.data, bodies[_i].text);
    ck_assert_uint_eq(body.size, strlen(bodies[_i].text));
}
END_TEST

START_TEST(an_md5_that_is_not_asked_for_is_not_made)
{
    struct s3_body body;

    s3_body_digest("hello world", 11, false, &body);
    ck_assert_str_eq(body.crc32, "DUoRhQ==");
    ck_assert_str_eq(body.md5, "");
    ck_assert_str_eq(body.md5_hex, "");
}
END_TEST

static const struct {
    const char *etag;
    bool is_md5;
} etags[] = {
    { "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"", true },
    { "5eb63bbbe01eeed093cb22bb8f5acdc3", true },        /* in some servers' XML */
    { "\"5eb63bbbe01eeed093cb22bb8f5acdc3-2\"", false }, /* of parts */
    { "5eb63bbbe01eeed093cb22bb8f5acdc3-12", false },
    { "\"5EB63BBBE01EEED093CB22BB8F5ACDC3\"", false }, /* nobody writes it so: not known what it is */
    { "\"5eb63bbbe01eeed093cb22bb8f5acdc\"", false },
    { "\"5eb63bbbe01eeed093cb22bb8f5acdc33\"", false },
    { "W/\"5eb63bbbe01eeed093cb22bb8f5acdc3\"", false },
    { "\"5eb63bbbe01eeed093cb22bb8f5acdg3\"", false },
    { "\"\"", false },
    { "\"", false },
    { "", false },
};

START_TEST(an_entity_tag_is_an_md5_or_not)
{
    ck_assert_int_eq(s3_etag_is_md5(etags[_i].etag), etags[_i].is_md5);
}
END_TEST

/* ---- from parts ---- */

static void
add(struct s3_whole *whole, const char *text, size_t size)
{
    struct s3_body body;
    CLEANUP_FREE char *etag = NULL;

    s3_body_digest(text, size, true, &body);
    etag = plain_printf("\"%s\"", body.md5_hex);
    s3_whole_add(whole, body.crc, size, etag);
}

static const struct {
    size_t sizes[6]; /* of the parts; 0: no more */
} cuts[] = {
    { { 43 } }, { { 1, 42 } }, { { 42, 1 } }, { { 20, 20, 3 } }, { { 7, 7, 7, 7, 15 } },
};

START_TEST(parts_put_together_have_the_checksum_of_the_whole)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog";
    struct s3_whole whole;
    struct s3_body body;
    size_t at = 0;

    s3_body_digest(text, sizeof text - 1, false, &body);
    s3_whole_begin(&whole);
    for (size_t i = 0; cuts[_i].sizes[i] > 0; i++) {
        add(&whole, text + at, cuts[_i].sizes[i]);
        at += cuts[_i].sizes[i];
    }
    s3_whole_end(&whole);
    ck_assert_uint_eq(at, sizeof text - 1);
    ck_assert_uint_eq(whole.crc, body.crc);
    ck_assert_str_eq(whole.crc32, body.crc32);
    ck_assert_str_eq(whole.crc32, "QU+jOQ==");
}
END_TEST

START_TEST(a_part_may_be_larger_than_32_bits_tell)
{
    const uint64_t size = (UINT64_C(1) << 32) + 1;
    struct s3_whole large, small;

    s3_whole_begin(&large);
    s3_whole_add(&large, 0x01020304, 1, NULL);
    s3_whole_add(&large, 0x05060708, size, NULL);
    s3_whole_end(&large);
    s3_whole_begin(&small);
    s3_whole_add(&small, 0x01020304, 1, NULL);
    s3_whole_add(&small, 0x05060708, (uint32_t)size, NULL);
    s3_whole_end(&small);
    ck_assert_uint_ne(large.crc, small.crc);
    ck_assert_str_eq(large.crc32, "+GOStA==");
}
END_TEST

/* md5(md5("hello ") + md5("world")) and md5(md5("hello world")) as hex, by python3's hashlib. */
START_TEST(the_tag_of_parts_is_the_md5_of_their_md5s)
{
    struct s3_whole two, one;

    s3_whole_begin(&two);
    add(&two, "hello ", 6);
    add(&two, "world", 5);
    s3_whole_end(&two);
    ck_assert_str_eq(two.etag, "e09e4fd6265b36115fe3db32df945d84-2");
    ck_assert_ptr_null(two.md5);
    s3_whole_begin(&one);
    add(&one, "hello world", 11);
    s3_whole_end(&one);
    ck_assert_str_eq(one.etag, "241d8a27c836427bd7f04461b60e7359-1");
}
END_TEST

START_TEST(the_tag_of_ten_thousand_parts_has_room)
{
    struct s3_whole whole;

    s3_whole_begin(&whole);
    for (int i = 0; i < 10000; i++)
        add(&whole, "x", 1);
    s3_whole_end(&whole);
    ck_assert_uint_eq(strlen(whole.etag), 32 + strlen("-10000"));
    ck_assert_has(whole.etag, "-10000");
}
END_TEST

START_TEST(one_tag_that_is_no_md5_leaves_the_whole_without)
{
    struct s3_whole whole;

    s3_whole_begin(&whole);
    add(&whole, "hello ", 6);
    s3_whole_add(&whole, 0x3a771143, 5, _i == 0 ? "\"some-tag\"" : NULL); /* the CRC-32 of "world" */
    add(&whole, "", 0);
    s3_whole_end(&whole);
    ck_assert_str_eq(whole.etag, "");
    ck_assert_str_eq(whole.crc32, "DUoRhQ==");
    ck_assert_ptr_null(whole.md5);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-body");
    TCase *tcase = tcase_create("body");

    tcase_add_loop_test(tcase, a_body_has_its_checksums, 0, ARRAY_LEN(bodies));
    tcase_add_test(tcase, an_md5_that_is_not_asked_for_is_not_made);
    tcase_add_loop_test(tcase, an_entity_tag_is_an_md5_or_not, 0, ARRAY_LEN(etags));
    tcase_add_loop_test(tcase, parts_put_together_have_the_checksum_of_the_whole, 0, ARRAY_LEN(cuts));
    tcase_add_test(tcase, a_part_may_be_larger_than_32_bits_tell);
    tcase_add_test(tcase, the_tag_of_parts_is_the_md5_of_their_md5s);
    tcase_add_test(tcase, the_tag_of_ten_thousand_parts_has_room);
    tcase_add_loop_test(tcase, one_tag_that_is_no_md5_leaves_the_whole_without, 0, 2);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
