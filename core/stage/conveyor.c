/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/conveyor.h"

#include "base/cancel.h"
#include "base/error.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum slot_state { SLOT_FREE, SLOT_QUEUED, SLOT_WORKED };

struct slot {
    struct piece piece;
    enum slot_state state;
    struct conveyor *conveyor;
    struct slot *next; /* in the crew's queue */
};

/* crew->lock guards everything below that changes; it is held for moments only (some 100 times a second). */
struct crew {
    pthread_mutex_t lock;
    pthread_cond_t work_there; /* the queue is not empty, or stop */
    struct slot *first, **last;
    bool stop;
    int level;
    pthread_t *threads;
    unsigned count;
};

struct conveyor {
    struct crew *crew;
    const struct conveyor_ops *ops;
    void *ctx;
    struct slot *ring;
    unsigned pieces;
    uint64_t filled;     /* pieces handed to the crew */
    bool end;            /* no more will be filled */
    bool broken;         /* an error happened: nobody fills, works or drains any more */
    unsigned at_work;    /* slots queued or being worked on */
    struct error error;  /* the first one */
    pthread_cond_t moved; /* a slot of this conveyor changed its state, or end, or broken */
};

/* Take this thread's error as the conveyor's, unless there is one. Caller holds crew->lock. */
static void
conveyor_break(struct conveyor *conveyor, int code)
{
    if (!conveyor->broken)
        error_take(code, &conveyor->error);
    conveyor->broken = true;
    (void)pthread_cond_broadcast(&conveyor->moved);
}

static void
crew_do(struct crew *crew, struct frame_tools *tools, struct slot *slot)
{
    struct conveyor *conveyor = slot->conveyor;
    int rc = 0;

    if (!conveyor->broken) {
        (void)pthread_mutex_unlock(&crew->lock);
        rc = conveyor->ops->work(conveyor->ctx, tools, &slot->piece);
        (void)pthread_mutex_lock(&crew->lock);
    }
    slot->state = SLOT_WORKED;
    conveyor->at_work--;
    if (rc < 0)
        conveyor_break(conveyor, rc);
    (void)pthread_cond_broadcast(&conveyor->moved);
}

static void *
crew_thread(void *arg)
{
    struct crew *crew = arg;
    struct frame_tools *tools = frame_tools_new(crew->level);

    (void)pthread_mutex_lock(&crew->lock);
    for (;;) {
        struct slot *slot;

        while (crew->first == NULL && !crew->stop)
            (void)pthread_cond_wait(&crew->work_there, &crew->lock);
        slot = crew->first;
        if (slot == NULL)
            break;
        crew->first = slot->next;
        if (crew->first == NULL)
            crew->last = &crew->first;
        crew_do(crew, tools, slot);
    }
    (void)pthread_mutex_unlock(&crew->lock);
    frame_tools_free(tools);
    return NULL;
}

struct crew *
crew_new(unsigned workers, int compress_level)
{
    struct crew *crew = mem_zalloc(sizeof *crew);

    crew->level = compress_level;
    crew->last = &crew->first;
    crew->threads = mem_realloc_array(NULL, workers, sizeof *crew->threads);
    (void)pthread_mutex_init(&crew->lock, NULL);
    (void)pthread_cond_init(&crew->work_there, NULL);
    while (crew->count < workers && pthread_create(&crew->threads[crew->count], NULL, crew_thread, crew) == 0)
        crew->count++;
    return crew;
}

void
crew_free(struct crew *crew)
{
    if (crew == NULL)
        return;
    (void)pthread_mutex_lock(&crew->lock);
    crew->stop = true;
    (void)pthread_cond_broadcast(&crew->work_there);
    (void)pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < crew->count; i++)
        (void)pthread_join(crew->threads[i], NULL);
    (void)pthread_cond_destroy(&crew->work_there);
    (void)pthread_mutex_destroy(&crew->lock);
    free(crew->threads);
    free(crew);
}

/* The slot of the next piece to drain, once it is worked; NULL at the end or when broken. Caller holds crew->lock. */
static struct slot *
conveyor_next(struct conveyor *conveyor, uint64_t number)
{
    struct slot *slot = &conveyor->ring[number % conveyor->pieces];

    for (;;) {
        if (conveyor->broken || (conveyor->end && number == conveyor->filled))
            return NULL;
        if (number < conveyor->filled && slot->state == SLOT_WORKED)
            return slot;
        (void)pthread_cond_wait(&conveyor->moved, &conveyor->crew->lock);
    }
}

