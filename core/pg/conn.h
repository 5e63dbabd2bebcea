/* SPDX-License-Identifier: PostgreSQL
 *
 * Connections to a server by libpq: errors in our words, cancelled with the run.
 */
#ifndef PGCASK_PG_CONN_H
#define PGCASK_PG_CONN_H

#include "base/buf.h"
#include "base/mem.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* How to reach a cluster; borrowed texts. */
struct pg_server {
    const char *conninfo;
    const char *password; /* NULL: none */
};

struct pg_conn; /* opaque */

/* `database` NULL: the one in conninfo. The session has client_encoding UTF8, standard_conforming_strings on, no
 * timeouts, an empty search_path (pg_catalog only) and exact floats and dates. Also for putting things back, when the run
 * is being stopped already. */
int pg_connect(const struct pg_server *server, const char *database, struct pg_conn **ret_conn);
void pg_close(struct pg_conn *conn);
CLEANUP_DEFINE(struct pg_conn, pg_close)

void pg_clear(PGresult *result);
CLEANUP_DEFINE(PGresult, pg_clear)

/* One command without rows. */
int pg_run(struct pg_conn *conn, const char *sql);
int pg_runf(struct pg_conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same when the run is being stopped already: for putting things back. */
int pg_run_always(struct pg_conn *conn, const char *sql);
/* A query; rows as text. `params` (may be NULL when count is 0): text values, NULL for null. */
int pg_query(struct pg_conn *conn, const char *sql, const char *const *params, int count, PGresult **ret_result);
/* The one value of a query, owned by the caller; NULL for null. An error unless there is exactly one row. */
int pg_value(struct pg_conn *conn, const char *sql, const char *const *params, int count, char **ret_value);
/* The first column of all rows. */
int pg_column(struct pg_conn *conn, const char *sql, const char *const *params, int count, struct strv *ret_values);
/* Rows as text: fields separated by tabs, rows ended by newlines; nulls as \N; tab, newline and backslash escaped as COPY does. */
int pg_rows_text(struct pg_conn *conn, const char *sql, char **ret_text);

/* Rows of COPY text for the statement before: begin, bytes, end (or fail, which undoes it). */
int pg_copy_begin(struct pg_conn *conn, const char *copy_statement);
int pg_copy_bytes(void *conn, const void *data, size_t len);
int pg_copy_end(struct pg_conn *conn);
/* An error, too, when the server rolled back instead. */
int pg_commit(struct pg_conn *conn);

const char *pg_sqlstate(const struct pg_conn *conn); /* of the last refusal; "" when there was none */
int pg_server_version(const struct pg_conn *conn); /* 150020 */
PGconn *pg_raw(struct pg_conn *conn);              /* for the few that need more */
char *pg_ident(struct pg_conn *conn, const char *name);   /* quoted, owned by the caller */
char *pg_literal(struct pg_conn *conn, const char *text);

/* conninfo for a program: without its password, with another database. Owned by the caller. */
int pg_conninfo(const char *conninfo, const char *database, char **ret_text);
/* ERROR_USAGE when it holds a secret (sslpassword, …), which must not become an argument of a program. */
int pg_conninfo_public(const char *conninfo);
/* The password in it, NULL for none; owned by the caller, who wipes it. */
int pg_conninfo_password(const char *conninfo, char **ret_password);
/* Its dbname, "postgres" when it names none. */
int pg_conninfo_database(const char *conninfo, char **ret_database);

#endif
