/* SPDX-License-Identifier: PostgreSQL
 *
 * Settings, addresses, and what `pgcask check` is told of a bucket.
 */
#include "config.h"

#include "unit-s3.h"

#include "common/s3.h"

/* ---- settings ---- */

static const struct {
    size_t field;              /* of a string */
    const char *value, *error; /* NULL: it is fine */
} values[] = {
#define FIELD(name) offsetof(struct s3_settings, name)
    { FIELD(bucket), "abc", NULL },
    { FIELD(bucket), "My_Bucket.1-2", NULL }, /* as Ceph has them */
    { FIELD(bucket), "ab", "bucket is 'ab', wanted 3 to 63 letters" },
    { FIELD(bucket), "0123456789012345678901234567890123456789012345678901234567890123", "wanted 3 to 63 letters" },
    { FIELD(bucket), "s3://bucket", "wanted a name, not a URL" },
    { FIELD(bucket), "bucket/folder", "wanted 3 to 63 letters" },
    { FIELD(bucket), "a..b", "wanted 3 to 63 letters" },
    { FIELD(bucket), "...", "wanted 3 to 63 letters" },
    { FIELD(bucket),
      "b\xc3\xbc"
      "cket",
      "wanted 3 to 63 letters" },
    { FIELD(endpoint), "https://s3.example.com", NULL },
    { FIELD(endpoint), "http://[::1]:9000/", NULL },
    { FIELD(endpoint), "s3.example.com", "wanted a URL" },
    { FIELD(endpoint), "ftp://s3.example.com", "wanted a URL" },
    { FIELD(endpoint), "https://", "and nothing behind it" },
    { FIELD(endpoint), "https:///", "and nothing behind it" },
    { FIELD(endpoint), "https://s3.example.com/bucket", "and nothing behind it" },
    { FIELD(endpoint), "https://s3.example.com?x", "and nothing behind it" },
    { FIELD(endpoint), "https://s3.example.com#x", "and nothing behind it" },
    { FIELD(endpoint), "https://key:secret@s3.example.com", "and nothing behind it" },
    { FIELD(endpoint), "https://s3 example.com", "and nothing behind it" },
    { FIELD(prefix), "a/b/", NULL },
    { FIELD(prefix), "", NULL },
    { FIELD(prefix), "/a", "words with single '/'" },
    { FIELD(prefix), "a//b", "words with single '/'" },
    { FIELD(tags), "a=b c=", NULL },
    { FIELD(tags), "a", "tags has the word 'a', wanted key=value" },
    { FIELD(tags), "a=b =c", "tags has the word '=c', wanted key=value" },
    { FIELD(secret_key), NULL, "access_key is given without secret_key" },
    { FIELD(access_key), NULL, "secret_key is given without access_key" },
    { FIELD(sse_kms_key), "1", "sse is 'none', wanted kms, since sse_kms_key is given" },
    { FIELD(object_lock), "governance", "object_lock is 'governance', but object_lock_time says not how long" },
    { FIELD(ca_file), "/nowhere/ca.pem", "ca_file '/nowhere/ca.pem' cannot be read: " },
};

START_TEST(settings_are_refused_with_the_reason)
{
    *(const char **)((char *)&settings + values[_i].field) = values[_i].value;
    if (values[_i].error == NULL) {
        ck_assert_ok(s3_check_settings(&settings));
        return;
    }
    ck_assert_code(s3_check_settings(&settings), PGCASK_FAILED);
    ck_assert_error_has(values[_i].error);
}
END_TEST

START_TEST(a_time_without_a_lock_is_refused)
{
    settings.object_lock_ms = 1000;
    ck_assert_code(s3_check_settings(&settings), PGCASK_FAILED);
    ck_assert_error_has("object_lock_time is given, but object_lock is 'none'");
}
END_TEST

/* ---- addresses ---- */

