/* SPDX-License-Identifier: PostgreSQL
 *
 * A range of an object, fetched by another thread while this one has something
 * else to do. One range at a time: what it takes in memory is the caller's buffer.
 */
#ifndef PGCASK_STAGE_READ_AHEAD_H
#define PGCASK_STAGE_READ_AHEAD_H

#include "plugin/storage.h"

struct read_ahead; /* opaque */

/* NULL when no thread can be had: then there is no reading ahead. */
struct read_ahead *read_ahead_new(void);
/* Waits for a range that nobody waited for. */
void read_ahead_free(struct read_ahead *ahead);
CLEANUP_DEFINE(struct read_ahead, read_ahead_free)

/* Fetch `len` bytes from `offset` into `data`; all borrowed until read_ahead_end. */
void read_ahead_begin(struct read_ahead *ahead, struct storage *storage, const char *key, uint64_t offset, void *data,
                      size_t len);
/* Wait for them: what storage_get answered, with its text in this thread's slot. */
int read_ahead_end(struct read_ahead *ahead);

#endif
