/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask list: what backups there are, one line each, oldest first.
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/parse.h"
#include "catalog/manifest-base.h"
#include "pg/wal-name.h"
#include "pipeline/repo.h"
#include "pipeline/thaw.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cmd_option options[] = {
    { "cluster", 0, "NAME", "of this cluster (needed when the config has several)" },
    { "store", 0, "NAME", "in this store only" },
    { "job", 0, "NAME", "of this job only" },
    { "json", 0, NULL, "as JSON" },
    { NULL, 0, NULL, NULL },
};

enum { DATABASES_BYTES = 40, STORES_COLUMNS = 40 };

static const char *const state_words[] = {
    [CATALOG_UNVERIFIED] = "unverified",
    [CATALOG_GOOD] = "good",
    [CATALOG_BAD] = "bad",
};

/* "all at 1:0/2000028", timeline and start; and on which one an incremental backup builds. */
static char *
list_base(const struct manifest_base *base)
{
    CLEANUP_FREE char *start = wal_lsn_text(base->start_lsn);

    if (base->parent != NULL)
        return mem_printf("all at %" PRIu32 ":%s, on top of %s", base->timeline, start, base->parent);
    return mem_printf("all at %" PRIu32 ":%s", base->timeline, start);
}

/* "shop,wiki"; too many to be read are counted. */
static char *
list_databases(const struct manifest *manifest)
{
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_FREE char *list = NULL;

    if (manifest->base != NULL)
        return list_base(manifest->base);
    for (size_t i = 0; i < manifest->database_count; i++)
        strv_add(&names, manifest->databases[i].name);
    list = strv_join(&names, ",");
    if (names.len > 1 && strlen(list) > DATABASES_BYTES)
        return mem_printf("%zu databases", names.len);
    return log_defuse(list);
}

/* Is the store of that name among those that were asked, and without this backup? */
static bool
list_lacks(const struct repo *repo, const struct catalog_backup *backup, const char *store)
{
    for (size_t i = 0; i < repo->stores.len; i++)
        if (strcmp(storage_name(repo->stores.items[i]), store) == 0) {
            for (size_t j = 0; j < backup->len; j++)
                if (backup->copies[j].store == i && backup->copies[j].manifest)
                    return false;
            return true;
        }
    return strv_has(&repo->stores.empty, store);
}

/* Stores of its job that lack it. */
static void
list_missing(const struct repo *repo, const struct catalog_backup *backup, struct strv *ret_names)
{
    CLEANUP_STRV struct strv stores = { 0 };
    const struct config_item *job;

    if (config_find(&repo->config->jobs, "job", backup->job, &job) < 0 || strcmp(job->job->cluster, repo->cluster->name) != 0) {
        error_clear(); /* that job is no more */
        return;
    }
    option_words(job->job->stores, &stores);
    for (size_t i = 0; i < stores.len; i++)
        if (list_lacks(repo, backup, stores.items[i]))
            strv_add(ret_names, stores.items[i]);
}

/* "[cold]", "[thawed until TIME]", or nothing. */
static char *
list_tier(const struct catalog_copy *copy)
{
    int64_t until_s;
    int tier = catalog_tier(copy, &until_s);
    CLEANUP_FREE char *until = until_s > 0 ? clock_iso(until_s) : NULL;

    if (tier == PGCASK_TIER_HOT)
        return mem_strdup("");
    return mem_printf("[%s%s%s]", thaw_word(tier), until ? " until " : "", until ? until : "");
}

/* "local offsite", with the state where it differs from the best, and "(not in cellar)". */
static char *
list_stores(const struct repo *repo, const struct catalog_backup *backup)
{
    CLEANUP_STRV struct strv names = { 0 }, missing = { 0 };
    CLEANUP_FREE char *lacking = NULL;

    for (size_t i = 0; i < backup->len; i++) {
        const struct catalog_copy *copy = &backup->copies[i];
        CLEANUP_FREE char *tier = NULL;

        if (!copy->manifest)
            continue;
        tier = list_tier(copy);
        if (copy->state != catalog_state(backup))
            strv_addf(&names, "%s(%s)%s", storage_name(repo->stores.items[copy->store]), state_words[copy->state], tier);
        else
            strv_addf(&names, "%s%s", storage_name(repo->stores.items[copy->store]), tier);
    }
    list_missing(repo, backup, &missing);
    lacking = strv_join(&missing, " ");
    if (missing.len > 0)
        strv_addf(&names, "(not in %s)", lacking);
    return strv_join(&names, " ");
}

static void
list_json_tier(json_t *row, const struct catalog_copy *copy)
{
    int64_t until_s;
    int tier = catalog_tier(copy, &until_s);
    CLEANUP_FREE char *until = clock_iso(until_s);

    (void)json_object_set_new(row, "tier", json_string(thaw_word(tier)));
    if (until_s > 0)
        (void)json_object_set_new(row, "until", json_text(until));
}

