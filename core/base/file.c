/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

int
file_read_fd(int fd, const char *name, struct buf *buf)
{
    for (;;) {
        ssize_t got;
        size_t want = 65536;
        int rc;

        if (want > buf->limit - buf->len)
            want = buf->limit - buf->len + 1; /* one more than allowed shows that there is more */
        if (want <= buf->limit - buf->len) {
            rc = buf_reserve(buf, want);
            if (rc < 0)
                return error_context(rc, "'%s'", name);
            got = read(fd, buf->data + buf->len, want);
        } else {
            char one;

            if (buf->len < buf->limit) {
                rc = buf_reserve(buf, buf->limit - buf->len);
                if (rc < 0)
                    return error_context(rc, "'%s'", name);
                got = read(fd, buf->data + buf->len, buf->limit - buf->len);
            } else {
                got = read(fd, &one, 1);
                if (got > 0)
                    return error_set(PGCASK_FAILED, "'%s' is larger than the %zu bytes allowed", name, buf->limit);
            }
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(PGCASK_FAILED, "could not read '%s'", name);
        if (got == 0)
            break;
        buf->len += (size_t)got;
        buf->data[buf->len] = '\0';
    }
    return buf_reserve(buf, 0);
}

int
file_read(const char *path, struct buf *buf)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return error_errno(errno == ENOENT ? PGCASK_NOT_FOUND : PGCASK_FAILED, "could not open '%s'", path);
    return file_read_fd(fd, path, buf);
}

int
file_check_private(const char *path, const char *what)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return error_errno(ERROR_USAGE, "could not read %s '%s'", what, path);
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        (void)error_set(ERROR_USAGE, "%s '%s' belongs to user %u, not to this user (%u) or root", what, path,
                        (unsigned)st.st_uid, (unsigned)geteuid());
        return error_hint(ERROR_USAGE, "chown it to the user pgcask runs as");
    }
    if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
        (void)error_set(ERROR_USAGE, "%s '%s' can be used by others than its owner (mode %04o, wanted 0600)", what, path,
                        (unsigned)(st.st_mode & 07777));
        return error_hint(ERROR_USAGE, "chmod 600 '%s'", path);
    }
    return 0;
}

int
file_write_all(int fd, const void *data, size_t len, const char *name)
{
    const char *p = data;

    while (len > 0) {
        ssize_t put = write(fd, p, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_errno(PGCASK_FAILED, "could not write '%s'", name);
        p += put;
        len -= (size_t)put;
    }
    return 0;
}

ssize_t
file_read_up_to(int fd, void *data, size_t size, const char *name)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got = read(fd, (char *)data + done, size - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(PGCASK_FAILED, "could not read '%s'", name);
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static char *
file_parent(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return mem_strdup(".");
    return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

int
file_sync_dir(const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(PGCASK_FAILED, "could not open directory '%s'", path);
    if (fsync(fd) < 0)
        return error_errno(PGCASK_FAILED, "could not sync directory '%s'", path);
    return 0;
}

static int
file_fill(const char *temp, const void *data, size_t len, bool durable)
{
    CLEANUP_FD int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc;

    if (fd < 0)
        return error_errno(PGCASK_FAILED, "could not create '%s'", temp);
    rc = file_write_all(fd, data, len, temp);
    if (rc < 0)
        return rc;
    if (durable && fsync(fd) < 0)
        return error_errno(PGCASK_FAILED, "could not sync '%s'", temp);
    return 0;
}

/* Both ways of making a file whole: rename replaces, link refuses. */
static int
file_place(const char *path, const void *data, size_t len, bool replace, bool durable)
{
    CLEANUP_FREE char *parent = file_parent(path);
    CLEANUP_FREE char *temp = NULL;
    uint64_t random = 0;
    int rc;

    (void)getrandom(&random, sizeof random, GRND_NONBLOCK); /* another container may have our pid; O_EXCL sees the rest */
    temp = mem_printf("%s.tmp-%d-%016" PRIx64, path, (int)getpid(), random);
    rc = file_fill(temp, data, len, durable);
    if (rc == 0 && replace && rename(temp, path) < 0)
        rc = error_errno(PGCASK_FAILED, "could not rename '%s' to '%s'", temp, path);
    if (rc == 0 && !replace && link(temp, path) < 0)
        rc = error_errno(errno == EEXIST ? PGCASK_EXISTS : PGCASK_FAILED, "could not create '%s'", path);
    if (rc < 0 || !replace)
        (void)unlink(temp); /* the error that matters is already told */
    return rc < 0 || !durable ? rc : file_sync_dir(parent);
}

int
file_write(const char *path, const void *data, size_t len)
{
    return file_place(path, data, len, true, true);
}

int
file_write_lazily(const char *path, const void *data, size_t len)
{
    return file_place(path, data, len, true, false);
}

int
file_create(const char *path, const void *data, size_t len)
{
    return file_place(path, data, len, false, true);
}

int
file_append(const char *path, const void *data, size_t len)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc;

    if (fd < 0)
        return error_errno(PGCASK_FAILED, "could not open '%s'", path);
    rc = file_write_all(fd, data, len, path);
    if (rc < 0)
        return rc;
    if (fsync(fd) < 0)
        return error_errno(PGCASK_FAILED, "could not sync '%s'", path);
    return 0;
}

int
file_mkdirs(const char *path)
{
    CLEANUP_FREE char *copy = mem_strdup(path);
    struct stat st;

    for (char *p = copy; *p != '\0';) {
        char end;

        p++;
        p += strcspn(p, "/");
        end = *p;
        *p = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            return error_errno(PGCASK_FAILED, "could not create directory '%s'", copy);
        *p = end;
    }
    if (stat(path, &st) < 0)
        return error_errno(PGCASK_FAILED, "could not create directory '%s'", path);
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR; /* mkdir says EEXIST for any kind of file */
        return error_errno(PGCASK_FAILED, "could not create directory '%s'", path);
    }
    return 0;
}

bool
file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}
