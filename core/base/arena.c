/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK_BYTES = 256 * 1024 };

struct arena {
    struct arena *next;
    size_t used, size;
    char data[];
};

void *
arena_add(struct arena **arena, const void *data, size_t len)
{
    struct arena *block = *arena;
    char *place;

    if (block == NULL || block->size - block->used < len) {
        size_t size = len > ARENA_BLOCK_BYTES ? len : ARENA_BLOCK_BYTES;

        block = mem_alloc(sizeof *block + size);
        *block = (struct arena){ .next = *arena, .size = size };
        *arena = block;
    }
    place = block->data + block->used;
    if (len > 0)
        memcpy(place, data, len);
    block->used += len;
    return place;
}

char *
arena_text(struct arena **arena, const char *text)
{
    return arena_add(arena, text, strlen(text) + 1);
}

void
arena_free(struct arena *arena)
{
    while (arena != NULL) {
        struct arena *next = arena->next;

        free(arena);
        arena = next;
    }
}
