/* SPDX-License-Identifier: PostgreSQL
 *
 * Between conn.c and replication*.c only: libpq's words as ours.
 */
#ifndef PGCASK_PG_CONN_PRIVATE_H
#define PGCASK_PG_CONN_PRIVATE_H

#include <libpq-fe.h>

/* libpq's message on one line; owned by the caller. */
char *pg_words(const char *message);
/* Why there is no connection, with the cure where it is known. */
int pg_connect_failed(PGconn *pq);

#endif
