/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask sync: bring every backup to every store of its job, and WAL to every store of
 * its cluster.
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/parse.h"
#include "pipeline/repo.h"
#include "pipeline/sync.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cmd_option options[] = {
    { "from", 0, "NAME", "only from this store" },
    { "to", 0, "NAME", "only to this store; with --from: all that the one has and the other lacks" },
    { "cluster", 0, "NAME", "only backups and WAL of this cluster" },
    { "job", 0, "NAME", "only backups of this job, and no WAL" },
    { "dry-run", 'n', NULL, "only show what would be done" },
    { "json", 0, NULL, "show what was done, as JSON" },
    { NULL, 0, NULL, NULL },
};

static const char *const outcome_words[] = {
    [SYNC_PLANNED] = "planned", [SYNC_DONE] = "done", [SYNC_THERE] = "there",
    [SYNC_FAILED] = "failed",   [SYNC_COLD] = "cold", [SYNC_BUSY] = "busy",
};

static json_t *
sync_json(const struct sync_step *step)
{
    json_t *row = json_object();

    (void)json_object_set_new(row, "cluster", json_text(step->cluster));
    (void)json_object_set_new(row, "id", json_text(step->id));
    (void)json_object_set_new(row, "store", json_text(step->store));
    (void)json_object_set_new(row, "action", json_string(step->heal ? "heal" : "copy"));
    (void)json_object_set_new(row, "outcome", json_string(outcome_words[step->outcome]));
    (void)json_object_set_new(row, "stored_size", json_integer((json_int_t)step->size));
    (void)json_object_set_new(row, "copied_bytes", json_integer((json_int_t)step->bytes));
    (void)json_object_set_new(row, "seconds", json_real((double)step->ms / 1000));
    if (step->error != NULL)
        (void)json_object_set_new(row, "error", json_text(step->error));
    return row;
}

static json_t *
sync_wal_json(const struct sync_wal *wal)
{
    json_t *row = json_object();

    (void)json_object_set_new(row, "cluster", json_text(wal->cluster));
    (void)json_object_set_new(row, "system_identifier", json_text(wal->system_identifier));
    (void)json_object_set_new(row, "timeline", json_integer((json_int_t)wal->timeline));
    (void)json_object_set_new(row, "store", json_text(wal->store));
    (void)json_object_set_new(row, "action", json_string("wal"));
    (void)json_object_set_new(row, "outcome", json_string(outcome_words[wal->outcome]));
    (void)json_object_set_new(row, "first", json_text(wal->first));
    (void)json_object_set_new(row, "last", json_text(wal->last));
    (void)json_object_set_new(row, "files", json_integer((json_int_t)wal->files));
    (void)json_object_set_new(row, "copied_files", json_integer((json_int_t)wal->copied));
    (void)json_object_set_new(row, "stored_size", json_integer((json_int_t)wal->size));
    (void)json_object_set_new(row, "copied_bytes", json_integer((json_int_t)wal->bytes));
    (void)json_object_set_new(row, "seconds", json_real((double)wal->ms / 1000));
    if (wal->error != NULL)
        (void)json_object_set_new(row, "error", json_text(wal->error));
    return row;
}

static void
sync_print_json(const struct sync_result *result)
{
    CLEANUP_JSON json_t *rows = json_array();
    CLEANUP_FREE char *text = NULL;

    for (size_t i = 0; i < result->len; i++)
        (void)json_array_append_new(rows, sync_json(&result->steps[i]));
    for (size_t i = 0; i < result->wal_len; i++)
        (void)json_array_append_new(rows, sync_wal_json(&result->wals[i]));
    text = json_pretty(rows);
    (void)fputs(text, stdout);
}

static void
sync_print_plan(const struct sync_result *result)
{
    for (size_t i = 0; i < result->len; i++) {
        const struct sync_step *step = &result->steps[i];
        CLEANUP_FREE char *size = format_size(step->size);

        if (step->outcome == SYNC_PLANNED)
            (void)printf("%s %s %s %s (%s)\n", step->heal ? "heal" : "copy", step->id, step->heal ? "in" : "to", step->store,
                         size);
    }
    for (size_t i = 0; i < result->wal_len; i++) {
        const struct sync_wal *wal = &result->wals[i];
        CLEANUP_FREE char *size = format_size(wal->size);

        if (wal->outcome == SYNC_PLANNED)
            (void)printf("copy WAL of timeline %" PRIu32 " to %s: %zu file%s, %s to %s (%s)\n", wal->timeline, wal->store,
                         wal->files, wal->files == 1 ? "" : "s", wal->first, wal->last, size);
    }
}

