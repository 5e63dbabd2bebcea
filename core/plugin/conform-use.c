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
#include <pthread.h>
#include <string.h>

enum { THREADS = 8, ROUNDS = 5 };

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

struct worker {
    struct conform *conform;
    unsigned index;
    struct storage_put *put; /* for work that is shared */
    const unsigned char *data;
    size_t part, size;
    struct error error;
};

static int
worker_round(struct worker *worker, unsigned round)
{
    struct conform *conform = worker->conform;
    CLEANUP_FREE char *name = mem_printf("threads/%u/%u", worker->index, round);
    CLEANUP_FREE char *key = conform_key(conform, name);
    unsigned seed = worker->index * ROUNDS + round;
    size_t size = 1000 + seed * 37;
    int rc = conform_put(conform, key, seed, size);

    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, seed, size);
    if (rc == 0)
        rc = conform_count(conform, key, 1);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static void *
worker_objects(void *arg)
{
    struct worker *worker = arg;
    int rc = 0;

    for (unsigned round = 0; rc == 0 && round < ROUNDS; round++)
        rc = worker_round(worker, round);
    error_take(rc, &worker->error);
    return NULL;
}

static void *
worker_part(void *arg)
{
    struct worker *worker = arg;
    size_t offset = worker->part * worker->index;
    int rc = storage_put_part(worker->put, worker->index + 1, offset, worker->data + offset,
                              worker->index == THREADS - 1 ? worker->size - offset : worker->part);

    error_take(rc, &worker->error);
    return NULL;
}

/* Run all workers to the end; the first error of any. */
static int
conform_threads(struct worker *workers, void *(*run)(void *))
{
    pthread_t threads[THREADS];
    unsigned started = 0;
    int rc = 0;

    while (started < THREADS && pthread_create(&threads[started], NULL, run, &workers[started]) == 0)
        started++;
    if (started < THREADS)
        rc = error_set(PGCASK_FAILED, "could not start %d threads", THREADS);
    for (unsigned i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
        if (rc == 0)
            rc = error_put(&workers[i].error);
        error_free(&workers[i].error);
    }
    return rc;
}

static int
use_threads_objects(struct conform *conform)
{
    struct worker workers[THREADS];

    for (unsigned i = 0; i < THREADS; i++)
        workers[i] = (struct worker){ .conform = conform, .index = i };
    return conform_threads(workers, worker_objects);
}

static int
use_threads_parts(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "parts-at-once");
    size_t part = conform_small_part(conform);
    size_t size = part * (THREADS - 1) + 100;
    CLEANUP_FREE unsigned char *data = conform_data(19, size);
    struct worker workers[THREADS];
    struct storage_put *put;
    int rc;

    rc = storage_put_begin(conform->storage, key, size, false, &put);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < THREADS; i++)
        workers[i] =
            (struct worker){ .conform = conform, .index = i, .put = put, .data = data, .part = part, .size = size };
    rc = conform_threads(workers, worker_part);
    if (rc < 0) {
        storage_put_abort(put);
        return rc;
    }
    rc = storage_put_commit(put, size);
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 19, size);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
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
    { "sweep leaves committed objects alone", use_sweep },
    { NULL, NULL },
};
