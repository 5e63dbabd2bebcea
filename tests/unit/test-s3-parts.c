/* SPDX-License-Identifier: PostgreSQL
 *
 * Objects written in parts: begun, put together, given up.
 */
#include "config.h"

#include "unit-s3.h"

#include "common/s3-body.h"

#define CREATED                                                                                                        \
    "<InitiateMultipartUploadResult" S3_XMLNS "><UploadId>id/1+&amp;</UploadId></InitiateMultipartUploadResult>"
#define COMPLETED(more)                                                                                                \
    "<?xml version=\"1.0\"?>\n\n<CompleteMultipartUploadResult" S3_XMLNS "><ETag>&quot;x-2&quot;</ETag>" more          \
    "</CompleteMultipartUploadResult>"

/* "hello " and "world", and both of them. */
#define PART1_CRC32 "7YH59g=="
#define PART2_CRC32 "OncRQw=="
#define WHOLE "hello world"
#define WHOLE_CRC32 "DUoRhQ=="
#define PART1_ETAG "f814893777bcc2295fff05f00e508da6"
#define PART2_ETAG "7d793037a0760186574b0282f2f435e7"
#define WHOLE_ETAG "e09e4fd6265b36115fe3db32df945d84-2"
#define CRC_ECHO "x-amz-checksum-crc32: "
#define AT_UPLOAD S3_AT "key?uploadId=id%2F1%2B%26 "

static void *upload;

/* Two parts of an upload are there. */
static void
begin(bool checksums)
{
    static const char with1[] = CRC_ECHO PART1_CRC32 "\r\nETag: \"" PART1_ETAG "\"";
    static const char with2[] = CRC_ECHO PART2_CRC32 "\r\nETag: \"" PART2_ETAG "\"";
    const char *without1 = strstr(with1, "ETag"), *without2 = strstr(with2, "ETag");

    UNIT_HTTP_SAY(&server, { 200, CREATED }, { 200, "", checksums ? with2 : without2 },
                  { 200, "", checksums ? with1 : without1 });
    ck_assert_ok(s3_put_begin(s3, &put, &upload));
    ck_assert_ok(s3_put_part(s3, upload, 2, 6, "world", 5)); /* in any order */
    ck_assert_ok(s3_put_part(s3, upload, 1, 0, "hello ", 6));
}

static void
give_up(void)
{
    UNIT_HTTP_SAY(&server, { 204 });
    ck_assert_ok(s3_put_abort(s3, upload));
    ck_assert_asked("DELETE " AT_UPLOAD);
}

static int
commit(void)
{
    return s3_put_commit(s3, upload, strlen(WHOLE));
}

static void
setup(void)
{
    s3_setup_open();
    s3->bucket = S3_YES;
    upload = NULL;
}

START_TEST(parts_are_put_together_in_their_order)
{
    UNIT_HTTP_SAY(&server, { 200, CREATED }, { 200, "", CRC_ECHO PART2_CRC32 "\r\nETag: \"<two>&\"" },
                  { 200, "", CRC_ECHO PART1_CRC32 "\r\nETag: \"" PART1_ETAG "\"" }, { 404 },
                  { 200, COMPLETED("<ChecksumCRC32>" WHOLE_CRC32 "</ChecksumCRC32>") });
    ck_assert_ok(s3_put_begin(s3, &put, &upload));
    ck_assert_ok(s3_put_part(s3, upload, 2, 6, "world", 5));
    ck_assert_ok(s3_put_part(s3, upload, 1, 0, "hello ", 6));
    ck_assert_ok(commit());
    ck_assert_asked("POST " S3_AT "key?uploads= ", "PUT " S3_AT "key?partNumber=2&uploadId=id%2F1%2B%26 ",
                    "PUT " S3_AT "key?partNumber=1&uploadId=id%2F1%2B%26 ", "HEAD " S3_AT "key ", "POST " AT_UPLOAD);
    ck_assert_has(asked(0), "\r\nx-amz-checksum-algorithm: CRC32\r\n");
    ck_assert_has(asked(0), "\r\nx-amz-checksum-type: FULL_OBJECT\r\n");
    ck_assert_has(asked(1), "\r\nx-amz-checksum-crc32: " PART2_CRC32 "\r\n");
    ck_assert_str_eq(asked_body(1), "world");
    ck_assert_has(asked(4), "\r\nif-none-match: *\r\n");
    ck_assert_has(asked(4), "\r\nx-amz-checksum-crc32: " WHOLE_CRC32 "\r\n");
    ck_assert_str_eq(asked_body(4),
                     "<CompleteMultipartUpload" S3_XMLNS "><Part><PartNumber>1</PartNumber><ETag>&quot;" PART1_ETAG
                     "&quot;</ETag><ChecksumCRC32>" PART1_CRC32
                     "</ChecksumCRC32></Part><Part><PartNumber>2</PartNumber>"
                     "<ETag>&quot;&lt;two&gt;&amp;&quot;</ETag><ChecksumCRC32>" PART2_CRC32 "</ChecksumCRC32></Part>"
                     "</CompleteMultipartUpload>");
}
END_TEST

