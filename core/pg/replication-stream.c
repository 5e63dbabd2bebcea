/* SPDX-License-Identifier: PostgreSQL
 *
 * START_REPLICATION: WAL as messages, and our answers. Declared in replication.h.
 * Source of the messages: "Streaming Replication Protocol" in PostgreSQL's documentation.
 */
#include "config.h"

#include "pg/replication.h"

#include "pg/replication-private.h"
#include "pg/wal-name.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum {
    WAL_HEAD_BYTES = 1 + 8 + 8 + 8,  /* 'w', start, end, clock */
    KEEPALIVE_BYTES = 1 + 8 + 8 + 1, /* 'k', end, clock, reply */
    STATUS_BYTES = 1 + 8 + 8 + 8 + 8 + 1,
    STREAM_MESSAGE_MAX_BYTES = 16 * 1024 * 1024,
};
/* PostgreSQL counts from 2000-01-01. */
#define EPOCH_SHIFT_US (INT64_C(946684800) * 1000000)

static uint64_t
get_number(const char *p)
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++)
        number = number << 8 | (unsigned char)p[i];
    return number;
}

static void
put_number(char *p, uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        p[i] = (char)number;
}

static int64_t
get_time_us(const char *p)
{
    int64_t time_us;

    return __builtin_add_overflow((int64_t)get_number(p), EPOCH_SHIFT_US, &time_us) ? 0 : time_us;
}

/* The row behind the last byte of a timeline: which one comes next, and where it begins. */
static int
stream_take_end(struct replication *replication, const PGresult *row)
{
    uint64_t timeline = 0, lsn = 0;
    int rc = replication_field_number(row, 0, UINT32_MAX, &timeline);

    if (rc == 0)
        rc = replication_field_lsn(row, 1, &lsn);
    if (rc < 0)
        return rc;
    replication->next_timeline = (uint32_t)timeline;
    replication->next_lsn = lsn;
    return 0;
}

/* What follows the stream, up to the end of the command. `ret_more`: there was a row. */
static int
stream_take_results(struct replication *replication, bool *ret_more)
{
    for (;;) {
        CLEANUP(pg_clear) PGresult *result = NULL;
        int rc = replication_result(replication, &result);

        if (rc < 0 || result == NULL)
            return rc;
        if (PQresultStatus(result) == PGRES_TUPLES_OK) {
            rc = stream_take_end(replication, result);
            *ret_more = true;
        }
        if (rc < 0)
            return rc;
    }
}

int
replication_stream_begin(struct replication *replication, const char *slot, uint32_t timeline, uint64_t lsn)
{
    CLEANUP_FREE char *text = wal_lsn_text(lsn), *command = NULL;
    CLEANUP(pg_clear) PGresult *result = NULL;
    int rc = slot ? replication_slot_check(slot) : 0;

    if (rc < 0)
        return rc;
    if (slot != NULL)
        command = mem_printf("START_REPLICATION SLOT \"%s\" PHYSICAL %s TIMELINE %" PRIu32, slot, text, timeline);
    else
        command = mem_printf("START_REPLICATION PHYSICAL %s TIMELINE %" PRIu32, text, timeline);
    replication->history_ended = false;
    rc = replication_send(replication, command);
    if (rc == 0)
        rc = replication_result(replication, &result);
    if (rc == 0 && PQresultStatus(result) == PGRES_TUPLES_OK) {
        bool more = false;

        rc = stream_take_end(replication, result);
        if (rc == 0)
            rc = stream_take_results(replication, &more);
        replication->history_ended = rc == 0;
    } else if (rc == 0 && PQresultStatus(result) != PGRES_COPY_BOTH)
        rc = error_set(ERROR_CORRUPT, "PostgreSQL does not stream, but gave no reason");
    return rc < 0 ? error_context(rc, "streaming timeline %" PRIu32 " from %s", timeline, text) : 0;
}

