/* SPDX-License-Identifier: PostgreSQL
 *
 * A bandwidth kept by waiting: one bucket of bytes for each store, shared by all
 * threads that move data to or from it.
 */
#ifndef PGCASK_PLUGIN_PACE_H
#define PGCASK_PLUGIN_PACE_H

#include <pthread.h>
#include <stdint.h>

/* Fills with `rate` bytes a second up to a quarter of a second's worth, so that small things pass at once; who takes more
 * than is in it owes the rest, and waits until that is paid. */
struct pace {
    pthread_mutex_t lock; /* a leaf */
    int64_t rate;         /* bytes a second; 0: no limit */
    int64_t level;        /* what is in it, in bytes * 1000; below 0: owed */
    int64_t then_ms;      /* when that was so */
};

/* `rate`: at most PACE_RATE_MAX. */
#define PACE_RATE_MAX (INT64_C(1) << 40)
void pace_init(struct pace *pace, int64_t rate, int64_t now_ms);
void pace_end(struct pace *pace);
/* Take `bytes` at `now_ms` of the monotonic clock: how long to wait from then on. */
int64_t pace_take(struct pace *pace, uint64_t bytes, int64_t now_ms);

/* Take and wait; returns early when the run is being stopped. The error slot stays as it is. */
void pace_wait(struct pace *pace, uint64_t bytes);

#endif
