/* SPDX-License-Identifier: PostgreSQL
 *
 * An id for a new backup that is nobody else's, and the lease that says so.
 */
#ifndef PGCASK_PIPELINE_CLAIM_H
#define PGCASK_PIPELINE_CLAIM_H

#include "pipeline/stores.h"
#include "stage/outlet.h"

/* Choose one and put its lease into every store that is left in `outlet`, which writes to `stores`. Two short runs, or two
 * hosts, may fall into one second: then it waits for another one. Both texts are owned by the caller. */
int claim_id(const struct stores *stores, struct outlet *outlet, const char *cluster, const char *job, char **ret_id,
             char **ret_lease);
/* Take the lease away; NULL is fine, a failure is a warning. */
void claim_end(const struct stores *stores, const char *lease);

#endif
