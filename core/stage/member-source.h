/* SPDX-License-Identifier: PostgreSQL
 *
 * A stored member as a sequence of frames: bytes from the stores that have it,
 * checked against the manifest's digests, unsealed, cut where the table at the end
 * says. What is bad in one store is taken from the next, before anybody has seen it.
 */
#ifndef PGCASK_STAGE_MEMBER_SOURCE_H
#define PGCASK_STAGE_MEMBER_SOURCE_H

#include "plugin/storage.h"
#include "stage/age-key.h"
#include "stage/fetch.h"
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

/* Reads header and table. `whole`: to be read to its end, so that it is worth to fetch ahead. Each error names the object,
 * and what is wrong with it in each store. */
int member_source_open(struct copies *copies, const struct member_ref *ref, const struct age_identities *identities,
                       bool whole, struct member_source **ret_source);

/* One compressed frame. */
struct member_frame {
    size_t len, plain_len;
    uint64_t offset; /* in the stream */
    struct attempt attempt;
    bool mixed;      /* of bytes from more than one copy */
};
/* The next one: 1, or 0 behind the last one. `out` has room for frame_bound() bytes. */
int member_source_next(struct member_source *source, void *out, struct member_frame *ret_frame);
/* The frame at `data` could not be decompressed; *code and the slot say why. True: here it is from another copy, try
 * again. False: *code is final, and its text names the object. Any thread. */
bool member_source_again(struct member_source *source, struct member_frame *frame, void *data, int *code);
/* A frame was good, and is used. Each in its order, when member_source_end is to come. */
void member_source_used(struct member_source *source, const void *data, size_t len);
/* After the last frame: read what is left and compare the digest of all that was stored. */
int member_source_end(struct member_source *source);
/* Put store and object before the text of an error in what was read. */
int member_source_blame(const struct member_source *source, int code);
/* Bytes fetched up to now. */
uint64_t member_source_fetched(const struct member_source *source);
void member_source_close(struct member_source *source);
CLEANUP_DEFINE(struct member_source, member_source_close)

/* Only what was stored in that one store: size, digest, header digest. Needs no key. `fetched` (may be NULL) is called as
 * bytes come. */
int member_check_stored(struct storage *storage, const struct member_ref *ref, void (*fetched)(void *ctx, size_t len),
                        void *ctx);

/* Only that it is there, of its size. */
int member_check_size(struct storage *storage, const struct member_ref *ref);

#endif
