/* SPDX-License-Identifier: PostgreSQL
 *
 * Writing an object so that nothing is ever overwritten and nothing is believed that the server did not confirm:
 *
 *   what fits one part    PUT with If-None-Match: *, or a look before it where the server does not know that
 *   all else              CreateMultipartUpload, UploadPart …, a look, CompleteMultipartUpload
 *
 * The server checks each body: by its SHA-256 in the signature, by Content-MD5, or by x-amz-checksum-crc32. Then the
 * entity tag or checksum that it tells is compared with ours.
 */
#include "config.h"

#include "common/s3.h"

#include "common/aws-sign.h"
#include "common/aws-xml.h"
#include "common/s3-body.h"
#include "common/s3-options.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PUT_HEADERS_MAX = 16, UNSURE_MAX = 1000 };

struct part {
    char *etag;
    char crc32[S3_CRC_TEXT];
    uint32_t crc;
    size_t size;
};

struct upload {
    char *key, *id;
    bool hot;
    pthread_mutex_t lock; /* for parts; a leaf */
    struct part *parts;   /* by number - 1 */
    size_t part_count;    /* highest number seen */
    bool asked;           /* to complete, and the answer was lost: it may have been done */
};

int
s3_part_limits(void *handle, struct pgcask_limits *limits)
{
    const struct s3 *s3 = handle;

    pgcask_limits_set(limits, (uint64_t)S3_PART_MIN, (uint64_t)s3->settings->part_size, (uint64_t)S3_PART_MAX, S3_PARTS_MAX);
    return 0;
}

/* ---- headers ---- */

/* A growing list of headers; ends with NULL. */
struct headers {
    char *items[PUT_HEADERS_MAX + 1];
    size_t count;
};

static void
headers_free(struct headers *headers)
{
    for (size_t i = 0; i < headers->count; i++)
        free(headers->items[i]);
}

/* `header` becomes ours. */
static void
headers_add(struct headers *headers, char *header)
{
    if (headers->count < PUT_HEADERS_MAX)
        headers->items[headers->count++] = header;
    else
        free(header);
}

static char *
lock_until(const struct s3_settings *settings)
{
    time_t until_s = time(NULL) + (time_t)(settings->object_lock_ms / 1000);
    char text[32];
    struct tm tm;

    (void)gmtime_r(&until_s, &tm);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return plain_printf("x-amz-object-lock-retain-until-date: %s", text);
}

/* What an object is created with: once, by the PUT or by CreateMultipartUpload. */
static void
headers_create(const struct s3 *s3, bool hot, struct headers *headers)
{
    const struct s3_settings *settings = s3->settings;
    bool kms = strcmp(settings->sse, "kms") == 0;

    headers_add(headers, plain_strdup("content-type: application/octet-stream"));
    if (!hot && s3->cold_class != NULL)
        headers_add(headers, plain_printf("x-amz-storage-class: %s", s3->cold_class));
    if (!hot && s3->tagging != NULL)
        headers_add(headers, plain_printf("x-amz-tagging: %s", s3->tagging));
    if (strcmp(settings->sse, "none") != 0)
        headers_add(headers, plain_printf("x-amz-server-side-encryption: %s", kms ? "aws:kms" : "AES256"));
    if (settings->sse_kms_key != NULL)
        headers_add(headers, plain_printf("x-amz-server-side-encryption-aws-kms-key-id: %s", settings->sse_kms_key));
    if (strcmp(settings->object_lock, "none") != 0) {
        bool governance = strcmp(settings->object_lock, "governance") == 0;

        headers_add(headers, plain_printf("x-amz-object-lock-mode: %s", governance ? "GOVERNANCE" : "COMPLIANCE"));
        headers_add(headers, lock_until(settings));
    }
}

/* Encryption that was asked for and silently left out would be found out by an auditor. */
static int
check_encrypted(const struct s3 *s3, const struct http_answer *answer)
{
    if (strcmp(s3->settings->sse, "none") == 0 || http_answer_header(answer, "x-amz-server-side-encryption") != NULL)
        return 0;
    pgcask_error("the server does not confirm the encryption asked for by sse = %s", s3->settings->sse);
    pgcask_hint("it has none, or does not say so: leave sse away (pgcask encrypts by itself), or have it set up there");
    return PGCASK_FAILED;
}

