/* SPDX-License-Identifier: PostgreSQL
 *
 * Which base backup leads to a recovery target, and along which timeline: by what the stores list. For restore-cluster.c.
 */
#ifndef PGCASK_PIPELINE_CLUSTER_CHOICE_H
#define PGCASK_PIPELINE_CLUSTER_CHOICE_H

#include "catalog/catalog.h"
#include "catalog/wal-list.h"
#include "catalog/wal-range.h"
#include "pg/recovery.h"
#include "stage/age-key.h"

#include <stdbool.h>

struct choice_base {
    const char *id; /* borrowed */
    int64_t started_s, finished_s;
    struct wal_base wal;
    struct catalog_backup *backup; /* NULL in tests */
    bool bad;                      /* its newest verdict says so */
};

/* All that is known of one cluster's history. */
struct choice {
    const char *system_identifier; /* borrowed from a manifest */
    struct choice_base *bases;     /* oldest first */
    size_t len, cap;
    struct wal_list list;
    struct wal_ranges ranges;
    struct wal_history *histories; /* of each timeline that something is there of, ascending */
    size_t history_len, history_cap;
    struct strv unknown;           /* timelines whose history cannot be read, and why */
};
void choice_free(struct choice *choice);
void cleanup_choice(struct choice *choice);
#define CLEANUP_CHOICE __attribute__((cleanup(cleanup_choice)))

/* Manifests, listings of WAL, histories. `wal_stores` (NULL or empty: all): names of those whose WAL counts. `id`: a base backup or "latest", which says whose history it is; then `job` (NULL:
 * any) limits it. ERROR_USAGE when there is no base backup. */
/* The backups that one builds on: the full one first, itself last. ERROR_USAGE when one of them is not there. `ret_chain` has
 * room for CHOICE_CHAIN_MAX. */
enum { CHOICE_CHAIN_MAX = 128 };
int choice_chain(const struct catalog *catalog, struct catalog_backup *backup, struct catalog_backup **ret_chain,
                 size_t *ret_len);
int choice_load(const struct catalog *catalog, const struct strv *wal_stores, const char *id, const char *job,
                const struct age_identities *identities, struct choice *ret_choice);

struct choice_made {
    size_t base;           /* index */
    uint32_t timeline;     /* to be named as recovery_target_timeline */
    struct wal_reach reach; /* what is there along it */
    struct strv doubts;    /* what only PostgreSQL can tell, each a sentence */
    struct strv passed;    /* why newer base backups do not serve, where it is for lack of WAL */
};
void choice_made_free(struct choice_made *made);
void cleanup_choice_made(struct choice_made *made);
#define CLEANUP_CHOICE_MADE __attribute__((cleanup(cleanup_choice_made)))

/* Pure. The newest base backup (`id` "latest"; of those that are not bad), or that one, from which the target is reached, on
 * the newest timeline that does, or on the target's own. ERROR_USAGE with what can be reached instead. */
int choice_make(const struct choice *choice, const char *id, const struct recovery_target *target,
                struct choice_made *ret_made);
/* The windows that can be restored, for a message: "timeline 1: from 0/2000100 (…) to 0/A000000 (…)"; "" for none. Owned by
 * the caller. */
char *choice_windows(const struct choice *choice);

#endif
