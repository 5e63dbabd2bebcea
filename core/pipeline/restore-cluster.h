/* SPDX-License-Identifier: PostgreSQL
 *
 * Bringing a base backup back as a data directory, from which PostgreSQL recovers to a chosen point by itself. All that can
 * be known is asked before the first byte is written; what is unfinished cannot be started.
 */
#ifndef PGCASK_PIPELINE_RESTORE_CLUSTER_H
#define PGCASK_PIPELINE_RESTORE_CLUSTER_H

#include "pg/recovery.h"
#include "pipeline/restore.h"

#include <stdbool.h>

struct restore_cluster_options {
    const char *id;       /* of a base backup, or "latest": the newest that serves */
    const char *job;      /* with "latest": of this job; NULL: of any */
    const char *store;    /* only from there, as given on the command line; NULL: from all */
    const char *data_dir;
    const char *owner;    /* USER or USER:GROUP of all files; NULL: ours, or what the directory has */
    struct recovery_target target;
    bool standby;
    const char *primary_conninfo; /* of the standby; NULL: none */
    bool delta;                   /* into an existing directory: only what differs is written */
    const struct strv *tablespaces; /* OID=DIR or OLD=NEW; what is not in it goes where it was */
    const char *config_path;      /* as given on the command line, for restore_command; NULL: the usual one */
};

/* `restore` has config, identities, crew, streams and thaw; the rest is filled in here. 0: the directory is complete. After
 * an error behind the checks it is marked as incomplete, without pg_control. */
int restore_cluster(struct repo *repo, struct restore *restore, const struct restore_cluster_options *options);

#endif