static const struct {
    const char *endpoint, *bucket, *region, *addressing;
    const char *scheme, *host, *base;
} addresses[] = {
    { NULL, "bucket", "eu-central-1", "auto", "https", "bucket.s3.eu-central-1.amazonaws.com", "" },
    { NULL, "bucket", NULL, "auto", "https", "bucket.s3.us-east-1.amazonaws.com", "" },
    { NULL, "bucket", "cn-north-1", "auto", "https", "bucket.s3.cn-north-1.amazonaws.com.cn", "" },
    { NULL, "my.bucket", "eu-central-1", "auto", "https", "s3.eu-central-1.amazonaws.com",
      "/my.bucket" }, /* a certificate's * */
    { NULL, "my.bucket", "eu-central-1", "virtual", "https", "my.bucket.s3.eu-central-1.amazonaws.com", "" },
    { NULL, "bucket", "eu-central-1", "path", "https", "s3.eu-central-1.amazonaws.com", "/bucket" },
    { "http://127.0.0.1:9000", "bucket", "x", "auto", "http", "127.0.0.1:9000", "/bucket" },
    { "https://s3.example.com/", "bucket", "x", "auto", "https", "s3.example.com", "/bucket" },
    { "https://s3.example.com:8443", "bucket", "x", "virtual", "https", "bucket.s3.example.com:8443", "" },
    { "http://[::1]:9000", "bucket", "x", "path", "http", "[::1]:9000", "/bucket" },
};

START_TEST(a_bucket_has_its_address)
{
    settings.endpoint = addresses[_i].endpoint;
    settings.bucket = addresses[_i].bucket;
    settings.region = addresses[_i].region;
    settings.addressing = addresses[_i].addressing;
    open_s3();
    ck_assert_str_eq(s3->scheme, addresses[_i].scheme);
    ck_assert_str_eq(s3->host, addresses[_i].host);
    ck_assert_str_eq(s3->base, addresses[_i].base);
    ck_assert_int_eq(s3->amazon, addresses[_i].endpoint == NULL);
    ck_assert_int_eq(s3->sign_payload, strcmp(addresses[_i].scheme, "http") == 0);
}
END_TEST

static const struct {
    const char *prefix, *path;
} prefixes[] = {
    { NULL, "GET /bucket/key " },
    { "", "GET /bucket/key " },
    { "a", "GET /bucket/a/key " },
    { "a/b/", "GET /bucket/a/b/key " },
    { "a b+c", "GET /bucket/a%20b%2Bc/key " },
};

START_TEST(a_prefix_stands_before_each_key)
{
    char byte;

    settings.prefix = prefixes[_i].prefix;
    open_s3();
    UNIT_HTTP_SAY(&server, { 200, "x" });
    ck_assert_ok(s3_get(s3, "key", 0, &byte, 1));
    ck_assert_asked(prefixes[_i].path);
}
END_TEST

START_TEST(the_region_comes_from_the_environment_too)
{
    settings.region = NULL;
    aws_env("AWS_REGION", "eu-west-3");
    open_s3();
    ck_assert_str_eq(s3->region, "eu-west-3");
    ck_assert(!s3->region_given); /* another one is learned */
}
END_TEST

/* ---- object lock ---- */

#define LOCK(word) "<ObjectLockConfiguration><ObjectLockEnabled>" word "</ObjectLockEnabled></ObjectLockConfiguration>"

static const struct {
    struct unit_answer answer;
    int rc;
    const char *error;
} locks[] = {
    { { 200, LOCK("Enabled") }, 0, "" },
    { { 200, LOCK("Disabled") }, PGCASK_FAILED, "bucket 'bucket' has no object lock" },
    { { 200, "<ObjectLockConfiguration/>" }, PGCASK_FAILED, "has no object lock" },
    { { 404, S3_ERROR_TEXT("ObjectLockConfigurationNotFoundError") }, PGCASK_FAILED, "has no object lock" },
    { { 501, S3_ERROR_TEXT("NotImplemented") }, PGCASK_FAILED, "has no object lock" },
    { { 405, S3_ERROR_TEXT("MethodNotAllowed") }, PGCASK_FAILED, "has no object lock" },
    { { 200, "" }, PGCASK_FAILED, "object-lock: not XML" },
    { { 404, S3_ERROR_TEXT("NoSuchBucket") }, PGCASK_FAILED, "there is no such bucket" },
    { { 403, S3_ERROR_TEXT("AccessDenied") }, PGCASK_FAILED, "asking bucket 'bucket': access denied" },
    { { 301, S3_ERROR_TEXT("PermanentRedirect"), "x-amz-bucket-region: eu-west-3" },
      PGCASK_FAILED,
      "in another region" },
    { { 503 }, PGCASK_RETRY, "not available" },
    { { UNIT_DROP }, PGCASK_RETRY, "" },
};

