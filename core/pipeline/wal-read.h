/* SPDX-License-Identifier: PostgreSQL
 *
 * Archived WAL files read where they are wanted for a look: a history into memory, a segment into a file of our own. For
 * PostgreSQL itself they come by segment-fetch.h.
 */
#ifndef PGCASK_PIPELINE_WAL_READ_H
#define PGCASK_PIPELINE_WAL_READ_H

#include "base/buf.h"
#include "catalog/wal-list.h"
#include "pg/wal-history.h"
#include "stage/age-key.h"
#include "stage/blob.h"

/* All borrowed. The rows' `store` is an index into `stores`. */
struct wal_reader {
    struct storage *const *stores;
    const char *cluster, *system_identifier;
    const struct age_identities *identities; /* NULL: none */
    struct blob_tools *tools;
};

/* The file of these rows, from the first of their stores that gives it whole; the error is that of the last.
 * ERROR_CORRUPT, and nothing is read, when their digests differ. */
int wal_read_text(const struct wal_reader *reader, const struct wal_row *rows, size_t count, struct buf *ret_text);
/* Into `path`, which is made anew, 0600. `limit`: bytes. */
int wal_read_file(const struct wal_reader *reader, const struct wal_row *rows, size_t count, uint64_t limit, const char *path);

/* The history of a timeline, from the list's rows; that of timeline 1, which has no file, is itself alone.
 * PGCASK_NOT_FOUND: it is in none of them. */
int wal_read_history(const struct wal_reader *reader, const struct wal_list *list, uint32_t timeline,
                     struct wal_history *ret_history);

#endif
