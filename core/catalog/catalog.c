/* SPDX-License-Identifier: PostgreSQL
 *
 * Listings made into backups, their states, and which one is meant. Manifests are
 * read in catalog-manifest.c.
 */
#include "config.h"

#include "catalog/catalog.h"

#include "base/log.h"
#include "catalog/catalog-private.h"
#include "catalog/label.h"

#include <stdlib.h>
#include <string.h>

static int
catalog_compare(const void *a, const void *b)
{
    return strcmp(((const struct catalog_backup *)a)->id, ((const struct catalog_backup *)b)->id);
}

/* Among the first `len`, which are in order. */
static struct catalog_backup *
catalog_search(const struct catalog *catalog, size_t len, const char *id)
{
    const struct catalog_backup wanted = { .id = (char *)id };

    return len > 0 ? bsearch(&wanted, catalog->backups, len, sizeof *catalog->backups, catalog_compare) : NULL;
}

struct catalog_backup *
catalog_get(const struct catalog *catalog, const char *id)
{
    return catalog_search(catalog, catalog->len, id);
}

/* The first `sorted` ones are those of the stores before. Those of this store come in order, too, so it is either the one
 * that was added last or among the others. */
static struct catalog_backup *
catalog_backup(struct catalog *catalog, size_t sorted, const char *id)
{
    struct catalog_backup *backup;

    if (catalog->len > sorted && strcmp(catalog->backups[catalog->len - 1].id, id) == 0)
        return &catalog->backups[catalog->len - 1];
    backup = catalog_search(catalog, sorted, id);
    if (backup != NULL)
        return backup;
    MEM_GROW(catalog->backups, catalog->len, catalog->cap);
    backup = &catalog->backups[catalog->len++];
    *backup = (struct catalog_backup){ .id = mem_strdup(id) };
    (void)label_id_parse(backup->id, &backup->start_s, &backup->job); /* the key was parsed already */
    return backup;
}

static struct catalog_copy *
catalog_copy(struct catalog_backup *backup, size_t store)
{
    for (size_t i = 0; i < backup->len; i++)
        if (backup->copies[i].store == store)
            return &backup->copies[i];
    MEM_GROW(backup->copies, backup->len, backup->cap);
    backup->copies[backup->len] = (struct catalog_copy){ .store = store };
    return &backup->copies[backup->len++];
}

static void
catalog_add_object(struct catalog_copy *copy, const struct storage_object *object)
{
    MEM_GROW(copy->objects, copy->keys.len, copy->object_cap);
    copy->objects[copy->keys.len] = (struct catalog_object){ object->size, object->tier, object->until_s };
    strv_add(&copy->keys, object->key);
}

static void
catalog_add(struct catalog *catalog, size_t sorted, size_t store, const struct storage_object *object)
{
    const char *key = object->key;
    struct label_key parsed;
    struct catalog_copy *copy;

    if (label_key_parse(catalog->cluster, key, &parsed) < 0) {
        log_slot_warn("ignoring that object");
        return;
    }
    copy = catalog_copy(catalog_backup(catalog, sorted, parsed.id), store);
    catalog_add_object(copy, object);
    copy->manifest |= parsed.manifest;
    if (parsed.manifest)
        copy->manifest_size = object->size;
    if (parsed.verdict && parsed.verdict_s >= copy->verdict_s) {
        /* of two in the same second the bad one counts: "bad" sorts before "good" in a listing */
        if (parsed.verdict_s > copy->verdict_s || copy->state != CATALOG_BAD)
            copy->state = parsed.good ? CATALOG_GOOD : CATALOG_BAD;
        copy->verdict_s = parsed.verdict_s;
    }
    free(parsed.id);
}

