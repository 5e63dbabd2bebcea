/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/part-pool.h"

#include <pthread.h>
#include <stdlib.h>

struct part_pool {
    pthread_mutex_t lock; /* a leaf */
    pthread_cond_t back;
    struct part *free_parts;
    unsigned out, limit;
};

struct part_pool *
part_pool_new(unsigned limit)
{
    struct part_pool *pool = mem_zalloc(sizeof *pool);

    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->back, NULL);
    pool->limit = limit;
    return pool;
}

static void
part_free(struct part *part)
{
    mem_pages_free(part->data, part->cap);
    free(part);
}

void
part_pool_free(struct part_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->free_parts != NULL) {
        struct part *part = pool->free_parts;

        pool->free_parts = part->next_free;
        part_free(part);
    }
    (void)pthread_cond_destroy(&pool->back);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

struct part *
part_take(struct part_pool *pool, size_t size)
{
    struct part *part;

    (void)pthread_mutex_lock(&pool->lock);
    while (pool->out >= pool->limit)
        (void)pthread_cond_wait(&pool->back, &pool->lock);
    pool->out++;
    part = pool->free_parts;
    if (part != NULL)
        pool->free_parts = part->next_free;
    (void)pthread_mutex_unlock(&pool->lock);
    if (part != NULL && part->cap < size) {
        part_free(part);
        part = NULL;
    }
    if (part == NULL) {
        part = mem_zalloc(sizeof *part);
        part->data = mem_pages_alloc(size);
        part->cap = size;
    }
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
        (void)pthread_cond_signal(&pool->back);
    }
    (void)pthread_mutex_unlock(&pool->lock);
}
