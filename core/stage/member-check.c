/* SPDX-License-Identifier: PostgreSQL
 *
 * What one store has of a member, compared with the manifest without a key.
 * Declared in member-source.h.
 */
#include "config.h"

#include "stage/member-source.h"

#include "stage/fetch.h"
#include "stage/stored-reader.h"

struct note {
    void (*fetched)(void *ctx, size_t len);
    void *ctx;
};

static int
check_take(void *ctx, const void *data, size_t len)
{
    const struct note *note = ctx;

    (void)data;
    if (note->fetched != NULL)
        note->fetched(note->ctx, len);
    return 0;
}

int
member_check_stored(struct storage *storage, const struct member_ref *ref, void (*fetched)(void *ctx, size_t len),
                    void *ctx)
{
    struct note note = { fetched, ctx };

    return stored_read(storage, ref, check_take, &note);
}

int
member_check_size(struct storage *storage, const struct member_ref *ref)
{
    CLEANUP(copies_free) struct copies *copies = copies_new(&storage, 1);
    CLEANUP(fetch_free) struct fetch *fetch = fetch_new(copies, ref->key, ref->stored_size);
    const struct attempt attempt = { 0 };

    return fetch_look(fetch, &attempt);
}
