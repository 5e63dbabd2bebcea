/* SPDX-License-Identifier: PostgreSQL
 *
 * Writing an object so that nothing is ever overwritten and nothing is believed that the server did not confirm:
 *
 *   what fits one part    a look, then PUT with If-None-Match: * (Amazon needs no look)
 *   all else, s3-parts.c  CreateMultipartUpload, UploadPart …, a look, CompleteMultipartUpload
 *
 * The server checks each body: by its SHA-256 in the signature, by Content-MD5, or by x-amz-checksum-crc32. Then the
 * entity tag or checksum that it tells is compared with ours.
 */
#include "config.h"

#include "common/s3.h"

#include "common/s3-options.h"
#include "common/s3-put.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { UNSURE_MAX = 1000 };

int
s3_part_limits(void *handle, struct pgcask_limits *limits)
{
    const struct s3 *s3 = handle;

    pgcask_limits_set(limits, (uint64_t)S3_PART_MIN, (uint64_t)s3->settings->part_size, (uint64_t)S3_PART_MAX, S3_PARTS_MAX);
    return 0;
}

/* ---- headers ---- */

void
s3_headers_free(struct s3_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++)
        free(headers->items[i]);
}

/* `header` becomes ours. */
void
s3_headers_add(struct s3_headers *headers, char *header)
{
    if (headers->count < S3_PUT_HEADERS_MAX)
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
void
s3_headers_create(const struct s3 *s3, bool hot, struct s3_headers *headers)
{
    const struct s3_settings *settings = s3->settings;
    bool kms = strcmp(settings->sse, "kms") == 0;

    s3_headers_add(headers, plain_strdup("content-type: application/octet-stream"));
    if (!hot && s3->cold_class != NULL)
        s3_headers_add(headers, plain_printf("x-amz-storage-class: %s", s3->cold_class));
    if (!hot && s3->tagging != NULL)
        s3_headers_add(headers, plain_printf("x-amz-tagging: %s", s3->tagging));
    if (strcmp(settings->sse, "none") != 0)
        s3_headers_add(headers, plain_printf("x-amz-server-side-encryption: %s", kms ? "aws:kms" : "AES256"));
    if (settings->sse_kms_key != NULL)
        s3_headers_add(headers, plain_printf("x-amz-server-side-encryption-aws-kms-key-id: %s", settings->sse_kms_key));
    if (strcmp(settings->object_lock, "none") != 0) {
        bool governance = strcmp(settings->object_lock, "governance") == 0;

        s3_headers_add(headers, plain_printf("x-amz-object-lock-mode: %s", governance ? "GOVERNANCE" : "COMPLIANCE"));
        s3_headers_add(headers, lock_until(settings));
    }
}

/* Encryption that was asked for and silently left out would be found out by an auditor. */
int
s3_check_encrypted(const struct s3 *s3, const struct http_answer *answer)
{
    if (strcmp(s3->settings->sse, "none") == 0 || http_answer_header(answer, "x-amz-server-side-encryption") != NULL)
        return 0;
    pgcask_error("the server does not confirm the encryption asked for by sse = %s", s3->settings->sse);
    pgcask_hint("it has none, or does not say so: leave sse away (pgcask encrypts by itself), or have it set up there");
    return PGCASK_FAILED;
}

/* What the server is to check the body with. */
void
s3_headers_body(struct s3 *s3, const struct s3_body *body, struct s3_headers *headers)
{
    enum s3_known checksums = s3_known_get(s3, &s3->checksums);

    if (checksums != S3_NO) {
        s3_headers_add(headers, plain_printf("x-amz-checksum-crc32: %s", body->crc32));
        s3_headers_add(headers, plain_strdup("x-amz-sdk-checksum-algorithm: CRC32"));
    }
    if (*body->md5 != '\0')
        s3_headers_add(headers, plain_printf("content-md5: %s", body->md5));
}

/* Only one that has the body's checksum in its answer has looked at it. */
bool
s3_body_needs_md5(struct s3 *s3)
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
int
s3_check_stored(struct s3 *s3, const char *key, const struct s3_body *body, const struct http_answer *answer)
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
int
s3_same_object(struct s3 *s3, const char *key, uint64_t size, const char *crc32, const char *etag)
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
int
s3_check_free(struct s3 *s3, const char *key)
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

/* Take away an object that is not what it must be. */
void
s3_undo(struct s3 *s3, const char *key)
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
    int rc = s3_check_encrypted(s3, answer);

    return rc < 0 ? rc : s3_check_stored(s3, key, body, answer);
}

/* PGCASK_UNSUPPORTED: the server refused the condition, and knows no such thing. `resent` as in s3_request. */
int
s3_put_once(struct s3 *s3, const char *key, bool hot, const struct s3_body *body, bool conditional, bool *resent)
{
    struct s3_headers headers = { 0 };
    struct s3_request request = {
        .method = "PUT", .key = key, .body = body->data, .body_size = body->size, .what = "writing", .resent = resent
    };
    struct http_answer answer;
    int rc;

    s3_headers_create(s3, hot, &headers);
    s3_headers_body(s3, body, &headers);
    if (conditional)
        s3_headers_add(&headers, plain_strdup("if-none-match: *"));
    request.headers = (const char *const *)headers.items;
    rc = s3_send(s3, &request, &answer);
    s3_headers_free(&headers);
    if (rc < 0)
        return rc;
    rc = check_put(s3, key, body, &answer);
    if (rc < 0) {
        s3_undo(s3, key);
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
    bool look = !conditional || !s3->guarded;
    struct s3_body body;
    int rc = 0;

    s3_body_digest(data, size, s3_body_needs_md5(s3), &body);
    if (look)
        rc = s3_check_free(s3, key);
    if (rc == 0)
        rc = s3_put_once(s3, key, hot, &body, conditional, &unsure);
    if (rc == PGCASK_UNSUPPORTED && conditional) {
        rc = look ? 0 : s3_check_free(s3, key);
        if (rc == 0)
            rc = s3_put_once(s3, key, hot, &body, false, &unsure);
        if (rc == 0) /* else it was something else that the server cannot do */
            s3_known_set(s3, &s3->conditional, S3_NO);
    }
    if (rc == PGCASK_EXISTS && unsure) {
        s3_body_digest(data, size, true, &body);
        rc = s3_same_object(s3, key, size, body.crc32, body.md5_hex);
    }
    if (rc == PGCASK_RETRY)
        unsure_add(s3, key);
    return rc;
}
