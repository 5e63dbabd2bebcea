/* SPDX-License-Identifier: PostgreSQL
 *
 * kind = dump: what is read from a server and becomes the members of a backup.
 */
#ifndef PGCASK_PIPELINE_DUMP_H
#define PGCASK_PIPELINE_DUMP_H

#include "pg/conn.h"
#include "pg/tools.h"
#include "pipeline/dump-plan.h"
#include "pipeline/writing.h"

struct dump_run {
    const struct config *config;
    const struct config_job *job;
    struct pg_server server;
    struct pg_conn *maintenance; /* to the database that conninfo names; one thread's */
    struct pg_tools *tools;
    int64_t lock_timeout_ms;
    struct dump_selection selection;
    struct writing *writing; /* its `streams` is how many pg_dumps run at the same time */
};

/* Roles and tablespaces (unless the job leaves them out), the server's settings files. */
int dump_cluster(struct dump_run *run);
/* One database: properties, check queries, main member and large tables, all from one snapshot. */
int dump_database(struct dump_run *run, const char *database);

#endif
