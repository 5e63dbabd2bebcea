/* SPDX-License-Identifier: PostgreSQL
 *
 * A member's object as it is stored, from its first byte to its last: for who
 * passes it on as it is. Needs no key.
 */
#ifndef PGCASK_STAGE_STORED_READER_H
#define PGCASK_STAGE_STORED_READER_H

#include "stage/member-source.h"

/* Takes the bytes in order. An error ends the reading. */
typedef int stored_take(void *ctx, const void *data, size_t len);

/* 0 only when size and digests are those of the manifest: what was taken before an error is worth nothing. PGCASK_NOT_FOUND
 * and ERROR_CORRUPT say that this copy is bad, and name store and object; what `take` answers is returned as it is. */
int stored_read(struct storage *storage, const struct member_ref *ref, stored_take *take, void *ctx);

#endif
