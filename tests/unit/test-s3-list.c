/* SPDX-License-Identifier: PostgreSQL
 *
 * Listings and removals: what the server names is ours only when it can be.
 */
#include "config.h"

#include "unit-s3.h"

#include "base/cancel.h"
#include "common/s3.h"

#define LIST(more)                                                                                                     \
    "<?xml version=\"1.0\"?>\n<ListBucketResult" S3_XMLNS "><EncodingType>url</EncodingType>" more "</"                \
                                                                                                   "ListBucketResult>"
#define PLAIN_LIST(more) "<ListBucketResult>" more "</ListBucketResult>"
#define OBJECT(key, more) "<Contents><Key>" key "</Key><Size>5</Size>" more "</Contents>"
#define MORE(token) "<IsTruncated>true</IsTruncated><NextContinuationToken>" token "</NextContinuationToken>"

static void
setup(void)
{
    s3_setup_open();
    s3->bucket = S3_YES;
}

/* ---- one page ---- */

START_TEST(a_listing_tells_keys_sizes_and_times)
{
    UNIT_HTTP_SAY(&server,
                  { 200, LIST("<Name>bucket</Name><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>"
                              "<Contents><Key>some/where/a/1</Key><LastModified>2012-12-21T00:00:00.000Z</LastModified>"
                              "<ETag>&quot;x&quot;</ETag><Size>5368709120</Size><StorageClass>STANDARD</StorageClass>"
                              "<Owner><ID>1</ID><DisplayName>Key</DisplayName></Owner></Contents>"
                              "<Contents><Size>0</Size><Key>some/where/a/2</Key></Contents>"
                              "<CommonPrefixes><Prefix>some/where/b/</Prefix></CommonPrefixes>") });
    ck_assert_ok(s3_list(s3, "a/", &listing));
    ck_assert_asked("GET /bucket?encoding-type=url&list-type=2&max-keys=1000&prefix=some%2Fwhere%2Fa%2F HTTP/1.1\r\n");
    ck_assert_uint_eq(seen_count, 2);
    ck_assert_str_eq(seen[0].key, "a/1");
    ck_assert_uint_eq(seen[0].size, 5368709120);
    ck_assert_int_eq(seen[0].mtime_s, 1356048000);
    ck_assert_int_eq(seen[0].tier, PGCASK_TIER_HOT);
    ck_assert_str_eq(seen[1].key, "a/2");
    ck_assert_uint_eq(seen[1].size, 0);
    ck_assert_int_eq(seen[1].mtime_s, 0);
}
END_TEST

static int
stop_at_once(void *ctx, const struct listed *listed)
{
    (void)ctx;
    (void)listed;
    cancel_request();
    return 0;
}

START_TEST(a_stopped_run_asks_for_no_more_pages_but_cleaning_up_does)
{
    UNIT_HTTP_SAY(&server, { 200, LIST(OBJECT("some/where/a", "") MORE("1")) },
                  { 200, LIST(OBJECT("some/where/a", "") MORE("1")) }, { 200, LIST(OBJECT("some/where/b", "")) });
    listing.add = stop_at_once;
    ck_assert_code(s3_list(s3, "", &listing), PGCASK_FAILED);
    ck_assert_uint_eq(unit_http_count(&server), 1);
    ck_assert_ok(s3_list(s3, "", &listing));
    ck_assert_uint_eq(unit_http_count(&server), 3);
}
END_TEST

static const struct {
    const char *xml, *keys; /* what comes of it, each key behind a blank */
} pages[] = {
    { LIST(""), "" },
    { LIST(OBJECT("some%2Fwhere%2Fa", "")), " a" },
    { LIST(OBJECT("some/where/a+b", "")), " a b" }, /* a form's blank */
    { LIST(OBJECT("some/where/a%2Bb%2525", "")), " a+b%25" },
    { LIST(OBJECT("some/where/%C3%A4%e2%82%ac", "")), " ä€" },
    { LIST(OBJECT("some/where/a&amp;&lt;b", "")), " a&<b" },
    { PLAIN_LIST(OBJECT("some/where/a+b%2Bc", "")), " a+b%2Bc" }, /* who does not say so does not encode */
    { PLAIN_LIST(OBJECT("some/where/100%", "")), " 100%" },
    { PLAIN_LIST(OBJECT("some/where/a+b", "") "<EncodingType>url</EncodingType>"), " a b" }, /* said behind it */
    { PLAIN_LIST(OBJECT("some/where/a+b", "") "<EncodingType/>"), " a+b" },
    /* others' */
    { LIST(OBJECT("some/wher", "") OBJECT("some/where", "") OBJECT("other/some/where/x", "")
               OBJECT("some/where/x", "")),
      " x" },
    { LIST(OBJECT("some/where/", "") OBJECT("some/where/x/", "") OBJECT("some/where//x", "")), "" }, /* "folders" */
    { LIST("<Contents><Key>else/where</Key><Size>-1</Size></Contents>" OBJECT("some/where/x", "")), " x" },
    /* elements of that name in other places */
    { "<Other><Contents><Key>some/where/x</Key><Size>5</Size></Contents></Other>", "" },
    { LIST("<Contents><Other><Key>some/where/x</Key></Other><Key>some/where/y</Key><Size>5</Size></Contents>"), " y" },
    { LIST("<ContentsOfIt><Key>some/where/x</Key></ContentsOfIt>"), "" },
};

