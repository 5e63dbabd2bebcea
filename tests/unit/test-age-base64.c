/* SPDX-License-Identifier: PostgreSQL
 *
 * The unpadded, canonical base64 of age headers.
 */
#include "config.h"

#include "stage/age-base64.h"

#include <string.h>

#include "base/mem.h"
#include "unit.h"

/* The vectors of RFC 4648, section 10, and both digits that are neither letters nor numbers. */
static const struct good_row {
    const char *text;
    const char *data;
} good_rows[] = {
    { "", "" },
    { "Zg", "f" },
    { "Zm8", "fo" },
    { "Zm9v", "foo" },
    { "Zm9vYg", "foob" },
    { "Zm9vYmE", "fooba" },
    { "Zm9vYmFy", "foobar" },
    { "+/+/", "\xfb\xff\xbf" },
};

START_TEST(known_text_is_read_and_written)
{
    const struct good_row *row = &good_rows[_i];
    size_t size = strlen(row->data);
    char text[16];
    char data[16];

    ck_assert_uint_eq(AGE_BASE64_CHARS(size), strlen(row->text));
    age_base64_encode(row->data, size, text);
    ck_assert_str_eq(text, row->text);
    ck_assert(age_base64_valid(row->text, strlen(row->text)));
    ck_assert(age_base64_decode(row->text, strlen(row->text), data, size));
    ck_assert_mem_eq(data, row->data, size);
    ck_assert(!age_base64_decode(row->text, strlen(row->text), data, size + 1)); /* another size than wanted */
}
END_TEST

static const char *const bad_rows[] = {
    "Z",        /* one character is six bits: no byte */
    "Zm9vZ",    /* the same behind a full group */
    "Zg==",     /* padding */
    "Zm8=",     /* padding */
    "Zh",       /* one byte with a spare bit set */
    "Zv",       /* one byte with all spare bits set */
    "Zm9",      /* two bytes with a spare bit set */
    "Zm-v",     /* the URL alphabet */
    "Zm_v",     /* the URL alphabet */
    "Zm 9v",    /* a blank */
    "Zm9v\n",   /* a newline */
    "Zm9v\xff", /* not ASCII */
};

START_TEST(malformed_text_is_refused)
{
    const char *text = bad_rows[_i];
    unsigned char data[16];
    unsigned char untouched[16];

    memset(data, 0xa5, sizeof data);
    memset(untouched, 0xa5, sizeof untouched);
    ck_assert(!age_base64_valid(text, strlen(text)));
    ck_assert(!age_base64_decode(text, strlen(text), data, strlen(text) * 3 / 4));
    ck_assert_mem_eq(data, untouched, sizeof data);
}
END_TEST

static Suite *
age_base64_suite(void)
{
    Suite *suite = suite_create("age-base64");
    TCase *tcase = tcase_create("age-base64");

    tcase_add_loop_test(tcase, known_text_is_read_and_written, 0, ARRAY_LEN(good_rows));
    tcase_add_loop_test(tcase, malformed_text_is_refused, 0, ARRAY_LEN(bad_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(age_base64_suite)
