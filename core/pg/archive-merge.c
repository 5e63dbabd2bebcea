/* SPDX-License-Identifier: PostgreSQL
 *
 * The layout is drawn at the top of archive.c. Here it matters that data is
 *
 *   type 1 | dump id | length | bytes | length | bytes | … | length 0        and so on for the next table
 *
 * where a number is a sign byte and `int_size` bytes, little endian.
 */
#include "config.h"

#include "pg/archive-merge.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    MERGE_BLOCK_BYTES = 64 * 1024, /* what COPY FROM reads at a time: RAW_BUF_SIZE in PostgreSQL's copyfrom_internal.h */
    MERGE_NUMBER_LIMIT = 9,
    MERGE_TYPE_DATA = 1,
};

enum merge_state {
    MERGE_TOC,
    MERGE_TYPE,
    MERGE_ID,
    MERGE_LENGTH,
    MERGE_BYTES,   /* to be merged */
    MERGE_THROUGH, /* of a block that is large by itself */
    MERGE_AS_IS,   /* large objects, or what is not understood: to the end */
};

struct archive_merge {
    archive_give *give;
    void *ctx;
    bool rows_only;
    int dump_id; /* with rows_only: whose */
    bool seen;   /* with rows_only: its rows have begun */
    enum merge_state state;
    uint64_t left;      /* bytes that the state still takes */
    size_t number_size; /* with the sign */
    size_t number_len;
    unsigned char number[MERGE_NUMBER_LIMIT];
    size_t len; /* bytes held for the block */
    unsigned char block[MERGE_NUMBER_LIMIT + MERGE_BLOCK_BYTES]; /* they begin at number_size: its length goes before */
};

struct archive_merge *
archive_merge_new(const struct archive *archive, archive_give *give, void *ctx)
{
    struct archive_merge *merge = mem_zalloc(sizeof *merge);

    merge->give = give;
    merge->ctx = ctx;
    merge->left = archive->toc_size;
    merge->number_size = (size_t)archive->int_size + 1; /* archive_load takes at most 8 + 1 */
    return merge;
}

struct archive_merge *
archive_merge_rows_new(const struct archive *archive, int dump_id, archive_give *give, void *ctx)
{
    struct archive_merge *merge = archive_merge_new(archive, give, ctx);

    merge->rows_only = true;
    merge->dump_id = dump_id;
    return merge;
}

void
archive_merge_free(struct archive_merge *merge)
{
    free(merge);
}

/* Give the rows that are held, as one block. */
static int
merge_flush(struct archive_merge *merge)
{
    size_t len = merge->len;

    if (len == 0)
        return 0;
    merge->len = 0;
    if (merge->rows_only)
        return merge->give(merge->ctx, merge->block + merge->number_size, len);
    for (size_t i = 0; i < merge->number_size; i++)
        merge->block[i] = i > 0 && i <= sizeof(uint32_t) ? (unsigned char)(len >> (8 * (i - 1))) : 0;
    return merge->give(merge->ctx, merge->block, merge->number_size + len);
}

/* What is neither rows nor where they are cut. */
static int
merge_give_other(struct archive_merge *merge, const void *data, size_t len)
{
    return merge->rows_only ? 0 : merge->give(merge->ctx, data, len);
}

static int
merge_give_number(struct archive_merge *merge)
{
    int rc = merge_flush(merge);

    return rc < 0 ? rc : merge_give_other(merge, merge->number, merge->number_len);
}

static uint64_t
merge_number_value(const struct archive_merge *merge)
{
    uint64_t value = 0;

    for (size_t i = merge->number_size - 1; i > 0; i--)
        value = value << 8 | merge->number[i];
    return value;
}

/* A dump id is there. */
static int
merge_id(struct archive_merge *merge)
{
    uint64_t id = merge_number_value(merge);

    merge->state = MERGE_LENGTH;
    if (merge->rows_only && (merge->number[0] != 0 || id != (uint64_t)merge->dump_id || merge->seen))
        return error_set(ERROR_CORRUPT, "archive: rows of entry %" PRIu64 " where only those of %d should be", id, merge->dump_id);
    merge->seen = true;
    return merge_give_number(merge);
}

