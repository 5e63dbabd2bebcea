/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as what an S3 server answers: to a listing, a removal of many, a sweep, a check of its rules, a HEAD, a
 * write. There is no network: http_send is played here. Whatever comes, each callback ends with a code and a text, and
 * rules that are sent back are XML.
 *
 *   input:  one letter for the callback, then answers, with a byte 0x1e between them
 *   answer: the status, a line for each header, an empty line, the body
 */
#include "config.h"

#include "base/error.h"
#include "base/log.h"
#include "plugin/opaque.h"

#undef CLEANUP_FREE
#undef CLEANUP_FD
#undef CLEANUP_DEFINE
#undef CLEANUP
#undef STEAL
#undef ARRAY_LEN
#include "common/aws-xml.h"
#include "common/http.h"
#include "common/s3-options.h"
#include "common/s3.h"

#include <ctype.h>
#include <string.h>

enum { HEADERS_MAX = 20, SEPARATOR = 0x1e, BODY_LIMIT_BYTES = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    const uint8_t *data; /* answers that were not given yet */
    size_t size;
    bool over;
} script;

static void
must(bool holds)
{
    if (!holds)
        abort();
}

/* ---- in place of plugins/common/http.c ---- */

int
http_new(const struct http_settings *settings, struct http **ret_http)
{
    (void)settings;
    *ret_http = NULL;
    return 0;
}

void
http_free(struct http *http)
{
    (void)http;
}

void
http_answer_free(struct http_answer *answer)
{
    for (size_t i = 0; i < answer->header_count; i++)
        free(answer->headers[i]);
    free(answer->headers);
    free(answer->body);
    *answer = (struct http_answer){ 0 };
}

const char *
http_answer_header(const struct http_answer *answer, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < answer->header_count; i++)
        if (strncmp(answer->headers[i], name, len) == 0 && answer->headers[i][len] == ':')
            return answer->headers[i] + len + 1 + strspn(answer->headers[i] + len + 1, " \t");
    return NULL;
}

/* The next line, without its end; owned by the caller. */
static char *
take_line(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size > 0 ? memchr(*data, '\n', *size) : NULL;
    size_t len = end != NULL ? (size_t)(end - *data) : *size;
    char *line = plain_strndup((const char *)*data, len);

    *data += len + (end != NULL);
    *size -= len + (end != NULL);
    return line;
}

/* Up to the separator. */
static void
take_answer(const uint8_t **ret_data, size_t *ret_size)
{
    const uint8_t *end = script.size > 0 ? memchr(script.data, SEPARATOR, script.size) : NULL;

    *ret_data = script.data;
    *ret_size = end != NULL ? (size_t)(end - script.data) : script.size;
    script.over = end == NULL;
    script.data += *ret_size + (end != NULL);
    script.size -= *ret_size + (end != NULL);
}

static void
take_headers(const uint8_t **data, size_t *size, struct http_answer *answer)
{
    answer->headers = plain_zalloc(HEADERS_MAX * sizeof *answer->headers);
    for (;;) {
        char *line = take_line(data, size), *colon = strchr(line, ':');

        if (colon == NULL || answer->header_count == HEADERS_MAX) {
            free(line);
            return;
        }
        for (char *p = line; p < colon; p++)
            *p = (char)tolower((unsigned char)*p);
        answer->headers[answer->header_count++] = line;
    }
}

static int
look_at(void *ctx, const char *path, const char *text)
{
    (void)ctx;
    must(*path != '\0' && text != NULL);
    return 0;
}

int
http_send(struct http *http, const struct http_request *request, struct http_answer *ret_answer)
{
    const struct xml_reader reader = { .end = look_at };
    struct http_answer answer = { 0 };
    const uint8_t *data;
    size_t size, limit = request->limit > 0 ? request->limit : BODY_LIMIT_BYTES;
    bool head = strcmp(request->method, "HEAD") == 0;
    char *status;

    (void)http;
    if (request->body_size > 0 && memcmp(request->body, "<", 1) == 0)
        must(xml_read("what we send", request->body, request->body_size, &reader) == 0);
    if (script.over) {
        pgcask_error("no more answers");
        return PGCASK_RETRY;
    }
    take_answer(&data, &size);
    status = take_line(&data, &size);
    answer.status = strtol(status, NULL, 10);
    free(status);
    if (answer.status < 200 || answer.status > 599) {
        pgcask_error("the answer is lost");
        return PGCASK_RETRY;
    }
    take_headers(&data, &size, &answer);
    answer.resent = size > 0 && data[0] == '!';
    if (head)
        size = 0;
    if (size > (request->into != NULL && answer.status < 300 ? request->into_size : limit)) {
        http_answer_free(&answer);
        pgcask_error("the answer is longer than it may be");
        return PGCASK_FAILED;
    }
    if (request->into != NULL && answer.status < 300) {
        memcpy(request->into, data, size);
        answer.into_len = size;
        size = 0;
    }
    answer.body = plain_zalloc(size + 1);
    if (size > 0)
        memcpy(answer.body, data, size);
    answer.body_len = size;
    *ret_answer = answer;
    return 0;
}

