/* SPDX-License-Identifier: PostgreSQL
 *
 * Opening and closing a store, its limits, and the calls that need no state of
 * their own. Writing an object is in storage-put.c, removing in storage-remove.c,
 * what collects in storage-list.c, what looks after a store in storage-check.c.
 */
#include "config.h"

#include "plugin/storage.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "plugin/opaque.h"
#include "plugin/storage-private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX_BYTES = 1000, KEY_COMPONENT_MAX_BYTES = 250 }; /* promised to plugins in pgcask-plugin.h */

/* What pgcask_limits_set promises for zeros. */
static const struct storage_limits default_limits = {
    .part_min = 1,
    .part_preferred = UINT64_C(16) << 20,
    .part_max = UINT64_C(5) << 30,
    .parts = 10000,
};
static const uint64_t part_ceiling = UINT64_C(1) << 30; /* a preferred part is held in memory, several at once */

static int
storage_component_check(const char *key, const char *component, size_t len)
{
    if (len == 0)
        return error_set(PGCASK_FAILED, "key '%s' has an empty component", key);
    if ((len == 1 && component[0] == '.') || (len == 2 && memcmp(component, "..", 2) == 0))
        return error_set(PGCASK_FAILED, "key '%s' has a component '%.*s'", key, (int)len, component);
    if (len > KEY_COMPONENT_MAX_BYTES)
        return error_set(PGCASK_FAILED, "key '%s' has a component of %zu bytes, at most %d are allowed", key, len,
                         KEY_COMPONENT_MAX_BYTES);
    return 0;
}

int
storage_key_check(const char *key)
{
    size_t len = strnlen(key, KEY_MAX_BYTES + 1);

    if (len > KEY_MAX_BYTES)
        return error_set(PGCASK_FAILED, "key '%.40s…' has more than %d bytes", key, KEY_MAX_BYTES);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)key[i] < 0x20 || key[i] == 0x7f)
            return error_set(PGCASK_FAILED, "key '%s' has a control character", key);
    for (const char *component = key;;) {
        size_t component_len = strcspn(component, "/");
        int rc = storage_component_check(key, component, component_len);

        if (rc < 0)
            return rc;
        if (component[component_len] == '\0')
            return 0;
        component += component_len + 1;
    }
}

/* Fill in what the plugin did not say, and refuse what cannot be met. */
static int
storage_limits_resolve(const struct pgcask_limits *said, struct storage_limits *ret_limits)
{
    struct storage_limits limits = default_limits;

    if (said->min != 0)
        limits.part_min = said->min;
    if (said->max != 0)
        limits.part_max = said->max;
    if (said->parts != 0)
        limits.parts = said->parts;
    if (said->preferred != 0)
        limits.part_preferred = said->preferred;
    else if (limits.part_preferred < limits.part_min)
        limits.part_preferred = limits.part_min;
    else if (limits.part_preferred > limits.part_max)
        limits.part_preferred = limits.part_max;
    if (limits.part_min > limits.part_preferred || limits.part_preferred > limits.part_max)
        return error_set(PGCASK_FAILED,
                         "the plugin's part sizes are out of order: min %" PRIu64 ", preferred %" PRIu64
                         ", max %" PRIu64,
                         limits.part_min, limits.part_preferred, limits.part_max);
    if (limits.part_preferred > part_ceiling)
        return error_set(PGCASK_FAILED, "the plugin prefers parts of %" PRIu64 " bytes, at most %" PRIu64 " can be had",
                         limits.part_preferred, part_ceiling);
    *ret_limits = limits;
    return 0;
}

static int
storage_ask_limits(struct storage *storage)
{
    struct pgcask_limits said = { 0 };
    int rc = 0;

    if (storage->calls->part_limits != NULL)
        rc = INSTANCE_CALL(&storage->base, "part_limits", storage->calls->part_limits(storage->handle, &said));
    return rc < 0 ? rc : storage_limits_resolve(&said, &storage->limits);
}

static void
storage_call_close(struct storage *storage)
{
    struct error kept; /* closing is what happens on the way out of an error: its text must survive */
    const char *before;

    if (storage->calls->close == NULL)
        return;
    error_take(PGCASK_FAILED, &kept);
    before = instance_enter(&storage->base);
    storage->calls->close(storage->handle);
    (void)instance_leave(&storage->base, before, "close", 0);
    (void)error_put(&kept);
}

static int
storage_call_open(struct storage *storage, const void *settings, unsigned flags)
{
    const struct pgcask_storage_plugin *calls = storage->calls;
    struct error error;
    int rc = 0;

    if (calls->check_settings != NULL)
        rc = INSTANCE_CALL(&storage->base, "check_settings", calls->check_settings(settings));
    if (rc < 0)
        return rc == ERROR_CANCELLED ? rc : ERROR_USAGE;
    rc = INSTANCE_CALL(&storage->base, "open", calls->open(settings, flags, &storage->handle));
    if (rc < 0)
        return rc;
    rc = storage_ask_limits(storage);
    if (rc < 0) {
        error_take(rc, &error);
        storage_call_close(storage);
        rc = error_put(&error);
    }
    return rc;
}

