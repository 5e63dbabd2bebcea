/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/outlet.h"

#include "base/cancel.h"
#include "base/log.h"
#include "base/mem.h"
#include "stage/part-pool.h"
#include "stage/part-size.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One part on its way to one store. */
struct errand {
    struct outlet_object *object;
    size_t store;
    struct part *part;
    bool whole; /* it is all of the object */
    uint32_t number;
    uint64_t offset;
    struct errand *next;
};

struct target {
    struct storage *storage;
    struct error why; /* code 0: alive */
    struct errand *first, **last;
    pthread_cond_t errands;
    pthread_t *senders;
    unsigned count;
};

/* outlet->lock guards all of it; calls into a store are made without it. */
struct outlet {
    pthread_mutex_t lock;
    pthread_cond_t moved; /* an object's part was sent, or a store died */
    struct target *targets;
    size_t count;
    uint64_t part_size; /* of the first parts */
    uint32_t part_limit; /* smallest part count of all stores */
    uint64_t part_max;
    struct part_pool *parts;
    bool stop;
};

struct outlet_object {
    struct outlet *outlet;
    char *key;
    struct storage_put **puts; /* one for each store; NULL when that store is out */
    unsigned *pending;         /* errands under way for each store */
    struct part *part;         /* being filled */
    uint32_t number;           /* of that part, from 1 */
    uint64_t offset;           /* where that part begins */
    uint64_t part_base;        /* size of its first parts */
};

/* Caller holds outlet->lock. */
static void
target_drop(struct outlet *outlet, size_t i, int code)
{
    if (outlet->targets[i].why.code == 0)
        error_take(code, &outlet->targets[i].why);
    (void)pthread_cond_broadcast(&outlet->moved);
}

static size_t
outlet_count_alive(const struct outlet *outlet)
{
    size_t alive = 0;

    for (size_t i = 0; i < outlet->count; i++)
        alive += outlet->targets[i].why.code == 0;
    return alive;
}

/* The error of a run that has lost all its stores. Caller holds outlet->lock. */
static int
outlet_lost(const struct outlet *outlet)
{
    const struct error *why = &outlet->targets[0].why;

    if (cancel_requested())
        return cancel_check();
    (void)error_set(why->code, "%s", why->text ? why->text : "no reason was given");
    if (why->hint != NULL)
        (void)error_hint(why->code, "%s", why->hint);
    return outlet->count > 1 ? error_context(why->code, "no store is left") : why->code;
}

static void
errand_run(struct outlet *outlet, struct errand *errand)
{
    struct target *target = &outlet->targets[errand->store];
    struct storage_put *put = errand->object->puts[errand->store];
    int rc = 0;

    if (target->why.code == 0 && put != NULL) {
        (void)pthread_mutex_unlock(&outlet->lock);
        rc = cancel_check();
        if (rc == 0 && errand->whole)
            rc = storage_put_whole(put, errand->part->data, errand->part->len);
        else if (rc == 0)
            rc = storage_put_part(put, errand->number, errand->offset, errand->part->data, errand->part->len);
        (void)pthread_mutex_lock(&outlet->lock);
    }
    if (rc < 0)
        target_drop(outlet, errand->store, rc);
    errand->object->pending[errand->store]--;
    part_release(outlet->parts, errand->part);
    (void)pthread_cond_broadcast(&outlet->moved);
    free(errand);
}

struct sender_args {
    struct outlet *outlet;
    size_t store;
};

static void *
sender_thread(void *arg)
{
    struct sender_args *args = arg;
    struct outlet *outlet = args->outlet;
    struct target *target = &outlet->targets[args->store];

    (void)pthread_mutex_lock(&outlet->lock);
    for (;;) {
        struct errand *errand;

        while (target->first == NULL && !outlet->stop)
            (void)pthread_cond_wait(&target->errands, &outlet->lock);
        errand = target->first;
        if (errand == NULL)
            break;
        target->first = errand->next;
        if (target->first == NULL)
            target->last = &target->first;
        errand_run(outlet, errand);
    }
    (void)pthread_mutex_unlock(&outlet->lock);
    free(args);
    return NULL;
}

static int
target_start(struct outlet *outlet, size_t i)
{
    struct target *target = &outlet->targets[i];
    unsigned wanted = storage_parallel(target->storage);

    target->senders = mem_realloc_array(NULL, wanted, sizeof *target->senders);
    while (target->count < wanted) {
        struct sender_args *args = mem_zalloc(sizeof *args);

        args->outlet = outlet;
        args->store = i;
        if (pthread_create(&target->senders[target->count], NULL, sender_thread, args) != 0) {
            free(args);
            return target->count > 0 ? 0 : error_set(PGCASK_FAILED, "could not start a thread");
        }
        target->count++;
    }
    return 0;
}

