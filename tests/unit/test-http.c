/* SPDX-License-Identifier: PostgreSQL
 *
 * Requests against a server that does what real ones only do on a bad day.
 */
#include "config.h"

#include "unit-send.h"

#include "base/cancel.h"
#include "common/http.h"
#include "plugin/instance.h"

#include <fcntl.h>

/* ---- what is sent ---- */

static const struct {
    const char *method, *body, *wanted;
} requests[] = {
    { "GET", NULL, "GET /a%20b//../c?d=%2F HTTP/1.1\r\n" }, /* as it was signed: not tidied up */
    { "HEAD", NULL, "HEAD /a%20b//../c?d=%2F HTTP/1.1\r\n" },
    { "DELETE", NULL, "DELETE /a%20b//../c?d=%2F HTTP/1.1\r\n" },
    { "PUT", "some bytes", "Content-Length: 10\r\n" },
    { "PUT", "some bytes", "\r\n\r\nsome bytes" },
    { "PUT", "", "Content-Length: 0\r\n" },
    { "PUT", NULL, "Content-Length: 0\r\n" },
    { "POST", "some bytes", "Content-Length: 10\r\n" },
    { "POST", NULL, "Content-Length: 0\r\n" },
};

START_TEST(a_request_goes_out_as_it_was_made)
{
    static const char *const headers[] = { "x-amz-date: 20130524T000000Z", "host: elsewhere.example.com", NULL };
    const struct http_request request = { .method = requests[_i].method,
                                          .headers = headers,
                                          .body = requests[_i].body,
                                          .body_size = requests[_i].body != NULL ? strlen(requests[_i].body) : 0 };
    const char *asked;

    UNIT_HTTP_SAY(&server, { 204 });
    ck_assert_msg(send_to("/a%20b//../c?d=%2F", request) == 0, "%s", error_text());
    ck_assert_int_eq(answer.status, 204);
    asked = unit_http_request(&server, 0);
    ck_assert_has(asked, requests[_i].wanted);
    ck_assert_has(asked, "\r\nx-amz-date: 20130524T000000Z\r\n");
    ck_assert_has(asked, "ost: elsewhere.example.com\r\n");
    ck_assert_lacks(asked, "127.0.0.1");
    ck_assert_lacks(asked, "Expect:"); /* it would cost a round trip for each part */
    ck_assert_lacks(asked, "chunked");
    ck_assert_lacks(asked, "Accept-Encoding");
    ck_assert_lacks(asked, "Content-Type");
}
END_TEST

/* ---- connections ---- */

START_TEST(a_connection_is_used_again)
{
    UNIT_HTTP_SAY(&server, { 200, "one", .keep = true }, { 404, "two", .keep = true }, { 200, "abc", .keep = true },
                  { 200, "four" });
    ck_assert_int_eq(send_to("/1", (struct http_request){ .method = "GET" }), 0);
    expect_body("one");
    ck_assert_int_eq(send_to("/2", (struct http_request){ .method = "PUT", .body = "x", .body_size = 1 }), 0);
    expect_body("two");
    ck_assert_int_eq(send_to("/3", (struct http_request){ .method = "HEAD" }), 0);
    expect_body("");
    ck_assert_str_eq(http_answer_header(&answer, "content-length"), "3");
    ck_assert_int_eq(send_to("/4", (struct http_request){ .method = "GET" }), 0);
    expect_body("four");
    ck_assert_uint_eq(unit_http_connections(&server), 1);
    /* nothing of an earlier request goes out with a later one */
    ck_assert_lacks(unit_http_request(&server, 3), "Content-Length");
    ck_assert_has(unit_http_request(&server, 3), "GET /4 ");
}
END_TEST

