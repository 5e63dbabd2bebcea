/* SPDX-License-Identifier: PostgreSQL
 *
 * What takes a second question or a second look: regions, answers to HEAD without a body, clocks, keys that expire.
 */
#include "config.h"

#include "unit-s3.h"

#include "common/s3.h"

#define LISTED                                                                                                         \
    {                                                                                                                  \
        200, "<ListBucketResult" S3_XMLNS "><IsTruncated>false</IsTruncated></ListBucketResult>"                       \
    }
#define REGION_HEADER "x-amz-bucket-region: eu-west-3"
#define REGION_ERROR(code) "<Error><Code>" code "</Code><Message>words</Message><Region>eu-west-3</Region></Error>"
#define AGAIN "GET /bucket?list-type=2&max-keys=1&prefix=some%2Fwhere%2F "

static int
look(void)
{
    struct s3_head head;
    int rc = s3_head(s3, "key", &head);

    if (rc == 0)
        s3_head_free(&head);
    return rc;
}

/* ---- HEAD has no body ---- */

static const struct {
    struct unit_answer head, again; /* again 0: not asked */
    enum s3_known bucket;
    int rc;
    const char *error;
    enum s3_known bucket_then;
} heads[] = {
    /* is it the object or the bucket? */
    { { 404 }, LISTED, S3_UNKNOWN, PGCASK_NOT_FOUND, "'key': there is no such object (status 404)", S3_YES },
    { { 404 }, { 0 }, S3_YES, PGCASK_NOT_FOUND, "'key': there is no such object (status 404)", S3_YES },
    { { 404 },
      { 404, S3_ERROR_TEXT("NoSuchBucket") },
      S3_UNKNOWN,
      PGCASK_FAILED,
      "bucket 'bucket': there is no such bucket",
      S3_UNKNOWN },
    { { 404 },
      { 403, S3_ERROR_TEXT("AccessDenied") },
      S3_UNKNOWN,
      PGCASK_NOT_FOUND,
      "there is no such object",
      S3_UNKNOWN },
    { { 404 }, { 403 }, S3_UNKNOWN, PGCASK_NOT_FOUND, "there is no such object", S3_UNKNOWN },
    { { 404 },
      { 503, S3_ERROR_TEXT("SlowDown") },
      S3_UNKNOWN,
      PGCASK_NOT_FOUND,
      "no such object (status 404)",
      S3_UNKNOWN },
    { { 404 }, { UNIT_DROP }, S3_UNKNOWN, PGCASK_NOT_FOUND, "there is no such object", S3_UNKNOWN },
    { { 404 }, { 502, "<html>" }, S3_UNKNOWN, PGCASK_NOT_FOUND, "there is no such object", S3_UNKNOWN },
    /* why is it refused? */
    { { 403 },
      { 403, S3_ERROR_TEXT("InvalidAccessKeyId") },
      S3_YES,
      PGCASK_FAILED,
      "does not know the access key",
      S3_YES },
    { { 403 }, { 403, S3_ERROR_TEXT("RequestTimeTooSkewed") }, S3_YES, PGCASK_FAILED, "the clocks", S3_YES },
    { { 403 },
      { 403, S3_ERROR_TEXT("AccessDenied") },
      S3_YES,
      PGCASK_FAILED,
      "looking at 'key': access denied (status 403",
      S3_YES },
    { { 403 }, { 403 }, S3_YES, PGCASK_FAILED, "access denied", S3_YES },
    { { 403 }, LISTED, S3_YES, PGCASK_FAILED, "access denied", S3_YES }, /* may list, and not read */
    { { 403 }, { UNIT_DROP }, S3_YES, PGCASK_FAILED, "access denied", S3_YES },
    { { 400 },
      { 400, S3_ERROR_TEXT("ExpiredToken") },
      S3_YES,
      PGCASK_RETRY,
      "the temporary keys have expired",
      S3_YES },
    { { 400 }, { 400, S3_ERROR_TEXT("InvalidToken") }, S3_YES, PGCASK_FAILED, "the session token", S3_YES },
    { { 400 }, LISTED, S3_YES, PGCASK_FAILED, "looking at 'key': the server refuses (status 400)", S3_YES },
    { { 301 },
      { 301, REGION_ERROR("PermanentRedirect") },
      S3_YES,
      PGCASK_FAILED,
      "the bucket is in another region",
      S3_YES },
    /* the status is enough */
    { { 500 }, { 0 }, S3_UNKNOWN, PGCASK_RETRY, "internal error", S3_UNKNOWN },
    { { 503 }, { 0 }, S3_UNKNOWN, PGCASK_RETRY, "not available", S3_UNKNOWN },
};

