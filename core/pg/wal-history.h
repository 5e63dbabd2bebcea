/* SPDX-License-Identifier: PostgreSQL
 *
 * A timeline's history file: the timelines it comes from and where each was left. Pure; foreign bytes, fuzzed.
 */
#ifndef PGCASK_PG_WAL_HISTORY_H
#define PGCASK_PG_WAL_HISTORY_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAL_HISTORY_LIMIT_BYTES = 1 << 20 };

/* Oldest first; the timeline itself is the last, with end_lsn UINT64_MAX. */
struct wal_history {
    struct wal_history_entry {
        uint32_t timeline;
        uint64_t end_lsn; /* it was left there: this LSN belongs to the next one */
    } *entries;
    size_t len, cap;
};

/* `text` NULL: timeline 1, or one whose history is not known: it is its only entry. ERROR_CORRUPT: not a history file of
 * `timeline` (not ascending, itself among its ancestors, not a number). */
int wal_history_read(uint32_t timeline, const char *text, size_t len, struct wal_history *ret_history);
void wal_history_free(struct wal_history *history);
void cleanup_wal_history(struct wal_history *history);
#define CLEANUP_WAL_HISTORY __attribute__((cleanup(cleanup_wal_history)))

/* The timeline on which `lsn` lies; 0 when the history does not reach it. */
uint32_t wal_history_at(const struct wal_history *history, uint64_t lsn);

#endif
