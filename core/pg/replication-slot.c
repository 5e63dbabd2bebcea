/* SPDX-License-Identifier: PostgreSQL
 *
 * Physical replication slots. Declared in replication.h.
 */
#include "config.h"

#include "pg/replication.h"

#include "pg/replication-private.h"
#include "pg/wal-name.h"

#include "base/error.h"
#include "base/parse.h"

#include <string.h>

enum { SLOT_NAME_MAX = 63 }; /* NAMEDATALEN - 1 */

/* SQLSTATE */
#define DUPLICATE_OBJECT "42710"
#define UNDEFINED_OBJECT "42704"
#define CONFIGURATION_LIMIT_EXCEEDED "53400"

int
replication_slot_check(const char *slot)
{
    size_t len = strlen(slot);

    if (len > 0 && len <= SLOT_NAME_MAX && strspn(slot, "abcdefghijklmnopqrstuvwxyz0123456789_") == len)
        return 0;
    return error_set(ERROR_USAGE, "'%s' is no name for a replication slot (wanted: 1 to %d of a-z, 0-9 and '_')", slot,
                     SLOT_NAME_MAX);
}

static const char slot_sql[] =
    "SELECT slot_type, active::int, coalesce(active_pid, 0), restart_lsn, wal_status, safe_wal_size"
    " FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";

static int
slot_fill(const PGresult *row, struct replication_slot *slot)
{
    const char *status = PQgetvalue(row, 0, 4);
    int64_t pid = 0;
    int rc = 0;

    slot->safe_bytes = -1;
    slot->active = strcmp(PQgetvalue(row, 0, 1), "1") == 0;
    if (parse_int64(PQgetvalue(row, 0, 2), &pid) == 0)
        slot->active_pid = (int)pid;
    if (!PQgetisnull(row, 0, 3))
        rc = wal_lsn_parse(PQgetvalue(row, 0, 3), &slot->restart_lsn) < 0 ? ERROR_CORRUPT : 0;
    if (rc == 0 && !PQgetisnull(row, 0, 5))
        rc = parse_int64(PQgetvalue(row, 0, 5), &slot->safe_bytes) < 0 ? ERROR_CORRUPT : 0;
    if (strcmp(PQgetvalue(row, 0, 0), "physical") != 0)
        slot->state = REPLICATION_SLOT_FOREIGN;
    else if (strcmp(status, "lost") == 0)
        slot->state = REPLICATION_SLOT_LOST;
    else if (slot->restart_lsn == 0)
        slot->state = REPLICATION_SLOT_FREE;
    else
        slot->state = strcmp(status, "unreserved") == 0 ? REPLICATION_SLOT_ENDING : REPLICATION_SLOT_GOOD;
    error_clear();
    return rc;
}

int
replication_slot_read(struct replication *replication, const char *slot, struct replication_slot *ret_slot)
{
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    CLEANUP(pg_clear) PGresult *result = NULL;
    struct replication_slot found = { 0 };
    const char *params[] = { slot };
    int rc = pg_connect(&replication->server, NULL, &conn);

    if (rc == 0)
        rc = pg_query(conn, slot_sql, params, 1, &result);
    if (rc == 0 && PQntuples(result) == 1)
        rc = slot_fill(result, &found);
    if (rc == 0)
        *ret_slot = found;
    return rc;
}

static int
slot_create(struct replication *replication, const char *slot, const char *kind, const char *reserve)
{
    CLEANUP_FREE char *command = mem_printf("CREATE_REPLICATION_SLOT \"%s\"%s PHYSICAL%s", slot, kind, reserve);
    int rc = replication_slot_check(slot);

    if (rc < 0)
        return rc;
    rc = replication_ask(replication, command, NULL);
    if (rc == PGCASK_FAILED && strcmp(replication->state, DUPLICATE_OBJECT) == 0)
        return error_set(PGCASK_EXISTS, "there is a replication slot '%s' already", slot);
    if (rc == PGCASK_FAILED && strcmp(replication->state, CONFIGURATION_LIMIT_EXCEEDED) == 0)
        return error_hint(rc,
                          "drop a slot that nobody needs (pg_replication_slots), or raise max_replication_slots, which "
                          "needs a restart");
    return rc;
}

int
replication_slot_create(struct replication *replication, const char *slot, bool reserve)
{
    return slot_create(replication, slot, "", reserve ? " RESERVE_WAL" : "");
}

int
replication_slot_create_temporary(struct replication *replication, const char *slot)
{
    return slot_create(replication, slot, " TEMPORARY", " RESERVE_WAL");
}

int
replication_slot_drop(struct replication *replication, const char *slot)
{
    CLEANUP_FREE char *command = mem_printf("DROP_REPLICATION_SLOT \"%s\"", slot);
    int rc = replication_slot_check(slot);

    if (rc < 0)
        return rc;
    rc = replication_ask(replication, command, NULL);
    if (rc == PGCASK_FAILED && strcmp(replication->state, UNDEFINED_OBJECT) == 0)
        return error_set(PGCASK_NOT_FOUND, "there is no replication slot '%s'", slot);
    return rc;
}
