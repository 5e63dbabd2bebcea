/* SPDX-License-Identifier: PostgreSQL
 *
 * The plugin of conform-faulty.c without a fault of its own, with all that a plugin may have besides what it must, and
 * with one fault in that, chosen by MORE; or with one that shows only when several threads work on one key. Objects
 * called "cold" are cold until they are asked for.
 */
#define FAULT NONE
#define pgcask_storage_plugin_v1 faulty_plugin
#include "conform-faulty.c"
#undef pgcask_storage_plugin_v1

enum {
    NOTHING,
    WHOLE_EMPTY,      /* put_object refuses 0 bytes */
    WHOLE_CUT,        /* put_object forgets the last byte */
    WHOLE_REPLACES,   /* put_object replaces what is there */
    WHOLE_SAME_SIZE,  /* put_object takes an object of the same size for its own */
    BATCH_NOTHING,    /* remove_many says that all are gone, and removes none */
    BATCH_SILENT,     /* remove_many removes them all and flags none */
    BATCH_MISSING,    /* remove_many fails for one that is missing */
    BATCH_UNESCAPED,  /* remove_many does not escape '&', so another key is removed */
    BATCH_PREFIX,     /* remove_many takes along all that begins so */
    BATCH_HUNDRED,    /* remove_many does only the first hundred, and says so without a text */
    TIER_COLD,        /* stat says that a hot object is cold */
    TIER_UNKNOWN,     /* list has a tier of its own */
    THAW_MISSING,     /* thaw of a missing object is success */
    THAW_HOT,         /* thaw of a hot object is an error */
    COLD_READ,        /* a cold object can be read all the same */
    COLD_FORGOTTEN,   /* a cold object that was asked for is still said to be cold */
    CHECK_NOTHING,    /* check has nothing to say */
    CHECK_OUTCOME,    /* check has an outcome of its own */
    CHECK_MENDS,      /* check mends what it was only to look at */
    CHECK_LITTERS,    /* check leaves an object behind */
    COMMIT_GROWS,     /* an object is seen before it is whole */
    LOSER_REPLACES,   /* the second of two is refused, but has replaced the object */
    SEVERAL_WIN       /* two commits at once both look before either writes */
};

static int asked; /* for the cold object */
static char last_key[1100];

static int
is_called(const char *key, const char *name)
{
    size_t len = strlen(key), name_len = strlen(name);

    return len >= name_len && strcmp(key + len - name_len, name) == 0;
}

static int
more_put_object(void *handle, const struct pgcask_put *put, const void *data, size_t size)
{
    const char *key = pgcask_put_key(put);
    const struct object *old;
    void *upload;
    int rc;

    if (MORE == WHOLE_EMPTY && size == 0) {
        pgcask_error("'%s' is empty", key);
        return PGCASK_FAILED;
    }
    (void)pthread_mutex_lock(&lock);
    old = find(((struct handle *)handle)->memory, key);
    if (MORE == WHOLE_SAME_SIZE && old != NULL && old->size == size) {
        (void)pthread_mutex_unlock(&lock);
        return 0;
    }
    if (MORE == WHOLE_REPLACES)
        drop(handle, key);
    if (MORE == WHOLE_CUT && size > 0)
        size--;
    rc = example_put_begin(handle, put, &upload);
    if (rc == 0 && size > 0)
        rc = example_put_part(handle, upload, 1, 0, data, size);
    if (rc == 0)
        rc = example_put_commit(handle, upload, size);
    (void)pthread_mutex_unlock(&lock);
    asked = is_called(key, "/cold") ? 0 : asked;
    return rc;
}

static int
more_remove_many(void *opaque, const char *const *keys, size_t count, unsigned char *gone)
{
    struct handle *handle = opaque;
    size_t limit = MORE == BATCH_HUNDRED && count > 100 ? 100 : count;
    int rc = limit < count ? PGCASK_FAILED : 0;

    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < limit; i++) {
        if (MORE == BATCH_MISSING && find(handle->memory, keys[i]) == NULL) {
            rc = not_found(keys[i]);
            continue;
        }
        for (const struct object *object = handle->memory->objects, *next; MORE == BATCH_PREFIX && object != NULL;
             object = next) {
            next = object->next;
            if (strncmp(object->key, keys[i], strlen(keys[i])) == 0)
                drop(handle, object->key);
        }
        if (MORE != BATCH_NOTHING && (MORE != BATCH_UNESCAPED || strchr(keys[i], '&') == NULL))
            drop(handle, keys[i]);
        gone[i] = MORE != BATCH_SILENT;
    }
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
more_remove(void *handle, const char *key)
{
    (void)snprintf(last_key, sizeof last_key, "%s", key);
    return faulty_remove(handle, key);
}

