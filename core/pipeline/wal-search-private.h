/* SPDX-License-Identifier: PostgreSQL
 *
 * Between wal-search*.c only.
 */
#ifndef PGCASK_PIPELINE_WAL_SEARCH_PRIVATE_H
#define PGCASK_PIPELINE_WAL_SEARCH_PRIVATE_H

#include "pipeline/wal-read.h"
#include "pipeline/wal-search.h"
#include "pipeline/wal-status.h"

/* A point that is a time or an LSN. */
struct hunt_edge {
    bool given;
    uint64_t lsn; /* 0: it is a time */
    int64_t time_us;
};

struct hunt {
    const struct wal_search_options *options;
    struct wal_search *search;
    struct wal_status status;
    const struct wal_history *history; /* of the timeline that is looked through */
    struct wal_reader reader;
    struct hunt_edge from, to;
    uint64_t *numbers; /* of segments that can be had, ascending */
    size_t len, cap;
    char *dir, *program;
    struct strv files; /* in it */
    struct wal_trace *trace;
    struct wal_trace_commit *commits;
    size_t commit_len, commit_cap;
};

/* Bring the segments, read them, and take them away again. */
int hunt_run(struct hunt *hunt);
void hunt_free(struct hunt *hunt);

#endif
