/* SPDX-License-Identifier: PostgreSQL
 *
 * A store in memory for tests of what stands above core/plugin: objects can be put
 * in, aged, spoilt and looked at behind pgcask's back; a call can be made to fail,
 * or to have something happen meanwhile.
 */
#ifndef PGCASK_TESTS_UNIT_FAKE_H
#define PGCASK_TESTS_UNIT_FAKE_H

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "plugin/opaque.h"
#include "plugin/storage.h"
#include "unit.h"

struct fake_object {
    char *key;
    char *data;
    size_t len;
    int64_t mtime_s;
    int tier; /* PGCASK_TIER_… */
    int64_t until_s;
    unsigned thawing; /* how often it is looked at before it is there */
};

struct fake {
    struct fake_object *objects;
    size_t len, cap;
    const char *refuse;                                    /* calls for keys with this text in them fail; may be NULL */
    int refuse_code;                                       /* with this code; 0: PGCASK_FAILED */
    void (*listed)(struct fake *fake, const char *prefix); /* happens right behind a listing */
    void (*stated)(struct fake *fake, const char *key);    /* happens right behind a stat */
    void (*missed)(struct fake *fake, const char *key);    /* happens right behind a get of what is not there */
    bool tells;        /* listings know the tier of each object */
    unsigned thaw_for; /* objects that are asked for are there when they were looked at so often */
    size_t gets, stats, lists, thaws, sweeps, opens, closes;
    int64_t sweep_before_s;
    struct strv removed; /* keys, in the order of the calls */
    struct storage *storage;
};

/* What its [store NAME] says. */
struct fake_settings {
    const char *where;
};

static struct fake *fake_next;                         /* whom the next open without settings is for */
static struct fake *(*fake_named)(const char *where); /* who is meant by settings */

static inline struct fake_object *
fake_find(const struct fake *fake, const char *key)
{
    for (size_t i = 0; i < fake->len; i++)
        if (strcmp(fake->objects[i].key, key) == 0)
            return &fake->objects[i];
    return NULL;
}

static inline void
fake_drop(struct fake *fake, const char *key)
{
    struct fake_object *object = fake_find(fake, key);

    if (object == NULL)
        return;
    free(object->key);
    free(object->data);
    *object = fake->objects[--fake->len];
}

/* Takes the place of an object of that name; the others stay where they are. */
static inline struct fake_object *
fake_put(struct fake *fake, const char *key, const void *data, size_t len)
{
    struct fake_object *object = fake_find(fake, key);

    if (object == NULL) {
        MEM_GROW(fake->objects, fake->len, fake->cap);
        object = &fake->objects[fake->len++];
        *object = (struct fake_object){ .key = mem_strdup(key) };
    }
    free(object->data);
    object->data = mem_alloc(len + 1);
    memcpy(object->data, data, len);
    object->data[len] = '\0';
    object->len = len;
    object->mtime_s = clock_now_s();
    return object;
}

static inline struct fake_object *
fake_text(struct fake *fake, const char *key, const char *text)
{
    return fake_put(fake, key, text, strlen(text));
}

/* ---- callbacks ---- */

static inline int
fake_refuse(const struct fake *fake, const char *key)
{
    if (fake->refuse == NULL || strstr(key, fake->refuse) == NULL)
        return 0;
    pgcask_error("no answer for '%s'", key);
    return fake->refuse_code != 0 ? fake->refuse_code : PGCASK_FAILED;
}

static inline int
fake_open(const void *settings, unsigned flags, void **ret_handle)
{
    const struct fake_settings *fake_settings = settings;
    struct fake *fake = fake_settings != NULL ? fake_named(fake_settings->where) : fake_next;

    (void)flags;
    if (fake == NULL) {
        pgcask_error("there is no '%s'", fake_settings->where);
        return PGCASK_FAILED;
    }
    fake->opens++;
    *ret_handle = fake;
    return 0;
}

static inline void
fake_close(void *handle)
{
    ((struct fake *)handle)->closes++;
}

struct fake_upload {
    char *key;
    char *data;
    size_t len;
};

static inline int
fake_put_begin(void *handle, const struct pgcask_put *put, void **ret_upload)
{
    struct fake_upload *upload;
    int rc = fake_refuse(handle, pgcask_put_key(put));

    if (rc < 0)
        return rc;
    if (fake_find(handle, pgcask_put_key(put)) != NULL) {
        pgcask_error("'%s' is taken", pgcask_put_key(put));
        return PGCASK_EXISTS;
    }
    upload = mem_zalloc(sizeof *upload);
    upload->key = mem_strdup(pgcask_put_key(put));
    *ret_upload = upload;
    return 0;
}

static inline int
fake_put_part(void *handle, void *ctx, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    struct fake_upload *upload = ctx;

    (void)handle;
    (void)number;
    if (offset + size > upload->len) {
        upload->data = mem_realloc_array(upload->data, offset + size, 1);
        upload->len = offset + size;
    }
    memcpy(upload->data + offset, data, size);
    return 0;
}

static inline int
fake_put_abort(void *handle, void *ctx)
{
    struct fake_upload *upload = ctx;

    (void)handle;
    free(upload->key);
    free(upload->data);
    free(upload);
    return 0;
}

static inline int
fake_put_commit(void *handle, void *ctx, uint64_t size)
{
    struct fake_upload *upload = ctx;

    ck_assert_uint_eq(upload->len, size);
    (void)fake_put(handle, upload->key, upload->data ? upload->data : "", upload->len);
    return fake_put_abort(handle, ctx);
}

static inline int
fake_missing(const char *key)
{
    pgcask_error("there is no '%s'", key);
    return PGCASK_NOT_FOUND;
}

