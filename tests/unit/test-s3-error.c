/* SPDX-License-Identifier: PostgreSQL
 *
 * What each refusal of a server means: the code, the words, the cure.
 */
#include "config.h"

#include "unit-s3.h"

#include "common/s3.h"

static void
setup(void)
{
    s3_setup_open();
    s3->bucket = S3_YES;
}

static const char rights[] = "s3:PutObject, s3:GetObject, s3:ListBucket, s3:DeleteObject, s3:AbortMultipartUpload, "
                             "s3:ListMultipartUploadParts and s3:ListBucketMultipartUploads";

static const struct {
    int status;
    const char *code; /* NULL: no document */
    int rc;
    const char *words, *cure; /* cure NULL: none */
} rows[] = {
    { 404, "NoSuchKey", PGCASK_NOT_FOUND, "'key': there is no such object (", NULL },
    { 404, "NoSuchBucket", PGCASK_FAILED, "bucket 'bucket': there is no such bucket (", "create the bucket" },
    { 404, "NoSuchUpload", PGCASK_NOT_FOUND, "the upload is gone (", "did a lifecycle rule" },
    { 403, "AccessDenied", PGCASK_FAILED, "access denied (", rights },
    { 403, "AllAccessDisabled", PGCASK_FAILED, "access denied (", "closed: ask its owner" },
    { 403, "AccountProblem", PGCASK_FAILED, "the server refuses (", "ask the provider" },
    { 403, "InvalidAccessKeyId", PGCASK_FAILED, "does not know the access key (",
      "the access key is 'AKIAEXAMPLE', from the config" },
    { 403, "SignatureDoesNotMatch", PGCASK_FAILED, "the secret key does not fit the access key (",
      "the access key is 'AKIAEXAMPLE'" },
    { 400, "InvalidToken", PGCASK_FAILED, "the session token is not valid (", "give a token only with" },
    { 400, "ExpiredToken", PGCASK_RETRY, "the temporary keys have expired (", "fetch new ones" },
    { 400, "TokenRefreshRequired", PGCASK_RETRY, "the temporary keys have expired (", NULL },
    { 403, "RequestTimeTooSkewed", PGCASK_FAILED, "the clocks of this host and of the server differ too much (",
      "have the clock set by NTP" },
    { 403, "RequestExpired", PGCASK_FAILED, "the clocks of this host and of the server differ too much (", NULL },
    { 400, "AuthorizationHeaderMalformed", PGCASK_FAILED, "the request was signed for a wrong region (",
      "region is 'eu-central-1' here" },
    { 301, "PermanentRedirect", PGCASK_FAILED, "the bucket is in another region (", "region is 'eu-central-1' here" },
    { 307, "TemporaryRedirect", PGCASK_RETRY, "the bucket is just being moved (", NULL },
    { 400, "IllegalLocationConstraintException", PGCASK_FAILED, "the bucket is in another region (",
      "region is 'eu-central-1' here" },
    { 409, "RestoreAlreadyInProgress", PGCASK_COLD, "it is being thawed already (", NULL },
    { 503, "GlacierExpeditedRetrievalNotAvailable", PGCASK_FAILED, "no capacity for expedited thawing now (",
      "use the tier standard" },
    { 403, "InvalidObjectState", PGCASK_COLD, "the object is in cold storage (", "pgcask thaw" },
    { 412, "PreconditionFailed", PGCASK_EXISTS, "an object of that key is there already (", NULL },
    { 409, "ConditionalRequestConflict", PGCASK_RETRY, "somebody else writes the same key (", NULL },
    { 409, "OperationAborted", PGCASK_RETRY, "somebody else changes the same (", NULL },
    { 501, "NotImplemented", PGCASK_UNSUPPORTED, "the server cannot do that (", NULL },
    { 400, "BadDigest", PGCASK_RETRY, "the bytes were damaged on their way (", NULL },
    { 400, "InvalidDigest", PGCASK_RETRY, "the bytes were damaged on their way (", NULL },
    { 400, "XAmzContentSHA256Mismatch", PGCASK_RETRY, "the bytes were damaged on their way (", NULL },
    { 400, "XAmzContentChecksumMismatch", PGCASK_RETRY, "the bytes were damaged on their way (", NULL },
    { 400, "IncompleteBody", PGCASK_RETRY, "the body was cut short on its way (", NULL },
    { 400, "RequestTimeout", PGCASK_RETRY, "the server waited too long for the request (", NULL },
    { 403, "QuotaExceeded", PGCASK_FAILED, "the quota of the bucket or user is used up (", "have the quota raised" },
    { 507, "InsufficientCapacity", PGCASK_FAILED, "the server is full (", "free space there" },
    { 400, "InvalidStorageClass", PGCASK_FAILED, "the server does not know the storage class (",
      "storage_class in [store" },
    { 416, "InvalidRange", PGCASK_FAILED, "the object ends before that (", NULL },
    { 400, "EntityTooSmall", PGCASK_FAILED, "a part is smaller than the server takes (", "set a larger part_size" },
    { 400, "EntityTooLarge", PGCASK_FAILED, "a part or object is larger than the server takes (",
      "set a smaller part_size" },
    { 400, "KMS.NotFoundException", PGCASK_FAILED, "the KMS key is not there (", "correct sse_kms_key" },
    { 400, "KMS.DisabledException", PGCASK_FAILED, "the KMS key is disabled (", "name another in sse_kms_key" },
    { 400, "InvalidRequest", PGCASK_FAILED, "the server refuses (", NULL },
    { 503, "SlowDown", PGCASK_RETRY, "the server asks us to slow down (", NULL },
    { 500, "InternalError", PGCASK_RETRY, "the server has an internal error (", NULL },
    { 503, "ServiceUnavailable", PGCASK_RETRY, "the server is not available (", NULL },
    /* the code counts, whatever the status */
    { 400, "SlowDown", PGCASK_RETRY, "the server asks us to slow down (", NULL },
    { 200, "InternalError", PGCASK_RETRY, "the server has an internal error (", NULL },
    { 200, "ServiceUnavailable", PGCASK_RETRY, "the server is not available (", NULL },
    { 400, "NoSuchKey", PGCASK_NOT_FOUND, "there is no such object (", NULL },
    { 500, "AccessDenied", PGCASK_FAILED, "access denied (", rights },
    /* codes that nobody knows, and none: the status counts */
    { 404, "NoSuchThing", PGCASK_NOT_FOUND, "there is no such object (status 404 NoSuchThing: the words of it)", NULL },
    { 404, NULL, PGCASK_NOT_FOUND, "there is no such object (status 404)", NULL },
    { 408, NULL, PGCASK_RETRY, "the server waited too long for the request (", NULL },
    { 412, NULL, PGCASK_EXISTS, "an object of that key is there already (", NULL },
    { 416, NULL, PGCASK_FAILED, "the object ends before that (", NULL },
    { 429, NULL, PGCASK_RETRY, "the server asks us to slow down (", NULL },
    { 429, "TooManyRequests", PGCASK_RETRY, "the server asks us to slow down (", NULL },
    { 500, NULL, PGCASK_RETRY, "the server has an internal error (", NULL },
    { 501, NULL, PGCASK_UNSUPPORTED, "the server cannot do that (", NULL },
    { 502, NULL, PGCASK_RETRY, "the server is not to be reached behind its gateway (", NULL },
    { 503, NULL, PGCASK_RETRY, "the server is not available (", NULL },
    { 504, NULL, PGCASK_RETRY, "the server is not to be reached behind its gateway (", NULL },
    { 507, NULL, PGCASK_FAILED, "the server is full (", "free space there" },
    { 301, NULL, PGCASK_FAILED, "the server refuses (", "region is 'eu-central-1' here" },
    { 302, NULL, PGCASK_FAILED, "the server refuses (status 302)", NULL },
    { 400, NULL, PGCASK_FAILED, "the server refuses (status 400)", NULL },
    { 403, NULL, PGCASK_FAILED, "the server refuses (status 403)", NULL }, /* of something in between, perhaps */
    { 405, "MethodNotAllowed", PGCASK_FAILED, "the server refuses (status 405 MethodNotAllowed: the words of it)",
      NULL },
    { 418, "Teapot", PGCASK_FAILED, "the server refuses (status 418 Teapot: the words of it)", NULL },
};

