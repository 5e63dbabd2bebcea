/* SPDX-License-Identifier: PostgreSQL
 *
 * One file as one object, with nothing else that knows of it: compressed and
 * sealed as a member is, but what it takes to read it is in the object and in its
 * name, which holds the digest of the plain bytes. Written and read in one go by
 * one thread, in pieces of 4 MiB, whatever the size.
 */
#ifndef PGCASK_STAGE_BLOB_H
#define PGCASK_STAGE_BLOB_H

#include "base/mem.h"
#include "plugin/storage.h"
#include "stage/age-key.h"

#include <stdbool.h>
#include <stdint.h>

enum { BLOB_DIGEST_CHARS = 32 }; /* XXH3-128 in hexadecimal, without the name of the algorithm */

/* What one thread needs; made when first used, good for any number of blobs one after the other. */
struct blob_tools; /* opaque */
struct blob_tools *blob_tools_new(int compress_level);
void blob_tools_free(struct blob_tools *tools);
CLEANUP_DEFINE(struct blob_tools, blob_tools_free)

/* The first `size` bytes of an open file, read with pread; it must not change meanwhile. */
struct blob_file {
    int fd;
    const char *path; /* for messages */
    uint64_t size;
};

/* PGCASK_FAILED also when the file has fewer bytes. */
int blob_digest(struct blob_tools *tools, const struct blob_file *file, char ret_digest[BLOB_DIGEST_CHARS + 1]);

/* Takes the bytes in order. 0: go on; below 0: an error that ends it. */
typedef int blob_take(void *ctx, const void *data, size_t len);

/* The object's bytes. PGCASK_FAILED when the file's are not those of `digest` (any more): what was taken is then worth
 * nothing. `recipients` NULL: not encrypted. */
int blob_write(struct blob_tools *tools, const struct blob_file *file, const char *digest,
               const struct age_recipients *recipients, blob_take *take, void *ctx);

struct blob_ref {
    const char *key, *digest;
    bool sealed;
    uint64_t stored_size; /* as a listing told */
    uint64_t limit;       /* of plain bytes */
};

/* The file's bytes out of that one store; `ret_size` is their number. 0 only when the digest is right: what was taken before
 * an error is worth nothing. ERROR_CORRUPT: this copy is bad. */
int blob_read(struct blob_tools *tools, struct storage *storage, const struct blob_ref *ref,
              const struct age_identities *identities, blob_take *take, void *ctx, uint64_t *ret_size);

#endif
