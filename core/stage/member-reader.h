/* SPDX-License-Identifier: PostgreSQL
 *
 * The reading chain of one member: fetch, unseal, decompress in parallel, compare
 * the digests, hand the plain bytes on. Verifying is this chain with a taker that
 * throws the bytes away.
 */
#ifndef PGCASK_STAGE_MEMBER_READER_H
#define PGCASK_STAGE_MEMBER_READER_H

#include "stage/conveyor.h"
#include "stage/member-source.h"

/* Takes the plain bytes in order. 0: go on; below 0: an error that ends the reading. */
typedef int member_take(void *ctx, const void *data, size_t len);

/* The whole member. 0 only when sizes and all digests are those of the manifest: what was taken before an error is not
 * to be trusted. */
int member_read_all(struct crew *crew, unsigned pieces, struct copies *copies, const struct member_ref *ref,
                    const struct age_identities *identities, member_take *take, void *ctx);

/* The member from its start for as long as somebody pulls: no more is fetched than was asked for, rounded up to a
 * frame, unless it is known that `whole` of it will be pulled. Each frame is authenticated (sealed) or has its checksum,
 * but the digest of the whole is not compared. */
struct member_prefix;
int member_prefix_open(struct copies *copies, const struct member_ref *ref, const struct age_identities *identities,
                       bool whole, struct member_prefix **ret_prefix);
/* Exactly `len` bytes more; ERROR_CORRUPT when there are not so many. Of the type archive_read. */
int member_prefix_read(void *prefix, void *data, size_t len);
uint64_t member_prefix_fetched(const struct member_prefix *prefix);
void member_prefix_close(struct member_prefix *prefix);
CLEANUP_DEFINE(struct member_prefix, member_prefix_close)

#endif