/* ---- the callbacks ---- */

static int
add(void *ctx, const struct listed *listed)
{
    size_t *count = ctx;

    must(*listed->key != '\0' && listed->size <= INT64_MAX && listed->mtime_s >= 0 && listed->until_s >= 0);
    (*count)++;
    return 0;
}

static int
try_list(struct s3 *s3)
{
    size_t count = 0;
    struct pgcask_listing listing = { .prefix = "", .add = add, .ctx = &count };

    return s3_list(s3, "", &listing);
}

static int
try_stat(struct s3 *s3)
{
    size_t count = 0;
    struct pgcask_listing listing = { .prefix = "", .add = add, .ctx = &count };
    int rc = s3_stat(s3, "key", &listing);

    must(count == (rc == 0 ? 1 : 0));
    return rc;
}

static int
try_remove(struct s3 *s3)
{
    static const char *const keys[] = { "a", "b&<", "c" };
    unsigned char gone[4] = { 0, 0, 0, 77 };
    int rc = s3_remove_many(s3, keys, 3, gone);

    must(gone[0] <= 1 && gone[1] <= 1 && gone[2] <= 1 && gone[3] == 77);
    must(rc != 0 || (gone[0] && gone[1] && gone[2]));
    return rc;
}

static int
try_sweep(struct s3 *s3)
{
    uint64_t count = 0;

    return s3_sweep(s3, INT64_C(1356048000), &count);
}

static int
try_rules(struct s3 *s3, bool fix)
{
    struct pgcask_check check = { .fix = fix };
    int rc = s3_check(s3, &check);

    must(check.wrong == NULL);
    for (size_t i = 0; i < check.len; i++) {
        free(check.findings[i].text);
        free(check.findings[i].cure);
    }
    free(check.findings);
    return rc;
}

static int
try_get(struct s3 *s3)
{
    char data[6] = "-----+";
    int rc = s3_get(s3, "key", 6, data, 5);

    must(data[5] == '+');
    return rc;
}

static int
try_parts(struct s3 *s3, const struct pgcask_put *put)
{
    void *upload = NULL;
    int rc = s3_put_begin(s3, put, &upload);

    if (rc < 0) {
        must(upload == NULL);
        return rc;
    }
    rc = s3_put_part(s3, upload, 1, 0, "hello ", 6);
    if (rc == 0)
        rc = s3_put_part(s3, upload, 2, 6, "world", 5);
    if (rc == 0)
        rc = s3_put_commit(s3, upload, 11);
    if (rc == PGCASK_RETRY)
        rc = s3_put_commit(s3, upload, 11);
    if (rc < 0)
        (void)s3_put_abort(s3, upload);
    return rc;
}

static int
try_put(struct s3 *s3, const struct pgcask_put *put)
{
    int rc = s3_put_object(s3, put, "hello world", 11);

    return rc == PGCASK_RETRY ? s3_put_object(s3, put, "hello world", 11) : rc;
}

static int
try_one(struct s3 *s3, char callback)
{
    static const struct pgcask_put put = { .key = "key" };

    switch (callback) {
    case 'l':
        return try_list(s3);
    case 'h':
        return try_stat(s3);
    case 'r':
        return try_remove(s3);
    case 's':
        return try_sweep(s3);
    case 'c':
    case 'f':
        return try_rules(s3, callback == 'f');
    case 'g':
        return try_get(s3);
    case 'm':
        return try_parts(s3, &put);
    case 'p':
        return try_put(s3, &put);
    case 't':
        return s3_thaw(s3, "key", 1, "standard");
    default:
        return s3_remove(s3, "key");
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct s3_settings settings = {
        .bucket = "bucket",
        .prefix = "p",
        .region = "x",
        .endpoint = "https://s3.example.com",
        .addressing = "auto",
        .access_key = "a",
        .secret_key = "s",
        .part_size = S3_PART_MIN,
        .sse = "none",
        .object_lock = "none",
        .checksum = "auto",
        .sign_payload = "auto",
    };
    struct s3 *s3;
    int rc;

    if (size == 0)
        return 0;
    log_set_level(LOG_LEVEL_ERROR);
    script.data = data + 1;
    script.size = size - 1;
    script.over = false;
    error_clear();
    must(s3_open(&settings, 0, &s3) == 0);
    s3->region_given = (size & 1) != 0;
    s3->later_class = "GLACIER";
    s3->later_days = 30;
    rc = try_one(s3, (char)data[0]);
    must(rc <= 0 && rc >= PGCASK_UNSUPPORTED);
    must(rc == 0 || *error_text() != '\0');
    s3_close(s3);
    error_clear();
    return 0;
}
