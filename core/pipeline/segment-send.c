/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/segment-send.h"

#include "base/log.h"

#include <inttypes.h>
#include <string.h>

enum { PART_MAX_BYTES = 16 * 1024 * 1024 }; /* more is only taken where a store wants it */

int
send_part_size(struct storage *const *stores, size_t count, size_t *ret_size)
{
    uint64_t least = 1, most = UINT64_MAX, preferred = PART_MAX_BYTES;

    for (size_t i = 0; i < count; i++) {
        struct storage_limits limits = storage_limits(stores[i]);

        if (limits.part_min > least)
            least = limits.part_min;
        if (limits.part_max < most)
            most = limits.part_max;
        if (limits.part_preferred < preferred)
            preferred = limits.part_preferred;
    }
    if (least > most)
        return error_set(ERROR_USAGE, "no part suits all stores: one wants %" PRIu64 " bytes, another at most %" PRIu64,
                         least, most);
    preferred = preferred < least ? least : preferred > most ? most : preferred;
    *ret_size = (size_t)preferred;
    return 0;
}

/* The error in the slot is about that target: no more of the object goes there. */
static void
send_drop(struct send_target *target, int code)
{
    target->exists = code == PGCASK_EXISTS;
    error_take(code, &target->error);
    storage_put_abort(target->put);
    target->put = NULL;
}

/* 0 as long as one is left; else the code of the first. */
static int
send_check(const struct send *send)
{
    for (size_t i = 0; i < send->count; i++)
        if (send->targets[i].error.code == 0)
            return 0;
    return send->targets[0].error.code;
}

static void
send_begin(struct send *send, uint64_t size_hint)
{
    for (size_t i = 0; i < send->count; i++) {
        struct send_target *target = &send->targets[i];
        int rc = storage_put_begin(target->storage, send->key, size_hint, false, &target->put);

        if (rc < 0) {
            target->put = NULL;
            send_drop(target, rc);
        }
    }
}

/* `whole`: these bytes are all there are. */
static void
send_flush(struct send *send, bool whole)
{
    if (send->number == 0)
        send_begin(send, whole ? send->len : 0);
    send->number++;
    for (size_t i = 0; i < send->count; i++) {
        struct send_target *target = &send->targets[i];
        int rc = 0;

        if (target->put == NULL || send->len == 0)
            continue;
        if (whole && send->len <= storage_limits(target->storage).part_preferred)
            rc = storage_put_whole(target->put, send->part, send->len);
        else
            rc = storage_put_part(target->put, send->number, send->offset, send->part, send->len);
        if (rc < 0)
            send_drop(target, rc);
    }
    send->offset += send->len;
    send->len = 0;
}

int
send_take(void *ctx, const void *data, size_t len)
{
    struct send *send = ctx;
    const unsigned char *bytes = data;

    while (len > 0) {
        size_t room = send->size - send->len, take = len < room ? len : room;

        if (room == 0) { /* not before there is more: what fits one part goes out whole */
            send_flush(send, false);
            if (send_check(send) < 0)
                return send_check(send);
            continue;
        }
        memcpy(send->part + send->len, bytes, take);
        send->len += take;
        bytes += take;
        len -= take;
    }
    return 0;
}

void
send_end(struct send *send)
{
    send_flush(send, send->number == 0);
    for (size_t i = 0; i < send->count; i++) {
        struct send_target *target = &send->targets[i];
        int rc = 0;

        if (target->error.code == 0)
            rc = storage_put_commit(STEAL(target->put), send->offset);
        if (rc < 0)
            send_drop(target, rc);
    }
}

bool
send_abort(struct send *send)
{
    bool failed = send_check(send) < 0;

    for (size_t i = 0; i < send->count; i++)
        storage_put_abort(STEAL(send->targets[i].put));
    return failed;
}
