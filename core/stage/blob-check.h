/* SPDX-License-Identifier: PostgreSQL
 *
 * Is a blob what its name says? For who passes its stored bytes on as they are, and
 * may have the key.
 */
#ifndef PGCASK_STAGE_BLOB_CHECK_H
#define PGCASK_STAGE_BLOB_CHECK_H

#include "stage/blob.h"

struct blob_check; /* opaque; for one thread */

/* All are borrowed, `tools` for this one only as long as it lives. `identities` NULL: what is sealed is not looked at. */
struct blob_check *blob_check_new(struct blob_tools *tools, const struct blob_ref *ref,
                                  const struct age_identities *identities);
void blob_check_free(struct blob_check *check);
CLEANUP_DEFINE(struct blob_check, blob_check_free)

/* The stored bytes in order, in pieces of any size. ERROR_CORRUPT as soon as they turn out to be bad. */
int blob_check_add(struct blob_check *check, const void *data, size_t len);
/* Those were all; once only. ERROR_CORRUPT: they are not what the name says. 0 and *ret_seen false: no identity fits, so
 * nothing is known. */
int blob_check_end(struct blob_check *check, bool *ret_seen);

#endif
