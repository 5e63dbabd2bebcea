/* SPDX-License-Identifier: PostgreSQL
 *
 * Storage plugin "cold", for tests: the local one with a cold side. Objects that need not be readable at once are cold
 * when they are written, as with a storage class for archives. What is asked for arrives when the test says so: when
 * there is a file PATH.arrived. And a store far away, for measuring: each get sleeps, and requests are counted.
 *
 * PATH.cold/KEY with '+' for '/' says that an object is or was cold: 0, or until when (seconds since 1970) it was asked
 * for.
 */
#include "config.h"

#include <pgcask-plugin.h>

#undef PGCASK_REGISTER_STORAGE
#define PGCASK_REGISTER_STORAGE(plugin)
#include "../../plugins/local/local.c"

#include <stdio.h>
#include <time.h>

struct cold_settings {
    struct local_settings local; /* first: its functions get these settings */
    int freezes, tells, counts;
    int64_t pause;
};

struct cold {
    void *local; /* its handle */
    const struct cold_settings *settings;
};

struct cold_upload {
    void *upload;
    char *key;
    int hot;
};

#define COLD_OPTION(option_name, option_type, field, ...)                                                              \
    {                                                                                                                  \
        .name = (option_name), .type = (option_type), .offset = offsetof(struct cold_settings, field), __VA_ARGS__     \
    }

static const struct pgcask_option cold_options[] = {
    COLD_OPTION("path", PGCASK_OPTION_PATH, local.path, .flags = PGCASK_OPTION_REQUIRED, .help = "the directory"),
    COLD_OPTION("create", PGCASK_OPTION_BOOL, local.create, .fallback = "no", .help = "make it"),
    COLD_OPTION("freezes", PGCASK_OPTION_BOOL, freezes, .fallback = "yes", .help = "members are cold at once"),
    COLD_OPTION("tells", PGCASK_OPTION_BOOL, tells, .fallback = "yes", .help = "listings tell what is cold"),
    COLD_OPTION("counts", PGCASK_OPTION_BOOL, counts, .fallback = "no", .help = "count requests"),
    COLD_OPTION("pause", PGCASK_OPTION_DURATION, pause, .fallback = "0", .help = "sleep in each get"),
};

/* ---- the cold side ---- */

static char *
cold_mark(const struct cold *cold, const char *key)
{
    char *mark = NULL;

    if (asprintf(&mark, "%s.cold/%s", cold->settings->local.path, key) < 0)
        abort();
    for (char *p = mark + strlen(mark) - strlen(key); *p != '\0'; p++)
        if (*p == '/')
            *p = '+';
    return mark;
}

static void
cold_set(const struct cold *cold, const char *key, int64_t until_s)
{
    char *mark = cold_mark(cold, key), *slash = strrchr(mark, '/');
    FILE *f;

    *slash = '\0';
    (void)mkdir(mark, 0700); /* it may be there */
    *slash = '/';
    f = fopen(mark, "w");
    if (f == NULL || fprintf(f, "%" PRId64 "\n", until_s) < 0 || fclose(f) != 0)
        abort();
    free(mark);
}

static int
cold_tier(const struct cold *cold, const char *key, int64_t *ret_until_s)
{
    char *mark = cold_mark(cold, key), *arrived = NULL;
    FILE *f = fopen(mark, "r");
    char text[32] = "";
    int tier;

    free(mark);
    *ret_until_s = 0;
    if (f == NULL)
        return PGCASK_TIER_HOT;
    if (fgets(text, sizeof text, f) == NULL)
        text[0] = '\0'; /* it is being written */
    (void)fclose(f);
    *ret_until_s = strtoll(text, NULL, 10);
    if (*ret_until_s < time(NULL))
        return PGCASK_TIER_COLD;
    if (asprintf(&arrived, "%s.arrived", cold->settings->local.path) < 0)
        abort();
    tier = access(arrived, F_OK) == 0 ? PGCASK_TIER_THAWED : PGCASK_TIER_THAWING;
    free(arrived);
    return tier;
}

static int
cold_thaw(void *handle, const char *key, int days, const char *tier)
{
    struct cold *cold = handle;
    struct stat st;
    int64_t until_s;
    int fd, rc = local_open_object(cold->local, key, &fd, &st);

    if (rc < 0)
        return rc;
    (void)close(fd); /* opened for reading */
    switch (cold_tier(cold, key, &until_s)) {
    case PGCASK_TIER_HOT:
    case PGCASK_TIER_THAWED:
        return PGCASK_OK;
    case PGCASK_TIER_COLD:
        cold_set(cold, key, time(NULL) + days * INT64_C(86400));
        break;
    }
    pgcask_error("'%s' is on its way out of the cellar (%s), which takes until the test says so", key, tier);
    return PGCASK_COLD;
}

/* ---- the rest is local's ---- */

static int
cold_open(const void *settings, unsigned flags, void **ret_handle)
{
    struct cold *cold = calloc(1, sizeof *cold);
    int rc;

    if (cold == NULL)
        abort();
    cold->settings = settings;
    rc = local_open(&cold->settings->local, flags, &cold->local);
    if (rc < 0)
        free(cold);
    else
        *ret_handle = cold;
    return rc;
}

