/* SPDX-License-Identifier: PostgreSQL
 *
 * Removing: one object, or many in batches where the plugin can do that.
 */
#include "config.h"

#include "plugin/storage.h"

#include "base/error.h"
#include "base/mem.h"
#include "plugin/storage-private.h"

#include <inttypes.h>
#include <string.h>

enum { BATCH_MAX = 1000 }; /* promised to plugins in pgcask-plugin.h; what S3 takes at most */

int
storage_remove(struct storage *storage, const char *key)
{
    int rc = storage_check_writable(storage);

    if (rc == 0)
        rc = storage_key_check(key);
    if (rc == 0)
        rc = INSTANCE_CALL(&storage->base, "remove", storage->calls->remove(storage->handle, key));
    return rc < 0 ? instance_failed(&storage->base, rc) : 0;
}

/* Keys on their way to one remove_many; those that are gone leave it. */
struct batch {
    const char *keys[BATCH_MAX];
    unsigned char gone[BATCH_MAX];
    size_t len;
};

/* Keep what is left. False: a flag is neither 0 nor 1. */
static bool
batch_settle(struct batch *batch)
{
    size_t left = 0;

    for (size_t i = 0; i < batch->len; i++) {
        if (batch->gone[i] > 1)
            return false;
        if (batch->gone[i] == 0)
            batch->keys[left++] = batch->keys[i];
    }
    batch->len = left;
    return true;
}

/* One try. What the plugin answers and what it flags must be the same story. */
static int
batch_remove_once(struct storage *storage, struct batch *batch)
{
    size_t given = batch->len;
    int rc;

    memset(batch->gone, 0, sizeof batch->gone);
    rc = storage->calls->remove_many(storage->handle, batch->keys, given, batch->gone);
    if (!batch_settle(batch))
        return error_set(PGCASK_FAILED, "remove_many set a flag to something else than 0 or 1");
    if (rc == 0 && batch->len > 0)
        return error_set(PGCASK_FAILED,
                         "remove_many says it is done, but %zu of %zu objects are left, the first is '%s'", batch->len,
                         given, batch->keys[0]);
    if (rc < 0 && rc != PGCASK_UNSUPPORTED && batch->len == 0)
        return error_context(PGCASK_FAILED, "remove_many failed, but says that all %zu objects are gone", given);
    return rc;
}

/* Of several removals. */
struct removal {
    struct error first;
    bool stopped; /* one failed because we are being stopped: the others would, too */
};

static void
removal_failed(struct removal *removal, int rc)
{
    removal->stopped |= rc == ERROR_CANCELLED;
    if (removal->first.code == 0)
        error_take(rc, &removal->first);
    else
        error_clear();
}

static void
removal_each(struct removal *removal, struct storage *storage, const struct batch *batch)
{
    for (size_t i = 0; i < batch->len && !removal->stopped; i++) {
        int rc = storage_remove(storage, batch->keys[i]);

        if (rc < 0)
            removal_failed(removal, rc);
    }
}

/* A server may not know how to remove many, whatever its plugin says. */
static void
removal_batch(struct removal *removal, struct storage *storage, struct batch *batch)
{
    int rc = PGCASK_UNSUPPORTED;

    if (batch->len > 1 && storage->calls->remove_many != NULL)
        rc = INSTANCE_CALL(&storage->base, "remove_many", batch_remove_once(storage, batch));
    if (rc == PGCASK_UNSUPPORTED)
        removal_each(removal, storage, batch);
    else if (rc < 0)
        removal_failed(removal, instance_failed(&storage->base, rc));
    batch->len = 0;
}

int
storage_remove_many(struct storage *storage, const struct strv *keys)
{
    CLEANUP_FREE struct batch *batch = mem_zalloc(sizeof *batch);
    struct removal removal = { 0 };
    int rc = storage_check_writable(storage);

    if (rc < 0)
        return instance_failed(&storage->base, rc);
    for (size_t i = 0; i < keys->len && !removal.stopped; i++) {
        rc = storage_key_check(keys->items[i]);
        if (rc < 0)
            removal_failed(&removal, instance_failed(&storage->base, rc));
        else
            batch->keys[batch->len++] = keys->items[i];
        if (batch->len == BATCH_MAX)
            removal_batch(&removal, storage, batch);
    }
    if (batch->len > 0 && !removal.stopped)
        removal_batch(&removal, storage, batch);
    return error_put(&removal.first);
}
