/* SPDX-License-Identifier: PostgreSQL
 *
 * Conformance: several handles, several threads, handles that only read, and sweep.
 */
#include "config.h"

#include "plugin/conform-suite.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

enum { ROUNDS = 5 };

static int
use_two_handles(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "two"), *later = conform_key(conform, "later");
    struct storage *second;
    int rc = conform_put(conform, key, 16, 5000);

    if (rc == 0)
        rc = conform_open(conform, "check-second", 0, &second);
    if (rc < 0)
        return rc;
    rc = conform_holds(conform, second, key, 16, 5000);
    storage_close(second);
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 16, 5000);
    if (rc == 0)
        rc = conform_put(conform, later, 17, 10);
    if (rc == 0)
        rc = storage_remove(conform->storage, later);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static int
use_readonly(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "readonly"), *other = conform_key(conform, "readonly-other");
    struct storage *reader;
    struct storage_put *put;
    int rc = conform_put(conform, key, 18, 100);

    if (rc == 0)
        rc = conform_open(conform, "check-readonly", PGCASK_OPEN_READONLY, &reader);
    if (rc < 0)
        return rc;
    rc = conform_holds(conform, reader, key, 18, 100);
    if (rc == 0)
        rc = conform_expect(storage_put_begin(reader, other, 0, false, &put), PGCASK_FAILED,
                            "writing to a store opened for reading");
    if (rc == 0)
        rc = conform_expect(storage_remove(reader, key), PGCASK_FAILED, "removing from a store opened for reading");
    storage_close(reader);
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 18, 100);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static int
use_round(struct conform *conform, unsigned index, unsigned round)
{
    CLEANUP_FREE char *name = mem_printf("threads/%u/%u", index, round);
    CLEANUP_FREE char *key = conform_key(conform, name);
    unsigned seed = index * ROUNDS + round;
    size_t size = 1000 + seed * 37;
    int rc = conform_put(conform, key, seed, size);

    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, seed, size);
    if (rc == 0)
        rc = conform_count(conform, key, 1);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static int
worker_objects(struct conform *conform, unsigned index, void *ctx)
{
    int rc = 0;

    (void)ctx;
    for (unsigned round = 0; rc == 0 && round < ROUNDS; round++)
        rc = use_round(conform, index, round);
    return rc;
}

static int
use_threads_objects(struct conform *conform)
{
    return conform_threads(conform, worker_objects, NULL);
}

/* One object whose parts are sent by several threads, or one that is looked at meanwhile. */
struct shared {
    const char *key;
    struct storage_put *put;
    const unsigned char *data;
    size_t part, size;
    atomic_bool done;
};

static int
worker_part(struct conform *conform, unsigned index, void *ctx)
{
    struct shared *shared = ctx;
    size_t offset = shared->part * index;

    (void)conform;
    return storage_put_part(shared->put, index + 1, offset, shared->data + offset,
                            index == CONFORM_THREADS - 1 ? shared->size - offset : shared->part);
}

static int
use_threads_parts(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "parts-at-once");
    size_t part = conform_small_part(conform);
    size_t size = part * (CONFORM_THREADS - 1) + 100;
    CLEANUP_FREE unsigned char *data = conform_data(19, size);
    struct shared shared = { .key = key, .data = data, .part = part, .size = size };
    int rc = storage_put_begin(conform->storage, key, size, conform->hot, &shared.put);

    if (rc < 0)
        return rc;
    rc = conform_threads(conform, worker_part, &shared);
    if (rc < 0) {
        storage_put_abort(shared.put);
        return rc;
    }
    rc = storage_put_commit(shared.put, size);
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 19, size);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static int
use_write_shared(struct conform *conform, struct shared *shared)
{
    int rc = storage_put_begin(conform->storage, shared->key, shared->size, conform->hot, &shared->put);

    if (rc < 0)
        return rc;
    for (uint32_t number = 2; rc == 0 && number > 0; number--) {
        size_t offset = shared->part * (number - 1);

        rc = storage_put_part(shared->put, number, offset, shared->data + offset,
                              number == 2 ? shared->size - offset : shared->part);
    }
    if (rc < 0) {
        storage_put_abort(shared->put);
        return rc;
    }
    return storage_put_commit(shared->put, shared->size);
}

/* The first writes, the second looks all the while, and once more behind the end. */
static int
worker_look(struct conform *conform, unsigned index, void *ctx)
{
    struct shared *shared = ctx;
    bool last = false;
    int rc = 0;

    if (index == 0) {
        rc = use_write_shared(conform, shared);
        atomic_store(&shared->done, true);
        return rc;
    }
    while (index == 1 && rc == 0 && !last) {
        last = atomic_load(&shared->done);
        rc = conform_holds(conform, conform->storage, shared->key, 21, shared->size);
        if (rc == PGCASK_NOT_FOUND && !last) {
            error_clear();
            rc = 0;
        }
    }
    return rc < 0 ? error_context(rc, "looked at while it was committed") : 0;
}

