/* SPDX-License-Identifier: PostgreSQL
 *
 * Stores in memory, opened through a plugin made here: they count what happens to
 * them, fail where they are told to, and let the test change what is stored.
 */
#ifndef PGCASK_TESTS_UNIT_STORE_H
#define PGCASK_TESTS_UNIT_STORE_H

#include "base/error.h"
#include "base/mem.h"
#include "plugin/storage.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

enum store_call { STORE_NONE, STORE_BEGIN, STORE_PART, STORE_COMMIT, STORE_ABORT, STORE_GET, STORE_STAT, STORE_CALLS };
enum { STORE_OBJECTS = 16, STORE_PARTS = 256, STORE_BUFFERS = 64 };

struct store_object {
    char *key; /* NULL: not used */
    unsigned char *data;
    size_t len;
};

struct store {
    /* what to do; before it is opened */
    uint64_t part_min, part_preferred, part_max;
    uint32_t parts;
    int thread_model;
    int64_t parallel;
    /* what to do; at any time when no call is under way */
    enum store_call fails; /* this call … */
    unsigned fails_at;     /* … the n-th time, from 1, and whenever it comes again; 0: never */
    int code;              /* with this code */
    const char *reason;
    unsigned pause_us;     /* in every put_part, and in every get */
    bool counts;           /* its requests, as stores far away do */
    void (*part_hook)(struct store *store, uint32_t number); /* in every put_part; may be NULL */
    /* what was seen */
    pthread_mutex_t lock;
    struct store_object objects[STORE_OBJECTS];
    unsigned calls[STORE_CALLS];
    unsigned uploads;                     /* begun and neither committed nor aborted */
    size_t sizes[STORE_PARTS];            /* of the parts by number */
    const void *buffers[STORE_BUFFERS];   /* different addresses that parts came from */
    size_t buffer_count;
    uint64_t got;                         /* bytes read */
    uint64_t size_hint;
    /* opened */
    struct plugin plugin;
    struct storage *storage;
};

struct store_upload {
    struct store *store;
    struct store_object object;
};

static struct store *store_opening; /* a plugin without settings cannot be told otherwise */

/* Count a call; its answer. */
static inline int
store_answer(struct store *store, enum store_call call)
{
    unsigned count;

    (void)pthread_mutex_lock(&store->lock);
    count = ++store->calls[call];
    (void)pthread_mutex_unlock(&store->lock);
    if (store->fails != call || store->fails_at == 0 || count < store->fails_at)
        return 0;
    pgcask_error("%s", store->reason);
    return store->code;
}

static inline int
store_plugin_open(const void *settings, unsigned flags, void **ret_handle)
{
    (void)settings;
    (void)flags;
    *ret_handle = store_opening;
    return 0;
}

static inline int
store_plugin_limits(void *handle, struct pgcask_limits *limits)
{
    const struct store *store = handle;

    pgcask_limits_set(limits, store->part_min, store->part_preferred, store->part_max, store->parts);
    return 0;
}

/* Caller holds store->lock. */
static inline struct store_object *
store_look(struct store *store, const char *key)
{
    for (size_t i = 0; i < STORE_OBJECTS; i++)
        if (store->objects[i].key != NULL && strcmp(store->objects[i].key, key) == 0)
            return &store->objects[i];
    return NULL;
}

static inline int
store_plugin_begin(void *handle, const struct pgcask_put *put, void **ret_upload)
{
    struct store *store = handle;
    struct store_upload *upload;
    int rc = store_answer(store, STORE_BEGIN);

    if (rc < 0)
        return rc;
    upload = mem_zalloc(sizeof *upload);
    upload->store = store;
    upload->object.key = mem_strdup(pgcask_put_key(put));
    (void)pthread_mutex_lock(&store->lock);
    store->uploads++;
    store->size_hint = pgcask_put_size_hint(put);
    (void)pthread_mutex_unlock(&store->lock);
    *ret_upload = upload;
    return 0;
}

/* Caller holds store->lock. */
static inline void
store_note_part(struct store *store, uint32_t number, const void *data, size_t size)
{
    size_t i = 0;

    if (number < STORE_PARTS)
        store->sizes[number] = size;
    while (i < store->buffer_count && store->buffers[i] != data)
        i++;
    if (i == store->buffer_count && i < STORE_BUFFERS)
        store->buffers[store->buffer_count++] = data;
}

static inline int
store_plugin_part(void *handle, void *ctx, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    struct store *store = handle;
    struct store_upload *upload = ctx;
    int rc = store_answer(store, STORE_PART);

    if (store->pause_us > 0)
        (void)usleep(store->pause_us);
    if (store->part_hook != NULL)
        store->part_hook(store, number);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&store->lock);
    store_note_part(store, number, data, size);
    if (offset + size > upload->object.len) {
        upload->object.data = mem_realloc_array(upload->object.data, offset + size, 1);
        memset(upload->object.data + upload->object.len, 0, offset + size - upload->object.len);
        upload->object.len = offset + size;
    }
    memcpy(upload->object.data + offset, data, size);
    (void)pthread_mutex_unlock(&store->lock);
    return 0;
}

static inline void
store_upload_end(struct store_upload *upload)
{
    struct store *store = upload->store;

    (void)pthread_mutex_lock(&store->lock);
    store->uploads--;
    (void)pthread_mutex_unlock(&store->lock);
    free(upload->object.key);
    free(upload->object.data);
    free(upload);
}

