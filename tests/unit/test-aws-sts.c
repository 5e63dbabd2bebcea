/* SPDX-License-Identifier: PostgreSQL
 *
 * Web identity: the request to STS, and what it may answer.
 */
#include "config.h"

#include "unit-aws.h"

#include "common/aws-sts.h"

static struct aws_credentials_settings settings;
static struct aws_search search;
static struct aws_web_identity who;
static struct aws_grant grant;
static char *token_path;

static void
setup(void)
{
    CLEANUP_FREE char *url = NULL;

    aws_setup();
    url = unit_http_url(&server, "");
    aws_env("AWS_ENDPOINT_URL_STS", url);
    token_path = aws_file("token", "s3cr3t.jwt/+&=\n");
    settings = (struct aws_credentials_settings){ .region = "eu-central-1" };
    search = (struct aws_search){ .settings = &settings, .http = http };
    who = (struct aws_web_identity){ .token_file = token_path, .role_arn = "arn:aws:iam::123456789012:role/backup" };
    grant = (struct aws_grant){ 0 };
}

static void
teardown(void)
{
    aws_grant_free(&grant);
    free(token_path);
    aws_teardown();
}

static const struct {
    const char *region;
    const char *sts, *any; /* of the environment; NULL: not set */
    const char *url;       /* NULL: refused */
} addresses[] = {
    { "eu-central-1", NULL, NULL, "https://sts.eu-central-1.amazonaws.com/" },
    { "us-gov-west-1", NULL, NULL, "https://sts.us-gov-west-1.amazonaws.com/" },
    { "cn-north-1", NULL, NULL, "https://sts.cn-north-1.amazonaws.com.cn/" },
    { NULL, NULL, NULL, "https://sts.amazonaws.com/" },
    { "eu-central-1", "https://sts.example.com", NULL, "https://sts.example.com/" },
    { "eu-central-1", "https://sts.example.com/a/", NULL, "https://sts.example.com/a/" },
    { "eu-central-1", NULL, "http://localhost:4566", "http://localhost:4566/" },
    { "eu-central-1", "https://sts.example.com", "http://localhost:4566", "https://sts.example.com/" },
    { "EU_1", "https://sts.example.com", NULL, "https://sts.example.com/" }, /* elsewhere regions have any name */
    { "EU_1", NULL, NULL, NULL },
    { "x.example.com/", NULL, NULL, NULL },
    { "x@example.com#", NULL, NULL, NULL },
    { "", NULL, NULL, NULL },
    { "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg", NULL, NULL, NULL },
};

START_TEST(the_address_follows_region_and_environment)
{
    CLEANUP_FREE char *url = NULL;

    ck_assert_int_eq(unsetenv("AWS_ENDPOINT_URL_STS"), 0);
    if (addresses[_i].sts != NULL)
        aws_env("AWS_ENDPOINT_URL_STS", addresses[_i].sts);
    if (addresses[_i].any != NULL)
        aws_env("AWS_ENDPOINT_URL", addresses[_i].any);
    url = aws_sts_url(addresses[_i].region);
    ck_assert_pstr_eq(url, addresses[_i].url);
    if (url == NULL)
        ck_assert_error_has("has no STS of AWS");
}
END_TEST

START_TEST(a_token_is_exchanged_for_keys)
{
    CLEANUP_FREE char *answer = aws_sts_text("1", 3600);
    int64_t now = time(NULL);
    const char *request;

    UNIT_HTTP_SAY(&server, { 200, answer });
    ck_assert_msg(aws_sts_fetch(&search, &who, &grant) == 0, "%s", error_text());
    aws_expect_keys(&grant.keys, "1", true);
    ck_assert_str_eq(grant.keys.source, "web identity");
    ck_assert_int_ge(grant.expires_s, now + 3590);
    request = unit_http_request(&server, 0);
    ck_assert_has(request, "POST / HTTP/1.1\r\n");
    ck_assert_has(request, "\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    ck_assert_has(request, "\r\n\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15"
                           "&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fbackup&RoleSessionName=pgcask"
                           "&WebIdentityToken=s3cr3t.jwt%2F%2B%26%3D");
    ck_assert_lacks(request, "Authorization");
}
END_TEST

