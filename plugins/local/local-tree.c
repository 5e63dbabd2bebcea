/* SPDX-License-Identifier: PostgreSQL
 *
 * Paths below the root: opened with openat2(2), or component by component where
 * the kernel has no openat2 (before 5.6) or a sandbox forbids it.
 */
#include "config.h"

#include "local-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEY_MAX_BYTES = 1000, COMPONENT_MAX_BYTES = 250 }; /* see pgcask_put_key */

static void
tree_hint(const struct tree *tree, int error)
{
    switch (error) {
    case ENOSPC:
        pgcask_hint("the file system of '%s' is full (see 'df -h' and 'df -i'): make room, or keep fewer backups",
                    tree->path);
        break;
    case EDQUOT:
        pgcask_hint("the quota of user %u on the file system of '%s' is used up", (unsigned)geteuid(), tree->path);
        break;
    case EROFS:
        pgcask_hint("the file system of '%s' is mounted read-only; after errors of the disk that happens by itself",
                    tree->path);
        break;
    case EACCES:
    case EPERM:
        pgcask_hint("user %u needs the right to do that; see the owner and mode of '%s'", (unsigned)geteuid(),
                    tree->path);
        break;
    case EIO:
        pgcask_hint("the disk below '%s' may be failing: see the kernel's log", tree->path);
        break;
    case ELOOP:
        pgcask_hint("symbolic links below '%s' are not followed", tree->path);
        break;
    default:
        break;
    }
}

int
tree_fail(const struct tree *tree, const char *doing, const char *key)
{
    int error = errno;

    pgcask_error_errno("could not %s '%s'", doing, key);
    tree_hint(tree, error);
    switch (error) {
    case ESTALE:
    case ETIMEDOUT:
    case EMFILE:
    case ENFILE:
        return PGCASK_RETRY;
    default:
        return PGCASK_FAILED;
    }
}

int
tree_check_key(const char *key)
{
    const char *component = key;

    if (strnlen(key, KEY_MAX_BYTES + 1) > KEY_MAX_BYTES) {
        pgcask_error("key has more than %d bytes", KEY_MAX_BYTES);
        return PGCASK_FAILED;
    }
    for (;;) {
        size_t len = strcspn(component, "/");

        if (len == 0 || len > COMPONENT_MAX_BYTES || (len == 1 && component[0] == '.') ||
            (len == 2 && memcmp(component, "..", 2) == 0)) {
            pgcask_error("key '%s' has an unusable component '%.*s'", key, (int)len, component);
            return PGCASK_FAILED;
        }
        if (strncmp(component, TREE_TEMP_PREFIX, strlen(TREE_TEMP_PREFIX)) == 0 ||
            (component == key && len == strlen("lost+found") && memcmp(key, "lost+found", len) == 0)) {
            pgcask_error("key '%s' has a component '%.*s', which is reserved here", key, (int)len, component);
            return PGCASK_FAILED;
        }
        if (component[len] == '\0')
            return PGCASK_OK;
        component += len + 1;
    }
}

