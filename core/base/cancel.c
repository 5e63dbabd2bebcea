/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/process.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct hook {
    void (*function)(void *ctx);
    void *ctx;
};

static atomic_bool requested;
static struct {
    pthread_mutex_t lock; /* hooks run under it, so a removed hook is not running any more */
    pthread_cond_t wake;  /* for sleepers */
    struct hook *hooks;
    size_t len, cap;
    struct hook softly; /* instead of the first cancellation; function NULL: none */
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

bool
cancel_requested(void)
{
    return atomic_load(&requested);
}

int
cancel_check(void)
{
    return cancel_requested() ? error_set(ERROR_CANCELLED, "stopped by a signal") : 0;
}

int
cancel_or(int code)
{
    return cancel_requested() ? cancel_check() : code;
}

void
cancel_request(void)
{
    atomic_store(&requested, true);
    process_kill_all();
    (void)pthread_mutex_lock(&state.lock);
    for (size_t i = 0; i < state.len; i++)
        state.hooks[i].function(state.hooks[i].ctx);
    (void)pthread_cond_broadcast(&state.wake);
    (void)pthread_mutex_unlock(&state.lock);
}

void
cancel_soften(void (*hook)(void *ctx), void *ctx)
{
    (void)pthread_mutex_lock(&state.lock);
    state.softly = (struct hook){ hook, ctx };
    (void)pthread_mutex_unlock(&state.lock);
}

/* false: nobody has asked for that. */
static bool
cancel_softly(void)
{
    struct hook hook;

    (void)pthread_mutex_lock(&state.lock);
    hook = state.softly;
    state.softly = (struct hook){ 0 };
    if (hook.function != NULL)
        hook.function(hook.ctx);
    (void)pthread_mutex_unlock(&state.lock);
    return hook.function != NULL;
}

static void *
cancel_thread(void *signals)
{
    int number;

    do {
        if (sigwait(signals, &number) != 0)
            return NULL;
    } while (cancel_softly());
    /* the second time somebody really means it, and it must end us even while a hook hangs: this thread, the only one
     * that does not block the signals, stays for that; nothing visible is half done */
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
    (void)pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    cancel_request();
    for (;;)
        (void)pause();
}

void
cancel_start(void)
{
    static sigset_t signals;
    pthread_t thread;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like any other */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (pthread_create(&thread, NULL, cancel_thread, &signals) == 0)
        (void)pthread_detach(thread);
    else
        (void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* then a signal simply ends us, which is safe */
}

int
cancel_sleep_ms(int64_t ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&state.lock);
    while (!cancel_requested())
        if (pthread_cond_clockwait(&state.wake, &state.lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT)
            break;
    (void)pthread_mutex_unlock(&state.lock);
    return cancel_check();
}

void
cancel_hook_add(void (*hook)(void *ctx), void *ctx)
{
    (void)pthread_mutex_lock(&state.lock);
    MEM_GROW(state.hooks, state.len, state.cap);
    state.hooks[state.len++] = (struct hook){ hook, ctx };
    (void)pthread_mutex_unlock(&state.lock);
}

void
cancel_hook_remove(void (*hook)(void *ctx), void *ctx)
{
    (void)pthread_mutex_lock(&state.lock);
    for (size_t i = 0; i < state.len; i++)
        if (state.hooks[i].function == hook && state.hooks[i].ctx == ctx) {
            state.hooks[i] = state.hooks[--state.len];
            break;
        }
    if (state.len == 0) {
        free(state.hooks);
        state.hooks = NULL;
        state.cap = 0;
    }
    (void)pthread_mutex_unlock(&state.lock);
}
