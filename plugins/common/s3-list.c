/* SPDX-License-Identifier: PostgreSQL
 *
 * Listing with ListObjectsV2, removing one and many, and abandoned uploads.
 */
#include "config.h"

#include "common/s3.h"

#include "common/aws-xml.h"
#include "common/s3-body.h"
#include "common/s3-options.h"

#include <ctype.h>
#include <string.h>

/* ---- ListObjectsV2 ---- */

struct listing {
    struct s3 *s3;
    int (*found)(void *ctx, const char *key, uint64_t size, int64_t mtime_s, int tier, int64_t until_s);
    void *ctx;
    char *next; /* continuation token; NULL: this was the last page */
    bool truncated;
    bool encoded; /* keys are, as was asked for: some servers do not know how */
    /* the object being read */
    char *key, *storage_class;
    uint64_t size;
    int64_t mtime_s, until_s;
    bool sized, restored, restoring;
};

/* With encoding-type=url: %XX, and '+' for a blank. In place; false for what is no such text. */
bool
s3_url_decode(char *text)
{
    char *out = text;

    for (; *text != '\0'; text++) {
        char pair[3] = "";

        if (*text == '+') {
            *out++ = ' ';
            continue;
        }
        if (*text != '%') {
            *out++ = *text;
            continue;
        }
        if (!isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
            return false;
        memcpy(pair, text + 1, 2);
        *out = (char)strtoul(pair, NULL, 16);
        if (*out == '\0')
            return false;
        out++;
        text += 2;
    }
    *out = '\0';
    return true;
}

bool
s3_round_again(struct s3_round *round, const char *token)
{
    if (round->token != NULL && strcmp(round->token, token) == 0)
        return true;
    if (round->pages++ == round->until) {
        free(round->token);
        round->token = plain_strdup(token);
        round->until = 2 * round->until + 1;
    }
    return false;
}

void
s3_round_free(struct s3_round *round)
{
    free(round->token);
}

static void
listing_forget(struct listing *listing)
{
    free(listing->key);
    free(listing->storage_class);
    listing->key = listing->storage_class = NULL;
    listing->size = 0;
    listing->mtime_s = listing->until_s = 0;
    listing->sized = listing->restored = listing->restoring = false;
}

static int
listing_object(struct listing *listing)
{
    size_t prefix = strlen(listing->s3->prefix);
    int tier = PGCASK_TIER_HOT;

    if (listing->key == NULL || (listing->encoded && !s3_url_decode(listing->key))) {
        pgcask_error("the server lists an object with the key '%s'", listing->key ? listing->key : "");
        return PGCASK_FAILED;
    }
    if (strncmp(listing->key, listing->s3->prefix, prefix) != 0)
        return 0;
    if (!listing->sized) {
        pgcask_error("the server lists '%s' without a size that is one", listing->key + prefix);
        return PGCASK_FAILED;
    }
    if (listing->restoring)
        tier = PGCASK_TIER_THAWING;
    else if (listing->restored)
        tier = PGCASK_TIER_THAWED;
    else if (s3_is_cold(listing->s3, listing->key + prefix, listing->storage_class))
        tier = PGCASK_TIER_COLD;
    return listing->found(listing->ctx, listing->key + prefix, listing->size, listing->mtime_s, tier, listing->until_s);
}

static int
listing_element(void *ctx, const char *path, const char *text)
{
    static const char contents[] = "ListBucketResult/Contents";
    struct listing *listing = ctx;
    const char *field = path + sizeof contents;
    int rc = 0;

    if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
        free(listing->next);
        listing->next = plain_strdup(text);
    } else if (strcmp(path, "ListBucketResult/IsTruncated") == 0)
        listing->truncated = strcmp(text, "true") == 0;
    else if (strcmp(path, contents) == 0) {
        rc = listing_object(listing);
        listing_forget(listing);
    }
    if (strncmp(path, contents, sizeof contents - 1) != 0 || path[sizeof contents - 1] != '/')
        return rc;
    if (strcmp(field, "Key") == 0) {
        free(listing->key);
        listing->key = plain_strdup(text);
    } else if (strcmp(field, "Size") == 0)
        listing->sized = s3_size(text, &listing->size);
    else if (strcmp(field, "LastModified") == 0)
        listing->mtime_s = s3_time(text);
    else if (strcmp(field, "StorageClass") == 0) {
        free(listing->storage_class);
        listing->storage_class = plain_strdup(text);
    } else if (strcmp(field, "RestoreStatus/IsRestoreInProgress") == 0)
        listing->restoring = strcmp(text, "true") == 0;
    else if (strcmp(field, "RestoreStatus/RestoreExpiryDate") == 0) {
        listing->restored = true;
        listing->until_s = s3_time(text);
    }
    return rc;
}