START_TEST(a_lock_is_only_promised_by_a_bucket_that_has_it)
{
    settings.object_lock = "compliance";
    settings.object_lock_ms = 86400000;
    UNIT_HTTP_SAY(&server, locks[_i].answer);
    ck_assert_code(s3_open(&settings, 0, &s3), locks[_i].rc);
    ck_assert_error_has(locks[_i].error);
    ck_assert_asked("GET /bucket?object-lock= ");
    if (locks[_i].rc < 0)
        ck_assert_ptr_null(s3);
}
END_TEST

START_TEST(the_region_is_learned_by_the_look_for_the_lock)
{
    settings.region = NULL;
    settings.object_lock = "compliance";
    settings.object_lock_ms = 86400000;
    UNIT_HTTP_SAY(&server, { 301, "", "x-amz-bucket-region: eu-west-3" });
    ck_assert_code(s3_open(&settings, 0, &s3), PGCASK_RETRY);
}
END_TEST

START_TEST(who_only_reads_needs_no_lock)
{
    settings.object_lock = "compliance";
    settings.object_lock_ms = 86400000;
    ck_assert_ok(s3_open(&settings, PGCASK_OPEN_READONLY, &s3));
    ck_assert_uint_eq(unit_http_count(&server), 0);
}
END_TEST

/* ---- checks ---- */

#define VERSIONING(word)                                                                                               \
    {                                                                                                                  \
        200, "<VersioningConfiguration" S3_XMLNS "><Status>" word "</Status></VersioningConfiguration>"                \
    }
#define NO_VERSIONING                                                                                                  \
    {                                                                                                                  \
        200, "<VersioningConfiguration" S3_XMLNS "/>"                                                                  \
    }
#define PUBLIC(word)                                                                                                   \
    {                                                                                                                  \
        200, "<PolicyStatus><IsPublic>" word "</IsPublic></PolicyStatus>"                                              \
    }
#define NO_POLICY                                                                                                      \
    {                                                                                                                  \
        404, S3_ERROR_TEXT("NoSuchBucketPolicy")                                                                       \
    }

static const struct {
    struct unit_answer versioning, policy;
    int rc;
    const char *told; /* or the error */
} checks[] = {
    { VERSIONING("Enabled"), NO_POLICY, 0, "0 removed objects live on as versions\n" },
    { VERSIONING("Suspended"), NO_POLICY, 0, "2 whoever has the access key can remove every backup for good (" },
    { NO_VERSIONING, NO_POLICY, 0, "2 whoever has the access key" },
    { { 501 }, { 501 }, 0, "2 whoever has the access key" },
    { { 405 }, { 405 }, 0, "2 whoever has the access key" },
    { VERSIONING("Enabled"), PUBLIC("false"), 0, "0 removed objects live on as versions\n" },
    { VERSIONING("Enabled"), PUBLIC("true"), 0,
      "0 removed objects live on as versions\n2 the server calls bucket 'bucket' open to the public (" },
    { VERSIONING("Enabled"), PUBLIC("TRUE"), 0,
      "0 removed objects live on as versions\n2 the server calls bucket 'bucket' open" },
    { VERSIONING("Enabled"),
      { 403, S3_ERROR_TEXT("AccessDenied") },
      0,
      "0 removed objects live on as versions\n" }, /* may not ask */
    { VERSIONING("Enabled"), { 503 }, PGCASK_RETRY, "asking bucket 'bucket'" },
    { { 403, S3_ERROR_TEXT("AccessDenied") },
      NO_POLICY,
      0,
      "2 whether removed objects live on as versions is not known" },
    { { 503 }, { 0 }, PGCASK_RETRY, "asking bucket 'bucket'" },
};

START_TEST(a_bucket_is_checked)
{
    struct pgcask_check check = { 0 };
    CLEANUP_FREE char *told = NULL;
    int rc;

    open_s3();
    UNIT_HTTP_SAY(&server, checks[_i].versioning, checks[_i].policy);
    rc = s3_check(s3, &check);
    told = check_told(&check);
    ck_assert_code(rc, checks[_i].rc);
    if (rc < 0)
        ck_assert_error_has(checks[_i].told);
    else
        ck_assert_msg(strncmp(told, checks[_i].told, strlen(checks[_i].told)) == 0, "'%s'", told);
}
END_TEST

