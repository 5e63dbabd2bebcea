/* SPDX-License-Identifier: PostgreSQL
 *
 * A file INCREMENTAL.* of an incremental base backup (PostgreSQL 17 and later): the blocks of a relation's file that were
 * changed since the backup before, put into that file while they come by. Foreign bytes, fuzzed.
 *
 *   magic | number of blocks | length to cut the file to | block numbers … | zeros up to a whole block | blocks …
 *
 * All numbers are 32-bit, in the byte order of the server, lengths in blocks. Source: sendFile in PostgreSQL's
 * backup/basebackup.c, and pg_combinebackup's reconstruct.c.
 */
#ifndef PGCASK_PG_INCREMENTAL_H
#define PGCASK_PG_INCREMENTAL_H

#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

#define INCREMENTAL_PREFIX "INCREMENTAL."

/* What becomes of the file that is completed; each returns 0 to go on. */
struct incremental_ops {
    /* First: what lies behind `size` bytes is to be cut off. */
    int (*cut)(void *ctx, uint64_t size);
    int (*write)(void *ctx, uint64_t offset, const void *data, size_t len);
    /* Last: it is to have at least so many bytes, zeros where nothing was written. */
    int (*grow)(void *ctx, uint64_t size);
};

struct incremental; /* opaque */

/* `size`: bytes of the file INCREMENTAL.*; `block_bytes`: of the server. */
struct incremental *incremental_new(uint64_t size, uint32_t block_bytes, const struct incremental_ops *ops, void *ctx);
void incremental_free(struct incremental *incremental);
CLEANUP_DEFINE(struct incremental, incremental_free)
/* The next bytes. ERROR_CORRUPT: none of these files, or its size is not that of so many blocks. */
int incremental_add(struct incremental *incremental, const void *data, size_t len);
int incremental_end(struct incremental *incremental);

/* The server's block size, from its pg_control. ERROR_CORRUPT when it does not tell. */
int incremental_block_bytes(const void *control, size_t len, uint32_t *ret_block_bytes);

#endif