START_TEST(a_server_without_checksums_is_not_asked_for_them)
{
    begin(false);
    UNIT_HTTP_SAY(&server, { 404 }, { 200, COMPLETED("") });
    ck_assert_ok(commit());
    ck_assert_lacks(asked(1), "x-amz-checksum");
    ck_assert_lacks(asked_body(1), "Checksum");
    begin(false);
    ck_assert_lacks(asked(0), "x-amz-checksum-algorithm");
    ck_assert_lacks(asked(1), "x-amz-checksum");
    give_up();
}
END_TEST

START_TEST(a_part_that_came_twice_counts_as_it_came_last)
{
    begin(true);
    UNIT_HTTP_SAY(&server, { 200, "", CRC_ECHO "Wi/plg==\r\nETag: \"again\"" }, { 404 }, { 200, COMPLETED("") });
    ck_assert_ok(s3_put_part(s3, upload, 2, 6, "there", 5));
    ck_assert_ok(commit());
    ck_assert_has(asked_body(2), "<ETag>&quot;again&quot;</ETag><ChecksumCRC32>Wi/plg==<");
    ck_assert_lacks(asked_body(2), PART2_ETAG);
}
END_TEST

/* ---- beginning ---- */

static const struct {
    struct unit_answer answer;
    const char *sse;
    int rc;
    const char *error;
} begins[] = {
    { { 200, "<InitiateMultipartUploadResult/>" }, "none", PGCASK_FAILED, "the server gave no upload id" },
    { { 200, "<InitiateMultipartUploadResult><UploadId/></InitiateMultipartUploadResult>" },
      "none",
      PGCASK_FAILED,
      "no upload id" },
    { { 200, "<Other><UploadId>1</UploadId></Other>" }, "none", PGCASK_FAILED, "the server gave no upload id" },
    { { 200, "" }, "none", PGCASK_FAILED, "the answer to CreateMultipartUpload: not XML" },
    { { 200, "<html><body>Welcome</body>" }, "none", PGCASK_FAILED, "not XML" },
    { { 200, S3_ERROR_TEXT("InternalError") },
      "none",
      PGCASK_RETRY,
      "beginning to write 'key': the server has an internal error" },
    { { 200, CREATED }, "aes256", PGCASK_FAILED, "does not confirm the encryption" },
    { { 503, S3_ERROR_TEXT("SlowDown") }, "none", PGCASK_RETRY, "slow down" },
    { { 403, S3_ERROR_TEXT("AccessDenied") }, "none", PGCASK_FAILED, "access denied" },
    { { 404, S3_ERROR_TEXT("NoSuchBucket") }, "none", PGCASK_FAILED, "there is no such bucket" },
    { { UNIT_DROP }, "none", PGCASK_RETRY, "" },
};

START_TEST(what_is_not_begun_is_told)
{
    settings.sse = begins[_i].sse;
    UNIT_HTTP_SAY(&server, begins[_i].answer);
    ck_assert_code(s3_put_begin(s3, &put, &upload), begins[_i].rc);
    ck_assert_error_has(begins[_i].error);
    ck_assert_ptr_null(upload);
    ck_assert_asked("POST ");
}
END_TEST

