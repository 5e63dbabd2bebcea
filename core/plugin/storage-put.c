/* SPDX-License-Identifier: PostgreSQL
 *
 * Writing one object: begin, numbered parts, commit or abort. A commit is only
 * believed when all parts went out, their sum is the size that the caller means,
 * and the store says afterwards that it has an object of that size.
 *
 * Where the plugin has put_object, put_begin is put off until the first part: an
 * object that turns out to be small is then one call, and nothing is left to abort.
 */
#include "config.h"

#include "plugin/storage.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "plugin/opaque.h"
#include "plugin/storage-private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct storage_put {
    struct storage *storage;
    struct pgcask_put put;
    char *key;
    pthread_mutex_t begin; /* for `begun`; held while the plugin's put_begin runs; never together with `lock` */
    bool begun;            /* there is an `upload` */
    void *upload;
    bool whole;           /* put_object took it: there is an object, and no upload */
    pthread_mutex_t lock; /* for what follows; a leaf */
    unsigned char *sent;  /* one bit for each part that the store took */
    size_t sent_len;      /* bytes */
    uint32_t count, highest;
    uint64_t total; /* bytes of the parts counted */
};

static void
storage_put_free(struct storage_put *put)
{
    (void)pthread_mutex_destroy(&put->begin);
    (void)pthread_mutex_destroy(&put->lock);
    free(put->sent);
    free(put->key);
    free(put);
}

/* Parts may come from several threads at once: the first one begins. */
static int
storage_put_start(struct storage_put *put)
{
    struct storage *storage = put->storage;
    int rc = 0;

    (void)pthread_mutex_lock(&put->begin);
    if (!put->begun) {
        rc = INSTANCE_CALL(&storage->base, "put_begin",
                           storage->calls->put_begin(storage->handle, &put->put, &put->upload));
        put->begun = rc == 0;
    }
    (void)pthread_mutex_unlock(&put->begin);
    return rc;
}

int
storage_put_begin(struct storage *storage, const char *key, uint64_t size_hint, bool hot, struct storage_put **ret_put)
{
    struct storage_put *put;
    int rc = storage_check_writable(storage);

    if (rc == 0)
        rc = storage_key_check(key);
    if (rc < 0)
        return instance_failed(&storage->base, rc);
    put = mem_zalloc(sizeof *put);
    put->storage = storage;
    put->key = mem_strdup(key);
    put->put = (struct pgcask_put){ .key = put->key, .size_hint = size_hint, .hot = hot };
    (void)pthread_mutex_init(&put->begin, NULL);
    (void)pthread_mutex_init(&put->lock, NULL);
    if (storage->calls->put_object == NULL)
        rc = storage_put_start(put);
    if (rc < 0) {
        storage_put_free(put);
        return instance_failed(&storage->base, rc);
    }
    *ret_put = put;
    return 0;
}

static int
storage_part_check(const struct storage_put *put, uint32_t number, size_t size)
{
    const struct storage_limits *limits = &put->storage->limits;

    if (put->whole)
        return error_set(PGCASK_FAILED, "'%s': part %" PRIu32 " comes behind the whole object", put->key, number);
    if (number == 0 || number > limits->parts)
        return error_set(PGCASK_FAILED,
                         "'%s': part %" PRIu32 " is not one of the 1 to %" PRIu32 " that the store takes", put->key,
                         number, limits->parts);
    if (size == 0 || size > limits->part_max)
        return error_set(PGCASK_FAILED, "'%s': part %" PRIu32 " has %zu bytes, wanted 1 to %" PRIu64, put->key, number,
                         size, limits->part_max);
    return 0;
}

/* A part may be sent again; it counts once. */
static void
storage_part_count(struct storage_put *put, uint32_t number, size_t size)
{
    size_t byte = number / 8;
    unsigned char bit = (unsigned char)(1u << (number % 8));

    (void)pthread_mutex_lock(&put->lock);
    if (byte >= put->sent_len) {
        size_t len = (byte + 1) * 2; /* at most 1 GiB, for 2^32 parts of a store that said so */

        put->sent = mem_realloc_array(put->sent, len, 1);
        memset(put->sent + put->sent_len, 0, len - put->sent_len);
        put->sent_len = len;
    }
    if ((put->sent[byte] & bit) == 0) {
        put->sent[byte] |= bit;
        put->count++;
        put->total += size;
    }
    if (number > put->highest)
        put->highest = number;
    (void)pthread_mutex_unlock(&put->lock);
}

int
storage_put_part(struct storage_put *put, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    struct storage *storage = put->storage;
    int rc = storage_part_check(put, number, size);

    if (rc == 0)
        rc = storage_put_start(put);
    if (rc == 0)
        rc = INSTANCE_CALL(&storage->base, "put_part",
                           storage->calls->put_part(storage->handle, put->upload, number, offset, data, size));
    if (rc < 0)
        return instance_failed(&storage->base, rc);
    instance_moved(&storage->base, size);
    storage_part_count(put, number, size);
    return 0;
}

static int
storage_note_lost(struct storage *storage, int code)
{
    if (code == PGCASK_RETRY || (code < 0 && cancel_requested()))
        atomic_store(&storage->lost, true);
    return code;
}

bool
storage_may_still_come(const struct storage *storage)
{
    return atomic_load(&storage->lost);
}

