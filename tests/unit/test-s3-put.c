/* SPDX-License-Identifier: PostgreSQL
 *
 * Objects written in one request: nothing is overwritten, and nothing believed that the server did not confirm.
 */
#include "config.h"

#include "unit-s3.h"

#include "common/s3-body.h"

#define DATA "hello world"
#define DATA_CRC32 "DUoRhQ=="
#define DATA_MD5 "XrY7u+Ae7tCTyyK7j1rNww=="
#define DATA_ETAG "ETag: \"5eb63bbbe01eeed093cb22bb8f5acdc3\""
#define OTHER_ETAG "ETag: \"0123456789abcdef0123456789abcdef\""
#define CRC_ECHO "x-amz-checksum-crc32: " DATA_CRC32
#define CRC_OTHER "x-amz-checksum-crc32: AAAAAA=="

static const char listing_text[] = "<ListBucketResult" S3_XMLNS "><IsTruncated>false</IsTruncated></ListBucketResult>";

/* What a first use finds out is known. */
static void
setup_known(void)
{
    s3_setup_open();
    s3->bucket = S3_YES;
    s3->guarded = true;
}

static int
put_data(void)
{
    return s3_put_object(s3, &put, DATA, strlen(DATA));
}

/* ---- the first one, and those behind it ---- */

START_TEST(conditions_are_not_relied_on_elsewhere_than_at_amazon)
{
    s3_setup_open();
    UNIT_HTTP_SAY(&server, { 404 }, { 200, listing_text }, { 200, "", CRC_ECHO "\r\n" DATA_ETAG }, { 404 },
                  { 200, "", CRC_ECHO });
    ck_assert_ok(put_data());
    ck_assert_asked("HEAD " S3_AT "key HTTP/1.1\r\n", "GET /bucket?list-type=2&max-keys=1",
                    "PUT " S3_AT "key HTTP/1.1\r\n");
    ck_assert_has(asked(2), "\r\nif-none-match: *\r\n");
    ck_assert_has(asked(2), "\r\nContent-Length: 11\r\n");
    ck_assert_has(asked(2), "\r\nx-amz-checksum-crc32: " DATA_CRC32 "\r\n");
    ck_assert_has(asked(2), "\r\ncontent-type: application/octet-stream\r\n");
    ck_assert_has(asked(2),
                  "\r\nx-amz-content-sha256: b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9\r\n");
    ck_assert_has(asked(2), "/eu-central-1/s3/aws4_request, SignedHeaders=content-type;host;if-none-match;"
                            "x-amz-checksum-crc32;x-amz-content-sha256;x-amz-date;x-amz-sdk-checksum-algorithm, ");
    ck_assert_str_eq(asked_body(2), DATA);
    put.key = "other";
    ck_assert_ok(put_data());
    ck_assert_has(asked(3), "HEAD " S3_AT "other HTTP/1.1\r\n");
    ck_assert_has(asked(4), "PUT " S3_AT "other HTTP/1.1\r\n");
    ck_assert_uint_eq(unit_http_count(&server), 5);
}
END_TEST

START_TEST(a_taken_key_is_refused)
{
    UNIT_HTTP_SAY(&server, { 412, S3_ERROR_TEXT("PreconditionFailed") });
    ck_assert_code(put_data(), PGCASK_EXISTS);
    ck_assert_asked("PUT "); /* nobody asks whose it is */
    ck_assert_error_has("writing 'key': an object of that key is there already");
}
END_TEST

START_TEST(an_empty_object_is_written_too)
{
    UNIT_HTTP_SAY(&server, { 200, "", "x-amz-checksum-crc32: AAAAAA==" });
    ck_assert_ok(s3_put_object(s3, &put, "", 0));
    ck_assert_has(asked(0), "\r\nContent-Length: 0\r\n");
}
END_TEST

/* ---- lost answers ---- */

