/* SPDX-License-Identifier: PostgreSQL
 *
 * The inside of what pgcask-plugin.h shows to plugins by name only. Made by
 * storage and notifier for the time of a call, read by api.c.
 */
#ifndef PGCASK_PLUGIN_OPAQUE_H
#define PGCASK_PLUGIN_OPAQUE_H

#include "pgcask-plugin.h"

#include <stdbool.h>

struct pgcask_put {
    const char *key;
    uint64_t size_hint;
    bool hot;
};

/* As the plugin gave it: 0 is "not said". */
struct pgcask_limits {
    uint64_t min, preferred, max;
    uint32_t parts;
};

struct listed {
    const char *key; /* borrowed for the time of the call */
    uint64_t size;
    int64_t mtime_s; /* 0: not known */
    int tier;        /* PGCASK_TIER_… */
    int64_t until_s; /* for PGCASK_TIER_THAWED; 0: not known */
};
struct pgcask_listing {
    const char *prefix; /* keys that do not begin with it are passed over */
    int (*add)(void *ctx, const struct listed *listed);
    void *ctx;
};

struct finding {
    int outcome; /* PGCASK_CHECK_… */
    char *text, *cure; /* cure: NULL for none */
};
/* Findings are kept until the check is over: one that met passing trouble is made again from the start. */
struct pgcask_check {
    bool fix;
    int64_t keep_s;
    struct finding *findings;
    size_t len, cap;
    char *wrong; /* what the plugin must not say; NULL: nothing */
};

struct event_field {
    const char *name;
    const char *value; /* NULL: the field is not there */
};
struct pgcask_event {
    const struct event_field *fields;
    size_t count;
};

#endif
