/* SPDX-License-Identifier: PostgreSQL
 *
 * Bringing single tables back, complete and beside what exists: which entries
 * of an archive belong to them, and their SQL with the names moved into a schema
 * of its own. Pure functions over a table of contents.
 *
 * Belongs to a table: the table with its columns, defaults, generated columns and identity; owned sequences with
 * their values; primary key, unique, check, exclusion and foreign keys; indexes, statistics, triggers, rules, row
 * security and policies, comments, labels, grants, replica identity, the clustering mark; its partitions and what
 * belongs to those. References to things that stay outside (types, functions, a foreign key's other table) keep
 * pointing to where they are.
 *
 * Left out, because it would change what is there or cannot exist twice:
 *   - a partition rescued without its table is not attached to the table that is there, and has none of the triggers
 *     and foreign keys that are defined on that table;
 *   - with a target schema, an inheritance child rescued without its parent keeps all columns and checks, but is no
 *     child of the parent that is there (which would show the rows twice);
 *   - membership in publications stays with the original, as does a subscription's;
 *   - rows of foreign tables, which lie on another server;
 *   - planner statistics (pg_dump --statistics of PostgreSQL 18): ANALYZE makes them.
 * The owners of the tables get no right on the target schema: who may look into it is for the one who rescues to say.
 */
#ifndef PGCASK_PG_RESCUE_H
#define PGCASK_PG_RESCUE_H

#include "pg/archive.h"

#include "base/buf.h"

#include <stdbool.h>

enum rescue_kind {
    RESCUE_SQL,  /* run `sql` */
    RESCUE_DATA, /* `sql` is the COPY statement for the rows of `schema`.`table` (dump id `dump_id` in its member) */
};
struct rescue_step {
    enum rescue_kind kind;
    char *sql;
    char *schema, *table; /* RESCUE_DATA: as named in the backup */
    int dump_id;          /* RESCUE_DATA: of the TABLE DATA entry; -1 when the rows are in a member of their own */
    bool foreign_key;     /* may fail when the rows it refers to have gone meanwhile */
};
struct rescue_plan {
    struct rescue_step *steps; /* pre-data, data, sequence values, post-data */
    size_t len, cap;
};

/* `tables`: words SCHEMA.TABLE (quoted parts as in SQL where needed; exact names, in the archive's encoding).
 * ERROR_USAGE with the nearest table when one is not there, and for two things that would have one name in the target.
 * `target_schema`: NULL keeps the names. A data-only archive gives only data steps. With a target schema the first step
 * creates it (unless it is there); the session's settings follow. Steps of tables whose data is not in `archive` (own
 * member) have dump_id -1 and a COPY without columns: the plan made of the member's own archive has the exact one.
 * PGCASK_UNSUPPORTED for rows dumped as INSERT statements, ERROR_CORRUPT for SQL that cannot be read. */
int rescue_plan_make(const struct archive *archive, const struct strv *tables, const char *target_schema,
                     struct rescue_plan *ret_plan);
void rescue_plan_free(struct rescue_plan *plan);

#endif