static void
cold_close(void *handle)
{
    struct cold *cold = handle;

    local_close(cold->local);
    free(cold);
}

static int
cold_put_begin(void *handle, const struct pgcask_put *put, void **ret_upload)
{
    struct cold *cold = handle;
    struct cold_upload *upload = calloc(1, sizeof *upload);
    int rc;

    if (upload == NULL)
        abort();
    rc = local_put_begin(cold->local, put, &upload->upload);
    if (rc < 0) {
        free(upload);
        return rc;
    }
    upload->key = strdup(pgcask_put_key(put));
    upload->hot = pgcask_put_is_hot(put) || !cold->settings->freezes;
    *ret_upload = upload;
    return PGCASK_OK;
}

static int
cold_put_part(void *handle, void *opaque, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    return local_put_part(((struct cold *)handle)->local, ((struct cold_upload *)opaque)->upload, number, offset, data, size);
}

static void
cold_upload_free(struct cold_upload *upload)
{
    free(upload->key);
    free(upload);
}

static int
cold_put_commit(void *handle, void *opaque, uint64_t size)
{
    struct cold *cold = handle;
    struct cold_upload *upload = opaque;
    int rc = local_put_commit(cold->local, upload->upload, size);

    if (rc == 0 && !upload->hot)
        cold_set(cold, upload->key, 0);
    if (rc == 0)
        cold_upload_free(upload);
    return rc;
}

static int
cold_put_abort(void *handle, void *opaque)
{
    struct cold_upload *upload = opaque;
    int rc = local_put_abort(((struct cold *)handle)->local, upload->upload);

    cold_upload_free(upload);
    return rc;
}

static void
cold_count(const struct cold *cold)
{
    if (cold->settings->counts)
        pgcask_count(PGCASK_COUNT_READS, 1);
}

static int
cold_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    struct cold *cold = handle;
    int64_t until_s, ms = cold->settings->pause;
    const struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
    int tier = cold_tier(cold, key, &until_s);

    cold_count(cold);
    if (ms > 0)
        (void)nanosleep(&pause, NULL);
    if (tier == PGCASK_TIER_COLD || tier == PGCASK_TIER_THAWING) {
        pgcask_error("'%s' is in cold storage", key);
        return PGCASK_COLD;
    }
    return local_get(cold->local, key, offset, data, size);
}

static int
cold_stat(void *handle, const char *key, struct pgcask_listing *listing)
{
    struct cold *cold = handle;
    struct stat st;
    int64_t until_s;
    int tier = cold_tier(cold, key, &until_s), fd, rc = local_open_object(cold->local, key, &fd, &st);

    cold_count(cold);
    if (rc < 0)
        return rc;
    (void)close(fd); /* opened for reading */
    return pgcask_listing_add_tiered(listing, key, (uint64_t)st.st_size, st.st_mtime, tier, until_s);
}

struct cold_listing {
    const struct cold *cold;
    struct pgcask_listing *listing;
};

static int
cold_list_one(void *ctx, int dir_fd, const char *name, const char *key, const struct stat *st)
{
    const struct cold_listing *list = ctx;
    int64_t until_s;
    int tier = cold_tier(list->cold, key, &until_s);

    (void)dir_fd;
    if (local_is_temp(name))
        return PGCASK_OK;
    if (!list->cold->settings->tells)
        return pgcask_listing_add(list->listing, key, (uint64_t)st->st_size, st->st_mtime);
    return pgcask_listing_add_tiered(list->listing, key, (uint64_t)st->st_size, st->st_mtime, tier, until_s);
}

static int
cold_list(void *handle, const char *prefix, struct pgcask_listing *listing)
{
    struct cold *cold = handle;
    struct cold_listing list = { cold, listing };

    return tree_walk(&((struct local *)cold->local)->tree, prefix, cold_list_one, &list);
}

static int
cold_remove(void *handle, const char *key)
{
    struct cold *cold = handle;
    char *mark = cold_mark(cold, key);

    (void)unlink(mark); /* it may never have been cold */
    free(mark);
    return local_remove(cold->local, key);
}

static const struct pgcask_storage_plugin cold_plugin = {
    PGCASK_STORAGE_INIT,
    .name = "cold",
    .version = "test",
    .summary = "a directory with a cold side",
    .options = cold_options,
    .option_count = sizeof cold_options / sizeof cold_options[0],
    .settings_size = sizeof(struct cold_settings),
    .thread_model = PGCASK_THREADS_PARALLEL,
    .open = cold_open,
    .close = cold_close,
    .part_limits = local_part_limits,
    .put_begin = cold_put_begin,
    .put_part = cold_put_part,
    .put_commit = cold_put_commit,
    .put_abort = cold_put_abort,
    .get = cold_get,
    .stat = cold_stat,
    .list = cold_list,
    .remove = cold_remove,
    .thaw = cold_thaw,
};

PGCASK_EXPORT const struct pgcask_storage_plugin *
pgcask_storage_plugin_v1(void)
{
    return &cold_plugin;
}