int
catalog_load_some(struct storage *const *stores, size_t count, const char *cluster, const char *cache_dir,
                  size_t *ret_failed, struct catalog **ret_catalog)
{
    CLEANUP(catalog_free) struct catalog *catalog = mem_zalloc(sizeof *catalog);
    CLEANUP_FREE char *prefix = label_backups(cluster);

    catalog->cluster = mem_strdup(cluster);
    catalog->cache_dir = cache_dir ? mem_strdup(cache_dir) : NULL;
    catalog->stores = stores;
    catalog->store_count = count;
    catalog->known = catalog_known_new(count);
    for (size_t i = 0; i < count; i++) {
        CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
        size_t sorted = catalog->len;
        int rc = storage_list(stores[i], prefix, &list);

        if (rc < 0) {
            *ret_failed = i;
            return rc;
        }
        for (size_t j = 0; j < list.len; j++)
            catalog_add(catalog, sorted, i, &list.objects[j]);
        if (catalog->len > sorted)
            qsort(catalog->backups, catalog->len, sizeof *catalog->backups, catalog_compare);
    }
    *ret_catalog = STEAL(catalog);
    return 0;
}

int
catalog_load(struct storage *const *stores, size_t count, const char *cluster, const char *cache_dir,
             struct catalog **ret_catalog)
{
    size_t failed;

    return catalog_load_some(stores, count, cluster, cache_dir, &failed, ret_catalog);
}

void
catalog_free(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    for (size_t i = 0; i < catalog->len; i++) {
        struct catalog_backup *backup = &catalog->backups[i];

        for (size_t j = 0; j < backup->len; j++) {
            strv_free(&backup->copies[j].keys);
            free(backup->copies[j].objects);
        }
        manifest_free(backup->loaded);
        error_free(&backup->why);
        free(backup->copies);
        free(backup->id);
    }
    free(catalog->backups);
    free(catalog->cluster);
    free(catalog->cache_dir);
    catalog_known_free(catalog->known, catalog->store_count);
    free(catalog);
}

bool
catalog_exists(const struct catalog_backup *backup)
{
    for (size_t i = 0; i < backup->len; i++)
        if (backup->copies[i].manifest)
            return true;
    return false;
}

enum catalog_state
catalog_state(const struct catalog_backup *backup)
{
    enum catalog_state best = CATALOG_BAD;

    for (size_t i = 0; i < backup->len; i++) {
        if (!backup->copies[i].manifest)
            continue;
        if (backup->copies[i].state == CATALOG_GOOD)
            return CATALOG_GOOD;
        if (backup->copies[i].state == CATALOG_UNVERIFIED)
            best = CATALOG_UNVERIFIED;
    }
    return best;
}

static int
catalog_compare_key(const void *a, const void *b)
{
    return strcmp(a, *(char *const *)b);
}

const struct catalog_object *
catalog_object(const struct catalog_copy *copy, const char *key)
{
    char *const *found = NULL;

    if (copy->keys.len > 0)
        found = bsearch(key, copy->keys.items, copy->keys.len, sizeof *copy->keys.items, catalog_compare_key);
    return found != NULL ? &copy->objects[found - copy->keys.items] : NULL;
}

void
catalog_tiers_add(struct catalog_tiers *tiers, int tier, int64_t until_s)
{
    tiers->count[tier]++;
    if (until_s > 0 && (tiers->until_s == 0 || until_s < tiers->until_s))
        tiers->until_s = until_s;
}

int
catalog_tiers_worst(const struct catalog_tiers *tiers, int64_t *ret_until_s)
{
    static const int worst_first[] = { PGCASK_TIER_COLD, PGCASK_TIER_THAWING, PGCASK_TIER_THAWED };

    for (size_t i = 0; i < ARRAY_LEN(worst_first); i++)
        if (tiers->count[worst_first[i]] > 0) {
            *ret_until_s = worst_first[i] == PGCASK_TIER_THAWED ? tiers->until_s : 0;
            return worst_first[i];
        }
    *ret_until_s = 0;
    return PGCASK_TIER_HOT;
}

