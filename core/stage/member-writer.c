/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/member-writer.h"

#include "base/buf.h"
#include "base/error.h"
#include "stage/age-file.h"
#include "base/digest.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRAME_FIRST_BYTES = FRAME_PLAIN_BYTES / 64,
    WRITER_READ_BYTES = 512 * 1024, /* to be digested while the core still has it in its cache */
};

struct writer {
    member_read *read;
    void *read_ctx;
    bool source_ended;
    uint64_t plain_size;
    struct digest *plain; /* touched by fill only */
    struct age_sealer *sealer; /* from here on by drain only, and after the conveyor */
    struct digest *stored;
    struct outlet_object *object;
    struct frame_table table;
};

/* The first frames are small and double, so that the schema in front of a dump can be read without its data. */
static size_t
writer_frame_size(uint64_t number)
{
    return number < 6 ? (size_t)FRAME_FIRST_BYTES << number : FRAME_PLAIN_BYTES;
}

static int
writer_fill(void *ctx, struct piece *piece)
{
    struct writer *writer = ctx;
    size_t size = writer_frame_size(piece->number);

    while (!writer->source_ended && piece->in_len < size) {
        unsigned char *to = (unsigned char *)piece->in + piece->in_len;
        size_t want = size - piece->in_len < WRITER_READ_BYTES ? size - piece->in_len : WRITER_READ_BYTES, got;
        int rc = writer->read(writer->read_ctx, to, want, &got);

        if (rc < 0)
            return rc;
        writer->source_ended = got < want;
        digest_add(writer->plain, to, got);
        piece->in_len += got;
    }
    writer->plain_size += piece->in_len;
    return piece->in_len > 0 || piece->number == 0; /* an empty member is one empty frame: every zstd can read that */
}

static int
writer_work(void *ctx, struct frame_tools *tools, struct piece *piece)
{
    (void)ctx;
    return frame_compress(tools, piece->in, piece->in_len, piece->out, frame_bound(), &piece->out_len);
}

static int
writer_emit(void *ctx, const void *data, size_t len)
{
    struct writer *writer = ctx;

    digest_add(writer->stored, data, len);
    return outlet_write(writer->object, data, len);
}

static int
writer_send(struct writer *writer, const void *data, size_t len)
{
    return writer->sealer ? age_seal(writer->sealer, data, len, writer_emit, writer) : writer_emit(writer, data, len);
}

static int
writer_drain(void *ctx, struct piece *piece)
{
    struct writer *writer = ctx;

    frame_table_add(&writer->table, piece->out_len, piece->in_len);
    return writer_send(writer, piece->out, piece->out_len);
}

static int
writer_end(struct writer *writer)
{
    CLEANUP_BUF struct buf table = BUF_INIT(UINT32_MAX);
    int rc = frame_table_encode(&writer->table, &table);

    if (rc == 0)
        rc = writer_send(writer, table.data, table.len);
    if (rc == 0 && writer->sealer != NULL)
        rc = age_seal_end(writer->sealer, writer_emit, writer);
    return rc;
}

static int
writer_run(const struct member_writer_spec *spec, struct writer *writer, struct member_facts *ret_facts)
{
    const struct conveyor_ops ops = { FRAME_PLAIN_BYTES, frame_bound(), writer_fill, writer_work, writer_drain };
    uint64_t stored_size = 0;
    int rc = conveyor_run(spec->crew, &ops, writer, spec->pieces);

    if (rc == 0)
        rc = writer_end(writer);
    if (rc < 0) {
        outlet_abort(STEAL(writer->object));
        return rc;
    }
    rc = outlet_commit(STEAL(writer->object), &stored_size);
    if (rc < 0)
        return rc;
    *ret_facts = (struct member_facts){ .plain_size = writer->plain_size, .stored_size = stored_size };
    ret_facts->plain_digest = digest_end(writer->plain);
    ret_facts->stored_digest = digest_end(writer->stored);
    if (writer->sealer != NULL) {
        size_t len;
        const void *header = age_sealer_header(writer->sealer, &len);

        ret_facts->header_size = len;
        ret_facts->header_digest = digest_of(DIGEST_SHA256, header, len);
    }
    return 0;
}

int
member_write(const struct member_writer_spec *spec, member_read *read, void *ctx, struct member_facts *ret_facts)
{
    struct writer writer = { .read = read, .read_ctx = ctx };
    int rc = 0;

    if (spec->recipients != NULL)
        rc = age_sealer_new(spec->recipients, &writer.sealer);
    if (rc == 0)
        rc = outlet_begin(spec->outlet, spec->key, spec->size_hint, &writer.object);
    if (rc == 0) {
        /* who cannot read the file key cannot make another payload for that header; without one, SHA-256 it is */
        writer.plain = digest_new(DIGEST_XXH3);
        writer.stored = digest_new(spec->recipients ? DIGEST_XXH3 : DIGEST_SHA256);
        rc = writer_run(spec, &writer, ret_facts);
    }
    digest_free(writer.plain);
    digest_free(writer.stored);
    frame_table_free(&writer.table);
    age_sealer_free(writer.sealer);
    return rc;
}

void
member_facts_free(struct member_facts *facts)
{
    free(facts->plain_digest);
    free(facts->stored_digest);
    free(facts->header_digest);
    *facts = (struct member_facts){ 0 };
}
