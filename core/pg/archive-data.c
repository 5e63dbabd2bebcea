/* SPDX-License-Identifier: PostgreSQL
 *
 * Walks the data blocks of a custom-format archive to the rows of one table.
 * The layout is drawn at the top of archive.c.
 */
#include "config.h"

#include "pg/archive.h"

#include "base/error.h"
#include "base/mem.h"
#include "pg/archive-source.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARCHIVE_BLOCK_DATA = 1,
    ARCHIVE_BLOCK_BLOBS = 3,
};

/* What pg_dump writes behind the rows of a table, as COPY in a script needs it. */
static const char archive_end_of_rows[] = "\\.\n\n\n";
#define ARCHIVE_END_LEN (sizeof archive_end_of_rows - 1)

/* One walk: `row_bytes` is only called for the block that is wanted. */
struct archive_walk {
    struct archive_source in;
    unsigned char *piece;
    int (*row_bytes)(void *ctx, const void *data, size_t len);
    void *row_ctx;
    unsigned char held[ARCHIVE_END_LEN]; /* the last bytes seen: perhaps the end mark, which is no row */
    size_t held_len;
};

static int
archive_walk_give(struct archive_walk *walk, const void *data, size_t len)
{
    return len > 0 ? walk->row_bytes(walk->row_ctx, data, len) : 0;
}

/* Give on what is surely not the end mark: all but the last bytes. */
static int
archive_walk_rows(struct archive_walk *walk, const unsigned char *data, size_t len)
{
    size_t total = walk->held_len + len;
    size_t out = total > ARCHIVE_END_LEN ? total - ARCHIVE_END_LEN : 0;
    size_t from_held = out < walk->held_len ? out : walk->held_len;
    size_t from_data = out - from_held;
    int rc = archive_walk_give(walk, walk->held, from_held);

    if (rc == 0)
        rc = archive_walk_give(walk, data, from_data);
    if (rc < 0)
        return rc;
    walk->held_len -= from_held;
    memmove(walk->held, walk->held + from_held, walk->held_len);
    memcpy(walk->held + walk->held_len, data + from_data, len - from_data);
    walk->held_len += len - from_data;
    return 0;
}

/* INSERT statements (pg_dump --inserts) have no end mark. */
static int
archive_walk_end(struct archive_walk *walk)
{
    if (walk->held_len == ARCHIVE_END_LEN && memcmp(walk->held, archive_end_of_rows, ARCHIVE_END_LEN) == 0)
        return 0;
    return archive_walk_give(walk, walk->held, walk->held_len);
}

static int
archive_walk_chunk(struct archive_walk *walk, int len, bool wanted)
{
    while (len > 0) {
        int piece = len < ARCHIVE_PIECE ? len : ARCHIVE_PIECE;
        int rc = archive_source_bytes(&walk->in, walk->piece, (size_t)piece);

        if (rc == 0 && wanted)
            rc = archive_walk_rows(walk, walk->piece, (size_t)piece);
        if (rc < 0)
            return rc;
        len -= piece;
    }
    return 0;
}

static int
archive_walk_chunks(struct archive_walk *walk, bool wanted)
{
    for (;;) {
        int len = 0;
        int rc = archive_source_int(&walk->in, &len);

        if (rc == 0 && len < 0)
            rc = archive_source_corrupt(&walk->in, "data of impossible length", len);
        if (rc < 0)
            return rc;
        if (len == 0)
            return 0;
        rc = archive_walk_chunk(walk, len, wanted);
        if (rc < 0)
            return rc;
    }
}

/* Large objects, each with its oid before it; oid 0 ends the block. */
static int
archive_walk_blobs(struct archive_walk *walk)
{
    for (;;) {
        int64_t oid = 0;
        int rc = archive_source_number(&walk->in, &oid);

        if (rc < 0)
            return rc;
        if (oid == 0)
            return 0;
        rc = archive_walk_chunks(walk, false);
        if (rc < 0)
            return rc;
    }
}

/* The end of the archive shows only here: a reader that has no more byte for a block to begin with. */
static int
archive_walk_begin(struct archive_walk *walk, int dump_id, int *ret_type, int *ret_id)
{
    int rc = archive_source_byte(&walk->in, ret_type);

    if (rc == PGCASK_FAILED)
        return error_context(PGCASK_NOT_FOUND, "archive: ends without rows of entry %d", dump_id);
    if (rc == 0 && *ret_type != ARCHIVE_BLOCK_DATA && *ret_type != ARCHIVE_BLOCK_BLOBS)
        rc = archive_source_corrupt(&walk->in, "unknown type of data block", *ret_type);
    if (rc == 0)
        rc = archive_source_int(&walk->in, ret_id);
    return rc;
}

int
archive_data(const struct archive *archive, archive_read *read, void *ctx, int dump_id,
             int (*row_bytes)(void *ctx, const void *data, size_t len), void *row_ctx)
{
    CLEANUP_FREE unsigned char *piece = mem_alloc(ARCHIVE_PIECE);
    struct archive_walk walk = {
        .in = { .read = read, .ctx = ctx, .left = UINT64_MAX, .int_size = archive->int_size },
        .piece = piece,
        .row_bytes = row_bytes,
        .row_ctx = row_ctx,
    };

    if (archive->compressed != 0)
        return error_set(PGCASK_UNSUPPORTED, "archive: data blocks are compressed (%d), only plain ones can be read",
                         archive->compressed);
    for (;;) {
        int type = 0, id = 0;
        bool wanted;
        int rc = archive_walk_begin(&walk, dump_id, &type, &id);

        if (rc < 0)
            return rc;
        wanted = type == ARCHIVE_BLOCK_DATA && id == dump_id;
        rc = type == ARCHIVE_BLOCK_DATA ? archive_walk_chunks(&walk, wanted) : archive_walk_blobs(&walk);
        if (rc == 0 && wanted)
            return archive_walk_end(&walk);
        if (rc < 0)
            return rc;
    }
}
