/* SPDX-License-Identifier: PostgreSQL
 *
 * The files of a base backup compared with PostgreSQL's own list of them, as
 * their bytes come by. For verify.c only.
 */
#ifndef PGCASK_PIPELINE_VERIFY_BASE_H
#define PGCASK_PIPELINE_VERIFY_BASE_H

#include "catalog/manifest.h"
#include "pg/backup-files.h"

/* Does the list belong to this backup? ERROR_CORRUPT. */
int verify_base_begin(const struct manifest *manifest, const struct backup_files *files);
/* Behind the last archive: were all files there? ERROR_CORRUPT names the first that was not. */
int verify_base_end(const struct backup_files *files);

/* One archive: each file in it is looked up in `files` (marked as seen there), its size and checksum are compared.
 * Different archives may be read by different threads. */
struct verify_tar; /* opaque */
struct verify_tar *verify_tar_new(const struct manifest_member *member, struct backup_files *files);
void verify_tar_free(struct verify_tar *tar);
CLEANUP_DEFINE(struct verify_tar, verify_tar_free)
int verify_tar_add(void *tar, const void *data, size_t len); /* of the type member_take */
int verify_tar_end(struct verify_tar *tar);

/* Is the member such an archive? */
bool verify_is_tar(const struct manifest_member *member);

#endif
