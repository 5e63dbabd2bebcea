/* SPDX-License-Identifier: PostgreSQL
 *
 * Rows in large blocks. An uncompressed archive has a block for each row, and pg_restore sends each block to the
 * server as a message of its own, which costs both of them more than the row: merged to 64 KiB, loading takes about a
 * tenth less. The bytes between the blocks' heads stay as they are.
 */
#ifndef PGCASK_PG_ARCHIVE_MERGE_H
#define PGCASK_PG_ARCHIVE_MERGE_H

#include "pg/archive.h"

struct archive_merge; /* opaque */

/* Takes the new archive in order; below 0 ends the merging with that code. */
typedef int archive_give(void *ctx, const void *data, size_t len);

/* `archive` tells where the data begins; it is not needed afterwards. */
struct archive_merge *archive_merge_new(const struct archive *archive, archive_give *give, void *ctx);
/* Gives the rows alone, as COPY takes them, and pg_dump's end mark. The archive has to hold those of `dump_id` and
 * nothing else: adding or ending answers ERROR_CORRUPT otherwise. */
struct archive_merge *archive_merge_rows_new(const struct archive *archive, int dump_id, archive_give *give, void *ctx);
/* The next bytes of the old archive, in pieces of any size. What is not understood is given as it is, from there on. */
int archive_merge_add(struct archive_merge *merge, const void *data, size_t len);
/* Behind the last byte: give what is held back, even if it is cut short. */
int archive_merge_end(struct archive_merge *merge);
void archive_merge_free(struct archive_merge *merge);
CLEANUP_DEFINE(struct archive_merge, archive_merge_free)

#endif
