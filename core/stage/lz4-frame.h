/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading LZ4's frame format, as a server compresses what it sends. Only that:
 * nothing of ours is stored so. Foreign bytes: bounded, checked, fuzzed.
 *
 *   magic 0x184D2204 | flags, sizes, check byte | (size, block, [checksum])* | 0 | [checksum]     all 32-bit LE
 *
 * Source of the format: doc/lz4_Frame_format.md and doc/lz4_Block_format.md of LZ4, version 1.6.
 */
#ifndef PGCASK_STAGE_LZ4_FRAME_H
#define PGCASK_STAGE_LZ4_FRAME_H

#include "base/mem.h"

#include <stddef.h>

struct lz4_frame; /* opaque */

/* `read` gives the frame's bytes; of the type member_read. Memory: at most two blocks of 4 MiB. */
struct lz4_frame *lz4_frame_new(int (*read)(void *ctx, void *data, size_t size, size_t *ret_len), void *ctx);
void lz4_frame_free(struct lz4_frame *frame);
CLEANUP_DEFINE(struct lz4_frame, lz4_frame_free)

/* Up to `size` plain bytes; less only at the end. Of the type member_read. ERROR_CORRUPT: not one whole LZ4 frame. */
int lz4_frame_read(void *frame, void *data, size_t size, size_t *ret_len);

/* One block of compressed bytes into `out` + `at`, where `out` + `at` - `history` … are the plain bytes before it;
 * `cap` is the end of `out`. ERROR_CORRUPT for what is none, or is larger. For the frame, and its tests. */
int lz4_block_expand(const unsigned char *data, size_t len, unsigned char *out, size_t at, size_t history, size_t cap,
                     size_t *ret_len);

#endif
