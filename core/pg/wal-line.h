/* SPDX-License-Identifier: PostgreSQL
 *
 * A line of pg_waldump's, and the words in it. For wal-trace.c. Pure; foreign bytes.
 */
#ifndef PGCASK_PG_WAL_LINE_H
#define PGCASK_PG_WAL_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Taken apart; borrowed from the line. */
struct wal_line {
    const char *rmgr, *desc;
    size_t rmgr_len;
    uint32_t xid;
    uint64_t lsn;
};
/* False: it is no record. */
bool wal_line_read(const char *line, struct wal_line *ret_line);

/* Each moves `*at` behind what it took, and leaves it alone when that is not there. */
bool line_take(const char **at, const char *word);
bool line_take_number(const char **at, uint32_t *ret_number); /* decimal, at most 32 bits */
/* Behind that word; NULL: it is not there. */
const char *line_behind(const char *text, const char *word);
/* "base/5/16402", "pg_tblspc/16500/PG_15_202209061/5/16402": database and file, and behind it in any case. False also for
 * forks other than the main one, which are no storage of rows. */
bool line_take_path(const char **at, uint32_t *ret_database, uint32_t *ret_node);
/* "rel 1663/5/16385" of the first page that the record is about. */
bool line_node(const char *desc, uint32_t *ret_database, uint32_t *ret_node);

#endif
