/* SPDX-License-Identifier: PostgreSQL
 *
 * A scripted double of a PostgreSQL server for what a real one cannot be made to
 * say at will. It speaks enough of the protocol for libpq, writes down what it is
 * asked, and answers what the test's function says:
 *
 *   NULL            done, no rows
 *   "!text"         an error of that text
 *   "a\tb\n\\N\tc\n"  rows: fields separated by tabs, rows ended by newlines; "" for none
 *   "<"             COPY … FROM STDIN: give me rows
 *   "."             hang up
 */
#ifndef PGCASK_TESTS_UNIT_PG_H
#define PGCASK_TESTS_UNIT_PG_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "pg/conn.h"
#include "unit-dir.h"
#include "unit.h"

enum { DOUBLE_SESSIONS = 8, DOUBLE_MESSAGE_BYTES = 1024 * 1024, DOUBLE_PARAMS = 8 };

struct double_session {
    int fd;
    char *sql;                   /* of the last Parse */
    const char *answer;
    bool skip;                   /* up to the next Sync, after an error */
    struct buf out;
};

static struct {
    char *conninfo;
    const char *version;         /* "15.20" */
    const char *(*answer)(const char *sql); /* called by one session at a time, but where it sleeps: see double_wait */
    bool (*script)(const char *sql, struct buf *out); /* may be NULL; true: it has written the messages that answer; "" is
                                                         the end of what the client had to copy */
    int listener;
    pthread_t thread, threads[DOUBLE_SESSIONS];
    struct double_session sessions[DOUBLE_SESSIONS];
    size_t count;
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct buf copied; /* with a script: the bytes of all messages that were copied to us */
    struct strv log; /* what was asked, parameters in brackets behind it; the session's own settings are left out */
} twin = { .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER };

/* For answers: until another session has asked for something with `part` in it. The lock is held. */
static inline void
double_wait(const char *part)
{
    for (;;) {
        for (size_t i = 0; i < twin.log.len; i++)
            if (strstr(twin.log.items[i], part) != NULL)
                return;
        (void)pthread_cond_wait(&twin.change, &twin.lock);
    }
}

/* ---- messages ---- */

static inline void
put_number(struct buf *out, uint32_t number, size_t size)
{
    uint32_t order = htonl(number);

    ck_assert_int_eq(buf_add(out, (const char *)&order + sizeof order - size, size), 0);
}

static inline void
put_message(struct buf *out, char type, const void *body, size_t len)
{
    ck_assert_int_eq(buf_add(out, &type, 1), 0);
    put_number(out, (uint32_t)len + 4, 4);
    ck_assert_int_eq(buf_add(out, body, len), 0);
}

static inline void
put_setting(struct buf *out, const char *name, const char *value)
{
    CLEANUP_BUF struct buf body = BUF_INIT(DOUBLE_MESSAGE_BYTES);

    ck_assert_int_eq(buf_add(&body, name, strlen(name) + 1), 0);
    ck_assert_int_eq(buf_add(&body, value, strlen(value) + 1), 0);
    put_message(out, 'S', body.data, body.len);
}

static inline void
put_error(struct buf *out, const char *text)
{
    CLEANUP_BUF struct buf body = BUF_INIT(DOUBLE_MESSAGE_BYTES);

    ck_assert_int_eq(buf_addf(&body, "SERROR%cVERROR%cC42000%cM%s%c", 0, 0, 0, text, 0), 0);
    ck_assert_int_eq(buf_add(&body, "", 1), 0);
    put_message(out, 'E', body.data, body.len);
}

static inline size_t
count_fields(const char *row)
{
    size_t count = 1;

    for (; *row != '\n' && *row != '\0'; row++)
        count += *row == '\t';
    return count;
}

static inline void
put_columns(struct buf *out, const char *rows)
{
    CLEANUP_BUF struct buf body = BUF_INIT(DOUBLE_MESSAGE_BYTES);
    size_t count = count_fields(rows);

    put_number(&body, (uint32_t)count, 2);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(buf_add(&body, "c", 2), 0);
        put_number(&body, 0, 4);
        put_number(&body, 0, 2);
        put_number(&body, 25, 4); /* text */
        put_number(&body, 0xffff, 2);
        put_number(&body, 0xffffffff, 4);
        put_number(&body, 0, 2);
    }
    put_message(out, 'T', body.data, body.len);
}

static inline void
put_rows(struct buf *out, const char *rows)
{
    while (*rows != '\0') {
        CLEANUP_BUF struct buf body = BUF_INIT(DOUBLE_MESSAGE_BYTES);

        put_number(&body, (uint32_t)count_fields(rows), 2);
        for (char end = '\t'; end == '\t'; rows++) {
            size_t len = strcspn(rows, "\t\n");
            bool null = len == 2 && strncmp(rows, "\\N", 2) == 0;

            put_number(&body, null ? 0xffffffff : (uint32_t)len, 4);
            ck_assert_int_eq(buf_add(&body, rows, null ? 0 : len), 0);
            rows += len;
            end = *rows;
        }
        put_message(out, 'D', body.data, body.len);
    }
}

