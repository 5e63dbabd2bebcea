/* SPDX-License-Identifier: PostgreSQL
 *
 * The stores that hold one and the same backup, nearest first, and what was found
 * out about them while it was read: who lacks an object or has a bad one is asked
 * last for it from then on, and is told of once.
 */
#ifndef PGCASK_STAGE_COPIES_H
#define PGCASK_STAGE_COPIES_H

#include "base/mem.h"
#include "plugin/storage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct copies; /* opaque; for any number of threads at once */

enum { COPIES_MAX = 64 };

/* `stores`: borrowed, at least one; those behind the COPIES_MAX-th are not used. */
struct copies *copies_new(struct storage *const *stores, size_t count);
void copies_free(struct copies *copies);
CLEANUP_DEFINE(struct copies, copies_free)

size_t copies_count(const struct copies *copies);
struct storage *copies_store(const struct copies *copies, size_t i);
/* Ask that one first from now on. */
void copies_prefer(struct copies *copies, size_t i);

/* Whom to ask for the object `key` next, of those whose bit is not set in `tried`; copies_count when none is left. */
size_t copies_pick(struct copies *copies, const char *key, uint64_t tried);
/* There was trouble with the object in that store. False when that is known already. */
bool copies_note(struct copies *copies, size_t i, const char *key, int code);
/* It gave bytes. */
void copies_served(struct copies *copies, size_t i);

#endif
