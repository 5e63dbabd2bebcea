/* SPDX-License-Identifier: PostgreSQL
 *
 * JSON read while it comes by: for documents that are larger than what is kept of them. The grammar is checked; what the
 * values mean is the caller's. Foreign bytes, fuzzed.
 */
#ifndef PGCASK_BASE_JSON_PUSH_H
#define PGCASK_BASE_JSON_PUSH_H

#include "base/mem.h"

#include <stddef.h>

enum {
    JSON_PUSH_DEPTH_MAX = 16,
    JSON_PUSH_TEXT_MAX = 16 * 1024, /* bytes of one key, string or number */
};

enum json_event {
    JSON_OBJECT_BEGIN,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_WORD, /* true, false, null */
};

/* `text`: of a key, string (escapes resolved), number or word; NUL-terminated, without a NUL within, borrowed until the
 * return. 0: go on; below 0 ends the reading with that code. */
typedef int json_push_event(void *ctx, enum json_event event, const char *text);

struct json_push; /* opaque */
struct json_push *json_push_new(json_push_event *event, void *ctx);
void json_push_free(struct json_push *push);
CLEANUP_DEFINE(struct json_push, json_push_free)

/* The next bytes, in pieces of any size. ERROR_CORRUPT: no JSON, or beyond the limits above. */
int json_push_add(struct json_push *push, const void *data, size_t len);
/* Behind the last byte: ERROR_CORRUPT unless there was exactly one value. */
int json_push_end(struct json_push *push);

#endif