int
catalog_tier(const struct catalog_copy *copy, int64_t *ret_until_s)
{
    struct catalog_tiers tiers = { 0 };

    for (size_t i = 0; i < copy->keys.len; i++)
        catalog_tiers_add(&tiers, copy->objects[i].tier, copy->objects[i].until_s);
    return catalog_tiers_worst(&tiers, ret_until_s);
}

bool
catalog_tells_tiers(const struct catalog *catalog, size_t store)
{
    for (size_t i = 0; i < catalog->len; i++)
        for (size_t j = 0; j < catalog->backups[i].len; j++) {
            const struct catalog_copy *copy = &catalog->backups[i].copies[j];

            for (size_t k = 0; copy->store == store && k < copy->keys.len; k++)
                if (copy->objects[k].tier != PGCASK_TIER_HOT)
                    return true;
        }
    return false;
}

/* ---- choosing ---- */

int
catalog_latest(const struct catalog *catalog, const char *kind, const char *job, const char *database,
               struct catalog_backup **ret_backup)
{
    CLEANUP_FREE char *of_kind = kind && strcmp(kind, KIND_DUMP) != 0 ? mem_printf(" of kind '%s'", kind) : mem_strdup("");
    CLEANUP_FREE char *of_job = job ? mem_printf(" of job '%s'", job) : mem_strdup("");
    CLEANUP_FREE char *with_database = database ? mem_printf(" with database '%s'", database) : mem_strdup("");

    for (size_t i = catalog->len; i > 0; i--) {
        struct catalog_backup *backup = &catalog->backups[i - 1];
        const struct manifest *manifest;

        if (!catalog_exists(backup) || (job != NULL && strcmp(backup->job, job) != 0))
            continue;
        if (catalog_state(backup) == CATALOG_BAD) {
            log_warn("backup '%s' is passed over: its verification failed", backup->id);
            continue;
        }
        if (catalog_manifest(catalog, backup, &manifest) < 0) {
            log_slot_warn("passing over that backup");
            continue;
        }
        if (!manifest_is_full(manifest) || (kind != NULL && strcmp(manifest->kind, kind) != 0) ||
            (database != NULL && manifest_database(manifest, database) == NULL))
            continue;
        *ret_backup = backup;
        return 0;
    }
    (void)error_set(ERROR_USAGE, "cluster '%s' has no full backup%s%s%s", catalog->cluster, of_kind, of_job, with_database);
    return error_hint(ERROR_USAGE, "'pgcask list' shows what there is");
}

int
catalog_find(const struct catalog *catalog, const char *id, const char *job, struct catalog_backup **ret_backup)
{
    struct catalog_backup *backup;
    int rc;

    if (strcmp(id, "latest") == 0)
        return catalog_latest(catalog, NULL, job, NULL, ret_backup);
    rc = label_id_parse(id, NULL, NULL);
    if (rc < 0)
        return rc;
    backup = catalog_get(catalog, id);
    if (backup != NULL && catalog_exists(backup)) {
        *ret_backup = backup;
        return 0;
    }
    (void)error_set(ERROR_USAGE, "cluster '%s' has no backup '%s'", catalog->cluster, id);
    return error_hint(ERROR_USAGE, "'pgcask list' shows what there is");
}

struct catalog_backup *
catalog_last_good(const struct catalog *catalog, const char *job, int64_t before_s, const char *content, bool selection)
{
    for (size_t i = catalog->len; i > 0; i--) {
        struct catalog_backup *backup = &catalog->backups[i - 1];
        const struct manifest *manifest;

        if (backup->start_s >= before_s || strcmp(backup->job, job) != 0 || catalog_state(backup) != CATALOG_GOOD)
            continue;
        if (catalog_manifest(catalog, backup, &manifest) < 0) {
            log_slot_warn("passing over that backup");
            continue;
        }
        if (strcmp(manifest->content, content) == 0 && manifest->selection == selection)
            return backup;
    }
    return NULL;
}
