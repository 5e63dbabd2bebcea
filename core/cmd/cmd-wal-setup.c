/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask wal setup: what PostgreSQL has to be told so that its WAL comes into the stores.
 */
#include "config.h"

#include "cmd/cmd-wal.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/repo.h"
#include "pipeline/wal-setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_words[] = {
    [WAL_SETUP_OK] = "ok",         [WAL_SETUP_PENDING] = "restart", [WAL_SETUP_CHANGE] = "set",
    [WAL_SETUP_FOREIGN] = "taken", [WAL_SETUP_STUCK] = "stuck",     [WAL_SETUP_ADVICE] = "decide",
};

struct setup_cmd {
    struct wal_setup_options options;
    struct pg_conn *conn;
    struct wal_setup setup;
};

/* Takes `line`; foreign words cannot steer the terminal. */
static void
setup_line(char *line)
{
    CLEANUP_FREE char *safe = log_defuse(line);

    (void)printf("%s\n", safe);
    free(line);
}

static void
setup_text_row(const struct wal_setup_row *row)
{
    const char *word = state_words[row->state];

    setup_line(mem_printf("%-8s %s = '%s'  (%s)", word, row->name, row->current, row->source));
    if (row->next != NULL)
        setup_line(mem_printf("         after a restart: '%s'", row->next));
    if (row->state == WAL_SETUP_OK)
        return;
    setup_line(mem_printf("         wanted: '%s'%s", row->wanted, row->restart ? ", which takes a restart" : ""));
    setup_line(mem_printf("         why: %s", row->why));
    if (row->state == WAL_SETUP_STUCK)
        setup_line(
            mem_strdup("         it is given on the server's command line: change it there, or in the service's file"));
    if (row->state == WAL_SETUP_FOREIGN)
        setup_line(mem_strdup("         another program archives: --replace ends that"));
    if (row->state == WAL_SETUP_PENDING)
        setup_line(mem_strdup("         restart the server"));
}

/* For who is no superuser here, or wants to do it by hand. */
static int
setup_text_statements(struct setup_cmd *command)
{
    bool any = false;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < command->setup.len; i++) {
        CLEANUP_FREE char *sql = NULL;

        if (!wal_setup_changes(&command->options, &command->setup.rows[i]))
            continue;
        if (!any)
            (void)printf("\n%s\n\n", command->setup.may_change ? "'pgcask wal setup --apply' does this:"
                                                               : "for a superuser to do (this role may not):");
        any = true;
        rc = wal_setup_statement(command->conn, &command->setup.rows[i], &sql);
        if (rc == 0)
            setup_line(mem_printf("    %s;", sql));
    }
    if (any)
        (void)printf("    SELECT pg_reload_conf();\n");
    return rc;
}

/* What no setting of the server is. */
static void
setup_text_receive(const struct setup_cmd *command)
{
    const char *slot = command->options.cluster->cluster->slot;

    if (!command->options.receive)
        return;
    if (slot == NULL)
        setup_line(mem_strdup(
            "note: no slot in [cluster …]: while 'pgcask wal receive' is down the server may remove WAL that it "
            "has not got"));
    else
        setup_line(mem_printf(
            "note: slot '%s' keeps WAL while 'pgcask wal receive' is down: max_slot_wal_keep_size bounds what "
            "that may take of the disk",
            slot));
}

static int
setup_text(struct setup_cmd *command)
{
    const struct wal_setup *setup = &command->setup;

    setup_line(mem_printf("cluster '%s': PostgreSQL %s, %s", command->options.cluster->name, setup->version,
                          setup->standby ? "a standby" : "a primary"));
    for (size_t i = 0; i < setup->len; i++)
        setup_text_row(&setup->rows[i]);
    for (size_t i = 0; i < setup->privileges.len; i++)
        setup_line(mem_printf("%-8s %s", "role", setup->privileges.items[i]));
    setup_text_receive(command);
    return setup_text_statements(command);
}

static int
setup_look(struct setup_cmd *command)
{
    wal_setup_free(&command->setup);
    return wal_setup_look(command->conn, &command->options, &command->setup);
}

/* Is anything left that somebody has to do? */
static int
setup_outcome(const struct wal_setup *setup)
{
    for (size_t i = 0; i < setup->len; i++)
        if (setup->rows[i].state != WAL_SETUP_OK && setup->rows[i].state != WAL_SETUP_ADVICE)
            return CMD_DEGRADED;
    return 0;
}

static int
setup_connect(const struct config_item *cluster, struct pg_conn **ret_conn)
{
    const struct pg_server server = { cluster->cluster->conninfo, cluster->cluster->password };

    return pg_connect(&server, NULL, ret_conn);
}

static int
setup_run(struct setup_cmd *command, bool apply)
{
    int rc = setup_connect(command->options.cluster, &command->conn);

    if (rc == 0)
        rc = setup_look(command);
    if (rc == 0 && apply)
        rc = wal_setup_apply(command->conn, &command->options, &command->setup);
    if (rc == 0 && apply)
        rc = setup_look(command);
    if (rc == 0)
        rc = setup_text(command);
    return rc < 0 ? rc : setup_outcome(&command->setup);
}

int
cmd_wal_setup(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    struct setup_cmd command = {
        .options.receive = cmd_flag(args, "receive"),
        .options.replace = cmd_flag(args, "replace"),
    };
    int rc = cmd_words(args, 0, 0);

    if (rc == 0)
        rc = cmd_config(args, &config);
    command.options.config = config;
    if (rc == 0)
        rc = repo_cluster(config, cmd_arg(args, "cluster"), &command.options.cluster);
    if (rc == 0)
        rc = setup_run(&command, cmd_flag(args, "apply"));
    wal_setup_free(&command.setup);
    pg_close(command.conn);
    return rc;
}