static const struct {
    struct unit_answer lost[4]; /* the first try, up to one without anything */
    struct unit_answer again[3];
    int rc;
    const char *error;
} lost[] = {
    /* it had been written */
    { { { UNIT_DROP } }, { { 412 }, { 200, DATA, CRC_ECHO } }, 0, "" },
    { { { UNIT_DROP } }, { { 412 }, { 200, DATA, DATA_ETAG } }, 0, "" },
    { { { 500, S3_ERROR_TEXT("InternalError") } }, { { 412 }, { 200, DATA, CRC_ECHO } }, 0, "" },
    { { { UNIT_CUT } }, { { 412 }, { 200, DATA, CRC_ECHO } }, 0, "" },
    /* it had not */
    { { { UNIT_DROP } }, { { 200, "", CRC_ECHO } }, 0, "" },
    { { { 503, S3_ERROR_TEXT("SlowDown") } }, { { 200, "", CRC_ECHO } }, 0, "" },
    /* there is another */
    { { { UNIT_DROP } }, { { 412 }, { 200, DATA, CRC_OTHER } }, PGCASK_EXISTS, "with other contents" },
    { { { UNIT_DROP } }, { { 412 }, { 200, DATA, OTHER_ETAG } }, PGCASK_EXISTS, "with other contents" },
    { { { UNIT_DROP } }, { { 412 }, { 200, DATA "!", CRC_ECHO } }, PGCASK_EXISTS, "with other contents" },
    { { { UNIT_DROP } },
      { { 412 }, { 200, DATA } },
      PGCASK_EXISTS,
      "with other contents" }, /* it tells nothing of it */
    /* both, or looking, fail */
    { { { UNIT_DROP } }, { { UNIT_DROP } }, PGCASK_RETRY, "" },
    { { { UNIT_DROP } }, { { 412 }, { 404 } }, PGCASK_RETRY, "was there or about to be" },
    { { { UNIT_DROP } }, { { 412 }, { 503 } }, PGCASK_RETRY, "looking at" },
    { { { UNIT_DROP } }, { { 412 }, { 403 }, { 403, S3_ERROR_TEXT("AccessDenied") } }, PGCASK_FAILED, "access denied" },
};

START_TEST(a_second_try_succeeds_only_with_the_same_bytes)
{
    unit_http_script(&server, lost[_i].lost, 1);
    ck_assert_code(put_data(), PGCASK_RETRY);
    unit_http_script(&server, lost[_i].again, 3);
    ck_assert_code(put_data(), lost[_i].rc);
    ck_assert_error_has(lost[_i].error);
    if (lost[_i].rc == PGCASK_RETRY) { /* still not forgotten */
        UNIT_HTTP_SAY(&server, { 412 }, { 200, DATA, CRC_ECHO });
        ck_assert_ok(put_data());
        return;
    }
    UNIT_HTTP_SAY(&server, { 412 }, { 200, DATA, CRC_ECHO });
    ck_assert_code(put_data(), PGCASK_EXISTS); /* a new object by that name is another matter */
    ck_assert_asked("PUT ");
}
END_TEST

START_TEST(what_is_not_sure_of_one_key_says_nothing_of_another)
{
    UNIT_HTTP_SAY(&server, { UNIT_DROP }, { 412 }, { 412 }, { 200, DATA, CRC_ECHO });
    ck_assert_code(put_data(), PGCASK_RETRY);
    put.key = "key2";
    ck_assert_code(put_data(), PGCASK_EXISTS);
    put.key = "key";
    ck_assert_ok(put_data());
    ck_assert_asked("PUT ", "PUT ", "PUT ", "HEAD ");
}
END_TEST

static const struct {
    struct unit_answer head;
    int rc;
} twice[] = {
    { { 200, "", "x-amz-checksum-crc32: AAAAAA==" }, 0 },
    { { 200, "", "ETag: \"d41d8cd98f00b204e9800998ecf8427e\"" }, 0 },
    { { 200, "x", CRC_ECHO "\r\n" OTHER_ETAG }, PGCASK_EXISTS },
};

/* Below S3: the first of the two was heard, its connection closed without an answer, and the second one is refused. */
START_TEST(a_request_that_went_out_twice_does_not_refuse_itself)
{
    s3->checksums = S3_YES;
    UNIT_HTTP_SAY(&server, { 200, "", CRC_ECHO, .keep = true }, { UNIT_DROP }, { 412 }, twice[_i].head);
    put.key = "before";
    ck_assert_ok(put_data());
    put.key = "key";
    ck_assert_code(s3_put_object(s3, &put, "", 0), twice[_i].rc);
    ck_assert_asked("PUT " S3_AT "before", "PUT " S3_AT "key", "PUT " S3_AT "key", "HEAD " S3_AT "key");
}
END_TEST