/* ---- parts ---- */

#define TAG_100 "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static const struct {
    struct unit_answer answer;
    int rc;
    const char *error;
} parts[] = {
    { { 200, "", CRC_ECHO PART2_CRC32 "\r\nETag: \"x\"" }, 0, "" },
    { { 200, "", "ETag: " TAG_100 }, 0, "" },
    { { 200, "", "ETag: " TAG_100 "1" }, PGCASK_FAILED, "gave part 3 no entity tag" },
    { { 200, "", CRC_ECHO PART2_CRC32 }, PGCASK_FAILED, "gave part 3 no entity tag" },
    { { 200, "", "ETag:" }, PGCASK_FAILED, "gave part 3 no entity tag" },
    { { 200, "", CRC_ECHO PART1_CRC32 "\r\nETag: \"x\"" }, PGCASK_RETRY, "stored a body with CRC-32 " PART1_CRC32 },
    { { 200, "", "ETag: \"" PART1_ETAG "\"" }, PGCASK_RETRY, "stored a body with entity tag \"" PART1_ETAG "\"" },
    { { 404, S3_ERROR_TEXT("NoSuchUpload") }, PGCASK_FAILED, "writing part 3 of 'key': the upload is gone" },
    { { 404 }, PGCASK_FAILED, "writing part 3 of" }, /* no missing object, whatever it is */
    { { 400, S3_ERROR_TEXT("BadDigest") }, PGCASK_RETRY, "damaged on their way" },
    { { 400, S3_ERROR_TEXT("RequestTimeout") }, PGCASK_RETRY, "waited too long" },
    { { 403, S3_ERROR_TEXT("QuotaExceeded") }, PGCASK_FAILED, "the quota" },
    { { UNIT_DROP }, PGCASK_RETRY, "" },
};

START_TEST(a_part_is_there_or_not)
{
    settings.sign_payload = "no";
    s3->sign_payload = false;
    UNIT_HTTP_SAY(&server, { 200, CREATED }, parts[_i].answer);
    ck_assert_ok(s3_put_begin(s3, &put, &upload));
    ck_assert_code(s3_put_part(s3, upload, 3, 11, "world", 5), parts[_i].rc);
    ck_assert_error_has(parts[_i].error);
    ck_assert_asked("POST ", "PUT "); /* the upload stays: nothing is removed for one part */
    give_up();
}
END_TEST

/* ---- completing ---- */

#define SAME                                                                                                           \
    {                                                                                                                  \
        200, WHOLE, CRC_ECHO WHOLE_CRC32                                                                               \
    }
#define OTHER                                                                                                          \
    {                                                                                                                  \
        200, WHOLE, CRC_ECHO PART1_CRC32                                                                               \
    }
#define TAGGED                                                                                                         \
    {                                                                                                                  \
        200, WHOLE, "ETag: \"" WHOLE_ETAG "\""                                                                         \
    }
#define LONGER                                                                                                         \
    {                                                                                                                  \
        200, WHOLE "!", CRC_ECHO WHOLE_CRC32                                                                           \
    }
#define GONE                                                                                                           \
    {                                                                                                                  \
        404, S3_ERROR_TEXT("NoSuchUpload")                                                                             \
    }
#define DONE                                                                                                           \
    {                                                                                                                  \
        200, COMPLETED("<ChecksumCRC32>" WHOLE_CRC32 "</ChecksumCRC32>")                                               \
    }

