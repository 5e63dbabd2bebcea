/* SPDX-License-Identifier: PostgreSQL
 *
 * Being asked to stop: SIGINT, SIGTERM and SIGHUP are taken by one thread that
 * raises a flag, ends the programs we started and calls the registered hooks.
 * Everything that waits, waits through this file or checks the flag.
 */
#ifndef PGCASK_BASE_CANCEL_H
#define PGCASK_BASE_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

/* Call once in main before any other thread exists: blocks the signals everywhere but in its thread. */
void cancel_start(void);
bool cancel_requested(void);
/* ERROR_CANCELLED with a text once cancelled, else 0. */
int cancel_check(void);
/* For a run that ends by finishing what it has: the first signal from now on only calls `hook`, in the signal thread; it must
 * not block. The next one cancels. NULL: all as before; the hook does not run any more when this returns. */
void cancel_soften(void (*hook)(void *ctx), void *ctx);
/* What a signal would do; for tests and for a run that has to end its own helpers. */
void cancel_request(void);
/* Sleep; returns ERROR_CANCELLED early when cancelled, else 0. */
int cancel_sleep_ms(int64_t ms);
/* The error to report for work that failed: the cancellation when there was one (the failure is then only its
 * consequence), else `code` with the slot as it is. */
int cancel_or(int code);

/* Hooks run in the signal thread, must not block, and stay registered until removed. */
void cancel_hook_add(void (*hook)(void *ctx), void *ctx);
void cancel_hook_remove(void (*hook)(void *ctx), void *ctx);

#endif
