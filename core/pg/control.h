/* SPDX-License-Identifier: PostgreSQL
 *
 * A data directory's global/pg_control: whose it is. PostgreSQL 13 to 18, and later ones as long as they keep its first
 * fields and its checksum.
 */
#ifndef PGCASK_PG_CONTROL_H
#define PGCASK_PG_CONTROL_H

#include <stddef.h>
#include <stdint.h>

enum { CONTROL_BYTES = 8192 }; /* PG_CONTROL_FILE_SIZE */

struct control {
    uint64_t system_identifier;
    uint32_t version;         /* PG_CONTROL_VERSION: 1300 for PostgreSQL 13 to 16, 1700, 1800 */
    uint32_t catalog_version;
};

/* ERROR_CORRUPT when its CRC is wrong. Pure; foreign bytes, fuzzed. */
int control_read(const void *data, size_t len, struct control *ret_control);
/* That of the data directory `dir`; PGCASK_NOT_FOUND when there is none. A server may be writing it: what does not fit is
 * read again for a moment. */
int control_load(const char *dir, struct control *ret_control);

#endif
