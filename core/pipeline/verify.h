/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading a backup back. Stored digests need no key; with the identity at hand
 * everything is decrypted, decompressed, compared with the plain digests, and
 * pg_restore has to read the archives' tables of contents.
 */
#ifndef PGCASK_PIPELINE_VERIFY_H
#define PGCASK_PIPELINE_VERIFY_H

#include "catalog/catalog.h"
#include "stage/age-key.h"
#include "stage/conveyor.h"
#include "stage/member-source.h"

#include <stdbool.h>

/* How a copy was looked at. */
enum verify_depth {
    VERIFY_STORED,    /* the digests of all stored bytes */
    VERIFY_PLAIN,     /* decrypted, decompressed, the digests of the plain bytes */
    VERIFY_CONFIRMED, /* cold: the sizes of all objects; the store confirmed their checksums when it took them */
};

struct verify_spec {
    struct crew *crew;
    unsigned streams;
    struct storage *storage;
    const struct manifest *manifest;
    const struct age_identities *identities; /* NULL: stored digests only */
    const struct strv *list_argv;            /* pg_restore and what stands before it; NULL: tables of contents not read */
    bool deep;                               /* decrypt and decompress; else stored digests only */
};

/* One copy of a backup, in that store and no other. 0: all is as the manifest says. `ret_depth` (may be NULL): STORED or
 * PLAIN. PGCASK_COLD: it cannot be read now. */
int verify_copy(const struct verify_spec *spec, enum verify_depth *ret_depth);
/* What can be said of a copy that cannot be read: all members are there, each of its size. */
int verify_confirm(const struct verify_spec *spec);
/* Does that error of verify_copy say something of the copy? Being stopped, lacking the right key, a store that
 * does not answer, a program that is missing: those do not. */
bool verify_is_bad(int rc);
/* Write the outcome into the store: a small new object. `problem` NULL: good. */
int verify_record(struct storage *storage, const struct manifest *manifest, enum verify_depth depth, const char *problem);
/* Can `identities` (NULL: none) read this backup? */
bool verify_can_decrypt(const struct manifest *manifest, const struct age_identities *identities);

/* What the manifest says of a member, for the reading chain; `key` is borrowed. */
struct member_ref verify_ref(const struct manifest_member *member, const char *key);

#endif
