/* SPDX-License-Identifier: PostgreSQL
 *
 * Where a run's bytes go: several stores at once, each part handed to all of
 * them from one buffer. A store that fails is dropped from the run, its uploads
 * are aborted, and the others go on; only when none is left does writing fail.
 *
 *   object A ─┐                    ┌─► queue of store 1 ─► its senders
 *   object B ─┴─► parts (counted) ─┴─► queue of store 2 ─► its senders
 *
 * The number of part buffers is fixed, so the slowest store holds everybody back.
 */
#ifndef PGCASK_STAGE_OUTLET_H
#define PGCASK_STAGE_OUTLET_H

#include "base/error.h"
#include "plugin/storage.h"

#include <stdbool.h>
#include <stdint.h>

struct outlet;
struct outlet_object;

/* `objects`: how many will be written at the same time at most. The stores stay the caller's and must outlive it. */
int outlet_new(struct storage *const *stores, size_t count, unsigned objects, struct outlet **ret_outlet);
void outlet_free(struct outlet *outlet);
CLEANUP_DEFINE(struct outlet, outlet_free)

/* Begin an object in every store that is left. */
int outlet_begin(struct outlet *outlet, const char *key, uint64_t size_hint, struct outlet_object **ret_object);
int outlet_write(struct outlet_object *object, const void *data, size_t len);
/* Send the rest, wait for all parts, commit. 0 when at least one store has it. Frees the object in any case. */
int outlet_commit(struct outlet_object *object, uint64_t *ret_size);
void outlet_abort(struct outlet_object *object); /* NULL is fine */
/* A small object, whole; always readable at once. */
int outlet_put(struct outlet *outlet, const char *key, const void *data, size_t len);

/* For now no object is under way: give back the memory. */
void outlet_rest(struct outlet *outlet);
/* Is the i-th store still in the run? When not, why (borrowed). */
bool outlet_alive(struct outlet *outlet, size_t i, const struct error **ret_why);
/* Drop a store for the error in this thread's slot. */
void outlet_drop(struct outlet *outlet, size_t i, int code);
size_t outlet_alive_count(struct outlet *outlet);

#endif
