/* SPDX-License-Identifier: PostgreSQL
 *
 * The files of a base backup, written as they come out of its tars and compared with the backup_manifest on the way. For
 * restore-cluster.c.
 */
#ifndef PGCASK_PIPELINE_CLUSTER_WRITE_H
#define PGCASK_PIPELINE_CLUSTER_WRITE_H

#include "base/buf.h"
#include "pipeline/cluster-place.h"

#include <stdbool.h>

enum cluster_file { CLUSTER_FILE_WANTED, CLUSTER_FILE_KEPT, CLUSTER_FILE_WRITTEN };

struct cluster_write {
    struct cluster_place *place;
    const struct backup_files *files;
    unsigned char *state;   /* enum cluster_file of each of them */
    struct buf control;     /* global/pg_control, held back */
    struct buf spaces;      /* tablespace_map, held back */
    struct buf label;       /* backup_label of an increment, held back */
    uint32_t block_bytes;   /* of the server, for an increment: files INCREMENTAL.* go into those that are there; else 0 */
    bool passes;            /* more will come on top: tablespaces that the last one does not have are passed over */
    struct strv directories; /* with their prefix, in the order in which they came */
    uint64_t written_bytes;
};
/* What an increment builds on must be complete in the directories, with pg_control in `before`; NULL: a full backup. */
int cluster_write_init(struct cluster_write *write, struct cluster_place *place, const struct backup_files *files,
                       const struct cluster_write *before);
void cluster_write_free(struct cluster_write *write);

/* What takes one tar: of the directory `dir`. Feed it with cluster_tar_add, of the type member_take. */
struct cluster_tar; /* opaque */
struct cluster_tar *cluster_tar_new(struct cluster_write *write, const struct place_dir *dir);
int cluster_tar_add(void *tar, const void *data, size_t len);
int cluster_tar_end(struct cluster_tar *tar);
void cluster_tar_free(struct cluster_tar *tar);
CLEANUP_DEFINE(struct cluster_tar, cluster_tar_free)

/* The file that this one of an increment's backup_manifest is about: itself, or what it goes into. Owned by the caller. */
char *cluster_target(const char *path);
/* Behind all tars: ERROR_CORRUPT when a file of the backup_manifest has not come. */
int cluster_write_check(const struct cluster_write *write);

/* ---- increments: see cluster-merge.c ---- */

/* The backup_manifest of what has become of the last one, written there; checksums of files that were put together are
 * computed by `threads` threads. And its backup_label. */
int cluster_merge_manifest(struct cluster_write *write, const struct manifest *manifest, unsigned threads);

/* ---- delta: see cluster-delta.c ---- */

/* Mark the files that are there as they must be, in `threads` at the same time, and remove all others. */
int cluster_delta(struct cluster_write *write, unsigned threads);
/* Remove the directories that the backup does not have. */
int cluster_delta_end(struct cluster_write *write);
/* Behind an increment: remove the files and directories that it does not have. */
int cluster_prune(struct cluster_write *write);
/* Files that are written anew whatever is there. */
bool cluster_is_special(const char *path);

#endif