static void
storage_free(struct storage *storage)
{
    option_set_free(storage->set);
    instance_free(&storage->base);
    free(storage);
}

int
storage_open_plugin(const char *name, const struct plugin *plugin, const struct option_set *set,
                    const struct config_store *policy, unsigned flags, struct storage **ret_storage)
{
    struct storage *storage = mem_zalloc(sizeof *storage);
    int rc;

    instance_init(&storage->base, "store", name, plugin, policy->retries, policy->retry_max);
    instance_set_bandwidth(&storage->base, policy->bandwidth);
    storage->calls = &plugin->storage;
    storage->required = policy->required != 0;
    storage->readonly = (flags & PGCASK_OPEN_READONLY) != 0;
    storage->parallel = plugin->thread_model == PGCASK_THREADS_PARALLEL && policy->parallel > 1
                            ? (unsigned)policy->parallel
                            : 1;
    rc = storage_call_open(storage, set != NULL ? option_settings(set) : NULL, flags);
    if (rc < 0) {
        rc = instance_failed(&storage->base, rc);
        storage_free(storage);
        return rc;
    }
    *ret_storage = storage;
    return 0;
}

int
storage_open(const struct config_item *store, unsigned flags, struct storage **ret_storage)
{
    const struct plugin *plugin;
    CLEANUP(option_set_free) struct option_set *set = NULL;
    int rc = plugin_load(PLUGIN_STORAGE, store->store->plugin, &plugin);

    if (rc < 0) {
        (void)config_context(store->section, "plugin");
        return rc;
    }
    rc = option_fill(&plugin->table, &config_kind("store")->table, store->section, &set);
    if (rc < 0)
        return rc; /* the text begins with path:line: [store NAME] */
    rc = storage_open_plugin(store->name, plugin, set, store->store, flags, ret_storage);
    if (rc < 0)
        return rc;
    (*ret_storage)->set = STEAL(set);
    return 0;
}

static uint64_t
storage_count(const struct storage *storage, int what)
{
    return atomic_load_explicit(&storage->base.counts[what], memory_order_relaxed);
}

struct storage_counts
storage_counts(const struct storage *storage)
{
    return (struct storage_counts){
        .writes = storage_count(storage, PGCASK_COUNT_WRITES),
        .reads = storage_count(storage, PGCASK_COUNT_READS),
        .sent = storage_count(storage, PGCASK_COUNT_SENT),
        .received = storage_count(storage, PGCASK_COUNT_RECEIVED),
    };
}

/* What its use has cost, for stores that cost something. */
static void
storage_tell_counts(const struct storage *storage)
{
    struct storage_counts counts = storage_counts(storage);
    CLEANUP_FREE char *sent = format_size(counts.sent), *received = format_size(counts.received);

    if (counts.writes + counts.reads > 0)
        log_info("%s: %" PRIu64 " requests (%" PRIu64 " writing, %" PRIu64 " reading), %s sent, %s received",
                 storage->base.label, counts.writes + counts.reads, counts.writes, counts.reads, sent, received);
}

void
storage_close(struct storage *storage)
{
    if (storage == NULL)
        return;
    storage_call_close(storage);
    storage_tell_counts(storage);
    storage_free(storage);
}

const char *
storage_name(const struct storage *storage)
{
    return storage->base.name;
}

bool
storage_is_required(const struct storage *storage)
{
    return storage->required;
}

unsigned
storage_parallel(const struct storage *storage)
{
    return storage->parallel;
}

struct storage_limits
storage_limits(const struct storage *storage)
{
    return storage->limits;
}

int
storage_check_writable(const struct storage *storage)
{
    return storage->readonly ? error_set(PGCASK_FAILED, "the store was opened for reading only") : 0;
}

int
storage_get(struct storage *storage, const char *key, uint64_t offset, void *data, size_t size)
{
    int rc = storage_key_check(key);

    if (rc == 0 && offset > UINT64_MAX - size)
        rc = error_set(PGCASK_FAILED, "no object has %zu bytes from %" PRIu64, size, offset);
    if (rc == 0 && size > 0)
        rc = INSTANCE_CALL(&storage->base, "get", storage->calls->get(storage->handle, key, offset, data, size));
    if (rc < 0)
        return instance_failed(&storage->base, rc);
    instance_moved(&storage->base, size);
    return 0;
}

int
storage_get_object(struct storage *storage, const char *key, struct buf *ret_data)
{
    uint64_t size;
    int rc = storage_stat(storage, key, &size, NULL);

    if (rc < 0)
        return rc;
    if (size > ret_data->limit - ret_data->len)
        rc = error_set(PGCASK_FAILED, "'%s' has %" PRIu64 " bytes, at most %zu are allowed here", key, size,
                       ret_data->limit - ret_data->len);
    if (rc == 0)
        rc = buf_reserve(ret_data, (size_t)size);
    if (rc < 0)
        return instance_failed(&storage->base, rc);
    rc = storage_get(storage, key, 0, ret_data->data + ret_data->len, (size_t)size);
    if (rc < 0)
        return rc;
    ret_data->len += (size_t)size;
    ret_data->data[ret_data->len] = '\0';
    return 0;
}