START_TEST(a_refusal_has_its_code_words_and_cure)
{
    CLEANUP_FREE char *body =
        rows[_i].code != NULL ? plain_printf(S3_ERROR_TEXT("%s"), rows[_i].code) : plain_strdup("");
    CLEANUP_FREE char *status = plain_printf("(status %d", rows[_i].status);

    UNIT_HTTP_SAY(&server, { rows[_i].status, body });
    ck_assert_code(s3_send(s3, &(const struct s3_request){ .method = "POST", .key = "key", .what = "touching" }, NULL),
                   rows[_i].rc);
    ck_assert_uint_eq(unit_http_count(&server), 1);
    ck_assert_error_has("touching ");
    ck_assert_error_has(rows[_i].words);
    ck_assert_error_has(status);
    if (rows[_i].code != NULL) {
        ck_assert_error_has(rows[_i].code);
        ck_assert_error_has("the words of it");
    }
    if (rows[_i].cure != NULL)
        ck_assert_cure_has(rows[_i].cure);
    else
        ck_assert_msg(error_cure() == NULL, "a cure: '%s'", error_cure());
}
END_TEST

/* ---- the document ---- */

static const struct {
    const char *body;
    bool is_error;
    const char *code, *message, *region;
} documents[] = {
    { "<Error><Code>A</Code><Message>b</Message><Region>c</Region><Key>d</Key></Error>", true, "A", "b", "c" },
    { "<?xml version=\"1.0\"?>\n<Error" S3_XMLNS ">\n <Code>A</Code>\n</Error>\n", true, "A", "", "" },
    { "<Error><Code>A</Code><Code>B</Code></Error>", true, "B", "", "" },
    { "<Error><Detail><Code>B</Code></Detail><Code>A</Code></Error>", true, "A", "", "" },
    { "<Error><Code>A</Code><Message>1 &lt; 2 &amp; 3</Message></Error>", true, "A", "1 < 2 & 3", "" },
    { "<Error/>", false, NULL, NULL, NULL },
    { "<Error><Code/></Error>", false, NULL, NULL, NULL },
    { "<Error><Message>no code</Message></Error>", false, NULL, NULL, NULL },
    { "<Error><Code>A</Code>", false, NULL, NULL, NULL }, /* cut */
    { "<Errors><Error><Code>A</Code></Error></Errors>", false, NULL, NULL, NULL },
    { "<DeleteResult><Error><Code>A</Code></Error></DeleteResult>", false, NULL, NULL, NULL }, /* of one of many */
    { "<!DOCTYPE Error [<!ENTITY x \"A\">]><Error><Code>&x;</Code></Error>", false, NULL, NULL, NULL },
    { "<html><body>502 Bad Gateway</body></html>", false, NULL, NULL, NULL },
    { "{\"Code\": \"A\"}", false, NULL, NULL, NULL },
    { "", false, NULL, NULL, NULL },
};