START_TEST(a_kept_connection_that_was_closed_is_no_error)
{
    UNIT_HTTP_SAY(&server, { 200, .raw = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none" }, { 200, "two" });
    ck_assert_int_eq(send_to("/1", (struct http_request){ .method = "GET" }), 0);
    expect_body("one");
    ck_assert_msg(send_to("/2", (struct http_request){ .method = "GET" }) == 0, "%s", error_text());
    expect_body("two");
    ck_assert_uint_eq(unit_http_connections(&server), 2);
}
END_TEST

START_TEST(programs_that_are_started_do_not_get_the_connections)
{
    UNIT_HTTP_SAY(&server, { 200, "one", .keep = true });
    ck_assert_int_eq(send_to("/1", (struct http_request){ .method = "GET" }), 0);
    for (int fd = 3; fd < 100; fd++) {
        struct sockaddr_in peer = { 0 };
        socklen_t len = sizeof peer;

        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.sin_port == htons((uint16_t)server.port))
            ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
}
END_TEST

START_TEST(a_body_lost_on_a_kept_connection_is_not_sent_again_by_itself)
{
    static const char body[] = "the body of the lost one";
    const struct http_request request = { .method = "PUT", .body = body, .body_size = sizeof body - 1 };

    UNIT_HTTP_SAY(&server, { 200, "one", .keep = true }, { UNIT_DROP }, { 200, "two" });
    ck_assert_int_eq(send_to("/1", (struct http_request){ .method = "GET" }), 0);
    ck_assert(!answer.resent);
    ck_assert_int_eq(send_to("/2", request), PGCASK_RETRY);
    ck_assert_error_has("the server closed the connection without an answer");
    ck_assert_uint_eq(unit_http_count(&server), 2);
    ck_assert_msg(send_to("/2", request) == 0, "%s", error_text());
    expect_body("two");
    ck_assert_has(unit_http_request(&server, 1), body);
    ck_assert_str_eq(unit_http_request(&server, 1), unit_http_request(&server, 2));
    ck_assert(!answer.resent);
}
END_TEST

/* That, libcurl does without asking. */
static const char *const without_body[] = { "GET", "HEAD", "DELETE", "PUT", "POST" };

START_TEST(a_request_without_a_body_that_was_sent_twice_is_told)
{
    UNIT_HTTP_SAY(&server, { 200, "one", .keep = true }, { UNIT_DROP }, { 200, "two" });
    ck_assert_int_eq(send_to("/1", (struct http_request){ .method = "GET" }), 0);
    ck_assert_int_eq(send_to("/2", (struct http_request){ .method = without_body[_i] }), 0);
    ck_assert_uint_eq(unit_http_count(&server), 3);
    ck_assert_str_eq(unit_http_request(&server, 1), unit_http_request(&server, 2));
    ck_assert(answer.resent); /* the first may have been heard */
}
END_TEST

/* ---- answers that do not come, or not whole ---- */

static const struct {
    struct unit_answer answer;
    int rc;
    const char *error;
} broken[] = {
    { { UNIT_DROP }, PGCASK_RETRY, "Empty reply from server" }, /* a new connection: not sent again here */
    { { UNIT_CUT, "half of it" }, PGCASK_RETRY, "transfer closed" },
    { { 200, .raw = HEAD_OK "Content-Length: 5\r\n" }, PGCASK_RETRY, "" }, /* in the headers */
    { { 200, .raw = HEAD_OK "Transfer-Encoding: chunked\r\n\r\n5\r\nab" }, PGCASK_RETRY, "" },
    { { 200, .raw = HEAD_OK "Transfer-Encoding: chunked\r\n\r\nzz\r\nab" }, PGCASK_RETRY, "" },
    { { 200, .raw = HEAD_OK "Content-Length: -5\r\n\r\nab" }, PGCASK_RETRY, "Content-Length" },
    { { 200, .raw = "220 mail.example.com ESMTP\r\n" }, PGCASK_FAILED, "HTTP/0.9" }, /* another protocol */
    { { UNIT_HANG, .raw = HEAD_OK }, PGCASK_RETRY, "too slow" },
    { { UNIT_HANG }, PGCASK_RETRY, "too slow" },
};

START_TEST(an_answer_that_is_not_whole_is_passing_trouble)
{
    char into[100];

    use((struct http_settings){ .stall_timeout_ms = 1000 });
    UNIT_HTTP_SAY(&server, broken[_i].answer);
    ck_assert_int_eq(send_to("/x?secret=s3cr3t", (struct http_request){ .method = "GET" }), broken[_i].rc);
    ck_assert_error_has(broken[_i].error);
    ck_assert_error_has("GET http://127.0.0.1:");
    ck_assert_uint_eq(unit_http_count(&server), 1);
    if (broken[_i].answer.status == UNIT_HANG)
        return; /* no second wait */
    UNIT_HTTP_SAY(&server, broken[_i].answer);
    ck_assert_int_eq(send_to("/x", (struct http_request){ .method = "GET", .into = into, .into_size = sizeof into }),
                     broken[_i].rc);
}
END_TEST

START_TEST(a_request_may_have_a_time_of_its_own)
{
    UNIT_HTTP_SAY(&server, { UNIT_HANG });
    ck_assert_int_eq(send_to("/", (struct http_request){ .method = "GET", .timeout_ms = 50 }), PGCASK_RETRY);
    ck_assert_error_has("timed out");
}
END_TEST

START_TEST(nobody_there_is_passing_trouble_with_a_cure)
{
    struct http_request request = { .method = "GET", .url = "http://127.0.0.1:1/" };

    ck_assert_int_eq(http_send(http, &request, &answer), PGCASK_RETRY);
    ck_assert_has(error_cure(), "is the server running");
}
END_TEST

static const char *const urls[] = { "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "gopher://127.0.0.1:1/x" };

START_TEST(an_address_that_is_none_is_final)
{
    struct http_request request = { .method = "GET", .url = urls[_i] };

    ck_assert_int_eq(http_send(http, &request, &answer), PGCASK_FAILED);
    ck_assert_error_has(urls[_i]);
}
END_TEST

/* libcurl would repeat the first two. */
static const char *const proxies[] = { "http://user:s3c ret@127.0.0.1:1", "foo://user:s3cret@127.0.0.1:1",
                                       "http://user:s3cret@127.0.0.1:1" };

START_TEST(the_password_of_a_proxy_is_not_told)
{
    use((struct http_settings){ .proxy = proxies[_i] });
    ck_assert_int_lt(send_to("/", (struct http_request){ .method = "GET" }), 0);
    ck_assert_error_has("GET http://127.0.0.1:");
    ck_assert_lacks(error_text(), "s3c");
}
END_TEST

START_TEST(a_file_of_authorities_that_is_none_is_final)
{
    CLEANUP_FREE char *path = aws_file("ca.pem", "no certificate\n");
    CLEANUP_FREE char *url = plain_printf("https://127.0.0.1:%u/", server.port);
    struct http_request request = { .method = "GET", .url = url };

    use((struct http_settings){ .ca_file = path });
    UNIT_HTTP_SAY(&server, { 200 });
    ck_assert_int_eq(http_send(mine, &request, &answer), PGCASK_FAILED);
    ck_assert_has(error_cure(), "ca_file");
}
END_TEST

static void *
cancel_when_asked(void *ctx)
{
    (void)ctx;
    while (unit_http_count(&server) == 0)
        (void)usleep(1000);
    cancel_request();
    return NULL;
}

START_TEST(stopping_the_run_ends_a_request_but_not_the_cleaning_up_behind_it)
{
    pthread_t thread;

    UNIT_HTTP_SAY(&server, { UNIT_HANG }, { 204 });
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_when_asked, NULL), 0);
    ck_assert_int_eq(send_to("/", (struct http_request){ .method = "GET" }), PGCASK_FAILED);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(send_to("/", (struct http_request){ .method = "DELETE" }), 0);
    ck_assert_int_eq(answer.status, 204);
}
END_TEST

/* ---- counting, threads ---- */

START_TEST(bytes_of_bodies_are_counted_as_often_as_they_move)
{
    static const struct plugin plugin = { .kind = PLUGIN_STORAGE,
                                          .name = "fake",
                                          .thread_model = PGCASK_THREADS_PARALLEL };
    struct instance instance;
    const char *before;
    char into[8];

    instance_init(&instance, "store", "test", &plugin, 0, 0);
    before = instance_enter(&instance);
    UNIT_HTTP_SAY(&server, { 200, "12345678", .keep = true }, { UNIT_DROP }, { 404, "123" });
    ck_assert_int_eq(send_to("/1", (struct http_request){ .method = "GET", .into = into, .into_size = sizeof into }),
                     0);
    ck_assert_int_eq(send_to("/2", (struct http_request){ .method = "PUT", .body = "12345", .body_size = 5 }),
                     PGCASK_RETRY);
    ck_assert_int_eq(send_to("/2", (struct http_request){ .method = "PUT", .body = "12345", .body_size = 5 }), 0);
    (void)instance_leave(&instance, before, "test", 0);
    ck_assert_uint_eq(instance.counts[PGCASK_COUNT_RECEIVED], 11);
    ck_assert_uint_eq(instance.counts[PGCASK_COUNT_SENT], 10);
    instance_free(&instance);
}
END_TEST

static void *
ask_often(void *ctx)
{
    CLEANUP_FREE char *url = unit_http_url(&server, "/");
    const struct http_request request = { .method = "PUT", .url = url, .body = "body", .body_size = 4 };
    size_t *good = ctx;

    for (int i = 0; i < 8; i++) {
        struct http_answer own;

        if (http_send(http, &request, &own) < 0)
            continue;
        *good += own.status == 200 && strcmp(own.body, "fine") == 0;
        http_answer_free(&own);
    }
    return NULL;
}

START_TEST(any_number_of_threads_may_ask)
{
    pthread_t threads[8];
    size_t good[8] = { 0 };

    UNIT_HTTP_SAY(&server, { 200, "fine", .again = true });
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_often, &good[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(good[i], 8);
    }
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("http");
    TCase *tcase = tcase_create("http");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_loop_test(tcase, a_request_goes_out_as_it_was_made, 0, ARRAY_LEN(requests));
    tcase_add_test(tcase, a_connection_is_used_again);
    tcase_add_test(tcase, a_kept_connection_that_was_closed_is_no_error);
    tcase_add_test(tcase, programs_that_are_started_do_not_get_the_connections);
    tcase_add_test(tcase, a_body_lost_on_a_kept_connection_is_not_sent_again_by_itself);
    tcase_add_loop_test(tcase, a_request_without_a_body_that_was_sent_twice_is_told, 0, ARRAY_LEN(without_body));
    tcase_add_loop_test(tcase, an_answer_that_is_not_whole_is_passing_trouble, 0, ARRAY_LEN(broken));
    tcase_add_test(tcase, a_request_may_have_a_time_of_its_own);
    tcase_add_test(tcase, nobody_there_is_passing_trouble_with_a_cure);
    tcase_add_loop_test(tcase, an_address_that_is_none_is_final, 0, ARRAY_LEN(urls));
    tcase_add_loop_test(tcase, the_password_of_a_proxy_is_not_told, 0, ARRAY_LEN(proxies));
    tcase_add_test(tcase, a_file_of_authorities_that_is_none_is_final);
    tcase_add_test(tcase, stopping_the_run_ends_a_request_but_not_the_cleaning_up_behind_it);
    tcase_add_test(tcase, bytes_of_bodies_are_counted_as_often_as_they_move);
    tcase_add_test(tcase, any_number_of_threads_may_ask);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
