/* SPDX-License-Identifier: PostgreSQL
 *
 * Opening a bucket, and one request to it: address, headers in order, signature, answer.
 */
#include "config.h"

#include "common/s3.h"

#include "common/aws-sign.h"
#include "common/s3-options.h"

#include <string.h>
#include <strings.h>
#include <time.h>

enum { HEADERS_MAX = 24 };

enum s3_known
s3_known_get(struct s3 *s3, const enum s3_known *known)
{
    enum s3_known value;

    (void)pthread_mutex_lock(&s3->lock);
    value = *known;
    (void)pthread_mutex_unlock(&s3->lock);
    return value;
}

void
s3_known_set(struct s3 *s3, enum s3_known *known, enum s3_known value)
{
    (void)pthread_mutex_lock(&s3->lock);
    if (*known == S3_UNKNOWN)
        *known = value;
    (void)pthread_mutex_unlock(&s3->lock);
}

/* ---- opening ---- */

static int
refuse(const char *cure, const char *option, const char *value, const char *wanted)
{
    pgcask_error("%s is '%s', wanted %s", option, value, wanted);
    if (cure != NULL)
        pgcask_hint("%s", cure);
    return PGCASK_FAILED;
}

/* A bucket's name becomes part of a host name or a path. */
static int
check_bucket(const char *bucket)
{
    size_t len = strlen(bucket);

    if (strncmp(bucket, "s3://", 5) == 0)
        return refuse("the name alone: what follows it goes to prefix", "bucket", bucket, "a name, not a URL");
    if (len < 3 || len > 63 || strspn(bucket, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len ||
        strstr(bucket, "..") != NULL || bucket[0] == '.')
        return refuse(NULL, "bucket", bucket, "3 to 63 letters, digits, '-' or '.'");
    return 0;
}

static int
check_endpoint(const char *endpoint)
{
    const char *host = strstr(endpoint, "://");
    bool known = strncmp(endpoint, "https://", 8) == 0 || strncmp(endpoint, "http://", 7) == 0;
    size_t len;

    if (!known || host == NULL)
        return refuse("write it as https://HOST or https://HOST:PORT", "endpoint", endpoint, "a URL");
    len = strlen(host + 3);
    if (len > 0 && host[3 + len - 1] == '/')
        len--;
    if (len == 0 || strcspn(host + 3, "/?#@ ") < len)
        return refuse("the bucket goes to bucket, a folder to prefix, keys to access_key and secret_key", "endpoint", endpoint,
                      "https://HOST:PORT and nothing behind it");
    return 0;
}

static int
check_prefix(const char *prefix)
{
    if (prefix[0] == '/' || strstr(prefix, "//") != NULL)
        return refuse(NULL, "prefix", prefix, "words with single '/' between them, such as backups/chain");
    if (strlen(prefix) > 200)
        return refuse(NULL, "prefix", prefix, "at most 200 bytes");
    return 0;
}

/* "key=value" words to "key=value&key=value", escaped. */
static int
s3_tagging(const char *words, char **ret_text)
{
    CLEANUP_FREE char *text = plain_strdup("");

    while (words != NULL && *words != '\0') {
        size_t len = strcspn(words, " ");
        CLEANUP_FREE char *word = plain_strndup(words, len);
        CLEANUP_FREE char *key = NULL, *value = NULL;
        char *equals = strchr(word, '='), *longer;

        if (equals == NULL || equals == word) {
            pgcask_error("tags has the word '%s', wanted key=value", word);
            return PGCASK_FAILED;
        }
        *equals = '\0';
        key = aws_escape(word, false);
        value = aws_escape(equals + 1, false);
        longer = plain_printf("%s%s%s=%s", text, *text ? "&" : "", key, value);
        free(text);
        text = longer;
        words += len;
        words += strspn(words, " ");
    }
    *ret_text = *text ? STEAL(text) : NULL;
    return 0;
}

int
s3_check_settings(const void *data)
{
    const struct s3_settings *settings = data;
    bool lock = strcmp(settings->object_lock, "none") != 0;
    CLEANUP_FREE char *tagging = NULL;
    int rc = check_bucket(settings->bucket);

    if (rc == 0 && settings->endpoint != NULL)
        rc = check_endpoint(settings->endpoint);
    if (rc == 0 && settings->prefix != NULL)
        rc = check_prefix(settings->prefix);
    if (rc == 0)
        rc = s3_tagging(settings->tags, &tagging);
    if (rc == 0 && settings->region != NULL && !s3_is_region(settings->region))
        rc = refuse(NULL, "region", settings->region, "a name such as eu-central-1");
    if (rc < 0)
        return rc;
    if ((settings->access_key == NULL) != (settings->secret_key == NULL)) {
        pgcask_error("%s is given without %s", settings->access_key ? "access_key" : "secret_key",
                     settings->access_key ? "secret_key" : "access_key");
        pgcask_hint("give both, or neither: then the environment, the shared credentials file and the machine's role are asked");
        return PGCASK_FAILED;
    }
    if (settings->sse_kms_key != NULL && strcmp(settings->sse, "kms") != 0)
        return refuse(NULL, "sse", settings->sse, "kms, since sse_kms_key is given");
    if (lock != (settings->object_lock_ms > 0)) {
        pgcask_error(lock ? "object_lock is '%s', but object_lock_time says not how long" :
                            "object_lock_time is given, but object_lock is '%s'", settings->object_lock);
        pgcask_hint("give both, such as object_lock = governance and object_lock_time = 30d");
        return PGCASK_FAILED;
    }
    if (settings->ca_file != NULL && access(settings->ca_file, R_OK) != 0) {
        pgcask_error_errno("ca_file '%s' cannot be read", settings->ca_file);
        return PGCASK_FAILED;
    }
    return 0;
}

static bool
s3_is_virtual(const struct s3_settings *settings)
{
    if (strcmp(settings->addressing, "auto") != 0)
        return strcmp(settings->addressing, "virtual") == 0;
    return settings->endpoint == NULL && strchr(settings->bucket, '.') == NULL; /* a certificate's * is one label */
}

/* The server's name, with the bucket's before it where it belongs there. */
static char *
s3_host(const struct s3_settings *settings, const char *region)
{
    CLEANUP_FREE char *host = NULL;

    if (settings->endpoint != NULL) {
        const char *authority = strstr(settings->endpoint, "://") + 3;

        host = plain_strndup(authority, strcspn(authority, "/"));
    } else
        host = plain_printf("s3.%s.amazonaws.com%s", region, strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
    return s3_is_virtual(settings) ? plain_printf("%s.%s", settings->bucket, host) : STEAL(host);
}

static void
s3_address(struct s3 *s3)
{
    const struct s3_settings *settings = s3->settings;
    const char *endpoint = settings->endpoint != NULL ? settings->endpoint : "https://";

    s3->scheme = plain_strndup(endpoint, (size_t)(strstr(endpoint, "://") - endpoint));
    s3->host = s3_host(settings, s3->region);
    s3->base = s3_is_virtual(settings) ? plain_strdup("") : plain_printf("/%s", settings->bucket);
}

void
s3_region_learn(struct s3 *s3, const char *region)
{
    char *host = s3_host(s3->settings, region), *name = plain_strdup(region);

    (void)pthread_mutex_lock(&s3->lock);
    free(s3->region);
    free(s3->host);
    s3->region = name;
    s3->host = host;
    s3->region_learned = true;
    (void)pthread_mutex_unlock(&s3->lock);
}

static char *
s3_region(const struct aws_credentials_settings *who, const struct s3_settings *settings)
{
    char *region;

    if (settings->region != NULL)
        return plain_strdup(settings->region);
    region = aws_credentials_region(who);
    return region != NULL ? region : plain_strdup("us-east-1");
}

int
s3_open(const struct s3_settings *settings, unsigned flags, struct s3 **ret_s3)
{
    const struct http_settings http = {
        .ca_file = settings->ca_file,
        .proxy = settings->proxy != NULL && strcmp(settings->proxy, "none") == 0 ? "" : settings->proxy,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .stall_timeout_ms = settings->stall_timeout_ms,
    };
    struct aws_credentials_settings who = {
        .access_key = settings->access_key,
        .secret_key = settings->secret_key,
        .session_token = settings->session_token,
        .profile = settings->profile,
        .credentials_file = settings->credentials_file,
    };
    struct s3 *s3 = plain_zalloc(sizeof *s3);
    int rc;

    (void)pthread_mutex_init(&s3->lock, NULL);
    s3->settings = settings;
    s3->region = s3_region(&who, settings);
    s3->region_given = settings->region != NULL;
    if (!s3_is_region(s3->region)) {
        pgcask_error("region is '%s' (from AWS_REGION or the profile), wanted a name such as eu-central-1", s3->region);
        s3_close(s3);
        return PGCASK_FAILED;
    }
    s3->amazon = settings->endpoint == NULL;
    s3->guarded = s3->amazon;
    s3_address(s3);
    if (settings->prefix != NULL && *settings->prefix != '\0')
        s3->prefix = plain_printf("%s%s", settings->prefix, settings->prefix[strlen(settings->prefix) - 1] == '/' ? "" : "/");
    else
        s3->prefix = plain_strdup("");
    s3->sign_payload = strcmp(settings->sign_payload, "yes") == 0 ||
                       (strcmp(settings->sign_payload, "auto") == 0 && strcmp(s3->scheme, "http") == 0);
    s3->cold_class = settings->storage_class;
    if (strcmp(settings->checksum, "auto") != 0)
        s3->checksums = strcmp(settings->checksum, "crc32") == 0 ? S3_YES : S3_NO;
    rc = s3_tagging(settings->tags, &s3->tagging);
    if (rc == 0)
        rc = http_new(&http, &s3->http);
    who.region = s3->region;
    if (rc == 0)
        s3->credentials = aws_credentials_new(&who, s3->http);
    if (rc == 0 && (flags & PGCASK_OPEN_READONLY) == 0 && strcmp(settings->object_lock, "none") != 0)
        rc = s3_lock_check(s3);
    if (rc < 0) {
        s3_close(s3);
        return rc;
    }
    *ret_s3 = s3;
    return 0;
}

void
s3_close(void *handle)
{
    struct s3 *s3 = handle;

    if (s3 == NULL)
        return;
    aws_credentials_free(s3->credentials);
    http_free(s3->http);
    for (size_t i = 0; i < s3->unsure_count; i++)
        free(s3->unsure[i]);
    free(s3->unsure);
    (void)pthread_mutex_destroy(&s3->lock);
    free(s3->scheme);
    free(s3->host);
    free(s3->base);
    free(s3->prefix);
    free(s3->tagging);
    free(s3->region);
    free(s3);
}

/* ---- one request ---- */

static char *
request_query(const struct s3_query *query)
{
    char *text = plain_strdup("");

    for (; query != NULL && query->name != NULL; query++) {
        CLEANUP_FREE char *name = aws_escape(query->name, false);
        CLEANUP_FREE char *value = aws_escape(query->value ? query->value : "", false);
        char *longer = plain_printf("%s%s%s=%s", text, *text ? "&" : "", name, value);

        free(text);
        text = longer;
    }
    return text;
}

static char *
request_path(const struct s3 *s3, const char *key)
{
    CLEANUP_FREE char *plain = key != NULL ? plain_printf("%s%s", s3->prefix, key) : plain_strdup("");
    CLEANUP_FREE char *escaped = aws_escape(plain, true);

    if (key == NULL)
        return plain_strdup(*s3->base ? s3->base : "/");
    return plain_printf("%s/%s", s3->base, escaped);
}

static int
header_compare(const void *a, const void *b)
{
    const char *left = *(const char *const *)a, *right = *(const char *const *)b;
    size_t left_len = strcspn(left, ":"), right_len = strcspn(right, ":");
    int order = memcmp(left, right, left_len < right_len ? left_len : right_len);

    return order != 0 ? order : (left_len > right_len) - (left_len < right_len);
}

/* Headers of one request, signed; all owned. */
struct envelope {
    char *own[5];
    char *authorization;
    const char *headers[HEADERS_MAX + 6];
};

static void
envelope_free(struct envelope *envelope)
{
    for (size_t i = 0; i < ARRAY_LEN(envelope->own); i++)
        plain_wipe_free(envelope->own[i]);
    free(envelope->authorization);
}

static void
envelope_seal(const struct s3 *s3, const struct s3_request *request, struct aws_signing *signing, const char *host,
              const struct aws_keys *keys, struct envelope *envelope)
{
    char hash[AWS_HASH_TEXT] = AWS_UNSIGNED_PAYLOAD, date[AWS_DATE_TEXT];
    size_t count = 0;

    if (s3->sign_payload || request->body_size < 64 * 1024) /* small ones are cheap, and some servers want it */
        aws_hash(request->body != NULL ? request->body : "", request->body_size, hash);
    aws_date(time(NULL), date);
    envelope->own[0] = plain_printf("host: %s", host);
    envelope->own[1] = plain_printf("x-amz-content-sha256: %s", hash);
    envelope->own[2] = plain_printf("x-amz-date: %s", date);
    if (keys->session_token != NULL)
        envelope->own[3] = plain_printf("x-amz-security-token: %s", keys->session_token);
    for (size_t i = 0; i < ARRAY_LEN(envelope->own); i++)
        if (envelope->own[i] != NULL)
            envelope->headers[count++] = envelope->own[i];
    for (const char *const *header = request->headers; header != NULL && *header != NULL && count < HEADERS_MAX; header++)
        envelope->headers[count++] = *header;
    qsort(envelope->headers, count, sizeof *envelope->headers, header_compare);
    signing->headers = envelope->headers;
    signing->payload_hash = hash;
    signing->date = date;
    envelope->authorization = aws_sign(signing, keys);
    envelope->headers[count] = envelope->authorization;
}

static bool
request_is_dear(const struct s3_request *request)
{
    return strcmp(request->method, "PUT") == 0 || strcmp(request->method, "POST") == 0 ||
           (request->key == NULL && strcmp(request->method, "GET") == 0);
}

int
s3_exchange(struct s3 *s3, const struct s3_request *request, struct http_answer *ret_answer)
{
    CLEANUP_FREE char *path = request_path(s3, request->key), *query = request_query(request->query);
    CLEANUP_FREE char *url = NULL, *host = NULL, *region = NULL;
    struct aws_signing signing = { .method = request->method, .path = path, .query = query, .service = "s3" };
    struct envelope envelope = { 0 };
    struct aws_keys keys = { 0 };
    struct http_request http = {
        .method = request->method,
        .body = request->body,
        .body_size = request->body_size,
        .into = request->into,
        .into_size = request->into_size,
        .limit = request->limit,
    };
    int rc = aws_credentials_get(s3->credentials, &keys);

    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&s3->lock);
    host = plain_strdup(s3->host);
    region = plain_strdup(s3->region);
    (void)pthread_mutex_unlock(&s3->lock);
    signing.region = region;
    envelope_seal(s3, request, &signing, host, &keys, &envelope);
    http.url = url = plain_printf("%s://%s%s%s%s", s3->scheme, host, path, *query ? "?" : "", query);
    http.headers = envelope.headers;
    pgcask_count(request_is_dear(request) ? PGCASK_COUNT_WRITES : PGCASK_COUNT_READS, 1);
    rc = http_send(s3->http, &http, ret_answer);
    if (rc == 0 && ret_answer->resent && request->resent != NULL)
        *request->resent = true;
    envelope_free(&envelope);
    if (rc == 0 && ret_answer->status >= 400 &&
        (strstr(ret_answer->body, "ExpiredToken") != NULL || strstr(ret_answer->body, "TokenRefreshRequired") != NULL))
        aws_credentials_expired(s3->credentials, &keys);
    aws_keys_free(&keys);
    if (rc == 0)
        pgcask_debug("%s %s%s%s: %ld", request->method, path, *query ? "?" : "", query, ret_answer->status);
    return rc;
}

int
s3_send(struct s3 *s3, const struct s3_request *request, struct http_answer *ret_answer)
{
    struct http_answer answer;
    struct s3_error error;
    bool good;
    int rc = s3_exchange(s3, request, &answer);

    if (rc < 0)
        return rc;
    good = answer.status >= 200 && answer.status < 300;
    if (good && answer.body_len > 0 && s3_error_read(answer.body, answer.body_len, &error) == 1) {
        s3_error_free(&error); /* CompleteMultipartUpload sends its status before it knows the outcome */
        good = false;
    }
    if (good)
        s3_known_set(s3, &s3->bucket, S3_YES);
    else
        rc = s3_error_tell(s3, request, &answer);
    if (rc < 0 || ret_answer == NULL)
        http_answer_free(&answer);
    else
        *ret_answer = answer;
    return rc;
}
