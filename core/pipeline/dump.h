/* SPDX-License-Identifier: PostgreSQL
 *
 * kind = dump: what is read from a server and becomes the members of a backup.
 */
#ifndef PGCASK_PIPELINE_DUMP_H
#define PGCASK_PIPELINE_DUMP_H

#include "catalog/manifest.h"
#include "pg/conn.h"
#include "pg/tools.h"
#include "pipeline/dump-plan.h"
#include "stage/member-writer.h"

#include <pthread.h>

/* What all members of a run have in common. The manifest collects their facts. */
struct dump_run {
    const struct config *config;
    const struct config_job *job;
    struct pg_server server;
    struct pg_conn *maintenance; /* to the database that conninfo names; one thread's */
    struct pg_tools *tools;
    int64_t lock_timeout_ms;
    struct dump_selection selection;
    struct crew *crew;
    struct outlet *outlet;
    const struct age_recipients *recipients; /* NULL: not encrypted */
    const char *cluster, *id;
    unsigned streams;                        /* pg_dumps at the same time */
    struct strv taken;                       /* names of members */
    struct manifest *manifest;
};

/* Roles and tablespaces (unless the job leaves them out), the server's settings files. */
int dump_cluster(struct dump_run *run);
/* One database: properties, check queries, main member and large tables, all from one snapshot. */
int dump_database(struct dump_run *run, const char *database);

/* Write one member and enter it in the manifest; `member` gives name, role, database, schema, table (moved in).
 * Caller must not call it from two threads without `lock` (may be NULL) guarding the manifest. */
int dump_member(struct dump_run *run, struct manifest_member *member, member_read *read, void *ctx, uint64_t size_hint,
                pthread_mutex_t *lock);

#endif
