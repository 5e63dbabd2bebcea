/* SPDX-License-Identifier: PostgreSQL
 *
 * Abandoned uploads: whose they are, whether somebody is still at them, and how they are given up.
 */
#include "config.h"

#include "unit-s3.h"

#include "common/s3.h"

/* 2012-12-21T00:00:00Z: what was begun before is old. */
#define BEFORE_S INT64_C(1356048000)
#define OLD "2012-12-20T23:59:59.000Z"
#define NEW "2012-12-21T00:00:00.000Z"

#define UPLOADS(more) "<ListMultipartUploadsResult" S3_XMLNS ">" more "</ListMultipartUploadsResult>"
#define UPLOAD(key, id, time)                                                                                          \
    "<Upload><Key>" key "</Key><UploadId>" id "</UploadId><Initiator><ID>1</ID></Initiator><Initiated>" time           \
    "</Initiated></Upload>"
#define PARTS(more) "<ListPartsResult" S3_XMLNS ">" more "</ListPartsResult>"
#define PART(time) "<Part><PartNumber>1</PartNumber><LastModified>" time "</LastModified><Size>5</Size></Part>"
#define NOT_THERE                                                                                                      \
    {                                                                                                                  \
        404, S3_ERROR_TEXT("NoSuchUpload")                                                                             \
    }
#define OLD_UPLOAD UPLOADS(UPLOAD("some/where/a", "1", OLD))

static void
setup(void)
{
    s3_setup_open();
    s3->bucket = S3_YES;
}

/* What is looked at and given up. */
static const struct {
    struct unit_answer answers[6];
    size_t count;
    int rc;
    uint64_t swept;
    const char *error;
} sweeps[] = {
    { { { 200, UPLOADS("") } }, 1, 0, 0, "" },
    { { { 200, OLD_UPLOAD }, { 200, PARTS("") }, { 204 } }, 3, 0, 1, "" },
    { { { 200, OLD_UPLOAD }, { 200, PARTS(PART(OLD)) }, { 204 } }, 3, 0, 1, "" },
    /* the newest part decides, wherever it stands */
    { { { 200, OLD_UPLOAD }, { 200, PARTS(PART(NEW) PART(OLD)) } }, 2, 0, 0, "" },
    { { { 200, OLD_UPLOAD }, { 200, PARTS(PART(OLD) PART(NEW)) } }, 2, 0, 0, "" },
    { { { 200, OLD_UPLOAD },
        { 200, PARTS(PART(OLD) "<IsTruncated>true</IsTruncated><NextPartNumberMarker>1000</NextPartNumberMarker>") },
        { 200, PARTS(PART(NEW) "<IsTruncated>false</IsTruncated>") } },
      3,
      0,
      0,
      "" },
    { { { 200, OLD_UPLOAD },
        { 200, PARTS(PART(OLD) "<IsTruncated>true</IsTruncated><NextPartNumberMarker>1000</NextPartNumberMarker>") },
        { 200, PARTS(PART(OLD)) },
        { 204 } },
      4,
      0,
      1,
      "" },
    /* begun later, or who knows when */
    { { { 200, UPLOADS(UPLOAD("some/where/a", "1", NEW)) } }, 1, 0, 0, "" },
    { { { 200, UPLOADS(UPLOAD("some/where/a", "1", "")) } }, 1, 0, 0, "" },
    { { { 200, UPLOADS(UPLOAD("some/where/a", "1", "the day before")) } }, 1, 0, 0, "" },
    { { { 200, UPLOADS("<Upload><Key>some/where/a</Key><UploadId>1</UploadId></Upload>") } }, 1, 0, 0, "" },
    /* others' */
    { { { 200, UPLOADS(UPLOAD("some/wher", "1", OLD) UPLOAD("else/some/where/a", "2", OLD) UPLOAD("a", "3", OLD)) } },
      1,
      0,
      0,
      "" },
    /* half a word */
    { { { 200, UPLOADS("<Upload><UploadId>1</UploadId><Initiated>" OLD "</Initiated></Upload>") } }, 1, 0, 0, "" },
    { { { 200, UPLOADS("<Upload><Key>some/where/a</Key><Initiated>" OLD "</Initiated></Upload>"
                       "<Upload><UploadId>1</UploadId><Initiated>" OLD "</Initiated></Upload>") } },
      1,
      0,
      0,
      "" },
    { { { 200, UPLOADS(UPLOAD("some/where/a", "1", NEW) "<Upload><Initiated>" OLD "</Initiated></Upload>") } },
      1,
      0,
      0,
      "" },
    /* ended while we looked */
    { { { 200, OLD_UPLOAD }, NOT_THERE }, 2, 0, 0, "" },
    { { { 200, OLD_UPLOAD }, { 200, PARTS("") }, NOT_THERE }, 3, 0, 0, "" },
    { { { 200, OLD_UPLOAD }, { 200, PARTS("") }, { 404 } }, 3, 0, 0, "" },
    /* what cannot be asked is not given up */
    { { { 200, OLD_UPLOAD }, { 403, S3_ERROR_TEXT("AccessDenied") } },
      2,
      PGCASK_FAILED,
      0,
      "listing the parts of 'a': access denied" },
    { { { 200, OLD_UPLOAD }, { 503 } }, 2, PGCASK_RETRY, 0, "listing the parts of 'a'" },
    { { { 200, OLD_UPLOAD }, { 200, "<ListPartsResult>" } }, 2, PGCASK_FAILED, 0, "the listing of parts: not XML" },
    { { { 200, OLD_UPLOAD }, { UNIT_DROP } }, 2, PGCASK_RETRY, 0, "" },
    { { { 200, OLD_UPLOAD }, { 200, PARTS("") }, { 403, S3_ERROR_TEXT("AccessDenied") } },
      3,
      PGCASK_FAILED,
      0,
      "giving up 'a': access denied" },
    { { { 503, S3_ERROR_TEXT("SlowDown") } }, 1, PGCASK_RETRY, 0, "listing uploads of bucket 'bucket'" },
    { { { 200, "<html>" } }, 1, PGCASK_FAILED, 0, "the listing of uploads: not XML" },
    /* two of one key, and one that is given up before the other fails */
    { { { 200, UPLOADS(UPLOAD("some/where/a", "1", OLD) UPLOAD("some/where/a", "2", OLD)) },
        { 200, PARTS("") },
        { 204 },
        { 200, PARTS("") },
        { 204 } },
      5,
      0,
      2,
      "" },
    { { { 200, UPLOADS(UPLOAD("some/where/a", "1", OLD) UPLOAD("some/where/b", "2", OLD)) },
        { 200, PARTS("") },
        { 204 },
        { 503 } },
      4,
      PGCASK_RETRY,
      1,
      "'b'" },
};