START_TEST(a_document_is_an_error_or_not)
{
    struct s3_error error;

    ck_assert_int_eq(s3_error_read(documents[_i].body, strlen(documents[_i].body), &error), documents[_i].is_error);
    if (!documents[_i].is_error)
        return;
    ck_assert_str_eq(error.code, documents[_i].code);
    ck_assert_str_eq(error.message, documents[_i].message);
    ck_assert_str_eq(error.region, documents[_i].region);
    s3_error_free(&error);
    s3_error_free(&error); /* once more does nothing */
}
END_TEST

START_TEST(a_long_message_does_not_flood_the_log)
{
    CLEANUP_FREE char *message = plain_zalloc(60001), *body = NULL;

    memset(message, 'x', 60000);
    memcpy(message, "two\nlines\x1b[31m", 14);
    for (char *p = message; *p != '\0'; p++)
        if (*p == '\x1b')
            *p = '\t'; /* which XML does not allow anyway */
    body = plain_printf("<Error><Code>Odd</Code><Message>%s</Message></Error>", message);
    UNIT_HTTP_SAY(&server, { 400, body });
    ck_assert_code(s3_remove(s3, "key"), PGCASK_FAILED);
    ck_assert_uint_lt(strlen(error_text()), 5000);
    ck_assert_error_has("two lines [31m");
}
END_TEST

/* ---- the storage class ---- */

static const char *const class_codes[] = { "InvalidArgument", "InvalidStorageClass" };

START_TEST(a_class_that_is_not_taken_is_named)
{
    CLEANUP_FREE char *body = plain_printf(S3_ERROR_TEXT("%s"), class_codes[_i]);

    s3->cold_class = "DEEP_FREEZE";
    put.hot = false;
    s3->guarded = true;
    UNIT_HTTP_SAY(&server, { 400, body });
    ck_assert_code(s3_put_object(s3, &put, "x", 1), PGCASK_FAILED);
    ck_assert_cure_has("does not take storage class 'DEEP_FREEZE'");
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("s3-error");
    TCase *tcase = tcase_create("error");

    tcase_add_checked_fixture(tcase, setup, s3_teardown);
    tcase_add_loop_test(tcase, a_refusal_has_its_code_words_and_cure, 0, ARRAY_LEN(rows));
    tcase_add_loop_test(tcase, a_document_is_an_error_or_not, 0, ARRAY_LEN(documents));
    tcase_add_test(tcase, a_long_message_does_not_flood_the_log);
    tcase_add_loop_test(tcase, a_class_that_is_not_taken_is_named, 0, ARRAY_LEN(class_codes));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