/* What the server is to check the body with. */
static void
headers_body(struct s3 *s3, const struct s3_body *body, struct headers *headers)
{
    enum s3_known checksums = s3_known_get(s3, &s3->checksums);

    if (checksums != S3_NO) {
        headers_add(headers, plain_printf("x-amz-checksum-crc32: %s", body->crc32));
        headers_add(headers, plain_strdup("x-amz-sdk-checksum-algorithm: CRC32"));
    }
    if (*body->md5 != '\0')
        headers_add(headers, plain_printf("content-md5: %s", body->md5));
}

/* Only one that has the body's checksum in its answer has looked at it. */
static bool
body_needs_md5(struct s3 *s3)
{
    return s3_known_get(s3, &s3->checksums) != S3_YES && !s3->sign_payload;
}

/* The entity tag is the MD5 of another body. Encrypted with KMS it has the form of one, and is none. */
static bool
is_other_md5(const struct s3 *s3, const struct s3_body *body, const struct http_answer *answer)
{
    const char *etag = http_answer_header(answer, "etag");
    const char *sse = http_answer_header(answer, "x-amz-server-side-encryption");

    if (*body->md5_hex == '\0' || etag == NULL || !s3_etag_is_md5(etag))
        return false;
    if (strcmp(s3->settings->sse, "kms") == 0 || (sse != NULL && strncmp(sse, "aws:kms", 7) == 0))
        return false;
    return strncmp(etag + (*etag == '"'), body->md5_hex, S3_MD5_HEX_TEXT - 1) != 0;
}

/* Compare what the server says of a body with what we sent; learn whether it knows checksums. */
static int
check_stored(struct s3 *s3, const char *key, const struct s3_body *body, const struct http_answer *answer)
{
    const char *crc32 = http_answer_header(answer, "x-amz-checksum-crc32");

    s3_known_set(s3, &s3->checksums, crc32 != NULL ? S3_YES : S3_NO);
    if (crc32 != NULL && strcmp(crc32, body->crc32) != 0) {
        pgcask_error("'%s': the server stored a body with CRC-32 %s, %s was sent", key, crc32, body->crc32);
        return PGCASK_RETRY;
    }
    if (crc32 == NULL && is_other_md5(s3, body, answer)) {
        pgcask_error("'%s': the server stored a body with entity tag %s, MD5 %s was sent", key,
                     http_answer_header(answer, "etag"), body->md5_hex);
        return PGCASK_RETRY;
    }
    if (crc32 == NULL && *body->md5 == '\0' && !s3->sign_payload) {
        pgcask_error("'%s': the server does not confirm the checksum, and nothing else was sent to check the body with", key);
        pgcask_hint("it does not know checksum = crc32: use checksum = md5, or sign_payload = yes");
        return PGCASK_FAILED;
    }
    return 0;
}

/* ---- is the key taken? ---- */

/* Keys whose PUT got no answer: the object that is there may be ours. */
static void
unsure_add(struct s3 *s3, const char *key)
{
    (void)pthread_mutex_lock(&s3->lock);
    if (s3->unsure_count < UNSURE_MAX) {
        s3->unsure = plain_realloc_array(s3->unsure, s3->unsure_count + 1, sizeof *s3->unsure);
        s3->unsure[s3->unsure_count++] = plain_strdup(key);
    }
    (void)pthread_mutex_unlock(&s3->lock);
}

static bool
unsure_take(struct s3 *s3, const char *key)
{
    bool found = false;

    (void)pthread_mutex_lock(&s3->lock);
    for (size_t i = 0; i < s3->unsure_count && !found; i++)
        if (strcmp(s3->unsure[i], key) == 0) {
            free(s3->unsure[i]);
            s3->unsure[i] = s3->unsure[--s3->unsure_count];
            found = true;
        }
    (void)pthread_mutex_unlock(&s3->lock);
    return found;
}

