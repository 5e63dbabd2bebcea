/* SPDX-License-Identifier: PostgreSQL
 *
 * One run at a time: an flock that the kernel drops when its holder dies.
 */
#ifndef PGCASK_BASE_LOCK_H
#define PGCASK_BASE_LOCK_H

#include "base/mem.h"

struct lock; /* opaque */

/* ERROR_LOCKED, naming the holder's pid, when another process has it. `what` is for that message ("job 'daily'").
 * Any other trouble is never taken for "locked". */
int lock_take(const char *path, const char *what, struct lock **ret_lock);
void lock_release(struct lock *lock);
CLEANUP_DEFINE(struct lock, lock_release)

#endif