START_TEST(head_asks_again_for_the_reason)
{
    s3_setup_open();
    s3->bucket = heads[_i].bucket;
    UNIT_HTTP_SAY(&server, heads[_i].head, heads[_i].again);
    ck_assert_code(look(), heads[_i].rc);
    ck_assert_error_has(heads[_i].error);
    ck_assert_int_eq(s3->bucket, heads[_i].bucket_then);
    if (heads[_i].again.status == 0)
        ck_assert_asked("HEAD " S3_AT "key ");
    else
        ck_assert_asked("HEAD " S3_AT "key ", AGAIN); /* below the prefix: the right to list may end there */
}
END_TEST

/* ---- regions ---- */

static const struct {
    struct unit_answer answer;
    const char *method; /* HEAD: with a second answer like the first */
    bool learned;
} regions[] = {
    { { 301, S3_ERROR_TEXT("PermanentRedirect"), REGION_HEADER }, "GET", true },
    { { 301, REGION_ERROR("PermanentRedirect") }, "GET", true },
    { { 301, "", REGION_HEADER }, "GET", true },
    { { 400, REGION_ERROR("AuthorizationHeaderMalformed") }, "GET", true },
    { { 400, REGION_ERROR("IllegalLocationConstraintException") }, "GET", true },
    { { 301, "", REGION_HEADER }, "HEAD", true },
    { { 400, REGION_ERROR("AuthorizationHeaderMalformed") }, "HEAD", true }, /* told to the second question only */
    { { 301, S3_ERROR_TEXT("PermanentRedirect") }, "GET", false },
    { { 400, S3_ERROR_TEXT("AuthorizationHeaderMalformed") }, "GET", false },
    { { 301 }, "HEAD", false },
    /* no region, but a way to another host */
    { { 301, "", "x-amz-bucket-region: example.com/" }, "GET", false },
    { { 301, "", "x-amz-bucket-region: a.b" }, "GET", false },
    { { 301, "", "x-amz-bucket-region: a@b" }, "GET", false },
    { { 301, "", "x-amz-bucket-region: 01234567890123456789012345678901234567890" }, "GET", false },
    { { 301, "", "x-amz-bucket-region:" }, "GET", false },
    { { 403, S3_ERROR_TEXT("AccessDenied"), REGION_HEADER }, "GET", false }, /* which is no reason */
};

static int
ask(const char *method)
{
    return s3_send(s3, &(const struct s3_request){ .method = method, .key = "key", .what = "touching" }, NULL);
}

static void
ask_regions(int i)
{
    UNIT_HTTP_SAY(&server, regions[i].answer, regions[i].answer);
    if (regions[i].learned && s3->region_given)
        ck_assert_code(ask(regions[i].method), PGCASK_FAILED);
    else
        ck_assert_code(ask(regions[i].method), regions[i].learned ? PGCASK_RETRY : PGCASK_FAILED);
}

START_TEST(a_region_is_learned_when_it_is_left_open)
{
    s3_setup();
    settings.region = NULL;
    open_s3();
    ck_assert_str_eq(s3->region, "us-east-1");
    ask_regions(_i);
    ck_assert_str_eq(s3->region, regions[_i].learned ? "eu-west-3" : "us-east-1");
    UNIT_HTTP_SAY(&server, { 204 });
    ck_assert_ok(ask("DELETE"));
    ck_assert_has(asked(0), regions[_i].learned ? "/eu-west-3/s3/aws4_request" : "/us-east-1/s3/aws4_request");
}
END_TEST

START_TEST(a_region_that_was_given_is_only_told)
{
    s3_setup_open();
    ask_regions(_i);
    ck_assert_str_eq(s3->region, "eu-central-1");
    if (regions[_i].learned)
        ck_assert_cure_has(
            "region is 'eu-central-1' here, the bucket 'bucket' is in 'eu-west-3': set region = eu-west-3");
    else if (regions[_i].answer.status != 403)
        ck_assert_cure_has("region is 'eu-central-1' here: set region in [store");
}
END_TEST

/* Two requests on their way when the first learns it. */
START_TEST(a_region_learned_meanwhile_is_no_error)
{
    s3_setup();
    settings.region = NULL;
    open_s3();
    UNIT_HTTP_SAY(&server, { 301, "", REGION_HEADER }, { 301, "", REGION_HEADER },
                  { 301, "", "x-amz-bucket-region: us-east-2" });
    ck_assert_code(ask("GET"), PGCASK_RETRY);
    ck_assert_code(ask("GET"), PGCASK_RETRY);
    ck_assert_str_eq(s3->region, "eu-west-3");
    ck_assert_code(ask("GET"), PGCASK_RETRY);
    ck_assert_str_eq(s3->region, "us-east-2");
}
END_TEST

START_TEST(a_server_that_names_our_own_region_is_told)
{
    s3_setup();
    settings.region = NULL;
    open_s3();
    UNIT_HTTP_SAY(&server, { 301, "", "x-amz-bucket-region: us-east-1" });
    ck_assert_code(ask("GET"), PGCASK_FAILED); /* else it would go on for ever */
}
END_TEST

