/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask restore ID|latest --data-dir DIR: a base backup as a data directory.
 */
#include "config.h"

#include "cmd/cmd-restore.h"

#include "base/error.h"
#include "base/log.h"
#include "pipeline/restore-cluster.h"

#include <stdio.h>

static const struct {
    const char *name;
    int (*set)(struct recovery_target *target, const char *text);
    bool is_target; /* one of these at most */
} target_options[] = {
    { "target-time", recovery_set_time, true },      { "target-lsn", recovery_set_lsn, true },
    { "target-xid", recovery_set_xid, true },        { "target-name", recovery_set_name, true },
    { "target", recovery_set_immediate, true },      { "target-timeline", recovery_set_timeline, false },
    { "target-action", recovery_set_action, false },
};

/* Those of the other ways, which mean nothing here; and ours, which mean nothing there. */
static const char *const other_options[] = { "database",  "into",     "globals", "no-owner", "swap",
                                             "swap-back", "existing", "analyze", "table",    "schema",
                                             "output",    "member",   "file",    "conninfo" };
static const char *const cluster_options[] = { "target-time", "target-lsn", "target-xid",      "target-name",
                                               "target",      "exclusive",  "target-timeline", "target-action",
                                               "tablespace",  "standby",    "primary",         "delta",
                                               "owner" };

static int
command_refuse(const struct cmd_args *args, const char *const *names, size_t count, const char *why)
{
    for (size_t i = 0; i < count; i++)
        if (cmd_flag(args, names[i]))
            return error_set(ERROR_USAGE, "--%s %s", names[i], why);
    return 0;
}

static int
cluster_target(const struct cmd_args *args, struct recovery_target *target)
{
    const char *before = NULL;

    for (size_t i = 0; i < ARRAY_LEN(target_options); i++) {
        const char *text = cmd_arg(args, target_options[i].name);
        int rc = text != NULL ? target_options[i].set(target, text) : 0;

        if (rc < 0)
            return error_context(rc, "--%s", target_options[i].name);
        if (text == NULL || !target_options[i].is_target)
            continue;
        if (before != NULL)
            return error_set(ERROR_USAGE, "--%s and --%s: one target only", before, target_options[i].name);
        before = target_options[i].name;
    }
    target->exclusive = cmd_flag(args, "exclusive");
    return recovery_check(target, cmd_flag(args, "standby"));
}

int
command_cluster(struct command *command)
{
    struct cmd_args *args = command->args;
    struct restore *restore = &command->restore;
    CLEANUP_STRV struct strv tablespaces = { 0 };
    struct restore_cluster_options wanted = {
        .id = args->word_count > 0 ? args->words[0] : NULL,
        .job = cmd_arg(args, "job"),
        .store = cmd_arg(args, "store"),
        .data_dir = cmd_arg(args, "data-dir"),
        .owner = cmd_arg(args, "owner"),
        .standby = cmd_flag(args, "standby"),
        .primary_conninfo = cmd_arg(args, "primary"),
        .delta = cmd_flag(args, "delta"),
        .tablespaces = &tablespaces,
        .config_path = args->config_path,
    };
    int rc = cmd_words(args, 1, 1);

    cmd_arg_all(args, "tablespace", &tablespaces);
    if (rc == 0)
        rc = command_refuse(args, other_options, ARRAY_LEN(other_options), "does not go with --data-dir");
    if (rc == 0 && wanted.primary_conninfo != NULL && !wanted.standby)
        rc = error_set(ERROR_USAGE, "--primary needs --standby");
    if (rc == 0)
        rc = cluster_target(args, &wanted.target);
    if (rc == 0)
        rc = command_thaw(command);
    if (rc == 0)
        rc = cmd_config(args, &command->config);
    if (rc == 0)
        rc = repo_open(command->config, cmd_arg(args, "cluster"), wanted.store, PGCASK_OPEN_READONLY, &command->repo);
    if (rc == 0)
        rc = command_keys(command);
    if (rc < 0)
        return rc;
    if (cmd_arg(args, "identity") != NULL)
        log_warn("restore_command decrypts with the identity_file of the config, not with --identity");
    restore->config = command->config;
    restore->cluster = command->repo.cluster;
    restore->streams = (unsigned)command->config->workers;
    restore->crew = crew_new(restore->streams, 1);
    rc = restore_cluster(&command->repo, restore, &wanted);
    if (rc == 0)
        (void)printf("%s\n", wanted.data_dir);
    return rc;
}

int
command_no_cluster(const struct cmd_args *args)
{
    return command_refuse(args, cluster_options, ARRAY_LEN(cluster_options), "needs --data-dir");
}
