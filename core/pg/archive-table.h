/* SPDX-License-Identifier: PostgreSQL
 *
 * An archive that holds the rows of one table, and how they go into the new table without a pg_restore between.
 */
#ifndef PGCASK_PG_ARCHIVE_TABLE_H
#define PGCASK_PG_ARCHIVE_TABLE_H

#include "base/buf.h"
#include "pg/archive.h"

#include <stdbool.h>

/* In the archive's encoding; owned. */
struct archive_table {
    int dump_id;
    char *truncate_sql; /* in the same transaction, before */
    char *copy_sql;     /* COPY … FROM stdin WITH (FREEZE) */
    struct strv after;  /* sets the sequences of its columns */
};

/* False when the rows have to come in by other means: there are none, or those of several tables, as INSERTs, into
 * another table than their own (the root of partitions), compressed, or with large objects; or their COPY is not what
 * pg_dump writes today. */
bool archive_table_make(const struct archive *archive, struct archive_table *ret_table);
void archive_table_free(struct archive_table *table);

#endif
