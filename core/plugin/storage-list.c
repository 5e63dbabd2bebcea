/* SPDX-License-Identifier: PostgreSQL
 *
 * What a store says it holds: stat and list, collected, checked and put in order.
 */
#include "config.h"

#include "plugin/storage.h"

#include "base/error.h"
#include "base/mem.h"
#include "plugin/opaque.h"
#include "plugin/storage-private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_LIMIT = 20 * 1000 * 1000 }; /* objects; about 3 GB. A year of WAL at one segment in 2 s has 16 million. */

struct stat_answer {
    const char *key;
    unsigned times;
    struct storage_object object; /* without its key */
};

static int
storage_stat_add(void *ctx, const struct listed *listed)
{
    struct stat_answer *answer = ctx;

    if (strcmp(listed->key, answer->key) != 0)
        return 0;
    answer->times++;
    answer->object = (struct storage_object){ .size = listed->size, .mtime_s = listed->mtime_s, .tier = listed->tier,
                                              .until_s = listed->until_s };
    return 0;
}

static int
storage_stat_once(struct storage *storage, struct stat_answer *answer)
{
    struct pgcask_listing listing = { .prefix = answer->key, .add = storage_stat_add, .ctx = answer };

    answer->times = 0;
    return storage->calls->stat(storage->handle, answer->key, &listing);
}

int
storage_stat_object(struct storage *storage, const char *key, struct storage_object *ret_object)
{
    struct stat_answer answer = { .key = key };
    int rc = storage_key_check(key);

    if (rc == 0)
        rc = INSTANCE_CALL(&storage->base, "stat", storage_stat_once(storage, &answer));
    if (rc == 0 && answer.times != 1)
        rc = error_set(PGCASK_FAILED, "stat of '%s' gave %u objects, wanted 1", key, answer.times);
    if (rc < 0)
        return instance_failed(&storage->base, rc);
    *ret_object = answer.object;
    return 0;
}

int
storage_stat(struct storage *storage, const char *key, uint64_t *ret_size, int64_t *ret_mtime_s)
{
    struct storage_object object;
    int rc = storage_stat_object(storage, key, &object);

    if (rc < 0)
        return rc;
    if (ret_size != NULL)
        *ret_size = object.size;
    if (ret_mtime_s != NULL)
        *ret_mtime_s = object.mtime_s;
    return 0;
}

static int
storage_list_add(void *ctx, const struct listed *listed)
{
    struct storage_list *list = ctx;

    if (list->len == LIST_LIMIT)
        return error_set(PGCASK_FAILED, "more than %d objects are listed", LIST_LIMIT);
    MEM_GROW(list->objects, list->len, list->cap);
    list->objects[list->len++] = (struct storage_object){ .key = mem_strdup(listed->key), .size = listed->size,
                                                          .mtime_s = listed->mtime_s, .tier = listed->tier,
                                                          .until_s = listed->until_s };
    return 0;
}

/* Each try starts with an empty list. */
static int
storage_list_once(struct storage *storage, const char *prefix, struct storage_list *list)
{
    struct pgcask_listing listing = { .prefix = prefix, .add = storage_list_add, .ctx = list };

    storage_list_free(list);
    return storage->calls->list(storage->handle, prefix, &listing);
}

static int
storage_object_compare(const void *a, const void *b)
{
    return strcmp(((const struct storage_object *)a)->key, ((const struct storage_object *)b)->key);
}

/* Sort, and drop what came twice (paged listings of a busy bucket do that). An object never changes, so two sizes
 * mean that one of them is wrong. */
static int
storage_list_settle(struct storage_list *list)
{
    size_t kept = 0;

    if (list->len > 1)
        qsort(list->objects, list->len, sizeof *list->objects, storage_object_compare);
    for (size_t i = 0; i < list->len; i++) {
        struct storage_object *object = &list->objects[i];
        struct storage_object *last = kept > 0 ? &list->objects[kept - 1] : NULL;

        if (last == NULL || strcmp(last->key, object->key) != 0) {
            struct storage_object moved = *object;

            object->key = NULL;
            list->objects[kept++] = moved;
            continue;
        }
        if (last->size != object->size)
            return error_set(PGCASK_FAILED, "'%s' is listed twice, with %" PRIu64 " and with %" PRIu64 " bytes",
                             last->key, last->size, object->size);
        free(object->key);
        object->key = NULL;
    }
    list->len = kept;
    return 0;
}

int
storage_list(struct storage *storage, const char *prefix, struct storage_list *ret_list)
{
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    int rc = INSTANCE_CALL(&storage->base, "list", storage_list_once(storage, prefix, &list));

    if (rc == 0)
        rc = storage_list_settle(&list);
    if (rc < 0)
        return instance_failed(&storage->base, rc);
    *ret_list = list;
    list = (struct storage_list){ 0 };
    return 0;
}

void
storage_list_free(struct storage_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        free(list->objects[i].key);
    free(list->objects);
    *list = (struct storage_list){ 0 };
}

void
cleanup_storage_list(struct storage_list *list)
{
    storage_list_free(list);
}