/* ---- servers without conditions ---- */

START_TEST(where_conditions_are_not_known_a_look_comes_first)
{
    s3->guarded = false;
    UNIT_HTTP_SAY(&server, { 404 }, { 501, S3_ERROR_TEXT("NotImplemented") }, { 200, "", CRC_ECHO }, /* the first */
                  { 404 }, { 200, "", CRC_ECHO },                                                    /* the second */
                  { 200, DATA, CRC_ECHO });                                                          /* the third */
    ck_assert_ok(put_data());
    ck_assert_asked("HEAD ", "PUT ", "PUT ");
    ck_assert_lacks(asked(2), "if-none-match");
    ck_assert_ok(put_data());
    ck_assert_lacks(asked(4), "if-none-match");
    ck_assert_code(put_data(), PGCASK_EXISTS);
    ck_assert_asked("HEAD ", "PUT ", "PUT ", "HEAD ", "PUT ", "HEAD ");
}
END_TEST

START_TEST(what_fails_without_the_condition_too_says_nothing_of_it)
{
    UNIT_HTTP_SAY(&server, { 501, S3_ERROR_TEXT("NotImplemented") }, { 404 }, { 501, S3_ERROR_TEXT("NotImplemented") },
                  { 412 });
    ck_assert_code(put_data(), PGCASK_UNSUPPORTED);
    ck_assert_asked("PUT ", "HEAD ", "PUT "); /* never without a look */
    ck_assert_code(put_data(), PGCASK_EXISTS);
    ck_assert_has(asked(3), "if-none-match: *");
}
END_TEST

START_TEST(a_lost_answer_is_found_without_conditions_too)
{
    s3->conditional = S3_NO;
    UNIT_HTTP_SAY(&server, { 404 }, { UNIT_DROP }, { 200, DATA, CRC_ECHO }, { 200, DATA, CRC_ECHO });
    ck_assert_code(put_data(), PGCASK_RETRY);
    ck_assert_ok(put_data());
    ck_assert_asked("HEAD ", "PUT ", "HEAD ", "HEAD ");
}
END_TEST

START_TEST(somebody_else_at_the_same_key_is_passing_trouble)
{
    UNIT_HTTP_SAY(&server, { 409, S3_ERROR_TEXT("ConditionalRequestConflict") });
    ck_assert_code(put_data(), PGCASK_RETRY);
    ck_assert_error_has("somebody else writes the same key");
}
END_TEST

/* ---- what the server says of the bytes ---- */

static const struct {
    const char *checksum, *sign_payload, *sse;
    struct unit_answer answer;
    int rc;
    const char *error;
} echoes[] = {
    { "auto", "no", "none", { 200, "", CRC_ECHO }, 0, "" },
    { "auto", "no", "none", { 200, "", DATA_ETAG }, 0, "" },
    { "auto", "no", "none", { 200, "", "ETag: \"some-other-form\"" }, 0, "" }, /* Content-MD5 was looked at */
    { "auto", "no", "none", { 200, "", CRC_ECHO "\r\n" OTHER_ETAG }, 0, "" },  /* of what it made of it, perhaps */
    { "auto", "no", "none", { 200, "", OTHER_ETAG "\r\nx-amz-server-side-encryption: aws:kms" }, 0, "" },
    { "auto", "no", "none", { 200, "", CRC_OTHER }, PGCASK_RETRY, "stored a body with CRC-32 AAAAAA==, " DATA_CRC32 },
    { "auto", "no", "none", { 200, "", CRC_OTHER "\r\n" DATA_ETAG }, PGCASK_RETRY, "CRC-32" },
    { "auto", "no", "none", { 200, "", OTHER_ETAG }, PGCASK_RETRY, "entity tag \"0123456789abcdef0123456789abcdef\"" },
    { "auto",
      "no",
      "none",
      { 200, "", OTHER_ETAG "\r\nx-amz-server-side-encryption: AES256" },
      PGCASK_RETRY,
      "entity tag" },
    { "auto", "yes", "none", { 200, "", CRC_OTHER }, PGCASK_RETRY, "CRC-32" },
    { "md5", "no", "none", { 200, "", OTHER_ETAG }, PGCASK_RETRY, "entity tag" },
    { "crc32", "no", "none", { 200, "", CRC_ECHO }, 0, "" },
    { "crc32", "no", "none", { 200, "", DATA_ETAG }, PGCASK_FAILED, "does not confirm the checksum" },
    { "crc32", "yes", "none", { 200, "", DATA_ETAG }, 0, "" }, /* the signature holds the bytes */
    { "auto", "no", "aes256", { 200, "", CRC_ECHO }, PGCASK_FAILED, "encryption asked for by sse = aes256" },
    { "auto", "no", "aes256", { 200, "", CRC_ECHO "\r\nx-amz-server-side-encryption: AES256" }, 0, "" },
    { "auto", "no", "kms", { 200, "", OTHER_ETAG "\r\nx-amz-server-side-encryption: aws:kms" }, 0, "" },
};

