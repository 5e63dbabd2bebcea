/* SPDX-License-Identifier: PostgreSQL
 *
 * A machine where nobody has any credentials of AWS: an empty home directory, an environment without AWS's variables
 * and proxies, a web server for what a test wants to be told, and a clock that a test can turn on. Every secret has the
 * word "s3cr3t" in it, and no error may.
 */
#ifndef PGCASK_TESTS_UNIT_AWS_H
#define PGCASK_TESTS_UNIT_AWS_H

#include "unit-plain.h"

#include "common/aws-source.h"
#include "pgcask-plugin.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "unit-http.h"

static struct unit_http server;
static struct http *http;
static atomic_int_least64_t clock_ahead_s;

/* In front of the C library's. */
time_t
time(time_t *ret_now)
{
    struct timespec now;
    time_t then;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    then = now.tv_sec + (time_t)atomic_load(&clock_ahead_s);
    if (ret_now != NULL)
        *ret_now = then;
    return then;
}

static inline void
aws_clear_environment(void)
{
    extern char **environ;
    static const char *const others[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                          "ALL_PROXY",  "no_proxy",    "NO_PROXY" };

    for (size_t i = 0; environ[i] != NULL;) {
        CLEANUP_FREE char *name = plain_strndup(environ[i], strcspn(environ[i], "="));

        if (strncmp(name, "AWS_", 4) == 0)
            ck_assert_int_eq(unsetenv(name), 0);
        else
            i++;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_int_eq(unsetenv(others[i]), 0);
}

static inline void
aws_setup(void)
{
    struct http_settings settings = { 0 };

    dir_make();
    aws_clear_environment();
    ck_assert_int_eq(setenv("HOME", unit_dir, 1), 0);
    ck_assert_int_eq(setenv("AWS_EC2_METADATA_DISABLED", "true", 1), 0);
    atomic_store(&clock_ahead_s, 0);
    error_clear();
    ck_assert_int_eq(http_new(&settings, &http), 0);
    unit_http_start(&server);
}

static inline void
aws_expect_no_secret(const char *text)
{
    ck_assert_msg(strstr(text, "s3cr3t") == NULL, "a secret in '%s'", text);
}

static inline void
aws_teardown(void)
{
    aws_expect_no_secret(error_text());
    aws_expect_no_secret(error_cure() != NULL ? error_cure() : "");
    unit_http_stop(&server);
    http_free(http);
    dir_remove();
}

static inline void
aws_env(const char *name, const char *value)
{
    ck_assert_int_eq(setenv(name, value, 1), 0);
}

/* A private file in the test's directory ("/" in the name: a directory that is there); its path, owned by the caller.
 */
static inline char *
aws_file(const char *name, const char *text)
{
    char *path = dir_path(name);

    dir_put(path, text, 0600);
    return path;
}

/* "2030-01-31T12:00:00Z", so many seconds from now. Owned by the caller. */
static inline char *
aws_time_text(int64_t ahead_s)
{
    time_t then = time(NULL) + (time_t)ahead_s;
    struct tm tm;
    char text[32];

    ck_assert_ptr_nonnull(gmtime_r(&then, &tm));
    ck_assert_uint_gt(strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm), 0);
    return plain_strdup(text);
}

/* What programs and metadata services say; the keys have `mark` in them. ahead_s 0: without an end. Owned by the
 * caller. */
static inline char *
aws_document_text(const char *mark, int64_t ahead_s)
{
    CLEANUP_FREE char *end = ahead_s != 0 ? aws_time_text(ahead_s) : NULL;

    return plain_printf("{\"Version\": 1, \"Code\": \"Success\", \"AccessKeyId\": \"AKIA%s\", \"SecretAccessKey\": "
                        "\"s3cr3t/%s+=\", \"SessionToken\": \"s3cr3t-token-%s\", \"Token\": \"s3cr3t-token-%s\"%s%s%s}",
                        mark, mark, mark, mark, end ? ", \"Expiration\": \"" : "", end ? end : "", end ? "\"" : "");
}

static inline char *
aws_sts_text(const char *mark, int64_t ahead_s)
{
    CLEANUP_FREE char *end = aws_time_text(ahead_s);

    return plain_printf("<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
                        "<AssumeRoleWithWebIdentityResult><Audience>sts</Audience><AssumedRoleUser><Arn>arn:x</Arn>"
                        "</AssumedRoleUser><Credentials><AccessKeyId>AKIA%s</AccessKeyId><SecretAccessKey>s3cr3t/%s+="
                        "</SecretAccessKey><SessionToken>s3cr3t-token-%s</SessionToken><Expiration>%s</Expiration>"
                        "</Credentials></AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>1</RequestId>"
                        "</ResponseMetadata></AssumeRoleWithWebIdentityResponse>\n",
                        mark, mark, mark, end);
}

static inline void
aws_expect_keys(const struct aws_keys *keys, const char *mark, bool has_token)
{
    CLEANUP_FREE char *access_key = plain_printf("AKIA%s", mark);
    CLEANUP_FREE char *secret_key = plain_printf("s3cr3t/%s+=", mark);
    CLEANUP_FREE char *token = plain_printf("s3cr3t-token-%s", mark);

    ck_assert_str_eq(keys->access_key, access_key);
    ck_assert_str_eq(keys->secret_key, secret_key);
    if (has_token)
        ck_assert_str_eq(keys->session_token, token);
    else
        ck_assert_ptr_null(keys->session_token);
}

#endif
