/* SPDX-License-Identifier: PostgreSQL
 *
 * One backup from store to store, as it is stored: no key is needed.
 */
#ifndef PGCASK_PIPELINE_COPY_H
#define PGCASK_PIPELINE_COPY_H

#include "plugin/storage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct copy_source {
    struct storage *storage;
    /* what was found out, also when the copy failed */
    bool bad;    /* something of it is missing or not as the manifest says; recorded there as a verdict */
    bool failed; /* it could not be read for another reason */
};

struct copy_spec {
    const char *repository, *cluster, *id;
    struct storage *target;
    struct copy_source *sources; /* nearest first; the target is none of them */
    size_t source_count;
    bool heal;         /* look at what the target has, though its manifest is there; else that is enough */
    bool bad;          /* the target's newest verdict says so: what cannot be read there may be why, and is replaced, too */
    int64_t verdict_s; /* time of the target's newest verdict; 0: none */
};

/* Filled in whatever copy_backup returns. */
struct copy_result {
    uint64_t size;      /* stored bytes of the backup */
    uint64_t bytes;     /* that were copied */
    size_t members, copied;
    bool there;         /* the target has it already: nothing was done */
    bool target_failed; /* the error is one of writing to the target: the next backup would meet it, too */
};

/* Each member is read from the first source that has it as the manifest says, and only then committed in the target; what
 * the target has of it already is kept when its digest is right (or cannot be read, in cold storage, of a copy that was not
 * found bad). The manifest comes last, byte for byte. Then all is read back, and the verdict is recorded in the target.
 *
 * 0: the target has it, whole and verified. Else what is whole stays there, without a manifest, for the next try (a lease
 * keeps it from being swept while this runs; without one, it is swept when a day old).
 * PGCASK_COLD: a source has to be thawed first; ERROR_LOCKED: another run is writing it there; ERROR_CORRUPT,
 * PGCASK_NOT_FOUND: no source has all of it. */
int copy_backup(const struct copy_spec *spec, struct copy_result *ret_result);

#endif
