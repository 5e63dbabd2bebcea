/* SPDX-License-Identifier: PostgreSQL
 *
 * The beginning of each connection of `wal receive`: who the server is, where its timeline comes from, what its slot
 * keeps.
 */
#include "config.h"

#include "pipeline/receive-private.h"

#include "base/error.h"
#include "base/log.h"
#include "base/notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void
receive_disconnect(struct receive *receive)
{
    struct replication *conn;

    (void)pthread_mutex_lock(&receive->lock);
    conn = STEAL(receive->conn);
    (void)pthread_mutex_unlock(&receive->lock);
    replication_close(conn);
    spool_writer_close(STEAL(receive->writer));
}

/* ---- who the server is ---- */

/* Another server under the same address must not be mixed with what this process has begun. */
static int
connect_identify(struct receive *receive)
{
    struct replication_system system;
    uint32_t segment_bytes;
    int rc = replication_identify(receive->conn, &system);

    if (rc == 0)
        rc = replication_segment_bytes(receive->conn, &segment_bytes);
    if (rc < 0)
        return rc;
    if (*receive->system != '\0' && strcmp(receive->system, system.identifier) != 0) {
        (void)error_set(ERROR_CORRUPT,
                        "this is another server: its system identifier is %s, that of the server before was %s",
                        system.identifier, receive->system);
        return error_hint(ERROR_CORRUPT,
                          "check conninfo of the cluster; a server that was upgraded or made anew begins a new "
                          "history when 'pgcask wal receive' is started again");
    }
    (void)snprintf(receive->system, sizeof receive->system, "%s", system.identifier);
    receive->segment_bytes = segment_bytes;
    receive->timeline = system.timeline;
    receive->server_lsn = system.lsn;
    return 0;
}

/* One history file into the spool, on its way into the archive. `lsn`: where its timeline begins. */
static int
history_put(struct receive *receive, uint32_t timeline, const struct buf *text, uint64_t lsn)
{
    struct spool_item item = { receive->system, { .file = WAL_HISTORY, .timeline = timeline }, text->len };
    int rc = spool_put_history(receive->dir, receive->system, timeline, text->data, text->len);

    if (rc < 0)
        return rc;
    archiver_add(receive->archiver, &item, lsn - lsn % receive->segment_bytes, false);
    return 0;
}

