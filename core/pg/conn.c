/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/conn.h"

#include "pg/conn-private.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SQLSTATE */
#define LOCK_NOT_AVAILABLE "55P03"
#define INSUFFICIENT_PRIVILEGE "42501"

struct pg_conn {
    PGconn *pq;
    PGcancel *cancel;
    char state[6]; /* SQLSTATE of the last refusal */
};

char *
pg_words(const char *message)
{
    char *words = mem_strdup(message), *end = words;

    for (const char *p = message; *p != '\0'; p++) {
        bool blank = strchr(" \n\t", *p) != NULL;

        if (!blank || (end > words && end[-1] != ' '))
            *end++ = blank ? ' ' : *p;
    }
    while (end > words && end[-1] == ' ')
        end--;
    *end = '\0';
    return words;
}

static int
pg_failed(const struct pg_conn *conn, const char *what)
{
    static const char severity[] = "ERROR: ";
    CLEANUP_FREE char *words = pg_words(PQerrorMessage(conn->pq));
    size_t skip = strncmp(words, severity, strlen(severity)) == 0 ? strlen(severity) : 0;

    return cancel_or(error_set(PGCASK_FAILED, "%s: %s", what, words + skip));
}

static void
pg_cancel_hook(void *ctx)
{
    struct pg_conn *conn = ctx;
    char why[256];

    (void)PQcancel(conn->cancel, why, sizeof why); /* if it does not work, the query simply ends later */
}

static const char password_hint[] = "check user and password of the cluster (password, password_file, password_env or "
                                    "password_command in [cluster …])";
static const char replication_hint[] = "base backups and streamed WAL need a role that may replicate: ALTER ROLE … REPLICATION";
static const char down_hint[] = "is the server running, and are host and port in conninfo right?";

/* What the server or libpq says, and the cure; the first row that fits counts. */
static const struct {
    const char *words, *more; /* both are in the message; NULL: the first alone */
    const char *hint;
} connect_hints[] = {
    { "no pg_hba.conf entry for replication", NULL,
      "replication connections need a line of their own in pg_hba.conf, such as 'host replication ROLE ADDRESS "
      "scram-sha-256', and then SELECT pg_reload_conf()" },
    { "must be superuser or replication role", NULL, replication_hint },
    { "permission denied to start WAL sender", NULL, replication_hint },
    { "max_wal_senders", NULL,
      "all WAL senders are taken (pg_stat_replication shows by whom): raise max_wal_senders, which needs a restart" },
    { "unsupported startup parameter", "replication",
      "conninfo leads to a connection pooler, which passes no replication connections: name the server itself" },
    { "eer authentication failed", NULL,
      "peer wants the operating system user of that name: run pgcask as that user, map it in pg_ident.conf, or use "
      "host=127.0.0.1 with password_file" },
    { "password authentication failed", NULL, password_hint },
    { "no password supplied", NULL, password_hint },
    { "role \"", "does not exist",
      "the server has no such role: check user in conninfo, which is the operating system user when it names none" },
    { "does not exist", NULL, "check dbname and user in conninfo, and databases of the job" },
    { "Connection refused", NULL, down_hint },
    { "No such file", NULL, down_hint },
    { "starting up", NULL, down_hint },
    { "timeout", NULL, down_hint },
};

/* Warnings of the server: about what was asked of it, so not for everybody's eyes. */
static void
pg_notice(void *ctx, const char *message)
{
    CLEANUP_FREE char *words = pg_words(message);

    (void)ctx;
    log_debug("PostgreSQL: %s", words);
}

int
pg_connect_failed(PGconn *pq)
{
    CLEANUP_FREE char *words = pg_words(PQerrorMessage(pq));

    (void)error_set(PGCASK_FAILED, "could not connect to PostgreSQL: %s", words);
    for (size_t i = 0; i < ARRAY_LEN(connect_hints); i++)
        if (strstr(words, connect_hints[i].words) != NULL &&
            (connect_hints[i].more == NULL || strstr(words, connect_hints[i].more) != NULL))
            return cancel_or(error_hint(PGCASK_FAILED, "%s", connect_hints[i].hint));
    return cancel_or(PGCASK_FAILED);
}

