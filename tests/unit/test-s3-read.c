/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading: ranges that are exact or an error, what HEAD tells, and what is cold.
 */
#include "config.h"

#include "unit-s3.h"

#include "common/s3.h"

#define LAST_MODIFIED "Last-Modified: Fri, 21 Dec 2012 00:00:00 GMT"
#define HEAD_OF(headers)                                                                                               \
    {                                                                                                                  \
        200, .raw = "HTTP/1.1 200 OK\r\nConnection: close\r\n" headers "\r\n\r\n"                                      \
    }

static void
setup(void)
{
    s3_setup_open();
    s3->bucket = S3_YES;
}

/* ---- get ---- */

static const struct {
    uint64_t offset;
    struct unit_answer answer;
    int rc;
    const char *error;
} gets[] = {
    { 0, { 206, "hello", "Content-Range: bytes 0-4/11" }, 0, "" },
    { 6, { 206, "world", "Content-Range: bytes 6-10/11" }, 0, "" },
    { 6, { 206, "world", "Content-Range: bytes 6-10/*" }, 0, "" },
    { 0, { 200, "hello" }, 0, "" }, /* all that there is: the server does not bother with ranges */
    { 6, { 200, "world" }, PGCASK_FAILED, "5 bytes from 6 were asked for, the server gave 5 (no range)" },
    { 0, { 206, "hello" }, PGCASK_FAILED, "no range" },
    { 0,
      { 206, "hell", "Content-Range: bytes 0-3/4" },
      PGCASK_FAILED,
      "the server gave 4 (bytes 0-3/4)" }, /* past the end */
    { 0, { 206, "hell", "Content-Range: bytes 0-4/11" }, PGCASK_FAILED, "the server gave 4" },
    { 0, { 206, "world", "Content-Range: bytes 6-10/11" }, PGCASK_FAILED, "(bytes 6-10/11)" }, /* another range */
    { 1, { 206, "hello", "Content-Range: bytes 1-50/51" }, PGCASK_FAILED, "(bytes 1-50/51)" },
    { 0, { 206, "hello", "Content-Range: bytes=0-4/11" }, PGCASK_FAILED, "(bytes=0-4/11)" },
    { 0, { 200, "hello", "Content-Range: bytes 6-10/11" }, PGCASK_FAILED, "(bytes 6-10/11)" },
    { 0, { 204 }, PGCASK_FAILED, "the server gave 0" },
    { 0, { 206, "hello world", "Content-Range: bytes 0-4/11" }, PGCASK_FAILED, "longer than it may be" },
    { 0, { 200, "hello world" }, PGCASK_FAILED, "longer than it may be" },
    { 0, { UNIT_CUT, "hel" }, PGCASK_RETRY, "" },
    { 9, { 416, S3_ERROR_TEXT("InvalidRange") }, PGCASK_FAILED, "reading 'key': the object ends before that" },
    { 9, { 416 }, PGCASK_FAILED, "the object ends before that" },
    { 0, { 404, S3_ERROR_TEXT("NoSuchKey") }, PGCASK_NOT_FOUND, "reading 'key': there is no such object" },
    { 0, { 403, S3_ERROR_TEXT("InvalidObjectState") }, PGCASK_COLD, "reading 'key': the object is in cold storage" },
    { 0, { 302, "", "Location: http://127.0.0.1:1/" }, PGCASK_FAILED, "status 302" },
    { 0, { 304 }, PGCASK_FAILED, "status 304" },
};

START_TEST(a_range_is_exact_or_an_error)
{
    CLEANUP_FREE char *range =
        plain_printf("\r\nrange: bytes=%d-%d\r\n", (int)gets[_i].offset, (int)gets[_i].offset + 4);
    char data[] = "-----+";

    UNIT_HTTP_SAY(&server, gets[_i].answer);
    ck_assert_code(s3_get(s3, "key", gets[_i].offset, data, 5), gets[_i].rc);
    ck_assert_error_has(gets[_i].error);
    ck_assert_asked("GET " S3_AT "key HTTP/1.1\r\n");
    ck_assert_has(asked(0), range);
    ck_assert_int_eq(data[5], '+');
    if (gets[_i].rc == 0)
        ck_assert_mem_eq(data, gets[_i].offset == 0 ? "hello" : "world", 5);
    ck_assert_int_eq(s3->thaws, gets[_i].rc == PGCASK_COLD ? S3_YES : S3_UNKNOWN);
}
END_TEST