static int
use_reader(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "looked-at");
    size_t part = conform_small_part(conform);
    CLEANUP_FREE unsigned char *data = conform_data(21, part + 100);
    struct shared shared = { .key = key, .data = data, .part = part, .size = part + 100 };
    int rc = conform_threads(conform, worker_look, &shared);

    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

enum { RACE_SEED = 100, RACE_SIZE = 1000 };

struct race {
    const char *key;
    struct storage_put *puts[CONFORM_THREADS]; /* all begun before any is committed */
    atomic_bool won[CONFORM_THREADS];
};

static int
worker_race(struct conform *conform, unsigned index, void *ctx)
{
    struct race *race = ctx;
    struct storage_put *put = STEAL(race->puts[index]);
    CLEANUP_FREE unsigned char *data = conform_data(RACE_SEED + index, RACE_SIZE);
    int rc = 0;

    if (conform->spec->plugin->storage.put_object != NULL)
        rc = storage_put_whole(put, data, RACE_SIZE);
    if (rc < 0)
        storage_put_abort(put);
    else
        rc = storage_put_commit(put, RACE_SIZE);
    if (rc < 0)
        return conform_expect(rc, PGCASK_EXISTS, "writing a key that others write");
    atomic_store(&race->won[index], true);
    return 0;
}

static int
race_begin(struct conform *conform, struct race *race)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < CONFORM_THREADS; i++) {
        CLEANUP_FREE unsigned char *data = conform_data(RACE_SEED + i, RACE_SIZE);

        rc = storage_put_begin(conform->storage, race->key, RACE_SIZE, conform->hot, &race->puts[i]);
        if (rc == 0 && conform->spec->plugin->storage.put_object == NULL)
            rc = storage_put_part(race->puts[i], 1, 0, data, RACE_SIZE);
    }
    return rc;
}

/* What is there must be the work of one who was told that he succeeded. Not every server can refuse the second of two
 * at the same time: that is told, but it does not fail, for pgcask's keys are its own. */
static int
race_judge(struct conform *conform, struct race *race)
{
    unsigned winners = 0;
    bool there = false;

    for (unsigned i = 0; i < CONFORM_THREADS; i++) {
        if (!atomic_load(&race->won[i]))
            continue;
        winners++;
        there |= conform_holds(conform, conform->storage, race->key, RACE_SEED + i, RACE_SIZE) == 0;
    }
    error_clear();
    if (!there)
        return error_set(PGCASK_FAILED, "%u of %d writers of one key succeeded, and none of their objects is there",
                         winners, CONFORM_THREADS);
    return winners == 1 ? 0
                        : error_set(CONFORM_SKIPPED, "the store cannot: %u of %d succeeded at the same time", winners,
                                    CONFORM_THREADS);
}

static int
use_race(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "one-of-several");
    struct race race = { .key = key };
    struct error told;
    int rc = race_begin(conform, &race);

    if (rc == 0)
        rc = conform_threads(conform, worker_race, &race);
    for (unsigned i = 0; i < CONFORM_THREADS; i++)
        storage_put_abort(race.puts[i]);
    if (rc == 0)
        rc = race_judge(conform, &race);
    if (rc < 0)
        return rc;
    error_take(rc, &told);
    rc = storage_remove(conform->storage, key);
    return rc < 0 ? rc : error_put(&told);
}

/* A sweep up to tomorrow would end the uploads of others, so it is only tried where there is nobody else. */
static int
use_sweep(struct conform *conform)
{
    CLEANUP_STORAGE_LIST struct storage_list all = { 0 };
    CLEANUP_FREE char *key = conform_key(conform, "swept/object");
    uint64_t count;
    int rc;

    if (conform->spec->plugin->storage.sweep == NULL)
        return error_set(CONFORM_SKIPPED, "the plugin has no sweep");
    rc = conform_put(conform, key, 20, 100);
    if (rc == 0)
        rc = storage_sweep(conform->storage, 1, &count);
    if (rc == 0 && count != 0)
        rc = error_set(PGCASK_FAILED, "sweeping what is older than 1970 removed %" PRIu64 " uploads", count);
    if (rc == 0)
        rc = storage_list(conform->storage, "", &all);
    if (rc == 0 && all.len == 1)
        rc = storage_sweep(conform->storage, clock_now_s() + 24 * 60 * 60, &count);
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 20, 100);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

const struct conform_case conform_use_cases[] = {
    { "the store opens twice, and both see the same objects", use_two_handles },
    { "a store opened for reading refuses to write", use_readonly },
    { "objects from several threads at once", use_threads_objects },
    { "parts of one object from several threads at once", use_threads_parts },
    { "who looks while an object is committed sees all or nothing", use_reader },
    { "of several writers of one key at once one succeeds", use_race },
    { "sweep leaves committed objects alone", use_sweep },
    { NULL, NULL },
};
