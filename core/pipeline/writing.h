/* SPDX-License-Identifier: PostgreSQL
 *
 * The members of a backup on their way into the stores, whatever their bytes
 * are read from; the manifest collects their facts.
 */
#ifndef PGCASK_PIPELINE_WRITING_H
#define PGCASK_PIPELINE_WRITING_H

#include "catalog/manifest.h"
#include "stage/member-writer.h"

#include <pthread.h>

/* What all members of a run have in common. */
struct writing {
    struct crew *crew;
    struct outlet *outlet;
    const struct age_recipients *recipients; /* NULL: not encrypted */
    const char *cluster, *id;
    unsigned streams;  /* sources that are read at the same time, at most */
    unsigned pieces;   /* of each one, on their way at the same time */
    struct strv taken; /* names of members */
    struct manifest *manifest;
};

/* Write one member and enter it in the manifest; `member` gives name, role and what it is of (moved in, whatever comes
 * of it). Caller must not call it from two threads without `lock` (may be NULL) guarding the manifest. */
int writing_member(struct writing *writing, struct manifest_member *member, member_read *read, void *ctx,
                   uint64_t size_hint, pthread_mutex_t *lock);

#endif
