/* SPDX-License-Identifier: PostgreSQL
 *
 * Writing an object: a file without a name (O_TMPFILE) or, where the file system cannot do that, with a temporary one.
 * It gets its own name by link(2), which never replaces anything, when all its bytes are on the disk. Parts are
 * written in place, and the kernel is asked at once to start writing them back, so that the fsync of the commit finds
 * little left to do.
 */
#include "config.h"

#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOCAL_RACE_TRIES = 100, /* against others who remove the directory that we have just made */
    /* For more at a time the kernel takes page cache in large blocks, which are memory that nothing has touched for
     * long: on virtual machines such a write was seen to take five times the CPU. */
    LOCAL_WRITE_BYTES = 256 * 1024,
};

struct local_upload {
    char *key;
    const char *leaf; /* its last component */
    int dir_fd;       /* the directory it is in */
    int fd;
    char temp[64];    /* its temporary name in dir_fd; "" when it has none */
    bool linked;      /* it has its own name */
};

static void
local_upload_free(struct local_upload *upload)
{
    if (upload->fd >= 0)
        (void)close(upload->fd); /* what it holds is given up */
    if (upload->dir_fd >= 0)
        (void)close(upload->dir_fd); /* opened for reading */
    free(upload->key);
    free(upload);
}

static int
local_open_temp(struct local_upload *upload)
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -1;
    (void)snprintf(upload->temp, sizeof upload->temp, TREE_TEMP_PREFIX "%ld-%016" PRIx64, (long)getpid(), random);
    upload->fd = openat(upload->dir_fd, upload->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (upload->fd < 0)
        upload->temp[0] = '\0';
    return upload->fd;
}

static bool
local_dir_is_gone(const struct local_upload *upload)
{
    struct stat st;

    return fstat(upload->dir_fd, &st) == 0 && st.st_nlink == 0;
}

