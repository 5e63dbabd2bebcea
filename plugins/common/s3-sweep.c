/* SPDX-License-Identifier: PostgreSQL
 *
 * Uploads that were begun and never ended: their parts cost money and no listing of objects shows them.
 */
#include "config.h"

#include "common/s3.h"

#include "common/aws-xml.h"
#include "common/s3-options.h"

#include <string.h>

struct sweep {
    struct s3 *s3;
    int64_t before_s;
    char *key, *id;
    int64_t begun_s;
    char *next_key, *next_id;
    bool truncated;
    struct found {
        char *key, *id;
    } *old;
    size_t count;
};

static void
take_text(char **field, const char *text)
{
    free(*field);
    *field = plain_strdup(text);
}

/* One upload was read: keep it when it is ours and old. */
static void
sweep_upload(struct sweep *sweep)
{
    size_t prefix = strlen(sweep->s3->prefix);
    bool ours = sweep->key != NULL && strncmp(sweep->key, sweep->s3->prefix, prefix) == 0;

    if (ours && sweep->id != NULL && sweep->begun_s > 0 && sweep->begun_s < sweep->before_s) {
        sweep->old = plain_realloc_array(sweep->old, sweep->count + 1, sizeof *sweep->old);
        sweep->old[sweep->count++] = (struct found){ plain_strdup(sweep->key + prefix), STEAL(sweep->id) };
    }
    free(sweep->key);
    free(sweep->id);
    sweep->key = sweep->id = NULL;
    sweep->begun_s = 0;
}

static int
sweep_element(void *ctx, const char *path, const char *text)
{
    struct sweep *sweep = ctx;

    if (strcmp(path, "ListMultipartUploadsResult/Upload/Key") == 0)
        take_text(&sweep->key, text);
    else if (strcmp(path, "ListMultipartUploadsResult/Upload/UploadId") == 0)
        take_text(&sweep->id, text);
    else if (strcmp(path, "ListMultipartUploadsResult/Upload/Initiated") == 0)
        sweep->begun_s = s3_time(text);
    else if (strcmp(path, "ListMultipartUploadsResult/NextKeyMarker") == 0)
        take_text(&sweep->next_key, text);
    else if (strcmp(path, "ListMultipartUploadsResult/NextUploadIdMarker") == 0)
        take_text(&sweep->next_id, text);
    else if (strcmp(path, "ListMultipartUploadsResult/IsTruncated") == 0)
        sweep->truncated = strcmp(text, "true") == 0;
    else if (strcmp(path, "ListMultipartUploadsResult/Upload") == 0)
        sweep_upload(sweep);
    return 0;
}

static int
sweep_page(struct sweep *sweep, const char *key_marker, const char *id_marker)
{
    const struct s3_query first[] = { { "prefix", sweep->s3->prefix }, { "uploads", NULL }, { NULL, NULL } };
    const struct s3_query next[] = { { "key-marker", key_marker },
                                     { "prefix", sweep->s3->prefix },
                                     { "upload-id-marker", id_marker },
                                     { "uploads", NULL },
                                     { NULL, NULL } };
    const struct s3_request request = {
        .method = "GET", .query = key_marker ? next : first, .limit = S3_XML_LIMIT_BYTES, .what = "listing uploads of"
    };
    const struct xml_reader reader = { .end = sweep_element, .ctx = sweep };
    struct http_answer answer;
    int rc = s3_send(sweep->s3, &request, &answer);

    if (rc < 0)
        return rc;
    sweep->truncated = false;
    rc = xml_read("the listing of uploads", answer.body, answer.body_len, &reader);
    http_answer_free(&answer);
    return rc;
}

static int
sweep_find(struct sweep *sweep)
{
    struct s3_round round = { 0 };
    CLEANUP_FREE char *key = NULL, *id = NULL;
    int rc = sweep_page(sweep, NULL, NULL);

    while (rc == 0 && sweep->truncated && sweep->next_key != NULL) {
        CLEANUP_FREE char *both = plain_printf("%s %s", sweep->next_key, sweep->next_id ? sweep->next_id : "");

        if (s3_round_again(&round, both))
            break; /* the server does not get on */
        free(key);
        free(id);
        key = STEAL(sweep->next_key);
        id = sweep->next_id != NULL ? STEAL(sweep->next_id) : plain_strdup("");
        rc = sweep_page(sweep, key, id);
    }
    s3_round_free(&round);
    return rc;
}

