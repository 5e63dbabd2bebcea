/* SPDX-License-Identifier: PostgreSQL
 *
 * kind = base: a whole cluster, read with BASE_BACKUP, and the WAL that makes it
 * consistent.
 */
#ifndef PGCASK_PIPELINE_BASE_H
#define PGCASK_PIPELINE_BASE_H

#include "config/settings.h"
#include "pg/replication.h"
#include "pg/wal-history.h"
#include "pipeline/stores.h"
#include "pipeline/writing.h"

struct base_run {
    const struct config *config;
    const struct config_item *job, *cluster;
    struct writing *writing;
    const struct stores *stores; /* of the job, those that are open */
    struct pg_server server;
    struct replication *replication;
    struct replication_system system;
    uint32_t segment_bytes;
    uint32_t stop_timeline; /* of the backup */
    bool standby;
    char *parent;           /* id of the backup that this one is on top of; NULL: a full one */
    struct base_list *list; /* see base-chain.h; NULL: not kept */
};

/* Reach the server, and look whether it can do what the job asks for. The fields up to `server` are given. */
int base_open(struct base_run *run);
void base_close(struct base_run *run);
/* What the manifest says of the server. */
int base_describe(struct base_run *run);
/* wal = archive: is there an archive at all? Asked before hours are spent. */
int base_check_archive(struct base_run *run);
/* All members; the manifest gets what was learnt. */
int base_write(struct base_run *run);

/* The backup is whole: the next one may be put on top of it. */
void base_kept(struct base_run *run);

/* Wait until the stores have the WAL from start to stop whole. `ret_missing`: required stores that still lack some when
 * the time is over, which was told; an error when no store has it all. */
int base_wal_wait(struct base_run *run, size_t *ret_missing);

#endif
