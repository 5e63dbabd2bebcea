/* SPDX-License-Identifier: PostgreSQL
 *
 * The arithmetic of a store's bandwidth, and the waiting.
 */
#include "config.h"

#include "plugin/pace.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"

enum {
    PACE_BURST_MS = 250, /* a bucket holds what this time brings */
    PACE_UNIT = 1000,    /* a level is in bytes * 1000: what a rate brings in a millisecond is then exact */
};
static const uint64_t take_max = UINT64_C(1) << 50; /* more at once would not fit the level; no part is that large */
static const int64_t owed_max = (int64_t)PACE_UNIT << 51; /* some 70 years at 1 MiB/s */

void
pace_init(struct pace *pace, int64_t rate, int64_t now_ms)
{
    *pace = (struct pace){ .rate = rate, .level = rate * PACE_BURST_MS, .then_ms = now_ms };
    (void)pthread_mutex_init(&pace->lock, NULL);
}

void
pace_end(struct pace *pace)
{
    (void)pthread_mutex_destroy(&pace->lock);
}

/* Caller holds pace->lock. */
static void
pace_fill(struct pace *pace, int64_t now_ms)
{
    int64_t full = pace->rate * PACE_BURST_MS, passed_ms = now_ms - pace->then_ms;

    if (passed_ms <= 0)
        return; /* another thread asked the clock later and came first */
    pace->then_ms = now_ms;
    if (passed_ms > (full - pace->level) / pace->rate)
        pace->level = full;
    else
        pace->level += passed_ms * pace->rate;
}

int64_t
pace_take(struct pace *pace, uint64_t bytes, int64_t now_ms)
{
    int64_t wait_ms;

    if (pace->rate == 0)
        return 0;
    (void)pthread_mutex_lock(&pace->lock);
    pace_fill(pace, now_ms);
    pace->level -= (int64_t)(bytes < take_max ? bytes : take_max) * PACE_UNIT;
    if (pace->level < -owed_max)
        pace->level = -owed_max;
    wait_ms = pace->level < 0 ? (-pace->level + pace->rate - 1) / pace->rate : 0;
    (void)pthread_mutex_unlock(&pace->lock);
    return wait_ms;
}

void
pace_wait(struct pace *pace, uint64_t bytes)
{
    int64_t wait_ms = pace->rate != 0 ? pace_take(pace, bytes, clock_mono_ms()) : 0;
    struct error kept;

    if (wait_ms == 0)
        return;
    error_take(PGCASK_FAILED, &kept);
    (void)cancel_sleep_ms(wait_ms); /* who is stopped hears of it at the next step */
    error_clear();
    if (kept.text != NULL)
        (void)error_put(&kept);
    error_free(&kept);
}
