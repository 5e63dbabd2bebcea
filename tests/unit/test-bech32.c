/* SPDX-License-Identifier: PostgreSQL
 *
 * Bech32 against the vectors of BIP 173 and of the age specification.
 */
#include "config.h"

#include "stage/bech32.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/parse.h"
#include "unit.h"

#define LONG_PREFIX "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio"
#define FORTY_TWOS "4242424242424242424242424242424242424242424242424242424242424242"

static const struct good_row {
    const char *text;
    const char *prefix;
    const char *hex;
} good_rows[] = {
    { "A12UEL5L", "A", "" },                    /* no data, upper case */
    { "a12uel5l", "a", "" },                    /* no data, lower case */
    { LONG_PREFIX "1tt5tgs", LONG_PREFIX, "" }, /* a '1' within the prefix */
    { "?1ezyfcl", "?", "" },                    /* a prefix without case */
    { "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "abcdef",
      "00443214c74254b635cf84653a56d7c675be77df" }, /* every digit */
    { "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", "AGE-SECRET-KEY-",
      FORTY_TWOS }, /* an identity; four spare bits */
    { "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "age",
      "132c442be010fbd57e72603328aa76e71fccc1503aae219327d14d9c9993f472" }, /* its recipient */
};

START_TEST(known_text_is_read_and_written)
{
    const struct good_row *row = &good_rows[_i];
    unsigned char want[BECH32_TEXT_BYTES];
    unsigned char data[BECH32_TEXT_BYTES];
    char text[BECH32_TEXT_BYTES];
    size_t size = strlen(row->hex) / 2;

    ck_assert_int_eq(parse_hex(row->hex, want, size), 0);
    ck_assert_msg(bech32_decode(row->text, row->prefix, data, size) == 0, "%s", error_text());
    ck_assert_mem_eq(data, want, size);
    bech32_encode(row->prefix, want, size, text);
    ck_assert_str_eq(text, row->text);
}
END_TEST

static const struct bad_row {
    const char *text;
    const char *prefix;
    size_t size;
    const char *error;
} bad_rows[] = {
    { "", "age", 32, "begins with 'age1'" },                      /* nothing */
    { "age", "age", 32, "begins with 'age1'" },                   /* no separator */
    { "1ezyfcl", "age", 32, "begins with 'age1'" },               /* no prefix */
    { "bge12uel5l", "age", 32, "begins with 'age1'" },            /* another prefix */
    { "AGE1ZVKYG", "age", 32, "begins with 'age1'" },             /* the prefix in the other case */
    { "age1", "age", 32, "checksum" },                            /* no checksum */
    { "age1qqqqq", "age", 32, "checksum" },                       /* a checksum too short */
    { "a12uel5m", "a", 0, "checksum" },                           /* a wrong checksum */
    { "a12uEl5l", "a", 0, "character 5 changes between" },        /* mixed case, lower prefix */
    { "A12UEl5L", "A", 0, "character 6 changes between" },        /* mixed case, upper prefix */
    { "a12uelbl", "a", 0, "character 7 cannot be" },              /* 'b' is no digit */
    { "a12uel5l\n", "a", 0, "character 9 cannot be" },            /* a newline kept on */
    { "a12uel5\xc3\xa9", "a", 0, "character 8 cannot be" },       /* not ASCII */
    { "a1 2uel5l", "a", 0, "character 3 cannot be" },             /* a blank within */
    { "a12uel5l", "a", 1, "exactly 1 bytes" },                    /* fewer bytes than wanted */
    { "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "abcdef", 19, "exactly 19 bytes" }, /* more */
    { "a1q3g6mn3", "a", 0, "exactly 0 bytes" }, /* five spare bits, which no canonical text has */
    { "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPPG0UGY5", "AGE-SECRET-KEY-", 32,
      "exactly 32 bytes" }, /* a spare bit that is not zero */
};

START_TEST(malformed_text_is_refused)
{
    const struct bad_row *row = &bad_rows[_i];
    unsigned char data[BECH32_TEXT_BYTES];
    unsigned char untouched[BECH32_TEXT_BYTES];

    memset(data, 0xa5, sizeof data);
    memset(untouched, 0xa5, sizeof untouched);
    ck_assert_int_eq(bech32_decode(row->text, row->prefix, data, row->size), ERROR_USAGE);
    ck_assert_error_has(row->error);
    ck_assert_mem_eq(data, untouched, sizeof data);
}
END_TEST

START_TEST(any_changed_character_is_noticed)
{
    const char *text = good_rows[6].text;
    unsigned char key[32];

    for (size_t i = 4; i < strlen(text); i++) {
        CLEANUP_FREE char *changed = mem_strdup(text);

        changed[i] = changed[i] == 'q' ? 'p' : 'q';
        ck_assert_int_eq(bech32_decode(changed, "age", key, sizeof key), ERROR_USAGE);
        ck_assert_error_has("checksum");
    }
}
END_TEST

START_TEST(text_too_long_is_refused)
{
    char text[1000];
    unsigned char key[32];

    memset(text, 'q', sizeof text - 1);
    memcpy(text, "age1", 4);
    text[sizeof text - 1] = '\0';
    ck_assert_int_eq(bech32_decode(text, "age", key, sizeof key), ERROR_USAGE);
    ck_assert_error_has("999 characters is too long");
}
END_TEST

START_TEST(every_size_comes_back)
{
    unsigned char data[60];
    unsigned char back[60];
    char text[BECH32_TEXT_BYTES];

    for (size_t size = 0; size <= sizeof data; size++) {
        for (size_t i = 0; i < size; i++)
            data[i] = (unsigned char)(size * 31 + i * 7 + 255);
        bech32_encode("AGE-X-", data, size, text);
        ck_assert_msg(bech32_decode(text, "AGE-X-", back, size) == 0, "size %zu: %s", size, error_text());
        ck_assert_mem_eq(back, data, size);
    }
}
END_TEST

static Suite *
bech32_suite(void)
{
    Suite *suite = suite_create("bech32");
    TCase *tcase = tcase_create("bech32");

    tcase_add_loop_test(tcase, known_text_is_read_and_written, 0, ARRAY_LEN(good_rows));
    tcase_add_loop_test(tcase, malformed_text_is_refused, 0, ARRAY_LEN(bad_rows));
    tcase_add_test(tcase, any_changed_character_is_noticed);
    tcase_add_test(tcase, text_too_long_is_refused);
    tcase_add_test(tcase, every_size_comes_back);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(bech32_suite)