/* Every component opened by itself, none of them through a link. `relative` was checked: it has no "..". */
static int
tree_open_steps(int root, const char *relative, int flags)
{
    int fd = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    while (fd >= 0) {
        char component[COMPONENT_MAX_BYTES + 1];
        size_t len = strcspn(relative, "/");
        bool last = relative[len] == '\0';
        int next, saved;

        if (len == 0 || len >= sizeof component) {
            next = -1;
            errno = ENOENT;
        } else {
            memcpy(component, relative, len);
            component[len] = '\0';
            next = openat(fd, component, (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
        }
        saved = errno;
        (void)close(fd); /* only a place to stand on */
        errno = saved;
        if (last || next < 0)
            return next;
        fd = next;
        relative += len + 1;
    }
    return -1;
}

#if defined(SYS_openat2) && !defined(LOCAL_WITHOUT_OPENAT2)
static int
tree_open_beneath(int root, const char *relative, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    long fd;

    do
        fd = syscall(SYS_openat2, root, relative, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    return (int)fd;
}
#else
static int
tree_open_beneath(int root, const char *relative, int flags)
{
    (void)root;
    (void)relative;
    (void)flags;
    errno = ENOSYS;
    return -1;
}
#endif

int
tree_openat(const struct tree *tree, const char *relative, int flags)
{
    int fd;

    if (relative[0] == '\0')
        return openat(tree->fd, ".", flags | O_CLOEXEC);
    fd = tree_open_beneath(tree->fd, relative, flags);
    if (fd < 0 &&
        (errno == ENOSYS || errno == EPERM)) /* old container runtimes answer EPERM to what they do not know */
        fd = tree_open_steps(tree->fd, relative, flags);
    return fd;
}

/* "a/b" of "a/b/c", "" of "c"; *ret_leaf is "c". NULL without memory. */
static char *
tree_split(const char *key, const char **ret_leaf)
{
    const char *slash = strrchr(key, '/');

    *ret_leaf = slash != NULL ? slash + 1 : key;
    return slash != NULL ? strndup(key, (size_t)(slash - key)) : strdup("");
}

int
tree_open_parent(const struct tree *tree, const char *key, const char **ret_leaf)
{
    char *parent = tree_split(key, ret_leaf);
    int fd, saved;

    if (parent == NULL)
        return -1;
    fd = tree_openat(tree, parent, O_RDONLY | O_DIRECTORY);
    saved = errno;
    free(parent);
    errno = saved;
    return fd;
}

/* Open `name` in `dir`, or make it and its name durable. */
static int
tree_make_step(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return -1;
    if (fsync(dir) < 0)
        return -1;
    return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Every directory on the way to the last '/' of `path` (changed and put back), from `fd` on, which is closed. */
static int
tree_make_steps(int fd, char *path)
{
    char *slash;

    for (char *name = path; fd >= 0 && (slash = strchr(name, '/')) != NULL; name = slash + 1) {
        int next, saved;

        if (slash == name)
            continue;
        *slash = '\0';
        next = tree_make_step(fd, name);
        saved = errno;
        *slash = '/';
        (void)close(fd); /* only a place to stand on, and synced where it was changed */
        errno = saved;
        fd = next;
    }
    return fd;
}

int
tree_make_parent(struct tree *tree, const char *key, const char **ret_leaf)
{
    int fd = tree_open_parent(tree, key, ret_leaf);
    char *path;
    int saved;

    if (fd >= 0 || errno != ENOENT)
        return fd;
    path = strdup(key);
    if (path == NULL)
        return -1;
    (void)pthread_mutex_lock(&tree->making);
    fd = tree_make_steps(openat(tree->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), path);
    saved = errno;
    (void)pthread_mutex_unlock(&tree->making);
    free(path);
    errno = saved;
    return fd;
}

void
tree_prune(const struct tree *tree, const char *key)
{
    char *path = strdup(key);
    char *slash;

    while (path != NULL && (slash = strrchr(path, '/')) != NULL) {
        const char *leaf;
        int parent, rc;

        *slash = '\0';
        parent = tree_open_parent(tree, path, &leaf);
        if (parent < 0)
            break;
        rc = unlinkat(parent, leaf, AT_REMOVEDIR);
        (void)close(parent); /* opened for reading */
        if (rc < 0)
            break; /* not empty, most likely; an empty directory is no object, so nothing is wrong if it stays */
    }
    free(path);
}

/* The name of a directory is durable when the directory it is in is synced. */
static int
tree_sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return -1;
    rc = fsync(fd);
    (void)close(fd); /* opened for reading */
    return rc;
}

/* The root and what is missing above it; there, links are the administrator's business. -1 with errno. */
static int
tree_make_root(const char *path)
{
    char *copy = strdup(path);
    char *above = copy; /* the last '/' before the name at hand */
    int rc = copy != NULL ? 0 : -1;

    while (rc == 0) {
        char *end = above + 1 + strcspn(above + 1, "/");
        char after = *end;

        *end = '\0';
        if (mkdir(copy, 0700) == 0) {
            *above = '\0';
            rc = tree_sync_path(copy[0] != '\0' ? copy : "/");
            *above = '/';
        } else if (errno != EEXIST)
            rc = -1;
        *end = after;
        if (after == '\0')
            break;
        above = end;
    }
    free(copy);
    return rc < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
tree_check_root(const struct tree *tree)
{
    struct stat st;

    if (fstat(tree->fd, &st) < 0)
        return tree_fail(tree, "read", tree->path);
    if ((st.st_mode & S_IWOTH) != 0) {
        pgcask_error("directory '%s' can be written by everybody (mode %04o)", tree->path,
                     (unsigned)(st.st_mode & 07777));
        pgcask_hint("chmod o-w '%s', or use a directory of its own below it", tree->path);
        return PGCASK_FAILED;
    }
    return PGCASK_OK;
}

int
tree_open(const char *path, bool create, struct tree *ret_tree)
{
    struct tree tree = { .path = strdup(path), .fd = -1 };
    int rc;

    if (tree.path == NULL) {
        pgcask_error("out of memory");
        return PGCASK_FAILED;
    }
    tree.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree.fd < 0 && errno == ENOENT && create)
        tree.fd = tree_make_root(path);
    if (tree.fd < 0) {
        bool missing = errno == ENOENT;

        rc = tree_fail(&tree, "open directory", path);
        if (missing)
            pgcask_hint("make it (mode 0700), mount what should be there, or set 'create = yes'");
    } else
        rc = tree_check_root(&tree);
    (void)pthread_mutex_init(&tree.making, NULL);
    if (rc < 0)
        tree_close(&tree);
    else
        *ret_tree = tree;
    return rc;
}

void
tree_close(struct tree *tree)
{
    if (tree->fd >= 0)
        (void)close(tree->fd); /* opened for reading */
    (void)pthread_mutex_destroy(&tree->making);
    free(tree->path);
}
