/* SPDX-License-Identifier: PostgreSQL
 *
 * What a command is: one file, one table row, arguments in, exit code out.
 * Commands are the only place that prints to stdout.
 */
#ifndef PGCASK_CMD_CMD_H
#define PGCASK_CMD_CMD_H

#include "base/buf.h"
#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>

struct cmd_option {
    const char *name;     /* --name */
    char letter;          /* -l, or 0 */
    const char *argument; /* shown in the help; NULL: a flag */
    const char *help;
};

struct cmd_args;

struct cmd {
    const char *name;
    const char *usage;                /* what follows "pgcask " */
    const char *summary;              /* one line */
    const struct cmd_option *options; /* ends with a NULL name; may be NULL */
    /* 0 done, a negative error code with its text in the slot, or one of CMD_…. */
    int (*run)(struct cmd_args *args);
    /* The exit code of an error, where it is not `code` as docs/exit-codes.md has it: for a program that reads it in its own
     * way. `argv` as the program got it. NULL: it is `code`. */
    int (*exit_code)(const char *const *argv, int code);
};

/* done, but …: exit codes */
enum {
    CMD_DEGRADED = 3,
    CMD_LATER = 75, /* what was asked for is on its way out of cold storage */
};

struct cmd_args {
    const struct cmd *cmd;
    const char *const *words; /* what is no option */
    size_t word_count;
    const char *config_path;  /* --config, or NULL */
    struct {
        const struct cmd_option *option;
        const char *value; /* "" for a flag */
    } *given;
    size_t len, cap;
};

bool cmd_flag(const struct cmd_args *args, const char *name);
const char *cmd_arg(const struct cmd_args *args, const char *name); /* the last one, NULL when not given */
void cmd_arg_all(const struct cmd_args *args, const char *name, struct strv *ret_values);
/* ERROR_USAGE unless there are min to max words. */
int cmd_words(const struct cmd_args *args, size_t min, size_t max);
/* Load the config that --config names. */
int cmd_config(const struct cmd_args *args, struct config **ret_config);
/* What is read later than the config itself: the keys, and the plugins' part of the stores. */
int cmd_config_check(const struct config *config);

/* Print one row of a table or a line of text to stdout; an error of stdout is reported by main. */
void cmd_help(const struct cmd *cmd);
extern const struct cmd *const cmd_table[]; /* NULL-terminated, in the order of the help */

extern const struct cmd cmd_init;
extern const struct cmd cmd_show_config;
extern const struct cmd cmd_check;
extern const struct cmd cmd_backup;
extern const struct cmd cmd_list;
extern const struct cmd cmd_show;
extern const struct cmd cmd_verify;
extern const struct cmd cmd_restore;
extern const struct cmd cmd_thaw;
extern const struct cmd cmd_copy;
extern const struct cmd cmd_sync;
extern const struct cmd cmd_wal;
extern const struct cmd cmd_plugin;
extern const struct cmd cmd_key;

#endif
