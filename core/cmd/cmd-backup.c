/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask backup [JOB]
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/error.h"
#include "base/log.h"
#include "config/ini.h"
#include "pipeline/backup.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static const struct cmd_option options[] = {
    { "database", 'd', "NAME", "this database instead of the job's (repeatable)" },
    { "schema-only", 's', NULL, "definitions, no rows" },
    { "data-only", 'a', NULL, "rows, no definitions" },
    { "table", 't', "SCHEMA.TABLE", "only matching tables; * and ? are wildcards (repeatable)" },
    { "exclude-table", 'T', "SCHEMA.TABLE", "not these tables (repeatable)" },
    { "exclude-table-data", 0, "SCHEMA.TABLE", "not the rows of these tables (repeatable)" },
    { NULL, 0, NULL, NULL },
};

/* All values of a repeatable option as one LIST; NULL when none was given. Owned by the caller. */
static char *
backup_list(const struct cmd_args *args, const char *name)
{
    CLEANUP_STRV struct strv values = { 0 };
    struct buf list = BUF_INIT(1024 * 1024);
    int rc = 0;

    cmd_arg_all(args, name, &values);
    for (size_t i = 0; rc == 0 && i < values.len; i++) {
        rc = buf_adds(&list, i == 0 ? "'" : " '");
        for (const char *p = values.items[i]; rc == 0 && *p != '\0'; p++)
            rc = buf_addf(&list, "%s%c", *p == '\'' ? "'" : "", *p);
        if (rc == 0)
            rc = buf_adds(&list, "'");
    }
    return values.len > 0 ? buf_take(&list) : NULL; /* argv is smaller than the limit */
}

static int
backup_job(const struct cmd_args *args, const struct config *config, const struct config_item **ret_job)
{
    if (args->word_count == 1)
        return config_find(&config->jobs, "job", args->words[0], ret_job);
    if (config->jobs.len == 1) {
        *ret_job = &config->jobs.items[0];
        return 0;
    }
    if (config->jobs.len == 0) {
        (void)error_set(ERROR_USAGE, "there is no [job NAME] section in '%s'", config->ini->path);
        return error_hint(ERROR_USAGE, "a job names its cluster, its databases and its stores: see pgcask.conf(5)");
    }
    (void)error_set(ERROR_USAGE, "the config has %zu jobs: which one?", config->jobs.len);
    return error_hint(ERROR_USAGE, "usage: pgcask %s", args->cmd->usage);
}

/* As batch work, this thread, those it makes and the programs it starts do not push the server from its core whenever
 * it has a few rows for them: they get more rows at a time, and all together need a few per cent less CPU. */
static void
backup_as_batch(void)
{
    const struct sched_param none = { 0 };

    if (sched_getscheduler(0) == SCHED_OTHER)
        (void)sched_setscheduler(0, SCHED_BATCH, &none); /* else a little slower */
}

static int
backup_command(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_FREE char *databases = backup_list(args, "database"), *tables = backup_list(args, "table");
    CLEANUP_FREE char *excluded = backup_list(args, "exclude-table"), *no_data = backup_list(args, "exclude-table-data");
    struct backup_options changes = {
        .databases = databases,
        .selection = { .tables = tables, .exclude_tables = excluded, .exclude_table_data = no_data },
    };
    struct backup_result result = { 0 };
    const struct config_item *job;
    int rc = cmd_words(args, 0, 1);

    if (rc < 0)
        return rc;
    if (cmd_flag(args, "schema-only") && cmd_flag(args, "data-only"))
        return error_set(ERROR_USAGE, "--schema-only and --data-only exclude each other");
    if (cmd_flag(args, "schema-only"))
        changes.selection.content = "schema";
    if (cmd_flag(args, "data-only"))
        changes.selection.content = "data";
    rc = cmd_config(args, &config);
    if (rc == 0)
        rc = backup_job(args, config, &job);
    backup_as_batch();
    if (rc == 0)
        rc = backup_run(config, job, &changes, &result);
    if (rc < 0)
        return rc;
    if (result.degraded)
        log_warn("backup '%s' is good, but not in every required store", result.id);
    else
        log_info("backup '%s' is done", result.id);
    free(result.id);
    return result.degraded ? CMD_DEGRADED : 0;
}

const struct cmd cmd_backup = {
    .name = "backup",
    .usage = "backup [JOB] [options]",
    .summary = "Back up a job's databases, verify what was stored",
    .options = options,
    .run = backup_command,
};
