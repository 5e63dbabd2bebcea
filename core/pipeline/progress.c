/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/progress.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 500 };

static struct {
    const char *what;
    uint64_t total;
    atomic_uint_fast64_t done;
    int64_t begun_ms;
    bool ticking;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ended;
} now = { .lock = PTHREAD_MUTEX_INITIALIZER, .end = PTHREAD_COND_INITIALIZER };

static char *
progress_line(void)
{
    uint64_t done = atomic_load(&now.done);
    int64_t ms = clock_mono_ms() - now.begun_ms;
    uint64_t rate = ms > 0 ? done * 1000 / (uint64_t)ms : 0;
    CLEANUP_FREE char *done_text = format_size(done), *rate_text = format_size(rate);
    CLEANUP_FREE char *total_text = NULL, *left_text = NULL;

    if (done == 0) {
        left_text = format_duration(ms); /* somebody else's work, such as building indexes: no bytes to count */
        return mem_printf("%s: %s", now.what, left_text);
    }
    if (now.total == 0 || done >= now.total || rate == 0)
        return mem_printf("%s: %s, %s/s", now.what, done_text, rate_text);
    total_text = format_size(now.total);
    left_text = format_duration((int64_t)((now.total - done) / rate) * 1000);
    return mem_printf("%s: %s of about %s (%u %%), %s/s, %s left", now.what, done_text, total_text,
                      (unsigned)(done * 100 / now.total), rate_text, left_text);
}

static void *
progress_thread(void *arg)
{
    (void)arg;
    (void)pthread_mutex_lock(&now.lock);
    while (!now.ended) {
        CLEANUP_FREE char *line = progress_line();
        struct timespec until;

        log_transient(line);
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_clockwait(&now.end, &now.lock, CLOCK_MONOTONIC, &until);
    }
    (void)pthread_mutex_unlock(&now.lock);
    log_transient("");
    return NULL;
}

void
progress_begin(const char *what, uint64_t total)
{
    now.what = what;
    now.total = total;
    atomic_store(&now.done, 0);
    now.begun_ms = clock_mono_ms();
    now.ended = false;
    now.ticking = isatty(STDERR_FILENO) && pthread_create(&now.thread, NULL, progress_thread, NULL) == 0;
}

void
progress_add(void *unused, size_t bytes)
{
    (void)unused;
    (void)atomic_fetch_add(&now.done, bytes);
}

uint64_t
progress_done(void)
{
    return atomic_load(&now.done);
}

void
progress_end(void)
{
    if (!now.ticking)
        return;
    (void)pthread_mutex_lock(&now.lock);
    now.ended = true;
    (void)pthread_cond_signal(&now.end);
    (void)pthread_mutex_unlock(&now.lock);
    (void)pthread_join(now.thread, NULL);
    now.ticking = false;
}