START_TEST(the_token_is_read_anew_each_time)
{
    CLEANUP_FREE char *answer = aws_sts_text("1", 3600);

    UNIT_HTTP_SAY(&server, { 200, answer, .again = true });
    who.session_name = "night+run";
    ck_assert_msg(aws_sts_fetch(&search, &who, &grant) == 0, "%s", error_text());
    aws_grant_free(&grant);
    dir_put(token_path, "s3cr3t.other", 0600);
    ck_assert_msg(aws_sts_fetch(&search, &who, &grant) == 0, "%s", error_text());
    ck_assert_has(unit_http_request(&server, 0), "&RoleSessionName=night%2Brun&");
    ck_assert_has(unit_http_request(&server, 1), "&WebIdentityToken=s3cr3t.other");
}
END_TEST

#define ERROR(type, code, message)                                                                                     \
    "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>" type "</Type><Code>" code       \
    "</Code><Message>" message "</Message></Error><RequestId>1</RequestId></ErrorResponse>"
#define GOOD(fields)                                                                                                   \
    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>" fields                         \
    "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
#define ID "<AccessKeyId>AKIA1</AccessKeyId>"
#define KEY "<SecretAccessKey>s3cr3t</SecretAccessKey>"
#define TOKEN "<SessionToken>s3cr3t</SessionToken>"
#define END "<Expiration>2100-01-01T00:00:00Z</Expiration>"

static const struct {
    struct unit_answer answer;
    int code;
    const char *error;
    const char *cure; /* NULL: not looked at */
} answers[] = {
    { { 403, ERROR("Sender", "AccessDenied", "Not authorized") }, PGCASK_FAILED,
      "answered with status 403 AccessDenied: Not authorized", "see the trust policy of the role" },
    { { 400, ERROR("Sender", "ExpiredTokenException", "Token expired") }, PGCASK_FAILED, "400 ExpiredTokenException",
      "does the platform still renew '" },
    { { 400, ERROR("Sender", "InvalidIdentityToken", "No provider") }, PGCASK_FAILED, "400 InvalidIdentityToken",
      NULL },
    { { 400, ERROR("Sender", "IDPCommunicationError", "x") }, PGCASK_RETRY, "400 IDPCommunicationError", NULL },
    { { 400, ERROR("Sender", "Throttling", "Rate exceeded") }, PGCASK_RETRY, "400 Throttling: Rate exceeded", NULL },
    { { 500, ERROR("Receiver", "InternalFailure", "x") }, PGCASK_RETRY, "500 InternalFailure", NULL },
    { { 429, "" }, PGCASK_RETRY, "status 429", NULL },
    { { 503, "<html>s3cr3t" }, PGCASK_RETRY, "status 503", NULL },
    { { 404, "s3cr3t" }, PGCASK_FAILED, "status 404", NULL },
    { { 302, NULL, "Location: http://127.0.0.1:1/" }, PGCASK_FAILED, "status 302", NULL },
    { { 400, ERROR("Sender", "InvalidIdentityToken", "what is s3cr3t.jwt/+&amp;= to mean?") }, PGCASK_FAILED,
      "status 400 InvalidIdentityToken", NULL },                           /* a service that repeats what it was sent */
    { { 200, "" }, PGCASK_FAILED, "the answer of STS: not XML", NULL },
    { { 200, "{\"s3cr3t\": 1}" }, PGCASK_FAILED, "the answer of STS: not XML", NULL },
    { { 200, "<!DOCTYPE a [<!ENTITY b \"s3cr3t\">]>" GOOD(ID KEY TOKEN END) }, PGCASK_FAILED, "has a DOCTYPE", NULL },
    { { 200, "<a/>" }, PGCASK_FAILED, "the answer of STS has no expiration", NULL },
    { { 200, GOOD(ID KEY TOKEN) }, PGCASK_FAILED, "the answer of STS has no expiration", NULL },
    { { 200, GOOD(ID KEY END) }, PGCASK_FAILED, "the answer of STS has no session token", NULL },
    { { 200, GOOD(ID TOKEN END) }, PGCASK_FAILED, "web identity has an access key without its secret key", NULL },
    { { 200, GOOD(KEY TOKEN END) }, PGCASK_FAILED, "web identity has no access key", NULL },
    { { 200, GOOD(ID KEY TOKEN "<Expiration>s0on</Expiration>") }, PGCASK_FAILED, "the expiration is 's0on'", NULL },
    { { 200, "<a>" ID KEY TOKEN END "</a>" }, PGCASK_FAILED, "has no expiration", NULL }, /* not where they belong */
    { { UNIT_CUT, GOOD(ID KEY TOKEN END) }, PGCASK_RETRY, "POST http://127.0.0.1:", NULL },
};

