/* SPDX-License-Identifier: PostgreSQL
 *
 * Plain bytes out of a backup: a member of a store, or a file that somebody
 * fetched by hand.
 */
#ifndef PGCASK_PIPELINE_EXTRACT_H
#define PGCASK_PIPELINE_EXTRACT_H

#include "pipeline/restore.h"

/* A file that is whole under its name or not there: temporary name until extract_end with success. Refuses an existing
 * one. "-" is stdout. */
struct extract_file {
    int fd;
    char *path, *temp; /* NULL for stdout */
};
int extract_begin(const char *path, struct extract_file *ret_file);
int extract_end(struct extract_file *file, int rc); /* returns rc, or the error of finishing */

/* `member`: its name or object in the manifest. All digests are compared. */
int extract_member(struct restore *restore, const char *member, int out_fd);
/* An age file (made by anybody), unsealed, and decompressed when it holds zstd; or a zstd file; "-" is stdin. */
int extract_foreign(const char *path, const struct age_identities *identities, int out_fd);

#endif