int
pg_connect(const struct pg_server *server, const char *database, struct pg_conn **ret_conn)
{
    CLEANUP(pg_close) struct pg_conn *conn = mem_zalloc(sizeof *conn);
    CLEANUP_FREE char *conninfo = NULL, *own_password = NULL;
    const char *keys[] = { "dbname", "password", "fallback_application_name", "connect_timeout", "client_encoding", NULL };
    const char *values[] = { NULL, NULL, "pgcask", "30", "UTF8", NULL };
    int rc = pg_conninfo(server->conninfo, database, &conninfo);

    if (rc == 0)
        rc = pg_conninfo_password(server->conninfo, &own_password);
    if (rc < 0)
        return rc;
    values[0] = conninfo; /* expanded, being the first dbname; what follows wins over what is in it */
    values[1] = server->password ? server->password : own_password;
    if (strstr(conninfo, "connect_timeout") != NULL)
        keys[3] = "fallback_application_name", values[3] = "pgcask";
    conn->pq = PQconnectdbParams(keys, values, 1);
    if (own_password != NULL)
        explicit_bzero(own_password, strlen(own_password));
    if (conn->pq == NULL)
        return error_set(PGCASK_FAILED, "could not connect to PostgreSQL: out of memory");
    if (PQstatus(conn->pq) != CONNECTION_OK)
        return pg_connect_failed(conn->pq);
    (void)PQsetNoticeProcessor(conn->pq, pg_notice, NULL);
    conn->cancel = PQgetCancel(conn->pq);
    if (conn->cancel != NULL)
        cancel_hook_add(pg_cancel_hook, conn);
    rc = pg_run_always(conn, "SET standard_conforming_strings = on; SET statement_timeout = 0; SET lock_timeout = 0; "
                             "SET idle_in_transaction_session_timeout = 0; SET array_nulls = on; "
                             "SET default_transaction_read_only = off; SET datestyle = ISO; SET intervalstyle = postgres; "
                             "SET extra_float_digits = 3; SET client_min_messages = warning; SET timezone = 'UTC'; "
                             "SELECT pg_catalog.set_config('search_path', '', false); "
                      /* parameters of later majors */
                      "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings"
                      " WHERE name IN ('idle_session_timeout', 'transaction_timeout')");
    if (rc < 0)
        return rc;
    *ret_conn = STEAL(conn);
    return 0;
}

void
pg_close(struct pg_conn *conn)
{
    if (conn == NULL)
        return;
    if (conn->cancel != NULL) {
        cancel_hook_remove(pg_cancel_hook, conn);
        PQfreeCancel(conn->cancel);
    }
    PQfinish(conn->pq);
    free(conn);
}

void
pg_clear(PGresult *result)
{
    PQclear(result);
}

static int
pg_result(struct pg_conn *conn, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    int rc;

    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY)
        return 0;
    (void)snprintf(conn->state, sizeof conn->state, "%s", state != NULL ? state : "");
    rc = pg_failed(conn, "PostgreSQL refused");
    if (rc == PGCASK_FAILED && state != NULL && strcmp(state, LOCK_NOT_AVAILABLE) == 0)
        return error_hint(rc, "another session holds a table (pg_locks shows which one); lock_timeout in [cluster …] is how "
                              "long to wait");
    if (rc == PGCASK_FAILED && strcmp(conn->state, INSUFFICIENT_PRIVILEGE) == 0)
        return error_hint(rc, "a backup needs the rights in pgcask-backup(1), such as GRANT pg_read_all_data TO its role; a "
                              "restore needs those of the owners");
    return rc;
}

int
pg_run_always(struct pg_conn *conn, const char *sql)
{
    CLEANUP(pg_clear) PGresult *result = PQexec(conn->pq, sql);

    return pg_result(conn, result);
}

int
pg_run(struct pg_conn *conn, const char *sql)
{
    int rc = cancel_check();

    return rc < 0 ? rc : pg_run_always(conn, sql);
}

int
pg_runf(struct pg_conn *conn, const char *format, ...)
{
    va_list args;
    CLEANUP_FREE char *sql = NULL;
    int len;

    va_start(args, format);
    len = vasprintf(&sql, format, args);
    va_end(args);
    if (len < 0) {
        sql = NULL;
        return error_set(PGCASK_FAILED, "could not format a command");
    }
    return pg_run(conn, sql);
}

int
pg_query(struct pg_conn *conn, const char *sql, const char *const *params, int count, PGresult **ret_result)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    int rc = cancel_check();

    if (rc < 0)
        return rc;
    result = PQexecParams(conn->pq, sql, count, NULL, params, NULL, NULL, 0);
    rc = pg_result(conn, result);
    if (rc == 0)
        *ret_result = STEAL(result);
    return rc;
}

int
pg_value(struct pg_conn *conn, const char *sql, const char *const *params, int count, char **ret_value)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    int rc = pg_query(conn, sql, params, count, &result);

    if (rc < 0)
        return rc;
    if (PQntuples(result) != 1)
        return error_set(PGCASK_FAILED, "PostgreSQL gave %d rows where 1 was expected: %s", PQntuples(result), sql);
    *ret_value = PQgetisnull(result, 0, 0) ? NULL : mem_strdup(PQgetvalue(result, 0, 0));
    return 0;
}

