/* SPDX-License-Identifier: PostgreSQL
 *
 * Between cmd-restore.c and cmd-restore-cluster.c only.
 */
#ifndef PGCASK_CMD_CMD_RESTORE_H
#define PGCASK_CMD_CMD_RESTORE_H

#include "cmd/cmd.h"
#include "pipeline/repo.h"
#include "pipeline/restore.h"

struct command {
    struct cmd_args *args;
    struct config *config;
    struct repo repo;
    struct restore restore;
    struct thaw_options thaw;
    const char *database; /* of the backup */
};

/* The identities: those of --identity, else the config's. */
int command_keys(struct command *command);
/* How to bring what is in cold storage. */
int command_thaw(struct command *command);

/* --data-dir. */
int command_cluster(struct command *command);
/* ERROR_USAGE for an option that means something with --data-dir only. */
int command_no_cluster(const struct cmd_args *args);

#endif
