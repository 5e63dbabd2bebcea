/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/wal-server.h"

#include "base/error.h"
#include "base/parse.h"
#include "pg/wal-name.h"

#include <stdlib.h>
#include <string.h>

/* SQLSTATE */
#define INSUFFICIENT_PRIVILEGE "42501"

/* One row of a query, read column by column; the first that is not as it must be is kept. */
struct row {
    PGresult *result;
    int number, column;
    int rc;
};

/* NULL for null. */
static const char *
row_text(struct row *row)
{
    int column = row->column++;

    return PQgetisnull(row->result, row->number, column) ? NULL : PQgetvalue(row->result, row->number, column);
}

static char *
row_copy(struct row *row)
{
    const char *text = row_text(row);

    return text != NULL ? mem_strdup(text) : NULL;
}

static bool
row_bool(struct row *row)
{
    const char *text = row_text(row);

    return text != NULL && *text == 't';
}

/* `missing` for null. */
static int64_t
row_int(struct row *row, int64_t missing)
{
    const char *text = row_text(row);
    int64_t value = missing;

    if (text != NULL && row->rc == 0)
        row->rc = parse_int64(text, &value);
    return value;
}

/* Zero for null; the server's own counts are never below that. */
static uint64_t
row_size(struct row *row)
{
    int64_t value = row_int(row, 0);

    return value > 0 ? (uint64_t)value : 0;
}

static uint64_t
row_lsn(struct row *row)
{
    const char *text = row_text(row);
    uint64_t lsn = 0;

    if (text != NULL && row->rc == 0)
        row->rc = wal_lsn_parse(text, &lsn);
    return lsn;
}

/* PGCASK_UNSUPPORTED, quietly, for what the role may not see. */
static int
server_query(struct pg_conn *conn, const char *sql, PGresult **ret_result)
{
    int rc = pg_query(conn, sql, NULL, 0, ret_result);

    if (rc < 0 && strcmp(pg_sqlstate(conn), INSUFFICIENT_PRIVILEGE) == 0) {
        error_clear();
        return PGCASK_UNSUPPORTED;
    }
    return rc;
}

/* A row that is to be there. */
static int
server_row(struct pg_conn *conn, const char *sql, PGresult **ret_result)
{
    int rc = server_query(conn, sql, ret_result);

    if (rc == 0 && PQntuples(*ret_result) != 1)
        return error_set(PGCASK_FAILED, "PostgreSQL gave %d rows where 1 was expected: %s", PQntuples(*ret_result),
                         sql);
    return rc;
}

/* The timeline of a running primary is in the name of its newest file: what the last checkpoint says may be older. */
static int
server_position(struct pg_conn *conn, struct wal_server *server)
{
    static const char sql[] = "SELECT current_setting('server_version'), s.system_identifier, pg_is_in_recovery(), "
                              "extract(epoch FROM now())::bigint,"
                              " CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), c.redo_lsn) ELSE "
                              "pg_current_wal_lsn() END,"
                              " CASE WHEN pg_is_in_recovery() THEN coalesce((SELECT received_tli FROM "
                              "pg_stat_wal_receiver), c.timeline_id)::bigint"
                              " ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END,"
                              " (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')"
                              " FROM pg_control_system() s, pg_control_checkpoint() c";
    CLEANUP(pg_clear) PGresult *result = NULL;
    struct row row = { 0 };
    int64_t timeline, bytes;
    int rc = server_row(conn, sql, &result);

    if (rc == PGCASK_UNSUPPORTED)
        rc = error_set(PGCASK_FAILED, "the role may not ask where the write-ahead log is");
    if (rc < 0)
        return rc;
    row.result = result;
    server->version = row_copy(&row);
    server->system_identifier = row_copy(&row);
    server->standby = row_bool(&row);
    server->now_s = row_int(&row, 0);
    server->lsn = row_lsn(&row);
    timeline = row_int(&row, 0);
    bytes = row_int(&row, 0);
    if (row.rc < 0)
        return row.rc;
    if (timeline < 1 || timeline > UINT32_MAX || bytes < 0 || !wal_segment_size_is_valid((uint64_t)bytes))
        return error_set(PGCASK_FAILED, "PostgreSQL tells of timeline %lld and segments of %lld bytes",
                         (long long)timeline, (long long)bytes);
    server->timeline = (uint32_t)timeline;
    server->segment_bytes = (uint32_t)bytes;
    return 0;
}