/* 0 when the object that is there has these bytes: by checksum, or by an entity tag that is an MD5 ("" is none). */
static int
same_object(struct s3 *s3, const char *key, uint64_t size, const char *crc32, const char *etag)
{
    struct s3_head head;
    bool same;
    int rc = s3_head(s3, key, &head);

    if (rc == PGCASK_NOT_FOUND) {
        pgcask_error("'%s' was there or about to be, and is not", key);
        return PGCASK_RETRY;
    }
    if (rc < 0)
        return rc;
    same = head.size == size && ((*head.crc32 != '\0' && strcmp(head.crc32, crc32) == 0) ||
                                 (*etag != '\0' && strcmp(head.etag, etag) == 0));
    s3_head_free(&head);
    if (same)
        return 0;
    pgcask_error("'%s' is there already, with other contents", key);
    return PGCASK_EXISTS;
}

/* PGCASK_EXISTS when there is an object, 0 when there is none. */
static int
check_free(struct s3 *s3, const char *key)
{
    struct s3_head head;
    int rc = s3_head(s3, key, &head);

    if (rc == PGCASK_NOT_FOUND)
        return 0;
    if (rc < 0)
        return rc;
    s3_head_free(&head);
    pgcask_error("'%s' is there already", key);
    return PGCASK_EXISTS;
}

/* ---- one PUT ---- */

/* Ceph takes the condition and does not look at it where the bucket keeps versions. */
static void
learn_guarded(struct s3 *s3, const struct http_answer *answer)
{
    const char *version = http_answer_header(answer, "x-amz-version-id");

    s3_known_set(s3, &s3->guarded, s3->amazon || version == NULL || strcmp(version, "null") == 0 ? S3_YES : S3_NO);
}

/* Take away an object that is not what it must be. */
static void
undo(struct s3 *s3, const char *key)
{
    const struct s3_request request = { .method = "DELETE", .key = key, .what = "removing" };
    struct http_answer answer;
    int rc = s3_exchange(s3, &request, &answer);

    if (rc < 0 || (answer.status >= 300 && answer.status != 404))
        pgcask_warn("'%s' is not what it must be, and could not be removed", key);
    if (rc == 0)
        http_answer_free(&answer);
}

static int
check_put(struct s3 *s3, const char *key, const struct s3_body *body, const struct http_answer *answer)
{
    int rc = check_encrypted(s3, answer);

    return rc < 0 ? rc : check_stored(s3, key, body, answer);
}

/* PGCASK_UNSUPPORTED: the server refused the condition, and knows no such thing. `resent` as in s3_request. */
static int
put_once(struct s3 *s3, const char *key, bool hot, const struct s3_body *body, bool conditional, bool *resent)
{
    struct headers headers = { 0 };
    struct s3_request request = {
        .method = "PUT", .key = key, .body = body->data, .body_size = body->size, .what = "writing", .resent = resent
    };
    struct http_answer answer;
    int rc;

    headers_create(s3, hot, &headers);
    headers_body(s3, body, &headers);
    if (conditional)
        headers_add(&headers, plain_strdup("if-none-match: *"));
    request.headers = (const char *const *)headers.items;
    rc = s3_send(s3, &request, &answer);
    headers_free(&headers);
    if (rc < 0)
        return rc;
    if (conditional)
        learn_guarded(s3, &answer);
    rc = check_put(s3, key, body, &answer);
    if (rc < 0) {
        undo(s3, key);
        rc = check_put(s3, key, body, &answer); /* its text once more: undo may have left another */
    }
    http_answer_free(&answer);
    return rc;
}