START_TEST(keys_are_those_below_the_prefix)
{
    CLEANUP_FREE char *keys = plain_strdup("");

    UNIT_HTTP_SAY(&server, { 200, pages[_i].xml });
    ck_assert_ok(s3_list(s3, "", &listing));
    for (size_t i = 0; i < seen_count; i++) {
        char *longer = plain_printf("%s %s", keys, seen[i].key);

        free(keys);
        keys = longer;
    }
    ck_assert_str_eq(keys, pages[_i].keys);
}
END_TEST

static const struct {
    const char *xml;
    const char *error;
} wrongs[] = {
    { LIST(OBJECT("some/where/%", "")), "an object with the key 'some/where/%'" },
    { LIST(OBJECT("some/where/a%4", "")), "with the key" },
    { LIST(OBJECT("some/where/a%zz", "")), "with the key" },
    { LIST(OBJECT("some/where/a%-5", "")), "with the key" }, /* what strtoul takes */
    { LIST(OBJECT("some/where/a% 5", "")), "with the key" },
    { LIST(OBJECT("some/where/a%0x", "")), "with the key" },
    { LIST(OBJECT("some/where/a%00b", "")), "with the key" },
    { LIST("<Contents><Size>5</Size></Contents>"), "an object with the key ''" },
    { LIST("<Contents/>"), "an object with the key ''" },
    { LIST("<Contents><Key>some/where/x</Key></Contents>"), "lists 'x' without a size" },
    { LIST("<Contents><Key>some/where/x</Key><Size/></Contents>"), "lists 'x' without a size" },
    { LIST("<Contents><Key>some/where/x</Key><Size>-5</Size></Contents>"), "lists 'x' without a size" },
    { LIST("<Contents><Key>some/where/x</Key><Size>18446744073709551617</Size></Contents>"),
      "lists 'x' without a size" },
    { LIST("<Contents><Key>some/where/x</Key><Size>5 MiB</Size></Contents>"), "lists 'x' without a size" },
    { LIST(OBJECT("some/where/x", "") "<Contents><Key>some/where/y</Key></Contents>"), "lists 'y' without a size" },
    { "", "the listing: not XML" },
    { "<ListBucketResult><Contents>", "the listing: not XML" },
    { LIST("<IsTruncated>true</IsTruncated>"), "does not say where" },
    { LIST(MORE("")), "does not say where" },
};

START_TEST(a_listing_that_makes_no_sense_is_refused)
{
    UNIT_HTTP_SAY(&server, { 200, wrongs[_i].xml });
    ck_assert_code(s3_list(s3, "", &listing), PGCASK_FAILED);
    ck_assert_error_has(wrongs[_i].error);
    ck_assert_uint_eq(unit_http_count(&server), 1);
}
END_TEST

START_TEST(a_page_that_fails_fails_the_listing)
{
    UNIT_HTTP_SAY(&server, { 200, LIST(MORE("1")) }, { 503, S3_ERROR_TEXT("SlowDown") });
    ck_assert_code(s3_list(s3, "a", &listing), PGCASK_RETRY);
    ck_assert_error_has("listing bucket 'bucket': the server asks us to slow down");
    ck_assert_asked("GET ", "GET ");
}
END_TEST

static int
refuse(void *ctx, const struct listed *listed)
{
    (void)seen_add(ctx, listed);
    return error_set(PGCASK_COLD, "no more");
}

