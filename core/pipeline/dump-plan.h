/* SPDX-License-Identifier: PostgreSQL
 *
 * What to dump of one database: which tables, and which of them are large enough
 * to be streams of their own. Asked in the transaction whose snapshot all use.
 */
#ifndef PGCASK_PIPELINE_DUMP_PLAN_H
#define PGCASK_PIPELINE_DUMP_PLAN_H

#include "base/buf.h"
#include "config/settings.h"
#include "pg/conn.h"

#include <stdint.h>

struct dump_table {
    char *schema, *name;
    char *pattern; /* what pg_dump takes for exactly this table */
    uint64_t size; /* pg_table_size, bytes */
};

struct dump_plan {
    char *encoding;            /* of the database, and of the dumps */
    struct dump_table *tables; /* members of their own, largest first */
    size_t len, cap;
    struct strv arguments; /* of the main pg_dump: what to include, exclude, leave the rows of */
    uint64_t size;         /* of the whole database */
    uint64_t main_size;    /* rows that stay in the main member, about */
};

/* What the job (or the command line) selects; LIST texts as in struct config_job. */
struct dump_selection {
    const char *content; /* all, schema, data */
    const char *tables, *exclude_tables, *exclude_table_data;
    int64_t table_size; /* 0: chosen by the database's size */
};

/* ERROR_USAGE when a pattern of `tables` matches nothing. */
int dump_plan_make(struct pg_conn *conn, const struct dump_selection *selection, struct dump_plan *ret_plan);
void dump_plan_free(struct dump_plan *plan);

/* How pg_dump wants a name so that it means exactly this one; owned by the caller. */
char *dump_pattern(const char *schema, const char *name);

#endif
