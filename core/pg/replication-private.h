/* SPDX-License-Identifier: PostgreSQL
 *
 * Between replication*.c only.
 */
#ifndef PGCASK_PG_REPLICATION_PRIVATE_H
#define PGCASK_PG_REPLICATION_PRIVATE_H

#include "pg/replication.h"

#include <stdatomic.h>

struct replication {
    struct pg_server server;
    PGconn *pq;
    PGcancel *cancel;
    int wake_fd;
    atomic_bool woken;
    char state[6];      /* SQLSTATE of the last refusal */
    char *text;         /* version, as the server tells it */
    char *message;      /* of the stream: what was handed out last */
    bool history_ended; /* the timeline was left exactly where streaming was to begin */
    uint32_t next_timeline;
    uint64_t next_lsn;
    void (*notice)(void *ctx, const PGresult *notice);
    void *notice_ctx;
};

/* A command with at most one result of rows; `ret_result` may be NULL. */
int replication_ask(struct replication *replication, const char *command, PGresult **ret_result);
/* The text of a field; ERROR_CORRUPT when it is not there. */
int replication_field(const PGresult *result, int column, const char **ret_text);
int replication_field_number(const PGresult *result, int column, uint64_t max, uint64_t *ret_number);
int replication_field_lsn(const PGresult *result, int column, uint64_t *ret_lsn);
/* Wait for the server: 1: something came, 0: the time is over or somebody woke us. `wakes`: replication_wake counts. */
int replication_wait(struct replication *replication, int timeout_ms, bool wakes);
/* What libpq says of a connection that broke. PGCASK_RETRY. */
int replication_broken(const struct replication *replication);

#endif
