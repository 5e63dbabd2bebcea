/* SPDX-License-Identifier: PostgreSQL
 *
 * WAL as it comes: into the spool, to the disk, on to the archiver, and what the server is told of that.
 */
#include "config.h"

#include "pipeline/receive-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/notify.h"

#include <inttypes.h>

enum {
    STATUS_MS = 10 * 1000, /* as a standby by default; the server gives up after wal_sender_timeout (60 s) */
    SYNC_LAZY_MS = 1000,   /* nobody waits */
    SYNC_EAGER_MS = 100,   /* WAL comes without a pause, and somebody waits */
    ASKED_PAUSE_MS = 100,  /* the server asks again at once when it shuts down */
    ASKED_GAP_MS = 1000,   /* more between two questions is not that */
    ASKED_MOST = 30,
};

enum stream_end { STREAM_GOES_ON, STREAM_NEXT_TIMELINE, STREAM_OVER };

/* ---- positions ---- */

static uint64_t
stream_lsn(const struct receive *receive, uint64_t bytes)
{
    return receive_point_lsn(&receive->point, receive->segment_bytes) + bytes;
}

static void
stream_tell_archiver(struct receive *receive)
{
    const struct wal_name *name = spool_writer_name(receive->writer);
    struct spool_item item = { receive->system, *name, 0 };

    archiver_current(receive->archiver, &item, stream_lsn(receive, 0), spool_writer_synced(receive->writer));
}

int
receive_sync(struct receive *receive)
{
    int rc = receive->writer != NULL ? spool_writer_sync(receive->writer) : 0;

    if (rc < 0)
        return rc;
    receive->dirty_ms = 0;
    if (receive->writer != NULL)
        stream_tell_archiver(receive);
    return 0;
}

/* Neither position is told before it is true, nor beyond what this connection has sent. */
static int
stream_report(struct receive *receive, bool asked)
{
    uint64_t write = stream_lsn(receive, spool_writer_synced(receive->writer)), flush = write;
    uint64_t stored = archiver_stored_lsn(receive->archiver);
    int64_t now_ms = clock_mono_ms();
    int rc;

    if (receive->confirm == RECEIVE_CONFIRM_STORES && stored < flush)
        flush = stored;
    if (flush <= receive->begin_lsn || flush < receive->slot_lsn)
        flush = 0; /* not told: a slot follows also backwards, to where the WAL has gone already, and is lost then */
    if (flush < receive->told_flush)
        flush = receive->told_flush;
    if (!asked && write == receive->told_write && flush == receive->told_flush && now_ms - receive->told_ms < STATUS_MS)
        return 0;
    rc = replication_status(receive->conn, write, flush, 0, false);
    if (rc < 0)
        return rc;
    if (now_ms - receive->told_ms >= STATUS_MS) {
        CLEANUP_FREE char *received = wal_lsn_text(write), *safe = wal_lsn_text(stored);

        notify_servicef("STATUS=timeline %" PRIu32 ": received up to %s, in the stores up to %s",
                        receive->point.timeline, received, safe);
    }
    receive->told_write = write;
    receive->told_flush = flush;
    receive->told_ms = now_ms;
    return 0;
}

/* ---- WAL ---- */

static int
stream_open_segment(struct receive *receive)
{
    int rc = spool_writer_open(receive->dir, receive->system, receive->point.timeline, receive->point.segment,
                               receive->segment_bytes, &receive->writer);

    if (rc == 0)
        stream_tell_archiver(receive);
    return rc;
}

/* The next one is begun before the archiver may take this one away. */
static int
stream_finish_segment(struct receive *receive)
{
    struct spool_writer *full = receive->writer;
    uint64_t lsn = stream_lsn(receive, 0);
    struct spool_item item = { receive->system, *spool_writer_name(full), receive->segment_bytes };
    int rc = spool_writer_finish(full);

    if (rc < 0)
        return rc;
    item.name = *spool_writer_name(full);
    receive->writer = NULL;
    spool_writer_close(full);
    receive->point.segment++;
    rc = spool_writer_open(receive->dir, receive->system, receive->point.timeline, receive->point.segment,
                           receive->segment_bytes, &receive->writer);
    archiver_add(receive->archiver, &item, lsn, false);
    if (rc < 0)
        return rc;
    receive->dirty_ms = 0;
    stream_tell_archiver(receive);
    return 0;
}