static const struct {
    struct unit_answer first[3]; /* of the first try */
    size_t first_count;
    int first_rc;
    const char *error;
    struct unit_answer then[3]; /* of the second */
    size_t then_count;
    int then_rc;
} commits[] = {
    { { { 404 }, DONE }, 2, 0, "", .then_count = 0 },
    /* taken */
    { { SAME }, 1, PGCASK_EXISTS, "'key' is there already", .then_count = 0 },
    { { { 404 }, { 412, S3_ERROR_TEXT("PreconditionFailed") } }, 2, PGCASK_EXISTS, "there already", .then_count = 0 },
    /* gone, by somebody else's hand */
    { { { 404 }, GONE }, 2, PGCASK_FAILED, "completing 'key': the upload is gone", .then_count = 0 },
    /* the answer is lost: done */
    { { { 404 }, { UNIT_DROP } }, 2, PGCASK_RETRY, "", { SAME, SAME }, 2, 0 },
    { { { 404 }, { UNIT_CUT } }, 2, PGCASK_RETRY, "", { SAME, SAME }, 2, 0 },
    { { { 404 }, { UNIT_DROP } }, 2, PGCASK_RETRY, "", { TAGGED, TAGGED }, 2, 0 },
    { { { 404 }, { UNIT_DROP } }, 2, PGCASK_RETRY, "", { { 404 }, GONE, SAME }, 3, 0 }, /* in between */
    { { { 404 }, { UNIT_DROP } }, 2, PGCASK_RETRY, "", { { 404 }, { 412 }, SAME }, 3, 0 },
    { { { 404 }, { 500, S3_ERROR_TEXT("InternalError") } }, 2, PGCASK_RETRY, "internal error", { SAME, SAME }, 2, 0 },
    { { { 404 }, { 504, "<html>" } }, 2, PGCASK_RETRY, "gateway", { SAME, SAME }, 2, 0 },
    /* not done */
    { { { 404 }, { UNIT_DROP } }, 2, PGCASK_RETRY, "", { { 404 }, DONE }, 2, 0 },
    { { { 404 }, { UNIT_DROP } }, 2, PGCASK_RETRY, "", { OTHER, OTHER }, 2, PGCASK_EXISTS },
    { { { 404 }, { UNIT_DROP } }, 2, PGCASK_RETRY, "", { { 404 }, GONE, OTHER }, 3, PGCASK_EXISTS },
    { { { 404 }, { UNIT_DROP } }, 2, PGCASK_RETRY, "", { { 404 }, GONE, { 404 } }, 3, PGCASK_RETRY },
    { { { 404 }, { UNIT_DROP } }, 2, PGCASK_RETRY, "", { LONGER, LONGER }, 2, PGCASK_EXISTS },
    /* the status says done, the body does not */
    { { { 404 }, { 200, S3_ERROR_TEXT("InternalError") } },
      2,
      PGCASK_RETRY,
      "completing 'key': the server has an internal error",
      { { 404 }, DONE },
      2,
      0 },
    { { { 404 }, { 200, " \n \n" S3_ERROR_TEXT("SlowDown") } },
      2,
      PGCASK_RETRY,
      "",
      { SAME, SAME },
      2,
      0 }, /* after blanks */
    { { { 404 }, { 200, "<Error><Code>ServiceUnavailable</Code></Error>" } },
      2,
      PGCASK_RETRY,
      "not available",
      { SAME, SAME },
      2,
      0 },
    { { { 404 }, { 200, "<Error><Code>InvalidPart</Code></Error>" } },
      2,
      PGCASK_FAILED,
      "InvalidPart",
      .then_count = 0 },
    { { { 404 }, { 200, "" } },
      2,
      PGCASK_RETRY,
      "the answer to CompleteMultipartUpload: not XML",
      { SAME, SAME },
      2,
      0 },
    { { { 404 }, { 200, "<CompleteMultipartUploadResult><ETag>" } },
      2,
      PGCASK_RETRY,
      "not XML",
      { { 404 }, DONE },
      2,
      0 },
    { { { 404 }, { 200, "<CompleteMultipartUploadResult/>" } },
      2,
      PGCASK_RETRY,
      "does not say that it put the parts together",
      { { 404 }, DONE },
      2,
      0 },
    /* it says something else of what it put together */
    { { { 404 }, { 200, COMPLETED("<ChecksumCRC32>" PART1_CRC32 "</ChecksumCRC32>") }, { 204 } },
      3,
      PGCASK_FAILED,
      "have CRC-32 " PART1_CRC32 ", wanted " WHOLE_CRC32,
      .then_count = 0 },
    { { { 404 }, { 200, COMPLETED("<ChecksumCRC32>" PART1_CRC32 "-2</ChecksumCRC32>") } },
      2,
      0,
      "",
      .then_count = 0 }, /* of sums */
    /* looking fails */
    { { { 503 } }, 1, PGCASK_RETRY, "looking at 'key'", { { 404 }, DONE }, 2, 0 },
};

