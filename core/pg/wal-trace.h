/* SPDX-License-Identifier: PostgreSQL
 *
 * What transactions did to the tables of one database, out of the lines of pg_waldump: which were locked, whose files were
 * made and dropped, how many rows were deleted and updated. Pure; foreign bytes, fuzzed. PostgreSQL 13 to 18.
 */
#ifndef PGCASK_PG_WAL_TRACE_H
#define PGCASK_PG_WAL_TRACE_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WAL_TRACE_LIST_MAX = 1000000 /* entries of one list of one transaction: what is more is not kept */ };

struct wal_trace_oids {
    uint32_t *items;
    size_t len, cap;
};

/* A file that was made: a new table, or new storage of one. */
struct wal_trace_file {
    uint32_t node;    /* its name in the database's directory */
    size_t locks;     /* so many of the locks were taken before */
    uint64_t rows;    /* records of rows that went into it, each of one row or more */
    uint64_t pages;   /* pages that were copied into it whole */
};
/* What was done to the rows in one file. */
struct wal_trace_rows {
    uint32_t node;
    uint64_t deleted, updated;
};

/* A transaction with all its subtransactions that were not rolled back. */
struct wal_trace_commit {
    uint32_t xid;
    uint64_t lsn;     /* of the commit record */
    int64_t time_us;  /* microseconds since 1970 UTC */
    struct wal_trace_oids locks;     /* tables and indexes that nobody else could use, by OID, in order */
    struct wal_trace_oids drops;     /* files, in the commit record's order */
    struct wal_trace_oids gone;      /* OIDs of tables and indexes that are no more; 15+ */
    struct wal_trace_oids truncated; /* OIDs, in so many words; wal_level = logical only */
    struct wal_trace_file *files;
    size_t file_len, file_cap;
    struct wal_trace_rows *rows;
    size_t row_len, row_cap;
    uint64_t class_deletes;          /* rows of pg_class that were deleted */
    uint32_t dropped_database;       /* its OID, whichever it is; 0: none */
    uint64_t dropped_lsn;            /* of the record that does it, which comes before the commit */
};
void wal_trace_commit_free(struct wal_trace_commit *commit);
bool wal_trace_has(const struct wal_trace_oids *oids, uint32_t oid);

struct wal_trace; /* opaque */
/* `commit` is called for each transaction of `database` (an OID; 0: only databases that are dropped are told of) when it has
 * committed; it may take the arrays and leave zeros. Those that did nothing of the above are passed over. */
struct wal_trace *wal_trace_new(uint32_t database, void (*commit)(void *ctx, struct wal_trace_commit *commit), void *ctx);
void wal_trace_free(struct wal_trace *trace);
CLEANUP_DEFINE(struct wal_trace, wal_trace_free)

/* One line, NUL-terminated, without its newline. What is no record is passed over, and so is one that was read before: who
 * goes on where the last one began misses nothing. */
void wal_trace_line(struct wal_trace *trace, const char *line);

/* The last record; zeros before the first. */
uint64_t wal_trace_lsn(const struct wal_trace *trace);
uint64_t wal_trace_records(const struct wal_trace *trace);
/* The times of the first and the last end of a transaction, whatever it did; 0: there was none. */
int64_t wal_trace_first_us(const struct wal_trace *trace);
int64_t wal_trace_last_us(const struct wal_trace *trace);

#endif
