/* SPDX-License-Identifier: PostgreSQL
 *
 * Between receive*.c only.
 */
#ifndef PGCASK_PIPELINE_RECEIVE_PRIVATE_H
#define PGCASK_PIPELINE_RECEIVE_PRIVATE_H

#include "config/settings.h"
#include "pg/replication.h"
#include "pg/wal-history.h"
#include "pipeline/receive-archive.h"
#include "pipeline/receive-plan.h"
#include "pipeline/receive-spool.h"
#include "pipeline/receive.h"

#include <pthread.h>

struct receive_push; /* opaque: the stores */

enum receive_confirm { RECEIVE_CONFIRM_STORES, RECEIVE_CONFIRM_SPOOL };

struct receive {
    const struct config *config;
    const struct config_item *cluster;
    const struct receive_options *options;
    struct pg_server server;
    enum receive_confirm confirm;
    bool eager; /* commits may wait for us */
    char *dir;  /* of the spool */
    struct receive_push *push;
    struct archiver *archiver;

    /* of the server, as the last connection told */
    char system[sizeof((struct replication_system *)NULL)->identifier]; /* "": there was none */
    uint32_t segment_bytes;
    uint32_t timeline;
    uint64_t server_lsn;
    struct wal_history history;
    uint32_t history_stored; /* histories up to that timeline's are in the archive, or on their way */

    /* of this connection */
    struct receive_point point; /* the segment being received */
    struct spool_writer *writer;
    uint64_t slot_lsn;  /* what the slot was told before; 0: nothing, or no slot */
    uint64_t begin_lsn; /* where streaming began */
    uint64_t told_write, told_flush;
    int64_t told_ms;
    int64_t dirty_ms; /* since when there is something that is not synced; 0: there is not */
    int64_t asked_ms; /* when the server last asked how far we are, all being sent */
    unsigned asked;   /* how often in a row */
    bool streamed;    /* it has come to streaming */
    bool gone;        /* the server has removed the WAL from `point` on */

    bool gap_accepted; /* once is enough */
    bool ready;        /* the service manager was told */
    bool advised;      /* what is worth a word once was said */

    /* `lock` guards these; taken by the threads of the signals and of the archiver, too */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct replication *conn;
    bool stop;
};

bool receive_stopped(struct receive *receive);

/* receive-connect.c: connect, check who the server is, and find where to go on: receive->conn, receive->point. */
int receive_connect(struct receive *receive);
void receive_disconnect(struct receive *receive);
/* A timeline's history and those before it, on their way into the archive; receive->history is that timeline's. */
int receive_take_history(struct receive *receive, uint32_t timeline);

/* receive-resume.c: receive->point for what is in the spool (`items`) and, when that does not tell, in the archive. An
 * error when the server has less than was received of it. */
int receive_resume(struct receive *receive, const struct spool_items *items);
/* Whatever is in the spool but receive->point is to be archived and taken away. */
void receive_adopt_spool(struct receive *receive, const struct spool_items *items);
/* The server has removed the WAL from receive->point on. 0: it has been archived meanwhile, or the gap is accepted;
 * receive->point is behind it, and a new connection may go on. */
int receive_gap(struct receive *receive);
/* What to say to that, and the cure. */
int receive_gap_error(const struct receive *receive, const char *reason);

/* receive-stream.c: from receive->point on, until the server ends it, the spool is full (0), or we are asked to end
 * (0). */
int receive_stream(struct receive *receive);
/* All that was received is on the disk, and the archiver knows. */
int receive_sync(struct receive *receive);

/* receive-push.c */
struct receive_push *receive_push_new(const struct config *config, const struct config_item *cluster);
void receive_push_free(struct receive_push *push);
CLEANUP_DEFINE(struct receive_push, receive_push_free)
int receive_push_store(struct receive_push *push, const struct spool_item *item, uint64_t len,
                       char ret_digest[LABEL_DIGEST_CHARS + 1]);
void receive_push_forget(struct receive_push *push, const struct spool_item *item, const char *digest,
                         const char *shorter);
/* What all stores hold of that system's WAL. An error when a required store cannot tell. `ret_others` (may be NULL): is
 * there WAL of other systems? */
int receive_archive_load(const struct config *config, const struct config_item *cluster, const char *system,
                         uint32_t segment_bytes, struct wal_ranges *ret_ranges, bool *ret_others);

#endif
