/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/part-pool.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct part_pool {
    pthread_mutex_t lock; /* a leaf */
    pthread_cond_t back;
    struct part *free_parts;
    unsigned out, limit;
    uint64_t bytes, limit_bytes; /* of all there are, idle ones too */
    uint64_t out_bytes;
};

struct part_pool *
part_pool_new(unsigned limit, uint64_t limit_bytes)
{
    struct part_pool *pool = mem_zalloc(sizeof *pool);

    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->back, NULL);
    pool->limit = limit;
    pool->limit_bytes = limit_bytes;
    return pool;
}

/* Caller holds pool->lock. */
static void
part_drop_idle(struct part_pool *pool)
{
    struct part *part = pool->free_parts;

    pool->free_parts = part->next_free;
    pool->bytes -= part->cap;
    mem_pages_free(part->data, part->cap);
    free(part);
}

void
part_pool_trim(struct part_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->free_parts != NULL)
        part_drop_idle(pool);
    (void)pthread_mutex_unlock(&pool->lock);
}

void
part_pool_free(struct part_pool *pool)
{
    if (pool == NULL)
        return;
    part_pool_trim(pool);
    (void)pthread_cond_destroy(&pool->back);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* An idle one that is large enough, or NULL; idle ones that are not, or in the way, go. Caller holds pool->lock. */
static struct part *
part_reuse(struct part_pool *pool, size_t size)
{
    struct part *part = pool->free_parts;

    if (part != NULL && part->cap >= size) {
        pool->free_parts = part->next_free;
        return part;
    }
    while (pool->free_parts != NULL && (pool->free_parts->cap < size || pool->bytes + size > pool->limit_bytes))
        part_drop_idle(pool);
    return NULL;
}

static bool
part_must_wait(const struct part_pool *pool, size_t size)
{
    return pool->out >= pool->limit || (pool->out > 0 && pool->out_bytes + size > pool->limit_bytes);
}

struct part *
part_take(struct part_pool *pool, size_t size)
{
    struct part *part;

    (void)pthread_mutex_lock(&pool->lock);
    while (part_must_wait(pool, size))
        (void)pthread_cond_wait(&pool->back, &pool->lock);
    part = part_reuse(pool, size);
    if (part == NULL) {
        part = mem_zalloc(sizeof *part);
        part->data = mem_pages_alloc(size);
        part->cap = size;
        pool->bytes += size;
    }
    pool->out++;
    pool->out_bytes += part->cap;
    (void)pthread_mutex_unlock(&pool->lock);
    part->len = 0;
    part->holders = 1;
    return part;
}

void
part_hold(struct part_pool *pool, struct part *part)
{
    (void)pthread_mutex_lock(&pool->lock);
    part->holders++;
    (void)pthread_mutex_unlock(&pool->lock);
}

void
part_release(struct part_pool *pool, struct part *part)
{
    (void)pthread_mutex_lock(&pool->lock);
    if (--part->holders == 0) {
        part->next_free = pool->free_parts;
        pool->free_parts = part;
        pool->out--;
        pool->out_bytes -= part->cap;
        (void)pthread_cond_broadcast(&pool->back); /* they may want different sizes */
    }
    (void)pthread_mutex_unlock(&pool->lock);
}
