/* SPDX-License-Identifier: PostgreSQL
 *
 * One object, fetched piece by piece from the first of its copies that has the
 * piece as it must be:
 *
 *   struct attempt attempt = fetch_attempt(fetch);
 *
 *   do {
 *       rc = fetch_get(fetch, &attempt, offset, data, len);
 *       if (rc == 0)
 *           rc = …look at the bytes…
 *   } while (fetch_again(fetch, &attempt, &rc));
 */
#ifndef PGCASK_STAGE_FETCH_H
#define PGCASK_STAGE_FETCH_H

#include "stage/copies.h"

struct fetch; /* opaque; for any number of threads at once */

/* Who is asked, and who was, for one piece. */
struct attempt {
    size_t at;      /* of the copies */
    uint64_t tried; /* one bit each */
};

/* An object of `size` bytes; both borrowed. No call of a plugin yet. */
struct fetch *fetch_new(struct copies *copies, const char *key, uint64_t size);
void fetch_free(struct fetch *fetch);
CLEANUP_DEFINE(struct fetch, fetch_free)

/* Begin with the copy that served last. */
struct attempt fetch_attempt(struct fetch *fetch);
/* The store that the attempt is at. */
struct storage *fetch_store(const struct fetch *fetch, const struct attempt *attempt);
const char *fetch_key(const struct fetch *fetch);
/* Compare the size of the object there with what it must be; asks only once. */
int fetch_look(struct fetch *fetch, const struct attempt *attempt);
/* A listing has just told that size: there is no need to ask for it. */
void fetch_sized(struct fetch *fetch, const struct attempt *attempt);
/* Bytes from there, behind fetch_look. */
int fetch_get(struct fetch *fetch, const struct attempt *attempt, uint64_t offset, void *data, size_t len);
/* The same bytes were got by somebody else. */
void fetch_count(struct fetch *fetch, const struct attempt *attempt, size_t len);
/* Put store and object before the text of the error, which is about bytes from there. */
int fetch_blame(const struct fetch *fetch, const struct attempt *attempt, int code);

/* Judge the code of a try. True: it was that copy's trouble, which was told as a warning, and the attempt is at another
 * copy: try that. False: *code is final: 0, an error that no other copy would heal (a key that does not fit, being
 * stopped), or no copy is left, and the text names the trouble of each. */
bool fetch_again(struct fetch *fetch, struct attempt *attempt, int *code);
/* Is that code a trouble of one copy? */
bool fetch_is_trouble(int code);
/* Only go to another copy; false when none is left. */
bool fetch_move(struct fetch *fetch, struct attempt *attempt);

uint64_t fetch_bytes(const struct fetch *fetch); /* got up to now */

#endif
