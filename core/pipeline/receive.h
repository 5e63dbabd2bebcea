/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask wal receive: a server's WAL, streamed as it is written, into the archive. One process for one cluster, until
 * it is asked to end.
 *
 * The server is told two positions. `write`: on the disk of this host, in the spool. `flush`: what [cluster]
 * synchronous says:
 *
 *   no, stores   in every required store, whole or as a .partial
 *   spool        on the disk of this host
 *
 * A slot keeps the server's WAL from `flush` on; commits wait for `flush` (synchronous_commit = on) or for `write`
 * (remote_write) where the server names us in synchronous_standby_names. Neither is told before it is true.
 */
#ifndef PGCASK_PIPELINE_RECEIVE_H
#define PGCASK_PIPELINE_RECEIVE_H

#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>

struct receive_options {
    bool accept_gap; /* when the WAL to go on with has gone: begin behind the gap instead of ending */
};
struct receive_result {
    size_t left; /* files of the spool that are not stored yet */
};

/* Comes back when a signal has asked it to end (0), or when it cannot go on without leaving a gap. ERROR_LOCKED when
 * another process receives for that cluster. */
int receive_run(const struct config *config, const struct config_item *cluster, const struct receive_options *options,
                struct receive_result *ret_result);

/* Make the slot that the config names; one that is there and good is fine, `ret_made` tells. */
int receive_slot_make(const struct config_item *cluster, bool *ret_made);
int receive_slot_drop(const struct config_item *cluster);

#endif
