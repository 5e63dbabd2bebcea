/* SPDX-License-Identifier: PostgreSQL
 *
 * What all sources of credentials share: times, key checks, the JSON document, small files.
 */
#include "config.h"

#include "unit-aws.h"

#include <inttypes.h>

/* ---- times ---- */

static const struct {
    const char *text;
    int64_t want; /* 0: it is no time */
} times[] = {
    { "2030-01-31T12:00:00Z", 1896091200 },
    { "2030-01-31T12:00:00z", 1896091200 },
    { "2030-01-31T12:00:00.000Z", 1896091200 },       /* STS */
    { "2030-01-31T12:00:00.123456789Z", 1896091200 },
    { "2030-01-31T12:00:00+00:00", 1896091200 },      /* aws configure export-credentials */
    { "2030-01-31T14:00:00+02:00", 1896091200 },
    { "2030-01-31T08:30:00-0330", 1896091200 },
    { "2028-02-29T00:00:00Z", 1835395200 },
    { "1970-01-01T00:00:00Z", 0 },                    /* stands for "never" inside */
    { "1969-12-31T23:59:59Z", 0 },
    { "2030-01-31T12:00:00", 0 },                     /* of which zone? */
    { "2030-01-31 12:00:00Z", 0 },
    { "2030-13-31T12:00:00Z", 0 },
    { "2030-00-31T12:00:00Z", 0 },
    { "2030-01-00T12:00:00Z", 0 },
    { "2030-01-31T24:00:00Z", 0 },
    { "2030-01-31T12:60:00Z", 0 },
    { "2030-01-31T12:00:00Zulu", 0 },
    { "2030-01-31T12:00:00+2", 0 },
    { "2030-01-31T12:00:00+02", 0 },
    { "2030-01-31T12:00:00+02:", 0 },
    { "2030-01-31T12:00:00+02:0", 0 },
    { "2030-01-31T12:00:00+02:000", 0 },
    { "2030-01-31T12:00:00+25:00", 0 },
    { "2030-01-31T12:00", 0 },
    { "+030-01-31T12:00:00Z", 0 },
    { "1896091200", 0 },
    { "", 0 },
};

START_TEST(a_time_is_read_or_refused)
{
    int64_t got = -7;
    bool ok = aws_source_time(times[_i].text, &got);

    ck_assert_msg(ok == (times[_i].want != 0), "'%s'", times[_i].text);
    ck_assert_int_eq(got, ok ? times[_i].want : -7);
}
END_TEST

/* ---- keys ---- */

static const struct {
    struct aws_told told;
    const char *error; /* NULL: accepted */
} told[] = {
    { { "here", "AKIA", "s3cr3t", NULL, NULL }, NULL },
    { { "here", "AKIA", "s3cr3t", "", "" }, NULL },
    { { "here", "!~", "s3cr3t!#;=\"'", "s3cr3t/+=", "2030-01-31T12:00:00Z" }, NULL },
    { { "here", NULL, "s3cr3t", NULL, NULL }, "here has no access key" },
    { { "here", "", "s3cr3t", NULL, NULL }, "here has no access key" },
    { { "here", "AKIA", NULL, NULL, NULL }, "here has an access key without its secret key" },
    { { "here", "AKIA", "", NULL, NULL }, "here has an access key without its secret key" },
    { { "here", "AKIA s3cr3t", "s3cr3t", NULL, NULL }, "here: the access key has a blank" },
    { { "here", "AKIA\r\nX: s3cr3t", "s3cr3t", NULL, NULL }, "here: the access key has a blank" },
    { { "here", "AKIA", "s3cr3t # mine", NULL, NULL }, "here: the secret key has a blank" },
    { { "here", "AKIA", "s3cr3t", "s3cr3t\n", NULL }, "here: the session token has a blank" },
    { { "here", "AKIA", "s3cr3t\303\244", NULL, NULL }, "here: the secret key has a blank" },
    { { "here", "AKIA", "s3cr3t", NULL, "tomorrow" }, "here: the expiration is 'tomorrow', wanted a time" },
};

START_TEST(keys_are_checked_and_no_error_shows_them)
{
    struct aws_grant grant = { 0 };
    int rc = aws_source_grant(&told[_i].told, &grant);

    if (told[_i].error == NULL) {
        ck_assert_msg(rc == 0, "%s", error_text());
        ck_assert_str_eq(grant.keys.access_key, told[_i].told.access_key);
        ck_assert_str_eq(grant.keys.secret_key, told[_i].told.secret_key);
        ck_assert_str_eq(grant.keys.source, "here");
    } else {
        ck_assert_int_eq(rc, PGCASK_FAILED);
        ck_assert_error_has(told[_i].error);
        ck_assert_ptr_null(grant.keys.access_key);
    }
    aws_grant_free(&grant);
}
END_TEST

