/* SPDX-License-Identifier: PostgreSQL
 *
 * The buffers of parts on their way to stores: a fixed number, counted by
 * holders, reused.
 */
#ifndef PGCASK_STAGE_PART_POOL_H
#define PGCASK_STAGE_PART_POOL_H

#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

struct part {
    unsigned char *data;
    size_t len;
    /* the pool's own */
    size_t cap;
    unsigned holders;
    struct part *next_free;
};

struct part_pool; /* opaque */
/* At most `limit` parts out at once, and `limit_bytes` in all; one part is always to be had, however large. */
struct part_pool *part_pool_new(unsigned limit, uint64_t limit_bytes);
void part_pool_free(struct part_pool *pool); /* all parts must be back */
CLEANUP_DEFINE(struct part_pool, part_pool_free)

/* Give back the memory of those that nobody holds. */
void part_pool_trim(struct part_pool *pool);
/* An empty one with room for `size` bytes, held once. Waits while too many are out. */
struct part *part_take(struct part_pool *pool, size_t size);
void part_hold(struct part_pool *pool, struct part *part);    /* once more */
void part_release(struct part_pool *pool, struct part *part); /* the last one gives it back */

#endif
