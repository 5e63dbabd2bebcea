/* SPDX-License-Identifier: PostgreSQL
 *
 * A job: are its databases there, and may our role read what is to be dumped?
 * Rights are asked of the server's catalogs; no table is opened.
 */
#include "config.h"

#include "pipeline/inspect.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/parse.h"
#include "pg/conn.h"
#include "pipeline/databases.h"

#include <stdlib.h>
#include <string.h>

/* A job that is looked at. */
struct look {
    const struct inspect *inspect;
    const struct config_item *item;
    const struct pg_server *server;
    struct pg_conn *conn; /* to conninfo's own database */
    bool superuser;
    bool bad;             /* something was found that will make it fail */
    int64_t tables;
};

static int
look_slot(struct look *look, int rc, int outcome, const char *doing)
{
    look->bad |= outcome == PGCASK_CHECK_BAD;
    return inspect_slot(look->inspect, "job", look->item->name, rc, outcome, doing);
}

/* ---- what belongs to no database ---- */

static const char settings_sql[] =
    "SELECT sum(length(pg_read_binary_file(path))) FROM (SELECT current_setting('config_file') AS path"
    " UNION SELECT current_setting('hba_file') UNION SELECT current_setting('ident_file')) x WHERE path IS NOT NULL";
static const char settings_cure[] =
    "GRANT pg_read_all_settings, pg_read_server_files TO the role; GRANT EXECUTE ON FUNCTION pg_read_binary_file(text) "
    "TO it; or settings_files = no in the job";

static int
look_settings_files(struct look *look)
{
    const char *wanted = look->item->job->settings_files;
    CLEANUP_FREE char *size = NULL;
    int rc;

    if (strcmp(wanted, "no") == 0)
        return 0;
    rc = pg_value(look->conn, settings_sql, NULL, 0, &size);
    if (rc == 0)
        return 0;
    return look_slot(look, error_hint(rc, "%s", settings_cure),
                     strcmp(wanted, "required") == 0 ? PGCASK_CHECK_BAD : PGCASK_CHECK_WARN,
                     "the server's settings files cannot be saved");
}

