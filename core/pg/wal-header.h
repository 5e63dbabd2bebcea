/* SPDX-License-Identifier: PostgreSQL
 *
 * The long header on the first page of a segment: whose it is, and which. Pure; foreign bytes, fuzzed.
 * Source: XLogLongPageHeaderData in PostgreSQL's access/xlog_internal.h, 13 to 18.
 */
#ifndef PGCASK_PG_WAL_HEADER_H
#define PGCASK_PG_WAL_HEADER_H

#include "pg/wal-name.h"

#include <stddef.h>
#include <stdint.h>

enum { WAL_HEADER_BYTES = 40 };

struct wal_header {
    int major; /* 13 … 18, from the page's magic; 0: a magic that is not known */
    uint32_t timeline;
    uint64_t address; /* LSN of the page */
    uint64_t system_identifier;
    uint32_t segment_bytes, block_bytes;
};

/* ERROR_CORRUPT when these are not the first bytes of a segment (zeros, another byte order, nonsense sizes). */
int wal_header_read(const void *data, size_t len, struct wal_header *ret_header);
/* ERROR_CORRUPT unless the header belongs into the segment called `name`, of `size` bytes in all. The timeline of a page
 * may be lower than the file's: the segment in which a timeline begins is a copy. */
int wal_header_check(const struct wal_header *header, const struct wal_name *name, uint64_t size);

#endif
