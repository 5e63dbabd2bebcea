/* SPDX-License-Identifier: PostgreSQL
 *
 * BASE_BACKUP as a stream that is pulled: the archives (tar) of a running
 * server's data directory and tablespaces, then PostgreSQL's backup_manifest.
 * PostgreSQL 13 and 14 send one COPY for each, from 15 on all come in one;
 * nobody else has to know.
 *
 *   begin ─► facts: start, tablespaces ─► (next ─► read, read, … 0)* ─► next says no more ─► facts: stop, bad pages
 *
 * Source of the protocol: BASE_BACKUP in "Streaming Replication Protocol" of PostgreSQL's documentation, 13 to 18.
 */
#ifndef PGCASK_PG_BASEBACKUP_H
#define PGCASK_PG_BASEBACKUP_H

#include "pg/replication.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BASEBACKUP_RATE_MIN_KIB = 32, /* the server's limits for MAX_RATE, a second */
    BASEBACKUP_RATE_MAX_KIB = 1024 * 1024,
    BASEBACKUP_TABLESPACES_MAX = 100000,
};

struct basebackup_spec {
    const char *label;
    bool fast;            /* an immediate checkpoint; else the server spreads it over its usual time */
    bool wal;             /* put the WAL from start to stop into the first directory's archive */
    bool incremental;     /* since the backup whose manifest basebackup_upload has sent; 17+ */
    uint64_t max_rate;    /* bytes a second; 0: no limit */
    const char *compress; /* "zstd" or "lz4": each archive comes compressed so, the manifest does not; 15+; NULL: not */
};

struct basebackup_tablespace {
    char *oid, *location; /* NULL for the data directory itself */
    uint64_t size;        /* bytes, about; 0: not known */
};

struct basebackup_facts {
    uint64_t start_lsn, stop_lsn; /* stop: known at the end */
    uint32_t timeline;            /* at the start */
    uint32_t stop_timeline;       /* another one: the standby that was read from was promoted meanwhile */
    uint64_t size;                /* of all, about */
    struct basebackup_tablespace *tablespaces;
    size_t len, cap;
    int64_t bad_pages; /* whose checksum was wrong; known at the end */
};

enum basebackup_kind { BASEBACKUP_DATA, BASEBACKUP_TABLESPACE, BASEBACKUP_MANIFEST };
struct basebackup_archive {
    enum basebackup_kind kind;
    const struct basebackup_tablespace *tablespace; /* NULL for the manifest; borrowed until basebackup_free */
};

struct basebackup; /* opaque */

/* Ask for it, and wait for its start: with `fast` unset that takes as long as a checkpoint. The connection is the
 * caller's and must outlive it; after an error it is of no more use. PGCASK_UNSUPPORTED for what the server is too old
 * for. */
int basebackup_begin(struct replication *replication, const struct basebackup_spec *spec,
                     struct basebackup **ret_basebackup);
void basebackup_free(struct basebackup *basebackup);
CLEANUP_DEFINE(struct basebackup, basebackup_free)

const struct basebackup_facts *basebackup_facts(const struct basebackup *basebackup);
/* The next archive, whose predecessor must have been read to its end: 1, or 0 behind the last one. Then all facts are
 * known, and pages that were bad are no error. PGCASK_RETRY as in replication.h. */
int basebackup_next(struct basebackup *basebackup, struct basebackup_archive *ret_archive);
/* Of the type member_read: up to `size` bytes of the archive, less only at its end. Each tar ends with its two blocks
 * of zeros, also where the server leaves them out. */
int basebackup_read(void *basebackup, void *data, size_t size, size_t *ret_len);

/* Send the backup_manifest of an earlier backup, which `read` (of the type member_read) gives. */
int basebackup_upload(struct replication *replication, int (*read)(void *ctx, void *data, size_t size, size_t *ret_len),
                      void *ctx);

#endif
