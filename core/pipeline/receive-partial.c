/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/receive-partial.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* The same segment of the same timeline. */
static bool
partial_is_of(const struct partial *partial, const struct wal_name *name)
{
    return partial->name.timeline == name->timeline && partial->name.log == name->log &&
           partial->name.piece == name->piece;
}

void
partials_add(struct partials *partials, const struct wal_name *name, uint64_t len, const char *digest)
{
    struct partial added = { .name = *name, .len = len };

    for (size_t i = 0; i < partials->len; i++)
        if (partial_is_of(&partials->items[i], name) && strcmp(partials->items[i].digest, digest) == 0)
            return;
    memcpy(added.digest, digest, sizeof added.digest);
    MEM_GROW(partials->items, partials->len, partials->cap);
    partials->items[partials->len++] = added;
}

bool
partials_take_shorter(struct partials *partials, const struct wal_name *name, uint64_t len, struct partial *ret_partial)
{
    for (size_t i = 0; i < partials->len; i++)
        if (partial_is_of(&partials->items[i], name) && partials->items[i].len < len) {
            *ret_partial = partials->items[i];
            memmove(&partials->items[i], &partials->items[i + 1], (--partials->len - i) * sizeof *partials->items);
            return true;
        }
    return false;
}

void
partials_free(struct partials *partials)
{
    free(partials->items);
    *partials = (struct partials){ 0 };
}
