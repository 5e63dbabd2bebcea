/* SPDX-License-Identifier: PostgreSQL
 *
 * One frame: at most 4 MiB of a member, compressed alone as a standard zstd
 * frame with its content size and checksum. And the table of frames at a
 * member's end, in zstd's seekable format (a skippable frame: `zstd -d` passes
 * over it).
 *
 *   frame | frame | … | skippable frame:
 *     magic 0x184D2A5E | size | { compressed size, plain size } × n | n | 0 | magic 0x8F92EAB1     all 32-bit LE, the 0 one byte
 *
 * Source of the format: zstd's contrib/seekable_format/zstd_seekable_compression_format.md.
 */
#ifndef PGCASK_STAGE_ZSTD_FRAME_H
#define PGCASK_STAGE_ZSTD_FRAME_H

#include "base/buf.h"
#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

enum { FRAME_PLAIN_BYTES = 4 * 1024 * 1024 };
size_t frame_bound(void); /* largest compressed frame */

/* A worker's own compressor and decompressor, made when first used; not for two threads at once. */
struct frame_tools;
struct frame_tools *frame_tools_new(int level);
void frame_tools_free(struct frame_tools *tools);
int frame_compress(struct frame_tools *tools, const void *plain, size_t len, void *out, size_t cap, size_t *ret_len);
/* ERROR_CORRUPT unless the bytes are one whole frame of exactly `plain_len` bytes with a right checksum. */
int frame_expand(struct frame_tools *tools, const void *data, size_t len, void *out, size_t plain_len);

struct frame_entry {
    uint32_t stored, plain; /* bytes */
};
struct frame_table {
    struct frame_entry *entries;
    size_t len, cap;
};
enum { FRAME_FOOTER_BYTES = 9, FRAME_TABLE_HEAD_BYTES = 8 };
void frame_table_add(struct frame_table *table, size_t stored, size_t plain);
/* The whole skippable frame. */
int frame_table_encode(const struct frame_table *table, struct buf *ret_data);
/* From the last FRAME_FOOTER_BYTES of a stream: size of the whole skippable frame. Foreign bytes. */
int frame_footer_decode(const void *footer, uint64_t *ret_table_bytes);
/* `data`: the whole skippable frame; `body`: bytes of the stream before it, which the entries must fill exactly. */
int frame_table_decode(const void *data, size_t len, uint64_t body, struct frame_table *ret_table);
void frame_table_free(struct frame_table *table);

#endif