START_TEST(a_host_that_wants_no_more_gets_no_more)
{
    listing.add = refuse;
    UNIT_HTTP_SAY(&server, { 200, LIST(OBJECT("some/where/a", "") OBJECT("some/where/b", "") MORE("1")) });
    ck_assert_code(s3_list(s3, "", &listing), PGCASK_COLD);
    ck_assert_error_has("no more");
    ck_assert_uint_eq(seen_count, 1);
    ck_assert_uint_eq(unit_http_count(&server), 1);
}
END_TEST

static const struct {
    const char *more;
    int tier;
    int64_t until_s;
} tiers[] = {
    { "<StorageClass>STANDARD</StorageClass>", PGCASK_TIER_HOT, 0 },
    { "<StorageClass>GLACIER</StorageClass>", PGCASK_TIER_COLD, 0 },
    { "<StorageClass>DEEP_ARCHIVE</StorageClass>", PGCASK_TIER_COLD, 0 },
    { "<StorageClass>GLACIER_IR</StorageClass>", PGCASK_TIER_HOT, 0 },
    { "<StorageClass>GLACIER</StorageClass><RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></"
      "RestoreStatus>",
      PGCASK_TIER_THAWING, 0 },
    { "<StorageClass>GLACIER</StorageClass><RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
      "<RestoreExpiryDate>2012-12-21T00:00:00Z</RestoreExpiryDate></RestoreStatus>",
      PGCASK_TIER_THAWED, 1356048000 },
    { "<RestoreStatus><RestoreExpiryDate>some day</RestoreExpiryDate></RestoreStatus>", PGCASK_TIER_THAWED, 0 },
};

START_TEST(a_listing_tells_how_cold_each_is)
{
    CLEANUP_FREE char *xml =
        plain_printf(LIST(OBJECT("some/where/a", "%s") OBJECT("some/where/b", "")), tiers[_i].more);

    s3->thaws = S3_YES;
    UNIT_HTTP_SAY(&server, { 200, xml });
    ck_assert_ok(s3_list(s3, "", &listing));
    ck_assert_has(asked(0), "\r\nx-amz-optional-object-attributes: RestoreStatus\r\n");
    ck_assert_int_eq(seen[0].tier, tiers[_i].tier);
    ck_assert_int_eq(seen[0].until_s, tiers[_i].until_s);
    ck_assert_int_eq(seen[1].tier, PGCASK_TIER_HOT); /* nothing is left over from the one before */
    ck_assert_int_eq(seen[1].until_s, 0);
}
END_TEST

/* ---- many pages ---- */

START_TEST(pages_follow_one_another)
{
    UNIT_HTTP_SAY(&server, { 200, LIST(OBJECT("some/where/a", "") MORE("1+/=")) },
                  { 200, LIST(MORE("2&amp;") OBJECT("some/where/b", "")) }, { 200, LIST(OBJECT("some/where/c", "")) });
    ck_assert_ok(s3_list(s3, "", &listing));
    ck_assert_asked(
        "GET /bucket?encoding-type=url&list-type=2&max-keys=1000&prefix=some%2Fwhere%2F ",
        "GET /bucket?continuation-token=1%2B%2F%3D&encoding-type=url&list-type=2&max-keys=1000&prefix=some%2Fwhere%2F ",
        "GET /bucket?continuation-token=2%26&encoding-type=url&list-type=2&max-keys=1000&prefix=some%2Fwhere%2F ");
    ck_assert_uint_eq(seen_count, 3);
    ck_assert_str_eq(seen[2].key, "c");
}
END_TEST

/* Tokens in turn, one digit each; the digits come again and again. */
static const char *const rounds[] = { "1", "12", "123", "1234567", "12333", "123434" };

START_TEST(a_listing_that_goes_round_is_refused)
{
    struct unit_answer script[UNIT_REQUESTS_MAX];
    char *texts[UNIT_REQUESTS_MAX];
    size_t len = strlen(rounds[_i]);

    for (size_t i = 0; i < UNIT_REQUESTS_MAX; i++) {
        texts[i] = plain_printf(LIST(MORE("%c")), rounds[_i][i % len]);
        script[i] = (struct unit_answer){ 200, texts[i] };
    }
    unit_http_script(&server, script, UNIT_REQUESTS_MAX);
    ck_assert_code(s3_list(s3, "", &listing), PGCASK_FAILED);
    ck_assert_error_has("the listing goes on, but the server does not say where");
    ck_assert_uint_lt(unit_http_count(&server), 32);
    for (size_t i = 0; i < UNIT_REQUESTS_MAX; i++)
        free(texts[i]);
}
END_TEST

