/* SPDX-License-Identifier: PostgreSQL
 *
 * The stream of a member in order, some chunks at a time: fetched, unsealed, and
 * handed out when all of them are good. For member-*.c only.
 *
 * From a store that counts its requests, so that each is a round trip to somewhere
 * else, the next window of a member that is read as a whole is fetched while this
 * one is used.
 */
#ifndef PGCASK_STAGE_MEMBER_WINDOW_H
#define PGCASK_STAGE_MEMBER_WINDOW_H

#include "base/digest.h"
#include "stage/member-payload.h"

#include <stdbool.h>

struct window; /* opaque */

/* `payload` and `stored` are borrowed. `stored` takes the stored bytes of each chunk that has proved to be good; NULL
 * where chunks prove nothing. `whole`: all of it will be read. */
struct window *window_new(const struct payload *payload, struct digest *stored, bool whole);
void window_free(struct window *window);
CLEANUP_DEFINE(struct window, window_free)

/* The next bytes. */
int window_pull(struct window *window, void *data, size_t len);
/* All that is left, for its digest. */
int window_drain(struct window *window);
/* The copy that the last `len` bytes are of; false when they, or bytes behind them, are of more than one. */
bool window_source(const struct window *window, size_t len, size_t *ret_at);

/* Is a round trip to that store worth a thread? */
bool window_reads_ahead(const struct storage *storage);

#endif