int
s3_put_object(void *handle, const struct pgcask_put *put, const void *data, size_t size)
{
    struct s3 *s3 = handle;
    const char *key = pgcask_put_key(put);
    bool hot = pgcask_put_is_hot(put) != 0, unsure = unsure_take(s3, key);
    bool conditional = s3_known_get(s3, &s3->conditional) != S3_NO;
    bool look = !conditional || s3_known_get(s3, &s3->guarded) != S3_YES;
    struct s3_body body;
    int rc = 0;

    s3_body_digest(data, size, body_needs_md5(s3), &body);
    if (look)
        rc = check_free(s3, key);
    if (rc == 0)
        rc = put_once(s3, key, hot, &body, conditional, &unsure);
    if (rc == PGCASK_UNSUPPORTED && conditional) {
        rc = look ? 0 : check_free(s3, key);
        if (rc == 0)
            rc = put_once(s3, key, hot, &body, false, &unsure);
        if (rc == 0) /* else it was something else that the server cannot do */
            s3_known_set(s3, &s3->conditional, S3_NO);
    }
    if (rc == PGCASK_EXISTS && unsure) {
        s3_body_digest(data, size, true, &body);
        rc = same_object(s3, key, size, body.crc32, body.md5_hex);
    }
    if (rc == PGCASK_RETRY)
        unsure_add(s3, key);
    return rc;
}

/* ---- parts ---- */

static int
create_element(void *ctx, const char *path, const char *text)
{
    char **id = ctx;

    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0) {
        free(*id);
        *id = plain_strdup(text);
    }
    return 0;
}

static void
upload_free(struct upload *upload)
{
    for (size_t i = 0; i < upload->part_count; i++)
        free(upload->parts[i].etag);
    (void)pthread_mutex_destroy(&upload->lock);
    free(upload->parts);
    free(upload->key);
    free(upload->id);
    free(upload);
}

int
s3_put_begin(void *handle, const struct pgcask_put *put, void **ret_upload)
{
    static const struct s3_query query[] = { { "uploads", NULL }, { NULL, NULL } };
    struct s3 *s3 = handle;
    struct headers headers = { 0 };
    CLEANUP_FREE char *id = NULL;
    struct s3_request request = { .method = "POST", .key = pgcask_put_key(put), .query = query, .what = "beginning to write" };
    const struct xml_reader reader = { .end = create_element, .ctx = &id };
    struct http_answer answer;
    struct upload *upload;
    int rc;

    headers_create(s3, pgcask_put_is_hot(put) != 0, &headers);
    if (s3_known_get(s3, &s3->checksums) != S3_NO) {
        headers_add(&headers, plain_strdup("x-amz-checksum-algorithm: CRC32"));
        headers_add(&headers, plain_strdup("x-amz-checksum-type: FULL_OBJECT"));
    }
    request.headers = (const char *const *)headers.items;
    rc = s3_send(s3, &request, &answer);
    headers_free(&headers);
    if (rc < 0)
        return rc;
    rc = check_encrypted(s3, &answer);
    if (rc == 0)
        rc = xml_read("the answer to CreateMultipartUpload", answer.body, answer.body_len, &reader);
    if (rc == 0 && (id == NULL || *id == '\0')) {
        pgcask_error("'%s': the server gave no upload id", request.key);
        rc = PGCASK_FAILED;
    }
    http_answer_free(&answer);
    if (rc < 0)
        return rc; /* an upload that was begun is swept later */
    upload = plain_zalloc(sizeof *upload);
    upload->key = plain_strdup(request.key);
    upload->id = STEAL(id);
    upload->hot = pgcask_put_is_hot(put) != 0;
    (void)pthread_mutex_init(&upload->lock, NULL);
    *ret_upload = upload;
    return 0;
}

static void
upload_keep(struct upload *upload, uint32_t number, const struct s3_body *body, const char *etag)
{
    struct part *part;

    (void)pthread_mutex_lock(&upload->lock);
    if (number > upload->part_count) {
        upload->parts = plain_realloc_array(upload->parts, number, sizeof *upload->parts);
        memset(upload->parts + upload->part_count, 0, (number - upload->part_count) * sizeof *upload->parts);
        upload->part_count = number;
    }
    part = &upload->parts[number - 1];
    free(part->etag);
    part->etag = plain_strdup(etag);
    part->crc = body->crc;
    part->size = body->size;
    memcpy(part->crc32, body->crc32, sizeof part->crc32);
    (void)pthread_mutex_unlock(&upload->lock);
}

/* It is sent back in XML. */
static bool
is_etag(const char *text)
{
    size_t len = 0;

    while (text != NULL && text[len] >= 0x20 && text[len] < 0x7f)
        len++;
    return len > 0 && len <= 100 && text[len] == '\0';
}

