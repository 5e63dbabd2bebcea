/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/member-reader.h"

#include "base/digest.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

struct reader {
    const struct member_ref *ref;
    struct member_source *source;
    struct digest *plain;
    member_take *take;
    void *take_ctx;
};

enum {
    PIECE_HEAD_BYTES = sizeof(struct member_frame), /* travels to the worker in front of the compressed bytes */
    READER_GIVE_BYTES = 256 * 1024,                 /* what was digested is still in the core's cache when it is taken */
};

static int
reader_fill(void *ctx, struct piece *piece)
{
    struct reader *reader = ctx;
    struct member_frame frame = { 0 };
    int rc = member_source_next(reader->source, piece->in + PIECE_HEAD_BYTES, &frame);

    memcpy(piece->in, &frame, sizeof frame);
    piece->in_len = frame.len;
    return rc;
}

/* What does not decompress is fetched from another copy, as long as there is one. */
static int
expand(struct frame_tools *tools, struct member_source *source, struct member_frame *frame, void *data, void *out)
{
    int rc;

    do
        rc = frame_expand(tools, data, frame->len, out, frame->plain_len);
    while (member_source_again(source, frame, data, &rc));
    return rc;
}

static int
reader_work(void *ctx, struct frame_tools *tools, struct piece *piece)
{
    const struct reader *reader = ctx;
    struct member_frame frame;

    memcpy(&frame, piece->in, sizeof frame);
    piece->out_len = frame.plain_len;
    return expand(tools, reader->source, &frame, piece->in + PIECE_HEAD_BYTES, piece->out);
}

static int
reader_drain(void *ctx, struct piece *piece)
{
    struct reader *reader = ctx;
    int rc = 0;

    member_source_used(reader->source, piece->in + PIECE_HEAD_BYTES, piece->in_len);
    for (size_t at = 0; rc == 0 && at < piece->out_len; at += READER_GIVE_BYTES) {
        size_t len = piece->out_len - at < READER_GIVE_BYTES ? piece->out_len - at : READER_GIVE_BYTES;

        digest_add(reader->plain, piece->out + at, len);
        rc = reader->take(reader->take_ctx, piece->out + at, len);
    }
    return rc;
}

static int
reader_compare(struct reader *reader)
{
    CLEANUP_FREE char *digest = digest_end(reader->plain);
    int rc = digest_compare("the digest of the plain bytes", digest, reader->ref->plain_digest);

    return rc < 0 ? member_source_blame(reader->source, rc) : 0;
}

int
member_read_all(struct crew *crew, unsigned pieces, struct copies *copies, const struct member_ref *ref,
                const struct age_identities *identities, member_take *take, void *ctx)
{
    const struct conveyor_ops ops = { frame_bound() + PIECE_HEAD_BYTES, FRAME_PLAIN_BYTES, reader_fill, reader_work,
                                      reader_drain };
    CLEANUP(member_source_close) struct member_source *source = NULL;
    CLEANUP(digest_free) struct digest *plain = digest_new(DIGEST_XXH3);
    struct reader reader = { .ref = ref, .plain = plain, .take = take, .take_ctx = ctx };
    int rc = member_source_open(copies, ref, identities, true, &source);

    if (rc < 0)
        return rc;
    reader.source = source;
    rc = conveyor_run(crew, &ops, &reader, pieces);
    if (rc == 0)
        rc = member_source_end(source);
    return rc < 0 ? rc : reader_compare(&reader);
}

struct member_prefix {
    struct member_source *source;
    struct frame_tools *tools;
    unsigned char *stored, *plain;
    size_t pos, len; /* in plain */
};

int
member_prefix_open(struct copies *copies, const struct member_ref *ref, const struct age_identities *identities,
                   bool whole, struct member_prefix **ret_prefix)
{
    struct member_source *source;
    struct member_prefix *prefix;
    int rc = member_source_open(copies, ref, identities, whole, &source);

    if (rc < 0)
        return rc;
    prefix = mem_zalloc(sizeof *prefix);
    prefix->source = source;
    prefix->tools = frame_tools_new(1);
    prefix->stored = mem_pages_alloc(frame_bound());
    prefix->plain = mem_pages_alloc(FRAME_PLAIN_BYTES);
    *ret_prefix = prefix;
    return 0;
}

static int
prefix_next(struct member_prefix *prefix)
{
    struct member_frame frame;
    int rc = member_source_next(prefix->source, prefix->stored, &frame);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return member_source_blame(prefix->source, error_set(ERROR_CORRUPT, "the member ends too early"));
    rc = expand(prefix->tools, prefix->source, &frame, prefix->stored, prefix->plain);
    prefix->pos = 0;
    prefix->len = rc < 0 ? 0 : frame.plain_len;
    return rc;
}

int
member_prefix_read(void *ctx, void *data, size_t len)
{
    struct member_prefix *prefix = ctx;
    unsigned char *out = data;

    while (len > 0) {
        size_t take = prefix->len - prefix->pos;

        if (take == 0) {
            int rc = prefix_next(prefix);

            if (rc < 0)
                return rc;
            continue;
        }
        if (take > len)
            take = len;
        memcpy(out, prefix->plain + prefix->pos, take);
        prefix->pos += take;
        out += take;
        len -= take;
    }
    return 0;
}

uint64_t
member_prefix_fetched(const struct member_prefix *prefix)
{
    return member_source_fetched(prefix->source);
}

void
member_prefix_close(struct member_prefix *prefix)
{
    if (prefix == NULL)
        return;
    member_source_close(prefix->source);
    frame_tools_free(prefix->tools);
    mem_pages_free(prefix->stored, frame_bound());
    mem_pages_free(prefix->plain, FRAME_PLAIN_BYTES);
    free(prefix);
}
