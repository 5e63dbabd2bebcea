/* SPDX-License-Identifier: PostgreSQL
 *
 * Storage plugin "local": a directory. An object is a file of its key's name.
 * Here are its options, opening, reading, listing and removing; writing is in
 * local-put.c, paths in local-tree.c and local-walk.c.
 */
#include "config.h"

#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct local_settings {
    const char *path;
    int create;
};

static const struct pgcask_option local_options[] = {
    { .name = "path", .type = PGCASK_OPTION_PATH, .flags = PGCASK_OPTION_REQUIRED,
      .help = "the directory that holds the objects", .offset = offsetof(struct local_settings, path) },
    { .name = "create", .type = PGCASK_OPTION_BOOL, .fallback = "no",
      .help = "make the directory, with mode 0700, when it does not exist",
      .offset = offsetof(struct local_settings, create) },
};

static int
local_open(const void *opaque, unsigned flags, void **ret_handle)
{
    const struct local_settings *settings = opaque;
    struct local *local = calloc(1, sizeof *local);
    int rc;

    if (local == NULL) {
        pgcask_error("out of memory");
        return PGCASK_FAILED;
    }
    rc = tree_open(settings->path, settings->create && (flags & PGCASK_OPEN_READONLY) == 0, &local->tree);
    if (rc < 0) {
        free(local);
        return rc;
    }
    local->proc = access("/proc/self/fd", X_OK) == 0;
    *ret_handle = local;
    return PGCASK_OK;
}

static void
local_close(void *handle)
{
    struct local *local = handle;

    tree_close(&local->tree);
    free(local);
}

static int
local_part_limits(void *handle, struct pgcask_limits *limits)
{
    (void)handle;
    pgcask_limits_set(limits, 1, UINT64_C(2) << 20, 0, UINT32_C(1) << 26); /* 128 TiB in parts of 2 MiB */
    return PGCASK_OK;
}

/* Open an object that must be there. */
static int
local_open_object(struct local *local, const char *key, int *ret_fd, struct stat *ret_st)
{
    int rc = tree_check_key(key);
    int fd;

    if (rc < 0)
        return rc;
    fd = tree_openat(&local->tree, key, O_RDONLY | O_NONBLOCK | O_NOCTTY); /* a FIFO put there must not stop us */
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
        return tree_fail(&local->tree, "open", key);
    if (fd >= 0 && fstat(fd, ret_st) == 0 && S_ISREG(ret_st->st_mode)) {
        *ret_fd = fd;
        return PGCASK_OK;
    }
    if (fd >= 0)
        (void)close(fd); /* opened for reading */
    pgcask_error("there is no object '%s'", key);
    return PGCASK_NOT_FOUND;
}

static int
local_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    struct local *local = handle;
    struct stat st;
    int fd, rc = local_open_object(local, key, &fd, &st);

    if (rc < 0)
        return rc;
    if (offset > (uint64_t)st.st_size || size > (uint64_t)st.st_size - offset) {
        pgcask_error("'%s' has %" PRIu64 " bytes, wanted %zu from %" PRIu64, key, (uint64_t)st.st_size, size, offset);
        rc = PGCASK_FAILED;
    }
    for (size_t done = 0; rc == 0 && done < size;) {
        ssize_t got = pread(fd, (char *)data + done, size - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = tree_fail(&local->tree, "read", key);
        else if (got == 0) {
            pgcask_error("'%s' became shorter while it was read", key);
            rc = PGCASK_FAILED;
        } else
            done += (size_t)got;
    }
    (void)close(fd); /* opened for reading */
    return rc;
}

static int
local_stat(void *handle, const char *key, struct pgcask_listing *listing)
{
    struct local *local = handle;
    struct stat st;
    int fd, rc = local_open_object(local, key, &fd, &st);

    if (rc < 0)
        return rc;
    (void)close(fd); /* opened for reading */
    return pgcask_listing_add(listing, key, (uint64_t)st.st_size, st.st_mtime);
}

static bool
local_is_temp(const char *name)
{
    return strncmp(name, TREE_TEMP_PREFIX, strlen(TREE_TEMP_PREFIX)) == 0;
}

static int
local_list_one(void *listing, int dir_fd, const char *name, const char *key, const struct stat *st)
{
    (void)dir_fd;
    return local_is_temp(name) ? PGCASK_OK : pgcask_listing_add(listing, key, (uint64_t)st->st_size, st->st_mtime);
}

static int
local_list(void *handle, const char *prefix, struct pgcask_listing *listing)
{
    struct local *local = handle;

    return tree_walk(&local->tree, prefix, local_list_one, listing);
}

static int
local_remove(void *handle, const char *key)
{
    struct local *local = handle;
    const char *leaf;
    int dir_fd, rc = tree_check_key(key);

    if (rc < 0)
        return rc;
    dir_fd = tree_open_parent(&local->tree, key, &leaf);
    if (dir_fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? PGCASK_OK : tree_fail(&local->tree, "remove", key);
    if (unlinkat(dir_fd, leaf, 0) == 0)
        rc = local_sync(local, dir_fd, key); /* a manifest must not come back after its members have gone */
    else if (errno != ENOENT && errno != EISDIR) /* a directory is no object */
        rc = tree_fail(&local->tree, "remove", key);
    (void)close(dir_fd); /* opened for reading */
    tree_prune(&local->tree, key);
    return rc;
}

struct local_sweep {
    const struct tree *tree;
    int64_t before_s;
    uint64_t count;
};

static int
local_sweep_one(void *ctx, int dir_fd, const char *name, const char *key, const struct stat *st)
{
    struct local_sweep *sweep = ctx;

    if (!local_is_temp(name) || st->st_mtime >= sweep->before_s)
        return PGCASK_OK;
    if (unlinkat(dir_fd, name, 0) < 0)
        return errno == ENOENT ? PGCASK_OK : tree_fail(sweep->tree, "remove", key);
    sweep->count++;
    return PGCASK_OK;
}

static int
local_sweep(void *handle, int64_t before_s, uint64_t *ret_count)
{
    struct local *local = handle;
    struct local_sweep sweep = { .tree = &local->tree, .before_s = before_s };
    int rc = tree_walk(&local->tree, "", local_sweep_one, &sweep);

    *ret_count = sweep.count;
    return rc;
}

static const struct pgcask_storage_plugin local_plugin = {
    PGCASK_STORAGE_INIT,
    .name = "local",
    .version = PACKAGE_VERSION,
    .summary = "objects as files below a directory",
    .options = local_options,
    .option_count = sizeof local_options / sizeof local_options[0],
    .settings_size = sizeof(struct local_settings),
    .thread_model = PGCASK_THREADS_PARALLEL,
    .open = local_open,
    .close = local_close,
    .part_limits = local_part_limits,
    .put_begin = local_put_begin,
    .put_part = local_put_part,
    .put_commit = local_put_commit,
    .put_abort = local_put_abort,
    .get = local_get,
    .stat = local_stat,
    .list = local_list,
    .remove = local_remove,
    .sweep = local_sweep,
};
PGCASK_REGISTER_STORAGE(local_plugin)