/* A length is there: what follows it? */
static int
merge_length(struct archive_merge *merge)
{
    uint64_t length = merge_number_value(merge);

    merge->left = length;
    if (merge->number[0] != 0 || length > INT32_MAX) {
        if (merge->rows_only)
            return error_set(ERROR_CORRUPT, "archive: data of impossible length %" PRIu64, length);
        merge->state = MERGE_AS_IS;
        return merge_give_number(merge);
    }
    if (length == 0 || length > MERGE_BLOCK_BYTES) {
        merge->state = length == 0 ? MERGE_TYPE : MERGE_THROUGH;
        return merge_give_number(merge);
    }
    merge->state = MERGE_BYTES;
    return merge->len + length > MERGE_BLOCK_BYTES ? merge_flush(merge) : 0;
}

/* Bytes of a dump id or a length; how many were taken. */
static int
merge_number(struct archive_merge *merge, const unsigned char *data, size_t len, size_t *ret_taken)
{
    size_t want = merge->number_size - merge->number_len;
    int rc;

    *ret_taken = len < want ? len : want;
    memcpy(merge->number + merge->number_len, data, *ret_taken);
    merge->number_len += *ret_taken;
    if (*ret_taken < want)
        return 0;
    rc = merge->state == MERGE_ID ? merge_id(merge) : merge_length(merge);
    merge->number_len = 0;
    return rc;
}

/* Bytes of a row, or of what is given as it is. */
static int
merge_bytes(struct archive_merge *merge, const unsigned char *data, size_t len, size_t *ret_taken)
{
    size_t take = merge->left < len ? (size_t)merge->left : len;
    int rc = 0;

    if (merge->state == MERGE_BYTES) {
        memcpy(merge->block + merge->number_size + merge->len, data, take);
        merge->len += take;
    } else
        rc = merge->state == MERGE_TOC ? merge_give_other(merge, data, take) : merge->give(merge->ctx, data, take);
    merge->left -= take;
    if (merge->left == 0)
        merge->state = merge->state == MERGE_TOC ? MERGE_TYPE : MERGE_LENGTH;
    *ret_taken = take;
    return rc;
}

static int
merge_step(struct archive_merge *merge, const unsigned char *data, size_t len, size_t *ret_taken)
{
    switch (merge->state) {
    case MERGE_TOC:
    case MERGE_BYTES:
    case MERGE_THROUGH:
        return merge_bytes(merge, data, len, ret_taken);
    case MERGE_ID:
    case MERGE_LENGTH:
        return merge_number(merge, data, len, ret_taken);
    case MERGE_TYPE:
        if (merge->rows_only && *data != MERGE_TYPE_DATA)
            return error_set(ERROR_CORRUPT, "archive: a block of type %d where rows should be", *data);
        merge->state = *data == MERGE_TYPE_DATA ? MERGE_ID : MERGE_AS_IS;
        *ret_taken = 1;
        return merge_give_other(merge, data, 1);
    case MERGE_AS_IS:
        break;
    }
    *ret_taken = len;
    return merge->give(merge->ctx, data, len);
}

int
archive_merge_add(struct archive_merge *merge, const void *data, size_t len)
{
    const unsigned char *p = data;

    while (len > 0) {
        size_t taken = 0;
        int rc = merge_step(merge, p, len, &taken);

        if (rc < 0)
            return rc;
        p += taken;
        len -= taken;
    }
    return 0;
}

int
archive_merge_end(struct archive_merge *merge)
{
    if (merge->rows_only && (merge->state != MERGE_TYPE || !merge->seen))
        return error_set(ERROR_CORRUPT, "archive: it ends before the rows of entry %d do", merge->dump_id);
    return merge_give_number(merge);
}
