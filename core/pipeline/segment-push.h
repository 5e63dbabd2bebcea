/* SPDX-License-Identifier: PostgreSQL
 *
 * A WAL file into the stores of its cluster: looked at, compared with what is
 * there under its name, encrypted and sent to those that lack it.
 */
#ifndef PGCASK_PIPELINE_SEGMENT_PUSH_H
#define PGCASK_PIPELINE_SEGMENT_PUSH_H

#include "base/mem.h"
#include "config/settings.h"
#include "pg/wal-name.h"
#include "pipeline/stores.h"
#include "stage/blob.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- one file ---- */

struct segment_file {
    int fd; /* -1: none */
    char *path;
    struct wal_name name;
    uint64_t size;
    uint64_t system_identifier; /* 0: the file does not say, and nothing else does */
};

/* Open and check it: a segment is the one that its name says, of the system `system_identifier` (0: of any), a history can
 * be read. ERROR_CORRUPT when it is not what it must be, ERROR_USAGE when its name is none. */
int segment_file_open(const char *path, uint64_t system_identifier, struct segment_file *ret_file);
void segment_file_close(struct segment_file *file);
void cleanup_segment_file(struct segment_file *file);
#define CLEANUP_SEGMENT_FILE __attribute__((cleanup(cleanup_segment_file)))

/* Whose the WAL directory is in which `path` lies: what the data directory's pg_control says; 0: it is not there. */
int segment_system_of(const char *path, uint64_t *ret_system_identifier);

/* ---- the stores ---- */

struct pusher; /* opaque; for any number of threads at once */

/* Open the cluster's stores and load the keys. Stores that cannot be opened are told as warnings and left out; it is an
 * error when none is left. */
int pusher_open(const struct config *config, const struct config_item *cluster, struct pusher **ret_pusher);
void pusher_close(struct pusher *pusher);
CLEANUP_DEFINE(struct pusher, pusher_close)

/* 0: every required store has the file durably, whether it was there before (*ret_sent false) or came there now. Else what
 * is in some of the stores stays there. ERROR_CORRUPT: a store has another file of that name. A store that fails is asked
 * no more by this pusher; an optional one only warns. The file's system identifier must be known; its first `size` bytes
 * count. Of a .partial a store may have several: each that was pushed is kept. */
int pusher_send(struct pusher *pusher, struct blob_tools *tools, const struct segment_file *file, bool *ret_sent);
/* Is there a store left to send to? */
bool pusher_alive(const struct pusher *pusher);
/* Those that could be opened; borrowed. */
const struct stores *pusher_stores(const struct pusher *pusher);

#endif
