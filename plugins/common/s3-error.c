/* SPDX-License-Identifier: PostgreSQL
 *
 * What a server's refusal means: a code that says what pgcask may do, words that say what happened, and the cure.
 * The codes are those of the Amazon S3 API reference, "Error responses", and what other servers were seen to send.
 */
#include "config.h"

#include "common/s3.h"

#include "common/aws-xml.h"
#include "common/s3-options.h"

#include <string.h>
#include <time.h>

struct meaning {
    const char *code; /* NULL: any */
    long status;      /* 0: any */
    int answer;
    const char *words; /* NULL: the server's own */
    const char *cure;  /* NULL: none */
};

static const char cure_rights[] =
    "the policy of this user and of the bucket must allow s3:PutObject, s3:GetObject, s3:ListBucket, s3:DeleteObject, "
    "s3:AbortMultipartUpload, s3:ListMultipartUploadParts and s3:ListBucketMultipartUploads for this bucket and prefix, "
    "s3:PutObjectTagging with tags, s3:PutObjectRetention with object_lock, s3:GetLifecycleConfiguration and "
    "s3:PutLifecycleConfiguration with transition";

/* The first row that fits counts. */
static const struct meaning meanings[] = {
    { "NoSuchKey", 0, PGCASK_NOT_FOUND, "there is no such object", NULL },
    { "NoSuchBucket", 0, PGCASK_FAILED, "there is no such bucket", "create the bucket, or correct bucket, endpoint or region" },
    { "NoSuchUpload", 0, PGCASK_NOT_FOUND, "the upload is gone", "did a lifecycle rule or another program abort it?" },
    { "AccessDenied", 0, PGCASK_FAILED, "access denied", cure_rights },
    { "AllAccessDisabled", 0, PGCASK_FAILED, "access denied", "the account or bucket is closed: ask its owner" },
    { "AccountProblem", 0, PGCASK_FAILED, NULL, "ask the provider: the account has a problem, such as an unpaid bill" },
    { "InvalidAccessKeyId", 0, PGCASK_FAILED, "the server does not know the access key",
      "is it the key of this server, and is it still active?" },
    { "SignatureDoesNotMatch", 0, PGCASK_FAILED, "the secret key does not fit the access key",
      "look for a cut or exchanged secret key, and for a proxy that changes requests" },
    { "InvalidToken", 0, PGCASK_FAILED, "the session token is not valid", "give a token only with the temporary keys it belongs to" },
    { "ExpiredToken", 0, PGCASK_RETRY, "the temporary keys have expired",
      "fetch new ones; keys from a profile's credential_process, a role or a web identity are renewed by pgcask itself" },
    { "TokenRefreshRequired", 0, PGCASK_RETRY, "the temporary keys have expired", NULL },
    { "RequestTimeTooSkewed", 0, PGCASK_FAILED, "the clocks of this host and of the server differ too much", NULL },
    { "RequestExpired", 0, PGCASK_FAILED, "the clocks of this host and of the server differ too much", NULL },
    { "AuthorizationHeaderMalformed", 0, PGCASK_FAILED, "the request was signed for a wrong region", NULL },
    { "PermanentRedirect", 0, PGCASK_FAILED, "the bucket is in another region", NULL },
    { "TemporaryRedirect", 0, PGCASK_RETRY, "the bucket is just being moved", NULL },
    { "IllegalLocationConstraintException", 0, PGCASK_FAILED, "the bucket is in another region", NULL },
    { "RestoreAlreadyInProgress", 0, PGCASK_COLD, "it is being thawed already", NULL },
    { "GlacierExpeditedRetrievalNotAvailable", 0, PGCASK_FAILED, "there is no capacity for expedited thawing now",
      "use the tier standard" },
    { "InvalidObjectState", 0, PGCASK_COLD, "the object is in cold storage", "it must be thawed first: pgcask thaw" },
    { "PreconditionFailed", 0, PGCASK_EXISTS, "an object of that key is there already", NULL },
    { "ConditionalRequestConflict", 0, PGCASK_RETRY, "somebody else writes the same key", NULL },
    { "OperationAborted", 0, PGCASK_RETRY, "somebody else changes the same", NULL },
    { "NotImplemented", 0, PGCASK_UNSUPPORTED, "the server cannot do that", NULL },
    { "BadDigest", 0, PGCASK_RETRY, "the bytes were damaged on their way", NULL },
    { "InvalidDigest", 0, PGCASK_RETRY, "the bytes were damaged on their way", NULL },
    { "XAmzContentSHA256Mismatch", 0, PGCASK_RETRY, "the bytes were damaged on their way", NULL },
    { "XAmzContentChecksumMismatch", 0, PGCASK_RETRY, "the bytes were damaged on their way", NULL },
    { "IncompleteBody", 0, PGCASK_RETRY, "the body was cut short on its way", NULL },
    { "RequestTimeout", 0, PGCASK_RETRY, "the server waited too long for the request", NULL },
    { "QuotaExceeded", 0, PGCASK_FAILED, "the quota of the bucket or user is used up",
      "free space there, or have the quota raised" },
    { "InsufficientCapacity", 0, PGCASK_FAILED, "the server is full", "free space there" },
    { "InvalidStorageClass", 0, PGCASK_FAILED, "the server does not know the storage class",
      "name one that this server has: storage_class in [store …]" },
    { "InvalidRange", 0, PGCASK_FAILED, "the object ends before that", NULL },
    { "EntityTooSmall", 0, PGCASK_FAILED, "a part is smaller than the server takes", "set a larger part_size" },
    { "EntityTooLarge", 0, PGCASK_FAILED, "a part or object is larger than the server takes", "set a smaller part_size" },
    { "KMS.NotFoundException", 0, PGCASK_FAILED, "the KMS key is not there", "correct sse_kms_key" },
    { "KMS.DisabledException", 0, PGCASK_FAILED, "the KMS key is disabled", "enable it, or name another in sse_kms_key" },
    { "InvalidRequest", 0, PGCASK_FAILED, NULL, NULL },
    { NULL, 404, PGCASK_NOT_FOUND, "there is no such object", NULL },
    { NULL, 408, PGCASK_RETRY, "the server waited too long for the request", NULL },
    { NULL, 412, PGCASK_EXISTS, "an object of that key is there already", NULL },
    { NULL, 416, PGCASK_FAILED, "the object ends before that", NULL },
    { NULL, 429, PGCASK_RETRY, "the server asks us to slow down", NULL },
    { "SlowDown", 0, PGCASK_RETRY, "the server asks us to slow down", NULL },
    { NULL, 501, PGCASK_UNSUPPORTED, "the server cannot do that", NULL },
    { NULL, 507, PGCASK_FAILED, "the server is full", "free space there" },
    { "InternalError", 0, PGCASK_RETRY, "the server has an internal error", NULL },
    { NULL, 500, PGCASK_RETRY, "the server has an internal error", NULL },
    { NULL, 502, PGCASK_RETRY, "the server is not to be reached behind its gateway", NULL },
    { "ServiceUnavailable", 0, PGCASK_RETRY, "the server is not available", NULL },
    { NULL, 503, PGCASK_RETRY, "the server is not available", NULL },
    { NULL, 504, PGCASK_RETRY, "the server is not to be reached behind its gateway", NULL },
    { NULL, 0, PGCASK_FAILED, NULL, NULL },
};