/* A part size that all stores take, and the tightest of their limits. */
static int
outlet_part_sizes(struct outlet *outlet)
{
    outlet->part_limit = UINT32_MAX;
    outlet->part_max = UINT64_MAX;
    for (size_t i = 0; i < outlet->count; i++) {
        struct storage_limits limits = storage_limits(outlet->targets[i].storage);

        if (limits.part_preferred > outlet->part_size)
            outlet->part_size = limits.part_preferred;
        if (limits.part_max < outlet->part_max)
            outlet->part_max = limits.part_max;
        if (limits.parts < outlet->part_limit)
            outlet->part_limit = limits.parts;
    }
    if (outlet->part_size > outlet->part_max)
        outlet->part_size = outlet->part_max;
    for (size_t i = 0; i < outlet->count; i++) {
        struct storage_limits limits = storage_limits(outlet->targets[i].storage);

        if (outlet->part_size < limits.part_min)
            return error_set(ERROR_USAGE, "store '%s' takes parts from %llu bytes, another store of this run up to %llu only",
                             storage_name(outlet->targets[i].storage), (unsigned long long)limits.part_min,
                             (unsigned long long)outlet->part_max);
    }
    return 0;
}

int
outlet_new(struct storage *const *stores, size_t count, unsigned objects, struct outlet **ret_outlet)
{
    CLEANUP(outlet_free) struct outlet *outlet = mem_zalloc(sizeof *outlet);
    unsigned widest = 1, parts;
    int rc;

    assert(count > 0);
    (void)pthread_mutex_init(&outlet->lock, NULL);
    (void)pthread_cond_init(&outlet->moved, NULL);
    outlet->targets = mem_zalloc(count * sizeof *outlet->targets);
    outlet->count = count;
    for (size_t i = 0; i < count; i++) {
        struct target *target = &outlet->targets[i];

        target->storage = stores[i];
        target->last = &target->first;
        (void)pthread_cond_init(&target->errands, NULL);
        if (storage_parallel(stores[i]) > widest)
            widest = storage_parallel(stores[i]);
    }
    rc = outlet_part_sizes(outlet);
    if (rc < 0)
        return rc;
    parts = part_count(objects, widest);
    outlet->parts = part_pool_new(parts, parts * outlet->part_size);
    for (size_t i = 0; i < count; i++) {
        rc = target_start(outlet, i);
        if (rc < 0)
            return rc;
    }
    *ret_outlet = STEAL(outlet);
    return 0;
}

void
outlet_free(struct outlet *outlet)
{
    if (outlet == NULL)
        return;
    (void)pthread_mutex_lock(&outlet->lock);
    outlet->stop = true;
    for (size_t i = 0; i < outlet->count; i++)
        (void)pthread_cond_broadcast(&outlet->targets[i].errands);
    (void)pthread_mutex_unlock(&outlet->lock);
    for (size_t i = 0; i < outlet->count; i++) {
        for (unsigned j = 0; j < outlet->targets[i].count; j++)
            (void)pthread_join(outlet->targets[i].senders[j], NULL);
        (void)pthread_cond_destroy(&outlet->targets[i].errands);
        free(outlet->targets[i].senders);
        error_free(&outlet->targets[i].why);
    }
    part_pool_free(outlet->parts);
    (void)pthread_cond_destroy(&outlet->moved);
    (void)pthread_mutex_destroy(&outlet->lock);
    free(outlet->targets);
    free(outlet);
}

bool
outlet_alive(struct outlet *outlet, size_t i, const struct error **ret_why)
{
    bool alive;

    (void)pthread_mutex_lock(&outlet->lock);
    alive = outlet->targets[i].why.code == 0;
    (void)pthread_mutex_unlock(&outlet->lock);
    if (ret_why != NULL)
        *ret_why = &outlet->targets[i].why; /* set once, never changed afterwards */
    return alive;
}

void
outlet_drop(struct outlet *outlet, size_t i, int code)
{
    (void)pthread_mutex_lock(&outlet->lock);
    target_drop(outlet, i, code);
    (void)pthread_mutex_unlock(&outlet->lock);
}

void
outlet_rest(struct outlet *outlet)
{
    part_pool_trim(outlet->parts);
}

size_t
outlet_alive_count(struct outlet *outlet)
{
    size_t alive;

    (void)pthread_mutex_lock(&outlet->lock);
    alive = outlet_count_alive(outlet);
    (void)pthread_mutex_unlock(&outlet->lock);
    return alive;
}

static void
object_free(struct outlet_object *object)
{
    free(object->key);
    free(object->puts);
    free(object->pending);
    free(object);
}

int
outlet_begin(struct outlet *outlet, const char *key, uint64_t size_hint, struct outlet_object **ret_object)
{
    struct outlet_object *object = mem_zalloc(sizeof *object);
    int rc = 0;

    object->outlet = outlet;
    object->key = mem_strdup(key);
    object->puts = mem_zalloc(outlet->count * sizeof *object->puts);
    object->pending = mem_zalloc(outlet->count * sizeof *object->pending);
    object->number = 1;
    object->part_base = part_size_base(outlet->part_size, outlet->part_max, outlet->part_limit, size_hint);
    for (size_t i = 0; i < outlet->count; i++) {
        if (!outlet_alive(outlet, i, NULL))
            continue;
        rc = storage_put_begin(outlet->targets[i].storage, key, size_hint, false, &object->puts[i]);
        if (rc < 0)
            outlet_drop(outlet, i, rc);
    }
    (void)pthread_mutex_lock(&outlet->lock);
    rc = outlet_count_alive(outlet) == 0 ? outlet_lost(outlet) : 0;
    (void)pthread_mutex_unlock(&outlet->lock);
    if (rc < 0) {
        outlet_abort(object);
        return rc;
    }
    *ret_object = object;
    return 0;
}