START_TEST(a_completion_is_believed_when_it_is_said_or_seen)
{
    begin(true);
    unit_http_script(&server, commits[_i].first, commits[_i].first_count);
    ck_assert_code(commit(), commits[_i].first_rc);
    ck_assert_error_has(commits[_i].error);
    ck_assert_uint_eq(unit_http_count(&server), commits[_i].first_count);
    ck_assert_int_eq(strncmp(asked(0), "HEAD ", 5), 0);
    if (commits[_i].first_count == 3)
        ck_assert_has(asked(2), "DELETE " S3_AT "key HTTP/1.1\r\n");
    if (commits[_i].then_count > 0) {
        unit_http_script(&server, commits[_i].then, commits[_i].then_count);
        ck_assert_code(commit(), commits[_i].then_rc);
        ck_assert_uint_eq(unit_http_count(&server), commits[_i].then_count);
    }
    if ((commits[_i].then_count > 0 ? commits[_i].then_rc : commits[_i].first_rc) < 0)
        give_up();
}
END_TEST

/* Neither checksums nor tags that say anything: the size alone is no proof. */
START_TEST(what_cannot_be_compared_is_not_the_same)
{
    UNIT_HTTP_SAY(&server, { 200, CREATED }, { 200, "", "ETag: \"x\"" }, { 404 }, { UNIT_DROP }, { 200, WHOLE },
                  { 200, WHOLE });
    ck_assert_ok(s3_put_begin(s3, &put, &upload));
    ck_assert_ok(s3_put_part(s3, upload, 1, 0, WHOLE, strlen(WHOLE)));
    ck_assert_code(commit(), PGCASK_RETRY);
    ck_assert_code(commit(), PGCASK_EXISTS);
    give_up();
}
END_TEST

START_TEST(where_conditions_are_not_known_none_is_sent)
{
    s3->conditional = S3_NO;
    begin(true);
    UNIT_HTTP_SAY(&server, { 404 }, DONE);
    ck_assert_ok(commit());
    ck_assert_lacks(asked(1), "if-none-match");
    ck_assert_has(asked(1), "\r\nx-amz-checksum-crc32: " WHOLE_CRC32 "\r\n");
}
END_TEST

/* ---- without any part ---- */

#define EMPTY_ECHO CRC_ECHO "AAAAAA=="

static const struct {
    struct unit_answer first[4];
    int first_rc;
    struct unit_answer then[4];
    int then_rc;
} empties[] = {
    { { { 404 }, { 200, "", EMPTY_ECHO }, { 204 } }, 0, { { 0 } }, 0 },
    { { { 200, "x", EMPTY_ECHO } }, PGCASK_EXISTS, { { 0 } }, PGCASK_EXISTS },
    { { { 404 }, { UNIT_DROP } }, PGCASK_RETRY, { { 200, "", EMPTY_ECHO }, { 200, "", EMPTY_ECHO }, { 204 } }, 0 },
    { { { 404 }, { UNIT_DROP } }, PGCASK_RETRY, { { 404 }, { 200, "", EMPTY_ECHO }, { 404 } }, 0 },
    { { { 404 }, { UNIT_DROP } }, PGCASK_RETRY, { { 200, "x" }, { 200, "x" } }, PGCASK_EXISTS },
};

START_TEST(an_upload_without_parts_is_an_empty_object)
{
    int rc;

    UNIT_HTTP_SAY(&server, { 200, CREATED });
    ck_assert_ok(s3_put_begin(s3, &put, &upload));
    unit_http_script(&server, empties[_i].first, 4);
    rc = s3_put_commit(s3, upload, 0);
    ck_assert_code(rc, empties[_i].first_rc);
    if (rc == PGCASK_RETRY) {
        unit_http_script(&server, empties[_i].then, 4);
        rc = s3_put_commit(s3, upload, 0);
        ck_assert_code(rc, empties[_i].then_rc);
    }
    if (rc < 0)
        give_up();
    else
        ck_assert_has(asked(2), "DELETE " AT_UPLOAD);
}
END_TEST

