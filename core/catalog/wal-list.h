/* SPDX-License-Identifier: PostgreSQL
 *
 * What a store has of the write-ahead log of one cluster, as its listing shows it. Nothing is read.
 */
#ifndef PGCASK_CATALOG_WAL_LIST_H
#define PGCASK_CATALOG_WAL_LIST_H

#include "base/buf.h"
#include "catalog/label.h"
#include "pg/wal-name.h"
#include "plugin/storage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wal_row {
    struct wal_name name;
    char digest[LABEL_DIGEST_CHARS + 1];
    bool sealed;
    size_t store;    /* index, as given to wal_list_add */
    uint64_t size;   /* stored bytes */
    int64_t mtime_s; /* 0: not known */
    int tier;        /* PGCASK_TIER_… */
};

/* In order of timeline, log, piece, kind, offset, digest, store; histories are before the segments of their timeline. */
struct wal_list {
    char *system_identifier;
    struct wal_row *rows;
    size_t len, cap;
};

/* All of one history (one system identifier) in one store; the rows' store is 0. `*ret_list` is {0} before. */
int wal_list_load(struct storage *storage, const char *cluster, const char *system_identifier,
                  struct wal_list *ret_list);
/* The same of one more store, between what is there already; nothing is added on an error. */
int wal_list_add(struct storage *storage, size_t store, const char *cluster, const char *system_identifier,
                 struct wal_list *list);
/* Only what begins with `prefix`: label_wal_group, label_wal_file. */
int wal_list_add_prefix(struct storage *storage, size_t store, const char *cluster, const char *prefix,
                        struct wal_list *list);
void wal_list_free(struct wal_list *list);
void cleanup_wal_list(struct wal_list *list);
#define CLEANUP_WAL_LIST __attribute__((cleanup(cleanup_wal_list)))

/* The rows of one file, whatever store and digest; NULL and 0: there is none. */
const struct wal_row *wal_list_find(const struct wal_list *list, const struct wal_name *name, size_t *ret_count);
char *wal_row_key(const struct wal_row *row, const char *cluster, const char *system_identifier); /* owned by the caller */

/* The system identifiers that a store has WAL of, added to `systems` in byte order, each once. Lists all of it. */
int wal_list_systems(struct storage *storage, const char *cluster, struct strv *systems);

#endif