/* Give the filled part to every store that is left; `last`: no other follows. Caller holds outlet->lock. */
static void
object_send(struct outlet_object *object, bool last)
{
    struct outlet *outlet = object->outlet;
    struct part *part = STEAL(object->part);

    for (size_t i = 0; i < outlet->count; i++) {
        struct target *target = &outlet->targets[i];
        struct errand *errand;

        if (target->why.code != 0 || object->puts[i] == NULL)
            continue;
        errand = mem_zalloc(sizeof *errand);
        *errand = (struct errand){ .object = object, .store = i, .part = part, .whole = last && object->number == 1,
                                   .number = object->number, .offset = object->offset };
        part_hold(outlet->parts, part);
        object->pending[i]++;
        *target->last = errand;
        target->last = &errand->next;
        (void)pthread_cond_signal(&target->errands);
    }
    object->offset += part->len;
    object->number++;
    part_release(outlet->parts, part);
}

int
outlet_write(struct outlet_object *object, const void *data, size_t len)
{
    struct outlet *outlet = object->outlet;
    const unsigned char *p = data;
    int rc = 0;

    while (len > 0) {
        size_t size = part_size_at(object->part_base, outlet->part_max, outlet->part_limit, object->number), room;

        if (object->part == NULL) {
            (void)pthread_mutex_lock(&outlet->lock);
            rc = outlet_count_alive(outlet) == 0 ? outlet_lost(outlet) : 0;
            (void)pthread_mutex_unlock(&outlet->lock);
            if (rc < 0)
                return rc;
            object->part = part_take(outlet->parts, size);
        }
        room = size - object->part->len;
        if (room > len)
            room = len;
        memcpy(object->part->data + object->part->len, p, room);
        object->part->len += room;
        p += room;
        len -= room;
        if (object->part->len == size) {
            (void)pthread_mutex_lock(&outlet->lock);
            object_send(object, false);
            (void)pthread_mutex_unlock(&outlet->lock);
        }
    }
    return 0;
}

/* Wait until no store works on a part of it. */
static void
object_settle(struct outlet_object *object)
{
    struct outlet *outlet = object->outlet;

    (void)pthread_mutex_lock(&outlet->lock);
    for (size_t i = 0; i < outlet->count; i++)
        while (object->pending[i] > 0)
            (void)pthread_cond_wait(&outlet->moved, &outlet->lock);
    (void)pthread_mutex_unlock(&outlet->lock);
}

int
outlet_commit(struct outlet_object *object, uint64_t *ret_size)
{
    struct outlet *outlet = object->outlet;
    uint64_t size;
    int rc = 0;

    (void)pthread_mutex_lock(&outlet->lock);
    if (object->part != NULL)
        object_send(object, true);
    (void)pthread_mutex_unlock(&outlet->lock);
    object_settle(object);
    size = object->offset;
    for (size_t i = 0; i < outlet->count; i++) {
        struct storage_put *put = STEAL(object->puts[i]);

        if (put == NULL)
            continue;
        if (!outlet_alive(outlet, i, NULL) || cancel_requested()) {
            storage_put_abort(put);
            continue;
        }
        rc = storage_put_commit(put, size);
        if (rc < 0)
            outlet_drop(outlet, i, rc);
    }
    object_free(object);
    rc = cancel_check();
    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&outlet->lock);
    rc = outlet_count_alive(outlet) == 0 ? outlet_lost(outlet) : 0;
    (void)pthread_mutex_unlock(&outlet->lock);
    if (rc == 0)
        *ret_size = size;
    return rc;
}

void
outlet_abort(struct outlet_object *object)
{
    struct error kept;

    if (object == NULL)
        return;
    error_take(-1, &kept); /* what went wrong before matters more than what goes wrong now */
    object_settle(object);
    for (size_t i = 0; i < object->outlet->count; i++)
        storage_put_abort(object->puts[i]);
    if (object->part != NULL)
        part_release(object->outlet->parts, object->part);
    object_free(object);
    (void)error_put(&kept);
}

int
outlet_put(struct outlet *outlet, const char *key, const void *data, size_t len)
{
    int rc = 0;

    for (size_t i = 0; i < outlet->count; i++) {
        if (!outlet_alive(outlet, i, NULL))
            continue;
        rc = storage_put_object(outlet->targets[i].storage, key, data, len, true);
        if (rc < 0)
            outlet_drop(outlet, i, rc);
    }
    (void)pthread_mutex_lock(&outlet->lock);
    rc = outlet_count_alive(outlet) == 0 ? outlet_lost(outlet) : 0;
    (void)pthread_mutex_unlock(&outlet->lock);
    return rc;
}
