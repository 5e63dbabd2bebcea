/* SPDX-License-Identifier: PostgreSQL
 *
 * What list, show, verify and restore begin with: the stores opened for reading
 * and one cluster's catalog over them.
 */
#ifndef PGCASK_PIPELINE_REPO_H
#define PGCASK_PIPELINE_REPO_H

#include "catalog/catalog.h"
#include "pipeline/stores.h"

struct repo {
    const struct config *config;
    const struct config_item *cluster;
    struct stores stores;
    struct catalog *catalog;
};

/* The cluster of that name; NULL: the only one of the config. */
int repo_cluster(const struct config *config, const char *name, const struct config_item **ret_cluster);
/* `cluster` NULL: the only one of the config. `store` NULL: all stores. `flags`: PGCASK_OPEN_… A store that cannot be
 * opened or listed is left out with a warning, and counted in stores.failed; it is an error when none is left. */
int repo_open(const struct config *config, const char *cluster, const char *store, unsigned flags, struct repo *ret_repo);
void repo_close(struct repo *repo);
void cleanup_repo(struct repo *repo);
#define CLEANUP_REPO __attribute__((cleanup(cleanup_repo)))

/* When there is no backup at all, say on stderr of each store what it is without: a repository, any backup, or those of
 * this cluster. `store` as in repo_open. */
void repo_tell_empty(const struct repo *repo, const char *store);

/* A backup by id or "latest", with its manifest. */
int repo_find(struct repo *repo, const char *id, const char *job, struct catalog_backup **ret_backup,
              const struct manifest **ret_manifest);

#endif
