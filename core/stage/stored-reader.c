/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/stored-reader.h"

#include "base/digest.h"
#include "stage/fetch.h"
#include "stage/member-window.h"
#include "stage/read-ahead.h"

#include <string.h>

enum { STORED_WINDOW_BYTES = 4 * 1024 * 1024 }; /* one request of a remote store: at 40 ms each, 100 MiB/s */

struct stored {
    const struct member_ref *ref;
    struct fetch *fetch;
    struct attempt attempt;
    struct digest *all, *header;
    unsigned char *data, *ahead_data;
    struct read_ahead *ahead; /* NULL: one range after the other */
};

static size_t
stored_len(const struct stored *stored, uint64_t offset)
{
    uint64_t left = stored->ref->stored_size - offset;

    return left < STORED_WINDOW_BYTES ? (size_t)left : STORED_WINDOW_BYTES;
}

/* The bytes at `offset` into stored->data and, from far away, those behind them on their way. */
static int
stored_get(struct stored *stored, uint64_t offset)
{
    uint64_t next = offset + stored_len(stored, offset);
    struct storage *storage = fetch_store(stored->fetch, &stored->attempt);
    int rc;

    if (stored->ahead != NULL) {
        unsigned char *data = stored->data;

        rc = read_ahead_end(stored->ahead);
        stored->data = stored->ahead_data;
        stored->ahead_data = data;
    } else
        rc = fetch_get(stored->fetch, &stored->attempt, offset, stored->data, stored_len(stored, offset));
    if (rc < 0 || next == stored->ref->stored_size)
        return rc;
    if (stored->ahead == NULL && window_reads_ahead(storage))
        stored->ahead = read_ahead_new();
    if (stored->ahead != NULL)
        read_ahead_begin(stored->ahead, storage, stored->ref->key, next, stored->ahead_data, stored_len(stored, next));
    return 0;
}

static int
stored_bytes(struct stored *stored, stored_take *take, void *ctx)
{
    uint64_t header = stored->ref->header_size;
    int rc = 0;

    for (uint64_t offset = 0; rc == 0 && offset < stored->ref->stored_size;) {
        size_t len = stored_len(stored, offset);

        rc = stored_get(stored, offset);
        if (rc < 0)
            return rc;
        digest_add(stored->all, stored->data, len);
        if (offset < header)
            digest_add(stored->header, stored->data, header - offset < len ? (size_t)(header - offset) : len);
        rc = take(ctx, stored->data, len);
        offset += len;
    }
    return rc;
}

static int
stored_compare(struct stored *stored)
{
    CLEANUP_FREE char *all = digest_end(stored->all), *header = digest_end(stored->header);
    int rc = digest_compare("the digest of the stored bytes", all, stored->ref->stored_digest);

    if (rc == 0 && stored->ref->sealed)
        rc = digest_compare("the digest of the age header", header, stored->ref->header_digest);
    return rc < 0 ? fetch_blame(stored->fetch, &stored->attempt, rc) : 0;
}

int
stored_read(struct storage *storage, const struct member_ref *ref, stored_take *take, void *ctx)
{
    CLEANUP(copies_free) struct copies *copies = copies_new(&storage, 1);
    CLEANUP(fetch_free) struct fetch *fetch = fetch_new(copies, ref->key, ref->stored_size);
    CLEANUP(digest_free) struct digest *all = digest_new(digest_kind_of(ref->stored_digest));
    CLEANUP(digest_free) struct digest *header = digest_new(DIGEST_SHA256);
    struct stored stored = { .ref = ref, .fetch = fetch, .all = all, .header = header };
    int rc = fetch_look(fetch, &stored.attempt); /* before any byte of it moves */

    if (rc < 0)
        return rc;
    stored.data = mem_pages_alloc(STORED_WINDOW_BYTES);
    stored.ahead_data = mem_pages_alloc(STORED_WINDOW_BYTES);
    rc = stored_bytes(&stored, take, ctx);
    read_ahead_free(stored.ahead);
    mem_pages_free(stored.data, STORED_WINDOW_BYTES);
    mem_pages_free(stored.ahead_data, STORED_WINDOW_BYTES);
    return rc < 0 ? rc : stored_compare(&stored);
}