static int
stream_decode(const char *data, size_t len, struct replication_message *message)
{
    if (*data == 'w' && len >= WAL_HEAD_BYTES) {
        message->kind = REPLICATION_WAL;
        message->lsn = get_number(data + 1);
        message->server_lsn = get_number(data + 9);
        message->server_time_us = get_time_us(data + 17);
        message->data = data + WAL_HEAD_BYTES;
        message->len = len - WAL_HEAD_BYTES;
        if (message->lsn + message->len >= message->lsn)
            return 0;
    } else if (*data == 'k' && len == KEEPALIVE_BYTES) {
        message->kind = REPLICATION_KEEPALIVE;
        message->server_lsn = get_number(data + 1);
        message->server_time_us = get_time_us(data + 9);
        message->reply = data[17] != 0;
        return 0;
    }
    return error_set(ERROR_CORRUPT, "PostgreSQL sent a message of its stream that is none: kind 0x%02x, %zu bytes",
                     (unsigned char)*data, len);
}

/* The server has ended the stream: agree, and hear why. */
static int
stream_ended(struct replication *replication, struct replication_message *message)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    bool more = false;
    int rc = replication_result(replication, &result);

    if (rc == 0 && result != NULL && PQresultStatus(result) == PGRES_COPY_IN) {
        rc = replication_copy_end(replication);
        if (rc == 0)
            rc = stream_take_results(replication, &more);
    } else if (rc == 0 && result != NULL && PQresultStatus(result) == PGRES_TUPLES_OK) {
        rc = stream_take_end(replication, result);
        if (rc == 0)
            rc = stream_take_results(replication, &more);
        more = true;
    } else if (rc == 0 && result != NULL && PQresultStatus(result) != PGRES_COMMAND_OK)
        rc = stream_take_results(replication, &more);
    if (rc < 0) /* else: a server that shuts down says that the command is complete, and is gone */
        return rc;
    message->kind = more ? REPLICATION_TIMELINE_END : REPLICATION_CLOSED;
    message->next_timeline = more ? replication->next_timeline : 0;
    message->next_lsn = more ? replication->next_lsn : 0;
    return 0;
}

int
replication_next(struct replication *replication, int timeout_ms, struct replication_message *ret_message)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    struct replication_message message = { .kind = REPLICATION_NOTHING };
    int rc = cancel_check();

    PQfreemem(STEAL(replication->message));
    if (replication->history_ended) {
        replication->history_ended = false;
        *ret_message = (struct replication_message){ .kind = REPLICATION_TIMELINE_END,
                                                     .next_timeline = replication->next_timeline,
                                                     .next_lsn = replication->next_lsn };
        return rc;
    }
    while (rc == 0) {
        int len = PQgetCopyData(replication->pq, &replication->message, 1);
        int64_t left_ms = timeout_ms < 0 ? -1 : until_ms - clock_mono_ms();

        if (len > STREAM_MESSAGE_MAX_BYTES)
            rc = error_set(ERROR_CORRUPT, "PostgreSQL sent a message of %d bytes", len);
        else if (len > 0)
            rc = stream_decode(replication->message, (size_t)len, &message);
        else if (len == -1)
            rc = stream_ended(replication, &message);
        else if (len < -1)
            rc = replication_broken(replication);
        if (rc < 0 || len != 0)
            break;
        rc = replication_wait(replication, timeout_ms >= 0 && left_ms < 0 ? 0 : (int)left_ms, true);
        if (rc == 0)
            break; /* nothing came */
        rc = rc < 0 ? rc : 0;
    }
    if (rc == 0)
        *ret_message = message;
    return rc;
}

int
replication_status(struct replication *replication, uint64_t write, uint64_t flush, uint64_t apply, bool reply)
{
    char message[STATUS_BYTES] = "r";
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    put_number(message + 1, write);
    put_number(message + 9, flush);
    put_number(message + 17, apply);
    put_number(message + 25, (uint64_t)((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - EPOCH_SHIFT_US));
    message[33] = reply;
    if (PQputCopyData(replication->pq, message, sizeof message) != 1 || PQflush(replication->pq) != 0)
        return replication_broken(replication);
    return 0;
}

int
replication_stream_end(struct replication *replication)
{
    bool more = false;
    int rc;

    PQfreemem(STEAL(replication->message));
    rc = replication_copy_end(replication);
    while (rc == 0) {
        char *data = NULL;
        size_t len;

        rc = replication_copy(replication, &data, &len);
        replication_message_free(data);
        if (rc == 0)
            break;
        rc = rc < 0 ? rc : 0;
    }
    return rc < 0 ? rc : stream_take_results(replication, &more);
}
