/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/stored-reader.h"

#include "base/cancel.h"
#include "base/digest.h"
#include "base/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { STORED_WINDOW_BYTES = 4 * 1024 * 1024 }; /* one request of a remote store: at 40 ms each, 100 MiB/s */

/* What is expected, before any byte of it moves. */
static int
stored_check_size(struct storage *storage, const struct member_ref *ref)
{
    uint64_t size;
    int64_t mtime_s;
    int rc = storage_stat(storage, ref->key, &size, &mtime_s);

    if (rc == PGCASK_NOT_FOUND)
        return error_set(rc, "store '%s': object '%s' is missing", storage_name(storage), ref->key);
    if (rc == 0 && size != ref->stored_size)
        rc = error_set(ERROR_CORRUPT, "store '%s': object '%s' has %" PRIu64 " bytes, the manifest says %" PRIu64,
                       storage_name(storage), ref->key, size, ref->stored_size);
    return rc;
}

static int
stored_check_digest(struct storage *storage, const struct member_ref *ref, const char *what, struct digest *digest,
                    const char *wanted)
{
    CLEANUP_FREE char *seen = digest_end(digest);

    if (strcmp(seen, wanted) == 0)
        return 0;
    return error_set(ERROR_CORRUPT, "store '%s': object '%s': the digest of the %s is %s, the manifest says %s",
                     storage_name(storage), ref->key, what, seen, wanted);
}

int
stored_read(struct storage *storage, const struct member_ref *ref, stored_take *take, void *ctx)
{
    CLEANUP(digest_free) struct digest *stored = digest_new(digest_kind_of(ref->stored_digest));
    CLEANUP(digest_free) struct digest *header = digest_new(DIGEST_SHA256);
    size_t window = ref->stored_size < STORED_WINDOW_BYTES ? (size_t)ref->stored_size : STORED_WINDOW_BYTES;
    CLEANUP_FREE unsigned char *data = mem_alloc(window + 1);
    int rc = stored_check_size(storage, ref);

    for (uint64_t offset = 0; rc == 0 && offset < ref->stored_size;) {
        size_t len = ref->stored_size - offset < window ? (size_t)(ref->stored_size - offset) : window;

        rc = cancel_check();
        if (rc == 0)
            rc = storage_get(storage, ref->key, offset, data, len);
        if (rc < 0)
            return rc;
        digest_add(stored, data, len);
        if (offset < ref->header_size)
            digest_add(header, data, ref->header_size - offset < len ? (size_t)(ref->header_size - offset) : len);
        rc = take(ctx, data, len);
        offset += len;
    }
    if (rc == 0)
        rc = stored_check_digest(storage, ref, "stored bytes", stored, ref->stored_digest);
    if (rc == 0 && ref->sealed)
        rc = stored_check_digest(storage, ref, "age header", header, ref->header_digest);
    return rc;
}
