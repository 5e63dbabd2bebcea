/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/incremental.h"

#include "base/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD_WORDS = 3, /* magic, number of blocks, length to cut to */
    WORD_BYTES = 4,
    BLOCK_MIN_BYTES = 1024, /* configure --with-blocksize: 1 to 32 KiB */
    BLOCK_MAX_BYTES = 32 * 1024,
};
static const uint32_t magic = 0xD3AE1F0D;
static const uint32_t blocks_max = 1 << 24; /* of one file: 128 GiB of the usual size */

struct incremental {
    const struct incremental_ops *ops;
    void *ctx;
    uint64_t size, used;
    uint32_t block_bytes;
    unsigned char head[HEAD_WORDS * WORD_BYTES];
    uint32_t count, cut;    /* known behind the head */
    unsigned char *numbers; /* count words */
    uint64_t data_at;       /* where the blocks begin */
};

static uint32_t
word_at(const unsigned char *bytes, size_t i)
{
    uint32_t word;

    memcpy(&word, bytes + i * WORD_BYTES, sizeof word);
    return word;
}

static int
incremental_corrupt(const char *what, uint64_t value)
{
    return error_set(ERROR_CORRUPT, "an incremental file with %s %llu", what, (unsigned long long)value);
}

/* Where the blocks begin: behind numbers that fill whole blocks, unless there are none. */
static uint64_t
data_place(uint32_t count, uint32_t block_bytes)
{
    uint64_t len = (HEAD_WORDS + (uint64_t)count) * WORD_BYTES;

    return count == 0 ? len : (len + block_bytes - 1) / block_bytes * block_bytes;
}

static int
incremental_head(struct incremental *incremental)
{
    if (word_at(incremental->head, 0) != magic)
        return incremental_corrupt("the magic number", word_at(incremental->head, 0));
    incremental->count = word_at(incremental->head, 1);
    incremental->cut = word_at(incremental->head, 2);
    incremental->data_at = data_place(incremental->count, incremental->block_bytes);
    if (incremental->count > blocks_max || incremental->cut > blocks_max)
        return incremental_corrupt("an impossible number of blocks,", incremental->count);
    if (incremental->data_at + (uint64_t)incremental->count * incremental->block_bytes != incremental->size)
        return incremental_corrupt("a size that does not fit its number of blocks,", incremental->count);
    incremental->numbers = mem_alloc((size_t)incremental->count * WORD_BYTES + 1);
    return incremental->ops->cut(incremental->ctx, (uint64_t)incremental->cut * incremental->block_bytes);
}

static int
incremental_check_numbers(const struct incremental *incremental)
{
    for (uint32_t i = 0; i < incremental->count; i++)
        if (word_at(incremental->numbers, i) >= blocks_max)
            return incremental_corrupt("the block number", word_at(incremental->numbers, i));
    return 0;
}

/* Bytes of the header, of the numbers, and of the zeros behind them: how many are used up. */
static int
take_front(struct incremental *incremental, const unsigned char *data, size_t len, size_t *ret_part)
{
    uint64_t at = incremental->used, numbers_end = (HEAD_WORDS + (uint64_t)incremental->count) * WORD_BYTES;
    bool head = at < sizeof incremental->head;
    uint64_t until = head ? sizeof incremental->head : at < numbers_end ? numbers_end : incremental->data_at;
    size_t part = until - at < len ? (size_t)(until - at) : len;

    if (head)
        memcpy(incremental->head + at, data, part);
    else if (at < numbers_end)
        memcpy(incremental->numbers + (at - sizeof incremental->head), data, part);
    incremental->used += part;
    *ret_part = part;
    if (incremental->used != until)
        return 0;
    if (head)
        return incremental_head(incremental);
    return until == numbers_end ? incremental_check_numbers(incremental) : 0;
}

static int
take_blocks(struct incremental *incremental, const unsigned char *data, size_t len, size_t *ret_part)
{
    uint64_t at = incremental->used - incremental->data_at;
    uint32_t i = (uint32_t)(at / incremental->block_bytes), within = (uint32_t)(at % incremental->block_bytes);
    size_t part = incremental->block_bytes - within;
    uint64_t offset;

    if (i >= incremental->count)
        return incremental_corrupt("bytes behind its blocks, at", incremental->used);
    if (part > len)
        part = len;
    offset = (uint64_t)word_at(incremental->numbers, i) * incremental->block_bytes + within;
    incremental->used += part;
    *ret_part = part;
    return incremental->ops->write(incremental->ctx, offset, data, part);
}

int
incremental_add(struct incremental *incremental, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    size_t part = 0;
    int rc = 0;

    for (; rc == 0 && len > 0; bytes += part, len -= part) {
        if (incremental->numbers == NULL || incremental->used < incremental->data_at)
            rc = take_front(incremental, bytes, len, &part);
        else
            rc = take_blocks(incremental, bytes, len, &part);
    }
    return rc;
}

int
incremental_end(struct incremental *incremental)
{
    uint32_t blocks = incremental->cut;

    if (incremental->numbers == NULL || incremental->used != incremental->size)
        return incremental_corrupt("too few bytes,", incremental->used);
    for (uint32_t i = 0; i < incremental->count; i++)
        if (word_at(incremental->numbers, i) >= blocks)
            blocks = word_at(incremental->numbers, i) + 1;
    return incremental->ops->grow(incremental->ctx, (uint64_t)blocks * incremental->block_bytes);
}

struct incremental *
incremental_new(uint64_t size, uint32_t block_bytes, const struct incremental_ops *ops, void *ctx)
{
    struct incremental *incremental = mem_zalloc(sizeof *incremental);

    incremental->size = size;
    incremental->block_bytes = block_bytes;
    incremental->ops = ops;
    incremental->ctx = ctx;
    return incremental;
}

void
incremental_free(struct incremental *incremental)
{
    if (incremental == NULL)
        return;
    free(incremental->numbers);
    free(incremental);
}

/* It stands behind a number that is there to tell how the server writes floating point: catalog/pg_control.h. */
int
incremental_block_bytes(const void *control, size_t len, uint32_t *ret_block_bytes)
{
    const double mark = 1234567.0; /* FLOATFORMAT_VALUE */
    const unsigned char *found = memmem(control, len, &mark, sizeof mark);
    uint32_t bytes;

    if (found == NULL || (size_t)(found - (const unsigned char *)control) + sizeof mark + sizeof bytes > len)
        return error_set(ERROR_CORRUPT, "pg_control does not tell the size of a block");
    memcpy(&bytes, found + sizeof mark, sizeof bytes);
    if (bytes < BLOCK_MIN_BYTES || bytes > BLOCK_MAX_BYTES || (bytes & (bytes - 1)) != 0)
        return error_set(ERROR_CORRUPT, "pg_control tells of blocks of %u bytes", (unsigned)bytes);
    *ret_block_bytes = bytes;
    return 0;
}
