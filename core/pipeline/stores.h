/* SPDX-License-Identifier: PostgreSQL
 *
 * The stores of a run: opened by name, checked to hold one and the same
 * repository; and the traces of work in progress in them.
 */
#ifndef PGCASK_PIPELINE_STORES_H
#define PGCASK_PIPELINE_STORES_H

#include "config/settings.h"
#include "plugin/storage.h"

#include <stdbool.h>

struct stores {
    struct storage **items; /* those that could be opened */
    size_t len, cap;
    size_t failed;          /* how many could not; each was told as a warning */
    size_t failed_required;
    char *repository;       /* their id */
    struct strv empty;      /* names of those that answered, hold no repository, and are left out for that */
};

/* In the flags, beside PGCASK_OPEN_…: */
enum {
    STORES_EXISTING = 1 << 16, /* an empty store is left empty, and out */
    STORES_JOIN = 1 << 17,     /* the same, unless there is a repository in another one that it can join */
};

/* `names`: words; NULL: all stores of the config. For writing, a store without a pgcask.json gets one; for reading it is
 * an empty one and left out quietly. 0 when at least one is open; else the error of the last. */
int stores_open(const struct config *config, const struct strv *names, unsigned flags, struct stores *ret_stores);
void stores_close(struct stores *stores);
void cleanup_stores(struct stores *stores);
#define CLEANUP_STORES __attribute__((cleanup(cleanup_stores)))

/* A lease says in a store that `id` is being written: its key and its text, owned by the caller. */
int stores_lease(const char *cluster, const char *id, char **ret_key, char **ret_text);
/* A key that nobody else has, for an object that 'pgcask check' tries a store with; owned by the caller. */
int stores_check_key(const char *cluster, char **ret_key);
/* An error when a store without a repository held backups before: it is not mounted, or lost. */
int stores_check_emptied(const struct config *config, const struct storage *storage);
/* Is there a lease for `id` besides our own? Two hosts may begin the same job in the same second. */
int stores_rival(struct storage *storage, const char *cluster, const char *id, const char *own_key, bool *ret_rival);
/* Take away what runs that died left behind: uploads, leases, objects without a manifest (at once when their lease is dead,
 * else after a day without a change). Best effort. */
void stores_sweep(struct storage *storage, const char *cluster);
/* Remove all objects of one backup, the manifest first. Best effort; trouble is a warning. */
void stores_discard(struct storage *storage, const char *cluster, const char *id);

#endif