START_TEST(an_answer_without_keys_is_an_error)
{
    UNIT_HTTP_SAY(&server, answers[_i].answer);
    ck_assert_int_eq(aws_sts_fetch(&search, &who, &grant), answers[_i].code);
    ck_assert_error_has(answers[_i].error);
    if (answers[_i].cure != NULL)
        ck_assert_has(error_cure(), answers[_i].cure);
    ck_assert_ptr_null(grant.keys.access_key);
}
END_TEST

START_TEST(an_answer_that_does_not_stop_is_cut_off)
{
    enum { HUGE_BYTES = 4 * 1024 * 1024 };
    CLEANUP_FREE char *body = plain_zalloc(HUGE_BYTES + 1);

    memset(body, ' ', HUGE_BYTES);
    UNIT_HTTP_SAY(&server, { 200, body });
    ck_assert_int_eq(aws_sts_fetch(&search, &who, &grant), PGCASK_FAILED);
    ck_assert_error_has("the answer is longer than it may be");
}
END_TEST

static const struct {
    const char *token;        /* NULL: no file */
    const char *session_name; /* NULL: ours */
    const char *error;
} bad_requests[] = {
    { NULL, NULL, "could not open the web identity token file '" },
    { "", NULL, "is empty" },
    { "\n \n", NULL, "is empty" },
    { "s3cr3t", "a", "the session name is 'a', wanted 2 to 64 letters" },
    { "s3cr3t", "", "the session name is ''" },
    { "s3cr3t", "night run", "the session name is 'night run'" },
    { "s3cr3t", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg", "wanted 2 to 64 letters" },
};

START_TEST(what_sts_would_not_take_is_not_sent)
{
    if (bad_requests[_i].token != NULL)
        dir_put(token_path, bad_requests[_i].token, 0600);
    else
        ck_assert_int_eq(unlink(token_path), 0);
    who.session_name = bad_requests[_i].session_name;
    ck_assert_int_eq(aws_sts_fetch(&search, &who, &grant), PGCASK_FAILED);
    ck_assert_error_has(bad_requests[_i].error);
    ck_assert_uint_eq(unit_http_count(&server), 0);
}
END_TEST

START_TEST(a_token_that_is_too_long_is_not_sent)
{
    enum { LEN = 20001 };
    CLEANUP_FREE char *token = plain_zalloc(LEN + 1);

    memset(token, 'x', LEN);
    dir_put(token_path, token, 0600);
    ck_assert_int_eq(aws_sts_fetch(&search, &who, &grant), PGCASK_FAILED);
    ck_assert_error_has("has more than the 20000 bytes that are accepted");
}
END_TEST

static Suite *
aws_sts_suite(void)
{
    Suite *suite = suite_create("aws-sts");
    TCase *tcase = tcase_create("aws-sts");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, the_address_follows_region_and_environment, 0, ARRAY_LEN(addresses));
    tcase_add_test(tcase, a_token_is_exchanged_for_keys);
    tcase_add_test(tcase, the_token_is_read_anew_each_time);
    tcase_add_loop_test(tcase, an_answer_without_keys_is_an_error, 0, ARRAY_LEN(answers));
    tcase_add_test(tcase, an_answer_that_does_not_stop_is_cut_off);
    tcase_add_loop_test(tcase, what_sts_would_not_take_is_not_sent, 0, ARRAY_LEN(bad_requests));
    tcase_add_test(tcase, a_token_that_is_too_long_is_not_sent);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(aws_sts_suite)
