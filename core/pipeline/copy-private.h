/* SPDX-License-Identifier: PostgreSQL
 *
 * Between copy.c and copy-member.c only.
 */
#ifndef PGCASK_PIPELINE_COPY_PRIVATE_H
#define PGCASK_PIPELINE_COPY_PRIVATE_H

#include "base/error.h"
#include "catalog/manifest.h"
#include "pipeline/copy.h"
#include "stage/outlet.h"

#include <pthread.h>

struct copy_run {
    const struct copy_spec *spec;
    struct copy_result *result;
    struct manifest *manifest;
    struct buf text;             /* its bytes */
    char *lease;
    struct storage_list present; /* what the target has of this backup */
    bool visible;                /* the manifest, too */
    bool spoilt;                 /* which is not what it must be */
    struct outlet *outlet;
    pthread_mutex_t lock; /* for what follows, the result and what is found out of the sources */
    bool *done;           /* members that the target has for sure */
    size_t next;
    struct error error;   /* the first one */
    char **problems;      /* what is bad in each source; NULL: nothing known */
};

/* All members that are not done. PGCASK_EXISTS: another run has just written one: list the target again. */
int copy_members(struct copy_run *run);
/* Remember what the error in the slot (left there) says of a source. */
void copy_blame(struct copy_run *run, size_t source, int code);

#endif
