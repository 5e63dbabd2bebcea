/* SPDX-License-Identifier: PostgreSQL
 *
 * ALTER SYSTEM and a reload; never a restart.
 */
#include "config.h"

#include "pipeline/wal-setup.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"

#include <string.h>

/* SQLSTATE */
#define INSUFFICIENT_PRIVILEGE "42501"

enum { RELOAD_TRIES = 50, RELOAD_PAUSE_MS = 100 };

bool
wal_setup_changes(const struct wal_setup_options *options, const struct wal_setup_row *row)
{
    return row->state == WAL_SETUP_CHANGE || (row->state == WAL_SETUP_FOREIGN && options->replace);
}

int
wal_setup_statement(struct pg_conn *conn, const struct wal_setup_row *row, char **ret_sql)
{
    CLEANUP_FREE char *value = pg_literal(conn, row->wanted);

    *ret_sql = mem_printf("ALTER SYSTEM SET %s = %s", row->name, value);
    return 0;
}

static int
apply_row(struct pg_conn *conn, const struct wal_setup_row *row)
{
    CLEANUP_FREE char *sql = NULL;
    int rc = wal_setup_statement(conn, row, &sql);

    if (rc == 0)
        rc = pg_run(conn, sql);
    if (rc == 0)
        log_info("%s", sql);
    if (rc < 0 && strcmp(pg_sqlstate(conn), INSUFFICIENT_PRIVILEGE) == 0)
        return error_hint(
            rc,
            "a superuser may; from PostgreSQL 15 on it can be granted: GRANT ALTER SYSTEM ON PARAMETER %s "
            "TO \"%s\"",
            row->name, PQuser(pg_raw(conn)));
    return rc;
}

/* The server's processes read their files when they come to it; ours is told by this time that changes. */
static int
apply_wait(struct pg_conn *conn, const char *before)
{
    const char *params[] = { before };

    for (int i = 0; i < RELOAD_TRIES; i++) {
        CLEANUP_FREE char *changed = NULL;
        int rc = pg_value(conn, "SELECT pg_conf_load_time() <> $1::timestamptz", params, 1, &changed);

        if (rc < 0 || (changed != NULL && *changed == 't'))
            return rc;
        rc = cancel_sleep_ms(RELOAD_PAUSE_MS);
        if (rc < 0)
            return rc;
    }
    log_warn("the server has not read its files again so far");
    return 0;
}

int
wal_setup_apply(struct pg_conn *conn, const struct wal_setup_options *options, const struct wal_setup *setup)
{
    CLEANUP_FREE char *before = NULL, *done = NULL;
    size_t changed = 0;
    int rc = pg_value(conn, "SELECT pg_conf_load_time()", NULL, 0, &before);

    for (size_t i = 0; rc == 0 && i < setup->len; i++)
        if (wal_setup_changes(options, &setup->rows[i])) {
            rc = apply_row(conn, &setup->rows[i]);
            changed++;
        }
    if (rc < 0 || changed == 0)
        return rc;
    rc = pg_value(conn, "SELECT pg_reload_conf()", NULL, 0, &done);
    if (rc < 0)
        return error_hint(rc,
                          "the settings are written: have the server read them (pg_ctl reload), or GRANT EXECUTE ON "
                          "FUNCTION pg_reload_conf() TO \"%s\"",
                          PQuser(pg_raw(conn)));
    return apply_wait(conn, before);
}