/* An upload that is not there is no missing object. */
static int
upload_gone(int rc)
{
    return rc == PGCASK_NOT_FOUND ? PGCASK_FAILED : rc;
}

int
s3_put_part(void *handle, void *ctx, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    struct s3 *s3 = handle;
    struct upload *upload = ctx;
    CLEANUP_FREE char *text = plain_printf("%u", number), *what = plain_printf("writing part %u of", number);
    const struct s3_query query[] = { { "partNumber", text }, { "uploadId", upload->id }, { NULL, NULL } };
    struct s3_request request = {
        .method = "PUT", .key = upload->key, .query = query, .body = data, .body_size = size, .what = what
    };
    struct headers headers = { 0 };
    struct http_answer answer;
    struct s3_body body;
    const char *etag;
    int rc;

    (void)offset;
    s3_body_digest(data, size, body_needs_md5(s3), &body);
    headers_body(s3, &body, &headers);
    request.headers = (const char *const *)headers.items;
    rc = s3_send(s3, &request, &answer);
    headers_free(&headers);
    if (rc < 0)
        return upload_gone(rc);
    rc = check_stored(s3, upload->key, &body, &answer);
    etag = http_answer_header(&answer, "etag");
    if (rc == 0 && !is_etag(etag)) {
        pgcask_error("'%s': the server gave part %u no entity tag", upload->key, number);
        rc = PGCASK_FAILED;
    }
    if (rc == 0)
        upload_keep(upload, number, &body, etag);
    http_answer_free(&answer);
    return rc;
}

static int
abort_upload(struct s3 *s3, const char *key, const char *id)
{
    const struct s3_query query[] = { { "uploadId", id }, { NULL, NULL } };
    const struct s3_request request = { .method = "DELETE", .key = key, .query = query, .what = "giving up" };
    struct http_answer answer;
    int rc = s3_exchange(s3, &request, &answer);

    if (rc < 0)
        return rc;
    if (answer.status >= 300 && answer.status != 404) /* aborted twice, or completed: there is none */
        rc = s3_error_tell(s3, &request, &answer);
    http_answer_free(&answer);
    return rc;
}

int
s3_put_abort(void *handle, void *ctx)
{
    struct upload *upload = ctx;
    int rc = abort_upload(handle, upload->key, upload->id);

    upload_free(upload);
    return rc;
}

/* ---- putting the parts together ---- */

