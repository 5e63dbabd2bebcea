/* SPDX-License-Identifier: PostgreSQL
 *
 * Manifests as the catalog reads them: from the local cache, for they never change,
 * else from a store; one by one or many at a time. And how a store says which
 * repository it is. Declared in catalog.h.
 */
#include "config.h"

#include "catalog/catalog.h"

#include "base/cancel.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "catalog/catalog-private.h"
#include "catalog/label.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    REPOSITORY_FORMAT = 1,
    REPOSITORY_LIMIT_BYTES = 64 * 1024,
    PREFETCH_THREADS = 16, /* 1000 small objects at 30 ms each take 2 s */
};

/* ---- the repository ---- */

static bool
repository_is_id(const char *id)
{
    return strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32;
}

static char *
repository_text(const char *id)
{
    return mem_printf("{\n  \"format\": %d,\n  \"id\": \"%s\"\n}\n", REPOSITORY_FORMAT, id);
}

/* One request for what pgcask wrote itself, since that always has the same length; for anything else its size is asked
 * first. */
static int
repository_read(struct storage *storage, const char *name, json_t **ret_json)
{
    CLEANUP_FREE char *like = repository_text("0123456789abcdef0123456789abcdef");
    CLEANUP_BUF struct buf data = BUF_INIT(REPOSITORY_LIMIT_BYTES);
    size_t len = strlen(like);
    int rc = buf_reserve(&data, len);

    if (rc == 0)
        rc = storage_get(storage, LABEL_REPOSITORY, 0, data.data, len);
    if (rc < 0 && (rc != PGCASK_FAILED || cancel_requested())) /* PGCASK_FAILED: perhaps it is shorter */
        return cancel_or(rc);
    if (rc == 0 && data.data[len - 1] == '\n' && json_read(name, data.data, len, ret_json) == 0)
        return 0;
    error_clear();
    rc = storage_get_object(storage, LABEL_REPOSITORY, &data);
    return rc < 0 ? rc : json_read(name, data.data, data.len, ret_json);
}

int
catalog_repository(struct storage *storage, char **ret_id)
{
    CLEANUP_JSON json_t *json = NULL;
    CLEANUP_FREE char *name = mem_printf("store '%s': object '%s'", storage_name(storage), LABEL_REPOSITORY);
    const char *id = NULL;
    int64_t format;
    int rc = repository_read(storage, name, &json);

    if (rc < 0)
        return rc;
    rc = json_need_int(json, "format", 1, INT32_MAX, &format);
    if (rc == 0 && format != REPOSITORY_FORMAT)
        return error_set(PGCASK_UNSUPPORTED, "%s has format %lld, this pgcask knows %d", name, (long long)format,
                         REPOSITORY_FORMAT);
    if (rc == 0)
        rc = json_need_string(json, "id", &id);
    if (rc == 0 && !repository_is_id(id))
        rc = error_set(ERROR_CORRUPT, "'id' is '%s', not 32 hex digits", id);
    if (rc < 0)
        return error_context(rc, "%s", name);
    *ret_id = mem_strdup(id);
    return 0;
}

int
catalog_repository_make(struct storage *storage, const char *id)
{
    CLEANUP_FREE char *text = repository_text(id);

    return storage_put_object(storage, LABEL_REPOSITORY, text, strlen(text), true);
}

static bool
repository_is_manifest(const char *key)
{
    CLEANUP_FREE char *cluster = mem_strndup(key, strcspn(key, "/"));
    struct label_key parsed;
    bool manifest;

    if (label_key_parse(cluster, key, &parsed) < 0) {
        error_clear(); /* not ours */
        return false;
    }
    manifest = parsed.manifest;
    free(parsed.id);
    return manifest;
}

static int
repository_by_manifest(struct storage *storage, const char *key, char **ret_id)
{
    CLEANUP_BUF struct buf data = BUF_INIT(MANIFEST_LIMIT_BYTES);
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    CLEANUP_FREE char *name = mem_printf("store '%s': object '%s'", storage_name(storage), key);
    int rc = storage_get_object(storage, key, &data);

    if (rc == 0)
        rc = manifest_decode(name, data.data, data.len, &manifest);
    if (rc == 0 && !repository_is_id(manifest->repository))
        rc = error_set(ERROR_CORRUPT, "%s: 'repository' is '%s', not 32 hex digits", name, manifest->repository);
    if (rc == 0)
        *ret_id = mem_strdup(manifest->repository);
    return rc;
}

