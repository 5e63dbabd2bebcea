/* SPDX-License-Identifier: PostgreSQL
 *
 * The steps of wal_status_load: pure functions over what was gathered. For wal-status*.c and their tests only.
 */
#ifndef PGCASK_PIPELINE_WAL_STATUS_PRIVATE_H
#define PGCASK_PIPELINE_WAL_STATUS_PRIVATE_H

#include "pipeline/wal-status.h"

/* Of the whole list and the bases: status->all and status->views, whose name, required and wanted are set already. */
void wal_views_make(struct wal_status *status);
void wal_views_free(struct wal_status *status);

/* What of all that somebody should look at. */
void wal_alarms_make(struct wal_status *status);

#endif
