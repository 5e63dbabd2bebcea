/* SPDX-License-Identifier: PostgreSQL
 *
 * The heart of every stream: pieces are filled by one thread, worked on by the
 * crew in parallel, and drained in their order by another thread.
 *
 *   fill (caller's thread) ─► crew: work, work, work … ─► drain (conveyor's thread), in order again
 *
 * One crew serves all conveyors of a run, so that the cores are shared by all
 * streams; each conveyor owns a fixed ring of pieces, so that memory is bounded
 * and a slow drain holds its fill back. Nothing waits for a piece of another
 * conveyor: there is no cycle to lock up in.
 */
#ifndef PGCASK_STAGE_CONVEYOR_H
#define PGCASK_STAGE_CONVEYOR_H

#include "base/mem.h"
#include "stage/zstd-frame.h"

#include <stddef.h>
#include <stdint.h>

struct piece {
    unsigned char *in, *out; /* the two buffers, of the sizes given to conveyor_run */
    size_t in_len, out_len;
    uint64_t number; /* from 0 */
};

struct conveyor_ops {
    size_t in_size, out_size;
    /* Fill piece->in (or leave in_len 0 for an empty last one). Returns 1: this one counts and more may follow;
     * 0: the end, this one does not count; below 0: an error. */
    int (*fill)(void *ctx, struct piece *piece);
    int (*work)(void *ctx, struct frame_tools *tools, struct piece *piece); /* any thread, any order */
    int (*drain)(void *ctx, struct piece *piece);                           /* in order */
};

struct crew; /* opaque */
struct crew *crew_new(unsigned workers, int compress_level);
void crew_free(struct crew *crew);
CLEANUP_DEFINE(struct crew, crew_free)

/* Run to the end; 0 or the first error of any of the three. `pieces` >= 2 is the length of the ring. */
int conveyor_run(struct crew *crew, const struct conveyor_ops *ops, void *ctx, unsigned pieces);

#endif
