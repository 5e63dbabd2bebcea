/* SPDX-License-Identifier: PostgreSQL
 *
 * What one store has of a member, compared with the manifest byte for byte and
 * without a key. Declared in member-source.h.
 */
#include "config.h"

#include "stage/member-source.h"

#include "base/digest.h"
#include "base/error.h"
#include "stage/fetch.h"
#include "stage/member-window.h"
#include "stage/read-ahead.h"

#include <string.h>

enum { CHECK_BYTES = 4 * 1024 * 1024 };

struct check {
    const struct member_ref *ref;
    struct fetch *fetch;
    struct attempt attempt;
    struct digest *stored, *header;
    unsigned char *data, *ahead_data;
    struct read_ahead *ahead; /* NULL: one range after the other */
};

static size_t
check_len(const struct check *check, uint64_t offset)
{
    uint64_t left = check->ref->stored_size - offset;

    return left < CHECK_BYTES ? (size_t)left : CHECK_BYTES;
}

/* The bytes at `offset` into check->data, and those behind them on their way. */
static int
check_get(struct check *check, uint64_t offset)
{
    uint64_t next = offset + check_len(check, offset);
    struct storage *storage = fetch_store(check->fetch, &check->attempt);
    int rc;

    if (check->ahead != NULL) {
        unsigned char *data = check->data;

        rc = read_ahead_end(check->ahead);
        check->data = check->ahead_data;
        check->ahead_data = data;
    } else
        rc = fetch_get(check->fetch, &check->attempt, offset, check->data, check_len(check, offset));
    if (rc < 0 || next == check->ref->stored_size)
        return rc;
    if (check->ahead == NULL && window_reads_ahead(storage))
        check->ahead = read_ahead_new();
    if (check->ahead != NULL)
        read_ahead_begin(check->ahead, storage, check->ref->key, next, check->ahead_data, check_len(check, next));
    return 0;
}

/* All bytes of the object through `stored`, those of the header through `header` as well. */
static int
check_bytes(struct check *check, void (*fetched)(void *ctx, size_t len), void *ctx)
{
    uint64_t header = check->ref->header_size;

    for (uint64_t offset = 0; offset < check->ref->stored_size;) {
        size_t len = check_len(check, offset);
        int rc = check_get(check, offset);

        if (rc < 0)
            return rc;
        digest_add(check->stored, check->data, len);
        if (offset < header)
            digest_add(check->header, check->data, header - offset < len ? (size_t)(header - offset) : len);
        if (fetched != NULL)
            fetched(ctx, len);
        offset += len;
    }
    return 0;
}

static int
check_compare(struct check *check)
{
    CLEANUP_FREE char *stored = digest_end(check->stored), *header = digest_end(check->header);
    int rc = digest_compare("the digest of the stored bytes", stored, check->ref->stored_digest);

    if (rc == 0 && check->ref->sealed)
        rc = digest_compare("the digest of the age header", header, check->ref->header_digest);
    return rc < 0 ? fetch_blame(check->fetch, &check->attempt, rc) : 0;
}

int
member_check_stored(struct storage *storage, const struct member_ref *ref, void (*fetched)(void *ctx, size_t len),
                    void *ctx)
{
    CLEANUP(copies_free) struct copies *copies = copies_new(&storage, 1);
    CLEANUP(fetch_free) struct fetch *fetch = fetch_new(copies, ref->key, ref->stored_size);
    CLEANUP(digest_free) struct digest *stored = digest_new(digest_kind_of(ref->stored_digest));
    CLEANUP(digest_free) struct digest *header = digest_new(DIGEST_SHA256);
    struct check check = { .ref = ref, .fetch = fetch, .stored = stored, .header = header };
    int rc = fetch_look(fetch, &check.attempt);

    if (rc < 0)
        return rc;
    check.data = mem_pages_alloc(CHECK_BYTES);
    check.ahead_data = mem_pages_alloc(CHECK_BYTES);
    rc = check_bytes(&check, fetched, ctx);
    read_ahead_free(check.ahead);
    mem_pages_free(check.data, CHECK_BYTES);
    mem_pages_free(check.ahead_data, CHECK_BYTES);
    return rc < 0 ? rc : check_compare(&check);
}

int
member_check_size(struct storage *storage, const struct member_ref *ref)
{
    CLEANUP(copies_free) struct copies *copies = copies_new(&storage, 1);
    CLEANUP(fetch_free) struct fetch *fetch = fetch_new(copies, ref->key, ref->stored_size);
    const struct attempt attempt = { 0 };

    return fetch_look(fetch, &attempt);
}
