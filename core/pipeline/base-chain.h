/* SPDX-License-Identifier: PostgreSQL
 *
 * Incremental base backups: which backup the next one can be put on top of, and
 * PostgreSQL's list of that one's files, which the server needs and which this
 * host keeps in its state directory (to read it from a store takes a key that it
 * may not have). For base.c only.
 */
#ifndef PGCASK_PIPELINE_BASE_CHAIN_H
#define PGCASK_PIPELINE_BASE_CHAIN_H

#include "pipeline/base.h"

/* The newest backup of the job when the chain may grow on top of it: its id, owned by the caller, and its list, open
 * for reading. NULL and -1: the next one has to be a full one; when that is not because the chain is as long as it may
 * be, it was told why. */
int base_chain_find(struct base_run *run, char **ret_id, int *ret_list_fd);

/* The list of the backup that is being made, as it comes by: begin, add, and keep it once that is whole. Trouble is a
 * warning: the next backup will be a full one. */
struct base_list;                                              /* opaque */
struct base_list *base_list_begin(const struct base_run *run); /* NULL: it cannot be kept */
void base_list_add(struct base_list *list, const void *data, size_t len);
void base_list_keep(struct base_list *list);
void base_list_free(struct base_list *list);
CLEANUP_DEFINE(struct base_list, base_list_free)

#endif
