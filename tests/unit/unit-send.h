/* SPDX-License-Identifier: PostgreSQL
 *
 * One request after the other to the test's own server, and the last answer to them.
 */
#ifndef PGCASK_TESTS_UNIT_SEND_H
#define PGCASK_TESTS_UNIT_SEND_H

#include "unit-aws.h"

#include "common/http.h"

#define HEAD_OK "HTTP/1.1 200 OK\r\n"

static struct http_answer answer;
static struct http *mine; /* with the settings of a test */

static inline void
setup(void)
{
    aws_setup();
    answer = (struct http_answer){ 0 };
    mine = NULL;
}

static inline void
teardown(void)
{
    if (answer.body != NULL)
        http_answer_free(&answer);
    http_free(mine);
    aws_teardown();
}

/* With http, or mine when there is one. */
static inline int
send_to(const char *path, struct http_request request)
{
    CLEANUP_FREE char *url = unit_http_url(&server, path);

    if (answer.body != NULL)
        http_answer_free(&answer);
    request.url = url;
    return http_send(mine != NULL ? mine : http, &request, &answer);
}

static inline void
use(struct http_settings settings)
{
    ck_assert_int_eq(http_new(&settings, &mine), 0);
}

static inline void
expect_body(const char *body)
{
    ck_assert_str_eq(answer.body, body);
    ck_assert_uint_eq(answer.body_len, strlen(body));
}

#endif