/* An answer PGCASK_EXISTS is final, also behind a try that got lost: only the plugin can tell whether the object there
 * is the one it sent, so it is left alone here. */
static int
storage_call_whole(struct storage_put *put, const void *data, size_t size)
{
    struct storage *storage = put->storage;
    int rc;

    atomic_store(&storage->lost, false);
    rc = INSTANCE_CALL(&storage->base, "put_object",
                       storage_note_lost(storage, storage->calls->put_object(storage->handle, &put->put, data, size)));
    if (rc < 0)
        return rc;
    instance_moved(&storage->base, size);
    put->whole = true;
    if (size > 0)
        storage_part_count(put, 1, size);
    return 0;
}

int
storage_put_whole(struct storage_put *put, const void *data, size_t size)
{
    struct storage *storage = put->storage;
    int rc = 0;

    if (put->whole || put->highest > 0)
        rc = error_set(PGCASK_FAILED, "'%s': a whole object comes behind a part of it", put->key);
    else if (storage->calls->put_object != NULL && !put->begun && size <= storage->limits.part_preferred)
        rc = storage_call_whole(put, data, size);
    else
        return size > 0 ? storage_put_part(put, 1, 0, data, size) : 0;
    return rc < 0 ? instance_failed(&storage->base, rc) : 0;
}

/* One try: whatever abort answers, the upload is gone. The caller's error stays in the slot. */
static void
storage_call_abort(struct storage_put *put)
{
    struct storage *storage = put->storage;
    struct error error;
    const char *before;
    int rc;

    error_take(PGCASK_FAILED, &error);
    before = instance_enter(&storage->base);
    rc = instance_leave(&storage->base, before, "put_abort", storage->calls->put_abort(storage->handle, put->upload));
    if (rc < 0) {
        (void)instance_failed(&storage->base, error_context(rc, "giving up '%s'", put->key));
        log_slot_warn("something of it may be left behind until the store is swept");
    }
    if (error.text != NULL)
        (void)error_put(&error);
}

/* By its answers to this put the store has the object, and must not: take it away, keep the caller's error. */
static void
storage_put_undo(struct storage_put *put)
{
    struct error error;

    error_take(PGCASK_FAILED, &error);
    if (storage_remove(put->storage, put->key) < 0)
        log_slot_warn("the object stays behind");
    if (error.text != NULL)
        (void)error_put(&error);
}

void
storage_put_abort(struct storage_put *put)
{
    if (put == NULL)
        return;
    if (put->whole)
        storage_put_undo(put);
    else if (put->begun)
        storage_call_abort(put);
    storage_put_free(put);
}

static int
storage_put_confirm(struct storage_put *put, uint64_t size)
{
    struct storage *storage = put->storage;
    uint64_t stored;
    int rc = storage_stat(storage, put->key, &stored, NULL);

    if (rc == PGCASK_NOT_FOUND)
        rc = instance_failed(&storage->base, error_set(PGCASK_FAILED, "'%s' was committed and is not there", put->key));
    if (rc == 0 && stored != size)
        rc = instance_failed(&storage->base,
                             error_set(PGCASK_FAILED, "'%s' was written with %" PRIu64 " bytes, the store has %" PRIu64,
                                       put->key, size, stored));
    if (rc < 0)
        storage_put_undo(put);
    return rc;
}

static int
storage_put_complete(const struct storage_put *put, uint64_t size)
{
    if (put->count != put->highest)
        return error_set(PGCASK_FAILED, "'%s': only %" PRIu32 " of %" PRIu32 " parts were written", put->key,
                         put->count, put->highest);
    if (put->total != size)
        return error_set(PGCASK_FAILED, "'%s': the parts have %" PRIu64 " bytes in all, the object %" PRIu64, put->key,
                         put->total, size);
    return 0;
}

int
storage_put_commit(struct storage_put *put, uint64_t size)
{
    struct storage *storage = put->storage;
    int rc = storage_put_complete(put, size);

    if (rc == 0 && put->begun) {
        atomic_store(&storage->lost, false);
        rc = INSTANCE_CALL(&storage->base, "put_commit",
                           storage_note_lost(storage, storage->calls->put_commit(storage->handle, put->upload, size)));
    } else if (rc == 0 && !put->whole)
        rc = storage_call_whole(put, "", 0); /* no part has come, so put_begin was put off until now */
    if (rc < 0) {
        rc = instance_failed(&storage->base, rc);
        storage_put_abort(put);
        return rc;
    }
    rc = storage_put_confirm(put, size);
    storage_put_free(put);
    return rc;
}

int
storage_put_object(struct storage *storage, const char *key, const void *data, size_t size, bool hot)
{
    struct storage_put *put;
    size_t part = storage->limits.part_preferred < SIZE_MAX ? (size_t)storage->limits.part_preferred : SIZE_MAX;
    uint32_t number = 0;
    int rc = storage_put_begin(storage, key, size, hot, &put);

    if (rc < 0)
        return rc;
    if (size <= part)
        rc = storage_put_whole(put, data, size);
    for (size_t offset = 0; size > part && rc == 0 && offset < size; offset += part)
        rc = storage_put_part(put, ++number, offset, (const char *)data + offset,
                              size - offset < part ? size - offset : part);
    if (rc < 0) {
        storage_put_abort(put);
        return rc;
    }
    return storage_put_commit(put, size);
}
