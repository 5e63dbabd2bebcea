/* SPDX-License-Identifier: PostgreSQL
 *
 * The actions of pgcask wal: each has a file of its own, cmd-wal-<action>.c, and a
 * row in the table of cmd-wal.c.
 */
#ifndef PGCASK_CMD_CMD_WAL_H
#define PGCASK_CMD_CMD_WAL_H

#include "cmd/cmd.h"

#include <stdint.h>

struct wal_action {
    const char *word;
    const char *usage;   /* what follows "pgcask wal " */
    const char *options; /* names of those in cmd_wal's table that it takes, between blanks */
    /* `args` without the action's own word; returns as struct cmd's run does. */
    int (*run)(struct cmd_args *args);
};

int cmd_wal_push(struct cmd_args *args);
int cmd_wal_fetch(struct cmd_args *args);
/* --system-identifier, 0: not given. */
int cmd_wal_system(const struct cmd_args *args, uint64_t *ret_system_identifier);
int cmd_wal_receive(struct cmd_args *args);
int cmd_wal_status(struct cmd_args *args);
int cmd_wal_setup(struct cmd_args *args);
int cmd_wal_search(struct cmd_args *args);

struct wal_status;
void cmd_wal_status_json(const struct wal_status *status); /* to stdout */

/* What PostgreSQL takes for "stop", not for "that was all of the archive": see restore_command in its manual. */
enum { CMD_WAL_TROUBLE = 126 };

#endif
