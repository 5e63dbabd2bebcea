/* SPDX-License-Identifier: PostgreSQL
 *
 * What else PostgreSQL wants to have archived: its archive_status/NAME.ready files.
 */
#ifndef PGCASK_PIPELINE_SEGMENT_READY_H
#define PGCASK_PIPELINE_SEGMENT_READY_H

#include "base/buf.h"

/* The names of the WAL files that are ready in the directory `wal`, in the order in which PostgreSQL will ask for them.
 * None when there is no archive_status. */
int segment_ready_list(const char *wal, struct strv *ret_names);

#endif
