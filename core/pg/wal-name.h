/* SPDX-License-Identifier: PostgreSQL
 *
 * What PostgreSQL calls the files of its write-ahead log, and positions in it. Pure.
 *
 *   00000002 0000001A 000000FF          segment: timeline, and the two halves of its number
 *   000000020000001A000000FF.partial    what a timeline had of its last segment when it was left
 *   000000020000001A000000FF.00000028.backup    label of a base backup that began there
 *   00000002.history                    where timeline 2 comes from
 */
#ifndef PGCASK_PG_WAL_NAME_H
#define PGCASK_PG_WAL_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WAL_SEGMENT_MIN_BYTES = 1 << 20, /* initdb --wal-segsize: powers of two from 1 MiB to 1 GiB */
    WAL_SEGMENT_MAX_BYTES = 1 << 30,
    WAL_NAME_CHARS = 24, /* of a segment */
};

enum wal_file { WAL_SEGMENT, WAL_PARTIAL, WAL_LABEL, WAL_HISTORY };

struct wal_name {
    enum wal_file file;
    uint32_t timeline;
    uint32_t log, piece; /* the two halves; 0 for WAL_HISTORY */
    uint32_t offset;     /* WAL_LABEL: where in the segment the backup began */
};

/* ERROR_USAGE unless `name` is exactly one of the four, upper case as PostgreSQL writes it. */
int wal_name_parse(const char *name, struct wal_name *ret_name);
char *wal_name_text(const struct wal_name *name); /* owned by the caller */

/* The number of a segment counts from the start of the log: LSN / segment size. `segment_bytes`: a valid size. */
bool wal_segment_size_is_valid(uint64_t segment_bytes);
uint64_t wal_segment_number(const struct wal_name *name, uint32_t segment_bytes);
/* ERROR_CORRUPT when the second half is too large for that segment size. */
int wal_segment_check(const struct wal_name *name, uint32_t segment_bytes);
struct wal_name wal_segment_at(uint32_t timeline, uint64_t number, uint32_t segment_bytes);

/* "1A/FF000028" */
int wal_lsn_parse(const char *text, uint64_t *ret_lsn); /* ERROR_USAGE */
char *wal_lsn_text(uint64_t lsn);                       /* owned by the caller */

#endif
