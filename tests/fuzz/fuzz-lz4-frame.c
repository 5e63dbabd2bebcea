/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as an LZ4 frame, read in pieces of two sizes: both give the same bytes
 * or the same refusal. And as one block behind some history.
 */
#include "config.h"

#include "base/buf.h"
#include "base/error.h"
#include "stage/lz4-frame.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PLAIN_LIMIT = 8 * 1024 * 1024, HISTORY = 100, ROOM = 5000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
    const uint8_t *data;
    size_t len, pos;
};

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static int
source_read(void *ctx, void *data, size_t size, size_t *ret_len)
{
    struct source *source = ctx;
    size_t len = source->len - source->pos < size ? source->len - source->pos : size;

    memcpy(data, source->data + source->pos, len);
    source->pos += len;
    *ret_len = len;
    return 0;
}

static int
expand(const uint8_t *data, size_t len, size_t size, struct buf *plain)
{
    struct source source = { data, len, 0 };
    CLEANUP(lz4_frame_free) struct lz4_frame *frame = lz4_frame_new(source_read, &source);
    CLEANUP_FREE char *piece = mem_alloc(size);
    size_t got = size;
    int rc = 0;

    while (rc == 0 && got == size && plain->len + size <= PLAIN_LIMIT) {
        rc = lz4_frame_read(frame, piece, size, &got);
        if (rc == 0)
            must(got <= size && buf_add(plain, piece, got) == 0);
    }
    must(rc == 0 || rc == ERROR_CORRUPT);
    return rc;
}

static void
block(const uint8_t *data, size_t size)
{
    CLEANUP_FREE unsigned char *out = mem_zalloc(HISTORY + ROOM);
    CLEANUP_FREE unsigned char *exact = mem_alloc(size + 1);
    size_t len = 0;

    memcpy(exact, data, size);
    if (lz4_block_expand(exact, size, out, HISTORY, HISTORY, HISTORY + ROOM, &len) == 0)
        must(len <= ROOM);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_BUF struct buf small = BUF_INIT(PLAIN_LIMIT), large = BUF_INIT(PLAIN_LIMIT);
    int rc = expand(data, size, 4099, &small), rc_large = expand(data, size, 1024 * 1024, &large);

    if (rc == 0 && rc_large == 0 && small.len < PLAIN_LIMIT - 1024 * 1024)
        must(small.len == large.len && (small.len == 0 || memcmp(small.data, large.data, small.len) == 0));
    block(data, size);
    return 0;
}
