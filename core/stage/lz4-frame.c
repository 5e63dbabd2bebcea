/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/lz4-frame.h"

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    HISTORY_BYTES = 64 * 1024, /* how far back a match may reach */
    HEAD_MAX_BYTES = 1 + 1 + 8 + 1,
    MATCH_MIN_BYTES = 4,
};
#define FRAME_MAGIC UINT32_C(0x184D2204)
#define BLOCK_PLAIN UINT32_C(0x80000000) /* the block is not compressed */

/* In the flags of the frame. */
enum {
    FLAG_VERSION_MASK = 0xc0,
    FLAG_VERSION_1 = 0x40,
    FLAG_INDEPENDENT = 0x20,
    FLAG_BLOCK_SUMS = 0x10,
    FLAG_CONTENT_SIZE = 0x08,
    FLAG_CONTENT_SUM = 0x04,
    FLAG_RESERVED = 0x02,
    FLAG_DICTIONARY = 0x01,
};

struct lz4_frame {
    int (*read)(void *ctx, void *data, size_t size, size_t *ret_len);
    void *ctx;
    bool begun, ended;
    unsigned flags;
    size_t block_bytes;
    unsigned char *stored; /* one block as it comes */
    unsigned char *plain;  /* history, then one block */
    size_t history;        /* bytes of it there are */
    size_t pos, len;       /* what is left of the block, in `plain` */
    XXH32_state_t *sum;
};

struct lz4_frame *
lz4_frame_new(int (*read)(void *ctx, void *data, size_t size, size_t *ret_len), void *ctx)
{
    struct lz4_frame *frame = mem_zalloc(sizeof *frame);

    frame->read = read;
    frame->ctx = ctx;
    return frame;
}

void
lz4_frame_free(struct lz4_frame *frame)
{
    if (frame == NULL)
        return;
    (void)XXH32_freeState(frame->sum);
    free(frame->stored);
    free(frame->plain);
    free(frame);
}

static int
lz4_corrupt(const char *why)
{
    return error_set(ERROR_CORRUPT, "the LZ4 frame that the server sent is spoilt: %s", why);
}

/* ---- a block ---- */

/* The rest of a length whose four bits were all set. */
static bool
block_length(const unsigned char **p, const unsigned char *end, size_t *length)
{
    unsigned char byte = 255;

    while (byte == 255) {
        if (*p == end || *length > SIZE_MAX / 2)
            return false;
        byte = *(*p)++;
        *length += byte;
    }
    return true;
}

int
lz4_block_expand(const unsigned char *data, size_t len, unsigned char *out, size_t at, size_t history, size_t cap,
                 size_t *ret_len)
{
    const unsigned char *p = data, *end = data + len;
    size_t begin = at;

    while (p < end) {
        unsigned token = *p++;
        size_t literals = token >> 4, match = token & 15, offset;

        if (literals == 15 && !block_length(&p, end, &literals))
            return lz4_corrupt("a length goes on behind its block");
        if (literals > (size_t)(end - p) || literals > cap - at)
            return lz4_corrupt("literals do not fit");
        memcpy(out + at, p, literals);
        at += literals;
        p += literals;
        if (p == end) { /* the last sequence has no match */
            *ret_len = at - begin;
            return 0;
        }
        if (end - p < 2)
            return lz4_corrupt("an offset is cut");
        offset = (size_t)p[0] | (size_t)p[1] << 8;
        p += 2;
        if (match == 15 && !block_length(&p, end, &match))
            return lz4_corrupt("a length goes on behind its block");
        match += MATCH_MIN_BYTES;
        if (offset == 0 || offset > at - begin + history || match > cap - at)
            return lz4_corrupt("a match reaches out of what there is");
        if (offset >= match)
            memcpy(out + at, out + at - offset, match);
        else
            for (size_t i = 0; i < match; i++) /* it repeats what it is writing */
                out[at + i] = out[at + i - offset];
        at += match;
    }
    return lz4_corrupt("a block ends with a match");
}

/* ---- the frame ---- */

static int
frame_need(struct lz4_frame *frame, void *data, size_t size)
{
    size_t got = 0;
    int rc = frame->read(frame->ctx, data, size, &got);

    return rc < 0 ? rc : got == size ? 0 : lz4_corrupt("it is cut");
}