/* ---- the document ---- */

static int
error_element(void *ctx, const char *path, const char *text)
{
    struct s3_error *error = ctx;
    const struct {
        const char *path;
        char **field;
    } fields[] = {
        { "Error/Code", &error->code },
        { "Error/Message", &error->message },
        { "Error/Region", &error->region },
        { "Error/Key", &error->key },
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(path, fields[i].path) == 0) {
            free(*fields[i].field);
            *fields[i].field = plain_strdup(text);
        }
    return 0;
}

int
s3_error_read(const char *body, size_t len, struct s3_error *ret_error)
{
    struct s3_error error = { plain_strdup(""), plain_strdup(""), plain_strdup(""), plain_strdup("") };
    const struct xml_reader reader = { .end = error_element, .ctx = &error };

    /* a refusal may come from something between us and the server, in any form */
    if (memmem(body, len, "<Error", 6) == NULL || xml_read("the server's error", body, len, &reader) < 0 || *error.code == '\0') {
        s3_error_free(&error);
        return 0;
    }
    *ret_error = error;
    return 1;
}

void
s3_error_free(struct s3_error *error)
{
    free(error->code);
    free(error->message);
    free(error->region);
    free(error->key);
    *error = (struct s3_error){ 0 };
}

/* ---- telling ---- */

