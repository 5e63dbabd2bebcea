/* SPDX-License-Identifier: PostgreSQL
 *
 * Answers in all lengths and forms, and which way they come.
 */
#include "config.h"

#include "unit-send.h"

#include "common/http.h"

/* ---- limits ---- */

static const struct {
    int status;
    size_t body, limit, into; /* into 0: none */
    int rc;
} limits[] = {
    { 200, 100, 100, 0, 0 },
    { 200, 101, 100, 0, PGCASK_FAILED },
    { 404, 101, 100, 0, PGCASK_FAILED },
    { 200, 1024 * 1024, 0, 0, 0 }, /* without a limit of its own */
    { 200, 1024 * 1024 + 1, 0, 0, PGCASK_FAILED },
    { 200, 100, 0, 100, 0 },
    { 200, 99, 0, 100, 0 }, /* that it is short is for the caller to see */
    { 200, 101, 0, 100, PGCASK_FAILED },
    { 200, 100000, 0, 100, PGCASK_FAILED },
    { 404, 1000, 0, 100, 0 }, /* an error has its own place */
    { 404, 1000, 999, 100, PGCASK_FAILED },
};

START_TEST(an_answer_is_as_long_as_it_may_be)
{
    CLEANUP_FREE char *body = plain_zalloc(limits[_i].body + 1);
    char into[100];
    bool good = limits[_i].status == 200, whole = good && limits[_i].into > 0;

    memset(body, 'x', limits[_i].body);
    memset(into, '-', sizeof into);
    UNIT_HTTP_SAY(&server, { limits[_i].status, body });
    ck_assert_int_eq(send_to("/x?y", (struct http_request){ .method = "GET",
                                                            .limit = limits[_i].limit,
                                                            .into = limits[_i].into > 0 ? into : NULL,
                                                            .into_size = limits[_i].into }),
                     limits[_i].rc);
    if (limits[_i].rc < 0) {
        ck_assert_error_has("/x: the answer is longer than it may be");
        return;
    }
    ck_assert_uint_eq(answer.into_len, whole ? limits[_i].body : 0);
    ck_assert_uint_eq(answer.body_len, whole ? 0 : limits[_i].body);
    ck_assert_uint_eq(strlen(answer.body), answer.body_len);
    if (limits[_i].into > 0)
        ck_assert_int_eq(into[0], whole ? 'x' : '-');
}
END_TEST

/* Owned by the caller. */
static char *
bomb(const char *first, const char *line, size_t times, const char *last)
{
    char *text = plain_zalloc(strlen(first) + strlen(line) * times + strlen(last) + 1), *end = stpcpy(text, first);

    for (size_t i = 0; i < times; i++)
        end = stpcpy(end, line);
    (void)stpcpy(end, last);
    return text;
}

static const struct {
    const char *first, *line;
    size_t times;
    int rc;
} bombs[] = {
    { HEAD_OK, "X-Header: 0123456789012345678901234567890123456789\r\n", 1000, 0 },
    { HEAD_OK, "X-Header: 0123456789012345678901234567890123456789\r\n", 2000, PGCASK_FAILED },
    { HEAD_OK, "a:\r\n", 20000, PGCASK_FAILED },
    { "", "HTTP/1.1 100 Continue\r\n\r\n", 5000, PGCASK_FAILED }, /* many heads instead of one that is long */
};

START_TEST(headers_have_a_limit)
{
    CLEANUP_FREE char *raw = bomb(bombs[_i].first, bombs[_i].line, bombs[_i].times, "Content-Length: 2\r\n\r\nok");

    UNIT_HTTP_SAY(&server, { 200, .raw = raw });
    ck_assert_int_eq(send_to("/", (struct http_request){ .method = "GET" }), bombs[_i].rc);
    if (bombs[_i].rc < 0)
        ck_assert_error_has("the answer is longer than it may be");
    else
        ck_assert_uint_eq(answer.header_count, bombs[_i].times + 1);
}
END_TEST

/* ---- answers that are whole ---- */

