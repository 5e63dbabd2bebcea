/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/replication.h"

#include "pg/conn-private.h"
#include "pg/replication-private.h"
#include "pg/wal-name.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    OLDEST_SERVER = 130000,
    MESSAGE_MAX_BYTES = 64 * 1024 * 1024, /* PostgreSQL's own have 128 KiB of WAL, or a buffer of a base backup */
};

/* SQLSTATE */
#define UNDEFINED_FILE "58P01"
#define INSUFFICIENT_PRIVILEGE "42501"

/* ---- the connection ---- */

static void
replication_hook(void *ctx)
{
    struct replication *replication = ctx;
    char why[256];

    replication_wake(replication);
    if (replication->cancel != NULL) /* a checkpoint that is waited for; all else would end when we close, too */
        (void)PQcancel(replication->cancel, why, sizeof why);
}

static void
replication_notice(void *ctx, const PGresult *result)
{
    struct replication *replication = ctx;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    CLEANUP_FREE char *words = pg_words(primary ? primary : "");

    if (severity != NULL && strcmp(severity, "WARNING") == 0)
        log_warn("PostgreSQL: %s", words);
    else
        log_debug("PostgreSQL: %s", words);
    if (replication->notice != NULL)
        replication->notice(replication->notice_ctx, result);
}

void
replication_on_notice(struct replication *replication, void (*notice)(void *ctx, const PGresult *notice), void *ctx)
{
    replication->notice = notice;
    replication->notice_ctx = ctx;
}

static int
replication_open(struct replication *replication, const char *application_name)
{
    const struct pg_server *server = &replication->server;
    CLEANUP_FREE char *conninfo = NULL, *own_password = NULL;
    /* what stands before dbname gives way to conninfo: a peer that is gone without a word is noticed in about 90 s */
    const char *keys[] = { "connect_timeout",  "keepalives_idle",           "keepalives_interval", "keepalives_count",
                           "tcp_user_timeout", "fallback_application_name", "dbname",              "password",
                           "replication",      "application_name",          NULL };
    const char *values[] = { "30", "30", "10", "6", "90000", "pgcask", NULL, NULL, "true", application_name, NULL };
    int rc = pg_conninfo(server->conninfo, "replication", &conninfo); /* as ~/.pgpass has it for PostgreSQL's own */

    if (rc == 0)
        rc = pg_conninfo_password(server->conninfo, &own_password);
    if (rc < 0)
        return rc;
    values[6] = conninfo;
    values[7] = server->password ? server->password : own_password;
    replication->pq = PQconnectdbParams(keys, values, 1);
    if (own_password != NULL)
        explicit_bzero(own_password, strlen(own_password));
    if (replication->pq == NULL)
        return error_set(PGCASK_FAILED, "could not connect to PostgreSQL: out of memory");
    return PQstatus(replication->pq) == CONNECTION_OK ? 0 : pg_connect_failed(replication->pq);
}

int
replication_connect(const struct pg_server *server, const char *application_name, struct replication **ret_replication)
{
    CLEANUP(replication_close) struct replication *replication = mem_zalloc(sizeof *replication);
    const char *text;
    int rc;

    replication->server = *server;
    replication->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (replication->wake_fd < 0)
        return error_errno(PGCASK_FAILED, "could not make a descriptor to be woken by");
    rc = replication_open(replication, application_name);
    if (rc < 0)
        return rc;
    text = PQparameterStatus(replication->pq, "server_version");
    replication->text = mem_strdup(text ? text : "");
    if (PQserverVersion(replication->pq) < OLDEST_SERVER)
        return error_set(PGCASK_UNSUPPORTED, "the server is PostgreSQL %s (wanted: 13 or later)", replication->text);
    (void)PQsetNoticeReceiver(replication->pq, replication_notice, replication);
    replication->cancel = PQgetCancel(replication->pq);
    cancel_hook_add(replication_hook, replication);
    *ret_replication = STEAL(replication);
    return 0;
}

void
replication_close(struct replication *replication)
{
    if (replication == NULL)
        return;
    cancel_hook_remove(replication_hook, replication);
    PQfreeCancel(replication->cancel);
    PQfreemem(replication->message);
    PQfinish(replication->pq);
    if (replication->wake_fd >= 0)
        (void)close(replication->wake_fd);
    free(replication->text);
    free(replication);
}

int
replication_server_version(const struct replication *replication)
{
    return PQserverVersion(replication->pq);
}

const char *
replication_server_text(const struct replication *replication)
{
    return replication->text;
}

const char *
replication_sqlstate(const struct replication *replication)
{
    return replication->state;
}

void
replication_wake(struct replication *replication)
{
    const uint64_t one = 1;

    atomic_store(&replication->woken, true);
    if (write(replication->wake_fd, &one, sizeof one) < 0)
        return; /* full: it is readable already */
}

/* ---- waiting ---- */