/* ---- a session ---- */

static inline bool
is_rows(const char *answer)
{
    return answer != NULL && *answer != '!' && *answer != '<' && *answer != '.';
}

static inline const char *
double_ask(const char *sql, const struct strv *params)
{
    CLEANUP_FREE char *joined = strv_join(params, ", ");
    const char *answer;

    if (strncmp(sql, "SET standard_conforming_strings", 31) == 0)
        return NULL;
    (void)pthread_mutex_lock(&twin.lock);
    if (params->len > 0)
        strv_addf(&twin.log, "%s [%s]", sql, joined);
    else
        strv_add(&twin.log, sql);
    (void)pthread_cond_broadcast(&twin.change);
    answer = twin.answer(sql);
    (void)pthread_mutex_unlock(&twin.lock);
    return answer;
}

static inline void
answer_query(struct double_session *session, const char *sql)
{
    static const struct strv none;

    session->answer = NULL;
    if (twin.script != NULL && twin.script(sql, &session->out))
        return;
    session->answer = double_ask(sql, &none);
    if (session->answer == NULL)
        put_message(&session->out, 'C', "OK", 3);
    else if (*session->answer == '!')
        put_error(&session->out, session->answer + 1);
    else if (*session->answer == '<') {
        put_message(&session->out, 'G', "\0\0", 3); /* text, no columns told */
        return;
    } else if (is_rows(session->answer)) {
        put_columns(&session->out, session->answer);
        put_rows(&session->out, session->answer);
        put_message(&session->out, 'C', "SELECT", 7);
    }
    put_message(&session->out, 'Z', "I", 1);
}

static inline uint32_t
get_number(const char **p, size_t size)
{
    uint32_t number = 0;

    memcpy((char *)&number + sizeof number - size, *p, size);
    *p += size;
    return ntohl(number);
}

static inline void
answer_bind(struct double_session *session, const char *p)
{
    CLEANUP_STRV struct strv params = { 0 };
    uint32_t count;

    p += strlen(p) + 1; /* portal */
    p += strlen(p) + 1; /* statement */
    count = get_number(&p, 2);
    p += 2 * (size_t)count;
    count = get_number(&p, 2);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = get_number(&p, 4);

        if (len == 0xffffffff) {
            strv_add(&params, "NULL");
            continue;
        }
        strv_take(&params, mem_strndup(p, len));
        p += len;
    }
    session->answer = double_ask(session->sql, &params);
    if (session->answer != NULL && *session->answer == '!') {
        put_error(&session->out, session->answer + 1);
        session->skip = true;
    } else
        put_message(&session->out, '2', "", 0);
}

static inline void
answer_message(struct double_session *session, char type, const char *body, size_t len)
{
    if (session->skip && type != 'S')
        return;
    switch (type) {
    case 'Q':
        answer_query(session, body);
        break;
    case 'P':
        free(session->sql);
        session->sql = mem_strdup(body + strlen(body) + 1);
        put_message(&session->out, '1', "", 0);
        break;
    case 'B':
        answer_bind(session, body);
        break;
    case 'D':
        if (is_rows(session->answer))
            put_columns(&session->out, session->answer);
        else
            put_message(&session->out, 'n', "", 0);
        break;
    case 'E':
        if (is_rows(session->answer))
            put_rows(&session->out, session->answer);
        put_message(&session->out, 'C', is_rows(session->answer) ? "SELECT" : "OK", is_rows(session->answer) ? 7 : 3);
        break;
    case 'S':
        session->skip = false;
        put_message(&session->out, 'Z', "I", 1);
        break;
    case 'd':
        (void)pthread_mutex_lock(&twin.lock);
        if (twin.script != NULL)
            ck_assert_int_eq(buf_add(&twin.copied, body, len), 0);
        strv_addf(&twin.log, "copy %s", body);
        (void)pthread_cond_broadcast(&twin.change);
        (void)pthread_mutex_unlock(&twin.lock);
        break;
    case 'c':
        if (twin.script != NULL && twin.script("", &session->out))
            break;
        put_message(&session->out, 'C', "COPY", 5);
        put_message(&session->out, 'Z', "I", 1);
        break;
    default:
        break;
    }
}

static inline bool
receive(int fd, void *data, size_t len)
{
    return recv(fd, data, len, MSG_WAITALL) == (ssize_t)len;
}

