/* SPDX-License-Identifier: PostgreSQL
 *
 * Check queries: run when a backup is made and again on what was restored, and
 * compared to the byte.
 */
#ifndef PGCASK_PIPELINE_CHECK_QUERY_H
#define PGCASK_PIPELINE_CHECK_QUERY_H

#include "catalog/manifest.h"
#include "pg/conn.h"

/* Run one as its author would, with the database's own search_path; rows as text, owned by the caller. */
int check_query(struct pg_conn *conn, const char *query, char **ret_result);
/* Run those that the manifest has for `database` again. PGCASK_FAILED names the first that differs; `ret_count` is how
 * many were equal. */
int check_compare(struct pg_conn *conn, const struct manifest *manifest, const char *database, size_t *ret_count);

#endif