static int
more_stat(void *handle, const char *key, struct pgcask_listing *listing)
{
    const struct object *object;
    int tier = PGCASK_TIER_HOT, rc;

    (void)pthread_mutex_lock(&lock);
    object = find(((struct handle *)handle)->memory, key);
    if (is_called(key, "/cold"))
        tier = asked && MORE != COLD_FORGOTTEN ? PGCASK_TIER_THAWING : PGCASK_TIER_COLD;
    else if (MORE == TIER_COLD)
        tier = PGCASK_TIER_COLD;
    rc = object != NULL ? pgcask_listing_add_tiered(listing, key, object->size, object->mtime_s, tier, 0)
                        : not_found(key);
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
more_list(void *handle, const char *prefix, struct pgcask_listing *listing)
{
    int rc = 0;

    (void)pthread_mutex_lock(&lock);
    for (const struct object *object = ((struct handle *)handle)->memory->objects; rc == 0 && object != NULL;
         object = object->next)
        if (strncmp(object->key, prefix, strlen(prefix)) == 0)
            rc = pgcask_listing_add_tiered(listing, object->key, object->size, object->mtime_s,
                                           MORE == TIER_UNKNOWN && is_called(object->key, "/hot") ? 7 : PGCASK_TIER_HOT,
                                           0);
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

static int
more_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    if (!is_called(key, "/cold") || MORE == COLD_READ)
        return faulty_get(handle, key, offset, data, size);
    pgcask_error("'%s' is cold", key);
    return PGCASK_COLD;
}

static int
more_thaw(void *handle, const char *key, int days, const char *tier)
{
    int there;

    (void)days;
    (void)tier;
    (void)pthread_mutex_lock(&lock);
    there = find(((struct handle *)handle)->memory, key) != NULL;
    (void)pthread_mutex_unlock(&lock);
    if (!there)
        return MORE == THAW_MISSING ? 0 : not_found(key);
    if (is_called(key, "/cold")) {
        asked = 1;
        pgcask_error("'%s' can be read in 12 hours", key);
        return PGCASK_COLD;
    }
    if (MORE == THAW_HOT) {
        pgcask_error("'%s' is not in the class GLACIER", key);
        return PGCASK_FAILED;
    }
    return 0;
}

/* An object where the last one was removed from. */
static void
litter(struct handle *handle)
{
    struct object *object = calloc(1, sizeof *object);

    object->key = strdup(last_key);
    object->next = handle->memory->objects;
    handle->memory->objects = object;
    handle->memory->count++;
}

static int
more_check(void *handle, struct pgcask_check *check)
{
    if (MORE == CHECK_LITTERS)
        litter(handle);
    if (MORE != CHECK_NOTHING)
        pgcask_check_say(check, PGCASK_CHECK_WARN, "use another", "this store forgets");
    if (MORE == CHECK_OUTCOME)
        pgcask_check_say(check, 4, NULL, "worse than bad");
    if (MORE == CHECK_MENDS)
        pgcask_check_say(check, PGCASK_CHECK_FIXED, NULL, "it did forget");
    return 0;
}

/* Show it half, and the rest of it later. */
static int
grow(void *handle, struct upload *upload, uint64_t size)
{
    struct object *object = upload->object;
    int rc;

    object->size = size / 2;
    rc = faulty_put_commit(handle, upload, size / 2);
    (void)usleep(50000);
    (void)pthread_mutex_lock(&lock);
    object->size = size;
    ((struct handle *)handle)->memory->used += size - size / 2;
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

/* Two writers have looked before either goes on; one that is alone goes on after ten seconds. */
static void
await_second_look(void)
{
    static int looked;
    int seen = 0;

    for (int i = 0; i < 1000 && seen < 2; i++) {
        (void)pthread_mutex_lock(&lock);
        if (i == 0)
            looked++;
        seen = looked;
        (void)pthread_mutex_unlock(&lock);
        (void)usleep(10000);
    }
}

static int
more_put_commit(void *opaque, void *opaque_upload, uint64_t size)
{
    struct handle *handle = opaque;
    struct upload *upload = opaque_upload;
    const char *key = upload->object->key;
    int taken, rc;

    if (MORE == COMMIT_GROWS && is_called(key, "/looked-at"))
        return grow(handle, upload, size);
    if (!is_called(key, "/one-of-several") || (MORE != LOSER_REPLACES && MORE != SEVERAL_WIN))
        return faulty_put_commit(handle, upload, size);
    (void)pthread_mutex_lock(&lock);
    taken = find(handle->memory, key) != NULL;
    if (taken && MORE == LOSER_REPLACES) {
        struct object *there = find(handle->memory, key);

        memcpy(there->data, upload->object->data, size);
    }
    (void)pthread_mutex_unlock(&lock);
    if (taken)
        return exists(key);
    if (MORE == SEVERAL_WIN) {
        await_second_look();
        (void)pthread_mutex_lock(&lock); /* there is never a moment without the object */
        drop(handle, key);
        rc = example_put_commit(opaque, opaque_upload, size);
        (void)pthread_mutex_unlock(&lock);
        return rc;
    }
    return faulty_put_commit(handle, upload, size);
}

PGCASK_EXPORT const struct pgcask_storage_plugin *pgcask_storage_plugin_v1(void);

PGCASK_EXPORT const struct pgcask_storage_plugin *
pgcask_storage_plugin_v1(void)
{
    static struct pgcask_storage_plugin more;

    more = *faulty_plugin();
    more.get = more_get;
    more.stat = more_stat;
    more.list = more_list;
    more.thaw = more_thaw;
    more.check = more_check;
    more.remove = more_remove;
    more.remove_many = more_remove_many;
    more.put_commit = more_put_commit;
    if (MORE < COMMIT_GROWS)
        more.put_object = more_put_object; /* else it would be called instead of put_commit */
    return &more;
}
