/* SPDX-License-Identifier: PostgreSQL
 *
 * What a running server says of its write-ahead log: where it is, what waits to be archived, what slots hold back. Only
 * SQL, and only questions: nothing is changed.
 */
#ifndef PGCASK_PG_WAL_SERVER_H
#define PGCASK_PG_WAL_SERVER_H

#include "base/buf.h"
#include "pg/conn.h"

#include <stdbool.h>
#include <stdint.h>

enum { WAL_SERVER_READY_MAX = 10000 }; /* names kept of what waits; all of it is counted */

/* A physical slot. */
struct wal_server_slot {
    char *name;
    bool active;
    char *state;            /* wal_status: reserved, extended, unreserved, lost; NULL: no WAL is kept for it yet */
    uint64_t retained_bytes; /* of WAL that is kept for it */
    int64_t safe_bytes;     /* that may be written until it is lost; -1: no limit */
};

struct wal_server {
    char *version;              /* "15.20 (Debian …)" */
    char *system_identifier;
    uint32_t timeline, segment_bytes;
    bool standby;
    uint64_t lsn;               /* written up to here; of a standby: replayed */
    int64_t now_s;              /* the server's clock */
    bool archives;              /* archive_mode is on */

    bool archiver_known;
    int64_t archived, failed;   /* since the statistics were reset */
    char *last_archived, *last_failed; /* file names; NULL: none */
    int64_t last_archived_s, last_failed_s;

    bool ready_known;           /* false: the role may not look */
    uint64_t ready_count;       /* files that wait to be archived */
    int64_t ready_oldest_s;     /* since when the first of them does; 0: none */
    struct strv ready;          /* their names */

    bool files_known;           /* of pg_wal: false when the role may not look */
    uint64_t files_bytes;
    char *wal_dir;              /* where it is on the server; NULL: not told */

    struct wal_server_slot *slots;
    size_t len, cap;
};

/* What the role may not see is left out, and said in `*_known`; 13 to 18. */
int wal_server_ask(struct pg_conn *conn, struct wal_server *ret_server);
void wal_server_free(struct wal_server *server);
void cleanup_wal_server(struct wal_server *server);
#define CLEANUP_WAL_SERVER __attribute__((cleanup(cleanup_wal_server)))

#endif
