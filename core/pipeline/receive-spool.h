/* SPDX-License-Identifier: PostgreSQL
 *
 * The spool of `wal receive`: WAL on this host that no store has yet. A directory for each server's history, in it
 * files under PostgreSQL's names; whoever knows PostgreSQL can do without pgcask.
 *
 *   <state_dir>/receive-<cluster>/<system identifier>/000000010000000000000007           whole, to be archived
 *   …                                                 000000010000000000000008.partial   being received: the bytes up
 * to now …                                                 00000002.history                   to be archived
 *
 * A file gets its whole name when all of it is on the disk, and is removed when it is in the stores. Before that the
 * next one is begun, so that the spool says where to go on.
 */
#ifndef PGCASK_PIPELINE_RECEIVE_SPOOL_H
#define PGCASK_PIPELINE_RECEIVE_SPOOL_H

#include "base/mem.h"
#include "pg/wal-name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool_item {
    char *system;         /* identifier */
    struct wal_name name; /* WAL_SEGMENT: whole; WAL_PARTIAL: not yet; or WAL_HISTORY */
    uint64_t size;
};
/* In the order in which they are to be archived: by system, timeline (its history first), number. */
struct spool_items {
    struct spool_item *items;
    size_t len, cap;
};
void spool_items_add(struct spool_items *items, const char *system, const struct wal_name *name, uint64_t size);
void spool_items_free(struct spool_items *items);
void cleanup_spool_items(struct spool_items *items);
#define CLEANUP_SPOOL_ITEMS __attribute__((cleanup(cleanup_spool_items)))

char *spool_dir(const char *state_dir, const char *cluster);                        /* owned by the caller */
char *spool_path(const char *dir, const char *system, const struct wal_name *name); /* likewise */
/* What is in the spool, added to `items`; files of other names are left alone. A spool that is not there is empty. */
int spool_list(const char *dir, struct spool_items *items);
/* The one of `system` to be continued: the newest that is not whole. NULL: none. */
const struct spool_item *spool_items_open(const struct spool_items *items, const char *system);
int spool_remove(const char *dir, const char *system, const struct wal_name *name); /* missing is success */
/* Durable when it returns. */
int spool_put_history(const char *dir, const char *system, uint32_t timeline, const char *text, size_t len);

/* ---- the segment being received ---- */

struct spool_writer; /* opaque */

/* Begin or continue that segment: its bytes come from the first one on, whatever the file has already. Durable, with
 * all that was there, when it returns. */
int spool_writer_open(const char *dir, const char *system, uint32_t timeline, uint64_t segment, uint32_t segment_bytes,
                      struct spool_writer **ret_writer);
void spool_writer_close(struct spool_writer *writer);
CLEANUP_DEFINE(struct spool_writer, spool_writer_close)

/* The next bytes, not beyond the segment's end. Where the file has bytes already they must be the same: ERROR_CORRUPT
 * when they are not, which means that the server has other WAL now than it had before. (Zeros are what a crash of this
 * machine leaves of bytes that had not reached the disk; they are replaced.) */
int spool_writer_put(struct spool_writer *writer, const void *data, size_t len);
/* All that was put is on the disk afterwards. */
int spool_writer_sync(struct spool_writer *writer);
/* The segment is full: synced, and under its whole name. */
int spool_writer_finish(struct spool_writer *writer);

uint64_t spool_writer_len(const struct spool_writer *writer);    /* put since it was opened */
uint64_t spool_writer_synced(const struct spool_writer *writer); /* of these: on the disk */
uint64_t spool_writer_size(const struct spool_writer *writer);   /* of the file: not less than what was put */
const struct wal_name *spool_writer_name(const struct spool_writer *writer); /* WAL_PARTIAL until it is finished */

#endif
