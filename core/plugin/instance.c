/* SPDX-License-Identifier: PostgreSQL
 *
 * The frame around every call of a plugin's callback. The plugin is the world:
 * what it answers is checked, and an error never goes on without a text.
 */
#include "config.h"

#include "plugin/instance.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

/* The call that this thread is in, and what it paced of its own accord; kept until the next call. */
static __thread struct {
    struct instance *instance;
    uint64_t paced;
} current;

/* For PGCASK_THREADS_ONE in a plugin that was not loaded from a file and so has no lock of its own. */
static pthread_mutex_t one_call = PTHREAD_MUTEX_INITIALIZER;

void
instance_init(struct instance *instance, const char *what, const char *name, const struct plugin *plugin,
              int64_t retries, int64_t retry_max_ms)
{
    *instance = (struct instance){ .plugin = plugin, .retries = retries, .retry_max_ms = retry_max_ms };
    instance->name = mem_strdup(name);
    instance->label = mem_printf("%s '%s'", what, name);
    pace_init(&instance->pace, 0, clock_mono_ms());
    (void)pthread_mutex_init(&instance->own, NULL); /* cannot fail with default attributes on Linux */
    if (plugin->thread_model == PGCASK_THREADS_PER_HANDLE)
        instance->lock = &instance->own;
    else if (plugin->thread_model == PGCASK_THREADS_ONE)
        instance->lock = plugin->one_call != NULL ? plugin->one_call : &one_call;
}

void
instance_set_bandwidth(struct instance *instance, int64_t rate)
{
    pace_end(&instance->pace);
    pace_init(&instance->pace, rate, clock_mono_ms());
}

void
instance_free(struct instance *instance)
{
    pace_end(&instance->pace);
    (void)pthread_mutex_destroy(&instance->own);
    free(instance->name);
    free(instance->label);
}

const char *
instance_enter(struct instance *instance)
{
    if (instance->lock != NULL)
        (void)pthread_mutex_lock(instance->lock);
    error_clear();
    current.instance = instance;
    current.paced = 0;
    return log_prefix(instance->label);
}

int
instance_leave(struct instance *instance, const char *before, const char *callback, int code)
{
    current.instance = NULL;
    (void)log_prefix(before);
    if (instance->lock != NULL)
        (void)pthread_mutex_unlock(instance->lock);
    if (code == 0) {
        error_clear(); /* a plugin may have set a text for trouble it got over */
        return 0;
    }
    if (code > 0 || code < PGCASK_UNSUPPORTED)
        return error_set(PGCASK_FAILED,
                         "%s of plugin '%s' answered %d, which is none of the answers in pgcask-plugin.h", callback,
                         instance->plugin->name, code);
    if (error_text()[0] == '\0')
        return error_set(code, "%s failed (%d), " INSTANCE_NO_REASON, callback, code);
    return code;
}

void
instance_pace(uint64_t bytes)
{
    if (current.instance == NULL)
        return;
    current.paced += bytes;
    pace_wait(&current.instance->pace, bytes);
}

void
instance_count(int what, uint64_t n)
{
    if (current.instance != NULL && what > 0 && what < INSTANCE_COUNTS)
        atomic_fetch_add_explicit(&current.instance->counts[what], n, memory_order_relaxed);
}

void
instance_moved(struct instance *instance, uint64_t size)
{
    if (current.paced < size)
        pace_wait(&instance->pace, size - current.paced);
}

int
instance_failed(const struct instance *instance, int code)
{
    return code == ERROR_CANCELLED ? code : error_context(code, "%s", instance->label);
}
