/* SPDX-License-Identifier: PostgreSQL
 *
 * Passing trouble: how often and after which pause a plugin is asked again.
 */
#ifndef PGCASK_PLUGIN_RETRY_H
#define PGCASK_PLUGIN_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* One call's tries. Start with RETRY_INIT(tries after the first, longest pause in ms). */
struct retry {
    int64_t left;
    int64_t max_ms;
    unsigned tries;
    bool spent; /* given up: trouble did not pass in all these tries */
};
#define RETRY_INIT(tries_after_first, longest_pause_ms) { .left = (tries_after_first), .max_ms = (longest_pause_ms) }

/* Judge the code of a try. True: it was PGCASK_RETRY, the pause is over, call again. False: *code is final; it is
 * PGCASK_FAILED when all tries are used up, ERROR_CANCELLED when a failure came of being stopped. `who` and
 * `what` name the store and the call in the debug log. */
bool retry_again(struct retry *retry, const char *who, const char *what, int *code);

/* Upper end of the pause behind the try-th try (from 1): 100 ms, doubling up to max_ms. Pure. */
int64_t retry_ceiling_ms(unsigned try, int64_t max_ms);

#endif