/* ---- is somebody still at it? ---- */

struct parts {
    int64_t newest_s;
    bool truncated;
    char *marker;
};

static int
parts_element(void *ctx, const char *path, const char *text)
{
    struct parts *parts = ctx;

    if (strcmp(path, "ListPartsResult/Part/LastModified") == 0) {
        int64_t mtime_s = s3_time(text);

        if (mtime_s > parts->newest_s)
            parts->newest_s = mtime_s;
    } else if (strcmp(path, "ListPartsResult/IsTruncated") == 0)
        parts->truncated = strcmp(text, "true") == 0;
    else if (strcmp(path, "ListPartsResult/NextPartNumberMarker") == 0)
        take_text(&parts->marker, text);
    return 0;
}

/* When its last part came, 0: it has none. A dump may well take longer than a day. */
static int
upload_newest(struct s3 *s3, const struct found *found, int64_t *ret_newest_s)
{
    struct parts parts = { 0 };
    const struct xml_reader reader = { .end = parts_element, .ctx = &parts };
    struct s3_round round = { 0 };
    CLEANUP_FREE char *marker = NULL;
    int rc = 0;

    for (int page = 0; rc == 0 && page < S3_PARTS_MAX; page++) {
        const struct s3_query first[] = { { "uploadId", found->id }, { NULL, NULL } };
        const struct s3_query next[] = { { "part-number-marker", marker }, { "uploadId", found->id }, { NULL, NULL } };
        const struct s3_request request = {
            .method = "GET", .key = found->key, .query = marker ? next : first, .limit = S3_XML_LIMIT_BYTES,
            .what = "listing the parts of"
        };
        struct http_answer answer;

        rc = s3_send(s3, &request, &answer);
        if (rc < 0)
            break;
        parts.truncated = false;
        rc = xml_read("the listing of parts", answer.body, answer.body_len, &reader);
        http_answer_free(&answer);
        if (!parts.truncated || parts.marker == NULL || s3_round_again(&round, parts.marker))
            break;
        free(marker);
        marker = STEAL(parts.marker);
    }
    free(parts.marker);
    s3_round_free(&round);
    if (rc == 0)
        *ret_newest_s = parts.newest_s;
    return rc;
}

static int
sweep_one(const struct sweep *sweep, const struct found *found, uint64_t *count)
{
    const struct s3_query query[] = { { "uploadId", found->id }, { NULL, NULL } };
    const struct s3_request request = { .method = "DELETE", .key = found->key, .query = query, .what = "giving up" };
    struct http_answer answer;
    int64_t newest_s = 0;
    int rc = upload_newest(sweep->s3, found, &newest_s);

    if (rc == PGCASK_NOT_FOUND || (rc == 0 && newest_s >= sweep->before_s))
        return 0;
    if (rc == 0)
        rc = s3_exchange(sweep->s3, &request, &answer);
    if (rc < 0)
        return rc;
    if (answer.status < 300)
        (*count)++;
    else if (answer.status != 404)
        rc = s3_error_tell(sweep->s3, &request, &answer);
    http_answer_free(&answer);
    return rc;
}

int
s3_sweep(void *handle, int64_t before_s, uint64_t *ret_count)
{
    struct sweep sweep = { .s3 = handle, .before_s = before_s };
    bool cleaning_up = pgcask_cancelled() != 0; /* as in http.c */
    uint64_t count = 0;
    int rc = sweep_find(&sweep);

    for (size_t i = 0; i < sweep.count; i++) {
        if (rc == 0 && !cleaning_up && pgcask_cancelled()) {
            pgcask_error("sweeping was stopped");
            rc = PGCASK_FAILED;
        }
        if (rc == 0)
            rc = sweep_one(&sweep, &sweep.old[i], &count);
        free(sweep.old[i].key);
        free(sweep.old[i].id);
    }
    free(sweep.old);
    free(sweep.key);
    free(sweep.id);
    free(sweep.next_key);
    free(sweep.next_id);
    *ret_count = count;
    return rc;
}