static int
frame_number(struct lz4_frame *frame, uint32_t *ret_number)
{
    unsigned char bytes[4];
    int rc = frame_need(frame, bytes, sizeof bytes);

    if (rc == 0)
        *ret_number =
            (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return rc;
}

static int
frame_begin(struct lz4_frame *frame)
{
    unsigned char head[HEAD_MAX_BYTES];
    size_t len = 2;
    uint32_t magic = 0;
    unsigned size;
    int rc = frame_number(frame, &magic);

    if (rc == 0 && magic != FRAME_MAGIC)
        rc = lz4_corrupt("it does not begin like one");
    if (rc == 0)
        rc = frame_need(frame, head, len);
    if (rc < 0)
        return rc;
    frame->flags = head[0];
    size = head[1] >> 4 & 7;
    if ((frame->flags & FLAG_VERSION_MASK) != FLAG_VERSION_1 ||
        (frame->flags & (FLAG_RESERVED | FLAG_DICTIONARY)) != 0 || (head[1] & 0x8f) != 0 || size < 4)
        return lz4_corrupt("its header says what is not known");
    len += (frame->flags & FLAG_CONTENT_SIZE) != 0 ? 8 : 0;
    rc = frame_need(frame, head + 2, len - 2 + 1);
    if (rc == 0 && head[len] != (XXH32(head, len, 0) >> 8 & 0xff))
        rc = lz4_corrupt("the check byte of its header is wrong");
    if (rc < 0)
        return rc;
    frame->block_bytes = (size_t)1 << (8 + 2 * size); /* 4: 64 KiB … 7: 4 MiB */
    frame->stored = mem_alloc(frame->block_bytes);
    frame->plain = mem_alloc(HISTORY_BYTES + frame->block_bytes);
    frame->pos = frame->len = HISTORY_BYTES;
    frame->sum = XXH32_createState();
    if (frame->sum == NULL)
        return error_set(PGCASK_FAILED, "out of memory");
    (void)XXH32_reset(frame->sum, 0);
    frame->begun = true;
    return 0;
}

static int
frame_end(struct lz4_frame *frame)
{
    uint32_t sum = 0;
    unsigned char more;
    size_t got = 0;
    int rc = (frame->flags & FLAG_CONTENT_SUM) != 0 ? frame_number(frame, &sum) : 0;

    if (rc == 0 && (frame->flags & FLAG_CONTENT_SUM) != 0 && sum != XXH32_digest(frame->sum))
        rc = lz4_corrupt("the checksum of its content is wrong");
    if (rc == 0)
        rc = frame->read(frame->ctx, &more, 1, &got);
    if (rc == 0 && got > 0)
        rc = lz4_corrupt("something follows it");
    frame->ended = rc == 0;
    return rc;
}

/* What matches of the next block may refer to goes to the front. */
static void
frame_keep_history(struct lz4_frame *frame)
{
    size_t block = frame->len - HISTORY_BYTES, kept = frame->history + block;

    kept = kept < HISTORY_BYTES ? kept : HISTORY_BYTES;
    memmove(frame->plain + HISTORY_BYTES - kept, frame->plain + frame->len - kept, kept);
    frame->history = (frame->flags & FLAG_INDEPENDENT) != 0 ? 0 : kept;
}

static int
frame_block(struct lz4_frame *frame)
{
    uint32_t size = 0, sum = 0;
    size_t len = 0;
    bool plain;
    int rc = frame_number(frame, &size);

    if (rc < 0 || size == 0)
        return rc < 0 ? rc : frame_end(frame);
    plain = (size & BLOCK_PLAIN) != 0;
    size &= ~BLOCK_PLAIN;
    if (size > frame->block_bytes)
        return lz4_corrupt("a block is larger than its header allows");
    rc = frame_need(frame, frame->stored, size);
    if (rc == 0 && (frame->flags & FLAG_BLOCK_SUMS) != 0)
        rc = frame_number(frame, &sum);
    if (rc == 0 && (frame->flags & FLAG_BLOCK_SUMS) != 0 && sum != XXH32(frame->stored, size, 0))
        rc = lz4_corrupt("the checksum of a block is wrong");
    if (rc < 0)
        return rc;
    frame_keep_history(frame);
    if (plain) {
        memcpy(frame->plain + HISTORY_BYTES, frame->stored, size);
        len = size;
    } else
        rc = lz4_block_expand(frame->stored, size, frame->plain, HISTORY_BYTES, frame->history,
                              HISTORY_BYTES + frame->block_bytes, &len);
    if (rc < 0)
        return rc;
    frame->pos = HISTORY_BYTES;
    frame->len = HISTORY_BYTES + len;
    if ((frame->flags & FLAG_CONTENT_SUM) != 0)
        (void)XXH32_update(frame->sum, frame->plain + HISTORY_BYTES, len);
    return 0;
}

int
lz4_frame_read(void *ctx, void *data, size_t size, size_t *ret_len)
{
    struct lz4_frame *frame = ctx;
    size_t got = 0;
    int rc = frame->begun ? 0 : frame_begin(frame);

    while (rc == 0 && got < size && !frame->ended) {
        size_t len = frame->len - frame->pos;

        if (len == 0) {
            rc = frame_block(frame);
            continue;
        }
        len = len < size - got ? len : size - got;
        memcpy((char *)data + got, frame->plain + frame->pos, len);
        frame->pos += len;
        got += len;
    }
    if (rc == 0)
        *ret_len = got;
    return rc;
}
