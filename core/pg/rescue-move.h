/* SPDX-License-Identifier: PostgreSQL
 *
 * Rewriting SQL so that what is rescued is made in another schema. For rescue*.c only.
 *
 * Three sets, because PostgreSQL lets things of different kinds share a name: a table shares its name space with
 * types, indexes and sequences do not, statistics have one of their own, functions another.
 */
#ifndef PGCASK_PG_RESCUE_MOVE_H
#define PGCASK_PG_RESCUE_MOVE_H

#include "pg/rescue-names.h"

struct rescue_moves {
    struct rescue_names tables;
    struct rescue_names others; /* indexes and sequences */
    struct rescue_names statistics;
    const char *target; /* borrowed; NULL: everything keeps its name */
};

/* `ret_sql` is owned by the caller. */
int rescue_move(const struct rescue_moves *moves, const char *sql, char **ret_sql);
void rescue_moves_free(struct rescue_moves *moves);

#endif
