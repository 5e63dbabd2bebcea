/* SPDX-License-Identifier: PostgreSQL
 *
 * A connection in PostgreSQL's streaming replication protocol, PostgreSQL 13 to
 * 18: who the server is, slots, and its WAL as it is written. Base backups are
 * read over one, too: see basebackup.h. Errors in our words; every wait ends
 * when the run is cancelled. A connection is one thread's, but for
 * replication_wake.
 *
 *   identify ─► (history) ─► (slot) ─► stream_begin ─► next, next, status, next … TIMELINE_END ─► stream_begin …
 */
#ifndef PGCASK_PG_REPLICATION_H
#define PGCASK_PG_REPLICATION_H

#include "base/buf.h"
#include "base/mem.h"
#include "pg/conn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replication; /* opaque */

/* `server` is borrowed until replication_close. `application_name`: as in synchronous_standby_names; NULL: what
 * conninfo says, else "pgcask". Refusals that have a cure (no REPLICATION attribute, no line in pg_hba.conf, all WAL
 * senders taken) come with it. PGCASK_UNSUPPORTED for a server older than 13. */
int replication_connect(const struct pg_server *server, const char *application_name,
                        struct replication **ret_replication);
void replication_close(struct replication *replication);
CLEANUP_DEFINE(struct replication, replication_close)

int replication_server_version(const struct replication *replication);      /* 150020 */
const char *replication_server_text(const struct replication *replication); /* "15.20 (Debian …)", borrowed */
const char *replication_sqlstate(const struct replication *replication);    /* of the last refusal, or "" */

struct replication_system {
    char identifier[24]; /* digits */
    uint32_t timeline;   /* of a standby: the one it replays */
    uint64_t lsn;        /* flushed up to here; of a standby: replayed or received */
};
int replication_identify(struct replication *replication, struct replication_system *ret_system);
/* The text of a timeline's history file, added to `ret_text`; timeline 1 has none: PGCASK_NOT_FOUND. */
int replication_history(struct replication *replication, uint32_t timeline, struct buf *ret_text);
/* A setting of the server as SHOW prints it; owned by the caller. */
int replication_show(struct replication *replication, const char *name, char **ret_value);
int replication_segment_bytes(struct replication *replication, uint32_t *ret_bytes);

/* ---- physical slots ---- */

enum replication_slot_state {
    REPLICATION_SLOT_NONE,    /* there is none of that name */
    REPLICATION_SLOT_FREE,    /* no WAL is kept for it yet */
    REPLICATION_SLOT_GOOD,    /* the WAL from restart_lsn on is there */
    REPLICATION_SLOT_ENDING,  /* the next checkpoint may take some of that away (wal_status = unreserved) */
    REPLICATION_SLOT_LOST,    /* some of it has gone: the slot is of no more use */
    REPLICATION_SLOT_FOREIGN, /* a logical one */
};
struct replication_slot {
    enum replication_slot_state state;
    bool active;          /* somebody streams from it */
    int active_pid;       /* 0: nobody */
    uint64_t restart_lsn; /* 0: none */
    int64_t safe_bytes;   /* of WAL that may be written before it gets lost; -1: no limit, or not known */
};
/* ERROR_USAGE unless it is 1 to 63 of a-z, 0-9 and '_'. */
int replication_slot_check(const char *slot);
/* Asked with SQL, over a second, short connection to conninfo's database: the protocol has it from 15 on only, and says
 * less. */
int replication_slot_read(struct replication *replication, const char *slot, struct replication_slot *ret_slot);
/* `reserve`: keep WAL from now on, not from the first use on. PGCASK_EXISTS when the name is taken. */
int replication_slot_create(struct replication *replication, const char *slot, bool reserve);
/* One that goes with this connection, and keeps WAL from now on. */
int replication_slot_create_temporary(struct replication *replication, const char *slot);
/* PGCASK_NOT_FOUND when there is none; an error while somebody streams from it. */
int replication_slot_drop(struct replication *replication, const char *slot);

/* ---- WAL as it is written ---- */

enum replication_kind {
    REPLICATION_NOTHING, /* the time is over, or replication_wake was called */
    REPLICATION_WAL,
    REPLICATION_KEEPALIVE,
    REPLICATION_TIMELINE_END, /* all of that timeline was sent; the connection is ready for the next command */
    REPLICATION_CLOSED,       /* the server ends the stream in good order: it shuts down */
};
struct replication_message {
    enum replication_kind kind;
    uint64_t lsn;     /* WAL: of its first byte */
    const void *data; /* WAL: borrowed until the next call */
    size_t len;
    uint64_t server_lsn;    /* WAL, KEEPALIVE: the server has WAL up to here */
    int64_t server_time_us; /* WAL, KEEPALIVE: the server's clock, microseconds since 1970 UTC */
    bool reply;             /* KEEPALIVE: the server wants a status now, or it will close the connection */
    uint32_t next_timeline; /* TIMELINE_END */
    uint64_t next_lsn;      /* TIMELINE_END: where that one begins; stream on from the start of its segment */
};

/* `slot` NULL: none; the server then removes WAL as it likes. `lsn` is to be the start of a segment.
 * When the timeline was left exactly at `lsn`, the first replication_next says TIMELINE_END. */
int replication_stream_begin(struct replication *replication, const char *slot, uint32_t timeline, uint64_t lsn);
/* Wait for what comes next, at most `timeout_ms` (-1: as long as it takes; 0: look only). PGCASK_NOT_FOUND: the server
 * has removed the WAL that was asked for. ERROR_CORRUPT: not a message of this protocol. After any error the connection
 * is of no more use; PGCASK_RETRY: it broke, a new one may go on. */
int replication_next(struct replication *replication, int timeout_ms, struct replication_message *ret_message);
/* Tell how far we are; a slot's WAL up to `flush` may then be removed. `apply` 0: not told (no standby).
 * `reply`: ask for a KEEPALIVE. */
int replication_status(struct replication *replication, uint64_t write, uint64_t flush, uint64_t apply, bool reply);
/* End the stream; what comes before the server agrees is thrown away. The connection is ready for the next command. */
int replication_stream_end(struct replication *replication);
/* replication_next returns at once, or the next call of it does. Any thread. */
void replication_wake(struct replication *replication);

/* ---- for basebackup.c ---- */

/* Called with each warning and notice of the server; PQresultErrorField tells what it is. NULL: they are logged. */
void replication_on_notice(struct replication *replication, void (*notice)(void *ctx, const PGresult *notice),
                           void *ctx);

/* Send a command. Then replication_result until it gives NULL, or a result that begins a COPY. */
int replication_send(struct replication *replication, const char *command);
/* The next result, NULL behind the last one. A refusal is an error: PGCASK_FAILED with the server's words and, where
 * there is one, its hint or ours. */
int replication_result(struct replication *replication, PGresult **ret_result);
/* The next message of a COPY: 1, or 0 behind the last one. Owned by the caller until replication_message_free. */
int replication_copy(struct replication *replication, char **ret_data, size_t *ret_len);
void replication_message_free(char *data);
/* Send bytes of a COPY to the server, and its end. */
int replication_copy_send(struct replication *replication, const void *data, size_t len);
int replication_copy_end(struct replication *replication);

#endif
