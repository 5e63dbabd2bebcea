/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/wire-expand.h"

#include "base/error.h"
#include "stage/lz4-frame.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum {
    WIRE_PIECE_BYTES = 128 * 1024,
    WIRE_WINDOW_LOG = 23, /* 8 MiB; the level that is asked for needs 512 KiB */
};

struct wire_expand {
    member_read *read;
    void *ctx;
    struct lz4_frame *lz4; /* NULL: zstd */
    ZSTD_DCtx *zstd;
    char *piece; /* compressed bytes */
    ZSTD_inBuffer in;
    bool in_ended;
    bool whole; /* at the end of a frame */
};

struct wire_expand *
wire_expand_new(const char *kind, member_read *read, void *ctx)
{
    struct wire_expand *expand = mem_zalloc(sizeof *expand);

    expand->read = read;
    expand->ctx = ctx;
    if (strcmp(kind, "lz4") == 0)
        expand->lz4 = lz4_frame_new(read, ctx);
    else
        expand->piece = mem_alloc(WIRE_PIECE_BYTES);
    return expand;
}

void
wire_expand_free(struct wire_expand *expand)
{
    if (expand == NULL)
        return;
    lz4_frame_free(expand->lz4);
    (void)ZSTD_freeDCtx(expand->zstd);
    free(expand->piece);
    free(expand);
}

static int
expand_begin(struct wire_expand *expand)
{
    expand->zstd = ZSTD_createDCtx();
    if (expand->zstd == NULL)
        return error_set(PGCASK_FAILED, "out of memory");
    (void)ZSTD_DCtx_setParameter(expand->zstd, ZSTD_d_windowLogMax, WIRE_WINDOW_LOG);
    return 0;
}

static int
expand_fill(struct wire_expand *expand)
{
    size_t len = 0;
    int rc = expand->read(expand->ctx, expand->piece, WIRE_PIECE_BYTES, &len);

    if (rc < 0)
        return rc;
    expand->in = (ZSTD_inBuffer){ expand->piece, len, 0 };
    expand->in_ended = len < WIRE_PIECE_BYTES;
    return 0;
}

int
wire_expand_read(void *ctx, void *data, size_t size, size_t *ret_len)
{
    struct wire_expand *expand = ctx;
    ZSTD_outBuffer out = { data, size, 0 };
    int rc = expand->lz4 == NULL && expand->zstd == NULL ? expand_begin(expand) : 0;

    if (expand->lz4 != NULL)
        return lz4_frame_read(expand->lz4, data, size, ret_len);
    while (rc == 0 && out.pos < out.size) {
        size_t before = out.pos, left;

        if (expand->in.pos == expand->in.size && !expand->in_ended) {
            rc = expand_fill(expand);
            continue;
        }
        if (expand->in.pos == expand->in.size && expand->whole)
            break;
        left = ZSTD_decompressStream(expand->zstd, &out, &expand->in);
        if (ZSTD_isError(left))
            rc =
                error_set(ERROR_CORRUPT, "the zstd stream that the server sent is spoilt: %s", ZSTD_getErrorName(left));
        else if (left != 0 && expand->in_ended && expand->in.pos == expand->in.size && out.pos == before)
            rc = error_set(ERROR_CORRUPT, "the zstd stream that the server sent is cut");
        expand->whole = left == 0;
    }
    if (rc == 0)
        *ret_len = out.pos;
    return rc;
}