static int
stream_take(struct receive *receive, const struct replication_message *message)
{
    const unsigned char *data = message->data;
    size_t len = message->len;
    uint64_t at = stream_lsn(receive, spool_writer_len(receive->writer));
    int rc = 0;

    if (message->lsn != at) {
        CLEANUP_FREE char *seen = wal_lsn_text(message->lsn), *wanted = wal_lsn_text(at);

        return error_set(ERROR_CORRUPT, "the server sent WAL from %s on (wanted: from %s on)", seen, wanted);
    }
    receive->asked = 0;
    while (rc == 0 && len > 0) {
        uint64_t room = receive->segment_bytes - spool_writer_len(receive->writer);
        size_t piece = len < room ? len : (size_t)room;

        rc = spool_writer_put(receive->writer, data, piece);
        if (rc == 0 && receive->dirty_ms == 0)
            receive->dirty_ms = clock_mono_ms();
        data += piece;
        len -= piece;
        if (rc == 0 && piece == room)
            rc = stream_finish_segment(receive);
    }
    return rc;
}

static bool
stream_is_full(struct receive *receive)
{
    uint64_t most = (uint64_t)receive->cluster->cluster->spool_max;
    uint64_t least = 2 * (uint64_t)receive->segment_bytes; /* one waits, one comes */

    return archiver_backlog_bytes(receive->archiver) + receive->segment_bytes > (most < least ? least : most);
}

/* ---- what else comes ---- */

/* A server that shuts down asks again and again, and waits until all it has is flushed. When that does not come to pass
 * it is let go: its slot keeps what was not confirmed. Returns whether to leave. */
static bool
stream_answer(struct receive *receive, const struct replication_message *message)
{
    bool all = message->server_lsn <= stream_lsn(receive, spool_writer_len(receive->writer));
    int64_t now_ms = clock_mono_ms();

    if (!all || receive->told_flush >= message->server_lsn)
        return false;
    receive->asked = now_ms - receive->asked_ms < ASKED_GAP_MS ? receive->asked + 1 : 1;
    if (receive->asked > 1) {
        archiver_hasten(receive->archiver);
        archiver_wait(receive->archiver, ASKED_PAUSE_MS);
    }
    receive->asked_ms = clock_mono_ms();
    if (receive->asked <= ASKED_MOST)
        return false;
    log_warn("the server seems to shut down, and is not kept waiting any longer for what is not in the stores yet");
    return true;
}

/* The rest of a timeline that was left within a segment is all there is of it. */
static int
stream_switch(struct receive *receive, const struct replication_message *message)
{
    struct spool_writer *old = receive->writer;
    struct spool_item item = { receive->system, *spool_writer_name(old), spool_writer_size(old) };
    CLEANUP_FREE char *lsn = wal_lsn_text(message->next_lsn);
    uint64_t begin = stream_lsn(receive, 0);
    int rc = spool_writer_sync(old);

    if (rc == 0 && (message->next_timeline <= receive->point.timeline || message->next_lsn < begin))
        rc = error_set(ERROR_CORRUPT, "the server says that timeline %" PRIu32 " follows at %s, which cannot be",
                       message->next_timeline, lsn);
    if (rc == 0)
        rc = receive_take_history(receive, message->next_timeline > receive->timeline ? message->next_timeline
                                                                                      : receive->timeline);
    if (rc < 0)
        return rc;
    log_info("timeline %" PRIu32 " was left at %s, timeline %" PRIu32 " follows", receive->point.timeline, lsn,
             message->next_timeline);
    if (message->next_timeline > receive->timeline)
        receive->timeline = message->next_timeline;
    receive->writer = NULL;
    spool_writer_close(old);
    receive->point = (struct receive_point){ message->next_timeline, message->next_lsn / receive->segment_bytes };
    rc = spool_writer_open(receive->dir, receive->system, receive->point.timeline, receive->point.segment,
                           receive->segment_bytes, &receive->writer);
    if (item.size > 0)
        archiver_add(receive->archiver, &item, begin, false);
    else
        (void)spool_remove(receive->dir, receive->system, &item.name); /* it is empty; the next start tries again */
    if (rc == 0)
        stream_tell_archiver(receive);
    return rc;
}