START_TEST(what_is_not_as_it_was_sent_is_removed_and_told)
{
    s3_setup();
    settings.checksum = echoes[_i].checksum;
    settings.sign_payload = echoes[_i].sign_payload;
    settings.sse = echoes[_i].sse;
    open_s3();
    s3->bucket = S3_YES;
    s3->guarded = true;
    UNIT_HTTP_SAY(&server, echoes[_i].answer, { 204 });
    ck_assert_code(put_data(), echoes[_i].rc);
    ck_assert_error_has(echoes[_i].error);
    if (echoes[_i].rc == 0)
        ck_assert_asked("PUT ");
    else
        ck_assert_asked("PUT ", "DELETE " S3_AT "key HTTP/1.1\r\n");
}
END_TEST

static const struct {
    struct unit_answer answer;
    bool warned;
} removals[] = {
    { { 204 }, false },
    { { 404 }, false },
    { { 403, S3_ERROR_TEXT("AccessDenied") }, true },
    { { UNIT_DROP }, true },
};

START_TEST(what_cannot_be_removed_is_told_beside_the_reason)
{
    struct talk talk = talk_begin(STDERR_FILENO);
    CLEANUP_FREE char *text = NULL;
    int rc;

    UNIT_HTTP_SAY(&server, { 200, "", CRC_OTHER }, removals[_i].answer);
    rc = put_data();
    text = talk_end(&talk);
    ck_assert_code(rc, PGCASK_RETRY);
    ck_assert_error_has("stored a body with CRC-32");
    ck_assert_int_eq(strstr(text, "could not be removed") != NULL, removals[_i].warned);
}
END_TEST

/* ---- what is sent along ---- */

static const struct {
    const char *checksum, *sign_payload, *echo;
    bool first_crc, first_md5, then_crc, then_md5;
} digests[] = {
    { "auto", "no", CRC_ECHO, true, true, true, false },   /* a server with checksums */
    { "auto", "no", DATA_ETAG, true, true, false, true },  /* one without */
    { "auto", "yes", CRC_ECHO, true, false, true, false }, /* SHA-256 is in the signature */
    { "auto", "yes", DATA_ETAG, true, false, false, false }, { "md5", "no", CRC_ECHO, false, true, false, true },
    { "crc32", "no", CRC_ECHO, true, false, true, false },
};

START_TEST(a_body_is_sent_with_what_the_server_looks_at)
{
    s3_setup();
    settings.checksum = digests[_i].checksum;
    settings.sign_payload = digests[_i].sign_payload;
    open_s3();
    s3->bucket = S3_YES;
    s3->guarded = true;
    UNIT_HTTP_SAY(&server, { 200, "", digests[_i].echo, .again = true });
    for (size_t i = 0; i < 2; i++) {
        ck_assert_ok(put_data());
        ck_assert_int_eq(strstr(asked(i), "\r\nx-amz-checksum-crc32: " DATA_CRC32 "\r\n") != NULL,
                         i == 0 ? digests[_i].first_crc : digests[_i].then_crc);
        ck_assert_int_eq(strstr(asked(i), "\r\ncontent-md5: " DATA_MD5 "\r\n") != NULL,
                         i == 0 ? digests[_i].first_md5 : digests[_i].then_md5);
    }
}
END_TEST