/* One page; `token` NULL: the first. */
static int
list_page(struct listing *listing, const char *prefix, const char *token)
{
    const struct s3_query query[] = { { token ? "continuation-token" : "encoding-type", token ? token : "url" },
                                      { token ? "encoding-type" : "list-type", token ? "url" : "2" },
                                      { token ? "list-type" : "max-keys", token ? "2" : "1000" },
                                      { token ? "max-keys" : "prefix", token ? "1000" : prefix },
                                      { token ? "prefix" : NULL, token ? prefix : NULL },
                                      { NULL, NULL } };
    static const char *const headers[] = { "x-amz-optional-object-attributes: RestoreStatus", NULL };
    const struct s3_request request = {
        .method = "GET", .query = query, .headers = headers, .limit = S3_XML_LIMIT_BYTES, .what = "listing"
    };
    const struct xml_reader reader = { .end = listing_element, .ctx = listing };
    struct http_answer answer;
    int rc = s3_send(listing->s3, &request, &answer);

    if (rc < 0)
        return rc;
    listing->encoded = strstr(answer.body, "<EncodingType>url<") != NULL; /* it may stand behind the keys */
    rc = xml_read("the listing", answer.body, answer.body_len, &reader);
    http_answer_free(&answer);
    listing_forget(listing);
    return rc;
}

static int
list_all(struct listing *listing, const char *prefix)
{
    struct s3_round round = { 0 };
    CLEANUP_FREE char *token = NULL;
    bool cleaning_up = pgcask_cancelled() != 0; /* then it is heard to its end, as in http.c */
    int rc;

    for (;;) {
        listing->truncated = false;
        rc = list_page(listing, prefix, token);
        if (rc < 0 || !listing->truncated)
            break;
        if (listing->next == NULL || *listing->next == '\0' || s3_round_again(&round, listing->next)) {
            pgcask_error("the listing goes on, but the server does not say where");
            rc = PGCASK_FAILED;
            break;
        }
        if (!cleaning_up && pgcask_cancelled()) {
            pgcask_error("the listing was stopped");
            rc = PGCASK_FAILED;
            break;
        }
        free(token);
        token = STEAL(listing->next);
    }
    free(listing->next);
    listing->next = NULL;
    s3_round_free(&round);
    return rc;
}

static int
list_found(void *ctx, const char *key, uint64_t size, int64_t mtime_s, int tier, int64_t until_s)
{
    return pgcask_listing_add_tiered(ctx, key, size, mtime_s, tier, until_s);
}

int
s3_list(void *handle, const char *prefix, struct pgcask_listing *ret_listing)
{
    struct s3 *s3 = handle;
    CLEANUP_FREE char *full = plain_printf("%s%s", s3->prefix, prefix);
    struct listing listing = { .s3 = s3, .found = list_found, .ctx = ret_listing };

    return list_all(&listing, full);
}

/* ---- removing ---- */

int
s3_remove(void *handle, const char *key)
{
    const struct s3_request request = { .method = "DELETE", .key = key, .what = "removing" };
    int rc = s3_send(handle, &request, NULL);

    return rc == PGCASK_NOT_FOUND ? 0 : rc;
}

struct removal {
    struct s3 *s3;
    const char *const *keys;
    size_t count;
    unsigned char *gone;
    char *key, *code, *message;
    char *first; /* what is said of the first that failed */
    int rc;
};

static void
removal_forget(struct removal *removal)
{
    free(removal->key);
    free(removal->code);
    free(removal->message);
    removal->key = removal->code = removal->message = NULL;
}

/* The answer names a key in full; which of ours is it? */
static bool
removal_index(const struct removal *removal, size_t *ret_index)
{
    size_t prefix = strlen(removal->s3->prefix);

    if (removal->key == NULL || strncmp(removal->key, removal->s3->prefix, prefix) != 0)
        return false;
    for (size_t i = 0; i < removal->count; i++)
        if (strcmp(removal->keys[i], removal->key + prefix) == 0) {
            *ret_index = i;
            return true;
        }
    return false;
}