/* Those that are meant: one by its name, that of the job, or all. */
static bool
sync_includes(const struct config *config, const struct cmd_args *args, const struct config_item *cluster)
{
    const char *name = cmd_arg(args, "cluster"), *job_name = cmd_arg(args, "job");
    const struct config_item *job;

    if (name != NULL)
        return strcmp(name, cluster->name) == 0;
    if (job_name != NULL && config_find(&config->jobs, "job", job_name, &job) == 0)
        return strcmp(job->job->cluster, cluster->name) == 0;
    error_clear();
    return true;
}

/* One cluster's trouble does not keep the others from being looked after. */
static int
sync_clusters(const struct config *config, const struct cmd_args *args, struct sync_result *result)
{
    const struct sync_options choice = {
        .job = cmd_arg(args, "job"),
        .from = cmd_arg(args, "from"),
        .to = cmd_arg(args, "to"),
        .dry_run = cmd_flag(args, "dry-run"),
    };
    struct error last = { 0 };
    size_t done = 0;

    for (size_t i = 0; i < config->clusters.len && last.code != ERROR_CANCELLED && last.code != ERROR_USAGE; i++) {
        const struct config_item *cluster = &config->clusters.items[i];
        int rc = sync_includes(config, args, cluster) ? sync_run(config, cluster, &choice, result) : 0;

        done += rc == 0;
        if (rc == 0)
            continue;
        if (error_put(&last) < 0)
            log_slot_error();
        error_take(rc, &last);
    }
    if (last.code == 0)
        return 0;
    if (done == 0 || last.code == ERROR_CANCELLED || last.code == ERROR_USAGE || last.code == ERROR_LOCKED)
        return error_put(&last);
    (void)error_put(&last);
    log_slot_error();
    return CMD_DEGRADED;
}

static void
sync_count(const char *what, size_t failed)
{
    if (failed > 0)
        log_warn("%zu %s%s could not be brought where %s should be", failed, what, failed == 1 ? "" : "s",
                 failed == 1 ? "it" : "they");
}

/* What is in dispute is nobody's to bring anywhere, and somebody has to look at it. */
static int
sync_verdict(const struct sync_result *result)
{
    size_t backups = result->failed_required + result->failed_optional;
    size_t files = result->wal_failed_required + result->wal_failed_optional;
    size_t required = result->failed_required + result->wal_failed_required + result->wal_disputed;
    bool none = result->good == 0 && result->wal_good == 0 && result->cold == 0;

    if (required > 0 && none && files + result->wal_disputed == 0)
        return error_set(PGCASK_FAILED, "none of %zu backups could be brought where it should be", backups);
    if (required > 0 && none && backups == 0)
        return error_set(PGCASK_FAILED, "none of %zu WAL files could be brought where it should be",
                         files + result->wal_disputed);
    sync_count("backup", backups);
    sync_count("WAL file", files);
    if (required > 0 && none)
        return error_set(PGCASK_FAILED, "nothing could be brought where it should be");
    return required > 0 || result->stores_failed_required > 0 ? CMD_DEGRADED : 0;
}

static int
sync_command(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_SYNC_RESULT struct sync_result result = { 0 };
    const struct config_item *unused;
    int rc = cmd_words(args, 0, 0), verdict;

    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0 && cmd_arg(args, "cluster") != NULL)
        rc = repo_cluster(config, cmd_arg(args, "cluster"), &unused);
    if (rc == 0)
        rc = sync_clusters(config, args, &result);
    if (rc < 0 && result.len == 0 && result.wal_len == 0)
        return rc;
    if (cmd_flag(args, "json"))
        sync_print_json(&result);
    else
        sync_print_plan(&result);
    if (rc < 0)
        return rc;
    verdict = sync_verdict(&result);
    return verdict != 0 ? verdict : rc;
}

const struct cmd cmd_sync = {
    .name = "sync",
    .usage = "sync [--from NAME] [--to NAME] [--cluster NAME] [--job NAME] [--dry-run] [--json]",
    .summary = "Bring backups and WAL to every store that should have them",
    .options = options,
    .run = sync_command,
};
