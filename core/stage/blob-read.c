/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading a blob: its bytes in order, as the store gives them; the table at its
 * end is for others.
 */
#include "config.h"

#include "stage/blob.h"

#include "base/cancel.h"
#include "base/digest.h"
#include "base/error.h"
#include "stage/blob-tools.h"
#include "stage/fetch.h"
#include "stage/member-payload.h"
#include "stage/member-window.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD_BYTES = 4096,            /* our own headers have some hundred */
    PULL_BYTES = 128 * 1024,
    OUT_BYTES = 1024 * 1024,
    WINDOW_LOG_MAX = 22,          /* a frame has at most 4 MiB */
};

struct blob_reader {
    const struct blob_ref *ref;
    struct blob_tools *tools;
    struct payload payload;
    struct window *window;
    struct digest *digest;
    blob_take *take;
    void *take_ctx;
    uint64_t size; /* plain bytes up to now */
    size_t hint;   /* what zstd wants next; 0: at the end of a frame */
};

static int
blob_blame(const struct blob_reader *reader, int code)
{
    struct attempt attempt = fetch_attempt(reader->payload.fetch);

    return fetch_blame(reader->payload.fetch, &attempt, code);
}

/* ---- the age header ---- */

/* The header and the nonce behind it into `head`, which has room for all that a header may be. */
static int
blob_head(struct blob_reader *reader, unsigned char *head, size_t *ret_len)
{
    struct attempt attempt = fetch_attempt(reader->payload.fetch);
    size_t most = AGE_HEADER_LIMIT_BYTES + AGE_NONCE_BYTES, have = HEAD_BYTES, header;
    uint64_t stored = reader->ref->stored_size;
    int rc;

    for (;;) {
        if (have > stored)
            have = (size_t)stored;
        rc = fetch_get(reader->payload.fetch, &attempt, 0, head, have);
        if (rc < 0)
            return rc;
        rc = age_header_length(head, have, &header);
        if (rc == 0 && header + AGE_NONCE_BYTES > have)
            rc = PGCASK_RETRY;
        if (rc != PGCASK_RETRY || have == most || have == stored)
            break;
        have = most;
    }
    if (rc == PGCASK_RETRY)
        rc = error_set(ERROR_CORRUPT, "its age header has no end");
    if (rc < 0)
        return blob_blame(reader, rc);
    *ret_len = header + AGE_NONCE_BYTES;
    return 0;
}

static int
blob_open_sealed(struct blob_reader *reader, const struct age_identities *identities)
{
    struct payload *payload = &reader->payload;
    CLEANUP_FREE unsigned char *head = NULL;
    size_t len = 0;
    int rc;

    if (identities == NULL) {
        (void)error_set(ERROR_USAGE, "it is encrypted, and there is no identity");
        (void)error_hint(ERROR_USAGE, "set identity_file (or passphrase) in [pgcask]");
        return blob_blame(reader, ERROR_USAGE);
    }
    head = mem_alloc(AGE_HEADER_LIMIT_BYTES + AGE_NONCE_BYTES);
    rc = blob_head(reader, head, &len);
    if (rc < 0)
        return rc;
    rc = age_opener_new(head, len, identities, &payload->opener);
    payload->start = len;
    payload->size = reader->ref->stored_size - len;
    if (rc == 0)
        rc = age_payload_layout(payload->size, &payload->stream, &payload->chunks);
    return rc < 0 ? blob_blame(reader, rc) : 0;
}

static int
blob_open(struct blob_reader *reader, const struct age_identities *identities)
{
    struct payload *payload = &reader->payload;
    struct attempt attempt = fetch_attempt(payload->fetch);

    fetch_sized(payload->fetch, &attempt);
    if (reader->ref->sealed)
        return blob_open_sealed(reader, identities);
    payload->size = payload->stream = reader->ref->stored_size;
    payload->chunks = (payload->size + AGE_CHUNK_BYTES - 1) / AGE_CHUNK_BYTES;
    return 0;
}

/* ---- its bytes ---- */

