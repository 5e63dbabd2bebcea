/* SPDX-License-Identifier: PostgreSQL
 *
 * The conformance suite: what every store must do, tried on a real one. It writes
 * below a random prefix `pgcask-check-<hex>/` and removes what it wrote.
 */
#ifndef PGCASK_PLUGIN_CONFORM_H
#define PGCASK_PLUGIN_CONFORM_H

#include "plugin/host.h"

#include <stddef.h>
#include <stdint.h>

struct conform_spec {
    const struct plugin *plugin;
    const char *const *words; /* "key=value" settings of the store to try */
    size_t word_count;
    unsigned keys;            /* objects of the long listing; fewer for slow stores. At least 1. */
    int64_t cold_ms;          /* wait so long for an object to turn cold, and again for it to thaw; the store's tiering rules
                                 are put in place first. 0: do not */
    void (*print)(void *ctx, const char *line); /* takes each line of TAP, without newline */
    void *ctx;
};
enum { CONFORM_KEYS_DEFAULT = 2000 };

/* 0 when everything passed; PGCASK_FAILED with a count otherwise; ERROR_USAGE when the settings cannot be used. */
int conform_storage(const struct conform_spec *spec);
/* A notifier cannot be looked into: settings are checked as above, then it is opened and told one event of the name
 * "test". */
int conform_notifier(const struct conform_spec *spec);

#endif