/* A new file in the key's directory. -1 with errno; ENOENT when the directory was removed meanwhile. */
static int
local_open_upload(struct local *local, struct local_upload *upload)
{
    if (upload->dir_fd >= 0)
        (void)close(upload->dir_fd); /* it was gone at the last try */
    upload->dir_fd = tree_make_parent(&local->tree, upload->key, &upload->leaf);
    if (upload->dir_fd < 0)
        return -1;
#ifndef LOCAL_WITHOUT_TMPFILE
    if (local->proc) {
        upload->fd = openat(upload->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
        if (upload->fd < 0 && errno == EPERM && local_dir_is_gone(upload))
            errno = ENOENT; /* what ext4 says of a directory without a name */
        if (upload->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
            return upload->fd;
    }
#endif
    return local_open_temp(upload);
}

static int
local_exists(const char *key)
{
    pgcask_error("object '%s' exists", key);
    return PGCASK_EXISTS;
}

int
local_put_begin(void *handle, const struct pgcask_put *put, void **ret_upload)
{
    struct local *local = handle;
    struct local_upload *upload = calloc(1, sizeof *upload);
    struct stat st;
    int rc = upload != NULL ? tree_check_key(pgcask_put_key(put)) : PGCASK_FAILED;

    if (rc < 0) {
        if (upload == NULL)
            pgcask_error("out of memory");
        free(upload);
        return rc;
    }
    upload->fd = upload->dir_fd = -1;
    upload->key = strdup(pgcask_put_key(put));
    if (upload->key == NULL)
        rc = tree_fail(&local->tree, "create", pgcask_put_key(put));
    for (int try = 0; rc == 0 && upload->fd < 0; try++)
        if (local_open_upload(local, upload) < 0 && (errno != ENOENT || try == LOCAL_RACE_TRIES))
            rc = tree_fail(&local->tree, "create", upload->key);
    if (rc == 0 && fstatat(upload->dir_fd, upload->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0)
        rc = local_exists(upload->key);
    if (rc < 0) {
        if (upload->temp[0] != '\0')
            (void)unlinkat(upload->dir_fd, upload->temp, 0); /* sweep takes what cannot be removed now */
        tree_prune(&local->tree, upload->key != NULL ? upload->key : "");
        local_upload_free(upload);
        return rc;
    }
    *ret_upload = upload;
    return PGCASK_OK;
}

int
local_put_part(void *handle, void *opaque, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    struct local *local = handle;
    struct local_upload *upload = opaque;

    (void)number; /* the offset says it all */
    if (offset > INT64_MAX - size) {
        pgcask_error("'%s': no file has %zu bytes at %" PRIu64, upload->key, size, offset);
        return PGCASK_FAILED;
    }
    for (size_t done = 0; done < size;) {
        size_t slice = size - done < LOCAL_WRITE_BYTES ? size - done : LOCAL_WRITE_BYTES;
        ssize_t put = pwrite(upload->fd, (const char *)data + done, slice, (off_t)(offset + done));

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return tree_fail(&local->tree, "write", upload->key);
        done += (size_t)put;
    }
    (void)sync_file_range(upload->fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE); /* only a head start */
    return PGCASK_OK;
}

int
local_sync(const struct local *local, int fd, const char *key)
{
    int rc;

    do
        rc = fsync(fd);
    while (rc < 0 && errno == EINTR);
    if (rc == 0)
        return PGCASK_OK;
    (void)tree_fail(&local->tree, "sync", key);
    return PGCASK_FAILED;
}

/* Give the file its name; -1 with errno. */
static int
local_name_it(const struct local_upload *upload)
{
    char path[64];
    struct stat st;

    if (upload->temp[0] == '\0') {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", upload->fd);
        return linkat(AT_FDCWD, path, upload->dir_fd, upload->leaf, AT_SYMLINK_FOLLOW);
    }
    if (linkat(upload->dir_fd, upload->temp, upload->dir_fd, upload->leaf, 0) == 0)
        return 0;
    if (errno == EEXIST && fstat(upload->fd, &st) == 0 && st.st_nlink == 2)
        return 0; /* NFS: the link was made, its answer got lost, and the second try met our own link */
    if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK) /* no hard links here */
        return renameat2(upload->dir_fd, upload->temp, upload->dir_fd, upload->leaf, RENAME_NOREPLACE);
    return -1;
}

static int
local_link(struct local *local, struct local_upload *upload)
{
    for (int try = 0;; try++) {
        const char *leaf;
        int fd;

        if (local_name_it(upload) == 0)
            break;
        if (errno == EEXIST)
            return local_exists(upload->key);
        if (errno != ENOENT || try == LOCAL_RACE_TRIES || !local_dir_is_gone(upload))
            return tree_fail(&local->tree, "name", upload->key);
        fd = tree_make_parent(&local->tree, upload->key, &leaf);
        if (fd < 0 && errno != ENOENT)
            return tree_fail(&local->tree, "make the directory of", upload->key);
        if (fd >= 0) {
            (void)close(upload->dir_fd); /* opened for reading */
            upload->dir_fd = fd;
        }
    }
    upload->linked = true;
    if (upload->temp[0] != '\0')
        (void)unlinkat(upload->dir_fd, upload->temp, 0); /* gone after a rename; else sweep takes what stays */
    upload->temp[0] = '\0';
    return PGCASK_OK;
}

static int
local_check_size(const struct local *local, const struct local_upload *upload, uint64_t size)
{
    struct stat st;

    if (fstat(upload->fd, &st) < 0)
        return tree_fail(&local->tree, "read", upload->key);
    if ((uint64_t)st.st_size != size) {
        pgcask_error("'%s' has %" PRIu64 " bytes, wanted %" PRIu64, upload->key, (uint64_t)st.st_size, size);
        return PGCASK_FAILED;
    }
    return PGCASK_OK;
}

/* Network file systems may tell an error here at last. */
static int
local_close_upload(const struct local *local, struct local_upload *upload)
{
    int rc = close(upload->fd);

    upload->fd = -1;
    if (rc == 0 || errno == EINTR) /* it is closed then, too, and synced before */
        return PGCASK_OK;
    (void)tree_fail(&local->tree, "close", upload->key);
    return PGCASK_FAILED;
}

int
local_put_commit(void *handle, void *opaque, uint64_t size)
{
    struct local *local = handle;
    struct local_upload *upload = opaque;
    int rc = local_check_size(local, upload, size);

    if (rc == 0)
        rc = local_sync(local, upload->fd, upload->key);
    if (rc == 0) /* what is read back to verify it comes from the disk, and the database keeps its cache */
        (void)posix_fadvise(upload->fd, 0, 0, POSIX_FADV_DONTNEED);
    if (rc == 0 && !upload->linked)
        rc = local_link(local, upload);
    if (rc == 0)
        rc = local_sync(local, upload->dir_fd, upload->key);
    if (rc == 0)
        rc = local_close_upload(local, upload);
    if (rc == 0)
        local_upload_free(upload);
    return rc;
}

int
local_put_abort(void *handle, void *opaque)
{
    struct local *local = handle;
    struct local_upload *upload = opaque;
    const char *name = upload->linked ? upload->leaf : upload->temp;
    int rc = PGCASK_OK;

    if (name[0] != '\0' && unlinkat(upload->dir_fd, name, 0) < 0 && errno != ENOENT)
        rc = tree_fail(&local->tree, "remove", upload->key);
    tree_prune(&local->tree, upload->key);
    local_upload_free(upload);
    return rc;
}