START_TEST(only_what_nobody_is_at_any_more_is_given_up)
{
    uint64_t swept = 77;

    unit_http_script(&server, sweeps[_i].answers, sweeps[_i].count);
    ck_assert_code(s3_sweep(s3, BEFORE_S, &swept), sweeps[_i].rc);
    ck_assert_uint_eq(swept, sweeps[_i].swept);
    ck_assert_error_has(sweeps[_i].error);
    ck_assert_uint_eq(unit_http_count(&server), sweeps[_i].count);
    ck_assert_int_eq(strncmp(asked(0), "GET /bucket?prefix=some%2Fwhere%2F&uploads= ", 44), 0);
}
END_TEST

START_TEST(an_upload_is_named_by_key_and_id)
{
    uint64_t swept;

    UNIT_HTTP_SAY(&server, { 200, UPLOADS(UPLOAD("some/where/a b/c&amp;d", "1+/=&amp;", OLD)) },
                  { 200, PARTS("<IsTruncated>true</IsTruncated><NextPartNumberMarker>7</NextPartNumberMarker>") },
                  { 200, PARTS("") }, { 204 });
    ck_assert_ok(s3_sweep(s3, BEFORE_S, &swept));
    ck_assert_asked("GET /bucket?", "GET " S3_AT "a%20b/c%26d?uploadId=1%2B%2F%3D%26 ",
                    "GET " S3_AT "a%20b/c%26d?part-number-marker=7&uploadId=1%2B%2F%3D%26 ",
                    "DELETE " S3_AT "a%20b/c%26d?uploadId=1%2B%2F%3D%26 ");
}
END_TEST

START_TEST(pages_of_uploads_follow_one_another)
{
    uint64_t swept;

    UNIT_HTTP_SAY(&server,
                  { 200, UPLOADS("<IsTruncated>true</IsTruncated><NextKeyMarker>some/where/a</NextKeyMarker>"
                                 "<NextUploadIdMarker>1+</NextUploadIdMarker>") },
                  { 200, UPLOADS("<IsTruncated>true</IsTruncated><NextKeyMarker>some/where/a</NextKeyMarker>"
                                 "<NextUploadIdMarker>2</NextUploadIdMarker>") },
                  { 200, UPLOADS("<IsTruncated>false</IsTruncated>" UPLOAD("some/where/b", "3", OLD)) },
                  { 200, PARTS("") }, { 204 });
    ck_assert_ok(s3_sweep(s3, BEFORE_S, &swept));
    ck_assert_uint_eq(swept, 1);
    ck_assert_asked("GET /bucket?prefix=some%2Fwhere%2F&uploads= ",
                    "GET /bucket?key-marker=some%2Fwhere%2Fa&prefix=some%2Fwhere%2F&upload-id-marker=1%2B&uploads= ",
                    "GET /bucket?key-marker=some%2Fwhere%2Fa&prefix=some%2Fwhere%2F&upload-id-marker=2&uploads= ",
                    "GET " S3_AT "b?uploadId=3 ", "DELETE " S3_AT "b?uploadId=3 ");
}
END_TEST

START_TEST(pages_that_go_round_end)
{
    const char *const texts[] = {
        UPLOADS("<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker>"),
        UPLOADS("<IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker>"),
    };
    struct unit_answer script[UNIT_REQUESTS_MAX];
    uint64_t swept;

    for (size_t i = 0; i < UNIT_REQUESTS_MAX; i++)
        script[i] = (struct unit_answer){ 200, texts[i % 2] };
    unit_http_script(&server, script, UNIT_REQUESTS_MAX);
    ck_assert_ok(s3_sweep(s3, BEFORE_S, &swept));
    ck_assert_uint_lt(unit_http_count(&server), 16);
    UNIT_HTTP_SAY(
        &server, { 200, OLD_UPLOAD },
        { 200, PARTS("<IsTruncated>true</IsTruncated><NextPartNumberMarker>7</NextPartNumberMarker>"), .again = true });
    (void)s3_sweep(s3, BEFORE_S, &swept);
    ck_assert_uint_lt(unit_http_count(&server), 16);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-sweep");
    TCase *tcase = tcase_create("sweep");

    tcase_add_checked_fixture(tcase, setup, s3_teardown);
    tcase_add_loop_test(tcase, only_what_nobody_is_at_any_more_is_given_up, 0, ARRAY_LEN(sweeps));
    tcase_add_test(tcase, an_upload_is_named_by_key_and_id);
    tcase_add_test(tcase, pages_of_uploads_follow_one_another);
    tcase_add_test(tcase, pages_that_go_round_end);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