/* ---- the loop ---- */

/* How long there is nothing else to do. */
static int
stream_timeout_ms(const struct receive *receive)
{
    int64_t now_ms = clock_mono_ms(), until_ms = receive->told_ms + STATUS_MS;

    if (receive->dirty_ms != 0 && receive->eager)
        return 0;
    if (receive->dirty_ms != 0 && receive->dirty_ms + SYNC_LAZY_MS < until_ms)
        until_ms = receive->dirty_ms + SYNC_LAZY_MS;
    return until_ms > now_ms ? (int)(until_ms - now_ms) : 0;
}

static bool
stream_sync_is_due(const struct receive *receive, const struct replication_message *message)
{
    int64_t since_ms = receive->dirty_ms != 0 ? clock_mono_ms() - receive->dirty_ms : 0;

    if (receive->dirty_ms == 0)
        return false;
    if (receive->eager)
        return message->kind != REPLICATION_WAL || since_ms >= SYNC_EAGER_MS;
    return since_ms >= SYNC_LAZY_MS || (message->kind == REPLICATION_KEEPALIVE && message->reply);
}

/* One message, or none for a while. */
static int
stream_step(struct receive *receive, enum stream_end *ret_end)
{
    struct replication_message message;
    bool asked;
    int rc = replication_next(receive->conn, stream_timeout_ms(receive), &message);

    receive->gone |= rc == PGCASK_NOT_FOUND;
    if (rc == 0 && message.kind == REPLICATION_WAL)
        rc = stream_take(receive, &message);
    if (rc == 0 && stream_sync_is_due(receive, &message))
        rc = receive_sync(receive);
    if (rc < 0)
        return rc;
    if (message.kind == REPLICATION_TIMELINE_END) {
        *ret_end = STREAM_NEXT_TIMELINE;
        return stream_switch(receive, &message);
    }
    asked = message.kind == REPLICATION_KEEPALIVE && message.reply;
    if (message.kind == REPLICATION_CLOSED)
        *ret_end = STREAM_OVER;
    else if (asked && stream_answer(receive, &message))
        *ret_end = STREAM_OVER;
    if (message.kind == REPLICATION_CLOSED)
        return error_set(PGCASK_RETRY, "the server shut down");
    rc = archiver_check(receive->archiver);
    return rc < 0 ? rc : stream_report(receive, asked);
}

static int
stream_timeline(struct receive *receive, enum stream_end *ret_end)
{
    int rc = replication_stream_begin(receive->conn, receive->cluster->cluster->slot, receive->point.timeline,
                                      stream_lsn(receive, 0));

    receive->begin_lsn = stream_lsn(receive, 0);
    receive->told_write = receive->told_flush = 0;
    receive->told_ms = clock_mono_ms() - STATUS_MS;
    if (rc == 0 && !receive->ready) {
        notify_service("READY=1");
        receive->ready = true;
    }
    receive->gone |= rc == PGCASK_NOT_FOUND;
    receive->streamed |= rc == 0;
    *ret_end = STREAM_GOES_ON;
    while (rc == 0 && *ret_end == STREAM_GOES_ON && !receive_stopped(receive)) {
        if (stream_is_full(receive)) {
            log_warn("the spool is full: receiving pauses until the stores have taken some of it");
            *ret_end = STREAM_OVER;
            break;
        }
        rc = stream_step(receive, ret_end);
    }
    return rc;
}

int
receive_stream(struct receive *receive)
{
    enum stream_end end = STREAM_NEXT_TIMELINE;
    int rc = stream_open_segment(receive);

    while (rc == 0 && end == STREAM_NEXT_TIMELINE && !receive_stopped(receive))
        rc = stream_timeline(receive, &end);
    if (rc == 0 && receive_stopped(receive)) {
        rc = receive_sync(receive);
        if (rc == 0)
            rc = stream_report(receive, true);
    }
    return rc;
}
