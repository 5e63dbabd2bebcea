/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/receive-private.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/parse.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PAUSE_FIRST_MS = 1000,
    PAUSE_MOST_MS = 30 * 1000,
    REMIND_MS = 10 * 60 * 1000, /* the same trouble is told again after that */
    DRAIN_MS = 60 * 1000,       /* less than systemd waits before it kills (90 s) */
    ROOM_MS = 1000,
};

/* ---- being asked to end ---- */

/* Called by the thread of the signals. */
static void
receive_stop(void *ctx)
{
    struct receive *receive = ctx;

    (void)pthread_mutex_lock(&receive->lock);
    receive->stop = true;
    if (receive->conn != NULL)
        replication_wake(receive->conn);
    (void)pthread_cond_broadcast(&receive->wake);
    (void)pthread_mutex_unlock(&receive->lock);
}

bool
receive_stopped(struct receive *receive)
{
    bool stop;

    (void)pthread_mutex_lock(&receive->lock);
    stop = receive->stop;
    (void)pthread_mutex_unlock(&receive->lock);
    return stop;
}

static void
receive_pause(struct receive *receive, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    struct timespec until = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };

    (void)pthread_mutex_lock(&receive->lock);
    while (!receive->stop && clock_mono_ms() < until_ms)
        (void)pthread_cond_clockwait(&receive->wake, &receive->lock, CLOCK_MONOTONIC, &until);
    (void)pthread_mutex_unlock(&receive->lock);
}

/* ---- for the archiver's thread ---- */

static int
receive_store(void *ctx, const struct spool_item *item, uint64_t len, char *ret_digest)
{
    struct receive *receive = ctx;

    return receive_push_store(receive->push, item, len, ret_digest);
}

static void
receive_forget(void *ctx, const struct spool_item *item, const char *digest, const char *shorter)
{
    struct receive *receive = ctx;

    receive_push_forget(receive->push, item, digest, shorter);
}

static void
receive_moved(void *ctx)
{
    struct receive *receive = ctx;

    (void)pthread_mutex_lock(&receive->lock);
    if (receive->conn != NULL)
        replication_wake(receive->conn);
    (void)pthread_mutex_unlock(&receive->lock);
}

static const struct archiver_ops receive_ops = { receive_store, receive_forget, receive_moved };

/* What was left by the process before goes into the archive at once, whether there still is a server or not. */
static int
receive_adopt(struct receive *receive)
{
    CLEANUP_SPOOL_ITEMS struct spool_items items = { 0 };
    int rc = spool_list(receive->dir, &items);

    for (size_t i = 0; rc == 0 && i < items.len; i++) {
        const struct spool_item *item = &items.items[i];

        if (item->size > 0)
            archiver_add(receive->archiver, item, 0, spool_items_open(&items, item->system) == item);
    }
    return rc;
}

/* ---- one connection after the other ---- */

/* Whatever ended it, what came is kept. */
static int
receive_end_session(struct receive *receive, int code)
{
    struct error why = { 0 };

    if (code < 0)
        error_take(code, &why);
    if (receive_sync(receive) < 0)
        log_slot_warn("what was received last may be received again");
    if (receive->streamed)
        archiver_hasten(receive->archiver);
    receive_disconnect(receive);
    return code < 0 ? error_put(&why) : 0;
}

static int
receive_session(struct receive *receive)
{
    int rc;

    receive->streamed = receive->gone = false;
    receive->dirty_ms = receive->asked_ms = 0;
    receive->asked = 0;
    rc = receive_connect(receive);
    if (rc == 0)
        rc = receive_stream(receive);
    rc = receive_end_session(receive, rc);
    return receive->gone ? receive_gap(receive) : rc;
}

/* Trouble that may pass: the server is away, a connection broke, a disk is full. */
static bool
receive_may_pass(int rc)
{
    return rc == PGCASK_RETRY || rc == PGCASK_FAILED;
}

/* The error in the slot is told, unless it was just now. */
static void
receive_tell(char **told, int64_t *told_ms, int64_t pause_ms)
{
    CLEANUP_FREE char *pause = format_duration(pause_ms), *then = mem_printf("next try in %s", pause);
    int64_t now_ms = clock_mono_ms();

    if (*told != NULL && strcmp(*told, error_text()) == 0 && now_ms - *told_ms < REMIND_MS) {
        log_debug("%s, %s", error_text(), then);
        error_clear();
        return;
    }
    free(*told);
    *told = mem_strdup(error_text());
    *told_ms = now_ms;
    notify_servicef("STATUS=%s", *told);
    log_slot_warn(then);
}

/* The server keeps what comes meanwhile. */
static void
receive_wait_for_room(struct receive *receive)
{
    uint64_t most = (uint64_t)receive->cluster->cluster->spool_max / 2;

    while (!receive_stopped(receive) && archiver_check(receive->archiver) == 0 &&
           archiver_backlog_bytes(receive->archiver) > (most > receive->segment_bytes ? most : receive->segment_bytes))
        archiver_wait(receive->archiver, ROOM_MS);
}

