/* SPDX-License-Identifier: PostgreSQL
 *
 * A cluster: is the server there, and do its programs come through to it?
 */
#include "config.h"

#include "pipeline/inspect.h"

#include "base/error.h"
#include "base/mem.h"
#include "catalog/manifest.h"
#include "pg/conn.h"
#include "pg/tools.h"

#include <string.h>

static int
cluster_slot(const struct inspect *inspect, const struct config_item *cluster, int rc, const char *doing)
{
    return inspect_slot(inspect, "cluster", cluster->name, rc, PGCASK_CHECK_BAD, doing);
}

/* The cheapest of what our programs do with a connection: behind `exec` it may well be another one than ours. */
static int
cluster_try_programs(const struct pg_tools *tools, struct pg_conn *conn)
{
    CLEANUP_STRV struct strv argv = { 0 };
    struct process process;
    int rc;

    pg_tools_argv(tools, "pg_dumpall", &argv);
    strv_add(&argv, "--tablespaces-only");
    strv_addf(&argv, "--database=%s", PQdb(pg_raw(conn)));
    rc = pg_tools_dbname(tools, NULL, &argv);
    if (rc == 0)
        rc = pg_tools_start(tools, &argv, NULL, PROCESS_NULL, PROCESS_NULL, -1, &process);
    return rc < 0 ? rc : process_finish(&process);
}

static int
cluster_programs(const struct inspect *inspect, const struct config_item *item, struct pg_conn *conn)
{
    const struct config_cluster *cluster = item->cluster;
    CLEANUP(pg_tools_free) struct pg_tools *tools = NULL;
    struct pg_tools_spec spec = {
        .exec = cluster->exec,
        .bindir = cluster->bindir,
        .conninfo = cluster->exec_conninfo != NULL ? cluster->exec_conninfo : cluster->conninfo,
        .password = cluster->password,
        .server_version = pg_server_version(conn),
    };
    int rc = pg_tools_find(&spec, &tools);

    if (rc < 0)
        return cluster_slot(inspect, item, rc, NULL);
    rc = cluster_try_programs(tools, conn);
    if (rc < 0)
        return cluster_slot(inspect, item, rc, "the programs of PostgreSQL do not come through");
    inspect_say(inspect, "cluster", item->name, PGCASK_CHECK_OK, NULL, "pg_dump %s suits it", pg_tools_version(tools));
    return 0;
}

int
inspect_cluster(const struct inspect *inspect, const struct config_item *cluster)
{
    const struct pg_server server = { cluster->cluster->conninfo, cluster->cluster->password };
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    int rc = pg_connect(&server, NULL, &conn);

    if (rc < 0)
        return cluster_slot(inspect, cluster, rc, NULL);
    inspect_say(inspect, "cluster", cluster->name, PGCASK_CHECK_OK, NULL, "PostgreSQL %s lets role '%s' in",
                PQparameterStatus(pg_raw(conn), "server_version"), PQuser(pg_raw(conn)));
    rc = cluster_programs(inspect, cluster, conn);
    for (size_t i = 0; rc == 0 && i < inspect->config->jobs.len; i++) {
        const struct config_item *job = &inspect->config->jobs.items[i];

        if (strcmp(job->job->cluster, cluster->name) != 0)
            continue;
        rc = strcmp(job->job->kind, KIND_BASE) == 0 ? inspect_base(inspect, job, cluster)
                                                    : inspect_job(inspect, job, &server, conn);
    }
    return rc;
}
