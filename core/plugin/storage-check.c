/* SPDX-License-Identifier: PostgreSQL
 *
 * Looking after a store: what it finds wrong with itself, cold objects, and what
 * uploads that never ended left behind.
 */
#include "config.h"

#include "plugin/storage.h"

#include "base/error.h"
#include "base/mem.h"
#include "plugin/opaque.h"
#include "plugin/storage-private.h"

#include <stdlib.h>
#include <string.h>

static void
check_clear(struct pgcask_check *check)
{
    for (size_t i = 0; i < check->len; i++) {
        free(check->findings[i].text);
        free(check->findings[i].cure);
    }
    check->len = 0;
    free(STEAL(check->wrong));
}

/* Each try starts without findings. */
static int
check_once(struct storage *storage, struct pgcask_check *check)
{
    int rc;

    check_clear(check);
    rc = storage->calls->check(storage->handle, check);
    if (rc != PGCASK_RETRY && check->wrong != NULL)
        return error_set(PGCASK_FAILED, "check says %s", check->wrong);
    return rc;
}

int
storage_check(struct storage *storage, const struct storage_check *check)
{
    struct pgcask_check asked = { .fix = check->fix, .keep_s = check->keep_s };
    struct error error;
    int rc = check->fix ? storage_check_writable(storage) : 0;

    if (rc == 0 && storage->calls->check != NULL)
        rc = INSTANCE_CALL(&storage->base, "check", check_once(storage, &asked));
    if (rc < 0)
        rc = instance_failed(&storage->base, rc);
    error_take(rc, &error); /* `say` may use the slot */
    for (size_t i = 0; i < asked.len; i++)
        check->say(check->ctx, asked.findings[i].outcome, asked.findings[i].text, asked.findings[i].cure);
    check_clear(&asked);
    free(asked.findings);
    return error_put(&error);
}

/* Allowed in a store opened for reading, too: nothing of it changes but how fast it answers. */
int
storage_thaw(struct storage *storage, const char *key, int days, const char *tier)
{
    int rc = storage_key_check(key);

    if (rc == 0 && days < 1)
        rc = error_set(PGCASK_FAILED, "'%s' cannot be thawed for %d days, wanted 1 or more", key, days);
    if (rc == 0 && strcmp(tier, "expedited") != 0 && strcmp(tier, "standard") != 0 && strcmp(tier, "bulk") != 0)
        rc = error_set(PGCASK_FAILED, "'%s' is no way to thaw, wanted expedited, standard or bulk", tier);
    if (rc == 0 && storage->calls->thaw == NULL)
        rc = error_set(PGCASK_UNSUPPORTED, "'%s' cannot be thawed: plugin '%s' knows no cold objects", key,
                       storage->base.plugin->name);
    if (rc == 0)
        rc = INSTANCE_CALL(&storage->base, "thaw", storage->calls->thaw(storage->handle, key, days, tier));
    return rc < 0 ? instance_failed(&storage->base, rc) : 0;
}

bool
storage_thaws(const struct storage *storage)
{
    return storage->calls->thaw != NULL;
}

int
storage_sweep(struct storage *storage, int64_t before_s, uint64_t *ret_count)
{
    uint64_t count = 0;
    int rc = storage_check_writable(storage);

    if (rc == 0 && storage->calls->sweep != NULL)
        rc = INSTANCE_CALL(&storage->base, "sweep", storage->calls->sweep(storage->handle, before_s, &count));
    if (rc < 0)
        return instance_failed(&storage->base, rc);
    *ret_count = count;
    return 0;
}
