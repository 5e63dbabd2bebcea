/* SPDX-License-Identifier: PostgreSQL
 *
 * What an opened store and an opened notifier have in common: the name in messages, the lock that the plugin's thread
 * model asks for, and what every call of a callback goes through.
 */
#ifndef PGCASK_PLUGIN_INSTANCE_H
#define PGCASK_PLUGIN_INSTANCE_H

#include "plugin/host.h"
#include "plugin/pace.h"
#include "plugin/retry.h"

#include <pthread.h>
#include <stdatomic.h>

enum { INSTANCE_COUNTS = PGCASK_COUNT_RECEIVED + 1 };

struct instance {
    const struct plugin *plugin; /* borrowed; loaded plugins stay for ever */
    char *name;                  /* of the section */
    char *label;                 /* "store 'offsite'" */
    pthread_mutex_t own;         /* one call at a time for this handle */
    pthread_mutex_t *lock;       /* held during a call; NULL: any number of calls at once */
    int64_t retries, retry_max_ms;
    atomic_bool weary; /* the last call was given up after all its tries */
    struct pace pace;
    _Atomic uint64_t counts[INSTANCE_COUNTS]; /* by PGCASK_COUNT_…, as the plugin counted */
};

/* `what`: "store" or "notifier". */
void instance_init(struct instance *instance, const char *what, const char *name, const struct plugin *plugin,
                   int64_t retries, int64_t retry_max_ms);
void instance_set_bandwidth(struct instance *instance, int64_t rate); /* bytes a second; 0: no limit, as after init */
void instance_free(struct instance *instance);

/* Before and after a callback. The lock is held in between; it is a leaf: a callback cannot come back into pgcask
 * but through api.c. `before` is the log prefix to come back to. */
const char *instance_enter(struct instance *instance);
/* Make `code` one that pgcask knows, with a text. */
int instance_leave(struct instance *instance, const char *before, const char *callback, int code);

/* What a callback asks for in the middle of its call. A thread that the plugin started itself is in no call: nothing is
 * waited for and nothing counted. */
void instance_pace(uint64_t bytes);
void instance_count(int what, uint64_t n);

/* A call that moved `size` bytes came back well: wait for those of them that the plugin did not pace itself. */
void instance_moved(struct instance *instance, uint64_t size);

/* Put the label before the error's text, unless we were stopped: then it is nobody's fault. */
int instance_failed(const struct instance *instance, int code);

/* Call `call` (evaluated once for each try) as long as its answer is PGCASK_RETRY and tries are left. Who was given up has
 * had its time: its next calls, such as those that clean up, get one try each, until one is answered. */
#define INSTANCE_CALL(instance, callback, call)                                                                        \
    ({                                                                                                                 \
        struct retry retry_ = RETRY_INIT(atomic_load(&(instance)->weary) ? 0 : (instance)->retries,                    \
                                         (instance)->retry_max_ms);                                                    \
        int code_;                                                                                                     \
                                                                                                                       \
        do {                                                                                                           \
            const char *before_ = instance_enter(instance);                                                            \
                                                                                                                       \
            code_ = instance_leave((instance), before_, (callback), (call));                                           \
        } while (retry_again(&retry_, (instance)->label, (callback), &code_));                                         \
        atomic_store(&(instance)->weary, retry_.spent);                                                                \
        code_;                                                                                                         \
    })

/* The text of an error that came without one, so that `plugin check` can tell. */
#define INSTANCE_NO_REASON "the plugin gave no reason"

#endif