START_TEST(a_range_may_lie_beyond_32_bits)
{
    char data[5];

    UNIT_HTTP_SAY(&server, { 206, "hello", "Content-Range: bytes 4294967296-4294967300/4294967301" });
    ck_assert_ok(s3_get(s3, "key", UINT64_C(1) << 32, data, 5));
    ck_assert_has(asked(0), "\r\nrange: bytes=4294967296-4294967300\r\n");
}
END_TEST

/* ---- what HEAD tells ---- */

static const struct {
    struct unit_answer answer;
    int rc; /* or what is told: */
    uint64_t size;
    int64_t mtime_s;
    const char *etag, *crc32;
} heads[] = {
    { HEAD_OF("Content-Length: 11\r\n" LAST_MODIFIED "\r\nETag: \"x-2\"\r\nx-amz-checksum-crc32: DUoRhQ=="), 0, 11,
      1356048000, "x-2", "DUoRhQ==" },
    { HEAD_OF("Content-Length: 0\r\nETag: x"), 0, 0, 0, "x", "" },
    { HEAD_OF("Content-Length: 4398046511104"), 0, UINT64_C(1) << 42, 0, "", "" },
    { HEAD_OF("Content-Length: 1\r\nLast-Modified: yesterday"), 0, 1, 0, "", "" },
    { HEAD_OF("Content-Length: 1\r\nLast-Modified: Fri, 99 Dec 99999999999 00:00:00 GMT"), 0, 1, 0, "", "" },
    { HEAD_OF("Content-Length: 1\r\nLast-Modified:"), 0, 1, 0, "", "" },
    { HEAD_OF("Content-Length: 1\r\nETag: \"\"\r\nx-amz-checksum-crc32:"), 0, 1, 0, "", "" },
    { HEAD_OF("Content-Length: 1\r\nETag: \""), 0, 1, 0, "", "" },
    { HEAD_OF("X-Nothing: 1"), PGCASK_FAILED, 0, 0, "", "" },
    { HEAD_OF("Content-Length: 99999999999999999999999999"), PGCASK_FAILED, 0, 0, "", "" },
    { HEAD_OF("Content-Length: 9223372036854775807"), PGCASK_FAILED, 0, 0, "", "" },
};

START_TEST(head_tells_size_time_and_checksums)
{
    struct s3_head head;

    UNIT_HTTP_SAY(&server, heads[_i].answer);
    ck_assert_code(s3_head(s3, "key", &head), heads[_i].rc);
    ck_assert_asked("HEAD " S3_AT "key HTTP/1.1\r\n");
    ck_assert_has(asked(0), "\r\nx-amz-checksum-mode: ENABLED\r\n");
    if (heads[_i].rc < 0) {
        ck_assert_error_has("looking at 'key': the server does not tell its size");
        return;
    }
    ck_assert_uint_eq(head.size, heads[_i].size);
    ck_assert_int_eq(head.mtime_s, heads[_i].mtime_s);
    ck_assert_str_eq(head.etag, heads[_i].etag);
    ck_assert_str_eq(head.crc32, heads[_i].crc32);
    ck_assert_int_eq(head.tier, PGCASK_TIER_HOT);
    s3_head_free(&head);
}
END_TEST

static const struct {
    const char *text;
    bool is_size;
    uint64_t size;
} sizes[] = {
    { "0", true, 0 },
    { "5368709120", true, 5368709120 },
    { "999999999999999999", true, 999999999999999999 },
    { "1000000000000000000", false, 0 }, /* more than there is */
    { "18446744073709551616", false, 0 },
    { "99999999999999999999999999", false, 0 },
    { "-1", false, 0 },
    { "+1", false, 0 },
    { " 1", false, 0 },
    { "1 ", false, 0 },
    { "0x10", false, 0 },
    { "1e3", false, 0 },
    { "", false, 0 },
};

