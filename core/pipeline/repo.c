/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/repo.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "catalog/label.h"
#include "config/ini.h"

#include <stdlib.h>
#include <string.h>

int
repo_cluster(const struct config *config, const char *name, const struct config_item **ret_cluster)
{
    if (name != NULL)
        return config_find(&config->clusters, "cluster", name, ret_cluster);
    if (config->clusters.len == 1) {
        *ret_cluster = &config->clusters.items[0];
        return 0;
    }
    (void)error_set(ERROR_USAGE, "the config has %zu clusters: which one?", config->clusters.len);
    return error_hint(ERROR_USAGE, config->clusters.len ? "name it with --cluster" : "write a section [cluster NAME]");
}

/* The store at `i` is left out, for the reason that is in the slot; of the last one it is the command's. */
static void
repo_drop(struct repo *repo, size_t i)
{
    struct stores *stores = &repo->stores;
    const struct config_item *item;

    log_slot_warn("going on without that store");
    stores->failed++;
    if (config_find(&repo->config->stores, "store", storage_name(stores->items[i]), &item) == 0)
        stores->failed_required += item->store->required != 0;
    storage_close(stores->items[i]);
    stores->len--;
    memmove(stores->items + i, stores->items + i + 1, (stores->len - i) * sizeof *stores->items);
}

/* One that cannot be listed is left out like one that cannot be opened. */
static int
repo_list(struct repo *repo, const char *cache)
{
    struct stores *stores = &repo->stores;
    size_t failed;
    int rc;

    for (;;) {
        rc = catalog_load_some(stores->items, stores->len, repo->cluster->name, cache, &failed, &repo->catalog);
        if (rc == 0 || rc == ERROR_CANCELLED || cancel_requested() || stores->len == 1)
            return cancel_or(rc);
        repo_drop(repo, failed);
    }
}

int
repo_open(const struct config *config, const char *cluster, const char *store, unsigned flags, struct repo *ret_repo)
{
    CLEANUP_REPO struct repo repo = { .config = config };
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_FREE char *cache = mem_printf("%s/cache", config->state_dir);
    int rc = repo_cluster(config, cluster, &repo.cluster);

    if (rc == 0 && config->stores.len == 0) {
        (void)error_set(ERROR_USAGE, "the config has no store");
        rc = error_hint(ERROR_USAGE, "write a section [store NAME]");
    }
    if (rc < 0)
        return rc;
    if (store != NULL)
        strv_add(&names, store);
    rc = stores_open(config, store ? &names : NULL, flags, &repo.stores);
    if (rc < 0)
        return rc;
    if (file_mkdirs(cache) < 0) {
        log_debug("no cache: %s", error_text());
        error_clear();
    }
    rc = repo_list(&repo, cache);
    if (rc < 0)
        return rc;
    if (repo.stores.repository != NULL)
        catalog_repository_is(repo.catalog, repo.stores.repository);
    *ret_repo = repo;
    repo = (struct repo){ 0 };
    return 0;
}

void
repo_close(struct repo *repo)
{
    catalog_free(repo->catalog);
    stores_close(&repo->stores);
    *repo = (struct repo){ 0 };
}

void
cleanup_repo(struct repo *repo)
{
    repo_close(repo);
}

/* ---- where nothing is ---- */

static int
repo_clusters(struct storage *storage, struct strv *ret_names)
{
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    int rc = storage_list(storage, "", &list);

    for (size_t i = 0; i < list.len; i++) {
        const char *key = list.objects[i].key;
        CLEANUP_FREE char *cluster = mem_strndup(key, strcspn(key, "/"));
        struct label_key parsed;

        if (strv_has(ret_names, cluster))
            continue;
        if (label_key_parse(cluster, key, &parsed) < 0) {
            error_clear(); /* something else than a backup */
            continue;
        }
        if (parsed.manifest)
            strv_add(ret_names, cluster);
        free(parsed.id);
    }
    return rc;
}

static void
repo_tell_empty_store(const struct repo *repo, struct storage *storage)
{
    CLEANUP_STRV struct strv clusters = { 0 };
    CLEANUP_FREE char *list = NULL;

    if (repo_clusters(storage, &clusters) < 0) {
        log_slot_warn("whether it holds backups of other clusters is not known");
        return;
    }
    if (clusters.len == 0) {
        log_warn("store '%s' holds no backups yet", storage_name(storage));
        return;
    }
    list = strv_join(&clusters, "', '");
    log_warn("store '%s' holds backups of cluster '%s', none of '%s'", storage_name(storage), list,
             repo->cluster->name);
}

static bool
repo_has_store(const struct repo *repo, const char *name)
{
    for (size_t i = 0; i < repo->stores.len; i++)
        if (strcmp(storage_name(repo->stores.items[i]), name) == 0)
            return true;
    return false;
}

void
repo_tell_empty(const struct repo *repo, const char *store)
{
    for (size_t i = 0; i < repo->catalog->len; i++)
        if (catalog_exists(&repo->catalog->backups[i]))
            return;
    for (size_t i = 0; i < repo->stores.len; i++)
        repo_tell_empty_store(repo, repo->stores.items[i]);
    if (repo->stores.failed > 0)
        return; /* of the others some were told of already, and which is not known here */
    for (size_t i = 0; i < repo->config->stores.len; i++) {
        const struct config_item *item = &repo->config->stores.items[i];
        const struct ini_entry *path = item->section ? ini_entry(item->section, "path") : NULL;

        if ((store == NULL || strcmp(store, item->name) == 0) && !repo_has_store(repo, item->name))
            log_warn("store '%s' holds no backups yet: there is no repository %s%s%s", item->name,
                     path ? "at '" : "in it", path ? path->value : "", path ? "'" : "");
    }
}

int
repo_find(struct repo *repo, const char *id, const char *job, struct catalog_backup **ret_backup,
          const struct manifest **ret_manifest)
{
    int rc = catalog_find(repo->catalog, id, job, ret_backup);

    return rc < 0 ? rc : catalog_manifest(repo->catalog, *ret_backup, ret_manifest);
}
