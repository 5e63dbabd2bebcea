/* SPDX-License-Identifier: PostgreSQL
 *
 * A stream that a server has compressed for its way to here, plain again: what is
 * stored is compressed by us, frame by frame.
 */
#ifndef PGCASK_STAGE_WIRE_EXPAND_H
#define PGCASK_STAGE_WIRE_EXPAND_H

#include "base/mem.h"
#include "stage/member-writer.h"

struct wire_expand; /* opaque */

/* `kind`: "zstd" or "lz4". `read` gives the compressed bytes, one stream of them. */
struct wire_expand *wire_expand_new(const char *kind, member_read *read, void *ctx);
void wire_expand_free(struct wire_expand *expand);
CLEANUP_DEFINE(struct wire_expand, wire_expand_free)

/* Of the type member_read. ERROR_CORRUPT for a stream that is spoilt or cut. */
int wire_expand_read(void *expand, void *data, size_t size, size_t *ret_len);

#endif
