/* SPDX-License-Identifier: PostgreSQL
 *
 * An opened store: the only caller of a storage plugin's callbacks. Here live the locks that the plugin's thread
 * model asks for, retry with back-off and jitter, the checks that an answer is one we may believe, and the "store
 * 'NAME': " before each error. All functions may be called from any thread.
 */
#ifndef PGCASK_PLUGIN_STORAGE_H
#define PGCASK_PLUGIN_STORAGE_H

#include "base/buf.h"
#include "config/settings.h"
#include "plugin/host.h"

#include <stdbool.h>
#include <stdint.h>

struct storage; /* opaque */

/* Open what [store NAME] describes. `flags`: PGCASK_OPEN_… */
int storage_open(const struct config_item *store, unsigned flags, struct storage **ret_storage);
/* The same from a loaded plugin and settings; `set` stays the caller's. For plugin check and tests. */
int storage_open_plugin(const char *name, const struct plugin *plugin, const struct option_set *set,
                        const struct config_store *policy, unsigned flags, struct storage **ret_storage);
void storage_close(struct storage *storage);
CLEANUP_DEFINE(struct storage, storage_close)

const char *storage_name(const struct storage *storage);
bool storage_is_required(const struct storage *storage);
unsigned storage_parallel(const struct storage *storage); /* calls worth having in flight: 1 for PGCASK_THREADS_ONE */

/* What the plugin said, with defaults in place. All in bytes; parts is a count. */
struct storage_limits {
    uint64_t part_min, part_preferred, part_max;
    uint32_t parts;
};
struct storage_limits storage_limits(const struct storage *storage);

/* An object being written. storage_put_part may be called from several threads at once with different numbers. */
struct storage_put;
int storage_put_begin(struct storage *storage, const char *key, uint64_t size_hint, bool hot,
                      struct storage_put **ret_put);
int storage_put_part(struct storage_put *put, uint32_t number, uint64_t offset, const void *data, size_t size);
/* Commit, then confirm with stat that the object has `size` bytes. Frees `put` whatever happens: on an error the
 * upload was aborted (and a visible object of wrong size removed). */
int storage_put_commit(struct storage_put *put, uint64_t size);
void storage_put_abort(struct storage_put *put); /* NULL is fine; a failure is logged as a warning */
/* Instead of the first storage_put_part, when these bytes are the whole object: storage_put_commit then only confirms.
 * One call of the plugin where it has put_object, else the same as part 1. */
int storage_put_whole(struct storage_put *put, const void *data, size_t size);

/* A small object in one go: begin, parts, commit. */
int storage_put_object(struct storage *storage, const char *key, const void *data, size_t size, bool hot);
/* When that failed: did a try of it get no answer, or was it broken off? Then the store may have heard it and may carry it out
 * at any later time, also behind what it is asked next. Only for who writes one object at a time. */
bool storage_may_still_come(const struct storage *storage);
int storage_get(struct storage *storage, const char *key, uint64_t offset, void *data, size_t size);
/* A whole small object, at most buf->limit bytes. */
int storage_get_object(struct storage *storage, const char *key, struct buf *ret_data);
int storage_stat(struct storage *storage, const char *key, uint64_t *ret_size, int64_t *ret_mtime_s);
/* stat with all that is known: `ret_object`'s key is left NULL. */
struct storage_object;
int storage_stat_object(struct storage *storage, const char *key, struct storage_object *ret_object);
int storage_remove(struct storage *storage, const char *key);
/* As many as there are, in batches where the plugin can. Goes on behind one that fails; the error is that of the first. */
int storage_remove_many(struct storage *storage, const struct strv *keys);
/* Ask for a cold object to be readable for `days`. 0: it is now; PGCASK_COLD: on its way, the text says how long it takes;
 * PGCASK_UNSUPPORTED: the plugin has no thaw. */
int storage_thaw(struct storage *storage, const char *key, int days, const char *tier);
/* Can anything in it be cold? */
bool storage_thaws(const struct storage *storage);
/* What the plugin finds wrong with its store, each finding through `say`. 0 without a call when the plugin has no check. */
struct storage_check {
    bool fix;
    int64_t keep_s; /* shortest retention of a job that writes here; 0: not known */
    void (*say)(void *ctx, int outcome, const char *text, const char *cure); /* PGCASK_CHECK_…; cure may be NULL */
    void *ctx;
};
int storage_check(struct storage *storage, const struct storage_check *check);
int storage_sweep(struct storage *storage, int64_t before_s, uint64_t *ret_count);

struct storage_object {
    char *key;
    uint64_t size;
    int64_t mtime_s;
    int tier;        /* PGCASK_TIER_…; a listing may not know, storage_stat_object does */
    int64_t until_s; /* for PGCASK_TIER_THAWED */
};
/* Some servers tell no size of what is cold. */
static inline bool
storage_object_hides_size(const struct storage_object *object)
{
    return object->size == 0 && (object->tier == PGCASK_TIER_COLD || object->tier == PGCASK_TIER_THAWING);
}
struct storage_list {
    struct storage_object *objects; /* sorted by key, each key once, all begin with the prefix */
    size_t len, cap;
};
int storage_list(struct storage *storage, const char *prefix, struct storage_list *ret_list);
void storage_list_free(struct storage_list *list);
void cleanup_storage_list(struct storage_list *list);
#define CLEANUP_STORAGE_LIST __attribute__((cleanup(cleanup_storage_list)))

/* What the use of this store has cost since it was opened, as its plugin counted. */
struct storage_counts {
    uint64_t writes, reads;  /* requests */
    uint64_t sent, received; /* bytes of bodies */
};
struct storage_counts storage_counts(const struct storage *storage);

/* Refuse a key that pgcask-plugin.h forbids. */
int storage_key_check(const char *key);

#endif