static int
receive_loop(struct receive *receive)
{
    CLEANUP_FREE char *told = NULL;
    int64_t told_ms = 0, pause_ms = 0;
    int rc = 0;

    while (!receive_stopped(receive)) {
        rc = archiver_check(receive->archiver);
        if (rc == 0)
            rc = receive_session(receive);
        if (rc < 0 && !receive_may_pass(rc))
            break;
        if (receive->streamed) {
            free(STEAL(told));
            pause_ms = 0;
        }
        if (rc < 0 && !receive_stopped(receive)) {
            pause_ms = pause_ms == 0 ? PAUSE_FIRST_MS : pause_ms * 2;
            if (pause_ms > PAUSE_MOST_MS)
                pause_ms = PAUSE_MOST_MS;
            receive_tell(&told, &told_ms, pause_ms);
            receive_pause(receive, pause_ms);
        } else if (rc == 0)
            receive_wait_for_room(receive);
        rc = 0;
        error_clear();
    }
    return cancel_or(rc);
}

/* ---- from start to end ---- */

static int
receive_begin(struct receive *receive, struct lock **ret_lock)
{
    const struct config_cluster *cluster = receive->cluster->cluster;
    CLEANUP_FREE char *path = mem_printf("%s/lock", receive->dir);
    CLEANUP_FREE char *what = mem_printf("'wal receive' for cluster '%s'", receive->cluster->name);
    int rc = cluster->slot ? replication_slot_check(cluster->slot) : 0;

    if (rc == 0)
        rc = file_mkdirs(receive->dir);
    if (rc == 0)
        rc = lock_take(path, what, ret_lock);
    if (rc < 0)
        return rc;
    receive->push = receive_push_new(receive->config, receive->cluster);
    rc = archiver_start(receive->dir, cluster->partial_interval, &receive_ops, receive, &receive->archiver);
    return rc < 0 ? rc : receive_adopt(receive);
}

/* All that came goes into the stores as far as they take it now; the rest is safe in the spool. */
static size_t
receive_finish(struct receive *receive, int code)
{
    struct error why = { 0 };
    int64_t begin_ms = clock_mono_ms();
    size_t left;

    if (code < 0)
        error_take(code, &why);
    notify_service("STOPPING=1\nSTATUS=storing what was received last");
    left = archiver_drain(receive->archiver, code == ERROR_CANCELLED ? 0 : DRAIN_MS);
    if (left > 0 && clock_mono_ms() - begin_ms >= DRAIN_MS)
        cancel_request(); /* it hangs */
    archiver_free(STEAL(receive->archiver));
    if (code < 0)
        (void)error_put(&why);
    return left;
}

int
receive_run(const struct config *config, const struct config_item *cluster, const struct receive_options *options,
            struct receive_result *ret_result)
{
    const struct config_cluster *settings = cluster->cluster;
    struct receive receive = {
        .config = config,
        .cluster = cluster,
        .options = options,
        .server = { settings->conninfo, settings->password },
        .eager = strcmp(settings->synchronous, "no") != 0,
        .confirm = strcmp(settings->synchronous, "spool") == 0 ? RECEIVE_CONFIRM_SPOOL : RECEIVE_CONFIRM_STORES,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .wake = PTHREAD_COND_INITIALIZER,
    };
    CLEANUP(lock_release) struct lock *lock = NULL;
    int rc;

    receive.dir = spool_dir(config->state_dir, cluster->name);
    rc = receive_begin(&receive, &lock);
    if (rc == 0) {
        cancel_hook_add(receive_stop, &receive);
        cancel_soften(receive_stop, &receive);
        rc = receive_loop(&receive);
        ret_result->left = receive_finish(&receive, rc);
        cancel_soften(NULL, NULL);
        cancel_hook_remove(receive_stop, &receive);
    }
    archiver_free(receive.archiver);
    receive_push_free(receive.push);
    wal_history_free(&receive.history);
    free(receive.dir);
    (void)pthread_cond_destroy(&receive.wake);
    (void)pthread_mutex_destroy(&receive.lock);
    return rc;
}

/* ---- slots ---- */

static int
slot_connect(const struct config_item *cluster, struct replication **ret_conn)
{
    const struct pg_server server = { cluster->cluster->conninfo, cluster->cluster->password };

    if (cluster->cluster->slot == NULL) {
        (void)error_set(ERROR_USAGE, "cluster '%s' names no replication slot", cluster->name);
        return error_hint(ERROR_USAGE, "write slot = NAME into [cluster %s]", cluster->name);
    }
    return replication_connect(&server, cluster->cluster->application_name, ret_conn);
}

int
receive_slot_make(const struct config_item *cluster, bool *ret_made)
{
    CLEANUP(replication_close) struct replication *conn = NULL;
    const char *name = cluster->cluster->slot;
    struct replication_slot slot;
    int rc = slot_connect(cluster, &conn);

    if (rc == 0)
        rc = replication_slot_create(conn, name, true);
    *ret_made = rc == 0;
    if (rc != PGCASK_EXISTS)
        return rc;
    error_clear();
    rc = replication_slot_read(conn, name, &slot);
    if (rc == 0 && slot.state == REPLICATION_SLOT_FOREIGN)
        return error_set(PGCASK_EXISTS, "there is a replication slot '%s' already, but a logical one", name);
    if (rc == 0 && slot.state == REPLICATION_SLOT_LOST) {
        (void)error_set(PGCASK_EXISTS, "there is a replication slot '%s' already, but the server has given it up",
                        name);
        return error_hint(PGCASK_EXISTS, "'pgcask wal receive --drop-slot' removes it");
    }
    return rc;
}

int
receive_slot_drop(const struct config_item *cluster)
{
    CLEANUP(replication_close) struct replication *conn = NULL;
    int rc = slot_connect(cluster, &conn);

    return rc < 0 ? rc : replication_slot_drop(conn, cluster->cluster->slot);
}