/* <CompleteMultipartUpload>; owned by the caller. */
static char *
complete_text(const struct upload *upload, bool checksums)
{
    size_t room = 256 + upload->part_count * 1024, used;
    char *text = plain_zalloc(room);

    used = (size_t)snprintf(text, room, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (size_t i = 0; i < upload->part_count; i++) {
        const struct part *part = &upload->parts[i];
        CLEANUP_FREE char *etag = xml_escape(part->etag);

        used += (size_t)snprintf(text + used, room - used, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag>%s%s%s</Part>",
                                 i + 1, etag, checksums ? "<ChecksumCRC32>" : "", checksums ? part->crc32 : "",
                                 checksums ? "</ChecksumCRC32>" : "");
    }
    (void)snprintf(text + used, room - used, "</CompleteMultipartUpload>");
    return text;
}

/* The whole object's CRC-32 from those of its parts, and the entity tag that S3 makes of theirs ("" when they are no MD5s). */
static void
complete_digest(const struct upload *upload, struct s3_whole *ret_whole)
{
    s3_whole_begin(ret_whole);
    for (size_t i = 0; i < upload->part_count; i++)
        s3_whole_add(ret_whole, upload->parts[i].crc, upload->parts[i].size, upload->parts[i].etag);
    s3_whole_end(ret_whole);
}

struct completed {
    char *etag, *crc32;
};

static int
complete_element(void *ctx, const char *path, const char *text)
{
    struct completed *completed = ctx;
    char **field = NULL;

    if (strcmp(path, "CompleteMultipartUploadResult/ETag") == 0)
        field = &completed->etag;
    else if (strcmp(path, "CompleteMultipartUploadResult/ChecksumCRC32") == 0)
        field = &completed->crc32;
    if (field != NULL) {
        free(*field);
        *field = plain_strdup(text);
    }
    return 0;
}

/* The answer must be one that says "done", and must not contradict what was sent. */
static int
complete_check(const struct upload *upload, const struct http_answer *answer, const struct s3_whole *whole)
{
    struct completed completed = { 0 };
    const struct xml_reader reader = { .end = complete_element, .ctx = &completed };
    int rc = xml_read("the answer to CompleteMultipartUpload", answer->body, answer->body_len, &reader);

    if (rc < 0)
        rc = PGCASK_RETRY; /* cut short: a second try finds out what became of it */
    else if (completed.etag == NULL) {
        pgcask_error("'%s': the server does not say that it put the parts together", upload->key);
        rc = PGCASK_RETRY;
    } else if (completed.crc32 != NULL && strchr(completed.crc32, '-') == NULL && strcmp(completed.crc32, whole->crc32) != 0) {
        pgcask_error("'%s': the parts put together have CRC-32 %s, wanted %s", upload->key, completed.crc32, whole->crc32);
        rc = PGCASK_FAILED;
    }
    free(completed.etag);
    free(completed.crc32);
    return rc;
}

static int
complete_send(struct s3 *s3, struct upload *upload, const struct s3_whole *whole)
{
    bool checksums = s3_known_get(s3, &s3->checksums) == S3_YES;
    CLEANUP_FREE char *text = complete_text(upload, checksums);
    CLEANUP_FREE char *crc32 = plain_printf("x-amz-checksum-crc32: %s", whole->crc32);
    const char *const headers[] = { "content-type: application/xml", "if-none-match: *",
                                    checksums ? "x-amz-checksum-type: FULL_OBJECT" : NULL, crc32, NULL };
    const struct s3_query query[] = { { "uploadId", upload->id }, { NULL, NULL } };
    const struct s3_request request = {
        .method = "POST",
        .key = upload->key,
        .query = query,
        .headers = s3_known_get(s3, &s3->conditional) == S3_NO ? headers + 2 : headers,
        .body = text,
        .body_size = strlen(text),
        .what = "completing",
        .resent = &upload->asked,
    };
    struct http_answer answer;
    int rc = s3_send(s3, &request, &answer);

    if (rc < 0)
        return rc;
    rc = complete_check(upload, &answer, whole);
    if (rc == PGCASK_FAILED) {
        undo(s3, upload->key);
        rc = complete_check(upload, &answer, whole); /* its text once more: undo may have left another */
    }
    http_answer_free(&answer);
    return rc;
}

/* No part at all: an empty object. */
static int
complete_empty(struct s3 *s3, struct upload *upload)
{
    struct s3_body body;
    int rc = check_free(s3, upload->key);

    s3_body_digest("", 0, true, &body);
    if (rc == 0)
        rc = put_once(s3, upload->key, upload->hot, &body, false, &upload->asked);
    if (rc == PGCASK_EXISTS && upload->asked)
        rc = same_object(s3, upload->key, 0, body.crc32, body.md5_hex);
    if (rc == 0 && abort_upload(s3, upload->key, upload->id) < 0)
        pgcask_warn("'%s' is written, but its upload stays until it is swept", upload->key);
    return rc;
}

int
s3_put_commit(void *handle, void *ctx, uint64_t size)
{
    struct s3 *s3 = handle;
    struct upload *upload = ctx;
    struct s3_whole whole;
    int rc;

    if (upload->part_count == 0)
        rc = complete_empty(s3, upload);
    else {
        complete_digest(upload, &whole);
        /* Several servers ignore the condition of a completion, so a look comes before it. */
        rc = check_free(s3, upload->key);
        if (rc == 0)
            rc = complete_send(s3, upload, &whole);
        /* The first of two tries may have done it although its answer was lost: then the key is taken, or the upload gone. */
        if ((rc == PGCASK_EXISTS || rc == PGCASK_NOT_FOUND) && upload->asked)
            rc = same_object(s3, upload->key, size, whole.crc32, whole.etag);
        rc = upload_gone(rc);
    }
    if (rc == PGCASK_RETRY)
        upload->asked = true;
    if (rc == 0)
        upload_free(upload);
    return rc;
}