START_TEST(a_100_continue_is_no_answer)
{
    UNIT_HTTP_SAY(&server,
                  { 200, .raw = "HTTP/1.1 100 Continue\r\nETag: \"old\"\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" HEAD_OK
                                "Content-Length: 2\r\nX-New: 1\r\n\r\nok" });
    ck_assert_int_eq(send_to("/", (struct http_request){ .method = "PUT", .body = "x", .body_size = 1 }), 0);
    ck_assert_int_eq(answer.status, 200);
    expect_body("ok");
    ck_assert_ptr_null(http_answer_header(&answer, "etag"));
    ck_assert_str_eq(http_answer_header(&answer, "x-new"), "1");
}
END_TEST

static const int redirects[] = { 301, 302, 303, 307, 308 };

START_TEST(a_redirect_is_not_followed)
{
    CLEANUP_FREE char *url = unit_http_url(&server, "/elsewhere"), *header = plain_printf("Location: %s", url);

    UNIT_HTTP_SAY(&server, { redirects[_i], "moved", header }, { 200, "stolen", .again = true });
    ck_assert_int_eq(send_to("/", (struct http_request){ .method = "GET" }), 0);
    ck_assert_int_eq(answer.status, redirects[_i]);
    expect_body("moved");
    ck_assert_uint_eq(unit_http_count(&server), 1);
}
END_TEST

START_TEST(headers_are_found_by_their_whole_name)
{
    UNIT_HTTP_SAY(&server, { 200, .raw = HEAD_OK "ETAG-X: no\r\nETag:\t \"a:b\"  \r\nEmpty:\r\nETag: second\r\n"
                                                 "Content-Length: 0\r\n\r\n" });
    ck_assert_int_eq(send_to("/", (struct http_request){ .method = "GET" }), 0);
    ck_assert_str_eq(http_answer_header(&answer, "etag"), "\"a:b\"");
    ck_assert_str_eq(http_answer_header(&answer, "empty"), "");
    ck_assert_ptr_null(http_answer_header(&answer, "eta"));
    ck_assert_ptr_null(http_answer_header(&answer, "etag:"));
}
END_TEST

/* ---- proxies ---- */

START_TEST(a_proxy_is_used_but_for_addresses_nearby)
{
    CLEANUP_FREE char *proxy = unit_http_url(&server, "");
    struct http_request request = { .method = "GET", .url = "http://far.example.com/x" };

    use((struct http_settings){ .proxy = proxy });
    UNIT_HTTP_SAY(&server, { 200, "by proxy" }, { 200, "direct" });
    ck_assert_msg(http_send(mine, &request, &answer) == 0, "%s", error_text());
    expect_body("by proxy");
    ck_assert_has(unit_http_request(&server, 0), "GET http://far.example.com/x HTTP/1.1\r\n");
    ck_assert_int_eq(send_to("/near", (struct http_request){ .method = "GET", .direct = true }), 0);
    expect_body("direct");
    ck_assert_has(unit_http_request(&server, 1), "GET /near HTTP/1.1\r\n");
}
END_TEST

START_TEST(no_proxy_means_none_whatever_the_environment_says)
{
    aws_env("http_proxy", "http://127.0.0.1:1");
    use((struct http_settings){ .proxy = "" });
    UNIT_HTTP_SAY(&server, { 200, "direct" });
    ck_assert_int_eq(send_to("/", (struct http_request){ .method = "GET" }), 0);
    expect_body("direct");
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("http-answer");
    TCase *tcase = tcase_create("answer");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, an_answer_is_as_long_as_it_may_be, 0, ARRAY_LEN(limits));
    tcase_add_loop_test(tcase, headers_have_a_limit, 0, ARRAY_LEN(bombs));
    tcase_add_test(tcase, a_100_continue_is_no_answer);
    tcase_add_loop_test(tcase, a_redirect_is_not_followed, 0, ARRAY_LEN(redirects));
    tcase_add_test(tcase, headers_are_found_by_their_whole_name);
    tcase_add_test(tcase, a_proxy_is_used_but_for_addresses_nearby);
    tcase_add_test(tcase, no_proxy_means_none_whatever_the_environment_says);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