int
replication_broken(const struct replication *replication)
{
    CLEANUP_FREE char *words = pg_words(PQerrorMessage(replication->pq));

    return cancel_or(
        error_set(PGCASK_RETRY, "the connection to PostgreSQL broke: %s", *words ? words : "the server closed it"));
}

int
replication_wait(struct replication *replication, int timeout_ms, bool wakes)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;

    for (;;) {
        struct pollfd fds[] = { { .fd = PQsocket(replication->pq), .events = POLLIN },
                                { .fd = replication->wake_fd, .events = POLLIN } };
        int64_t left_ms = timeout_ms < 0 ? -1 : until_ms - clock_mono_ms();
        int count = poll(fds, 2, timeout_ms >= 0 && left_ms < 0 ? 0 : (int)left_ms), rc = cancel_check();

        if (rc < 0)
            return rc;
        if (count < 0 && errno != EINTR)
            return error_errno(PGCASK_FAILED, "could not wait for PostgreSQL");
        if (count > 0 && fds[1].revents != 0) {
            uint64_t wakings;

            (void)!read(replication->wake_fd, &wakings, sizeof wakings); /* to be woken again */
        }
        if (wakes && atomic_exchange(&replication->woken, false))
            return 0;
        if (count > 0 && fds[0].revents != 0)
            return PQconsumeInput(replication->pq) ? 1 : replication_broken(replication);
        if (timeout_ms >= 0 && clock_mono_ms() >= until_ms)
            return 0;
    }
}

/* ---- commands ---- */

int
replication_send(struct replication *replication, const char *command)
{
    int rc = cancel_check();

    if (rc < 0)
        return rc;
    log_debug("PostgreSQL is asked: %s", command);
    return PQsendQuery(replication->pq, command) ? 0 : replication_broken(replication);
}

static int
replication_refused(struct replication *replication, const PGresult *result)
{
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    CLEANUP_FREE char *words = pg_words(primary ? primary : PQresultErrorMessage(result));
    CLEANUP_FREE char *more = pg_words(detail ? detail : ""), *cure = pg_words(hint ? hint : "");
    int code = PGCASK_FAILED;

    (void)snprintf(replication->state, sizeof replication->state, "%s", state ? state : "");
    if (primary == NULL && PQstatus(replication->pq) == CONNECTION_BAD)
        return replication_broken(replication);
    if (strcmp(replication->state, UNDEFINED_FILE) == 0)
        code = PGCASK_NOT_FOUND;
    (void)error_set(code, "PostgreSQL refused: %s%s%s", words, *more ? ": " : "", more);
    if (*cure != '\0')
        (void)error_hint(code, "%s", cure);
    else if (strcmp(replication->state, INSUFFICIENT_PRIVILEGE) == 0)
        (void)error_hint(code,
                         "base backups and streamed WAL need a role that may replicate: ALTER ROLE … REPLICATION");
    return cancel_or(code);
}

int
replication_result(struct replication *replication, PGresult **ret_result)
{
    CLEANUP(pg_clear) PGresult *result = NULL;

    while (PQisBusy(replication->pq)) {
        int rc = replication_wait(replication, -1, false);

        if (rc < 0)
            return rc;
    }
    result = PQgetResult(replication->pq);
    switch (result == NULL ? PGRES_COMMAND_OK : PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        *ret_result = STEAL(result);
        return 0;
    default:
        return replication_refused(replication, result);
    }
}

int
replication_ask(struct replication *replication, const char *command, PGresult **ret_result)
{
    CLEANUP(pg_clear) PGresult *rows = NULL;
    int rc = replication_send(replication, command);

    while (rc == 0) {
        PGresult *result = NULL;

        rc = replication_result(replication, &result);
        if (rc == 0 && result == NULL)
            break;
        if (rc == 0 && PQresultStatus(result) == PGRES_TUPLES_OK && rows == NULL)
            rows = result;
        else
            PQclear(result);
    }
    /* the end of a refused command */
    while (rc < 0 && PQstatus(replication->pq) == CONNECTION_OK && !cancel_requested()) {
        PGresult *result = PQgetResult(replication->pq);

        if (result == NULL)
            break;
        PQclear(result);
    }
    if (rc == 0 && ret_result != NULL) {
        if (rows == NULL || PQntuples(rows) != 1)
            return error_set(ERROR_CORRUPT, "PostgreSQL gave no answer to %s", command);
        *ret_result = STEAL(rows);
    }
    return rc;
}

int
replication_field(const PGresult *result, int column, const char **ret_text)
{
    if (PQntuples(result) < 1 || column >= PQnfields(result) || PQgetisnull(result, 0, column))
        return error_set(ERROR_CORRUPT, "an answer of PostgreSQL lacks column %d", column + 1);
    *ret_text = PQgetvalue(result, 0, column);
    return 0;
}