START_TEST(a_size_is_digits)
{
    uint64_t size = 77;

    ck_assert_int_eq(s3_size(sizes[_i].text, &size), sizes[_i].is_size);
    ck_assert_uint_eq(size, sizes[_i].is_size ? sizes[_i].size : 77);
}
END_TEST

static const struct {
    const char *text;
    int64_t time_s;
} times[] = {
    { "2012-12-21T00:00:00.000Z", 1356048000 },
    { "2012-12-21T00:00:00Z", 1356048000 },
    { "2012-12-21T23:59:59", 1356134399 },
    { "1969-12-31T23:59:59Z", -1 },
    { "2012-13-21T00:00:00Z", 0 },
    { "2012-12-21", 0 },
    { "Fri, 21 Dec 2012 00:00:00 GMT", 0 },
    { "", 0 },
};

START_TEST(a_time_is_utc)
{
    ck_assert_int_eq(setenv("TZ", "Asia/Kathmandu", 1), 0);
    tzset();
    ck_assert_int_eq(s3_time(times[_i].text), times[_i].time_s);
}
END_TEST

/* ---- tiers ---- */

#define CLASS(name) "Content-Length: 1\r\nx-amz-storage-class: " name
#define RESTORE(text) CLASS("GLACIER") "\r\nx-amz-restore: " text

