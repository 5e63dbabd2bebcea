/* SPDX-License-Identifier: PostgreSQL
 *
 * The part of a dump that belongs to no database: globals and settings files.
 */
#include "config.h"

#include "pipeline/dump.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "catalog/label.h"
#include "pipeline/progress.h"
#include "stage/source-process.h"

#include <stdlib.h>
#include <string.h>

/* "postgresql.auto.conf" keeps its dots; a name that is odd or long is escaped as a whole. */
static struct manifest_member
cluster_member(struct dump_run *run, const char *name, const char *role)
{
    CLEANUP_STRV struct strv parts = { 0 };
    bool plain = strlen(name) < 64 && *name != '.' && strstr(name, "..") == NULL && name[strlen(name) - 1] != '.';

    strv_split(&parts, name, plain ? "." : "");
    return (struct manifest_member){
        .name = label_member_name(&run->writing->taken, (const char *const *)parts.items, ""),
        .role = mem_strdup(role),
    };
}

static int
dump_globals(struct dump_run *run, struct pg_conn *conn)
{
    struct manifest_member member;
    struct source_process source = { .progress = progress_add };
    CLEANUP_STRV struct strv argv = { 0 };
    CLEANUP_FREE char *superuser = NULL;
    int rc = pg_value(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", NULL, 0, &superuser);

    if (rc < 0)
        return rc;
    pg_tools_argv(run->tools, "pg_dumpall", &argv);
    strv_add(&argv, "--globals-only");
    if (strcmp(superuser, "t") != 0) {
        log_warn("the backup's role is no superuser: the roles are saved without their passwords");
        strv_add(&argv, "--no-role-passwords");
    }
    strv_addf(&argv, "--database=%s", PQdb(pg_raw(conn)));
    rc = pg_tools_dbname(run->tools, NULL, &argv);
    if (rc == 0)
        rc = pg_tools_start(run->tools, &argv, "-c statement_timeout=0", PROCESS_NULL, PROCESS_PIPE, -1, &source.process);
    if (rc < 0)
        return rc;
    member = cluster_member(run, "globals.sql", ROLE_GLOBALS);
    rc = writing_member(run->writing, &member, source_process_read, &source, 0, NULL);
    process_kill(&source.process);
    return rc;
}

static int
settings_hint(int rc)
{
    return error_hint(rc, "GRANT pg_read_all_settings, pg_read_server_files TO the backup's role; GRANT EXECUTE ON FUNCTION "
                          "pg_read_binary_file(text) TO it; or set settings_files = no in the job");
}

/* One file as the server sees it; PGCASK_FAILED when this role may not. */
static int
dump_settings_file(struct dump_run *run, struct pg_conn *conn, const char *path)
{
    const char *params[] = { path };
    const char *slash = strrchr(path, '/');
    struct manifest_member member;
    struct source_memory source = { 0 };
    CLEANUP(pg_clear) PGresult *result =
        PQexecParams(pg_raw(conn), "SELECT pg_read_binary_file($1)", 1, NULL, params, NULL, NULL, 1);

    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) {
        (void)error_set(PGCASK_FAILED, "could not read '%s' through the server: %s", path,
                        PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)
                                                                            : PQerrorMessage(pg_raw(conn)));
        return settings_hint(PGCASK_FAILED);
    }
    source.data = PQgetvalue(result, 0, 0);
    source.len = (size_t)PQgetlength(result, 0, 0);
    member = cluster_member(run, slash ? slash + 1 : path, ROLE_SETTINGS);
    return writing_member(run->writing, &member, source_memory_read, &source, source.len, NULL);
}

/* The three files, and every other one that settings were read from. */
static const char settings_sql[] =
    "SELECT path FROM (SELECT 1 AS place, current_setting('config_file') AS path"
    " UNION SELECT 2, current_setting('hba_file') UNION SELECT 3, current_setting('ident_file')) x"
    " WHERE path IS NOT NULL ORDER BY place";
static const char more_settings_sql[] =
    "SELECT DISTINCT sourcefile FROM pg_file_settings"
    " WHERE sourcefile IS NOT NULL AND sourcefile <> current_setting('config_file') ORDER BY 1";

static int
dump_settings_files(struct dump_run *run, struct pg_conn *conn)
{
    CLEANUP_STRV struct strv paths = { 0 };
    bool required = strcmp(run->job->settings_files, "required") == 0;
    int rc = pg_column(conn, settings_sql, NULL, 0, &paths);

    if (rc == PGCASK_FAILED)
        (void)settings_hint(rc);
    if (rc == 0 && pg_column(conn, more_settings_sql, NULL, 0, &paths) < 0) {
        log_debug("%s", error_text()); /* only a superuser sees them: the three files matter more */
        error_clear();
        rc = cancel_check();
    }
    for (size_t i = 0; rc == 0 && i < paths.len; i++)
        rc = dump_settings_file(run, conn, paths.items[i]);
    if (rc == PGCASK_FAILED && !required && outlet_alive_count(run->writing->outlet) > 0 && cancel_or(0) == 0) {
        log_slot_warn("the server's settings files are not in this backup");
        return 0;
    }
    return rc;
}

int
dump_cluster(struct dump_run *run)
{
    int rc = 0;

    if (run->job->globals)
        rc = dump_globals(run, run->maintenance);
    if (rc == 0 && strcmp(run->job->settings_files, "no") != 0)
        rc = dump_settings_files(run, run->maintenance);
    return rc;
}
