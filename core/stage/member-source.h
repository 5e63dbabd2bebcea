/* SPDX-License-Identifier: PostgreSQL
 *
 * A stored member as a sequence of frames: bytes from a store, checked against
 * the manifest's digests, unsealed, cut where the table at the end says.
 */
#ifndef PGCASK_STAGE_MEMBER_SOURCE_H
#define PGCASK_STAGE_MEMBER_SOURCE_H

#include "plugin/storage.h"
#include "stage/age-key.h"
#include "stage/zstd-frame.h"

#include <stdbool.h>
#include <stdint.h>

/* What the manifest says of it; all borrowed. */
struct member_ref {
    const char *key;
    bool sealed;
    uint64_t plain_size, stored_size, header_size;
    const char *plain_digest, *stored_digest, *header_digest;
};

struct member_source;

/* Reads header and table. Each error names the object. */
int member_source_open(struct storage *storage, const struct member_ref *ref, const struct age_identities *identities,
                       struct member_source **ret_source);
/* The next compressed frame: 1, or 0 behind the last one. `out` has room for frame_bound() bytes. */
int member_source_next(struct member_source *source, void *out, size_t *ret_len, size_t *ret_plain_len);
/* After the last frame: read what is left and compare size and digest of all that was stored. */
int member_source_end(struct member_source *source);
/* Bytes fetched from the store up to now. */
uint64_t member_source_fetched(const struct member_source *source);
void member_source_close(struct member_source *source);
CLEANUP_DEFINE(struct member_source, member_source_close)

/* Only what was stored: size, digest, header digest. Needs no key. `fetched` (may be NULL) is called as bytes come. */
int member_check_stored(struct storage *storage, const struct member_ref *ref, void (*fetched)(void *ctx, size_t len),
                        void *ctx);

#endif