static void
removal_failed(struct removal *removal)
{
    bool passing = removal->code != NULL && (strcmp(removal->code, "InternalError") == 0 || strcmp(removal->code, "SlowDown") == 0 ||
                                             strcmp(removal->code, "ServiceUnavailable") == 0);

    if (removal->code != NULL && strcmp(removal->code, "NoSuchKey") == 0)
        return;
    if (removal->first != NULL && !passing && removal->rc == PGCASK_RETRY) { /* this one is the reason for the code */
        free(removal->first);
        removal->first = NULL;
    }
    if (removal->first == NULL)
        removal->first = plain_printf("removing '%s': the server refuses (%s%s%s)", removal->key ? removal->key : "",
                                      removal->code ? removal->code : "no code",
                                      removal->message && *removal->message ? ": " : "",
                                      removal->message ? removal->message : "");
    if (removal->rc != PGCASK_FAILED)
        removal->rc = passing ? PGCASK_RETRY : PGCASK_FAILED;
}

static int
removal_element(void *ctx, const char *path, const char *text)
{
    struct removal *removal = ctx;
    char **field = NULL;
    size_t i;

    if (strcmp(path, "DeleteResult/Deleted/Key") == 0 || strcmp(path, "DeleteResult/Error/Key") == 0)
        field = &removal->key;
    else if (strcmp(path, "DeleteResult/Error/Code") == 0)
        field = &removal->code;
    else if (strcmp(path, "DeleteResult/Error/Message") == 0)
        field = &removal->message;
    if (field != NULL) {
        free(*field);
        *field = plain_strdup(text);
        return 0;
    }
    if (strcmp(path, "DeleteResult/Deleted") == 0 && removal_index(removal, &i))
        removal->gone[i] = 1;
    if (strcmp(path, "DeleteResult/Error") == 0) {
        removal_failed(removal);
        if (removal->code != NULL && strcmp(removal->code, "NoSuchKey") == 0 && removal_index(removal, &i))
            removal->gone[i] = 1;
    }
    if (strcmp(path, "DeleteResult/Deleted") == 0 || strcmp(path, "DeleteResult/Error") == 0)
        removal_forget(removal);
    return 0;
}

static char *
removal_text(const struct s3 *s3, const char *const *keys, size_t count)
{
    static const char head[] = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", tail[] = "</Delete>";
    size_t room = sizeof head + sizeof tail + 1;
    char *text, *end;

    for (size_t i = 0; i < count; i++)
        room += (strlen(s3->prefix) + strlen(keys[i])) * 6 + 40;
    text = plain_zalloc(room);
    end = stpcpy(text, head);
    for (size_t i = 0; i < count; i++) {
        CLEANUP_FREE char *full = plain_printf("%s%s", s3->prefix, keys[i]), *escaped = xml_escape(full);

        end = stpcpy(end, "<Object><Key>");
        end = stpcpy(end, escaped);
        end = stpcpy(end, "</Key></Object>");
    }
    (void)stpcpy(end, tail);
    return text;
}

int
s3_remove_many(void *handle, const char *const *keys, size_t count, unsigned char *gone)
{
    static const struct s3_query query[] = { { "delete", NULL }, { NULL, NULL } };
    struct s3 *s3 = handle;
    CLEANUP_FREE char *text = removal_text(s3, keys, count), *md5 = NULL;
    struct removal removal = { .s3 = s3, .keys = keys, .count = count, .gone = gone };
    const struct xml_reader reader = { .end = removal_element, .ctx = &removal };
    struct s3_body body;
    const char *headers[] = { "content-type: application/xml", NULL, NULL };
    struct s3_request request = { .method = "POST", .query = query, .headers = headers, .what = "removing from" };
    struct http_answer answer;
    int rc;

    s3_body_digest(text, strlen(text), true, &body);
    md5 = plain_printf("content-md5: %s", body.md5);
    headers[1] = md5;
    request.body = text;
    request.body_size = body.size;
    request.limit = S3_XML_LIMIT_BYTES;
    rc = s3_send(s3, &request, &answer);
    if (rc < 0)
        return rc;
    rc = xml_read("the answer to DeleteObjects", answer.body, answer.body_len, &reader);
    http_answer_free(&answer);
    removal_forget(&removal);
    if (rc == 0 && removal.rc < 0) {
        pgcask_error("%s", removal.first);
        rc = removal.rc;
    }
    free(removal.first);
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (gone[i] == 0) {
            pgcask_error("removing '%s': the server does not say what became of it", keys[i]);
            rc = PGCASK_RETRY;
        }
    return rc;
}