/* ---- clocks ---- */

START_TEST(clocks_are_told_with_both_times)
{
    s3_setup_open();
    atomic_store(&clock_ahead_s, INT64_C(2000000000) - time(NULL));
    UNIT_HTTP_SAY(
        &server, { _i == 0 ? 403 : 400, S3_ERROR_TEXT("RequestTimeTooSkewed"), "Date: Fri, 21 Dec 2012 00:00:00 GMT" });
    ck_assert_code(ask("GET"), PGCASK_FAILED);
    ck_assert_error_has("touching 'key': the clocks of this host and of the server differ too much");
    ck_assert_cure_has("it is 2033-05-18T03:33:2");
    ck_assert_cure_has("here and 'Fri, 21 Dec 2012 00:00:00 GMT' there: have the clock set by NTP");
}
END_TEST

START_TEST(a_server_without_a_clock_is_told_too)
{
    s3_setup_open();
    UNIT_HTTP_SAY(&server, { 403, S3_ERROR_TEXT("RequestTimeTooSkewed") });
    ck_assert_code(ask("GET"), PGCASK_FAILED);
    ck_assert_cure_has("here and 'unknown' there");
}
END_TEST

/* ---- keys that expire ---- */

static const struct {
    const char *method, *error;
} expiries[] = {
    { "GET", S3_ERROR_TEXT("ExpiredToken") },
    { "HEAD", S3_ERROR_TEXT("ExpiredToken") },
    { "GET", S3_ERROR_TEXT("TokenRefreshRequired") },
};

START_TEST(expired_keys_are_fetched_anew)
{
    size_t again = strcmp(expiries[_i].method, "HEAD") == 0; /* for its reason */
    CLEANUP_FREE char *first = NULL, *second = NULL, *url = NULL;

    s3_setup();
    settings.access_key = settings.secret_key = NULL;
    first = aws_document_text("ONE", 3600);
    second = aws_document_text("TWO", 3600);
    url = unit_http_url(&server, "/keys");
    aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    open_s3();
    if (again == 0)
        UNIT_HTTP_SAY(&server, { 200, first }, { 400, expiries[_i].error }, { 200, second }, { 200 });
    else
        UNIT_HTTP_SAY(&server, { 200, first }, { 400 }, { 400, expiries[_i].error }, { 200, second }, { 200 });
    ck_assert_code(ask(expiries[_i].method), PGCASK_RETRY);
    ck_assert_error_has("the temporary keys have expired");
    ck_assert_ok(ask(expiries[_i].method));
    ck_assert_uint_eq(unit_http_count(&server), 4 + again);
    ck_assert_has(asked(0), "GET /keys ");
    ck_assert_has(asked(1), "Credential=AKIAONE/");
    ck_assert_has(asked(1), "\r\nx-amz-security-token: s3cr3t-token-ONE\r\n");
    ck_assert_has(asked(1), ";x-amz-security-token, Signature=");
    ck_assert_has(asked(2 + again), "GET /keys ");
    ck_assert_has(asked(3 + again), "Credential=AKIATWO/");
    ck_assert_has(asked(3 + again), "\r\nx-amz-security-token: s3cr3t-token-TWO\r\n");
    ck_assert_lacks(asked(3 + again), "s3cr3t/");
}
END_TEST

START_TEST(without_keys_nothing_is_sent)
{
    s3_setup();
    settings.access_key = settings.secret_key = NULL;
    open_s3();
    UNIT_HTTP_SAY(&server, { 200 });
    ck_assert_code(ask("GET"), PGCASK_FAILED);
    ck_assert_uint_eq(unit_http_count(&server), 0);
    ck_assert_ptr_nonnull(error_cure());
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-region");
    TCase *tcase = tcase_create("region");

    tcase_add_checked_fixture(tcase, NULL, s3_teardown); /* each test opens the bucket */
    tcase_add_loop_test(tcase, head_asks_again_for_the_reason, 0, ARRAY_LEN(heads));
    tcase_add_loop_test(tcase, a_region_is_learned_when_it_is_left_open, 0, ARRAY_LEN(regions));
    tcase_add_loop_test(tcase, a_region_that_was_given_is_only_told, 0, ARRAY_LEN(regions));
    tcase_add_test(tcase, a_region_learned_meanwhile_is_no_error);
    tcase_add_test(tcase, a_server_that_names_our_own_region_is_told);
    tcase_add_loop_test(tcase, clocks_are_told_with_both_times, 0, 2);
    tcase_add_test(tcase, a_server_without_a_clock_is_told_too);
    tcase_add_loop_test(tcase, expired_keys_are_fetched_anew, 0, ARRAY_LEN(expiries));
    tcase_add_test(tcase, without_keys_nothing_is_sent);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