static const struct meaning *
meaning_of(const char *code, long status)
{
    const struct meaning *meaning = meanings;

    for (;; meaning++) {
        bool fits = (meaning->code == NULL || strcmp(meaning->code, code) == 0) &&
                    (meaning->status == 0 || meaning->status == status);

        if (fits)
            return meaning;
    }
}

static struct s3_error
no_error(void)
{
    return (struct s3_error){ plain_strdup(""), plain_strdup(""), plain_strdup(""), plain_strdup("") };
}

/* HEAD answers without a body: the same question as a listing has one. What the server says, "" when it has no objection. */
static struct s3_error
ask_again(struct s3 *s3, const struct s3_request *request, struct http_answer *ret_answer)
{
    const struct s3_query query[] = { { "list-type", "2" }, { "max-keys", "1" }, { "prefix", s3->prefix }, { NULL, NULL } };
    const struct s3_request again = { .method = "GET", .query = query, .limit = S3_XML_LIMIT_BYTES, .what = request->what };
    struct s3_error error;

    if (s3_exchange(s3, &again, ret_answer) < 0)
        return no_error();
    if (s3_error_read(ret_answer->body, ret_answer->body_len, &error) == 1)
        return error;
    if (ret_answer->status == 200)
        s3_known_set(s3, &s3->bucket, S3_YES);
    return no_error();
}

/* What stands behind a HEAD's status; anything else without a body stays as it is. */
static struct s3_error
guess_error(struct s3 *s3, const struct s3_request *request, const struct http_answer *answer, struct http_answer *ret_second)
{
    /* 404 without a body may also mean the bucket: one that was never seen is asked for */
    bool head = strcmp(request->method, "HEAD") == 0 && answer->status < 500 &&
                (answer->status != 404 || s3_known_get(s3, &s3->bucket) == S3_UNKNOWN);
    struct s3_error error = head ? ask_again(s3, request, ret_second) : no_error();

    if (head && answer->status == 404 && strcmp(error.code, "NoSuchBucket") != 0) {
        s3_error_free(&error); /* such as of somebody who may not list: it was the object */
        return no_error();
    }
    if (head && *error.code == '\0' && answer->status == 403) {
        free(error.code);
        error.code = plain_strdup("AccessDenied");
    }
    return error;
}

