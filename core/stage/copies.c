/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/copies.h"

#include "pgcask-plugin.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* So many objects that a store failed with, and none in between that it gave: it is asked last for all others, too. Each
 * failure has taken all the tries and pauses of its `retries`. */
enum { SILENT_OBJECTS = 3 };

struct trouble {
    size_t store;
    char *key;
};

struct copies {
    size_t count, preferred;
    pthread_mutex_t lock; /* of the troubles; a leaf */
    struct trouble *troubles;
    size_t len, cap;
    atomic_uint failures[COPIES_MAX]; /* in a row */
    struct storage *stores[COPIES_MAX];
};

struct copies *
copies_new(struct storage *const *stores, size_t count)
{
    struct copies *copies = mem_zalloc(sizeof *copies);

    assert(count > 0);
    copies->count = count < COPIES_MAX ? count : COPIES_MAX;
    memcpy(copies->stores, stores, copies->count * sizeof *stores);
    (void)pthread_mutex_init(&copies->lock, NULL);
    return copies;
}

void
copies_free(struct copies *copies)
{
    if (copies == NULL)
        return;
    for (size_t i = 0; i < copies->len; i++)
        free(copies->troubles[i].key);
    free(copies->troubles);
    (void)pthread_mutex_destroy(&copies->lock);
    free(copies);
}

size_t
copies_count(const struct copies *copies)
{
    return copies->count;
}

struct storage *
copies_store(const struct copies *copies, size_t i)
{
    return copies->stores[i];
}

void
copies_prefer(struct copies *copies, size_t i)
{
    copies->preferred = i;
}

/* Caller holds copies->lock. */
static bool
copies_known(const struct copies *copies, size_t i, const char *key)
{
    for (size_t j = 0; j < copies->len; j++)
        if (copies->troubles[j].store == i && strcmp(copies->troubles[j].key, key) == 0)
            return true;
    return false;
}

size_t
copies_pick(struct copies *copies, const char *key, uint64_t tried)
{
    size_t best = copies->count;
    int best_rank = 0;

    (void)pthread_mutex_lock(&copies->lock);
    for (size_t turn = 0; turn < copies->count; turn++) {
        /* the preferred one, then the others in their order */
        size_t i = turn == 0 ? copies->preferred : turn <= copies->preferred ? turn - 1 : turn;
        int rank;

        if ((tried >> i & 1) != 0)
            continue;
        rank = copies_known(copies, i, key) ? 2 : atomic_load(&copies->failures[i]) >= SILENT_OBJECTS ? 1 : 0;
        if (best == copies->count || rank < best_rank) {
            best = i;
            best_rank = rank;
        }
    }
    (void)pthread_mutex_unlock(&copies->lock);
    return best;
}

bool
copies_note(struct copies *copies, size_t i, const char *key, int code)
{
    bool known;

    (void)pthread_mutex_lock(&copies->lock);
    known = copies_known(copies, i, key);
    if (!known) {
        MEM_GROW(copies->troubles, copies->len, copies->cap);
        copies->troubles[copies->len++] = (struct trouble){ i, mem_strdup(key) };
    }
    (void)pthread_mutex_unlock(&copies->lock);
    if (!known && code == PGCASK_FAILED)
        atomic_fetch_add(&copies->failures[i], 1);
    return !known;
}

void
copies_served(struct copies *copies, size_t i)
{
    if (atomic_load_explicit(&copies->failures[i], memory_order_relaxed) != 0)
        atomic_store(&copies->failures[i], 0);
}
