/* SPDX-License-Identifier: PostgreSQL
 *
 * What was sent ahead of its call: a small file on this host says so of each WAL
 * file, and the call for it needs nothing else. Written only behind the commit in
 * every required store, so it may get lost but cannot say too much; it counts only
 * for the very same file, unchanged, under the same config. Needs nothing but
 * core/base and libxxhash: this is the path that has to be quick.
 *
 *   <state_dir>/wal/<cluster>/sent-<device>-<inode>/<name>    of the directory that the WAL is in
 */
#ifndef PGCASK_PIPELINE_SEGMENT_RECORD_H
#define PGCASK_PIPELINE_SEGMENT_RECORD_H

#include <stdbool.h>

/* Where the records of the WAL files beside `path` are; owned by the caller. NULL with the error's text when that directory
 * cannot be looked at. */
char *segment_record_dir(const char *state_dir, const char *cluster, const char *path);

/* Is there a record, and does it fit the file at `path` and the config as they are now? It is taken away in any case. */
bool segment_record_take(const char *state_dir, const char *cluster, const char *config_path, const char *path);

/* How the open file is now; what a record of it would say. Owned by the caller, NULL with the error's text. Take it before
 * the file is read, and keep it when it is still the same behind all. */
char *segment_record_text(const char *config_path, int fd, const char *path);
/* PGCASK_FAILED when it cannot be written: nothing is lost but the time of sending it again. */
int segment_record_keep(const char *dir, const char *path, const char *text);
/* Is there any record for that file? */
bool segment_record_exists(const char *dir, const char *name);

#endif
