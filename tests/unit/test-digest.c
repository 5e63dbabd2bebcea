/* SPDX-License-Identifier: PostgreSQL
 *
 * Digests against known answers, in one go and in pieces, and their texts when somebody else wrote them.
 */
#include "config.h"

#include "base/digest.h"

#include <string.h>

#include "base/error.h"
#include "unit.h"

/* SHA-256: FIPS 180-4's examples; XXH3: what `xxh128sum` prints. */
static const struct {
    enum digest_kind kind;
    const char *text, *digest;
} known_rows[] = {
    { DIGEST_SHA256, "", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { DIGEST_SHA256, "abc", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { DIGEST_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    { DIGEST_XXH3, "", "xxh3-128:99aa06d3014798d86001c324468d497f" },
    { DIGEST_XXH3, "abc", "xxh3-128:06b05ab6733a618578af5f94892f3950" },
};

START_TEST(known_answers)
{
    const char *text = known_rows[_i].text;
    CLEANUP_FREE char *digest = digest_of(known_rows[_i].kind, text, strlen(text));

    ck_assert_str_eq(digest, known_rows[_i].digest);
    ck_assert_int_eq(digest_check_text(digest), 0);
    ck_assert_int_eq(digest_kind_of(digest), known_rows[_i].kind);
}
END_TEST

static const size_t step_rows[] = { 1, 7, 64, 240, 241, 1000, 100000 };

START_TEST(pieces_make_the_same_digest)
{
    static unsigned char data[100000];
    size_t step = step_rows[_i];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 2654435761U >> 13);
    for (int kind = DIGEST_XXH3; kind <= DIGEST_SHA256; kind++) {
        CLEANUP(digest_free) struct digest *digest = digest_new((enum digest_kind)kind);
        CLEANUP_FREE char *whole = digest_of((enum digest_kind)kind, data, sizeof data), *pieces = NULL;

        for (size_t at = 0; at < sizeof data; at += step) {
            digest_add(digest, data + at, sizeof data - at < step ? sizeof data - at : step);
            digest_add(digest, data, 0); /* changes nothing */
        }
        pieces = digest_end(digest);
        ck_assert_str_eq(pieces, whole);
        data[sizeof data / 2] ^= 1;
        free(STEAL(pieces));
        pieces = digest_of((enum digest_kind)kind, data, sizeof data);
        ck_assert_str_ne(pieces, whole);
    }
}
END_TEST

START_TEST(a_digest_may_be_given_up)
{
    digest_free(NULL);
    digest_free(digest_new(DIGEST_XXH3));
    digest_free(digest_new(DIGEST_SHA256));
}
END_TEST

static const struct {
    const char *text, *part;
} bad_rows[] = {
    { "", "known algorithm" },
    { "md5:99aa06d3014798d86001c324468d497f", "known algorithm" },
    { "99aa06d3014798d86001c324468d497f", "known algorithm" },
    { "SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "known algorithm" },
    { "sha256", "known algorithm" },
    { "sha256:", "64 hex digits" },
    { "sha256:99aa06d3014798d86001c324468d497f", "64 hex digits" },           /* length of the other */
    { "xxh3-128:99aa06d3014798d86001c324468d497", "32 hex digits" },
    { "xxh3-128:99aa06d3014798d86001c324468d497f0", "32 hex digits" },
    { "xxh3-128:99aa06d3014798d86001c324468d497g", "32 hex digits" },
    { "xxh3-128:99AA06D3014798D86001C324468D497F", "32 hex digits" },         /* would never compare equal */
    { "xxh3-128: 9aa06d3014798d86001c324468d497f", "32 hex digits" },
};

START_TEST(bad_texts_are_corrupt)
{
    ck_assert_int_eq(digest_check_text(bad_rows[_i].text), ERROR_CORRUPT);
    ck_assert_error_has(bad_rows[_i].part);
}
END_TEST

static Suite *
digest_suite(void)
{
    Suite *suite = suite_create("digest");
    TCase *tcase = tcase_create("digest");

    tcase_add_loop_test(tcase, known_answers, 0, ARRAY_LEN(known_rows));
    tcase_add_loop_test(tcase, pieces_make_the_same_digest, 0, ARRAY_LEN(step_rows));
    tcase_add_test(tcase, a_digest_may_be_given_up);
    tcase_add_loop_test(tcase, bad_texts_are_corrupt, 0, ARRAY_LEN(bad_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(digest_suite)