int
pg_column(struct pg_conn *conn, const char *sql, const char *const *params, int count, struct strv *ret_values)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    int rc = pg_query(conn, sql, params, count, &result);

    for (int i = 0; rc == 0 && i < PQntuples(result); i++)
        strv_add(ret_values, PQgetvalue(result, i, 0));
    return rc;
}

static int
pg_field_text(struct buf *text, const PGresult *result, int row, int column)
{
    int rc = 0;

    if (PQgetisnull(result, row, column))
        return buf_adds(text, "\\N");
    for (const char *p = PQgetvalue(result, row, column); *p != '\0' && rc == 0; p++) {
        static const char special[] = "\b\t\n\v\f\r\\", letters[] = "btnvfr\\";
        const char *found = strchr(special, *p);

        rc = found ? buf_addf(text, "\\%c", letters[found - special]) : buf_add(text, p, 1);
    }
    return rc;
}

int
pg_rows_text(struct pg_conn *conn, const char *sql, char **ret_text)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT(1024 * 1024);
    int rc = pg_query(conn, sql, NULL, 0, &result);

    if (rc < 0)
        return rc;
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return error_set(PGCASK_FAILED, "the query gives no rows: %s", sql);
    for (int row = 0; row < PQntuples(result); row++) {
        for (int column = 0; column < PQnfields(result) && rc == 0; column++) {
            if (column > 0)
                rc = buf_adds(&text, "\t");
            if (rc == 0)
                rc = pg_field_text(&text, result, row, column);
        }
        if (rc == 0)
            rc = buf_adds(&text, "\n");
        if (rc < 0)
            return error_context(rc, "the result of a check query");
    }
    *ret_text = buf_take(&text);
    return 0;
}

/* Why the server takes no more rows: it says so before it closes the connection. */
static int
pg_copy_failed(struct pg_conn *conn, const char *what)
{
    PGresult *result = PQgetResult(conn->pq);
    CLEANUP_FREE char *words = pg_words(PQresultErrorMessage(result));

    PQclear(result);
    if (*words == '\0')
        return pg_failed(conn, what);
    return cancel_or(error_set(PGCASK_FAILED, "%s: %s", what, words));
}

int
pg_copy_begin(struct pg_conn *conn, const char *copy_statement)
{
    CLEANUP(pg_clear) PGresult *result = PQexec(conn->pq, copy_statement);

    return PQresultStatus(result) == PGRES_COPY_IN ? 0 : pg_failed(conn, "PostgreSQL refused");
}

int
pg_copy_bytes(void *ctx, const void *data, size_t len)
{
    struct pg_conn *conn = ctx;
    const char *p = data;

    while (len > 0) {
        int piece = len > 1024 * 1024 ? 1024 * 1024 : (int)len;

        if (PQputCopyData(conn->pq, p, piece) != 1)
            return pg_copy_failed(conn, "could not send rows");
        p += piece;
        len -= (size_t)piece;
    }
    return 0;
}

int
pg_copy_end(struct pg_conn *conn)
{
    PGresult *more;
    int rc;

    if (PQputCopyEnd(conn->pq, NULL) != 1)
        return pg_copy_failed(conn, "could not end the rows");
    more = PQgetResult(conn->pq);
    rc = pg_result(conn, more);
    PQclear(more);
    if (rc < 0)
        return rc;
    more = PQgetResult(conn->pq);
    if (more == NULL)
        return 0;
    PQclear(more); /* a second statement: what it does is not for us to wait for */
    return error_set(ERROR_CORRUPT, "the COPY statement of the archive is more than one statement");
}

int
pg_commit(struct pg_conn *conn)
{
    int rc = cancel_check();
    CLEANUP(pg_clear) PGresult *result = rc < 0 ? NULL : PQexec(conn->pq, "COMMIT");

    if (rc == 0)
        rc = pg_result(conn, result);
    if (rc == 0 && strcmp(PQcmdStatus(result), "COMMIT") != 0)
        rc = error_set(PGCASK_FAILED, "PostgreSQL answered %s to COMMIT", PQcmdStatus(result));
    return rc;
}

const char *
pg_sqlstate(const struct pg_conn *conn)
{
    return conn->state;
}

int
pg_server_version(const struct pg_conn *conn)
{
    return PQserverVersion(conn->pq);
}

PGconn *
pg_raw(struct pg_conn *conn)
{
    return conn->pq;
}

static char *
pg_quoted(char *libpq_text)
{
    char *text = mem_strdup(libpq_text ? libpq_text : "NULL"); /* libpq refuses only bytes invalid in UTF8: then the server must refuse */

    PQfreemem(libpq_text);
    return text;
}

char *
pg_ident(struct pg_conn *conn, const char *name)
{
    return pg_quoted(PQescapeIdentifier(conn->pq, name, strlen(name)));
}

char *
pg_literal(struct pg_conn *conn, const char *text)
{
    return pg_quoted(PQescapeLiteral(conn->pq, text, strlen(text)));
}
