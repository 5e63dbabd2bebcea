/* SPDX-License-Identifier: PostgreSQL
 *
 * Time: wall-clock seconds are UTC, durations come from the monotonic clock.
 */
#ifndef PGCASK_BASE_CLOCK_H
#define PGCASK_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_now_s(void);     /* seconds since 1970 UTC */
int64_t clock_mono_ms(void);   /* milliseconds, only good for differences */
char *clock_iso(int64_t s);    /* "2026-11-22T13:22:11Z", owned by the caller */
char *clock_compact(int64_t s); /* "20261122T132211Z", as used in ids; sorts by time */
/* Exactly the form of clock_compact; PGCASK_FAILED otherwise. */
int clock_parse_compact(const char *text, int64_t *ret_s);
int clock_parse_iso(const char *text, int64_t *ret_s); /* the form of clock_iso */

#endif
