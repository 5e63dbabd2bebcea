/* SPDX-License-Identifier: PostgreSQL
 *
 * One object to several stores from one pass over its bytes: for segment-push.c.
 */
#ifndef PGCASK_PIPELINE_SEGMENT_SEND_H
#define PGCASK_PIPELINE_SEGMENT_SEND_H

#include "base/error.h"
#include "plugin/storage.h"

#include <stdbool.h>
#include <stddef.h>

/* A store that is to have it. */
struct send_target {
    struct storage *storage;
    struct storage_put *put; /* NULL: not begun, or over */
    struct error error;      /* why it does not have it; code 0: it does, after send_end */
    bool exists;             /* the key was taken meanwhile */
};

struct send {
    struct send_target *targets;
    size_t count;
    const char *key;
    unsigned char *part; /* bytes not handed out yet */
    size_t len, size;
    uint64_t offset;     /* of those in the object */
    uint32_t number;     /* of the part before */
};

/* Bytes of a part that suit all these stores. ERROR_USAGE when there are none. */
int send_part_size(struct storage *const *stores, size_t count, size_t *ret_size);

/* `send` has targets, count, key, part and size (from send_part_size). Of type blob_take; an error, without a text, only
 * when no target is left. */
int send_take(void *send, const void *data, size_t len);
/* That was all of it: each target then has it, or knows why not. */
void send_end(struct send *send);
/* There will be no more. Is it because no target was left? */
bool send_abort(struct send *send);

#endif