/* The body, NUL behind it; NULL when the client is gone. Owned by the caller. */
static inline char *
receive_body(int fd, size_t *ret_len)
{
    uint32_t len;
    char *body;

    if (!receive(fd, &len, 4) || ntohl(len) < 4 || ntohl(len) > DOUBLE_MESSAGE_BYTES)
        return NULL;
    *ret_len = ntohl(len) - 4;
    body = mem_zalloc(*ret_len + 1);
    if (*ret_len > 0 && !receive(fd, body, *ret_len)) {
        free(body);
        return NULL;
    }
    return body;
}

static inline bool
double_flush(struct double_session *session)
{
    bool sent = send(session->fd, session->out.data, session->out.len, MSG_NOSIGNAL) == (ssize_t)session->out.len;

    session->out.len = 0;
    return sent;
}

/* The startup packet: NULL-separated words behind the version. A request to cancel is one, too: it ends there. */
static inline bool
double_greet(struct double_session *session)
{
    size_t len = 0;
    CLEANUP_FREE char *body = receive_body(session->fd, &len);
    const char *database = "";

    if (body == NULL || memcmp(body, "\0\3\0\0", 4) != 0)
        return false;
    for (const char *p = body + 4; *p != '\0'; p += strlen(p) + 1) {
        const char *value = p + strlen(p) + 1;

        if (strcmp(p, "database") == 0)
            database = value;
        p = value;
    }
    (void)pthread_mutex_lock(&twin.lock);
    strv_addf(&twin.log, "connect %s", database);
    (void)pthread_mutex_unlock(&twin.lock);
    put_message(&session->out, 'R', "\0\0\0\0", 4);
    put_setting(&session->out, "server_version", twin.version);
    put_setting(&session->out, "client_encoding", "UTF8");
    put_setting(&session->out, "standard_conforming_strings", "on");
    put_message(&session->out, 'K', "\0\0\0\1\0\0\0\1", 8);
    put_message(&session->out, 'Z', "I", 1);
    return double_flush(session);
}

static inline void *
double_serve(void *arg)
{
    struct double_session *session = arg;
    char type;

    session->out = (struct buf)BUF_INIT(DOUBLE_MESSAGE_BYTES);
    if (double_greet(session))
        while (receive(session->fd, &type, 1) && type != 'X') {
            size_t len = 0;
            CLEANUP_FREE char *body = receive_body(session->fd, &len);

            if (body == NULL)
                break;
            answer_message(session, type, body, len);
            if (session->answer != NULL && *session->answer == '.')
                break;
            if (!double_flush(session))
                break;
        }
    (void)shutdown(session->fd, SHUT_RDWR);
    buf_free(&session->out);
    free(session->sql);
    return NULL;
}

static inline void *
double_listen(void *arg)
{
    int fd;

    while ((fd = accept4(twin.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        if (twin.count == DOUBLE_SESSIONS)
            abort(); /* a test that wants more than there is */
        twin.sessions[twin.count] = (struct double_session){ .fd = fd };
        if (pthread_create(&twin.threads[twin.count], NULL, double_serve, &twin.sessions[twin.count]) != 0)
            abort();
        twin.count++;
    }
    return arg;
}

/* ---- for tests: as a fixture together with dir_make ---- */

static inline void
double_start(const char *(*answer)(const char *sql))
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    dir_make();
    twin.answer = answer;
    twin.version = "15.20";
    twin.script = NULL;
    twin.copied = (struct buf)BUF_INIT(DOUBLE_MESSAGE_BYTES);
    twin.conninfo = mem_printf("host=%s port=5432 user=me dbname=shop", unit_dir);
    ck_assert_int_lt(snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432", unit_dir),
                     (int)sizeof address.sun_path);
    twin.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(twin.listener, 0);
    ck_assert_int_eq(bind(twin.listener, (const struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(twin.listener, 8), 0);
    ck_assert_int_eq(pthread_create(&twin.thread, NULL, double_listen, NULL), 0);
}

/* All connections must be closed by now. */
static inline void
double_stop(void)
{
    (void)shutdown(twin.listener, SHUT_RDWR);
    ck_assert_int_eq(pthread_join(twin.thread, NULL), 0);
    for (size_t i = 0; i < twin.count; i++) {
        ck_assert_int_eq(pthread_join(twin.threads[i], NULL), 0);
        (void)close(twin.sessions[i].fd);
    }
    (void)close(twin.listener);
    twin.count = 0;
    strv_free(&twin.log);
    buf_free(&twin.copied);
    free(twin.conninfo);
    dir_remove();
}

static inline struct pg_conn *
double_connect(void)
{
    const struct pg_server server = { twin.conninfo, NULL };
    struct pg_conn *conn = NULL;

    ck_assert_msg(pg_connect(&server, NULL, &conn) == 0, "%s", error_text());
    return conn;
}

/* What was asked up to now, one a line; owned by the caller. */
static inline char *
double_log(void)
{
    char *text;

    (void)pthread_mutex_lock(&twin.lock);
    text = strv_join(&twin.log, "\n");
    (void)pthread_mutex_unlock(&twin.lock);
    return text;
}

#endif
