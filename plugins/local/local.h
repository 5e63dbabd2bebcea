/* SPDX-License-Identifier: PostgreSQL
 *
 * An opened directory, shared by local.c and local-put.c.
 */
#ifndef PGCASK_LOCAL_H
#define PGCASK_LOCAL_H

#include "local-tree.h"

struct local {
    struct tree tree;
    bool proc; /* /proc is there: a file without a name can be given one */
};

/* fsync with the text on failure. A failed one is final: the kernel has dropped what it could not write, and the next
 * fsync would say "fine". */
int local_sync(const struct local *local, int fd, const char *key);

/* Callbacks; see pgcask-plugin.h. */
int local_put_begin(void *handle, const struct pgcask_put *put, void **ret_upload);
int local_put_part(void *handle, void *opaque, uint32_t number, uint64_t offset, const void *data, size_t size);
int local_put_commit(void *handle, void *opaque, uint64_t size);
int local_put_abort(void *handle, void *opaque);

#endif