static json_t *
list_json(const struct repo *repo, const struct catalog_backup *backup, const struct manifest *manifest)
{
    CLEANUP_FREE char *started = clock_iso(manifest->started_s), *finished = clock_iso(manifest->finished_s);
    CLEANUP_STRV struct strv lacking = { 0 };
    json_t *row = json_object(), *stores = json_array(), *databases = json_array(), *missing = json_array();

    for (size_t i = 0; i < backup->len; i++) {
        json_t *copy = json_object();

        if (!backup->copies[i].manifest) {
            json_decref(copy);
            continue;
        }
        (void)json_object_set_new(copy, "store", json_text(storage_name(repo->stores.items[backup->copies[i].store])));
        (void)json_object_set_new(copy, "state", json_text(state_words[backup->copies[i].state]));
        list_json_tier(copy, &backup->copies[i]);
        (void)json_array_append_new(stores, copy);
    }
    for (size_t i = 0; i < manifest->database_count; i++)
        (void)json_array_append_new(databases, json_text(manifest->databases[i].name));
    (void)json_object_set_new(row, "id", json_text(backup->id));
    (void)json_object_set_new(row, "cluster", json_text(manifest->cluster));
    (void)json_object_set_new(row, "job", json_text(manifest->job));
    (void)json_object_set_new(row, "kind", json_text(manifest->kind));
    (void)json_object_set_new(row, "content", json_text(manifest->content));
    (void)json_object_set_new(row, "selection", json_boolean(manifest->selection));
    (void)json_object_set_new(row, "started", json_text(started));
    (void)json_object_set_new(row, "finished", json_text(finished));
    (void)json_object_set_new(row, "plain_size", json_integer((json_int_t)manifest_plain_size(manifest)));
    (void)json_object_set_new(row, "stored_size", json_integer((json_int_t)manifest_stored_size(manifest)));
    (void)json_object_set_new(row, "databases", databases);
    if (manifest->base != NULL)
        (void)json_object_set_new(row, "base", manifest_base_encode(manifest->base));
    (void)json_object_set_new(row, "state", json_text(state_words[catalog_state(backup)]));
    (void)json_object_set_new(row, "stores", stores);
    list_missing(repo, backup, &lacking);
    for (size_t i = 0; i < lacking.len; i++)
        (void)json_array_append_new(missing, json_text(lacking.items[i]));
    (void)json_object_set_new(row, "missing", missing);
    return row;
}

/* Wide enough for what stands in the column STORES, within reason. */
static int
list_width(const struct repo *repo, const char *job)
{
    size_t width = strlen("STORES");

    for (size_t i = 0; i < repo->catalog->len; i++) {
        const struct catalog_backup *backup = &repo->catalog->backups[i];
        CLEANUP_FREE char *stores = NULL;

        if (!catalog_exists(backup) || (job != NULL && strcmp(backup->job, job) != 0))
            continue;
        stores = list_stores(repo, backup);
        if (strlen(stores) > width)
            width = strlen(stores);
    }
    return width > STORES_COLUMNS ? STORES_COLUMNS : (int)width;
}

static void
list_line(const struct repo *repo, const struct catalog_backup *backup, const struct manifest *manifest, int width)
{
    CLEANUP_FREE char *databases = list_databases(manifest);
    CLEANUP_FREE char *stored = format_size(manifest_stored_size(manifest)), *stores = list_stores(repo, backup);
    CLEANUP_FREE char *plain = format_size(manifest_plain_size(manifest));
    CLEANUP_FREE char *content = mem_printf("%s%s", manifest->content, manifest->selection ? "*" : "");

    (void)printf("%-32s %-5s %-7s %10s %10s  %-10s %-*s  %s\n", backup->id, manifest->kind, content, plain, stored,
                 state_words[catalog_state(backup)], width, stores, databases);
}

static int
list_run(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_REPO struct repo repo = { 0 };
    CLEANUP_JSON json_t *rows = json_array();
    CLEANUP_FREE char *text = NULL;
    const struct config_item *unused;
    const char *job = cmd_arg(args, "job");
    size_t matching = 0, shown = 0;
    int rc = cmd_words(args, 0, 0), width;

    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = repo_open(config, cmd_arg(args, "cluster"), cmd_arg(args, "store"), PGCASK_OPEN_READONLY, &repo);
    if (rc < 0)
        return rc;
    catalog_prefetch(repo.catalog, job);
    rc = cancel_check();
    if (rc < 0)
        return rc;
    width = list_width(&repo, job);
    for (size_t i = 0; i < repo.catalog->len; i++) {
        struct catalog_backup *backup = &repo.catalog->backups[i];
        const struct manifest *manifest;

        if (!catalog_exists(backup) || (job != NULL && strcmp(backup->job, job) != 0))
            continue;
        matching++;
        if (catalog_manifest(repo.catalog, backup, &manifest) < 0) {
            log_slot_warn("it is left out of the list");
            rc = CMD_DEGRADED;
            continue;
        }
        if (cmd_flag(args, "json"))
            (void)json_array_append_new(rows, list_json(&repo, backup, manifest));
        else {
            if (shown++ == 0)
                (void)printf("%-32s %-5s %-7s %10s %10s  %-10s %-*s  %s\n", "ID", "KIND", "CONTENT", "PLAIN", "STORED",
                             "STATE", width, "STORES", "DATABASES");
            list_line(&repo, backup, manifest, width);
        }
    }
    /* such a job is there neither now nor, as far as all stores tell, in older times */
    if (job != NULL && matching == 0 && repo.stores.failed == 0 && config_find(&config->jobs, "job", job, &unused) < 0)
        return ERROR_USAGE;
    if (matching == 0)
        repo_tell_empty(&repo, cmd_arg(args, "store"));
    if (cmd_flag(args, "json")) {
        text = json_pretty(rows);
        (void)fputs(text, stdout);
    } else if (matching == 0)
        log_info("cluster '%s' has no backup%s%s%s", repo.cluster->name, job ? " of job '" : "", job ? job : "", job ? "'" : "");
    return repo.stores.failed > 0 ? CMD_DEGRADED : rc;
}

const struct cmd cmd_list = {
    .name = "list",
    .usage = "list [--cluster NAME] [--store NAME] [--job NAME] [--json]",
    .summary = "List the backups there are",
    .options = options,
    .run = list_run,
};
