/* SPDX-License-Identifier: PostgreSQL
 *
 * The .partial objects that `wal receive` has stored since it was started. Of one segment they are the first bytes of
 * the same file, so a longer one holds what a shorter one holds. Pure.
 */
#ifndef PGCASK_PIPELINE_RECEIVE_PARTIAL_H
#define PGCASK_PIPELINE_RECEIVE_PARTIAL_H

#include "catalog/label.h"
#include "pg/wal-name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct partial {
    struct wal_name name;
    uint64_t len;
    char digest[LABEL_DIGEST_CHARS + 1];
};
struct partials {
    struct partial *items;
    size_t len, cap;
};
/* One that is there already is there once. */
void partials_add(struct partials *partials, const struct wal_name *name, uint64_t len, const char *digest);
/* One of that segment with fewer bytes, which is then not among them any more. */
bool partials_take_shorter(struct partials *partials, const struct wal_name *name, uint64_t len,
                           struct partial *ret_partial);
void partials_free(struct partials *partials);

#endif
