/* SPDX-License-Identifier: PostgreSQL
 *
 * What exists: the backups of a cluster as the listings of its stores show them.
 * A backup exists where its manifest does.
 */
#ifndef PGCASK_CATALOG_CATALOG_H
#define PGCASK_CATALOG_CATALOG_H

#include "catalog/manifest.h"
#include "plugin/storage.h"

enum catalog_state { CATALOG_UNVERIFIED, CATALOG_GOOD, CATALOG_BAD };

/* One backup in one store. */
struct catalog_copy {
    size_t store;      /* index into the catalog's stores */
    bool manifest;     /* without it the objects are no backup */
    enum catalog_state state; /* the newest verdict */
    int64_t verdict_s;
    struct strv keys;  /* all of its objects */
};

struct catalog_backup {
    char *id;
    int64_t start_s;
    const char *job; /* into id */
    struct catalog_copy *copies;
    size_t len, cap;
    struct manifest *loaded; /* by catalog_manifest */
};

struct catalog {
    char *cluster;
    char *cache_dir; /* NULL: none */
    struct storage *const *stores;
    size_t store_count;
    struct catalog_backup *backups; /* oldest first */
    size_t len, cap;
};

/* List `stores` (borrowed, must outlive the catalog). One that cannot be listed is an error. `cache_dir` (may be NULL)
 * keeps manifests, which never change. */
int catalog_load(struct storage *const *stores, size_t count, const char *cluster, const char *cache_dir,
                 struct catalog **ret_catalog);
void catalog_free(struct catalog *catalog);
CLEANUP_DEFINE(struct catalog, catalog_free)

/* It has a manifest somewhere. */
bool catalog_exists(const struct catalog_backup *backup);
/* The best of its copies' states. */
enum catalog_state catalog_state(const struct catalog_backup *backup);
/* Its manifest, read once; borrowed from the backup. Falls over from one store to the next. */
int catalog_manifest(const struct catalog *catalog, struct catalog_backup *backup, const struct manifest **ret_manifest);
/* By id, or "latest": the newest that holds everything of its databases and whose newest verdict is not bad; `job`
 * (may be NULL) limits it to that job. ERROR_USAGE when there is none. */
int catalog_find(const struct catalog *catalog, const char *id, const char *job, struct catalog_backup **ret_backup);
/* The same for "latest", of those that hold `database` (NULL: any). */
int catalog_latest(const struct catalog *catalog, const char *job, const char *database, struct catalog_backup **ret_backup);
/* The newest of `job` with a good verdict that is older than `before_s` and of the same content and selection; NULL: none. */
struct catalog_backup *catalog_last_good(const struct catalog *catalog, const char *job, int64_t before_s,
                                         const char *content, bool selection);

/* The id in a store's pgcask.json; PGCASK_NOT_FOUND when it has none. */
int catalog_repository(struct storage *storage, char **ret_id);
int catalog_repository_make(struct storage *storage, const char *id);

#endif
