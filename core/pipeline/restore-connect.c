/* SPDX-License-Identifier: PostgreSQL
 *
 * To the server as a whole, whichever of its databases are still there. Declared in
 * restore.h.
 */
#include "config.h"

#include "pipeline/restore.h"

#include "base/error.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

int
restore_exists(struct pg_conn *conn, const char *database, bool *ret_exists)
{
    const char *params[] = { database };
    CLEANUP_FREE char *count = NULL;
    int rc = pg_value(conn, "SELECT count(*) FROM pg_database WHERE datname = $1", params, 1, &count);

    if (rc == 0)
        *ret_exists = strcmp(count, "1") == 0;
    return rc;
}

/* Has the server refused because of this database? In whatever language it speaks, it names it; what it said stands
 * behind libpq's own words. */
static bool
connect_names(const char *text, const char *database)
{
    const char *said = strstr(text, "failed: ");

    return strstr(said ? said : text, database) != NULL;
}

/* `place` instead of `database`, if that is really not there. */
static bool
connect_instead(const struct pg_server *server, const char *database, const char *place, struct pg_conn **ret_conn)
{
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    bool exists;

    if (strcmp(place, database) == 0 || pg_connect(server, place, &conn) < 0 ||
        restore_exists(conn, database, &exists) < 0 || exists)
        return false;
    log_info("there is no database '%s', which conninfo names: connected to '%s'", database, place);
    *ret_conn = STEAL(conn);
    return true;
}

int
restore_connect(const struct restore *restore, struct pg_conn **ret_conn)
{
    static const char *const places[] = { "postgres", "template1" };
    struct pg_server server = { restore->conninfo, restore->password };
    CLEANUP_FREE char *database = NULL;
    struct error why;
    int rc = pg_connect(&server, NULL, ret_conn);

    if (rc != PGCASK_FAILED)
        return rc;
    error_take(rc, &why);
    if (pg_conninfo_database(restore->conninfo, &database) == 0 && connect_names(why.text, database))
        for (size_t i = 0; i < ARRAY_LEN(places); i++)
            if (connect_instead(&server, database, places[i], ret_conn)) {
                error_clear();
                error_free(&why);
                return 0;
            }
    return error_put(&why);
}
