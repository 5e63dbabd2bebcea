/* SPDX-License-Identifier: PostgreSQL
 *
 * Which transaction dropped, emptied or changed most of a table: found in the archived WAL by what pg_waldump prints, and
 * told as the recovery target that brings back the state before it.
 */
#ifndef PGCASK_PIPELINE_WAL_SEARCH_H
#define PGCASK_PIPELINE_WAL_SEARCH_H

#include "base/buf.h"
#include "config/settings.h"
#include "pg/wal-trace.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WAL_SEARCH_ROWS = 100,         /* fewer rows of one transaction are daily work */
    WAL_SEARCH_PAST_S = 24 * 3600, /* how far back, when it is not said */
    WAL_SEARCH_OIDS_MAX = 16,      /* shown of one drop when the table is not known */
};

enum wal_finding_kind {
    WAL_FINDING_DROPPED,
    WAL_FINDING_TRUNCATED, /* `rows` were put in again by the same transaction */
    WAL_FINDING_DELETED,   /* `rows` of them */
    WAL_FINDING_UPDATED,   /* `rows` of them */
    WAL_FINDING_REWRITTEN, /* VACUUM FULL, CLUSTER, ALTER TABLE: nothing is lost by it */
    WAL_FINDING_DATABASE,  /* all of it was dropped */
};
struct wal_finding {
    enum wal_finding_kind kind;
    bool sure;        /* false: it may have been another table of the same transaction */
    uint32_t xid;
    uint64_t lsn;     /* of the commit; WAL_FINDING_DATABASE: of the record that removes the files */
    int64_t time_us;  /* of the commit */
    uint64_t rows;
    struct wal_trace_oids oids; /* of tables and indexes that it dropped; only when the table is not known */
};

/* What is looked for. */
struct wal_search_table {
    uint32_t database;    /* OID; 0: not known */
    uint32_t oid;         /* 0: not known */
    uint32_t node;        /* its file today; 0: it is no more, or not known */
    int server_major;     /* whose WAL it is */
    uint64_t min_rows;
};

struct wal_search {
    struct wal_search_table table;
    bool exists;               /* the server has a table of that name */
    char *name;                /* "public.orders" as the server writes it, or as given */
    struct wal_finding *findings; /* by LSN */
    size_t len, cap;
    uint32_t created_xid;      /* the table of today was made by that transaction: an earlier one of its name had another OID */
    int64_t created_us;
    uint32_t timeline;
    uint64_t from_lsn, to_lsn; /* what was looked through */
    int64_t first_us, last_us; /* of the transactions in it; 0: there was none */
    uint64_t segments, records;
    struct strv doubts;        /* what was left out, each a sentence */
};

struct wal_search_options {
    const struct config *config;
    const char *cluster, *store, *database, *table, *oid, *database_oid, *from, *to, *timeline, *wal_dir, *bindir;
    uint64_t min_rows;
};
/* ERROR_USAGE for what cannot be looked for. PGCASK_NOT_FOUND: the archive is without WAL from that time. */
int wal_search_run(const struct wal_search_options *options, struct wal_search *ret_search);
void wal_search_free(struct wal_search *search);
void cleanup_wal_search(struct wal_search *search);
#define CLEANUP_WAL_SEARCH __attribute__((cleanup(cleanup_wal_search)))

/* ---- for wal-search*.c and their tests ---- */

/* Is this commit needed by wal_search_find? */
bool wal_search_wants(const struct wal_search_table *table, const struct wal_trace_commit *commit);
/* Pure. `commits` in the order of their LSN. */
void wal_search_find(const struct wal_search_table *table, const struct wal_trace_commit *commits, size_t count,
                     struct wal_search *search);
/* Ask the server for OIDs and file, as far as it knows them and they were not given. */
int wal_search_ask(const struct wal_search_options *options, const struct config_item *cluster, struct wal_search *search);

#endif
