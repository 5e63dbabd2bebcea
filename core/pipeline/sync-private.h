/* SPDX-License-Identifier: PostgreSQL
 *
 * Between sync.c, sync-wal.c and sync-wal-copy.c, which act, and sync-plan.c and
 * sync-wal-plan.c, which say what is to be done.
 */
#ifndef PGCASK_PIPELINE_SYNC_PRIVATE_H
#define PGCASK_PIPELINE_SYNC_PRIVATE_H

#include "catalog/catalog.h"
#include "catalog/wal-list.h"
#include "pipeline/copy.h"
#include "pipeline/stores.h"
#include "pipeline/sync.h"
#include "stage/blob.h"

/* A store and what it has. */
struct place {
    const struct config_item *item;
    struct storage *storage; /* NULL: an empty one, which a dry run does not touch */
    struct catalog *catalog;
    size_t written; /* backups that this run brought there */
    bool full;      /* writing failed: nothing more is tried */
    bool weary;     /* reading failed: others are asked first */
    bool exposed;   /* its copy of the backup at hand has just turned out to be bad */
};

struct sync {
    const struct config *config;
    const struct config_item *cluster;
    const struct sync_options *options;
    struct sync_result *result;
    struct stores stores;
    struct place *places; /* in the order of the config: nearest first */
    size_t count;
};

/* ERROR_USAGE when they name what is not there. */
int sync_check_options(const struct sync *sync);
/* Do the options alone say which store is to have what? */
bool sync_is_explicit(const struct sync_options *options);
/* The stores that matter, in the order of the config. */
void sync_names(const struct sync *sync, struct strv *ret_names);

/* NULL: the store lacks it. */
struct catalog_copy *sync_copy(const struct place *place, const char *id);
/* Is that store to have the backup? */
bool sync_wants(const struct sync *sync, const char *id, const char *job_name, const struct place *place);
/* Whom to ask, and in which order; how many. `ret_sources` has room for all places; `ret_good`: how many of them are not
 * known to be bad. */
size_t sync_sources(const struct sync *sync, const char *id, const struct place *target, struct copy_source *ret_sources,
                    size_t *ret_good);

/* ---- WAL ---- */

/* A store that is looked at for WAL. */
struct wal_place {
    const struct config_item *item;
    struct storage *storage; /* NULL: an empty one, which a dry run does not touch */
    bool source, target;     /* as the options and wal_stores say */
    bool deaf;               /* could not be listed: it is neither */
    bool mute;               /* reading failed: it is not read any more */
    bool full;               /* writing failed: nothing more is tried */
};

/* A file that a store lacks. */
struct wal_errand {
    const struct wal_row *rows; /* all copies of it, nearest store first */
    size_t count;
    size_t step;                /* in result->wals */
};

/* All of one system identifier. */
struct wal_plan {
    struct wal_place *places; /* in the order of the config; a row's store counts in these */
    size_t count;
    struct wal_list list;
};

/* The stores that are opened for WAL besides those in `names` already. */
void sync_wal_names(const struct sync *sync, struct strv *names);
/* Which of the open stores matter, and for what. `ret_places`: owned by the caller. */
size_t sync_wal_places(const struct sync *sync, struct wal_place **ret_places);
/* Whose WAL they have, and all that they have of one system. A store that cannot be listed is left out; below 0 only when
 * the run is being stopped. */
int sync_wal_systems(struct sync *sync, struct wal_plan *plan, struct strv *systems);
int sync_wal_list(struct sync *sync, struct wal_plan *plan, const char *system_identifier);
/* How many names have two contents; when there are any, the slot tells of the first. */
size_t sync_wal_disputed(const struct wal_plan *plan);
/* What that place lacks, histories first, then oldest first, and a step in the result for each timeline. `ret_errands`:
 * owned by the caller. */
size_t sync_wal_errands(struct sync *sync, const struct wal_plan *plan, size_t target, struct wal_errand **ret_errands);

/* What one thread needs for copying. */
enum { SYNC_WAL_WINDOW_BYTES = 4 * 1024 * 1024 };
struct wal_copier {
    struct storage *target;
    const struct age_identities *identities; /* NULL: none */
    struct blob_tools *tools;
    unsigned char *window, *part; /* SYNC_WAL_WINDOW_BYTES, part_bytes */
    size_t part_bytes;            /* from send_part_size */
};
/* From that source. PGCASK_EXISTS: another host has brought it meanwhile. `ret_target`: is the error one of the target? */
int sync_wal_copy(const struct wal_copier *copier, struct storage *source, const struct blob_ref *ref, bool *ret_target);

/* All of it: bring the WAL to those that lack it. Below 0 only when the run is being stopped. */
int sync_wal(struct sync *sync);

#endif