static int
look_cluster(struct look *look)
{
    CLEANUP_FREE char *superuser = NULL, *identifier = NULL;
    int rc = pg_value(look->conn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", NULL, 0, &superuser);

    if (rc == 0)
        rc = pg_value(look->conn, "SELECT system_identifier FROM pg_control_system()", NULL, 0, &identifier);
    if (rc < 0)
        return look_slot(look, rc, PGCASK_CHECK_BAD, NULL);
    look->superuser = superuser != NULL && strcmp(superuser, "t") == 0;
    if (look->item->job->globals && !look->superuser)
        inspect_say(look->inspect, "job", look->item->name, PGCASK_CHECK_WARN,
                    "let a superuser make the backup, or write globals = no",
                    "role '%s' is no superuser: the roles are saved without their passwords",
                    PQuser(pg_raw(look->conn)));
    return look_settings_files(look);
}

/* ---- a database ---- */

/* What pg_dump locks or reads, without what belongs to an extension and what sessions have for themselves. */
#define TABLES_SQL                                                                                                     \
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                                                   \
    " WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'"                                                  \
    " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend d"           \
    " WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"
static const char count_sql[] = "SELECT count(*)" TABLES_SQL " AND c.relkind <> 'S'";
static const char closed_sql[] =
    "SELECT format('%I.%I', n.nspname, c.relname)" TABLES_SQL
    " AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))"
    " ORDER BY 1";
static const char closed_cure[] =
    "GRANT pg_read_all_data TO the role (from PostgreSQL 14 on); or USAGE on the schemas and SELECT on "
    "all tables and sequences in them; or leave them out: exclude_tables";
static const char secured_sql[] =
    "SELECT format('%I.%I', n.nspname, c.relname)" TABLES_SQL
    " AND c.relrowsecurity AND (c.relforcerowsecurity OR NOT pg_has_role(c.relowner, 'USAGE'))"
    " AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) ORDER BY 1";
static const char secured_cure[] = "ALTER ROLE … BYPASSRLS, or leave the rows of these tables out: exclude_table_data";

/* Names of tables that a dump would stumble over. What the job selects may leave them out: then it is a warning. */
static int
look_tables(struct look *look, struct pg_conn *conn, const char *database, const char *sql, const char *what,
            const char *cure)
{
    const struct config_job *job = look->item->job;
    bool selects = job->tables != NULL || job->exclude_tables != NULL || job->exclude_table_data != NULL;
    CLEANUP_STRV struct strv names = { 0 };
    int rc = pg_column(conn, sql, NULL, 0, &names);

    if (rc < 0)
        return look_slot(look, rc, PGCASK_CHECK_BAD, database);
    if (names.len == 0)
        return 0;
    look->bad |= !selects;
    inspect_say(look->inspect, "job", look->item->name, selects ? PGCASK_CHECK_WARN : PGCASK_CHECK_BAD, cure,
                "database '%s': role '%s' %s %zu table%s, the first is %s%s", database, PQuser(pg_raw(conn)), what,
                names.len, names.len == 1 ? "" : "s", names.items[0],
                selects ? "; unless the job leaves them out, it fails" : "");
    return 0;
}

static int
look_check_failed(struct look *look, const char *check, const char *doing)
{
    int rc = error_hint(PGCASK_FAILED, "mend its query, or name the database it is for in [check %s]", check);

    return look_slot(look, rc, PGCASK_CHECK_BAD, doing);
}

static int
look_check_queries(struct look *look, struct pg_conn *conn, const char *database)
{
    const struct config_items *checks = &look->inspect->config->checks;
    CLEANUP_STRV struct strv wanted = { 0 };
    int rc = pg_run(conn, "RESET search_path"); /* as they are run later */

    option_words(look->item->job->checks, &wanted);
    for (size_t i = 0; rc == 0 && i < checks->len; i++) {
        const struct config_item *check = &checks->items[i];
        CLEANUP_FREE char *sql = mem_printf("EXPLAIN %s", check->check->query);
        CLEANUP_FREE char *doing = mem_printf("check '%s' in database '%s'", check->name, database);
        CLEANUP(pg_clear) PGresult *plan = NULL;

        if ((look->item->job->checks != NULL && !strv_has(&wanted, check->name)) ||
            (check->check->database != NULL && strcmp(check->check->database, database) != 0))
            continue;
        if (pg_query(conn, sql, NULL, 0, &plan) < 0)
            rc = look_check_failed(look, check->name, doing);
    }
    return rc;
}

static int
look_database(struct look *look, const char *database)
{
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    CLEANUP_FREE char *tables = NULL, *doing = mem_printf("database '%s'", database);
    bool rows = strcmp(look->item->job->content, "schema") != 0;
    int64_t count = 0;
    int rc = pg_connect(look->server, database, &conn);

    if (rc == 0)
        rc = pg_value(conn, count_sql, NULL, 0, &tables);
    if (rc == 0)
        rc = parse_int64(tables, &count);
    if (rc < 0)
        return look_slot(look, rc, PGCASK_CHECK_BAD, doing);
    look->tables += count;
    rc = look_tables(look, conn, database, closed_sql, "may not read", closed_cure);
    if (rc == 0 && rows)
        rc = look_tables(look, conn, database, secured_sql, "does not see all rows (row level security) of",
                         secured_cure);
    return rc < 0 ? rc : look_check_queries(look, conn, database);
}

int
inspect_job(const struct inspect *inspect, const struct config_item *job, const struct pg_server *server,
            struct pg_conn *conn)
{
    struct look look = { .inspect = inspect, .item = job, .server = server, .conn = conn };
    CLEANUP_STRV struct strv names = { 0 };
    int rc = look_cluster(&look);

    if (rc < 0)
        return rc;
    rc = databases_chosen(conn, job->job->databases, job->job->exclude_databases, &names);
    if (rc < 0)
        return look_slot(&look, rc, PGCASK_CHECK_BAD, NULL);
    for (size_t i = 0; rc == 0 && i < names.len; i++)
        rc = look_database(&look, names.items[i]);
    if (rc == 0 && !look.bad)
        inspect_say(inspect, "job", job->name, PGCASK_CHECK_OK, NULL, "%zu database%s with %lld table%s can be dumped",
                    names.len, names.len == 1 ? "" : "s", (long long)look.tables, look.tables == 1 ? "" : "s");
    return rc;
}