int
replication_field_number(const PGresult *result, int column, uint64_t max, uint64_t *ret_number)
{
    const char *text;
    int64_t number;
    int rc = replication_field(result, column, &text);

    if (rc < 0)
        return rc;
    if (parse_int64(text, &number) < 0 || number < 0 || (uint64_t)number > max)
        return error_set(ERROR_CORRUPT, "PostgreSQL answered '%s' (wanted: a number up to %" PRIu64 ")", text, max);
    *ret_number = (uint64_t)number;
    return 0;
}

int
replication_field_lsn(const PGresult *result, int column, uint64_t *ret_lsn)
{
    const char *text;
    int rc = replication_field(result, column, &text);

    return rc < 0 ? rc : wal_lsn_parse(text, ret_lsn) < 0 ? ERROR_CORRUPT : 0;
}

int
replication_copy(struct replication *replication, char **ret_data, size_t *ret_len)
{
    for (;;) {
        char *data = NULL;
        int len = PQgetCopyData(replication->pq, &data, 1), rc;

        if (len > MESSAGE_MAX_BYTES) {
            PQfreemem(data);
            return error_set(ERROR_CORRUPT, "PostgreSQL sent a message of %d bytes", len);
        }
        if (len > 0) {
            *ret_data = data;
            *ret_len = (size_t)len;
            return 1;
        }
        if (len == -1)
            return 0;
        if (len < -1)
            return replication_broken(replication);
        rc = replication_wait(replication, -1, false);
        if (rc < 0)
            return rc;
    }
}

void
replication_message_free(char *data)
{
    PQfreemem(data);
}

int
replication_copy_send(struct replication *replication, const void *data, size_t len)
{
    const char *p = data;
    int rc = cancel_check();

    while (rc == 0 && len > 0) {
        int piece = len > 1024 * 1024 ? 1024 * 1024 : (int)len;

        if (PQputCopyData(replication->pq, p, piece) != 1)
            return replication_broken(replication);
        p += piece;
        len -= (size_t)piece;
        rc = cancel_check();
    }
    return rc;
}

int
replication_copy_end(struct replication *replication)
{
    return PQputCopyEnd(replication->pq, NULL) == 1 && PQflush(replication->pq) == 0 ? 0
                                                                                     : replication_broken(replication);
}

/* ---- who the server is ---- */

int
replication_identify(struct replication *replication, struct replication_system *ret_system)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    struct replication_system system = { 0 };
    uint64_t timeline = 0;
    const char *identifier = NULL;
    int rc = replication_ask(replication, "IDENTIFY_SYSTEM", &result);

    if (rc == 0)
        rc = replication_field(result, 0, &identifier);
    if (rc == 0)
        rc = replication_field_number(result, 1, UINT32_MAX, &timeline);
    if (rc == 0)
        rc = replication_field_lsn(result, 2, &system.lsn);
    if (rc < 0)
        return rc;
    if (*identifier == '\0' || strlen(identifier) >= sizeof system.identifier ||
        strspn(identifier, "0123456789") != strlen(identifier))
        return error_set(ERROR_CORRUPT, "PostgreSQL says its system identifier is '%s'", identifier);
    (void)snprintf(system.identifier, sizeof system.identifier, "%s", identifier);
    system.timeline = (uint32_t)timeline;
    *ret_system = system;
    return 0;
}

int
replication_history(struct replication *replication, uint32_t timeline, struct buf *ret_text)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    CLEANUP_FREE char *command = mem_printf("TIMELINE_HISTORY %" PRIu32, timeline);
    const char *text;
    int rc = replication_ask(replication, command, &result);

    if (rc == 0)
        rc = replication_field(result, 1, &text);
    if (rc == 0)
        rc = buf_add(ret_text, text, (size_t)PQgetlength(result, 0, 1));
    return rc < 0 ? error_context(rc, "the history of timeline %" PRIu32, timeline) : 0;
}

int
replication_show(struct replication *replication, const char *name, char **ret_value)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    CLEANUP_FREE char *command = mem_printf("SHOW %s", name);
    const char *text;
    int rc = replication_ask(replication, command, &result);

    if (rc == 0)
        rc = replication_field(result, 0, &text);
    if (rc == 0)
        *ret_value = mem_strdup(text);
    return rc;
}

int
replication_segment_bytes(struct replication *replication, uint32_t *ret_bytes)
{
    CLEANUP_FREE char *text = NULL;
    char *unit;
    unsigned long number;
    uint64_t bytes;
    int rc = replication_show(replication, "wal_segment_size", &text);

    if (rc < 0)
        return rc;
    number = strtoul(text, &unit, 10);
    bytes = number > 4096 ? 0 : (uint64_t)number << (strcmp(unit, "GB") == 0 ? 30 : strcmp(unit, "MB") == 0 ? 20 : 0);
    if (!wal_segment_size_is_valid(bytes))
        return error_set(ERROR_CORRUPT, "PostgreSQL says its WAL segments have '%s'", text);
    *ret_bytes = (uint32_t)bytes;
    return 0;
}
