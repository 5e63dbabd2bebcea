/* SPDX-License-Identifier: PostgreSQL
 *
 * Signatures. The four requests and what they must come to are the examples of the Amazon S3 API reference,
 * "Authenticating requests: using the authorization header (AWS Signature Version 4)"; their keys are published there.
 */
#include "config.h"

#include "unit-plain.h"

#include "common/aws-sign.h"

#include <string.h>

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BODY_HASH "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

static struct aws_keys keys = {
    .access_key = (char *)"AKIAIOSFODNN7EXAMPLE",
    .secret_key = (char *)"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    .source = "the example",
};

static const struct {
    const char *method, *path, *query;
    const char *headers[6];
    const char *payload_hash, *names, *signature;
} examples[] = {
    /* GET Object with a range */
    { "GET",
      "/test.txt",
      "",
      { "host: examplebucket.s3.amazonaws.com", "range: bytes=0-9", "x-amz-content-sha256: " EMPTY_HASH,
        "x-amz-date: 20130524T000000Z" },
      EMPTY_HASH,
      "host;range;x-amz-content-sha256;x-amz-date",
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
    /* PUT Object, with a key to be escaped */
    { "PUT",
      "/test%24file.text",
      "",
      { "date: Fri, 24 May 2013 00:00:00 GMT", "host: examplebucket.s3.amazonaws.com",
        "x-amz-content-sha256: " BODY_HASH, "x-amz-date: 20130524T000000Z", "x-amz-storage-class: REDUCED_REDUNDANCY" },
      BODY_HASH,
      "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
    /* GET Bucket lifecycle: a name without a value */
    { "GET",
      "/",
      "lifecycle=",
      { "host: examplebucket.s3.amazonaws.com", "x-amz-content-sha256: " EMPTY_HASH, "x-amz-date: 20130524T000000Z" },
      EMPTY_HASH,
      "host;x-amz-content-sha256;x-amz-date",
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
    /* GET Bucket (List Objects) */
    { "GET",
      "/",
      "max-keys=2&prefix=J",
      { "host: examplebucket.s3.amazonaws.com", "x-amz-content-sha256: " EMPTY_HASH, "x-amz-date: 20130524T000000Z" },
      EMPTY_HASH,
      "host;x-amz-content-sha256;x-amz-date",
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
};

/* Owned by the caller. */
static char *
sign(size_t example, const char *const *headers, const char *region, const char *service)
{
    const struct aws_signing signing = {
        .method = examples[example].method,
        .path = examples[example].path,
        .query = examples[example].query,
        .headers = headers,
        .payload_hash = examples[example].payload_hash,
        .date = "20130524T000000Z",
        .region = region,
        .service = service,
    };

    return aws_sign(&signing, &keys);
}

START_TEST(the_published_examples_come_out)
{
    CLEANUP_FREE char *header = sign((size_t)_i, examples[_i].headers, "us-east-1", "s3");
    CLEANUP_FREE char *wanted = plain_printf(
        "authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=%s, Signature=%s",
        examples[_i].names, examples[_i].signature);

    ck_assert_str_eq(header, wanted);
}
END_TEST

START_TEST(the_secret_is_not_in_the_header)
{
    CLEANUP_FREE char *header = sign(0, examples[0].headers, "us-east-1", "s3");

    ck_assert_lacks(header, keys.secret_key);
    ck_assert_lacks(header, "bPxRfiCY");
}
END_TEST

START_TEST(a_session_token_is_signed_with_the_rest)
{
    const char *const with[] = { "host: examplebucket.s3.amazonaws.com", "x-amz-content-sha256: " EMPTY_HASH,
                                 "x-amz-date: 20130524T000000Z", "x-amz-security-token: a/token+with=signs", NULL };
    const char *const other[] = { with[0], with[1], with[2], "x-amz-security-token: b/token+with=signs", NULL };
    CLEANUP_FREE char *without = sign(2, examples[2].headers, "us-east-1", "s3");
    CLEANUP_FREE char *one = sign(2, with, "us-east-1", "s3"), *two = sign(2, other, "us-east-1", "s3");

    ck_assert_has(one, "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, ");
    ck_assert_str_ne(strstr(one, "Signature="), strstr(without, "Signature="));
    ck_assert_str_ne(strstr(one, "Signature="), strstr(two, "Signature="));
    ck_assert_lacks(one, "a/token");
}
END_TEST

START_TEST(region_and_service_are_part_of_it)
{
    CLEANUP_FREE char *one = sign(2, examples[2].headers, "eu-central-1", "s3");
    CLEANUP_FREE char *two = sign(2, examples[2].headers, "eu-central-1", "sts");

    ck_assert_has(one, "/20130524/eu-central-1/s3/aws4_request, ");
    ck_assert_has(two, "/20130524/eu-central-1/sts/aws4_request, ");
    ck_assert_lacks(one, examples[2].signature);
    ck_assert_str_ne(strstr(one, "Signature="), strstr(two, "Signature="));
}
END_TEST

static const struct {
    const char *text, *name, *path; /* as a name or value, as a path */
} escapes[] = {
    { "", "", "" },
    { "azAZ09-._~", "azAZ09-._~", "azAZ09-._~" },
    { "a/b", "a%2Fb", "a/b" },
    { "a b", "a%20b", "a%20b" }, /* never '+' */
    { "a+b", "a%2Bb", "a%2Bb" },
    { "%41", "%2541", "%2541" }, /* what is escaped already is escaped again */
    { "=&?#", "%3D%26%3F%23", "%3D%26%3F%23" },
    { "!*'()", "%21%2A%27%28%29", "%21%2A%27%28%29" }, /* which encodeURIComponent leaves alone */
    { "$:;,@[]", "%24%3A%3B%2C%40%5B%5D", "%24%3A%3B%2C%40%5B%5D" },
    { "ä€", "%C3%A4%E2%82%AC", "%C3%A4%E2%82%AC" },
    { "\x01\x7f\xff", "%01%7F%FF", "%01%7F%FF" },
};

START_TEST(what_is_not_plain_is_escaped)
{
    CLEANUP_FREE char *name = aws_escape(escapes[_i].text, false), *path = aws_escape(escapes[_i].text, true);

    ck_assert_str_eq(name, escapes[_i].name);
    ck_assert_str_eq(path, escapes[_i].path);
}
END_TEST

static const struct {
    const char *text, *hash;
} hashes[] = {
    { "", EMPTY_HASH },
    { "Welcome to Amazon S3.", BODY_HASH },
};

START_TEST(a_hash_is_lower_case_hex)
{
    char hash[AWS_HASH_TEXT];

    aws_hash(hashes[_i].text, strlen(hashes[_i].text), hash);
    ck_assert_str_eq(hash, hashes[_i].hash);
}
END_TEST

static const struct {
    time_t now_s;
    const char *text;
} dates[] = {
    { 0, "19700101T000000Z" },
    { 951868799, "20000229T235959Z" }, /* a leap day's last second */
    { 1369353600, "20130524T000000Z" },
    { 2147483648, "20380119T031408Z" }, /* beyond 31 bits */
    { 253402300799, "99991231T235959Z" },
};

START_TEST(a_date_is_utc_whatever_the_zone_here)
{
    char text[AWS_DATE_TEXT];

    ck_assert_int_eq(setenv("TZ", "America/St_Johns", 1), 0);
    tzset();
    aws_date(dates[_i].now_s, text);
    ck_assert_str_eq(text, dates[_i].text);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("aws-sign");
    TCase *tcase = tcase_create("sign");

    tcase_add_loop_test(tcase, the_published_examples_come_out, 0, ARRAY_LEN(examples));
    tcase_add_test(tcase, the_secret_is_not_in_the_header);
    tcase_add_test(tcase, a_session_token_is_signed_with_the_rest);
    tcase_add_test(tcase, region_and_service_are_part_of_it);
    tcase_add_loop_test(tcase, what_is_not_plain_is_escaped, 0, ARRAY_LEN(escapes));
    tcase_add_loop_test(tcase, a_hash_is_lower_case_hex, 0, ARRAY_LEN(hashes));
    tcase_add_loop_test(tcase, a_date_is_utc_whatever_the_zone_here, 0, ARRAY_LEN(dates));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
