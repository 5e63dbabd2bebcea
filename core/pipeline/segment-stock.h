/* SPDX-License-Identifier: PostgreSQL
 *
 * Segments fetched ahead, on this host, for one data directory that replays them.
 * A process of its own (segment-prefetch.c) fills the stock, restore_command
 * empties it.
 *
 *   <state_dir>/wal/<cluster>/stock-<system identifier>-<device>-<inode>/
 *       .lock                 held by who fills it
 *       .asked                the segment that was asked for last
 *       <name>.tmp            under way
 *       <name>-<digest>       there; checked again when it is taken
 */
#ifndef PGCASK_PIPELINE_SEGMENT_STOCK_H
#define PGCASK_PIPELINE_SEGMENT_STOCK_H

#include "base/buf.h"
#include "base/lock.h"
#include "pg/wal-name.h"

#include <stdbool.h>
#include <stdint.h>

/* That of the data directory that is the working directory; owned by the caller. */
char *stock_dir(const char *state_dir, const char *cluster, uint64_t system_identifier);

/* ---- for who empties it ---- */

/* Say what was asked for. Best effort. */
void stock_ask(const char *dir, const char *name);
/* Bring the segment `name` to `dest`, whole and synced, replacing what is there; when it is under way, wait for it.
 * PGCASK_NOT_FOUND: it is not there, or not good. */
int stock_take(const char *dir, const char *name, const char *dest);

/* ---- for who fills it ---- */

/* Makes the directory. ERROR_LOCKED: somebody else fills it. */
int stock_lock(const char *dir, struct lock **ret_lock);
/* False: nothing was asked for yet. */
bool stock_asked(const char *dir, struct wal_name *ret_name);
/* How many segments are there, and their bytes. */
void stock_count(const char *dir, size_t *ret_count, uint64_t *ret_bytes);
/* A new file for a segment under way, for reading and writing; its place when it is whole; or none. */
int stock_begin(const char *dir, const char *name, int *ret_fd);
int stock_end(const char *dir, const char *name, const char *digest);
void stock_cancel(const char *dir, const char *name);
/* Throw away what is before `name`, or on another timeline (NULL: all); and, if so told, what is under way. */
void stock_tidy(const char *dir, const struct wal_name *name, bool with_under_way);
/* All of it, in the other stocks of this cluster that nobody fills. */
void stock_tidy_others(const char *dir);

#endif
