/* SPDX-License-Identifier: PostgreSQL
 *
 * A backup whose members are dumps.
 */
#include "config.h"

#include "pipeline/backup-private.h"

#include "pipeline/databases.h"

#include <string.h>

static const char *
backup_pick(const char *given, const char *configured)
{
    return given ? given : configured;
}

static struct dump_selection
backup_selection(const struct backup *backup)
{
    const struct config_job *job = backup->job->job;
    const struct dump_selection *given = &backup->options->selection;

    return (struct dump_selection){
        .content = backup_pick(given->content, job->content),
        .tables = backup_pick(given->tables, job->tables),
        .exclude_tables = backup_pick(given->exclude_tables, job->exclude_tables),
        .exclude_table_data = backup_pick(given->exclude_table_data, job->exclude_table_data),
        .table_size = job->table_size,
    };
}

/* Connect, and find programs that can dump this server. */
static int
backup_dump_open(struct backup *backup)
{
    const struct config_cluster *cluster = backup->cluster->cluster;
    struct dump_run *dump = &backup->dump;
    struct pg_tools_spec spec = {
        .exec = cluster->exec,
        .bindir = cluster->bindir,
        .conninfo = cluster->exec_conninfo ? cluster->exec_conninfo : cluster->conninfo,
        .password = cluster->password,
    };
    int rc;

    dump->config = backup->config;
    dump->job = backup->job->job;
    dump->server = (struct pg_server){ cluster->conninfo, cluster->password };
    dump->lock_timeout_ms = cluster->lock_timeout;
    dump->selection = backup_selection(backup);
    dump->writing = &backup->writing;
    rc = pg_connect(&dump->server, NULL, &backup->conn);
    if (rc < 0)
        return rc;
    dump->maintenance = backup->conn;
    spec.server_version = pg_server_version(backup->conn);
    return pg_tools_find(&spec, &dump->tools);
}

static int
backup_dump_describe(struct backup *backup)
{
    struct manifest *manifest = backup->manifest;
    const struct dump_selection *selection = &backup->dump.selection;

    manifest->content = mem_strdup(selection->content);
    manifest->selection =
        selection->tables != NULL || selection->exclude_tables != NULL || selection->exclude_table_data != NULL;
    manifest->dump_version = mem_strdup(pg_tools_version(backup->dump.tools));
    manifest->server_version = pg_server_version(backup->conn);
    manifest->server_text = mem_strdup(PQparameterStatus(pg_raw(backup->conn), "server_version"));
    return pg_value(backup->conn, "SELECT system_identifier FROM pg_control_system()", NULL, 0,
                    &manifest->system_identifier);
}

static int
backup_dump_write(struct backup *backup)
{
    CLEANUP_STRV struct strv databases = { 0 };
    const struct config_job *job = backup->job->job;
    int rc = databases_chosen(backup->conn, backup_pick(backup->options->databases, job->databases),
                              job->exclude_databases, &databases);

    if (rc == 0)
        rc = dump_cluster(&backup->dump);
    for (size_t i = 0; rc == 0 && i < databases.len; i++)
        rc = dump_database(&backup->dump, databases.items[i]);
    return rc;
}

static void
backup_dump_close(struct backup *backup)
{
    pg_close(backup->conn);
    pg_tools_free(backup->dump.tools);
}

const struct backup_kind backup_kind_dump = {
    .name = KIND_DUMP,
    .open = backup_dump_open,
    .describe = backup_dump_describe,
    .write = backup_dump_write,
    .close = backup_dump_close,
};
