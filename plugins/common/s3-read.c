/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading: exact ranges, and what HEAD tells of an object, its temperature too.
 */
#include "config.h"

#include "common/s3.h"

#include "common/s3-options.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- get ---- */

/* "bytes 0-99/1234": must be what was asked for. */
static int
check_range(const char *key, const struct http_answer *answer, uint64_t offset, size_t size)
{
    CLEANUP_FREE char *wanted = plain_printf("bytes %" PRIu64 "-%" PRIu64 "/", offset, offset + size - 1);
    const char *range = http_answer_header(answer, "content-range");

    if (answer->into_len == size && range != NULL && strncmp(range, wanted, strlen(wanted)) == 0)
        return 0;
    if (answer->into_len == size && answer->status == 200 && offset == 0 && range == NULL)
        return 0; /* the whole object was wanted, and the server does not bother with ranges */
    pgcask_error("reading '%s': %zu bytes from %" PRIu64 " were asked for, the server gave %zu (%s)", key, size, offset,
                 answer->into_len, range ? range : "no range");
    return PGCASK_FAILED;
}

int
s3_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    struct s3 *s3 = handle;
    CLEANUP_FREE char *range = plain_printf("range: bytes=%" PRIu64 "-%" PRIu64, offset, offset + size - 1);
    const char *const headers[] = { range, NULL };
    const struct s3_request request = {
        .method = "GET", .key = key, .headers = headers, .into = data, .into_size = size, .what = "reading"
    };
    struct http_answer answer;
    int rc = s3_send(s3, &request, &answer);

    if (rc == PGCASK_COLD) {
        (void)pthread_mutex_lock(&s3->lock);
        s3->thaws = S3_YES; /* whatever was thought before */
        (void)pthread_mutex_unlock(&s3->lock);
    }
    if (rc < 0)
        return rc;
    rc = check_range(key, &answer, offset, size);
    http_answer_free(&answer);
    return rc;
}

/* ---- cold or not ---- */

static bool
class_is_cold(const char *storage_class)
{
    return storage_class != NULL && (strcmp(storage_class, "GLACIER") == 0 || strcmp(storage_class, "DEEP_ARCHIVE") == 0);
}

/* Is an object of that class, which nobody has thawed, to be thawed before it is read? */
static bool
head_is_cold(struct s3 *s3, const char *key, const char *storage_class)
{
    char byte;
    int rc;

    if (!class_is_cold(storage_class))
        return false;
    if (s3_known_get(s3, &s3->thaws) == S3_UNKNOWN) {
        rc = s3_get(s3, key, 0, &byte, 1); /* learns it when it is refused */
        if (rc == 0)
            s3_known_set(s3, &s3->thaws, S3_NO);
    }
    return s3_known_get(s3, &s3->thaws) != S3_NO;
}

/* ---- head ---- */

/* "Fri, 21 Dec 2012 00:00:00 GMT"; 0 when it is none. */
static int64_t
http_time(const char *text)
{
    time_t when_s = text != NULL ? curl_getdate(text, NULL) : -1;

    return when_s > 0 ? (int64_t)when_s : 0;
}

bool
s3_size(const char *text, uint64_t *ret_size)
{
    size_t len = strlen(text);

    if (len == 0 || len > 18 || strspn(text, "0123456789") != len) /* 18 digits always fit */
        return false;
    *ret_size = strtoull(text, NULL, 10);
    return true;
}

int64_t
s3_time(const char *text)
{
    struct tm tm = { 0 };

    return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) != NULL ? (int64_t)timegm(&tm) : 0;
}

/* ongoing-request="true", or ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT" */
static void
head_tier(struct s3 *s3, const char *key, const struct http_answer *answer, struct s3_head *head)
{
    const char *restore = http_answer_header(answer, "x-amz-restore");
    const char *archived = http_answer_header(answer, "x-amz-archive-status"); /* of INTELLIGENT_TIERING */

    if (restore == NULL) {
        if (archived != NULL || head_is_cold(s3, key, http_answer_header(answer, "x-amz-storage-class")))
            head->tier = PGCASK_TIER_COLD;
        return;
    }
    s3_known_set(s3, &s3->thaws, S3_YES); /* that it can be read says nothing of the others */
    if (strstr(restore, "ongoing-request=\"true\"") != NULL) {
        head->tier = PGCASK_TIER_THAWING;
        return;
    }
    head->tier = PGCASK_TIER_THAWED;
    restore = strstr(restore, "expiry-date=\"");
    head->until_s = restore != NULL ? http_time(restore + strlen("expiry-date=\"")) : 0;
}

static char *
unquoted(const char *text)
{
    size_t len;

    if (text == NULL)
        return plain_strdup("");
    text += *text == '"';
    len = strcspn(text, "\"");
    return plain_strndup(text, len);
}

int
s3_head(struct s3 *s3, const char *key, struct s3_head *ret_head)
{
    static const char *const headers[] = { "x-amz-checksum-mode: ENABLED", NULL };
    const struct s3_request request = {
        .method = "HEAD",
        .key = key,
        .headers = s3_known_get(s3, &s3->checksums) != S3_NO ? headers : NULL, /* some servers refuse it */
        .what = "looking at",
    };
    struct s3_head head = { 0 };
    struct http_answer answer;
    const char *length;
    int rc = s3_send(s3, &request, &answer);

    if (rc < 0)
        return rc;
    length = http_answer_header(&answer, "content-length");
    if (length == NULL || !s3_size(length, &head.size)) {
        pgcask_error("looking at '%s': the server does not tell its size", key);
        http_answer_free(&answer);
        return PGCASK_FAILED;
    }
    head.mtime_s = http_time(http_answer_header(&answer, "last-modified"));
    head_tier(s3, key, &answer, &head);
    head.etag = unquoted(http_answer_header(&answer, "etag"));
    head.crc32 = unquoted(http_answer_header(&answer, "x-amz-checksum-crc32"));
    http_answer_free(&answer);
    *ret_head = head;
    return 0;
}

void
s3_head_free(struct s3_head *head)
{
    free(head->etag);
    free(head->crc32);
    *head = (struct s3_head){ 0 };
}

int
s3_stat(void *handle, const char *key, struct pgcask_listing *listing)
{
    struct s3_head head;
    int rc = s3_head(handle, key, &head);

    if (rc < 0)
        return rc;
    rc = pgcask_listing_add_tiered(listing, key, head.size, head.mtime_s, head.tier, head.until_s);
    s3_head_free(&head);
    return rc;
}

bool
s3_is_cold(struct s3 *s3, const char *key, const char *storage_class)
{
    struct s3_head head;

    if (!class_is_cold(storage_class))
        return false;
    if (s3_known_get(s3, &s3->thaws) == S3_UNKNOWN && s3_head(s3, key, &head) == 0) /* which looks */
        s3_head_free(&head);
    return s3_known_get(s3, &s3->thaws) != S3_NO;
}
