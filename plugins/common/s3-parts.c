/* SPDX-License-Identifier: PostgreSQL
 *
 * Writing an object in parts, which travel side by side: begun, sent, put together, or given up.
 */
#include "config.h"

#include "common/s3.h"

#include "common/aws-xml.h"
#include "common/s3-put.h"

#include <stdio.h>
#include <string.h>

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
    struct s3_headers headers = { 0 };
    CLEANUP_FREE char *id = NULL;
    struct s3_request request = { .method = "POST", .key = pgcask_put_key(put), .query = query, .what = "beginning to write" };
    const struct xml_reader reader = { .end = create_element, .ctx = &id };
    struct http_answer answer;
    struct upload *upload;
    int rc;

    s3_headers_create(s3, pgcask_put_is_hot(put) != 0, &headers);
    if (s3_known_get(s3, &s3->checksums) != S3_NO) {
        s3_headers_add(&headers, plain_strdup("x-amz-checksum-algorithm: CRC32"));
        s3_headers_add(&headers, plain_strdup("x-amz-checksum-type: FULL_OBJECT"));
    }
    request.headers = (const char *const *)headers.items;
    rc = s3_send(s3, &request, &answer);
    s3_headers_free(&headers);
    if (rc < 0)
        return rc;
    rc = s3_check_encrypted(s3, &answer);
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
    struct s3_headers headers = { 0 };
    struct http_answer answer;
    struct s3_body body;
    const char *etag;
    int rc;

    (void)offset;
    s3_body_digest(data, size, s3_body_needs_md5(s3), &body);
    s3_headers_body(s3, &body, &headers);
    request.headers = (const char *const *)headers.items;
    rc = s3_send(s3, &request, &answer);
    s3_headers_free(&headers);
    if (rc < 0)
        return upload_gone(rc);
    rc = s3_check_stored(s3, upload->key, &body, &answer);
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
        s3_undo(s3, upload->key);
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
    int rc = s3_check_free(s3, upload->key);

    s3_body_digest("", 0, true, &body);
    if (rc == 0)
        rc = s3_put_once(s3, upload->key, upload->hot, &body, false, &upload->asked);
    if (rc == PGCASK_EXISTS && upload->asked)
        rc = s3_same_object(s3, upload->key, 0, body.crc32, body.md5_hex);
    if (rc == 0 && abort_upload(s3, upload->key, upload->id) < 0)
        pgcask_warn("'%s' is written, but its upload stays until it is swept", upload->key);
    return rc;
}

/* "key=value&key=value", escaped, as a document; owned by the caller. */
static char *
tag_text(const char *tagging)
{
    char *text = plain_strdup("<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>");

    while (*tagging != '\0') {
        size_t len = strcspn(tagging, "&"), name = strcspn(tagging, "=");
        CLEANUP_FREE char *key = plain_strndup(tagging, name), *value = plain_strndup(tagging + name + 1, len - name - 1);
        CLEANUP_FREE char *key_text = NULL, *value_text = NULL;
        char *longer;

        (void)s3_url_decode(key); /* it was made by us */
        (void)s3_url_decode(value);
        key_text = xml_escape(key);
        value_text = xml_escape(value);
        longer = plain_printf("%s<Tag><Key>%s</Key><Value>%s</Value></Tag>", text, key_text, value_text);
        free(text);
        text = longer;
        tagging += len;
        tagging += *tagging == '&';
    }
    return text;
}

/* Ceph 16 forgets the tags that an upload in parts was begun with, and then no rule moves the object: they are set once
 * more. Trouble is no reason to give up a good object. */
static int
complete_tags(struct s3 *s3, const struct upload *upload)
{
    static const struct s3_query query[] = { { "tagging", NULL }, { NULL, NULL } };
    CLEANUP_FREE char *open = NULL, *text = NULL, *md5 = NULL;
    const char *headers[] = { "content-type: application/xml", NULL, NULL };
    struct s3_request request = {
        .method = "PUT", .key = upload->key, .query = query, .headers = headers, .what = "setting the tags of"
    };
    struct s3_body body;
    int rc;

    if (s3->amazon || upload->hot || s3->tagging == NULL)
        return 0;
    open = tag_text(s3->tagging);
    text = plain_printf("%s</TagSet></Tagging>", open);
    s3_body_digest(text, strlen(text), true, &body);
    md5 = plain_printf("content-md5: %s", body.md5);
    headers[1] = md5;
    request.body = text;
    request.body_size = body.size;
    rc = s3_send(s3, &request, NULL);
    if (rc == PGCASK_RETRY)
        return rc;
    if (rc < 0)
        pgcask_warn("'%s': the server does not let its tags be set: it may lack them", upload->key);
    return 0;
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
        rc = s3_check_free(s3, upload->key);
        if (rc == 0)
            rc = complete_send(s3, upload, &whole);
        /* The first of two tries may have done it although its answer was lost: then the key is taken, or the upload gone. */
        if ((rc == PGCASK_EXISTS || rc == PGCASK_NOT_FOUND) && upload->asked)
            rc = s3_same_object(s3, upload->key, size, whole.crc32, whole.etag);
        rc = upload_gone(rc);
    }
    if (rc == 0)
        rc = complete_tags(s3, upload);
    if (rc == PGCASK_RETRY)
        upload->asked = true;
    if (rc == 0)
        upload_free(upload);
    return rc;
}
