/* SPDX-License-Identifier: PostgreSQL
 *
 * Which databases of a server a job is about.
 */
#ifndef PGCASK_PIPELINE_DATABASES_H
#define PGCASK_PIPELINE_DATABASES_H

#include "base/buf.h"
#include "pg/conn.h"

/* `names`, `excluded`: LIST values; the single word "all" in `names` is all that can be connected to but those in
 * `excluded` (may be NULL). Names are not looked up. ERROR_USAGE when none is left. */
int databases_chosen(struct pg_conn *conn, const char *names, const char *excluded, struct strv *ret_names);

#endif
