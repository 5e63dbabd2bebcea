/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "catalog/catalog.h"

#include "catalog/label.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPOSITORY_FORMAT = 1, REPOSITORY_LIMIT_BYTES = 64 * 1024 };

static struct catalog_backup *
catalog_backup(struct catalog *catalog, const char *id)
{
    struct catalog_backup *backup;

    for (size_t i = catalog->len; i > 0; i--) /* listings are sorted: it is nearly always the last one */
        if (strcmp(catalog->backups[i - 1].id, id) == 0)
            return &catalog->backups[i - 1];
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
catalog_add(struct catalog *catalog, size_t store, const char *key)
{
    struct label_key parsed;
    struct catalog_copy *copy;

    if (label_key_parse(catalog->cluster, key, &parsed) < 0) {
        log_slot_warn("ignoring that object");
        return;
    }
    copy = catalog_copy(catalog_backup(catalog, parsed.id), store);
    strv_add(&copy->keys, key);
    copy->manifest |= parsed.manifest;
    if (parsed.verdict && parsed.verdict_s >= copy->verdict_s) {
        /* of two in the same second the bad one counts: "bad" sorts before "good" in a listing */
        if (parsed.verdict_s > copy->verdict_s || copy->state != CATALOG_BAD)
            copy->state = parsed.good ? CATALOG_GOOD : CATALOG_BAD;
        copy->verdict_s = parsed.verdict_s;
    }
    free(parsed.id);
}

static int
catalog_compare(const void *a, const void *b)
{
    return strcmp(((const struct catalog_backup *)a)->id, ((const struct catalog_backup *)b)->id);
}

int
catalog_load(struct storage *const *stores, size_t count, const char *cluster, const char *cache_dir,
             struct catalog **ret_catalog)
{
    CLEANUP(catalog_free) struct catalog *catalog = mem_zalloc(sizeof *catalog);
    CLEANUP_FREE char *prefix = label_backups(cluster);

    catalog->cluster = mem_strdup(cluster);
    catalog->cache_dir = cache_dir ? mem_strdup(cache_dir) : NULL;
    catalog->stores = stores;
    catalog->store_count = count;
    for (size_t i = 0; i < count; i++) {
        CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
        int rc = storage_list(stores[i], prefix, &list);

        if (rc < 0)
            return rc;
        for (size_t j = 0; j < list.len; j++)
            catalog_add(catalog, i, list.objects[j].key);
    }
    if (catalog->len > 1)
        qsort(catalog->backups, catalog->len, sizeof *catalog->backups, catalog_compare);
    *ret_catalog = STEAL(catalog);
    return 0;
}

void
catalog_free(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    for (size_t i = 0; i < catalog->len; i++) {
        struct catalog_backup *backup = &catalog->backups[i];

        for (size_t j = 0; j < backup->len; j++)
            strv_free(&backup->copies[j].keys);
        manifest_free(backup->loaded);
        free(backup->copies);
        free(backup->id);
    }
    free(catalog->backups);
    free(catalog->cluster);
    free(catalog->cache_dir);
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

/* ---- manifests ---- */

static int
catalog_check(const struct catalog *catalog, const char *id, const struct manifest *manifest, const char *repository)
{
    if (strcmp(manifest->cluster, catalog->cluster) != 0 || strcmp(manifest->id, id) != 0)
        return error_set(ERROR_CORRUPT, "the manifest is that of '%s/%s'", manifest->cluster, manifest->id);
    if (strcmp(manifest->repository, repository) != 0)
        return error_set(ERROR_CORRUPT, "the manifest belongs to another repository (%s, this one is %s)",
                         manifest->repository, repository);
    return 0;
}

static int
catalog_read(const struct catalog *catalog, const char *id, struct storage *storage, struct manifest **ret_manifest)
{
    CLEANUP_FREE char *key = label_object(catalog->cluster, id, LABEL_MANIFEST);
    CLEANUP_FREE char *repository = NULL, *cached = NULL, *name = NULL;
    CLEANUP_BUF struct buf data = BUF_INIT(MANIFEST_LIMIT_BYTES);
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    bool in_cache = false;
    int rc = catalog_repository(storage, &repository);

    if (rc < 0)
        return rc;
    name = mem_printf("store '%s': object '%s'", storage_name(storage), key);
    if (catalog->cache_dir != NULL) {
        cached = mem_printf("%s/%s-%s-%s.json", catalog->cache_dir, repository, catalog->cluster, id);
        in_cache = file_read(cached, &data) == 0;
        data.len = in_cache ? data.len : 0;
    }
    if (!in_cache)
        rc = storage_get_object(storage, key, &data);
    if (rc == 0)
        rc = manifest_decode(name, data.data, data.len, &manifest);
    if (rc == 0 && catalog_check(catalog, id, manifest, repository) < 0)
        rc = error_context(ERROR_CORRUPT, "%s", name);
    if (rc < 0 && in_cache) {
        (void)remove(cached); /* a spoilt copy: the next call reads the store */
        return error_hint(rc, "it was the local copy '%s', which is removed now: try again", cached);
    }
    if (rc < 0)
        return rc;
    if (cached != NULL && !in_cache && file_write(cached, data.data, data.len) < 0)
        error_clear(); /* only a cache */
    *ret_manifest = STEAL(manifest);
    return 0;
}

int
catalog_manifest(const struct catalog *catalog, struct catalog_backup *backup, const struct manifest **ret_manifest)
{
    int rc = PGCASK_NOT_FOUND;

    for (size_t i = 0; i < backup->len && backup->loaded == NULL; i++) {
        const struct catalog_copy *copy = &backup->copies[i];

        if (!copy->manifest)
            continue;
        if (rc < 0 && rc != PGCASK_NOT_FOUND)
            log_slot_warn("trying the next store");
        rc = catalog_read(catalog, backup->id, catalog->stores[copy->store], &backup->loaded);
    }
    if (backup->loaded == NULL)
        return rc == PGCASK_NOT_FOUND && !catalog_exists(backup)
                   ? error_set(rc, "backup '%s' has no manifest: it was never finished", backup->id)
                   : rc;
    *ret_manifest = backup->loaded;
    return 0;
}

/* ---- choosing ---- */

int
catalog_latest(const struct catalog *catalog, const char *job, const char *database, struct catalog_backup **ret_backup)
{
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
        if (!manifest_is_full(manifest) || (database != NULL && manifest_database(manifest, database) == NULL))
            continue;
        *ret_backup = backup;
        return 0;
    }
    (void)error_set(ERROR_USAGE, "cluster '%s' has no full backup%s%s", catalog->cluster, of_job, with_database);
    return error_hint(ERROR_USAGE, "'pgcask list' shows what there is");
}

int
catalog_find(const struct catalog *catalog, const char *id, const char *job, struct catalog_backup **ret_backup)
{
    int rc;

    if (strcmp(id, "latest") == 0)
        return catalog_latest(catalog, job, NULL, ret_backup);
    rc = label_id_parse(id, NULL, NULL);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < catalog->len; i++)
        if (strcmp(catalog->backups[i].id, id) == 0 && catalog_exists(&catalog->backups[i])) {
            *ret_backup = &catalog->backups[i];
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

/* ---- the repository ---- */

int
catalog_repository(struct storage *storage, char **ret_id)
{
    CLEANUP_BUF struct buf data = BUF_INIT(REPOSITORY_LIMIT_BYTES);
    CLEANUP_JSON json_t *json = NULL;
    CLEANUP_FREE char *name = mem_printf("store '%s': object '%s'", storage_name(storage), LABEL_REPOSITORY);
    const char *id = NULL;
    int64_t format;
    int rc = storage_get_object(storage, LABEL_REPOSITORY, &data);

    if (rc < 0)
        return rc;
    rc = json_read(name, data.data, data.len, &json);
    if (rc < 0)
        return rc;
    rc = json_need_int(json, "format", 1, INT32_MAX, &format);
    if (rc == 0 && format != REPOSITORY_FORMAT)
        return error_set(PGCASK_UNSUPPORTED, "%s has format %lld, this pgcask knows %d", name, (long long)format,
                         REPOSITORY_FORMAT);
    if (rc == 0)
        rc = json_need_string(json, "id", &id);
    if (rc == 0 && (strlen(id) != 32 || strspn(id, "0123456789abcdef") != 32))
        rc = error_set(ERROR_CORRUPT, "'id' is '%s', not 32 hex digits", id);
    if (rc < 0)
        return error_context(rc, "%s", name);
    *ret_id = mem_strdup(id);
    return 0;
}

int
catalog_repository_make(struct storage *storage, const char *id)
{
    CLEANUP_FREE char *text = mem_printf("{\n  \"format\": %d,\n  \"id\": \"%s\"\n}\n", REPOSITORY_FORMAT, id);

    return storage_put_object(storage, LABEL_REPOSITORY, text, strlen(text), true);
}