int
catalog_repository_by_manifests(struct storage *storage, char **ret_id)
{
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    int found = PGCASK_NOT_FOUND, rc = storage_list(storage, "", &list);

    if (rc < 0)
        return rc;
    for (size_t i = list.len; i > 0; i--) {
        if (!repository_is_manifest(list.objects[i - 1].key))
            continue;
        found = repository_by_manifest(storage, list.objects[i - 1].key, ret_id);
        if (found != ERROR_CORRUPT && found != PGCASK_NOT_FOUND)
            break; /* it says so, or the store is in trouble */
    }
    return found;
}

struct catalog_known {
    pthread_mutex_t lock; /* held while a store is asked, so that each is asked once */
    char *ids[];          /* NULL: not known */
};

struct catalog_known *
catalog_known_new(size_t count)
{
    struct catalog_known *known = mem_zalloc(sizeof *known + count * sizeof known->ids[0]);

    (void)pthread_mutex_init(&known->lock, NULL);
    return known;
}

void
catalog_known_free(struct catalog_known *known, size_t count)
{
    if (known == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        free(known->ids[i]);
    (void)pthread_mutex_destroy(&known->lock);
    free(known);
}

void
catalog_repository_is(struct catalog *catalog, const char *repository)
{
    for (size_t i = 0; i < catalog->store_count; i++) {
        free(catalog->known->ids[i]);
        catalog->known->ids[i] = mem_strdup(repository);
    }
}

/* Borrowed from the catalog. */
static int
catalog_known_id(const struct catalog *catalog, size_t store, const char **ret_id)
{
    struct catalog_known *known = catalog->known;
    int rc = 0;

    (void)pthread_mutex_lock(&known->lock);
    if (known->ids[store] == NULL)
        rc = catalog_repository(catalog->stores[store], &known->ids[store]);
    if (rc == 0)
        *ret_id = known->ids[store];
    (void)pthread_mutex_unlock(&known->lock);
    return rc;
}

/* ---- one manifest ---- */

/* `name` is for messages. */
static int
manifest_of(const char *name, const struct buf *data, const char *repository, const char *cluster, const char *id,
            struct manifest **ret_manifest)
{
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    int rc = manifest_decode(name, data->data, data->len, &manifest);

    if (rc < 0)
        return rc;
    if (strcmp(manifest->cluster, cluster) != 0 || strcmp(manifest->id, id) != 0)
        return error_set(ERROR_CORRUPT, "%s: the manifest is that of '%s/%s'", name, manifest->cluster, manifest->id);
    if (strcmp(manifest->repository, repository) != 0)
        return error_set(ERROR_CORRUPT, "%s: the manifest belongs to another repository (%s, this one is %s)", name,
                         manifest->repository, repository);
    *ret_manifest = STEAL(manifest);
    return 0;
}

int
catalog_fetch(struct storage *storage, const char *repository, const char *cluster, const char *id, uint64_t size,
              struct buf *ret_data, struct manifest **ret_manifest)
{
    CLEANUP_FREE char *key = label_object(cluster, id, LABEL_MANIFEST);
    CLEANUP_FREE char *name = mem_printf("store '%s': object '%s'", storage_name(storage), key);
    int rc = 0;

    if (size > MANIFEST_LIMIT_BYTES)
        return error_set(ERROR_CORRUPT, "%s has %" PRIu64 " bytes, a manifest has at most %d", name, size,
                         MANIFEST_LIMIT_BYTES);
    rc = buf_reserve(ret_data, (size_t)size);
    if (rc == 0)
        rc = storage_get(storage, key, 0, ret_data->data + ret_data->len, (size_t)size);
    if (rc < 0)
        return rc;
    ret_data->len += (size_t)size;
    ret_data->data[ret_data->len] = '\0';
    return manifest_of(name, ret_data, repository, cluster, id, ret_manifest);
}

/* What is spoilt there is no more than a reason to ask the store. */
static bool
catalog_cached(const char *path, const char *repository, const char *cluster, const char *id,
               struct manifest **ret_manifest)
{
    CLEANUP_FREE char *name = mem_printf("the local copy '%s'", path);
    CLEANUP_BUF struct buf data = BUF_INIT(MANIFEST_LIMIT_BYTES);

    if (file_read(path, &data) < 0) {
        error_clear();
        return false;
    }
    if (manifest_of(name, &data, repository, cluster, id, ret_manifest) == 0)
        return true;
    log_slot_warn("removing it and asking the store");
    (void)unlink(path); /* what stays is found again next time */
    return false;
}

static int
catalog_read(const struct catalog *catalog, const char *id, const struct catalog_copy *copy,
             struct manifest **ret_manifest)
{
    CLEANUP_FREE char *cached = NULL;
    CLEANUP_BUF struct buf data = BUF_INIT(MANIFEST_LIMIT_BYTES);
    const char *repository;
    int rc = catalog_known_id(catalog, copy->store, &repository);

    if (rc < 0)
        return rc;
    if (catalog->cache_dir != NULL) {
        cached = mem_printf("%s/%s-%s-%s.json", catalog->cache_dir, repository, catalog->cluster, id);
        if (catalog_cached(cached, repository, catalog->cluster, id, ret_manifest))
            return 0;
    }
    rc = catalog_fetch(catalog->stores[copy->store], repository, catalog->cluster, id, copy->manifest_size, &data,
                       ret_manifest);
    if (rc == 0 && cached != NULL && file_write_lazily(cached, data.data, data.len) < 0)
        error_clear(); /* only a cache */
    return rc;
}

int
catalog_manifest(const struct catalog *catalog, struct catalog_backup *backup, const struct manifest **ret_manifest)
{
    int rc = PGCASK_NOT_FOUND;

    if (backup->why.code != 0)
        return error_put(&backup->why);
    for (size_t i = 0; i < backup->len && backup->loaded == NULL; i++) {
        const struct catalog_copy *copy = &backup->copies[i];

        if (!copy->manifest)
            continue;
        if (rc < 0 && rc != PGCASK_NOT_FOUND)
            log_slot_warn("trying the next store");
        rc = catalog_read(catalog, backup->id, copy, &backup->loaded);
    }
    if (backup->loaded == NULL)
        return rc == PGCASK_NOT_FOUND && !catalog_exists(backup)
                   ? error_set(rc, "backup '%s' has no manifest: it was never finished", backup->id)
                   : rc;
    *ret_manifest = backup->loaded;
    return 0;
}

/* ---- many at a time ---- */

struct prefetch {
    const struct catalog *catalog;
    const char *job;
    pthread_mutex_t lock; /* for what follows */
    size_t next;
};

static bool
prefetch_wants(const struct prefetch *prefetch, const struct catalog_backup *backup)
{
    return catalog_exists(backup) && backup->loaded == NULL && (prefetch->job == NULL || strcmp(backup->job, prefetch->job) == 0);
}

static void *
prefetch_thread(void *arg)
{
    struct prefetch *prefetch = arg;
    const struct catalog *catalog = prefetch->catalog;

    (void)pthread_mutex_lock(&prefetch->lock);
    while (prefetch->next < catalog->len && !cancel_requested()) {
        struct catalog_backup *backup = &catalog->backups[prefetch->next++];
        const struct manifest *unused;
        int rc = 0;

        if (!prefetch_wants(prefetch, backup))
            continue;
        (void)pthread_mutex_unlock(&prefetch->lock);
        rc = catalog_manifest(catalog, backup, &unused);
        if (rc < 0)
            error_take(rc, &backup->why);
        (void)pthread_mutex_lock(&prefetch->lock);
    }
    (void)pthread_mutex_unlock(&prefetch->lock);
    return NULL;
}

/* Requests for small objects are all waiting, so more of them are worth having at once than `parallel` says for parts; but
 * who sets that to 1 means it. */
static unsigned
prefetch_threads(const struct catalog *catalog)
{
    unsigned widest = 1;

    for (size_t i = 0; i < catalog->store_count; i++) {
        unsigned parallel = storage_parallel(catalog->stores[i]);

        if (parallel > 1 && parallel < PREFETCH_THREADS)
            parallel = PREFETCH_THREADS;
        if (parallel > widest)
            widest = parallel;
    }
    return widest;
}

void
catalog_prefetch(const struct catalog *catalog, const char *job)
{
    struct prefetch prefetch = { .catalog = catalog, .job = job, .lock = PTHREAD_MUTEX_INITIALIZER };
    unsigned wanted = prefetch_threads(catalog), started = 0;
    CLEANUP_FREE pthread_t *threads = mem_realloc_array(NULL, wanted, sizeof *threads);
    size_t missing = 0;

    for (size_t i = 0; i < catalog->len; i++)
        missing += prefetch_wants(&prefetch, &catalog->backups[i]);
    while (started + 1 < wanted && started + 1 < missing &&
           pthread_create(&threads[started], NULL, prefetch_thread, &prefetch) == 0)
        started++;
    (void)prefetch_thread(&prefetch); /* this thread is one of them */
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_mutex_destroy(&prefetch.lock);
}
