/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "cmd/cmd.h"

#include "base/error.h"
#include "plugin/host.h"

#include <stdio.h>
#include <string.h>

const struct cmd *const cmd_table[] = {
    &cmd_init, &cmd_show_config, &cmd_check, &cmd_backup, &cmd_list, &cmd_show, &cmd_verify, &cmd_restore, &cmd_thaw,
    &cmd_copy, &cmd_sync,        &cmd_wal,   &cmd_plugin, &cmd_key,  NULL,
};

bool
cmd_flag(const struct cmd_args *args, const char *name)
{
    return cmd_arg(args, name) != NULL;
}

const char *
cmd_arg(const struct cmd_args *args, const char *name)
{
    const char *value = NULL;

    for (size_t i = 0; i < args->len; i++)
        if (strcmp(args->given[i].option->name, name) == 0)
            value = args->given[i].value;
    return value;
}

void
cmd_arg_all(const struct cmd_args *args, const char *name, struct strv *ret_values)
{
    for (size_t i = 0; i < args->len; i++)
        if (strcmp(args->given[i].option->name, name) == 0)
            strv_add(ret_values, args->given[i].value);
}

int
cmd_words(const struct cmd_args *args, size_t min, size_t max)
{
    if (args->word_count >= min && args->word_count <= max)
        return 0;
    if (args->word_count < min)
        (void)error_set(ERROR_USAGE, "'%s' lacks %zu word%s", args->cmd->name, min - args->word_count,
                        min - args->word_count == 1 ? "" : "s");
    else
        (void)error_set(ERROR_USAGE, "'%s': '%s' is one word too many", args->cmd->name, args->words[max]);
    return error_hint(ERROR_USAGE, "usage: pgcask %s", args->cmd->usage);
}

int
cmd_config(const struct cmd_args *args, struct config **ret_config)
{
    struct config *config;
    int rc = config_load(args->config_path, &config);

    if (rc < 0)
        return rc;
    plugin_set_dir(config->main->plugin_dir);
    *ret_config = config;
    return 0;
}

void
cmd_help(const struct cmd *cmd)
{
    (void)printf("usage: pgcask %s\n\n%s\n", cmd->usage, cmd->summary);
    if (cmd->options == NULL)
        return;
    (void)printf("\n");
    for (const struct cmd_option *option = cmd->options; option->name != NULL; option++) {
        CLEANUP_FREE char *left = mem_printf("--%s%s%s", option->name, option->argument ? " " : "",
                                             option->argument ? option->argument : "");

        if (option->letter != 0)
            (void)printf("  -%c, %-26s %s\n", option->letter, left, option->help);
        else
            (void)printf("      %-26s %s\n", left, option->help);
    }
    (void)printf("\nSee pgcask-%s(1).\n", cmd->name);
}
