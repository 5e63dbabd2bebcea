/* SPDX-License-Identifier: PostgreSQL
 *
 * Between sync.c, which acts, and sync-plan.c, which says what is to be done.
 */
#ifndef PGCASK_PIPELINE_SYNC_PRIVATE_H
#define PGCASK_PIPELINE_SYNC_PRIVATE_H

#include "catalog/catalog.h"
#include "pipeline/copy.h"
#include "pipeline/stores.h"
#include "pipeline/sync.h"

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

#endif