static void *
conveyor_drain(void *arg)
{
    struct conveyor *conveyor = arg;
    struct crew *crew = conveyor->crew;
    struct slot *slot;

    (void)pthread_mutex_lock(&crew->lock);
    for (uint64_t number = 0; (slot = conveyor_next(conveyor, number)) != NULL; number++) {
        int rc;

        (void)pthread_mutex_unlock(&crew->lock);
        rc = conveyor->ops->drain(conveyor->ctx, &slot->piece);
        (void)pthread_mutex_lock(&crew->lock);
        slot->state = SLOT_FREE;
        if (rc < 0)
            conveyor_break(conveyor, rc);
        (void)pthread_cond_broadcast(&conveyor->moved);
    }
    (void)pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static void
conveyor_queue(struct conveyor *conveyor, struct slot *slot)
{
    struct crew *crew = conveyor->crew;

    slot->state = SLOT_QUEUED;
    slot->next = NULL;
    *crew->last = slot;
    crew->last = &slot->next;
    conveyor->filled++;
    conveyor->at_work++;
    (void)pthread_cond_signal(&crew->work_there);
}

/* Fill until the end or until broken. Called and left with crew->lock held. */
static void
conveyor_fill(struct conveyor *conveyor)
{
    struct crew *crew = conveyor->crew;

    while (!conveyor->broken) {
        struct slot *slot = &conveyor->ring[conveyor->filled % conveyor->pieces];
        int rc;

        if (slot->state != SLOT_FREE) {
            (void)pthread_cond_wait(&conveyor->moved, &crew->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&crew->lock);
        slot->piece.number = conveyor->filled;
        slot->piece.in_len = slot->piece.out_len = 0;
        rc = cancel_check();
        if (rc == 0)
            rc = conveyor->ops->fill(conveyor->ctx, &slot->piece);
        (void)pthread_mutex_lock(&crew->lock);
        if (rc < 0)
            conveyor_break(conveyor, rc);
        if (rc <= 0)
            break;
        conveyor_queue(conveyor, slot);
    }
    conveyor->end = true;
    (void)pthread_cond_broadcast(&conveyor->moved);
}

int
conveyor_run(struct crew *crew, const struct conveyor_ops *ops, void *ctx, unsigned pieces)
{
    struct conveyor conveyor = { .crew = crew, .ops = ops, .ctx = ctx, .pieces = pieces };
    pthread_t drain;
    int rc;

    assert(pieces >= 2);
    if (crew->count == 0)
        return error_set(PGCASK_FAILED, "could not start a worker thread");
    (void)pthread_cond_init(&conveyor.moved, NULL);
    conveyor.ring = mem_zalloc(pieces * sizeof *conveyor.ring);
    for (unsigned i = 0; i < pieces; i++) {
        conveyor.ring[i].conveyor = &conveyor;
        conveyor.ring[i].piece.in = mem_pages_alloc(ops->in_size);
        conveyor.ring[i].piece.out = mem_pages_alloc(ops->out_size);
    }
    rc = pthread_create(&drain, NULL, conveyor_drain, &conveyor);
    if (rc != 0)
        rc = error_set(PGCASK_FAILED, "could not start a thread");
    else {
        (void)pthread_mutex_lock(&crew->lock);
        conveyor_fill(&conveyor);
        while (conveyor.at_work > 0) /* the crew still holds slots, even when broken */
            (void)pthread_cond_wait(&conveyor.moved, &crew->lock);
        (void)pthread_mutex_unlock(&crew->lock);
        (void)pthread_join(drain, NULL);
        rc = error_put(&conveyor.error);
    }
    for (unsigned i = 0; i < pieces; i++) {
        mem_pages_free(conveyor.ring[i].piece.in, ops->in_size);
        mem_pages_free(conveyor.ring[i].piece.out, ops->out_size);
    }
    free(conveyor.ring);
    (void)pthread_cond_destroy(&conveyor.moved);
    return rc;
}
