/* SPDX-License-Identifier: PostgreSQL
 *
 * The archiving half of `wal receive`: a thread of its own that brings what lies in the spool into the stores, one file
 * after the other, and takes it out of the spool when every required store has it. A slow or failing store never holds
 * up receiving; what is behind it waits in the spool. How a file gets into the stores is not known here.
 *
 *   whole segments, histories, ends of timelines ─► queue, in order ─┐
 *   the segment being received ─► its first N bytes, now and then  ──┴─► stores
 */
#ifndef PGCASK_PIPELINE_RECEIVE_ARCHIVE_H
#define PGCASK_PIPELINE_RECEIVE_ARCHIVE_H

#include "base/mem.h"
#include "catalog/label.h"
#include "pipeline/receive-spool.h"

#include <stdbool.h>
#include <stdint.h>

/* Called by the archiver's thread, one at a time. */
struct archiver_ops {
    /* Bring the first `len` bytes of that file into the stores. 0 only when every required store has them durably.
     * ERROR_CORRUPT (another content is there, or it is not what its name says), ERROR_USAGE: no second try can mend
     * it. PGCASK_NOT_FOUND: there is no such file, which is right for a .partial that has become whole. */
    int (*store)(void *ctx, const struct spool_item *item, uint64_t len, char ret_digest[LABEL_DIGEST_CHARS + 1]);
    /* `item` was stored. Remove what it makes needless, where it is: the .partial with the digest `shorter`, being one
     * itself with the digest `digest`; or (NULL) all of that segment, being whole. Best effort. */
    void (*forget)(void *ctx, const struct spool_item *item, const char *digest, const char *shorter);
    /* Something got into the stores, or nothing ever will. */
    void (*moved)(void *ctx);
};

struct archiver; /* opaque */

/* `dir` (of the spool), `ops` and `ctx` are borrowed until archiver_free. `partial_interval_ms` 0: the segment being
 * received is stored only when it is asked for. */
int archiver_start(const char *dir, int64_t partial_interval_ms, const struct archiver_ops *ops, void *ctx,
                   struct archiver **ret_archiver);
/* Ends the thread after what it is about; the rest stays in the spool. */
void archiver_free(struct archiver *archiver);
CLEANUP_DEFINE(struct archiver, archiver_free)

/* To be stored, all of it, and then taken out of the spool; with `keep` it stays there. What is in the queue already is
 * passed over. `lsn`: where its WAL begins. */
void archiver_add(struct archiver *archiver, const struct spool_item *item, uint64_t lsn, bool keep);
/* `item` (WAL_PARTIAL, from `lsn`) is being received; `synced` bytes of it are on the disk. */
void archiver_current(struct archiver *archiver, const struct spool_item *item, uint64_t lsn, uint64_t synced);
/* Store what there is of the current one at once, whatever the interval. */
void archiver_hasten(struct archiver *archiver);

/* All WAL of the current one's history before that is in every required store; 0: not known. */
uint64_t archiver_stored_lsn(struct archiver *archiver);
uint64_t archiver_backlog_bytes(struct archiver *archiver); /* of the files that wait in the queue */
/* The error that no second try can mend, in this thread's slot; else 0. */
int archiver_check(struct archiver *archiver);
/* Wait until something has moved; at most so long. */
void archiver_wait(struct archiver *archiver, int64_t ms);
/* Store all there is, the current one, too; until something fails or the time is over. Returns how many files of the
 * spool are not stored. */
size_t archiver_drain(struct archiver *archiver, int64_t ms);

#endif
