/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/read-ahead.h"

#include "base/cancel.h"
#include "base/error.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum ahead_state { AHEAD_IDLE, AHEAD_ASKED, AHEAD_DONE, AHEAD_STOP };

struct read_ahead {
    pthread_t thread;
    pthread_mutex_t lock; /* of the state; whose turn it is has the rest */
    pthread_cond_t turned;
    enum ahead_state state;
    struct storage *storage;
    const char *key;
    uint64_t offset;
    void *data;
    size_t len;
    struct error error;
};

static void *
ahead_thread(void *arg)
{
    struct read_ahead *ahead = arg;

    (void)pthread_mutex_lock(&ahead->lock);
    for (;;) {
        int rc;

        while (ahead->state != AHEAD_ASKED && ahead->state != AHEAD_STOP)
            (void)pthread_cond_wait(&ahead->turned, &ahead->lock);
        if (ahead->state == AHEAD_STOP)
            break;
        (void)pthread_mutex_unlock(&ahead->lock);
        rc = cancel_check();
        if (rc == 0)
            rc = storage_get(ahead->storage, ahead->key, ahead->offset, ahead->data, ahead->len);
        error_take(rc, &ahead->error);
        (void)pthread_mutex_lock(&ahead->lock);
        ahead->state = AHEAD_DONE;
        (void)pthread_cond_signal(&ahead->turned);
    }
    (void)pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

struct read_ahead *
read_ahead_new(void)
{
    struct read_ahead *ahead = mem_zalloc(sizeof *ahead);

    (void)pthread_mutex_init(&ahead->lock, NULL);
    (void)pthread_cond_init(&ahead->turned, NULL);
    if (pthread_create(&ahead->thread, NULL, ahead_thread, ahead) == 0)
        return ahead;
    (void)pthread_cond_destroy(&ahead->turned);
    (void)pthread_mutex_destroy(&ahead->lock);
    free(ahead);
    return NULL;
}

/* Wait until its turn is over. Returns with ahead->lock held. */
static void
ahead_wait(struct read_ahead *ahead)
{
    (void)pthread_mutex_lock(&ahead->lock);
    while (ahead->state == AHEAD_ASKED)
        (void)pthread_cond_wait(&ahead->turned, &ahead->lock);
}

void
read_ahead_free(struct read_ahead *ahead)
{
    if (ahead == NULL)
        return;
    ahead_wait(ahead);
    ahead->state = AHEAD_STOP;
    (void)pthread_cond_signal(&ahead->turned);
    (void)pthread_mutex_unlock(&ahead->lock);
    (void)pthread_join(ahead->thread, NULL);
    error_free(&ahead->error);
    (void)pthread_cond_destroy(&ahead->turned);
    (void)pthread_mutex_destroy(&ahead->lock);
    free(ahead);
}

void
read_ahead_begin(struct read_ahead *ahead, struct storage *storage, const char *key, uint64_t offset, void *data,
                 size_t len)
{
    assert(ahead->state == AHEAD_IDLE);
    ahead->storage = storage;
    ahead->key = key;
    ahead->offset = offset;
    ahead->data = data;
    ahead->len = len;
    (void)pthread_mutex_lock(&ahead->lock);
    ahead->state = AHEAD_ASKED;
    (void)pthread_cond_signal(&ahead->turned);
    (void)pthread_mutex_unlock(&ahead->lock);
}

int
read_ahead_end(struct read_ahead *ahead)
{
    ahead_wait(ahead);
    assert(ahead->state == AHEAD_DONE);
    ahead->state = AHEAD_IDLE;
    (void)pthread_mutex_unlock(&ahead->lock);
    return error_put(&ahead->error);
}
