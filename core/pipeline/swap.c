/* SPDX-License-Identifier: PostgreSQL
 *
 * The first RENAME takes a lock on the database that makes new sessions wait, and
 * then waits up to 5 s for those that are in it to leave: a second connection ends
 * them meanwhile. Nothing but the two names ever changes, and they change together:
 * killed at any instant, both databases have their old names.
 */
#include "config.h"

#include "pipeline/swap.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 63, PAUSE_MS = 50 };

char *
swap_dated(const char *name, const char *word)
{
    CLEANUP_FREE char *time = clock_compact(clock_now_s());
    size_t len = strlen(name), behind = strlen(word) + strlen(time) + 2;

    if (len > NAME_BYTES - behind)
        len = NAME_BYTES - behind;
    while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
        len--;
    return mem_printf("%.*s_%s_%s", (int)len, name, word, time);
}

static int
swap_end_sessions(struct pg_conn *conn, const char *name)
{
    const char *params[] = { name };
    CLEANUP(pg_clear) PGresult *result = NULL;

    return pg_query(conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
                    params, 1, &result);
}

/* ALTER DATABASE … RENAME on `conn` while `other` ends the sessions that hold it up. */
static int
swap_rename(struct pg_conn *conn, struct pg_conn *other, const char *from, const char *to)
{
    CLEANUP_FREE char *from_ident = pg_ident(conn, from), *to_ident = pg_ident(conn, to);
    CLEANUP_FREE char *sql = mem_printf("ALTER DATABASE %s RENAME TO %s", from_ident, to_ident);
    PGconn *pq = pg_raw(conn);
    PGresult *result;
    int rc = 0;

    if (PQsendQuery(pq, sql) != 1)
        return error_set(PGCASK_FAILED, "renaming database %s: %s", from_ident, PQerrorMessage(pq));
    while (rc == 0 && PQconsumeInput(pq) == 1 && PQisBusy(pq)) {
        rc = swap_end_sessions(other, from);
        if (rc == 0)
            rc = cancel_sleep_ms(PAUSE_MS);
    }
    if (rc < 0)
        return rc; /* the connection is closed by the caller, and the transaction with it */
    while ((result = PQgetResult(pq)) != NULL) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK && rc == 0) {
            const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
            const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);

            rc = error_set(PGCASK_FAILED, "renaming database %s: %s%s%s", from_ident, primary ? primary : "the server went away",
                           detail ? ": " : "", detail ? detail : "");
        }
        PQclear(result);
    }
    return rc;
}

/* A database that is none of the two, to stand in while they are renamed. */
static int
swap_stand(const struct pg_server *server, const char *name, const char *fresh, struct pg_conn **ret_conn)
{
    static const char *const places[] = { "postgres", "template1" };
    int rc = 0;

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (strcmp(places[i], name) == 0 || strcmp(places[i], fresh) == 0)
            continue;
        rc = pg_connect(server, places[i], ret_conn);
        if (rc == 0)
            return 0;
    }
    return rc < 0 ? rc : error_set(PGCASK_FAILED, "there is no database to stand in meanwhile but 'postgres' and 'template1'");
}

/* `kept`: what the one that has the name now is to be called; set free and NULL when nobody has it (it was dropped). */
static int
swap_names(const struct pg_server *server, const char *name, const char *fresh, char **kept)
{
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    CLEANUP(pg_close) struct pg_conn *other = NULL;
    CLEANUP_FREE char *count = NULL;
    const char *params[] = { name };
    int rc = swap_stand(server, name, fresh, &conn);

    if (rc == 0)
        rc = swap_stand(server, name, fresh, &other);
    if (rc == 0)
        rc = pg_value(conn, "SELECT count(*) FROM pg_database WHERE datname = $1", params, 1, &count);
    if (rc == 0 && strcmp(count, "0") == 0)
        free(STEAL(*kept));
    if (rc == 0)
        rc = pg_run(conn, "BEGIN");
    if (rc == 0 && *kept != NULL)
        rc = swap_rename(conn, other, name, *kept);
    if (rc == 0)
        rc = swap_rename(conn, other, fresh, name);
    if (rc == 0)
        rc = pg_run(conn, "COMMIT");
    if (rc < 0)
        return error_context(rc, "the databases keep their names");
    log_info("database '%s' is now the one that was '%s'; the one before is kept as '%s'", name, fresh,
             *kept ? *kept : "nothing: there was none");
    return 0;
}

int
swap_in(const struct pg_server *server, const char *name, const char *fresh, char **ret_kept)
{
    CLEANUP_FREE char *kept = swap_dated(name, "before");
    int rc = swap_names(server, name, fresh, &kept);

    if (rc == 0)
        *ret_kept = STEAL(kept);
    return rc;
}

static int
swap_find_before(const struct pg_server *server, const char *name, char **ret_before)
{
    CLEANUP_FREE char *dated = swap_dated(name, "before");
    size_t stem = strlen(dated) - strlen("20261122T132211Z");
    CLEANUP_FREE char *prefix = mem_strndup(dated, stem);
    const char *params[] = { prefix };
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    CLEANUP_STRV struct strv names = { 0 };
    int rc = swap_stand(server, name, name, &conn); /* the one in conninfo may be gone */

    if (rc == 0)
        rc = pg_column(conn, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)"
                             " AND substr(datname, length($1) + 1) ~ '^[0-9]{8}T[0-9]{6}Z$' ORDER BY datname DESC",
                       params, 1, &names);
    if (rc < 0)
        return rc;
    if (names.len == 0) {
        (void)error_set(ERROR_USAGE, "there is no database '%s…' that was put aside by --swap", prefix);
        return error_hint(ERROR_USAGE, "name the database as it was before the swap");
    }
    *ret_before = mem_strdup(names.items[0]);
    return 0;
}

int
swap_back(const struct pg_server *server, const char *name, char **ret_kept)
{
    CLEANUP_FREE char *kept = swap_dated(name, "restored");
    CLEANUP_FREE char *before = NULL;
    int rc = swap_find_before(server, name, &before);

    if (rc == 0)
        rc = swap_names(server, name, before, &kept);
    if (rc == 0)
        *ret_kept = STEAL(kept);
    return rc;
}