START_TEST(pages_that_do_not_repeat_may_be_many)
{
    struct unit_answer script[40];
    char *texts[40];

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        texts[i] = i + 1 < ARRAY_LEN(texts) ? plain_printf(LIST(MORE("%zu")), i) : plain_strdup(LIST(""));
        script[i] = (struct unit_answer){ 200, texts[i] };
    }
    unit_http_script(&server, script, ARRAY_LEN(script));
    ck_assert_ok(s3_list(s3, "", &listing));
    ck_assert_uint_eq(unit_http_count(&server), ARRAY_LEN(script));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
}
END_TEST

/* ---- removing one ---- */

static const struct {
    struct unit_answer answer;
    int rc;
} removals[] = {
    { { 204 }, 0 },
    { { 200 }, 0 },
    { { 404, S3_ERROR_TEXT("NoSuchKey") }, 0 }, /* it is not there: as wanted */
    { { 404 }, 0 },
    { { 404, S3_ERROR_TEXT("NoSuchBucket") }, PGCASK_FAILED },
    { { 403, S3_ERROR_TEXT("AccessDenied") }, PGCASK_FAILED },
    { { 503, S3_ERROR_TEXT("SlowDown") }, PGCASK_RETRY },
    { { UNIT_DROP }, PGCASK_RETRY },
};

START_TEST(removing_what_is_not_there_is_success)
{
    UNIT_HTTP_SAY(&server, removals[_i].answer);
    ck_assert_code(s3_remove(s3, "a b"), removals[_i].rc);
    ck_assert_asked("DELETE " S3_AT "a%20b HTTP/1.1\r\n");
}
END_TEST

/* ---- removing many ---- */

#define RESULT(more) "<DeleteResult" S3_XMLNS ">" more "</DeleteResult>"
#define GONE(key) "<Deleted><Key>" key "</Key></Deleted>"
#define ERROR(key, code) "<Error><Key>" key "</Key><Code>" code "</Code><Message>words</Message></Error>"

static const struct {
    struct unit_answer answer;
    int rc;
    const char *gone; /* of "a", "b<&", "c" */
    const char *error;
} batches[] = {
    { { 200, RESULT(GONE("some/where/a") GONE("some/where/b&lt;&amp;") GONE("some/where/c")) }, 0, "111", "" },
    { { 200, RESULT(GONE("some/where/c") GONE("some/where/a") GONE("some/where/b&lt;&amp;")) }, 0, "111", "" },
    { { 200, RESULT(GONE("some/where/a") ERROR("some/where/b&lt;&amp;", "NoSuchKey") GONE("some/where/c")) },
      0,
      "111",
      "" },
    { { 200, RESULT(GONE("some/where/a") GONE("some/where/c") ERROR("some/where/b&lt;&amp;", "AccessDenied")) },
      PGCASK_FAILED,
      "101",
      "removing 'some/where/b<&': the server refuses (AccessDenied: words)" },
    { { 200, RESULT(GONE("some/where/a") ERROR("some/where/c", "InternalError") GONE("some/where/b&lt;&amp;")) },
      PGCASK_RETRY,
      "110",
      "removing 'some/where/c': the server refuses (InternalError: words)" },
    /* what is final decides, and is told */
    { { 200,
        RESULT(ERROR("some/where/a", "SlowDown") ERROR("some/where/c", "AccessDenied") GONE("some/where/b&lt;&amp;")) },
      PGCASK_FAILED,
      "010",
      "'some/where/c': the server refuses (AccessDenied" },
    { { 200,
        RESULT(ERROR("some/where/c", "AccessDenied") ERROR("some/where/a", "SlowDown") GONE("some/where/b&lt;&amp;")) },
      PGCASK_FAILED,
      "010",
      "'some/where/c': the server refuses (AccessDenied" },
    /* nothing is said of some */
    { { 200, RESULT("") }, PGCASK_RETRY, "000", "removing 'a': the server does not say what became of it" },
    { { 200, RESULT(GONE("some/where/a") GONE("some/where/c")) },
      PGCASK_RETRY,
      "101",
      "removing 'b<&': the server does not say" },
    { { 200, RESULT("<Deleted/>" GONE("") "<Deleted><VersionId>1</VersionId></Deleted>") },
      PGCASK_RETRY,
      "000",
      "does not say" },
    { { 200, "<Other>" GONE("some/where/a") "</Other>" }, PGCASK_RETRY, "000", "does not say" },
    /* others' keys */
    { { 200, RESULT(GONE("a") GONE("some/where/d") GONE("/some/where/a") GONE("some/where/a/")) },
      PGCASK_RETRY,
      "000",
      "does not say" },
    { { 200, RESULT(ERROR("else/where", "AccessDenied") GONE("some/where/a")) }, PGCASK_FAILED, "100", "'else/where'" },
    { { 200, RESULT(GONE("some/where/a") "<Error><Code>AccessDenied</Code></Error>") },
      PGCASK_FAILED,
      "100",
      "removing ''" },
    { { 200, RESULT(GONE("some/where/a") "<Error/>") }, PGCASK_FAILED, "100", "(no code)" },
    /* all of it fails */
    { { 200, RESULT(GONE("some/where/a")) "<" }, PGCASK_FAILED, "100", "the answer to DeleteObjects: not XML" },
    { { 200, "" }, PGCASK_FAILED, "000", "not XML" },
    { { 200, S3_ERROR_TEXT("InternalError") },
      PGCASK_RETRY,
      "000",
      "removing from bucket 'bucket': the server has an internal error" },
    { { 503, S3_ERROR_TEXT("SlowDown") }, PGCASK_RETRY, "000", "slow down" },
    { { 501, S3_ERROR_TEXT("NotImplemented") }, PGCASK_UNSUPPORTED, "000", "cannot do that" }, /* then one by one */
    { { UNIT_DROP }, PGCASK_RETRY, "000", "" },
};

