/* SPDX-License-Identifier: PostgreSQL
 *
 * A storage plugin that answers as told, and remembers what it was asked: for tests of what the host does around a
 * plugin's callbacks. A test may put other callbacks into fake_plugin.storage once the store is open.
 */
#ifndef PGCASK_TESTS_UNIT_TOLD_H
#define PGCASK_TESTS_UNIT_TOLD_H

#include "plugin/storage.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

/* The plugin's whole state; each test starts with it zeroed. One object at most. */
static struct {
    /* what to answer */
    int answers[8]; /* of the callback under test, in turn; 0 from then on */
    bool silent;    /* errors without a text */
    int listed_times;         /* how often stat adds the object; 0: once */
    int64_t stat_size_off;    /* added to the true size */
    int tier;                 /* of each object */
    int64_t until_s;
    const char *list_keys[8]; /* what list adds */
    uint64_t list_sizes[8];
    uint64_t limits[4];
    /* what was seen */
    unsigned calls, begins, aborts, commits, removes, closes;
    bool there; /* the object is visible */
    uint64_t size, written;
    atomic_int inside, inside_most;
} fake;

static inline int
fake_answer(void)
{
    int code = fake.calls < ARRAY_LEN(fake.answers) ? fake.answers[fake.calls] : 0;

    fake.calls++;
    if (code < 0 && !fake.silent)
        pgcask_error("answer %u", fake.calls);
    return code;
}

static inline int
fake_open(const void *settings, unsigned flags, void **ret_handle)
{
    (void)settings;
    (void)flags;
    *ret_handle = &fake;
    return 0;
}

static inline void
fake_close(void *handle)
{
    (void)handle;
    fake.closes++;
}

static inline int
fake_part_limits(void *handle, struct pgcask_limits *limits)
{
    (void)handle;
    pgcask_limits_set(limits, fake.limits[0], fake.limits[1], fake.limits[2], (uint32_t)fake.limits[3]);
    return 0;
}

static inline int
fake_put_begin(void *handle, const struct pgcask_put *put, void **ret_upload)
{
    (void)handle;
    (void)put;
    fake.begins++;
    fake.written = 0;
    *ret_upload = &fake;
    return 0;
}

static inline int
fake_put_part(void *handle, void *upload, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    int code = fake_answer();

    (void)handle;
    (void)upload;
    (void)number;
    (void)data;
    if (code == 0 && offset + size > fake.written)
        fake.written = offset + size;
    return code;
}

static inline int
fake_put_commit(void *handle, void *upload, uint64_t size)
{
    (void)handle;
    (void)upload;
    fake.commits++;
    fake.there = true;
    fake.size = size;
    return 0;
}

static inline int
fake_put_abort(void *handle, void *upload)
{
    (void)handle;
    (void)upload;
    fake.aborts++;
    return 0;
}

/* Stays inside for a while, and remembers how many were inside at once. */
static inline int
fake_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    int now = atomic_fetch_add(&fake.inside, 1) + 1, most = atomic_load(&fake.inside_most);

    (void)handle;
    (void)key;
    (void)offset;
    while (now > most && !atomic_compare_exchange_weak(&fake.inside_most, &most, now))
        ;
    for (int i = 0; i < 200 && atomic_load(&fake.inside_most) < 2; i++)
        (void)usleep(1000); /* until somebody else is here, too, or surely never comes */
    memset(data, 'x', size);
    atomic_fetch_sub(&fake.inside, 1);
    return 0;
}

static inline int
fake_stat(void *handle, const char *key, struct pgcask_listing *listing)
{
    int code = fake_answer();

    (void)handle;
    if (code < 0)
        return code;
    if (!fake.there) {
        pgcask_error("nothing here");
        return PGCASK_NOT_FOUND;
    }
    for (int i = 0; i < (fake.listed_times != 0 ? fake.listed_times : 1); i++) {
        code = pgcask_listing_add_tiered(listing, key, fake.size + (uint64_t)fake.stat_size_off, 1000, fake.tier,
                                         fake.until_s);
        if (code < 0)
            return code;
    }
    return 0;
}

static inline int
fake_list(void *handle, const char *prefix, struct pgcask_listing *listing)
{
    (void)handle;
    (void)prefix;
    for (size_t i = 0; i < ARRAY_LEN(fake.list_keys) && fake.list_keys[i] != NULL; i++) {
        int code =
            pgcask_listing_add_tiered(listing, fake.list_keys[i], fake.list_sizes[i], 0, fake.tier, fake.until_s);

        if (code < 0)
            return code;
    }
    fake.list_keys[1] = NULL; /* gone before the next try */
    return fake_answer();
}

static inline int
fake_remove(void *handle, const char *key)
{
    (void)handle;
    (void)key;
    fake.removes++;
    fake.there = false;
    return fake_answer();
}

static const struct pgcask_storage_plugin fake_calls = {
    PGCASK_STORAGE_INIT,
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .part_limits = fake_part_limits,
    .put_begin = fake_put_begin,
    .put_part = fake_put_part,
    .put_commit = fake_put_commit,
    .put_abort = fake_put_abort,
    .get = fake_get,
    .stat = fake_stat,
    .list = fake_list,
    .remove = fake_remove,
};
static struct plugin fake_plugin;
static struct storage *storage;

static inline void
open_fake(int thread_model, unsigned flags)
{
    static const struct config_store policy = { .required = 1, .retries = 3, .retry_max = 1, .parallel = 4 };

    fake_plugin = (struct plugin){ .kind = PLUGIN_STORAGE, .name = "fake", .thread_model = thread_model };
    fake_plugin.storage = fake_calls;
    ck_assert_msg(storage_open_plugin("test", &fake_plugin, NULL, &policy, flags, &storage) == 0, "%s", error_text());
}

static inline void
setup(void)
{
    memset(&fake, 0, sizeof fake);
    open_fake(PGCASK_THREADS_PARALLEL, 0);
}

static inline void
teardown(void)
{
    storage_close(storage);
    storage = NULL;
}

#endif