static inline int
fake_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    struct fake *fake = handle;
    const struct fake_object *object = fake_find(fake, key);
    int rc = fake_refuse(fake, key);

    fake->gets++;
    if (rc < 0)
        return rc;
    if (object == NULL && fake->missed != NULL)
        fake->missed(fake, key);
    if (object == NULL)
        return fake_missing(key);
    if (object->tier == PGCASK_TIER_COLD || object->tier == PGCASK_TIER_THAWING) {
        pgcask_error("'%s' is in cold storage", key);
        return PGCASK_COLD;
    }
    if (offset + size > object->len) {
        pgcask_error("'%s' ends at %zu", key, object->len);
        return PGCASK_FAILED;
    }
    memcpy(data, object->data + offset, size);
    return 0;
}

static inline int
fake_stat(void *handle, const char *key, struct pgcask_listing *listing)
{
    struct fake *fake = handle;
    struct fake_object *object = fake_find(fake, key);
    int rc = fake_refuse(fake, key);

    fake->stats++;
    if (object != NULL && object->tier == PGCASK_TIER_THAWING && --object->thawing == 0)
        object->tier = PGCASK_TIER_THAWED;
    if (rc == 0)
        rc = object == NULL ? fake_missing(key)
                            : pgcask_listing_add_tiered(listing, key, object->len, object->mtime_s, object->tier, object->until_s);
    if (fake->stated != NULL)
        fake->stated(fake, key);
    return rc;
}

static inline int
fake_list(void *handle, const char *prefix, struct pgcask_listing *listing)
{
    struct fake *fake = handle;
    int rc = fake_refuse(fake, prefix);

    fake->lists++;
    for (size_t i = 0; rc == 0 && i < fake->len; i++)
        if (strncmp(fake->objects[i].key, prefix, strlen(prefix)) == 0)
            rc = pgcask_listing_add_tiered(listing, fake->objects[i].key, fake->objects[i].len, fake->objects[i].mtime_s,
                                           fake->tells ? fake->objects[i].tier : PGCASK_TIER_HOT, fake->objects[i].until_s);
    if (rc == 0 && fake->listed != NULL)
        fake->listed(fake, prefix);
    return rc;
}

static inline int
fake_remove(void *handle, const char *key)
{
    struct fake *fake = handle;
    int rc = fake_refuse(fake, key);

    if (rc < 0)
        return rc;
    strv_add(&fake->removed, key);
    fake_drop(fake, key);
    return 0;
}

static inline int
fake_sweep(void *handle, int64_t before_s, uint64_t *ret_count)
{
    struct fake *fake = handle;

    fake->sweeps++;
    fake->sweep_before_s = before_s;
    *ret_count = 0;
    return 0;
}

static inline int
fake_thaw(void *handle, const char *key, int days, const char *tier)
{
    struct fake *fake = handle;
    struct fake_object *object = fake_find(fake, key);
    int rc = fake_refuse(fake, key);

    if (rc < 0)
        return rc;
    if (object == NULL)
        return fake_missing(key);
    if (object->tier == PGCASK_TIER_HOT || object->tier == PGCASK_TIER_THAWED)
        return 0;
    fake->thaws++;
    if (object->tier == PGCASK_TIER_COLD)
        object->thawing = fake->thaw_for;
    object->tier = object->thawing == 0 ? PGCASK_TIER_THAWED : PGCASK_TIER_THAWING;
    object->until_s = clock_now_s() + days * INT64_C(86400);
    pgcask_error("'%s' will be there soon (%s)", key, tier);
    return object->tier == PGCASK_TIER_THAWED ? 0 : PGCASK_COLD;
}

static const struct pgcask_option fake_options[] = {
    { .name = "where", .type = PGCASK_OPTION_STRING, .help = "which one", .offset = offsetof(struct fake_settings, where) },
};

static const struct plugin fake_plugin = {
    .kind = PLUGIN_STORAGE,
    .name = "fake",
    .thread_model = PGCASK_THREADS_PER_HANDLE,
    .storage = { PGCASK_STORAGE_INIT,
                 .name = "fake",
                 .open = fake_open,
                 .close = fake_close,
                 .put_begin = fake_put_begin,
                 .put_part = fake_put_part,
                 .put_commit = fake_put_commit,
                 .put_abort = fake_put_abort,
                 .get = fake_get,
                 .stat = fake_stat,
                 .list = fake_list,
                 .remove = fake_remove,
                 .sweep = fake_sweep },
    .table = OPTION_TABLE(fake_options, struct fake_settings),
};

static inline struct fake *
fake_new(void)
{
    return mem_zalloc(sizeof(struct fake));
}

/* A new one, opened as store `name`. */
static inline struct fake *
fake_opened(const char *name)
{
    static const struct config_store policy = { .required = 1, .parallel = 1 };
    struct fake *fake = fake_next = fake_new();

    ck_assert_msg(storage_open_plugin(name, &fake_plugin, NULL, &policy, 0, &fake->storage) == 0, "%s", error_text());
    return fake;
}

/* One that has a cold side; objects go there by their `tier`. */
static inline struct fake *
fake_cold_opened(const char *name)
{
    static const struct config_store policy = { .required = 1, .parallel = 1 };
    static struct plugin plugin;
    struct fake *fake = fake_next = fake_new();

    plugin = fake_plugin;
    plugin.storage.thaw = fake_thaw;
    fake->thaw_for = 2;
    ck_assert_msg(storage_open_plugin(name, &plugin, NULL, &policy, 0, &fake->storage) == 0, "%s", error_text());
    return fake;
}

static inline void
fake_free(struct fake *fake)
{
    if (fake == NULL)
        return;
    storage_close(fake->storage);
    while (fake->len > 0)
        fake_drop(fake, fake->objects[0].key);
    free(fake->objects);
    strv_free(&fake->removed);
    free(fake);
}

#endif
