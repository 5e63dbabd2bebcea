/* SPDX-License-Identifier: PostgreSQL
 *
 * Every way in which a plugin's author can get it wrong, one for each value of BROKEN. The name is "broken", so the
 * file is pgcask-broken-storage.so. test-abi.sh has the line that each must give.
 */
#include "pgcask-plugin.h"

enum {
    NOTHING, /* as it should be: what is broken below is broken by one change */
    NO_SYMBOL,
    WRONG_KIND,
    RETURNS_NULL,
    UNDEFINED_SYMBOL,
    STRUCT_TINY,
    STRUCT_HUGE,
    NAME_NULL,
    NAME_BAD,
    NAME_OTHER,
    NO_CALLBACK,
    THREAD_MODEL,
    OPTIONS_NULL,
    OPTIONS_STRIDE,
    OPTIONS_COUNT,
    OPTION_NAME,
    OPTION_TWICE,
    OPTION_TYPE,
    OPTION_OFFSET,
    OPTION_FALLBACK,
    OPTION_CHOICES,
    OPTION_OWN_KEY
};

struct settings {
    const char *first, *second;
    int64_t number;
};

static int
broken_open(const void *settings, unsigned flags, void **ret_handle)
{
    (void)settings;
    (void)flags;
    *ret_handle = NULL;
    return PGCASK_OK;
}

static int
broken_put_begin(void *handle, const struct pgcask_put *put, void **ret_upload)
{
    (void)handle;
    (void)put;
    *ret_upload = NULL;
    return PGCASK_OK;
}

static int
broken_put_part(void *handle, void *upload, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    (void)handle, (void)upload, (void)number, (void)offset, (void)data, (void)size;
    return PGCASK_OK;
}

static int
broken_put_commit(void *handle, void *upload, uint64_t size)
{
    (void)handle, (void)upload, (void)size;
    return PGCASK_OK;
}

static int
broken_put_abort(void *handle, void *upload)
{
    (void)handle, (void)upload;
    return PGCASK_OK;
}

static int
broken_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    (void)handle, (void)key, (void)offset, (void)data, (void)size;
    return PGCASK_OK;
}

static int
broken_find(void *handle, const char *key, struct pgcask_listing *listing)
{
    (void)handle, (void)key, (void)listing;
    return PGCASK_OK;
}

static int
broken_remove(void *handle, const char *key)
{
    (void)handle, (void)key;
    return PGCASK_OK;
}

static const struct pgcask_option options[] = {
    { .name = BROKEN == OPTION_NAME      ? "First-Name"
              : BROKEN == OPTION_OWN_KEY ? "parallel"
                                         : "first",
      .type = BROKEN == OPTION_TYPE      ? 99
              : BROKEN == OPTION_CHOICES ? PGCASK_OPTION_ENUM
                                         : PGCASK_OPTION_STRING,
      .help = "one",
      .offset = BROKEN == OPTION_OFFSET ? sizeof(struct settings) : offsetof(struct settings, first) },
    { .name = BROKEN == OPTION_TWICE ? "first" : "second",
      .type = PGCASK_OPTION_STRING,
      .help = "two",
      .offset = offsetof(struct settings, second) },
    { .name = "number",
      .type = PGCASK_OPTION_INT,
      .fallback = BROKEN == OPTION_FALLBACK ? "many" : "3",
      .help = "three",
      .offset = offsetof(struct settings, number) },
};

static const struct pgcask_storage_plugin broken = {
    .struct_size = BROKEN == STRUCT_TINY   ? 16
                   : BROKEN == STRUCT_HUGE ? (size_t)-1
                                           : sizeof(struct pgcask_storage_plugin),
    .option_stride = BROKEN == OPTIONS_STRIDE ? 0 : sizeof(struct pgcask_option),
    .name = BROKEN == NAME_NULL    ? NULL
            : BROKEN == NAME_BAD   ? "Bad Name"
            : BROKEN == NAME_OTHER ? "other"
                                   : "broken",
    .version = "1",
    .summary = "a plugin to be refused",
    .options = BROKEN == OPTIONS_NULL ? NULL : options,
    .option_count = BROKEN == OPTIONS_COUNT ? (size_t)-1 : sizeof options / sizeof options[0],
    .settings_size = sizeof(struct settings),
    .thread_model = BROKEN == THREAD_MODEL ? 17 : PGCASK_THREADS_ONE,
    .open = broken_open,
    .put_begin = broken_put_begin,
    .put_part = broken_put_part,
    .put_commit = BROKEN == NO_CALLBACK ? NULL : broken_put_commit,
    .put_abort = broken_put_abort,
    .get = broken_get,
    .stat = broken_find,
    .list = broken_find,
    .remove = broken_remove,
};

#if defined(BROKEN_ENTRY_NOTIFIER)
PGCASK_EXPORT const void *pgcask_notifier_plugin_v1(void);

PGCASK_EXPORT const void *
pgcask_notifier_plugin_v1(void)
{
    return &broken;
}
#elif defined(BROKEN_ENTRY_NONE)
PGCASK_EXPORT const void *pgcask_storage_plugin_v0(void);

PGCASK_EXPORT const void *
pgcask_storage_plugin_v0(void)
{
    return &broken;
}
#else
void pgcask_service_of_the_future(void);

PGCASK_EXPORT const struct pgcask_storage_plugin *pgcask_storage_plugin_v1(void);

PGCASK_EXPORT const struct pgcask_storage_plugin *
pgcask_storage_plugin_v1(void)
{
#ifdef BROKEN_UNDEFINED
    pgcask_service_of_the_future();
#endif
    return BROKEN == RETURNS_NULL ? NULL : &broken;
}
#endif
