/* SPDX-License-Identifier: PostgreSQL
 *
 * From a table's name to the numbers that the WAL knows it by, as far as the running server can tell.
 */
#include "config.h"

#include "pipeline/wal-search.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "pg/conn.h"

#include <stdlib.h>
#include <string.h>

/* SQLSTATE of to_regclass for what cannot be a name */
#define INVALID_NAME "42602"
#define SYNTAX_ERROR "42601"

static int
table_number(const char *what, const char *text, uint32_t *ret_oid)
{
    int64_t value;
    int rc = parse_int64(text, &value);

    if (rc == 0 && (value < 1 || value > UINT32_MAX))
        rc = error_set(ERROR_USAGE, "'%s' is no OID (wanted: 1 to 4294967295)", text);
    if (rc < 0)
        return error_context(ERROR_USAGE, "%s", what);
    *ret_oid = (uint32_t)value;
    return 0;
}

/* 0 in *ret_oid: the server has no such database. */
static int
table_database(struct pg_conn *conn, const char *database, uint32_t *ret_oid)
{
    const char *params[] = { database };
    CLEANUP_STRV struct strv oids = { 0 };
    int rc = pg_column(conn, "SELECT oid FROM pg_database WHERE datname = coalesce($1, current_database())", params, 1,
                       &oids);

    *ret_oid = 0;
    return rc < 0 || oids.len == 0 ? rc : table_number("the database's OID", oids.items[0], ret_oid);
}

/* A name without its schema may be in any. */
static int
table_find(struct pg_conn *conn, const char *table, PGresult **ret_result)
{
    static const char sql[] =
        "SELECT c.oid, coalesce(pg_relation_filenode(c.oid), 0), quote_ident(n.nspname) || '.' || "
        "quote_ident(c.relname)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'm') AND (c.oid = to_regclass($1) OR (c.relname = $1 AND n.nspname !~ '^pg_'))"
        " ORDER BY 3";
    const char *params[] = { table };
    int rc = pg_query(conn, sql, params, 1, ret_result);

    if (rc < 0 && (strcmp(pg_sqlstate(conn), INVALID_NAME) == 0 || strcmp(pg_sqlstate(conn), SYNTAX_ERROR) == 0))
        return error_set(ERROR_USAGE, "'%s' is not the name of a table (wanted: SCHEMA.TABLE)", table);
    return rc;
}

static int
table_take(const PGresult *result, const char *table, struct wal_search *search)
{
    uint32_t oid;
    int64_t node = 0;
    int rc;

    if (PQntuples(result) > 1) {
        (void)error_set(ERROR_USAGE, "'%s' is the name of %d tables, among them %s and %s", table, PQntuples(result),
                        PQgetvalue(result, 0, 2), PQgetvalue(result, 1, 2));
        return error_hint(ERROR_USAGE, "put the schema before it");
    }
    if (PQntuples(result) == 0)
        return 0;
    rc = table_number("the table's OID", PQgetvalue(result, 0, 0), &oid);
    if (rc == 0)
        rc = parse_int64(PQgetvalue(result, 0, 1), &node);
    if (rc < 0)
        return rc;
    if (search->table.oid != 0 && search->table.oid != oid)
        return 0; /* today's table of that name is not the one that was asked for */
    search->exists = true;
    search->table.oid = oid;
    search->table.node = (uint32_t)node;
    free(search->name);
    search->name = mem_strdup(PQgetvalue(result, 0, 2));
    return 0;
}

static int
table_ask_database(const struct pg_server *server, const struct wal_search_options *options, struct wal_search *search)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    int rc = pg_connect(server, options->database, &conn);

    if (rc == 0)
        rc = table_find(conn, options->table, &result);
    return rc < 0 ? rc : table_take(result, options->table, search);
}

/* A server that is lost cannot be asked. */
static int
table_unasked(const struct wal_search *search)
{
    if (search->table.database != 0 && search->table.oid != 0) {
        log_slot_warn("looking for the OIDs that were given");
        return 0;
    }
    (void)error_context(ERROR_USAGE, "which numbers has table '%s'", search->name);
    return error_hint(ERROR_USAGE,
                      "give --oid and --database-oid: SELECT '%s'::regclass::oid and SELECT oid FROM pg_database, "
                      "both asked of a restored copy, tell them",
                      search->name);
}

int
wal_search_ask(const struct wal_search_options *options, const struct config_item *cluster, struct wal_search *search)
{
    const struct pg_server server = { cluster->cluster->conninfo, cluster->cluster->password };
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    uint32_t database;
    int rc = 0;

    search->name = mem_strdup(options->table);
    if (options->oid != NULL)
        rc = table_number("--oid", options->oid, &search->table.oid);
    if (rc == 0 && options->database_oid != NULL)
        rc = table_number("--database-oid", options->database_oid, &search->table.database);
    if (rc < 0)
        return rc;
    rc = pg_connect(&server, NULL, &conn);
    if (rc < 0)
        return table_unasked(search);
    rc = table_database(conn, options->database, &database);
    if (rc < 0)
        return rc;
    if (database == 0)
        strv_addf(&search->doubts, "the server has no database '%s'", options->database);
    if (search->table.database == 0)
        search->table.database = database;
    return database == 0 ? 0 : table_ask_database(&server, options, search);
}
