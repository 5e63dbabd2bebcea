/* SPDX-License-Identifier: PostgreSQL
 *
 * Memory for many small things that go together.
 */
#ifndef PGCASK_BASE_ARENA_H
#define PGCASK_BASE_ARENA_H

#include "base/mem.h"

#include <stddef.h>

struct arena; /* opaque; NULL is an empty one */

/* A copy of the bytes, owned by the arena. Not aligned: for texts and bytes. */
void *arena_add(struct arena **arena, const void *data, size_t len);
char *arena_text(struct arena **arena, const char *text);
void arena_free(struct arena *arena);
CLEANUP_DEFINE(struct arena, arena_free)

#endif