/* A library came with 15; the command may only be read by pg_read_all_settings, its being empty is told by the archiver. */
static int
server_archiver(struct pg_conn *conn, struct wal_server *server)
{
    static const char sql[] =
        "SELECT (SELECT setting <> 'off' FROM pg_settings WHERE name = 'archive_mode'), archived_count, failed_count,"
        " last_archived_wal, extract(epoch FROM last_archived_time)::bigint, last_failed_wal,"
        " extract(epoch FROM last_failed_time)::bigint FROM pg_stat_archiver";
    CLEANUP(pg_clear) PGresult *result = NULL;
    struct row row = { 0 };
    int rc = server_row(conn, sql, &result);

    if (rc == PGCASK_UNSUPPORTED)
        return 0;
    if (rc < 0)
        return rc;
    row.result = result;
    server->archives = row_bool(&row);
    server->archived = row_int(&row, 0);
    server->failed = row_int(&row, 0);
    server->last_archived = row_copy(&row);
    server->last_archived_s = row_int(&row, 0);
    server->last_failed = row_copy(&row);
    server->last_failed_s = row_int(&row, 0);
    server->archiver_known = row.rc == 0;
    return row.rc;
}

static int
server_ready(struct pg_conn *conn, struct wal_server *server)
{
    static const char sql[] =
        "SELECT left(name, -6), extract(epoch FROM modification)::bigint FROM pg_ls_archive_statusdir()"
        " WHERE name LIKE '%.ready' ORDER BY modification, name";
    CLEANUP(pg_clear) PGresult *result = NULL;
    int rc = server_query(conn, sql, &result);

    if (rc == PGCASK_UNSUPPORTED)
        return 0;
    if (rc < 0)
        return rc;
    server->ready_known = true;
    server->ready_count = (uint64_t)PQntuples(result);
    for (int i = 0; i < PQntuples(result); i++) {
        struct row row = { .result = result, .number = i };
        const char *name = row_text(&row);

        if (i < WAL_SERVER_READY_MAX)
            strv_add(&server->ready, name);
        if (i == 0)
            server->ready_oldest_s = row_int(&row, 0);
        if (row.rc < 0)
            return row.rc;
    }
    return 0;
}

static int
server_files(struct pg_conn *conn, struct wal_server *server)
{
    static const char sql[] = "SELECT sum(size)::bigint, (SELECT setting || '/pg_wal' FROM pg_settings"
                              " WHERE name = 'data_directory') FROM pg_ls_waldir()";
    CLEANUP(pg_clear) PGresult *result = NULL;
    struct row row = { 0 };
    int rc = server_row(conn, sql, &result);

    if (rc == PGCASK_UNSUPPORTED)
        return 0;
    if (rc < 0)
        return rc;
    row.result = result;
    server->files_bytes = row_size(&row);
    server->wal_dir = row_copy(&row);
    server->files_known = row.rc == 0;
    return row.rc;
}

static int
server_slots(struct pg_conn *conn, struct wal_server *server)
{
    static const char sql[] =
        "SELECT slot_name, active, wal_status,"
        " CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), restart_lsn)"
        " ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) END::bigint, safe_wal_size"
        " FROM pg_replication_slots WHERE slot_type = 'physical' ORDER BY slot_name";
    CLEANUP(pg_clear) PGresult *result = NULL;
    int rc = server_query(conn, sql, &result);

    if (rc == PGCASK_UNSUPPORTED)
        return 0;
    for (int i = 0; rc == 0 && i < PQntuples(result); i++) {
        struct row row = { .result = result, .number = i };
        struct wal_server_slot *slot;

        MEM_GROW(server->slots, server->len, server->cap);
        slot = &server->slots[server->len++];
        slot->name = row_copy(&row);
        slot->active = row_bool(&row);
        slot->state = row_copy(&row);
        slot->retained_bytes = row_size(&row);
        slot->safe_bytes = row_int(&row, -1);
        rc = row.rc;
    }
    return rc;
}

int
wal_server_ask(struct pg_conn *conn, struct wal_server *ret_server)
{
    CLEANUP_WAL_SERVER struct wal_server server = { 0 };
    int rc = server_position(conn, &server);

    if (rc == 0)
        rc = server_archiver(conn, &server);
    if (rc == 0)
        rc = server_ready(conn, &server);
    if (rc == 0)
        rc = server_files(conn, &server);
    if (rc == 0)
        rc = server_slots(conn, &server);
    if (rc < 0)
        return rc;
    *ret_server = server;
    server = (struct wal_server){ 0 };
    return 0;
}

void
wal_server_free(struct wal_server *server)
{
    free(server->version);
    free(server->system_identifier);
    free(server->last_archived);
    free(server->last_failed);
    strv_free(&server->ready);
    free(server->wal_dir);
    for (size_t i = 0; i < server->len; i++) {
        free(server->slots[i].name);
        free(server->slots[i].state);
    }
    free(server->slots);
    *server = (struct wal_server){ 0 };
}

void
cleanup_wal_server(struct wal_server *server)
{
    wal_server_free(server);
}
