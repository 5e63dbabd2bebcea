/* SPDX-License-Identifier: PostgreSQL
 *
 * What exists: the backups of a cluster as the listings of its stores show them.
 * A backup exists where its manifest does.
 */
#ifndef PGCASK_CATALOG_CATALOG_H
#define PGCASK_CATALOG_CATALOG_H

#include "base/error.h"
#include "catalog/manifest.h"
#include "plugin/storage.h"

enum catalog_state { CATALOG_UNVERIFIED, CATALOG_GOOD, CATALOG_BAD };

/* What a listing says of one object. */
struct catalog_object {
    uint64_t size;
    int tier;        /* PGCASK_TIER_…: some listings do not tell, and say hot */
    int64_t until_s; /* for PGCASK_TIER_THAWED; 0: not known */
};

/* One backup in one store. */
struct catalog_copy {
    size_t store;      /* index into the catalog's stores */
    bool manifest;     /* without it the objects are no backup */
    uint64_t manifest_size; /* bytes, as listed */
    enum catalog_state state; /* the newest verdict */
    int64_t verdict_s;
    struct strv keys;  /* all of its objects, in order */
    struct catalog_object *objects; /* one for each key */
    size_t object_cap;
};

struct catalog_backup {
    char *id;
    int64_t start_s;
    const char *job; /* into id */
    struct catalog_copy *copies;
    size_t len, cap;
    struct manifest *loaded; /* by catalog_manifest */
    struct error why;        /* catalog_prefetch could not: told by the next catalog_manifest */
};

struct catalog {
    char *cluster;
    char *cache_dir; /* NULL: none */
    struct storage *const *stores;
    size_t store_count;
    struct catalog_known *known; /* which repository each of them holds; see catalog_repository_is */
    struct catalog_backup *backups; /* oldest first */
    size_t len, cap;
};

/* List `stores` (borrowed, must outlive the catalog). One that cannot be listed is an error. `cache_dir` (may be NULL)
 * keeps manifests, which never change. */
int catalog_load(struct storage *const *stores, size_t count, const char *cluster, const char *cache_dir,
                 struct catalog **ret_catalog);
/* The same; on an error *ret_failed is the index of the store that it is about. */
int catalog_load_some(struct storage *const *stores, size_t count, const char *cluster, const char *cache_dir,
                      size_t *ret_failed, struct catalog **ret_catalog);
void catalog_free(struct catalog *catalog);
CLEANUP_DEFINE(struct catalog, catalog_free)

/* By its id, finished or not; NULL: no store has anything of it. */
struct catalog_backup *catalog_get(const struct catalog *catalog, const char *id);
/* It has a manifest somewhere. */
bool catalog_exists(const struct catalog_backup *backup);
/* The best of its copies' states. */
enum catalog_state catalog_state(const struct catalog_backup *backup);
/* NULL: not listed. */
const struct catalog_object *catalog_object(const struct catalog_copy *copy, const char *key);
/* How some objects together can be read: cold when one of them is, else thawing, else thawed, until the first of them is
 * cold again. {0} at the beginning. */
struct catalog_tiers {
    size_t count[PGCASK_TIER_THAWED + 1];
    int64_t until_s;
};
void catalog_tiers_add(struct catalog_tiers *tiers, int tier, int64_t until_s);
int catalog_tiers_worst(const struct catalog_tiers *tiers, int64_t *ret_until_s);
/* The same for a copy, as far as the listing tells. */
int catalog_tier(const struct catalog_copy *copy, int64_t *ret_until_s);
/* Has the listing of that store told of an object that is not hot? */
bool catalog_tells_tiers(const struct catalog *catalog, size_t store);
/* All its stores hold this repository: whoever opened them has asked. Without it each store is asked once, when the first
 * of its manifests is wanted. */
void catalog_repository_is(struct catalog *catalog, const char *repository);
/* Its manifest, read once; borrowed from the backup. Falls over from one store to the next. */
int catalog_manifest(const struct catalog *catalog, struct catalog_backup *backup, const struct manifest **ret_manifest);
/* The same for all backups of `job` (NULL: of all jobs), many at a time: for who needs them all. What could not be read is
 * told by catalog_manifest. */
void catalog_prefetch(const struct catalog *catalog, const char *job);
/* The manifest of `id` as that store has it, without any cache, and the `size` bytes that it is made of (added to
 * `ret_data`). ERROR_CORRUPT when it is that of something else. */
int catalog_fetch(struct storage *storage, const char *repository, const char *cluster, const char *id, uint64_t size,
                  struct buf *ret_data, struct manifest **ret_manifest);
/* By id, or "latest": the newest that holds everything of its databases and whose newest verdict is not bad; `job`
 * (may be NULL) limits it to that job. ERROR_USAGE when there is none. */
int catalog_find(const struct catalog *catalog, const char *id, const char *job, struct catalog_backup **ret_backup);
/* The same for "latest", of that kind (NULL: any), of those that hold `database` (NULL: any; only dumps tell). */
int catalog_latest(const struct catalog *catalog, const char *kind, const char *job, const char *database,
                   struct catalog_backup **ret_backup);
/* The newest of `job` with a good verdict that is older than `before_s` and of the same content and selection; NULL: none. */
struct catalog_backup *catalog_last_good(const struct catalog *catalog, const char *job, int64_t before_s,
                                         const char *content, bool selection);

/* The id in a store's pgcask.json; PGCASK_NOT_FOUND when it has none. */
int catalog_repository(struct storage *storage, char **ret_id);
int catalog_repository_make(struct storage *storage, const char *id);
/* The id that the manifests in a store name, for one that has lost its pgcask.json; PGCASK_NOT_FOUND when it has none of
 * any cluster. */
int catalog_repository_by_manifests(struct storage *storage, char **ret_id);

#endif
