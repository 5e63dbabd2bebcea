/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask copy ID --to STORE: one backup to one more store.
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/error.h"
#include "base/log.h"
#include "catalog/label.h"
#include "pipeline/repo.h"
#include "pipeline/sync.h"

#include <stdlib.h>
#include <string.h>

static const struct cmd_option options[] = {
    { "to", 0, "NAME", "the store that is to have it" },
    { "from", 0, "NAME", "the store to read from (default: whichever has it)" },
    { "cluster", 0, "NAME", "of this cluster (needed when the config has several)" },
    { NULL, 0, NULL, NULL },
};

/* The id that is meant; owned by the caller. */
static int
copy_id(const struct cmd_args *args, const struct config *config, char **ret_id)
{
    CLEANUP_REPO struct repo repo = { 0 };
    struct catalog_backup *backup;
    const struct manifest *unused;
    int rc;

    if (strcmp(args->words[0], "latest") != 0) {
        rc = label_id_parse(args->words[0], NULL, NULL);
        if (rc == 0)
            *ret_id = mem_strdup(args->words[0]);
        return rc;
    }
    rc = repo_open(config, cmd_arg(args, "cluster"), cmd_arg(args, "from"), PGCASK_OPEN_READONLY, &repo);
    if (rc == 0)
        rc = repo_find(&repo, "latest", NULL, &backup, &unused);
    if (rc == 0)
        *ret_id = mem_strdup(backup->id);
    return rc;
}

static int
copy_command(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_SYNC_RESULT struct sync_result result = { 0 };
    CLEANUP_FREE char *id = NULL;
    struct sync_options choice = { .from = cmd_arg(args, "from"), .to = cmd_arg(args, "to") };
    const struct config_item *cluster;
    int rc = cmd_words(args, 1, 1);

    if (rc == 0 && choice.to == NULL) {
        (void)error_set(ERROR_USAGE, "copy needs to know the store: --to NAME");
        rc = error_hint(ERROR_USAGE, "usage: pgcask %s", args->cmd->usage);
    }
    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = repo_cluster(config, cmd_arg(args, "cluster"), &cluster);
    if (rc == 0)
        rc = copy_id(args, config, &id);
    if (rc < 0)
        return rc;
    choice.id = id;
    rc = sync_run(config, cluster, &choice, &result);
    if (rc == 0 && result.good == 0)
        rc = error_set(result.steps[0].outcome == SYNC_BUSY ? ERROR_LOCKED : PGCASK_FAILED, "backup '%s' was not copied to store '%s'", id, choice.to);
    return rc;
}

const struct cmd cmd_copy = {
    .name = "copy",
    .usage = "copy ID|latest --to NAME [--from NAME] [--cluster NAME]",
    .summary = "Copy a backup to another store",
    .options = options,
    .run = copy_command,
};