START_TEST(of_many_those_are_gone_that_the_server_says)
{
    static const char *const keys[] = { "a", "b<&", "c" };
    unsigned char gone[4] = { 0, 0, 0, 77 };

    UNIT_HTTP_SAY(&server, batches[_i].answer);
    ck_assert_code(s3_remove_many(s3, keys, 3, gone), batches[_i].rc);
    ck_assert_error_has(batches[_i].error);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(gone[i], batches[_i].gone[i] - '0');
    ck_assert_int_eq(gone[3], 77);
    ck_assert_asked("POST /bucket?delete= HTTP/1.1\r\n");
    ck_assert_str_eq(asked_body(0),
                     "<Delete" S3_XMLNS "><Object><Key>some/where/a</Key></Object><Object><Key>some/where/"
                     "b&lt;&amp;</Key></Object><Object><Key>some/where/c</Key></Object></Delete>");
    ck_assert_has(asked(0), "\r\ncontent-md5: "); /* which the server insists on */
}
END_TEST

START_TEST(keys_that_grow_to_six_times_fit)
{
    static char keys[100][251];
    const char *list[100];
    unsigned char gone[100] = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        memset(keys[i], '"', 250); /* what takes most room */
        (void)snprintf(keys[i], 5, "%04zu", i);
        keys[i][4] = '"';
        list[i] = keys[i];
    }
    UNIT_HTTP_SAY(&server, { 503 });
    ck_assert_code(s3_remove_many(s3, list, ARRAY_LEN(list), gone), PGCASK_RETRY);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-list");
    TCase *tcase = tcase_create("list");

    tcase_add_checked_fixture(tcase, setup, s3_teardown);
    tcase_add_test(tcase, a_listing_tells_keys_sizes_and_times);
    tcase_add_test(tcase, a_stopped_run_asks_for_no_more_pages_but_cleaning_up_does);
    tcase_add_loop_test(tcase, keys_are_those_below_the_prefix, 0, ARRAY_LEN(pages));
    tcase_add_loop_test(tcase, a_listing_that_makes_no_sense_is_refused, 0, ARRAY_LEN(wrongs));
    tcase_add_test(tcase, a_page_that_fails_fails_the_listing);
    tcase_add_test(tcase, a_host_that_wants_no_more_gets_no_more);
    tcase_add_loop_test(tcase, a_listing_tells_how_cold_each_is, 0, ARRAY_LEN(tiers));
    tcase_add_test(tcase, pages_follow_one_another);
    tcase_add_loop_test(tcase, a_listing_that_goes_round_is_refused, 0, ARRAY_LEN(rounds));
    tcase_add_test(tcase, pages_that_do_not_repeat_may_be_many);
    tcase_add_loop_test(tcase, removing_what_is_not_there_is_success, 0, ARRAY_LEN(removals));
    tcase_add_loop_test(tcase, of_many_those_are_gone_that_the_server_says, 0, ARRAY_LEN(batches));
    tcase_add_test(tcase, keys_that_grow_to_six_times_fit);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
