/* SPDX-License-Identifier: PostgreSQL
 *
 * A web server that says what it was told to, one answer after the other, and keeps what it was asked: a thread of the
 * test on a free port of 127.0.0.1. One connection at a time, and one request on each unless the answer keeps it open.
 */
#ifndef PGCASK_TESTS_UNIT_HTTP_H
#define PGCASK_TESTS_UNIT_HTTP_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

enum { UNIT_REQUEST_MAX_BYTES = 64 * 1024, UNIT_REQUESTS_MAX = 64 };

/* Statuses that are none. */
enum { UNIT_HANG = 0, UNIT_CUT = -1, UNIT_DROP = -2 };

struct unit_answer {
    int status;         /* UNIT_HANG: the request is read, and nothing said; UNIT_CUT: closed in the middle of the body;
                           UNIT_DROP: the request is read, and the connection closed */
    const char *body;   /* NULL: ""; HEAD is only told its length */
    const char *header; /* "Location: …", the next one behind "\r\n"; NULL: none */
    bool again;         /* for all requests from here on */
    bool keep;          /* the connection stays open for the next request */
    const char *raw;    /* said as it stands instead of all that, then closed, or nothing more (UNIT_HANG); NULL: no */
};

struct unit_http {
    int fd, stop_fd;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t lock;                         /* for the rest */
    struct unit_answer script[UNIT_REQUESTS_MAX]; /* their texts are borrowed; what comes after its end gets a 500 */
    size_t script_len, next;
    char *requests[UNIT_REQUESTS_MAX]; /* head and body */
    size_t count, connections;
};

/* From one complete request: its head, and as much body as that says. */
static inline bool
unit_http_is_whole(const char *text, size_t len)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\nContent-Length:");
    size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;

    return end != NULL && len >= (size_t)(end + 4 - text) + body;
}

/* Owned by the caller; NULL when the client gave up or the server is being stopped. */
static inline char *
unit_http_receive(struct unit_http *server, int fd)
{
    char *text = calloc(1, UNIT_REQUEST_MAX_BYTES + 1);
    size_t len = 0;

    ck_assert_ptr_nonnull(text);
    while (!unit_http_is_whole(text, len)) {
        struct pollfd polls[] = { { .fd = fd, .events = POLLIN }, { .fd = server->stop_fd, .events = POLLIN } };
        ssize_t got;

        (void)poll(polls, 2, -1);
        got = polls[1].revents != 0 ? 0 : recv(fd, text + len, UNIT_REQUEST_MAX_BYTES - len, 0);
        if (got <= 0) {
            free(text);
            return NULL;
        }
        len += (size_t)got;
    }
    return text;
}

/* Keeps the request and says how to answer it. */
static inline struct unit_answer
unit_http_take(struct unit_http *server, char *request)
{
    struct unit_answer answer = { .status = 500, .body = "the script is at its end" };

    (void)pthread_mutex_lock(&server->lock);
    if (server->next < server->script_len) {
        answer = server->script[server->next];
        server->next += !answer.again;
    }
    if (server->count < UNIT_REQUESTS_MAX)
        server->requests[server->count++] = request;
    else
        free(request);
    (void)pthread_mutex_unlock(&server->lock);
    return answer;
}

static inline void
unit_http_answer(const struct unit_answer *answer, bool head, int fd)
{
    const char *body = answer->body != NULL ? answer->body : "";
    bool cut = answer->status == UNIT_CUT;
    char *text = NULL;
    size_t left;

    ck_assert_int_gt(asprintf(&text, "HTTP/1.1 %d Said\r\nContent-Length: %zu\r\nConnection: %s\r\n%s%s\r\n%s",
                              cut ? 200 : answer->status, strlen(body) + (cut ? 1 : 0),
                              answer->keep ? "keep-alive" : "close", answer->header != NULL ? answer->header : "",
                              answer->header != NULL ? "\r\n" : "", head ? "" : body),
                     0);
    if (answer->raw != NULL) {
        free(text);
        text = strdup(answer->raw);
        ck_assert_ptr_nonnull(text);
    }
    left = strlen(text);
    for (const char *p = text; left > 0;) {
        ssize_t put = send(fd, p, left, MSG_NOSIGNAL);

        if (put <= 0)
            break; /* an answer that is too long is not read to its end */
        p += put;
        left -= (size_t)put;
    }
    free(text);
}

