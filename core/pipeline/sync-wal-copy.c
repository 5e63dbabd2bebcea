/* SPDX-License-Identifier: PostgreSQL
 *
 * One object of WAL from store to store, as it is:
 *
 *   store A ─► stored bytes ─┬─► parts ─► store B ─► read back
 *                            └─► with the key at hand: opened, expanded, digest compared before the commit
 *
 * Nothing is ever replaced, and nothing removed but what this run has written.
 */
#include "config.h"

#include "pipeline/sync-private.h"

#include "base/cancel.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"
#include "pipeline/progress.h"
#include "pipeline/segment-send.h"
#include "stage/blob-check.h"

#include <string.h>

/* All bytes of it in order. The error is the store's, or what `take` says. */
static int
wal_read(const struct wal_copier *copier, struct storage *storage, const struct blob_ref *ref, blob_take *take,
         void *ctx)
{
    int rc = 0;

    if (ref->stored_size == 0)
        return error_set(ERROR_CORRUPT, "store '%s': object '%s' is empty", storage_name(storage), ref->key);
    for (uint64_t offset = 0; rc == 0 && offset < ref->stored_size;) {
        uint64_t left = ref->stored_size - offset;
        size_t len = left < SYNC_WAL_WINDOW_BYTES ? (size_t)left : SYNC_WAL_WINDOW_BYTES;

        rc = cancel_check();
        if (rc == 0)
            rc = storage_get(storage, ref->key, offset, copier->window, len);
        if (rc == 0)
            rc = take(ctx, copier->window, len);
        offset += len;
    }
    return rc;
}

struct wal_stream {
    struct storage *source;
    const struct blob_ref *ref;
    struct send *send;
    struct blob_check *check;
    struct digest *digest; /* of the stored bytes */
    bool refused;          /* by the target */
};

static int
wal_blame(const struct wal_stream *stream, int code)
{
    if (code != ERROR_CORRUPT)
        return code;
    return error_context(code, "store '%s': object '%s'", storage_name(stream->source), stream->ref->key);
}

static int
wal_pass(void *ctx, const void *data, size_t len)
{
    struct wal_stream *stream = ctx;
    int rc = wal_blame(stream, blob_check_add(stream->check, data, len));

    if (rc < 0)
        return rc;
    digest_add(stream->digest, data, len);
    rc = send_take(stream->send, data, len);
    stream->refused = rc < 0;
    progress_add(NULL, len);
    return rc;
}

static int
wal_digest(void *digest, const void *data, size_t len)
{
    digest_add(digest, data, len);
    return 0;
}

/* What came back must be what was sent; what did not is taken away again. */
static int
wal_prove(const struct wal_copier *copier, const struct blob_ref *ref, const char *sent)
{
    struct storage *target = copier->target;
    CLEANUP(digest_free) struct digest *digest = digest_new(DIGEST_XXH3);
    CLEANUP_FREE char *seen = NULL;
    struct error why;
    int rc = wal_read(copier, target, ref, wal_digest, digest);

    if (rc == PGCASK_COLD) { /* the target keeps it where it cannot be read at once; it has confirmed the size */
        error_clear();
        return 0;
    }
    if (rc < 0)
        return rc;
    seen = digest_end(digest);
    if (strcmp(seen, sent) == 0)
        return 0;
    error_take(error_set(ERROR_CORRUPT, "store '%s': object '%s' came back as other bytes than were sent",
                         storage_name(target), ref->key), &why);
    if (storage_remove(target, ref->key) < 0)
        log_slot_warn("that bad copy stays there");
    return error_put(&why);
}

int
sync_wal_copy(const struct wal_copier *copier, struct storage *source, const struct blob_ref *ref, bool *ret_target)
{
    struct send_target target = { .storage = copier->target };
    struct send send = {
        .targets = &target,
        .count = 1,
        .key = ref->key,
        .part = copier->part,
        .size = copier->part_bytes,
    };
    CLEANUP(blob_check_free) struct blob_check *check = blob_check_new(copier->tools, ref, copier->identities);
    CLEANUP(digest_free) struct digest *digest = digest_new(DIGEST_XXH3);
    CLEANUP_FREE char *sent = NULL;
    struct wal_stream stream = { .source = source, .ref = ref, .send = &send, .check = check, .digest = digest };
    struct error error;
    bool seen;
    int rc = wal_read(copier, source, ref, wal_pass, &stream);

    *ret_target = stream.refused;
    if (rc == 0)
        rc = wal_blame(&stream, blob_check_end(check, &seen));
    if (rc < 0 && !stream.refused) {
        error_take(rc, &error);
        (void)send_abort(&send);
        error_free(&target.error);
        return error_put(&error);
    }
    if (rc < 0)
        (void)send_abort(&send);
    else
        send_end(&send);
    *ret_target = true;
    if (target.error.code != 0)
        return error_put(&target.error);
    sent = digest_end(digest);
    return wal_prove(copier, ref, sent);
}
