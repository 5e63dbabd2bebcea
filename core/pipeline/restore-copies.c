/* SPDX-License-Identifier: PostgreSQL
 *
 * Which copies of a backup are read, and in which order; and that what will be
 * needed can be read, before anything is touched. Declared in restore.h.
 */
#include "config.h"

#include "pipeline/restore.h"

#include "base/error.h"
#include "base/log.h"
#include "catalog/label.h"
#include "stage/fetch.h"

#include <stdlib.h>
#include <string.h>

/* ---- choosing ---- */

/* It has all objects, each with its size, as far as its listing tells. */
static bool
copy_is_whole(const struct manifest *manifest, const struct catalog_copy *copy)
{
    for (size_t i = 0; i < manifest->member_count; i++) {
        CLEANUP_FREE char *key = label_object(manifest->cluster, manifest->id, manifest->members[i].object);
        const struct catalog_object *object = catalog_object(copy, key);

        if (object == NULL || object->size != manifest->members[i].stored_size)
            return false;
    }
    return true;
}

enum { COPY_RANKS = 3 * 2 * 2 };

/* 0 is the best. Copies of one rank keep their order, which is that of the config. */
static unsigned
copy_rank(const struct manifest *manifest, const struct catalog_copy *copy)
{
    static const unsigned states[] = { [CATALOG_GOOD] = 0, [CATALOG_UNVERIFIED] = 1, [CATALOG_BAD] = 2 };
    int64_t until_s;
    int tier = catalog_tier(copy, &until_s);
    bool cold = tier == PGCASK_TIER_COLD || tier == PGCASK_TIER_THAWING;

    return states[copy->state] * 4 + (copy_is_whole(manifest, copy) ? 0 : 2) + (cold ? 1 : 0);
}

int
restore_choose(struct restore *restore, const struct catalog *catalog, const struct catalog_backup *backup)
{
    struct storage *stores[COPIES_MAX];
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_FREE char *list = NULL;
    size_t count = 0;

    restore->catalog = catalog;
    restore->listed = mem_zalloc(COPIES_MAX * sizeof *restore->listed);
    for (unsigned rank = 0; rank < COPY_RANKS; rank++)
        for (size_t i = 0; i < backup->len && count < COPIES_MAX; i++) {
            const struct catalog_copy *copy = &backup->copies[i];

            if (!copy->manifest || copy_rank(restore->manifest, copy) != rank)
                continue;
            stores[count] = catalog->stores[copy->store];
            strv_add(&names, storage_name(stores[count]));
            restore->listed[count++] = copy;
        }
    if (count == 0)
        return error_set(PGCASK_FAILED, "backup '%s' is in no store", backup->id);
    restore->copies = copies_new(stores, count);
    list = strv_join(&names, "', else from '");
    log_info("backup '%s' from store '%s'", backup->id, list);
    return 0;
}

/* ---- cold storage ---- */

struct need {
    char *key;
    uint64_t size;
    bool readable, coming; /* somewhere: now; when it is asked for */
};

struct needs {
    struct need *items;
    size_t len;
    struct thaw *thaws; /* of each copy that was looked at */
};

static bool
needs_all_readable(const struct needs *needs)
{
    for (size_t i = 0; i < needs->len; i++)
        if (!needs->items[i].readable)
            return false;
    return true;
}

static bool
needs_all_to_be_had(const struct needs *needs)
{
    for (size_t i = 0; i < needs->len; i++)
        if (!needs->items[i].readable && !needs->items[i].coming)
            return false;
    return true;
}

static struct need *
needs_find(const struct needs *needs, const char *key)
{
    for (size_t i = 0; i < needs->len; i++)
        if (strcmp(needs->items[i].key, key) == 0)
            return &needs->items[i];
    return NULL;
}

/* What one copy has of what no copy before it has. */
static int
needs_look(struct restore *restore, struct needs *needs, size_t i)
{
    const struct catalog_copy *listed = restore->listed[i];
    bool tells = catalog_tells_tiers(restore->catalog, listed->store);
    struct thaw *thaw = &needs->thaws[i];
    int rc;

    thaw->storage = copies_store(restore->copies, i);
    for (size_t j = 0; j < needs->len; j++) {
        const struct need *need = &needs->items[j];
        const struct catalog_object *object = catalog_object(listed, need->key);

        if (!need->readable && object != NULL)
            thaw_add(thaw, need->key, need->size, tells ? object : NULL);
    }
    rc = thaw_look_quickly(thaw);
    if (rc < 0)
        return rc;
    if (thaw->len == needs->len && thaw_all_readable(thaw))
        copies_prefer(restore->copies, i);
    for (size_t j = 0; j < thaw->len; j++) {
        const struct thaw_object *object = &thaw->objects[j];
        struct need *need = needs_find(needs, object->key);

        need->readable |= thaw_is_readable(object);
        need->coming |= !object->lost;
    }
    return 0;
}

/* A store that does not answer may be none that is needed. */
static int
needs_look_everywhere(struct restore *restore, struct needs *needs)
{
    size_t count = copies_count(restore->copies);

    for (size_t i = 0; i < count && !needs_all_readable(needs); i++) {
        int rc;

        if (restore->listed[i]->state == CATALOG_BAD && needs_all_to_be_had(needs))
            break; /* rather a good one later than a bad one now */
        rc = needs_look(restore, needs, i);
        if (rc < 0 && (count == 1 || !fetch_is_trouble(rc)))
            return rc;
        if (rc < 0)
            log_slot_warn("looking into the other stores");
    }
    return 0;
}

/* Each from the first copy that can bring it. */
static int
needs_bring(struct restore *restore, struct needs *needs)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < copies_count(restore->copies); i++) {
        struct thaw *thaw = &needs->thaws[i];

        for (size_t j = 0; j < thaw->len; j++) {
            struct need *need = needs_find(needs, thaw->objects[j].key);

            if (need->readable)
                thaw->objects[j].tier = PGCASK_TIER_HOT; /* it is, elsewhere: nothing to ask for */
            need->readable |= !thaw->objects[j].lost;
        }
        rc = thaw->len > 0 ? thaw_bring(thaw, restore->thaw) : 0;
    }
    return rc < 0 ? error_context(rc, "backup '%s'", restore->manifest->id) : 0;
}

int
restore_ready(struct restore *restore, const struct manifest_member *const *members, size_t count)
{
    struct needs needs = { .len = count };
    bool cold = false;
    int rc;

    for (size_t i = 0; restore->thaw != NULL && i < copies_count(restore->copies); i++)
        cold |= storage_thaws(copies_store(restore->copies, i));
    if (!cold || count == 0)
        return 0;
    needs.items = mem_zalloc(count * sizeof *needs.items);
    needs.thaws = mem_zalloc(copies_count(restore->copies) * sizeof *needs.thaws);
    for (size_t i = 0; i < count; i++) {
        needs.items[i].key = label_object(restore->manifest->cluster, restore->manifest->id, members[i]->object);
        needs.items[i].size = members[i]->stored_size;
    }
    rc = needs_look_everywhere(restore, &needs);
    if (rc == 0 && !needs_all_readable(&needs))
        rc = needs_bring(restore, &needs);
    for (size_t i = 0; i < copies_count(restore->copies); i++)
        thaw_free(&needs.thaws[i]);
    for (size_t i = 0; i < count; i++)
        free(needs.items[i].key);
    free(needs.items);
    free(needs.thaws);
    return rc;
}