static inline void
unit_http_serve(struct unit_http *server, int fd)
{
    struct pollfd polls[] = { { .fd = fd, .events = POLLIN }, { .fd = server->stop_fd, .events = POLLIN } };
    struct unit_answer answer;

    do {
        char *request = unit_http_receive(server, fd);
        bool head = request != NULL && strncmp(request, "HEAD ", 5) == 0;

        if (request == NULL)
            return;
        answer = unit_http_take(server, request);
        if (answer.raw != NULL || (answer.status != UNIT_HANG && answer.status != UNIT_DROP))
            unit_http_answer(&answer, head, fd);
        if (answer.status == UNIT_HANG)
            (void)poll(polls, 2, -1); /* until the client gives up */
    } while (answer.keep);
}

static inline void *
unit_http_run(void *ctx)
{
    struct unit_http *server = ctx;

    for (;;) {
        struct pollfd polls[] = {
            { .fd = server->fd, .events = POLLIN },
            { .fd = server->stop_fd, .events = POLLIN },
        };
        int fd;

        (void)poll(polls, 2, -1);
        if (polls[1].revents != 0)
            return NULL;
        fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        (void)pthread_mutex_lock(&server->lock);
        server->connections++;
        (void)pthread_mutex_unlock(&server->lock);
        unit_http_serve(server, fd);
        (void)close(fd);
    }
}

static inline void
unit_http_start(struct unit_http *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;

    *server = (struct unit_http){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    ck_assert_int_ge(server->fd, 0);
    ck_assert_int_eq(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(server->fd, 16), 0);
    ck_assert_int_eq(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    ck_assert_int_ge(server->stop_fd, 0);
    (void)pthread_mutex_init(&server->lock, NULL);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, unit_http_run, server), 0);
}

static inline void
unit_http_stop(struct unit_http *server)
{
    uint64_t one = 1;

    ck_assert_int_eq(write(server->stop_fd, &one, sizeof one), sizeof one);
    ck_assert_int_eq(pthread_join(server->thread, NULL), 0);
    (void)close(server->fd);
    (void)close(server->stop_fd);
    for (size_t i = 0; i < server->count; i++)
        free(server->requests[i]);
    (void)pthread_mutex_destroy(&server->lock);
}

/* What to say from now on, copied up to the texts; what was asked is forgotten. */
static inline void
unit_http_script(struct unit_http *server, const struct unit_answer *script, size_t len)
{
    ck_assert_uint_le(len, UNIT_REQUESTS_MAX);
    (void)pthread_mutex_lock(&server->lock);
    memcpy(server->script, script, len * sizeof *script);
    server->script_len = len;
    server->next = 0;
    for (size_t i = 0; i < server->count; i++)
        free(server->requests[i]);
    server->count = 0;
    (void)pthread_mutex_unlock(&server->lock);
}
#define UNIT_HTTP_SAY(server, ...)                                                                                     \
    unit_http_script((server), (const struct unit_answer[]){ __VA_ARGS__ },                                            \
                     sizeof((const struct unit_answer[]){ __VA_ARGS__ }) / sizeof(struct unit_answer))

static inline size_t
unit_http_count(struct unit_http *server)
{
    size_t count;

    (void)pthread_mutex_lock(&server->lock);
    count = server->count;
    (void)pthread_mutex_unlock(&server->lock);
    return count;
}

/* Since the start. */
static inline size_t
unit_http_connections(struct unit_http *server)
{
    size_t count;

    (void)pthread_mutex_lock(&server->lock);
    count = server->connections;
    (void)pthread_mutex_unlock(&server->lock);
    return count;
}

/* Borrowed until the next script. */
static inline const char *
unit_http_request(struct unit_http *server, size_t index)
{
    const char *request = "";

    (void)pthread_mutex_lock(&server->lock);
    if (index < server->count)
        request = server->requests[index];
    (void)pthread_mutex_unlock(&server->lock);
    return request;
}

/* Owned by the caller. */
static inline char *
unit_http_url(const struct unit_http *server, const char *path)
{
    char *url = NULL;

    ck_assert_int_gt(asprintf(&url, "http://127.0.0.1:%u%s", server->port, path), 0);
    return url;
}

#endif
