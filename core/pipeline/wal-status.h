/* SPDX-License-Identifier: PostgreSQL
 *
 * What of a cluster can be restored, by evidence alone: the base backups and WAL that its stores list, the timelines'
 * histories, and what the server says while it answers.
 */
#ifndef PGCASK_PIPELINE_WAL_STATUS_H
#define PGCASK_PIPELINE_WAL_STATUS_H

#include "base/error.h"
#include "catalog/wal-list.h"
#include "catalog/wal-range.h"
#include "pg/wal-server.h"
#include "pipeline/repo.h"

enum { WAL_STATUS_LAG_MS = 5 * 60 * 1000 };

/* Why segments are not in a store. */
enum wal_gap_kind {
    WAL_GAP_LOST,      /* nobody has them */
    WAL_GAP_ELSEWHERE, /* another store has them */
    WAL_GAP_WAITING,   /* the server has them, and has yet to archive them */
    WAL_GAP_LATE,      /* just before the newest: they may still be on their way */
    WAL_GAP_DISPUTED,  /* the store has two contents of each */
};
struct wal_gap {
    struct wal_range range;
    enum wal_gap_kind kind;
    struct strv where; /* WAL_GAP_ELSEWHERE: names of stores that have the first of them */
};

/* One store, or all of them together. */
struct wal_view {
    const char *name;       /* NULL: all together */
    bool required, wanted;  /* wanted: one of the cluster's wal_stores */
    uint64_t files, stored_bytes;
    struct wal_ranges ranges;
    struct wal_range newest; /* whole segment; its timeline is 0 when there is none */
    int64_t newest_s;        /* when it was stored; 0: not known */
    struct wal_windows windows; /* `bases` are indices into the status' bases */
    struct wal_gap *gaps;
    size_t len, cap;
    uint64_t behind;         /* segments that another store has, newer than all of this one */
    int64_t behind_s;        /* since when the first of them is there; 0: not known */
};

struct wal_status_base {
    const char *id;     /* borrowed from the repo's catalog */
    const char *parent; /* of an incremental one: the id it builds on; NULL: a full one */
    bool *in_store;     /* one for each store of the repo: it is there, and not known to be bad */
};

struct wal_status {
    struct repo repo;
    char *system_identifier; /* NULL: neither the server nor any store knows one */
    struct strv others;      /* system identifiers of earlier histories that something is there of */
    uint32_t segment_bytes;
    bool segment_guessed;
    int64_t now_s, max_lag_ms;
    struct wal_list list;    /* `store` is an index into repo.stores */
    struct wal_history *histories;
    size_t history_len, history_cap;
    struct strv unknown;     /* timelines whose history cannot be read, and why */
    struct wal_base *bases;
    struct wal_status_base *base_facts; /* one for each of them */
    size_t base_len, base_cap, base_fact_cap;
    struct wal_view all;
    struct wal_view *views;  /* one for each store of the repo */
    size_t view_len;
    bool server_answers;
    struct error server_error;
    struct wal_server server;
    uint64_t server_behind;  /* segments that the server has filled and no store has */
    uint64_t free_bytes;     /* where the server's WAL is, when that is here; 0: not known */
    struct strv alarms;      /* what is not as it should be: each is a sentence */
};

struct wal_status_options {
    const char *cluster;           /* NULL: the only one */
    const char *store;             /* NULL: all of its wal_stores */
    const char *system_identifier; /* NULL: the server's, else the newest */
    bool offline;                  /* do not ask the server */
    int64_t max_lag_ms;            /* how long a segment may take to be in every required store */
};
/* A store that does not answer is an alarm, and an error only when none does; a server that does not answer is neither. */
int wal_status_load(const struct config *config, const struct wal_status_options *options, struct wal_status *ret_status);
void wal_status_free(struct wal_status *status);
void cleanup_wal_status(struct wal_status *status);
#define CLEANUP_WAL_STATUS __attribute__((cleanup(cleanup_wal_status)))

/* Number of segments in it. */
uint64_t wal_status_count(const struct wal_range *range);
/* "000000010000000000000012", or "… to …". Owned by the caller. */
char *wal_status_range_text(const struct wal_status *status, const struct wal_range *range);
/* When the segment that holds the byte before `lsn` came into the first store that has it; 0: not known. */
int64_t wal_status_time(const struct wal_status *status, const struct wal_reach *reach);

#endif
