/* SPDX-License-Identifier: PostgreSQL
 *
 * The directory tree below a root that is never left: keys become files, and no
 * symbolic link below the root is ever followed.
 */
#ifndef PGCASK_LOCAL_TREE_H
#define PGCASK_LOCAL_TREE_H

#include "pgcask-plugin.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

struct tree {
    char *path; /* of the root, owned */
    int fd;
    pthread_mutex_t making; /* held while directories are made, so that nobody uses one whose name is not durable yet */
};

/* Names of unfinished files begin so; such objects are refused and never listed. */
#define TREE_TEMP_PREFIX ".pgcask-tmp-"

int tree_open(const char *path, bool create, struct tree *ret_tree);
void tree_close(struct tree *tree);

/* Set the text "could not <doing> '<key>': <errno>", a hint where there is one, and return what pgcask may do. */
int tree_fail(const struct tree *tree, const char *doing, const char *key);

/* Refuse a key that would leave the tree or clash with names of our own. */
int tree_check_key(const char *key);
/* open(2) of `relative` ("" is the root) below the root; -1 with errno. ELOOP or ENOTDIR for a symbolic link. */
int tree_openat(const struct tree *tree, const char *relative, int flags);
/* The directory that holds `key`; *ret_leaf points into `key`. -1 with errno. */
int tree_open_parent(const struct tree *tree, const char *key, const char **ret_leaf);
/* The same, made when missing, durable. ENOENT when somebody else removed it again meanwhile. */
int tree_make_parent(struct tree *tree, const char *key, const char **ret_leaf);
/* Remove the directories of `key` that are empty, from below, never the root. */
void tree_prune(const struct tree *tree, const char *key);

/* Called for each regular file: its directory, its name in it, its key. Not 0 ends the walk. */
typedef int tree_visit(void *ctx, int dir_fd, const char *name, const char *key, const struct stat *st);
/* All files whose key begins with `prefix`, unfinished ones included. What vanishes meanwhile is passed over. */
int tree_walk(const struct tree *tree, const char *prefix, tree_visit *visit, void *ctx);

#endif
