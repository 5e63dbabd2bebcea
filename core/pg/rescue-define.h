/* SPDX-License-Identifier: PostgreSQL
 *
 * The SQL of single entries, moved and completed. For rescue.c only.
 */
#ifndef PGCASK_PG_RESCUE_DEFINE_H
#define PGCASK_PG_RESCUE_DEFINE_H

#include "pg/rescue-select.h"

/* What makes the entry. `ret_sql` of all is owned by the caller. */
int rescue_define(const struct rescue_selection *s, const struct archive_entry *entry, char **ret_sql);
/* ALTER … OWNER TO; NULL when the entry has no owner of its own. */
char *rescue_define_owner(const struct rescue_selection *s, const struct archive_entry *entry);
/* The COPY of a TABLE DATA entry. */
int rescue_define_copy(const struct rescue_selection *s, const struct archive_entry *entry, char **ret_sql);
/* "schema"."name" where it will be */
char *rescue_define_name(const struct rescue_selection *s, const char *schema, const char *name);
bool rescue_is_partitioned(const struct archive_entry *entry);

#endif
