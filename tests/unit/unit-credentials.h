/* SPDX-License-Identifier: PostgreSQL
 *
 * The search for credentials as a plugin sees it: `settings` are the config, get() is one question.
 */
#ifndef PGCASK_TESTS_UNIT_CREDENTIALS_H
#define PGCASK_TESTS_UNIT_CREDENTIALS_H

#include "unit-aws.h"

static struct aws_credentials_settings settings;
static struct aws_credentials *credentials;
static struct aws_keys keys;

static inline void
setup(void)
{
    CLEANUP_FREE char *dir = NULL;

    aws_setup();
    dir = dir_path(".aws");
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    settings = (struct aws_credentials_settings){ 0 };
    credentials = NULL;
    keys = (struct aws_keys){ 0 };
}

static inline void
teardown(void)
{
    aws_keys_free(&keys);
    aws_credentials_free(credentials);
    aws_teardown();
}

static inline int
get(void)
{
    aws_keys_free(&keys);
    if (credentials == NULL)
        credentials = aws_credentials_new(&settings, http);
    return aws_credentials_get(credentials, &keys);
}

static inline void
expect_got(const char *mark, bool has_token, const char *source)
{
    ck_assert_msg(get() == 0, "%s", error_text());
    aws_expect_keys(&keys, mark, has_token);
    ck_assert_str_eq(keys.source, source);
}

static inline void
put(const char *name, const char *text)
{
    free(aws_file(name, text));
}

/* A program for credential_process that says `text`. */
static inline char *
process_line(const char *text)
{
    CLEANUP_FREE char *path = aws_file("said", text);

    return plain_printf("credential_process = /bin/cat \"%s\"\n", path);
}

/* The container's endpoint is the server. */
static inline void
use_container(void)
{
    CLEANUP_FREE char *url = unit_http_url(&server, "/container");

    aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
}

#endif
