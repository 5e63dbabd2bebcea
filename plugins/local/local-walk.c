/* SPDX-License-Identifier: PostgreSQL
 *
 * Walking the tree for list and sweep, in the order the file system likes. It does
 * not look at pgcask_cancelled: who is being stopped may still have to clean up.
 */
#include "config.h"

#include "local-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WALK_KEY_MAX_BYTES = 1000 }; /* no key is longer, so nothing deeper is ours */

struct walk {
    const struct tree *tree;
    const char *prefix;
    size_t prefix_len;
    tree_visit *visit;
    void *ctx;
    char key[WALK_KEY_MAX_BYTES + 2]; /* of the entry at hand; a directory's ends with '/' */
};

static int walk_directory(struct walk *walk, int fd, size_t len);

/* Can keys that begin with the first `len` bytes of walk->key begin with the prefix, too? */
static bool
walk_fits(const struct walk *walk, size_t len)
{
    return strncmp(walk->key, walk->prefix, len < walk->prefix_len ? len : walk->prefix_len) == 0;
}

static int
walk_enter(struct walk *walk, int dir_fd, const char *name, size_t len)
{
    int fd;

    memcpy(walk->key + len, "/", 2);
    if (!walk_fits(walk, len + 1) || strcmp(walk->key, "lost+found/") == 0)
        return PGCASK_OK;
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? PGCASK_OK : tree_fail(walk->tree, "read directory", walk->key);
    return walk_directory(walk, fd, len + 1);
}

static int
walk_entry(struct walk *walk, int dir_fd, const struct dirent *entry, size_t len)
{
    size_t name_len = strlen(entry->d_name);
    struct stat st;

    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || len + name_len > WALK_KEY_MAX_BYTES)
        return PGCASK_OK;
    memcpy(walk->key + len, entry->d_name, name_len + 1);
    len += name_len;
    if (entry->d_type == DT_DIR)
        return walk_enter(walk, dir_fd, entry->d_name, len);
    if (entry->d_type == DT_LNK || !walk_fits(walk, len))
        return PGCASK_OK;
    if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? PGCASK_OK : tree_fail(walk->tree, "read", walk->key);
    if (S_ISDIR(st.st_mode)) /* the file system did not say in d_type */
        return walk_enter(walk, dir_fd, entry->d_name, len);
    if (!S_ISREG(st.st_mode) || len < walk->prefix_len)
        return PGCASK_OK;
    return walk->visit(walk->ctx, dir_fd, entry->d_name, walk->key, &st);
}

/* Takes over `fd`. The key of the directory is the first `len` bytes of walk->key. */
static int
walk_directory(struct walk *walk, int fd, size_t len)
{
    DIR *dir = fdopendir(fd);
    int rc = PGCASK_OK;

    if (dir == NULL) {
        rc = tree_fail(walk->tree, "read directory", walk->key);
        (void)close(fd); /* opened for reading */
        return rc;
    }
    while (rc == PGCASK_OK) {
        const struct dirent *entry;

        errno = 0;
        entry = readdir(dir);
        if (entry == NULL) {
            walk->key[len] = '\0';
            if (errno != 0)
                rc = tree_fail(walk->tree, "read directory", walk->key);
            break;
        }
        rc = walk_entry(walk, dirfd(dir), entry, len);
    }
    (void)closedir(dir); /* opened for reading */
    return rc;
}

int
tree_walk(const struct tree *tree, const char *prefix, tree_visit *visit, void *ctx)
{
    struct walk walk = { .tree = tree, .prefix = prefix, .prefix_len = strlen(prefix), .visit = visit, .ctx = ctx };
    const char *slash = strrchr(prefix, '/');
    size_t dir_len = slash != NULL ? (size_t)(slash - prefix) : 0;
    int fd;

    if (walk.prefix_len > WALK_KEY_MAX_BYTES)
        return PGCASK_OK;
    memcpy(walk.key, prefix, dir_len);
    walk.key[dir_len] = '\0';
    if (slash != NULL && tree_check_key(walk.key) < 0)
        return PGCASK_OK; /* no key begins like that */
    fd = tree_openat(tree, walk.key, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? PGCASK_OK : tree_fail(tree, "read directory", walk.key);
    if (slash != NULL)
        memcpy(walk.key + dir_len, "/", 2);
    return walk_directory(&walk, fd, slash != NULL ? dir_len + 1 : 0);
}
