/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/repo.h"

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"


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
    rc = catalog_load(repo.stores.items, repo.stores.len, repo.cluster->name, cache, &repo.catalog);
    if (rc < 0)
        return rc;
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

int
repo_find(struct repo *repo, const char *id, const char *job, struct catalog_backup **ret_backup,
          const struct manifest **ret_manifest)
{
    int rc = catalog_find(repo->catalog, id, job, ret_backup);

    return rc < 0 ? rc : catalog_manifest(repo->catalog, *ret_backup, ret_manifest);
}