static inline int
store_plugin_commit(void *handle, void *ctx, uint64_t size)
{
    struct store *store = handle;
    struct store_upload *upload = ctx;
    size_t i = 0;
    int rc = store_answer(store, STORE_COMMIT);

    if (rc < 0)
        return rc;
    if (upload->object.len != size) {
        pgcask_error("%zu bytes came", upload->object.len);
        return PGCASK_FAILED;
    }
    (void)pthread_mutex_lock(&store->lock);
    while (i < STORE_OBJECTS && store->objects[i].key != NULL)
        i++;
    if (i < STORE_OBJECTS) {
        store->objects[i] = upload->object;
        upload->object = (struct store_object){ 0 };
    }
    (void)pthread_mutex_unlock(&store->lock);
    store_upload_end(upload);
    return 0;
}

static inline int
store_plugin_abort(void *handle, void *upload)
{
    (void)store_answer(handle, STORE_ABORT);
    store_upload_end(upload);
    return 0;
}

static inline int
store_plugin_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    struct store *store = handle;
    struct store_object *object;
    int rc = store_answer(store, STORE_GET);

    if (store->pause_us > 0)
        (void)usleep(store->pause_us);
    if (store->counts)
        pgcask_count(PGCASK_COUNT_READS, 1);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&store->lock);
    object = store_look(store, key);
    if (object == NULL || offset > object->len || size > object->len - offset) {
        pgcask_error("'%s' ends before byte %llu", key, (unsigned long long)offset + size);
        rc = PGCASK_FAILED;
    } else {
        memcpy(data, object->data + offset, size);
        store->got += size;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

static inline int
store_plugin_stat(void *handle, const char *key, struct pgcask_listing *listing)
{
    struct store *store = handle;
    struct store_object *object;
    int rc = store_answer(store, STORE_STAT);

    if (rc < 0)
        return rc;
    rc = PGCASK_NOT_FOUND;
    (void)pthread_mutex_lock(&store->lock);
    object = store_look(store, key);
    if (object != NULL)
        rc = pgcask_listing_add(listing, key, object->len, 0);
    else
        pgcask_error("there is no '%s'", key);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

static inline int
store_plugin_list(void *handle, const char *prefix, struct pgcask_listing *listing)
{
    (void)handle;
    (void)prefix;
    (void)listing;
    return 0;
}

static inline int
store_plugin_remove(void *handle, const char *key)
{
    struct store *store = handle;
    struct store_object *object;

    (void)pthread_mutex_lock(&store->lock);
    object = store_look(store, key);
    if (object != NULL) {
        free(object->key);
        free(object->data);
        *object = (struct store_object){ 0 };
    }
    (void)pthread_mutex_unlock(&store->lock);
    return 0;
}

/* Open a store that the test has filled in, or {0}: parts of 1000 bytes, one at a time. */
static inline void
store_open(struct store *store, const char *name)
{
    const struct config_store policy = { .required = 1, .parallel = store->parallel };

    if (store->part_preferred == 0)
        store->part_preferred = 1000;
    (void)pthread_mutex_init(&store->lock, NULL);
    store->plugin = (struct plugin){ .kind = PLUGIN_STORAGE, .name = "memory", .thread_model = store->thread_model };
    store->plugin.storage = (struct pgcask_storage_plugin){
        PGCASK_STORAGE_INIT,
        .open = store_plugin_open,
        .part_limits = store_plugin_limits,
        .put_begin = store_plugin_begin,
        .put_part = store_plugin_part,
        .put_commit = store_plugin_commit,
        .put_abort = store_plugin_abort,
        .get = store_plugin_get,
        .stat = store_plugin_stat,
        .list = store_plugin_list,
        .remove = store_plugin_remove,
    };
    store_opening = store;
    ck_assert_msg(storage_open_plugin(name, &store->plugin, NULL, &policy, 0, &store->storage) == 0, "%s",
                  error_text());
}

/* NULL when there is none of that key. Borrowed. */
static inline struct store_object *
store_find(struct store *store, const char *key)
{
    struct store_object *object;

    (void)pthread_mutex_lock(&store->lock);
    object = store_look(store, key);
    (void)pthread_mutex_unlock(&store->lock);
    return object;
}

/* An object that came there by itself; copies. */
static inline void
store_place(struct store *store, const char *key, const void *data, size_t len)
{
    size_t i = 0;

    ck_assert_int_eq(store_plugin_remove(store, key), 0);
    while (store->objects[i].key != NULL)
        ck_assert_uint_lt(++i, STORE_OBJECTS);
    store->objects[i] = (struct store_object){ mem_strdup(key), mem_alloc(len), len };
    memcpy(store->objects[i].data, data, len);
}

static inline unsigned
store_count(const struct store *store)
{
    unsigned count = 0;

    for (size_t i = 0; i < STORE_OBJECTS; i++)
        count += store->objects[i].key != NULL;
    return count;
}

/* Close it and forget everything. */
static inline void
store_close(struct store *store)
{
    storage_close(store->storage);
    for (size_t i = 0; i < STORE_OBJECTS; i++) {
        free(store->objects[i].key);
        free(store->objects[i].data);
    }
    (void)pthread_mutex_destroy(&store->lock);
    *store = (struct store){ 0 };
}

#endif