/* Those before it: a server need not have them any more. */
static int
history_put_older(struct receive *receive, const struct wal_history *history)
{
    for (size_t i = 1; i + 1 < history->len; i++) {
        CLEANUP_BUF struct buf text = BUF_INIT(WAL_HISTORY_LIMIT_BYTES);
        uint32_t timeline = history->entries[i].timeline;
        int rc = timeline > receive->history_stored ? replication_history(receive->conn, timeline, &text) : 0;

        if (rc == PGCASK_NOT_FOUND) {
            error_clear();
            continue;
        }
        if (rc == 0 && text.len > 0)
            rc = history_put(receive, timeline, &text, history->entries[i - 1].end_lsn);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int
receive_take_history(struct receive *receive, uint32_t timeline)
{
    CLEANUP_BUF struct buf text = BUF_INIT(WAL_HISTORY_LIMIT_BYTES);
    struct wal_history history = { 0 };
    int rc = timeline > 1 ? replication_history(receive->conn, timeline, &text) : 0;

    if (rc == PGCASK_NOT_FOUND) {
        log_slot_warn("so where that timeline comes from is not known");
        rc = 0;
    }
    if (rc == 0)
        rc = wal_history_read(timeline, text.len > 0 ? text.data : NULL, text.len, &history);
    if (rc < 0)
        return rc;
    if (timeline > receive->history_stored && text.len > 0) {
        rc = history_put_older(receive, &history);
        if (rc == 0)
            rc = history_put(receive, timeline, &text, history.len > 1 ? history.entries[history.len - 2].end_lsn : 0);
    }
    if (rc < 0) {
        wal_history_free(&history);
        return rc;
    }
    if (timeline > receive->history_stored)
        receive->history_stored = timeline;
    wal_history_free(&receive->history);
    receive->history = history;
    return 0;
}

/* ---- its slot ---- */

static int
slot_missing(const char *slot)
{
    (void)error_set(PGCASK_NOT_FOUND, "there is no replication slot '%s' on the server", slot);
    return error_hint(PGCASK_NOT_FOUND,
                      "'pgcask wal receive --create-slot' makes it; until it is there, the server removes WAL "
                      "that was not received");
}

static int
connect_slot(struct receive *receive, bool *ret_lost)
{
    const char *name = receive->cluster->cluster->slot;
    struct replication_slot slot;
    int rc = name ? replication_slot_read(receive->conn, name, &slot) : 0;

    receive->slot_lsn = 0;
    if (rc < 0 || name == NULL)
        return rc;
    switch (slot.state) {
    case REPLICATION_SLOT_NONE:
        return slot_missing(name);
    case REPLICATION_SLOT_FOREIGN:
        return error_set(ERROR_USAGE, "the replication slot '%s' is a logical one (wanted: a physical one)", name);
    case REPLICATION_SLOT_LOST:
        *ret_lost = true;
        return 0;
    case REPLICATION_SLOT_ENDING:
        log_warn("the server is about to give up the replication slot '%s': max_slot_wal_keep_size is reached", name);
        break;
    case REPLICATION_SLOT_FREE:
    case REPLICATION_SLOT_GOOD:
        break;
    }
    receive->slot_lsn = slot.restart_lsn;
    return 0;
}

/* ---- all of it ---- */

/* What is worth a word once. */
static int
connect_advise(struct receive *receive)
{
    const struct config_cluster *cluster = receive->cluster->cluster;
    const char *own = cluster->application_name ? cluster->application_name : "pgcask";
    CLEANUP_FREE char *names = NULL;
    int rc = replication_show(receive->conn, "synchronous_standby_names", &names);

    if (rc < 0 || receive->advised)
        return rc;
    receive->advised = true;
    if (cluster->slot == NULL)
        log_warn(
            "cluster '%s' names no replication slot: while this is not running, the server removes WAL as it likes",
            receive->cluster->name);
    if (!receive->eager && strstr(names, own) != NULL)
        log_warn(
            "the server's commits wait for '%s' (synchronous_standby_names), but with synchronous = no it is told at "
            "leisure what is safe: write synchronous = spool or stores",
            own);
    return 0;
}

static int
connect_open(struct receive *receive)
{
    struct replication *conn;
    int rc = replication_connect(&receive->server, receive->cluster->cluster->application_name, &conn);

    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&receive->lock);
    receive->conn = conn;
    (void)pthread_mutex_unlock(&receive->lock);
    return 0;
}

int
receive_connect(struct receive *receive)
{
    CLEANUP_SPOOL_ITEMS struct spool_items items = { 0 };
    bool lost = false;
    int rc = connect_open(receive);

    if (rc == 0)
        rc = connect_identify(receive);
    if (rc == 0)
        rc = receive_take_history(receive, receive->timeline);
    if (rc == 0)
        rc = connect_slot(receive, &lost);
    if (rc == 0)
        rc = connect_advise(receive);
    if (rc == 0)
        rc = spool_list(receive->dir, &items);
    if (rc == 0)
        rc = receive_resume(receive, &items);
    if (rc == 0 && lost) {
        rc = receive_gap_error(receive, "the server has given up the replication slot (max_slot_wal_keep_size)");
        return error_hint(
            rc, "'pgcask wal receive --drop-slot', then '--create-slot'; then it goes on if the server still has "
                "that WAL, and else only with '--accept-gap' and a new base backup");
    }
    if (rc == 0)
        receive_adopt_spool(receive, &items);
    return rc;
}