static const struct {
    struct unit_answer answer;
    enum s3_known thaws;
    int tier;
    int64_t until_s;
} tiers[] = {
    { HEAD_OF("Content-Length: 1"), S3_YES, PGCASK_TIER_HOT, 0 },
    { HEAD_OF(CLASS("STANDARD_IA")), S3_YES, PGCASK_TIER_HOT, 0 },
    { HEAD_OF(CLASS("GLACIER_IR")), S3_YES, PGCASK_TIER_HOT, 0 }, /* "instant retrieval" */
    { HEAD_OF(CLASS("INTELLIGENT_TIERING")), S3_YES, PGCASK_TIER_HOT, 0 },
    { HEAD_OF(CLASS("GLACIER")), S3_YES, PGCASK_TIER_COLD, 0 },
    { HEAD_OF(CLASS("DEEP_ARCHIVE")), S3_YES, PGCASK_TIER_COLD, 0 },
    { HEAD_OF(CLASS("GLACIER")), S3_NO, PGCASK_TIER_HOT, 0 }, /* only a name there */
    { HEAD_OF(CLASS("INTELLIGENT_TIERING") "\r\nx-amz-archive-status: ARCHIVE_ACCESS"), S3_YES, PGCASK_TIER_COLD, 0 },
    { HEAD_OF(RESTORE("ongoing-request=\"true\"")), S3_YES, PGCASK_TIER_THAWING, 0 },
    { HEAD_OF(RESTORE("ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"")), S3_YES,
      PGCASK_TIER_THAWED, 1356048000 },
    { HEAD_OF(RESTORE("expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\", ongoing-request=\"false\"")), S3_YES,
      PGCASK_TIER_THAWED, 1356048000 },
    { HEAD_OF(RESTORE("ongoing-request=\"false\"")), S3_YES, PGCASK_TIER_THAWED, 0 }, /* for good */
    { HEAD_OF(RESTORE("ongoing-request=\"false\", expiry-date=\"")), S3_YES, PGCASK_TIER_THAWED, 0 },
    { HEAD_OF(RESTORE("ongoing-request=\"false\", expiry-date=\"soon\"")), S3_YES, PGCASK_TIER_THAWED, 0 },
};

START_TEST(stat_tells_how_cold_it_is)
{
    s3->thaws = tiers[_i].thaws;
    UNIT_HTTP_SAY(&server, tiers[_i].answer);
    ck_assert_ok(s3_stat(s3, "key", &listing));
    ck_assert_uint_eq(unit_http_count(&server), 1);
    ck_assert_uint_eq(seen_count, 1);
    ck_assert_str_eq(seen[0].key, "key");
    ck_assert_int_eq(seen[0].tier, tiers[_i].tier);
    ck_assert_int_eq(seen[0].until_s, tiers[_i].until_s);
}
END_TEST

static const struct {
    struct unit_answer get;
    enum s3_known thaws;
    int tier;
} probes[] = {
    { { 206, "x", "Content-Range: bytes 0-0/1" }, S3_NO, PGCASK_TIER_HOT },
    { { 403, S3_ERROR_TEXT("InvalidObjectState") }, S3_YES, PGCASK_TIER_COLD },
    { { 503 }, S3_UNKNOWN, PGCASK_TIER_COLD }, /* not known this time */
    { { 403, S3_ERROR_TEXT("AccessDenied") }, S3_UNKNOWN, PGCASK_TIER_COLD },
    { { UNIT_DROP }, S3_UNKNOWN, PGCASK_TIER_COLD },
};

START_TEST(the_first_object_of_a_cold_class_is_tried)
{
    UNIT_HTTP_SAY(&server, HEAD_OF(CLASS("GLACIER")), probes[_i].get, HEAD_OF(CLASS("DEEP_ARCHIVE")), probes[_i].get);
    ck_assert_ok(s3_stat(s3, "key", &listing));
    ck_assert_asked("HEAD ", "GET " S3_AT "key ");
    ck_assert_has(asked(1), "\r\nrange: bytes=0-0\r\n");
    ck_assert_int_eq(seen[0].tier, probes[_i].tier);
    ck_assert_int_eq(s3->thaws, probes[_i].thaws);
    ck_assert_ok(s3_stat(s3, "other", &listing));
    ck_assert_int_eq(seen[1].tier, probes[_i].tier);
    ck_assert_uint_eq(unit_http_count(&server), probes[_i].thaws == S3_UNKNOWN ? 4 : 3);
}
END_TEST

START_TEST(a_missing_object_is_not_found)
{
    UNIT_HTTP_SAY(&server, { 404 });
    ck_assert_code(s3_stat(s3, "key", &listing), PGCASK_NOT_FOUND);
    ck_assert_error_has("looking at 'key': there is no such object");
    ck_assert_uint_eq(seen_count, 0);
}
END_TEST

static const struct {
    const char *key, *path;
} keys[] = {
    { "a/b c", S3_AT "a/b%20c " },    { "a+b=c&d?e#f", S3_AT "a%2Bb%3Dc%26d%3Fe%23f " },
    { "ä%41", S3_AT "%C3%A4%2541 " }, { "../../other", S3_AT "../../other " }, /* a key, not a way */
    { "a//b", S3_AT "a//b " },
};

START_TEST(odd_keys_are_asked_for_as_they_are)
{
    CLEANUP_FREE char *wanted = plain_printf("GET %s", keys[_i].path);
    char data[5];

    UNIT_HTTP_SAY(&server, { 200, "hello" });
    ck_assert_ok(s3_get(s3, keys[_i].key, 0, data, 5));
    ck_assert_asked(wanted);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-read");
    TCase *tcase = tcase_create("read");

    tcase_add_checked_fixture(tcase, setup, s3_teardown);
    tcase_add_loop_test(tcase, a_range_is_exact_or_an_error, 0, ARRAY_LEN(gets));
    tcase_add_test(tcase, a_range_may_lie_beyond_32_bits);
    tcase_add_loop_test(tcase, head_tells_size_time_and_checksums, 0, ARRAY_LEN(heads));
    tcase_add_loop_test(tcase, a_size_is_digits, 0, ARRAY_LEN(sizes));
    tcase_add_loop_test(tcase, a_time_is_utc, 0, ARRAY_LEN(times));
    tcase_add_loop_test(tcase, stat_tells_how_cold_it_is, 0, ARRAY_LEN(tiers));
    tcase_add_loop_test(tcase, the_first_object_of_a_cold_class_is_tried, 0, ARRAY_LEN(probes));
    tcase_add_test(tcase, a_missing_object_is_not_found);
    tcase_add_loop_test(tcase, odd_keys_are_asked_for_as_they_are, 0, ARRAY_LEN(keys));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