static const struct {
    const char *endpoint;
    bool warned;
} transports[] = {
    { "http://127.0.0.1:9000", false },       { "http://localhost:9000", false }, { "http://[::1]:9000", false },
    { "http://s3.example.com", true },        { "http://192.0.2.1:9000", true },  { "http://[::2]:9000", true },
    { "http://localhost.example.com", true }, { "http://127.example.com", true },
};

START_TEST(an_open_line_is_warned_of)
{
    CLEANUP_FREE char *proxy = unit_http_url(&server, ""), *told = NULL;
    struct pgcask_check check = { 0 };

    settings.endpoint = transports[_i].endpoint;
    settings.proxy = proxy; /* wherever it is: the test's server answers */
    open_s3();
    UNIT_HTTP_SAY(&server, VERSIONING("Enabled"), NO_POLICY);
    ck_assert_ok(s3_check(s3, &check));
    told = check_told(&check);
    ck_assert_int_eq(strstr(told, "2 the connection is not encrypted") != NULL, transports[_i].warned);
}
END_TEST

static const struct {
    const char *cold_class, *later_class;
    int later_days;
    int64_t keep_days;
    const char *told; /* NULL: nothing */
} minimums[] = {
    { NULL, NULL, 0, 10, NULL },
    { "STANDARD_IA", NULL, 0, 10, NULL },
    { "GLACIER", NULL, 0, 0, NULL }, /* kept who knows how long */
    { "GLACIER", NULL, 0, 90, NULL },
    { "GLACIER", NULL, 0, 89, "2 backups are in GLACIER for 89 days only, and 90 days are charged at least (" },
    { "DEEP_ARCHIVE", NULL, 0, 90, "2 backups are in DEEP_ARCHIVE for 90 days only, and 180 days" },
    { NULL, "GLACIER", 30, 120, NULL },
    { NULL, "GLACIER", 30, 119, "2 backups are in GLACIER for 89 days only" },
    { NULL, "GLACIER", 30, 30, "2 backups are kept 30 days, so none of them ever gets to GLACIER (" },
};

START_TEST(days_that_are_paid_for_nothing_are_told)
{
    struct pgcask_check check = { .keep_s = minimums[_i].keep_days * 86400 };
    CLEANUP_FREE char *told = NULL;

    open_s3();
    s3->cold_class = minimums[_i].cold_class;
    s3->later_class = minimums[_i].later_class;
    s3->later_days = minimums[_i].later_days;
    UNIT_HTTP_SAY(&server, VERSIONING("Enabled"), NO_POLICY, { 200, "<LifecycleConfiguration/>" });
    ck_assert_ok(s3_check(s3, &check));
    told = check_told(&check);
    if (minimums[_i].told != NULL)
        ck_assert_has(told, minimums[_i].told);
    else
        ck_assert_lacks(told, "2 ");
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-open");
    TCase *tcase = tcase_create("open");

    tcase_add_checked_fixture(tcase, s3_setup, s3_teardown);
    tcase_add_loop_test(tcase, settings_are_refused_with_the_reason, 0, ARRAY_LEN(values));
    tcase_add_test(tcase, a_time_without_a_lock_is_refused);
    tcase_add_loop_test(tcase, a_bucket_has_its_address, 0, ARRAY_LEN(addresses));
    tcase_add_loop_test(tcase, a_prefix_stands_before_each_key, 0, ARRAY_LEN(prefixes));
    tcase_add_test(tcase, the_region_comes_from_the_environment_too);
    tcase_add_loop_test(tcase, a_lock_is_only_promised_by_a_bucket_that_has_it, 0, ARRAY_LEN(locks));
    tcase_add_test(tcase, the_region_is_learned_by_the_look_for_the_lock);
    tcase_add_test(tcase, who_only_reads_needs_no_lock);
    tcase_add_loop_test(tcase, a_bucket_is_checked, 0, ARRAY_LEN(checks));
    tcase_add_loop_test(tcase, an_open_line_is_warned_of, 0, ARRAY_LEN(transports));
    tcase_add_loop_test(tcase, days_that_are_paid_for_nothing_are_told, 0, ARRAY_LEN(minimums));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
