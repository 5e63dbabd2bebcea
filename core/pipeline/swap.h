/* SPDX-License-Identifier: PostgreSQL
 *
 * Exchanging two databases by their names, in one transaction, with sessions kept
 * out while it happens and nothing to mend if it is cut short.
 */
#ifndef PGCASK_PIPELINE_SWAP_H
#define PGCASK_PIPELINE_SWAP_H

#include "pg/conn.h"

/* "<name>_<word>_<UTC time>", the name cut between characters where it would be too long; owned by the caller. */
char *swap_dated(const char *name, const char *word);
/* `fresh` takes the name `name`; what had that name is kept as <name>_before_<UTC time>, returned (owned by the caller;
 * NULL when there was none). */
int swap_in(const struct pg_server *server, const char *name, const char *fresh, char **ret_kept);
/* The newest <name>_before_<UTC time> takes its name back; what had it is kept as <name>_restored_<UTC time>. */
int swap_back(const struct pg_server *server, const char *name, char **ret_kept);

#endif
