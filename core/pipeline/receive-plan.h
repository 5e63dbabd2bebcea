/* SPDX-License-Identifier: PostgreSQL
 *
 * Where streaming of WAL goes on: exactly where the spool or the archive ends, on whatever timeline the server's
 * history says. Pure; knows neither server nor store.
 */
#ifndef PGCASK_PIPELINE_RECEIVE_PLAN_H
#define PGCASK_PIPELINE_RECEIVE_PLAN_H

#include "catalog/wal-range.h"
#include "pg/wal-history.h"

#include <stdbool.h>
#include <stdint.h>

/* Streaming always begins with a whole segment. */
struct receive_point {
    uint32_t timeline;
    uint64_t segment; /* its number, from the start of the log */
};

enum receive_origin {
    RECEIVE_FROM_SPOOL,   /* where the spool ends */
    RECEIVE_FROM_ARCHIVE, /* where the archive ends */
    RECEIVE_FROM_SLOT,    /* what is missing begins before that: where the slot was told that all is safe */
    RECEIVE_FROM_NOW,     /* nothing was ever archived: the server's current segment, or what the slot has kept */
};

struct receive_facts {
    uint32_t segment_bytes;
    const struct wal_history *history; /* of the server's current timeline */
    uint64_t server_lsn;
    bool spooled;
    struct receive_point spool;       /* the segment that is to be continued */
    const struct wal_ranges *archive; /* NULL: not looked at */
    uint64_t slot_lsn;                /* 0: no slot, or one that keeps nothing yet */
};

struct receive_plan {
    struct receive_point point;
    enum receive_origin origin;
    uint32_t
        forked; /* there is WAL of that timeline behind the place where the server's history left it; 0: there is not */
};

/* Can receive_plan_make do without facts.archive? */
bool receive_plan_is_spooled(const struct receive_facts *facts);
/* PGCASK_NOT_FOUND when the archive holds WAL, but none that this server's history comes from. */
int receive_plan_make(const struct receive_facts *facts, struct receive_plan *ret_plan);
/* Past everything that the archive holds whole from `point` on; false: nothing was passed. */
bool receive_plan_pass(const struct receive_facts *facts, struct receive_point *point);

uint64_t receive_point_lsn(const struct receive_point *point, uint32_t segment_bytes);

#endif
