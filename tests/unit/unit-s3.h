/* SPDX-License-Identifier: PostgreSQL
 *
 * A bucket at the test's own server, which says what a test tells it to. The bucket is 'bucket', the prefix
 * 'some/where/', and the keys are those of a config that a test may change before open_s3.
 */
#ifndef PGCASK_TESTS_UNIT_S3_H
#define PGCASK_TESTS_UNIT_S3_H

#include "unit-aws.h"

#include "common/http.h"
#include "common/s3-options.h"
#include "common/s3.h"
#include "plugin/opaque.h"

#define S3_XMLNS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define S3_ERROR_TEXT(code)                                                                                            \
    "<?xml version=\"1.0\"?>\n<Error><Code>" code "</Code><Message>the words of it</Message></Error>"
#define S3_AT "/bucket/some/where/"

static struct s3_settings settings;
static struct s3 *s3;

/* ---- what the host would give ---- */

static struct pgcask_put put;
static struct pgcask_listing listing;

/* What was listed. */
static struct seen {
    char *key;
    uint64_t size;
    int64_t mtime_s, until_s;
    int tier;
} seen[32];
static size_t seen_count;

static inline int
seen_add(void *ctx, const struct listed *listed)
{
    (void)ctx;
    ck_assert_uint_lt(seen_count, sizeof seen / sizeof seen[0]);
    seen[seen_count++] =
        (struct seen){ plain_strdup(listed->key), listed->size, listed->mtime_s, listed->until_s, listed->tier };
    return 0;
}

static inline void
seen_forget(void)
{
    while (seen_count > 0)
        free(seen[--seen_count].key);
}

/* ---- the bucket ---- */

static inline void
s3_setup(void)
{
    static char endpoint[64];

    aws_setup();
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", server.port);
    settings = (struct s3_settings){
        .bucket = "bucket",
        .prefix = "some/where",
        .region = "eu-central-1",
        .endpoint = endpoint,
        .addressing = "auto",
        .access_key = "AKIAEXAMPLE",
        .secret_key = "s3cr3t/key",
        .part_size = S3_PART_MIN,
        .sse = "none",
        .object_lock = "none",
        .checksum = "auto",
        .sign_payload = "auto",
    };
    s3 = NULL;
    put = (struct pgcask_put){ .key = "key", .hot = true };
    listing = (struct pgcask_listing){ .prefix = "", .add = seen_add };
}

static inline void
s3_teardown(void)
{
    s3_close(s3);
    seen_forget();
    aws_teardown();
}

static inline void
open_s3(void)
{
    ck_assert_msg(s3_check_settings(&settings) == 0, "%s", error_text());
    ck_assert_msg(s3_open(&settings, 0, &s3) == 0, "%s", error_text());
}

/* Most tests change nothing. */
static inline void
s3_setup_open(void)
{
    s3_setup();
    open_s3();
}

#define ck_assert_ok(call) ck_assert_msg((call) == 0, "%s: %s", #call, error_text())
#define ck_assert_code(call, wanted)                                                                                   \
    do {                                                                                                               \
        int code_ = (call);                                                                                            \
                                                                                                                       \
        ck_assert_msg(code_ == (wanted), "%s is %d, wanted %d: %s", #call, code_, (int)(wanted), error_text());        \
        ck_assert(code_ == 0 || *error_text() != '\0');                                                                \
    } while (0)
#define ck_assert_cure_has(part)                                                                                       \
    ck_assert_msg(error_cure() != NULL && strstr(error_cure(), (part)) != NULL, "the cure is '%s'",                    \
                  error_cure() != NULL ? error_cure() : "")

/* The requests so far are exactly these: each begins with its text. */
#define ck_assert_asked(...)                                                                                           \
    do {                                                                                                               \
        const char *const wanted_[] = { __VA_ARGS__ };                                                                 \
                                                                                                                       \
        asked_expect(wanted_, sizeof wanted_ / sizeof wanted_[0]);                                                     \
    } while (0)

static inline const char *
asked(size_t index)
{
    return unit_http_request(&server, index);
}

static inline void
asked_expect(const char *const *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(strncmp(asked(i), wanted[i], strlen(wanted[i])) == 0, "request %zu is '%.*s', wanted '%s'", i,
                      (int)strcspn(asked(i), "\r"), asked(i), wanted[i]);
    ck_assert_msg(unit_http_count(&server) == count, "%zu requests, wanted %zu; the next one is '%.*s'",
                  unit_http_count(&server), count, (int)strcspn(asked(count), "\r"), asked(count));
}

/* What stands behind the head. */
static inline const char *
asked_body(size_t index)
{
    const char *body = strstr(asked(index), "\r\n\r\n");

    return body != NULL ? body + 4 : "";
}

/* ---- what the host would give ---- */

/* ---- checks ---- */

/* The findings of a check, as "outcome text (cure)" lines; owned by the caller. */
static inline char *
check_told(struct pgcask_check *check)
{
    char *text = plain_strdup("");

    ck_assert_msg(check->wrong == NULL, "%s", check->wrong);
    for (size_t i = 0; i < check->len; i++) {
        struct finding *finding = &check->findings[i];
        char *longer = plain_printf("%s%d %s%s%s%s\n", text, finding->outcome, finding->text, finding->cure ? " (" : "",
                                    finding->cure ? finding->cure : "", finding->cure ? ")" : "");

        free(text);
        free(finding->text);
        free(finding->cure);
        text = longer;
    }
    free(check->findings);
    check->findings = NULL;
    check->len = check->cap = 0;
    return text;
}

#endif