START_TEST(a_key_that_nobody_could_have_meant_is_refused)
{
    CLEANUP_FREE char *text = plain_zalloc(16 * 1024 + 2);
    struct aws_told longest = { "here", "AKIA", "s3cr3t", text, NULL };
    struct aws_grant grant = { 0 };

    memset(text, 'x', 16 * 1024);
    ck_assert_int_eq(aws_source_grant(&longest, &grant), 0);
    aws_grant_free(&grant);
    text[16 * 1024] = 'x';
    ck_assert_int_eq(aws_source_grant(&longest, &grant), PGCASK_FAILED);
    ck_assert_error_has("the session token has 16385 bytes, at most 16384 are accepted");
    longest.session_token = NULL;
    longest.secret_key = text;
    ck_assert_int_eq(aws_source_grant(&longest, &grant), PGCASK_FAILED);
    ck_assert_error_has("the secret key has 16385 bytes");
}
END_TEST

/* ---- documents ---- */

#define KEYS "\"AccessKeyId\": \"AKIA1\", \"SecretAccessKey\": \"s3cr3t/1+=\""

static const struct {
    const char *text;
    const char *error; /* NULL: accepted */
    bool versioned;
    bool has_token;
    int64_t expires_s;
} documents[] = {
    { "{" KEYS "}", NULL },
    { "{\"Version\": 1, " KEYS "}", NULL, .versioned = true },
    { "{" KEYS ", \"Token\": \"s3cr3t-token-1\"}", NULL, .has_token = true },
    { "{" KEYS ", \"Token\": \"\", \"Expiration\": \"\"}", NULL },                     /* as good as left out */
    { "{" KEYS ", \"Token\": null, \"Expiration\": null}", NULL },
    { "{" KEYS ", \"Expiration\": \"2030-01-31T12:00:00Z\"}", NULL, .expires_s = 1896091200 },
    { "{\"Code\": \"Success\", \"Extra\": [{}], " KEYS "}\n", NULL },
    { "", "x gave nothing" },
    { "s3cr3t", "x gave something that is not JSON" },
    { "{" KEYS, "x gave something that is not JSON" },                                  /* cut */
    { "{" KEYS "} s3cr3t", "x gave something that is not JSON" },
    { "{" KEYS ", \"AccessKeyId\": \"AKIA2\"}", "x gave something that is not JSON" },  /* which of them? */
    { "[\"s3cr3t\"]", "x gave JSON that is not an object" },
    { "\"s3cr3t\"", "x gave something that is not JSON" },
    { "{" KEYS "}", "x: 'Version' is missing or not a number, wanted 1", .versioned = true },
    { "{\"Version\": \"1\", " KEYS "}", "x: 'Version' is missing or not a number, wanted 1", .versioned = true },
    { "{\"Version\": 2, " KEYS "}", "x: 'Version' is 2, wanted 1", .versioned = true },
    { "{\"Version\": 1.0, " KEYS "}", "x: 'Version' is missing or not a number, wanted 1", .versioned = true },
    { "{\"Code\": \"AssumeRoleUnauthorizedAccess\"}", "x has no keys: 'AssumeRoleUnauthorizedAccess'" },
    { "{\"AccessKeyId\": 5, \"SecretAccessKey\": \"s3cr3t\"}", "x: 'AccessKeyId' is not a string" },
    { "{\"AccessKeyId\": \"AKIA\", \"SecretAccessKey\": [\"s3cr3t\"]}", "x: 'SecretAccessKey' is not a string" },
    { "{\"AccessKeyId\": \"AKIA\"}", "x has an access key without its secret key" },
    { "{}", "x has no access key" },
    { "{" KEYS ", \"Token\": 7}", "x: 'Token' is not a string" },
    { "{" KEYS ", \"Expiration\": 1896091200}", "x: 'Expiration' is not a string" },
    { "{" KEYS ", \"Expiration\": \"soon\"}", "x: the expiration is 'soon'" },
    { "{\"AccessKeyId\": \"AK\\u0000IA\", \"SecretAccessKey\": \"s3cr3t\"}", "x gave something that is not JSON" },
    { "{\"AccessKeyId\": \"AK\\u000aIA\", \"SecretAccessKey\": \"s3cr3t\"}", "x: the access key has a blank" },
};