START_TEST(members_get_class_tags_and_encryption_manifests_no_class)
{
    s3_setup();
    settings.storage_class = "STANDARD_IA";
    settings.tags = "team=a&b  who=x y=";
    settings.sse = "kms";
    settings.sse_kms_key = "arn:aws:kms:eu-central-1:1:key/2";
    open_s3();
    s3->bucket = S3_YES;
    s3->guarded = true;
    UNIT_HTTP_SAY(&server, { 200, "", "x-amz-server-side-encryption: aws:kms\r\n" CRC_ECHO, .again = true });
    put.hot = false;
    ck_assert_ok(put_data());
    ck_assert_has(asked(0), "\r\nx-amz-storage-class: STANDARD_IA\r\n");
    ck_assert_has(asked(0), "\r\nx-amz-tagging: team=a%26b&who=x&y=\r\n");
    ck_assert_has(asked(0), "\r\nx-amz-server-side-encryption: aws:kms\r\n");
    ck_assert_has(asked(0), "\r\nx-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:eu-central-1:1:key/2\r\n");
    put.hot = true;
    ck_assert_ok(put_data());
    ck_assert_lacks(asked(1), "x-amz-storage-class");
    ck_assert_has(asked(1), "\r\nx-amz-server-side-encryption: aws:kms\r\n");
}
END_TEST

START_TEST(a_lock_is_asked_for_with_its_end)
{
    s3_setup();
    settings.object_lock = _i == 0 ? "governance" : "compliance";
    settings.object_lock_ms = INT64_C(30) * 86400 * 1000;
    UNIT_HTTP_SAY(&server,
                  { 200, "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
                         "</ObjectLockConfiguration>" },
                  { 200, "", CRC_ECHO });
    atomic_store(&clock_ahead_s, INT64_C(2000000000) - time(NULL)); /* 2033-05-18T03:33:20Z */
    open_s3();
    s3->guarded = true;
    ck_assert_ok(put_data());
    ck_assert_asked("GET /bucket?object-lock= ", "PUT ");
    ck_assert_has(asked(1), _i == 0 ? "\r\nx-amz-object-lock-mode: GOVERNANCE\r\n"
                                    : "\r\nx-amz-object-lock-mode: COMPLIANCE\r\n");
    ck_assert_has(asked(1), "\r\nx-amz-object-lock-retain-until-date: 2033-06-17T03:33:2");
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-put");
    TCase *known = tcase_create("known"), *fresh = tcase_create("fresh");

    tcase_add_checked_fixture(known, setup_known, s3_teardown);
    tcase_add_test(known, a_taken_key_is_refused);
    tcase_add_test(known, an_empty_object_is_written_too);
    tcase_add_loop_test(known, a_second_try_succeeds_only_with_the_same_bytes, 0, ARRAY_LEN(lost));
    tcase_add_test(known, what_is_not_sure_of_one_key_says_nothing_of_another);
    tcase_add_loop_test(known, a_request_that_went_out_twice_does_not_refuse_itself, 0, ARRAY_LEN(twice));
    tcase_add_test(known, where_conditions_are_not_known_a_look_comes_first);
    tcase_add_test(known, what_fails_without_the_condition_too_says_nothing_of_it);
    tcase_add_test(known, a_lost_answer_is_found_without_conditions_too);
    tcase_add_test(known, somebody_else_at_the_same_key_is_passing_trouble);
    tcase_add_loop_test(known, what_cannot_be_removed_is_told_beside_the_reason, 0, ARRAY_LEN(removals));
    suite_add_tcase(suite, known);
    tcase_add_checked_fixture(fresh, NULL, s3_teardown); /* opened by the test */
    tcase_add_test(fresh, conditions_are_not_relied_on_elsewhere_than_at_amazon);
    tcase_add_loop_test(fresh, what_is_not_as_it_was_sent_is_removed_and_told, 0, ARRAY_LEN(echoes));
    tcase_add_loop_test(fresh, a_body_is_sent_with_what_the_server_looks_at, 0, ARRAY_LEN(digests));
    tcase_add_test(fresh, members_get_class_tags_and_encryption_manifests_no_class);
    tcase_add_loop_test(fresh, a_lock_is_asked_for_with_its_end, 0, 2);
    suite_add_tcase(suite, fresh);
    return suite;
}

UNIT_MAIN(make_suite)