/* ---- giving up ---- */

static const struct {
    struct unit_answer answer;
    int rc;
} aborts[] = {
    { { 204 }, 0 },
    { { 200 }, 0 },
    { GONE, 0 }, /* twice, or completed */
    { { 404 }, 0 },
    { { 500 }, PGCASK_RETRY },
    { { 403, S3_ERROR_TEXT("AccessDenied") }, PGCASK_FAILED },
    { { UNIT_DROP }, PGCASK_RETRY },
};

START_TEST(giving_up_ends_the_upload_whatever_the_server_says)
{
    begin(true);
    UNIT_HTTP_SAY(&server, aborts[_i].answer);
    ck_assert_code(s3_put_abort(s3, upload), aborts[_i].rc);
    ck_assert_asked("DELETE " AT_UPLOAD);
}
END_TEST

/* ---- side by side ---- */

enum { THREADS = 6, PARTS_EACH = 8 };

static void *
put_some(void *ctx)
{
    uint32_t first = *(const uint32_t *)ctx;

    for (uint32_t i = 0; i < PARTS_EACH; i++) {
        CLEANUP_FREE char *text = plain_printf("%u", first + i * THREADS);

        if (s3_put_part(s3, upload, first + i * THREADS, 0, text, strlen(text)) < 0)
            return ctx;
    }
    return NULL;
}

START_TEST(parts_may_be_written_side_by_side)
{
    pthread_t threads[THREADS];
    uint32_t first[THREADS];
    CLEANUP_FREE char *body = NULL;
    const char *at;

    UNIT_HTTP_SAY(&server, { 200, CREATED }, { 200, "", "ETag: \"t\"", .again = true });
    ck_assert_ok(s3_put_begin(s3, &put, &upload));
    for (uint32_t i = 0; i < THREADS; i++) {
        first[i] = i + 1;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, put_some, &first[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        void *failed;

        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
    UNIT_HTTP_SAY(&server, { 404 }, { 200, COMPLETED("") });
    ck_assert_ok(commit());
    body = plain_strdup(asked_body(1));
    at = body;
    for (unsigned i = 1; i <= THREADS * PARTS_EACH; i++) {
        CLEANUP_FREE char *mark = plain_printf("<PartNumber>%u</PartNumber>", i);

        at = strstr(at, mark);
        ck_assert_ptr_nonnull(at);
    }
    ck_assert_ptr_null(strstr(at + 1, "<PartNumber>"));
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-parts");
    TCase *tcase = tcase_create("parts");

    tcase_add_checked_fixture(tcase, setup, s3_teardown);
    tcase_add_test(tcase, parts_are_put_together_in_their_order);
    tcase_add_test(tcase, a_server_without_checksums_is_not_asked_for_them);
    tcase_add_test(tcase, a_part_that_came_twice_counts_as_it_came_last);
    tcase_add_loop_test(tcase, what_is_not_begun_is_told, 0, ARRAY_LEN(begins));
    tcase_add_loop_test(tcase, a_part_is_there_or_not, 0, ARRAY_LEN(parts));
    tcase_add_loop_test(tcase, a_completion_is_believed_when_it_is_said_or_seen, 0, ARRAY_LEN(commits));
    tcase_add_test(tcase, what_cannot_be_compared_is_not_the_same);
    tcase_add_test(tcase, where_conditions_are_not_known_none_is_sent);
    tcase_add_loop_test(tcase, an_upload_without_parts_is_an_empty_object, 0, ARRAY_LEN(empties));
    tcase_add_loop_test(tcase, giving_up_ends_the_upload_whatever_the_server_says, 0, ARRAY_LEN(aborts));
    tcase_add_test(tcase, parts_may_be_written_side_by_side);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