START_TEST(a_document_is_read_strictly_and_wiped)
{
    struct aws_document document = { .source = "x", .token_name = "Token", .versioned = documents[_i].versioned };
    size_t len = strlen(documents[_i].text);
    CLEANUP_FREE char *text = plain_strdup(documents[_i].text);
    struct aws_grant grant = { 0 };
    int rc = aws_source_document(&document, text, len, &grant);

    if (documents[_i].error == NULL) {
        ck_assert_msg(rc == 0, "%s", error_text());
        aws_expect_keys(&grant.keys, "1", documents[_i].has_token);
        ck_assert_int_eq(grant.expires_s, documents[_i].expires_s);
    } else {
        ck_assert_int_eq(rc, PGCASK_FAILED);
        ck_assert_error_has(documents[_i].error);
    }
    for (size_t i = 0; i < len; i++)
        ck_assert_int_eq(text[i], '\0');
    aws_grant_free(&grant);
}
END_TEST

START_TEST(a_document_may_be_deep_without_harm)
{
    enum { DEPTH = 60000 };
    struct aws_document document = { .source = "x", .token_name = "Token" };
    CLEANUP_FREE char *text = plain_zalloc(DEPTH + 1);
    struct aws_grant grant = { 0 };

    memset(text, '[', DEPTH);
    ck_assert_int_eq(aws_source_document(&document, text, DEPTH, &grant), PGCASK_FAILED);
    ck_assert_error_has("not JSON");
}
END_TEST

/* ---- files ---- */

START_TEST(a_file_is_read_up_to_its_limit)
{
    CLEANUP_FREE char *path = aws_file("token", "s3cr3t \r\n\n");
    CLEANUP_WIPE char *text = NULL;
    size_t len;

    ck_assert_int_eq(aws_source_read(path, "token file", 10, &text, &len), 0);
    ck_assert_uint_eq(len, 10);
    aws_source_trim(text);
    ck_assert_str_eq(text, "s3cr3t");
    ck_assert_int_eq(aws_source_read(path, "token file", 9, &text, &len), PGCASK_FAILED);
    ck_assert_error_has("has more than the 9 bytes that are accepted");
}
END_TEST

static const struct {
    const char *path; /* below the test's directory unless absolute */
    int code;
    const char *error;
} odd_files[] = {
    { "missing", PGCASK_NOT_FOUND, "could not open the token file '" },
    { "", PGCASK_FAILED, "could not read the token file '" }, /* the directory */
    { "binary", PGCASK_FAILED, "is not text" },
    { "/dev/zero", PGCASK_FAILED, "has more than the 100 bytes" },
};

START_TEST(what_is_no_text_file_is_refused)
{
    CLEANUP_FREE char *binary = aws_file("binary", "s3cr3t");
    const char *name = odd_files[_i].path;
    CLEANUP_FREE char *path = name[0] == '/' ? plain_strdup(name) : dir_path(name);
    FILE *file = fopen(binary, "we");
    char *text = NULL;
    size_t len;

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite("s3\0cr3t", 1, 7, file), 7);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(aws_source_read(path, "token file", 100, &text, &len), odd_files[_i].code);
    ck_assert_error_has(odd_files[_i].error);
    ck_assert_ptr_null(text);
}
END_TEST

START_TEST(a_pipe_that_nobody_writes_to_is_empty)
{
    CLEANUP_FREE char *path = dir_path("pipe");
    CLEANUP_FREE char *text = NULL;
    size_t len = 7;

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(aws_source_read(path, "token file", 100, &text, &len), 0);
    ck_assert_uint_eq(len, 0);
}
END_TEST

static Suite *
aws_source_suite(void)
{
    Suite *suite = suite_create("aws-source");
    TCase *tcase = tcase_create("aws-source");

    tcase_add_checked_fixture(tcase, aws_setup, aws_teardown);
    tcase_add_loop_test(tcase, a_time_is_read_or_refused, 0, ARRAY_LEN(times));
    tcase_add_loop_test(tcase, keys_are_checked_and_no_error_shows_them, 0, ARRAY_LEN(told));
    tcase_add_test(tcase, a_key_that_nobody_could_have_meant_is_refused);
    tcase_add_loop_test(tcase, a_document_is_read_strictly_and_wiped, 0, ARRAY_LEN(documents));
    tcase_add_test(tcase, a_document_may_be_deep_without_harm);
    tcase_add_test(tcase, a_file_is_read_up_to_its_limit);
    tcase_add_loop_test(tcase, what_is_no_text_file_is_refused, 0, ARRAY_LEN(odd_files));
    tcase_add_test(tcase, a_pipe_that_nobody_writes_to_is_empty);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(aws_source_suite)