/* It becomes part of a host's name, and comes from a server. */
bool
s3_is_region(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= 40 && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

/* A region differs: learn it when the admin left it to us, tell otherwise. */
static int
tell_region(struct s3 *s3, const char *region)
{
    CLEANUP_FREE char *used = NULL;
    bool learned;

    (void)pthread_mutex_lock(&s3->lock);
    used = plain_strdup(s3->region);
    learned = s3->region_learned;
    (void)pthread_mutex_unlock(&s3->lock);
    if (learned && strcmp(used, region) == 0)
        return PGCASK_RETRY; /* by another request, while this one was on its way */
    if (!s3_is_region(region)) {
        pgcask_hint("region is '%s' here: set region in [store …] to that of bucket '%s'", used, s3->settings->bucket);
        return PGCASK_FAILED;
    }
    if (s3->region_given || strcmp(used, region) == 0) {
        pgcask_hint("region is '%s' here, the bucket '%s' is in '%s': set region = %s", used, s3->settings->bucket, region,
                    region);
        return PGCASK_FAILED;
    }
    pgcask_debug("bucket '%s' is in region '%s'", s3->settings->bucket, region);
    s3_region_learn(s3, region);
    return PGCASK_RETRY;
}

static void
tell_skew(const struct http_answer *answer)
{
    char now[32];
    time_t now_s = time(NULL);
    struct tm tm;
    const char *theirs = http_answer_header(answer, "date");

    (void)gmtime_r(&now_s, &tm);
    (void)strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
    pgcask_hint("it is %s here and '%s' there: have the clock set by NTP", now, theirs ? theirs : "unknown");
}

static void
tell_key(struct s3 *s3)
{
    struct aws_keys keys;

    if (aws_credentials_get(s3->credentials, &keys) < 0)
        return;
    pgcask_hint("the access key is '%s', from %s: is it the key of this server, still active, with its own secret key?",
                keys.access_key, keys.source);
    aws_keys_free(&keys);
}

static bool
is_one_of(const char *code, const char *const *codes)
{
    for (; *codes != NULL; codes++)
        if (strcmp(code, *codes) == 0)
            return true;
    return false;
}

/* `second` is of the question asked again; without headers: it was not. */
static int
tell_cure(struct s3 *s3, const struct meaning *meaning, const struct s3_error *error, const struct http_answer *answer,
          const struct http_answer *second)
{
    static const char *const region_codes[] = { "AuthorizationHeaderMalformed", "PermanentRedirect",
                                                "IllegalLocationConstraintException", NULL };
    static const char *const key_codes[] = { "InvalidAccessKeyId", "SignatureDoesNotMatch", NULL };
    const char *region = http_answer_header(answer, "x-amz-bucket-region");
    const char *code = meaning->code ? meaning->code : "";

    if (region == NULL)
        region = http_answer_header(second, "x-amz-bucket-region");
    if (is_one_of(code, region_codes) || answer->status == 301)
        return tell_region(s3, region != NULL ? region : error->region);
    if (is_one_of(code, key_codes))
        tell_key(s3);
    else if (strncmp(code, "RequestTime", 11) == 0 && meaning->answer == PGCASK_FAILED)
        tell_skew(answer);
    else if (meaning->cure != NULL)
        pgcask_hint("%s", meaning->cure);
    return meaning->answer;
}

int
s3_error_tell(struct s3 *s3, const struct s3_request *request, const struct http_answer *answer)
{
    struct s3_error error = { 0 };
    struct http_answer second = { 0 };
    bool read = s3_error_read(answer->body, answer->body_len, &error) == 1;
    const struct meaning *meaning;
    CLEANUP_FREE char *whose = request->key != NULL ? plain_printf("'%s'", request->key) :
                                                      plain_printf("bucket '%s'", s3->settings->bucket);
    int rc;

    if (!read)
        error = guess_error(s3, request, answer, &second);
    if (strcmp(error.code, "NoSuchBucket") == 0) {
        free(whose);
        whose = plain_printf("bucket '%s'", s3->settings->bucket);
    }
    meaning = meaning_of(error.code, answer->status);
    pgcask_error("%s %s: %s%s(%s %ld%s%s%s%s)", request->what, whose, meaning->words ? meaning->words : "the server refuses",
                 " ", "status", answer->status, *error.code ? " " : "", error.code, *error.message ? ": " : "", error.message);
    rc = tell_cure(s3, meaning, &error, answer, &second);
    if (answer->status == 400 && s3->cold_class != NULL &&
        (strcmp(error.code, "InvalidArgument") == 0 || strcmp(error.code, "InvalidStorageClass") == 0))
        pgcask_hint("the server does not take storage class '%s' at upload: correct it, or, where objects get there by "
                    "lifecycle rules only, use the glacier plugin with transition = after 1d", s3->cold_class);
    http_answer_free(&second);
    s3_error_free(&error);
    return rc;
}