static int
blob_expander(struct blob_tools *tools)
{
    size_t rc;

    if (tools->expander == NULL)
        tools->expander = ZSTD_createDCtx();
    if (tools->expander == NULL)
        return error_set(PGCASK_FAILED, "zstd could not make a decompressor: out of memory");
    (void)ZSTD_DCtx_reset(tools->expander, ZSTD_reset_session_only); /* always possible */
    rc = ZSTD_DCtx_setParameter(tools->expander, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    if (ZSTD_isError(rc))
        return error_set(PGCASK_FAILED, "zstd does not take its parameters: %s", ZSTD_getErrorName(rc));
    return 0;
}

static int
blob_out(struct blob_reader *reader, size_t len)
{
    if (len > reader->ref->limit - reader->size)
        return blob_blame(reader, error_set(ERROR_CORRUPT, "it holds more than %" PRIu64 " bytes", reader->ref->limit));
    reader->size += len;
    digest_add(reader->digest, reader->tools->plain, len);
    return len > 0 ? reader->take(reader->take_ctx, reader->tools->plain, len) : 0;
}

static int
blob_expand(struct blob_reader *reader, size_t len)
{
    ZSTD_inBuffer in = { reader->tools->packed, len, 0 };

    for (bool more = true; more;) {
        ZSTD_outBuffer out = { reader->tools->plain, OUT_BYTES, 0 };
        size_t hint = ZSTD_decompressStream(reader->tools->expander, &out, &in);
        int rc = 0;

        if (ZSTD_isError(hint))
            rc = blob_blame(reader, error_set(ERROR_CORRUPT, "it cannot be read: %s", ZSTD_getErrorName(hint)));
        reader->hint = hint;
        if (rc == 0)
            rc = blob_out(reader, out.pos);
        if (rc < 0)
            return rc;
        more = in.pos < in.size || out.pos == out.size;
    }
    return 0;
}

static int
blob_stream(struct blob_reader *reader)
{
    int rc = blob_expander(reader->tools);

    for (uint64_t left = reader->payload.stream; rc == 0 && left > 0;) {
        size_t len = left < PULL_BYTES ? (size_t)left : PULL_BYTES;

        rc = window_pull(reader->window, reader->tools->packed, len);
        if (rc == 0)
            rc = blob_expand(reader, len);
        left -= len;
    }
    if (rc == 0 && reader->hint != 0)
        rc = blob_blame(reader, error_set(ERROR_CORRUPT, "its last frame has no end"));
    return rc;
}

static int
blob_compare(struct blob_reader *reader)
{
    CLEANUP_FREE char *seen = digest_end(reader->digest);
    const char *hex = strchr(seen, ':') + 1;

    if (strcmp(hex, reader->ref->digest) == 0)
        return 0;
    return blob_blame(reader, error_set(ERROR_CORRUPT, "the digest of its plain bytes is %s, its name says %s", hex,
                                        reader->ref->digest));
}

int
blob_read(struct blob_tools *tools, struct storage *storage, const struct blob_ref *ref,
          const struct age_identities *identities, blob_take *take, void *ctx, uint64_t *ret_size)
{
    CLEANUP(copies_free) struct copies *copies = copies_new(&storage, 1);
    CLEANUP(fetch_free) struct fetch *fetch = fetch_new(copies, ref->key, ref->stored_size);
    CLEANUP(digest_free) struct digest *digest = digest_new(DIGEST_XXH3);
    struct blob_reader reader = { .ref = ref, .tools = tools, .digest = digest, .take = take, .take_ctx = ctx };
    int rc;

    blob_tools_ready(tools);
    reader.payload.fetch = fetch;
    rc = blob_open(&reader, identities);
    if (rc == 0) {
        reader.window = window_new(&reader.payload, NULL, true);
        rc = blob_stream(&reader);
    }
    if (rc == 0)
        rc = blob_compare(&reader);
    window_free(reader.window);
    age_opener_free(reader.payload.opener);
    if (rc == 0)
        *ret_size = reader.size;
    return rc;
}
