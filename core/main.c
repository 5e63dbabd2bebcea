/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask: global options, find the command in the table, return its code. The
 * exit codes are an interface: see docs/exit-codes.md.
 */
#include "config.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/secret.h"
#include "cmd/cmd.h"

#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LOCKED = 4, EXIT_LATER = 75 };

static const struct cmd_option global_options[] = {
    { "config", 'c', "FILE", "the configuration (default: see pgcask.conf(5))" },
    { "verbose", 'v', NULL, "one line for each step; twice: everything" },
    { "help", 'h', NULL, "what there is" },
    { "version", 'V', NULL, "the version" },
    { NULL, 0, NULL, NULL },
};

static int
main_code(int rc)
{
    switch (rc) {
    case ERROR_USAGE:
        return EXIT_USAGE;
    case ERROR_LOCKED:
        return EXIT_LOCKED;
    case PGCASK_COLD:
        return EXIT_LATER;
    default:
        return rc < 0 ? EXIT_FAILED : rc;
    }
}

/* A command line that cannot be read may be that of such a command, too: any of its words counts. */
static int
main_exit_code(const char *const *argv, int rc)
{
    int code = main_code(rc);

    for (const char *const *word = argv; rc < 0 && *word != NULL; word++)
        for (const struct cmd *const *cmd = cmd_table; *cmd != NULL; cmd++)
            if ((*cmd)->exit_code != NULL && strcmp((*cmd)->name, *word) == 0)
                return (*cmd)->exit_code(argv, code);
    return code;
}

static void
main_help(void)
{
    (void)printf("usage: pgcask [-c FILE] [-v] COMMAND …\n\nPlugin-based backup and recovery for PostgreSQL.\n\n");
    for (const struct cmd *const *cmd = cmd_table; *cmd != NULL; cmd++)
        (void)printf("  %-10s %s\n", (*cmd)->name, (*cmd)->summary);
    (void)printf("\n");
    for (const struct cmd_option *option = global_options; option->name != NULL; option++) {
        CLEANUP_FREE char *left = mem_printf("--%s %s", option->name, option->argument ? option->argument : "");

        (void)printf("  -%c, %-14s %s\n", option->letter, left, option->help);
    }
    (void)printf("\n'pgcask COMMAND --help' tells more; so do pgcask(1) and pgcask.conf(5).\n");
}

/* getopt_long's two tables, made from ours. */
struct main_table {
    struct option *longs;
    const struct cmd_option **rows;
    size_t len, cap, row_cap;
    struct buf shorts;
};

static void
main_table_add(struct main_table *table, const struct cmd_option *options)
{
    for (const struct cmd_option *option = options; option != NULL && option->name != NULL; option++) {
        MEM_GROW(table->longs, table->len, table->cap);
        table->rows = mem_realloc_array(table->rows, table->len + 1, sizeof *table->rows);
        table->rows[table->len] = option;
        table->longs[table->len++] = (struct option){ option->name, option->argument ? required_argument : no_argument,
                                                      NULL, 0 };
        if (option->letter != 0)
            (void)buf_addf(&table->shorts, "%c%s", option->letter, option->argument ? ":" : "");
    }
}

static const struct cmd_option *
main_table_row(const struct main_table *table, int letter, int index)
{
    if (letter == 0)
        return table->rows[index];
    for (size_t i = 0; i < table->len; i++)
        if (table->rows[i]->letter == letter)
            return table->rows[i];
    return NULL;
}

/* Why getopt refuses the long option `name`: what begins with it says so. Returns the nearest one, NULL for none. */
static const char *
main_bad_long(const char *name, const struct main_table *table)
{
    CLEANUP_STRV struct strv begun = { 0 };
    CLEANUP_FREE const char **names = mem_realloc_array(NULL, table->len + 1, sizeof *names);
    CLEANUP_FREE char *list = NULL;

    for (size_t i = 0; i < table->len; i++) {
        names[i] = table->longs[i].name;
        if (strncmp(names[i], name, strlen(name)) == 0)
            strv_add(&begun, names[i]);
    }
    if (begun.len == 1 || strv_has(&begun, name)) {
        (void)error_set(ERROR_USAGE, "option '--%s' takes no value", strv_has(&begun, name) ? name : begun.items[0]);
        return NULL;
    }
    if (begun.len == 0 || *name == '\0') {
        (void)error_set(ERROR_USAGE, "there is no option '--%s'", name);
        return parse_nearest(name, names, table->len);
    }
    list = strv_join(&begun, "', '--");
    (void)error_set(ERROR_USAGE, "option '--%s' is not unique: '--%s'", name, list);
    return NULL;
}

static int
main_bad_option(char **argv, const struct main_table *table, int kind, const struct cmd *cmd)
{
    const char *word = argv[optind - 1], *nearest = NULL;

    if (optopt != 0 && kind == '?' && strncmp(word, "--", 2) != 0)
        (void)error_set(ERROR_USAGE, "there is no option '-%c'", optopt);
    else if (kind == ':')
        (void)error_set(ERROR_USAGE, "option '%s' needs a value", word);
    else {
        CLEANUP_FREE char *name = mem_strndup(word + 2, strcspn(word + 2, "="));

        nearest = main_bad_long(name, table);
    }
    return error_hint(ERROR_USAGE, "%s%s%susage: pgcask %s", nearest ? "did you mean '--" : "", nearest ? nearest : "",
                      nearest ? "'? " : "", cmd ? cmd->usage : "[-c FILE] [-v] COMMAND …");
}

/* Parse options up to the first word (stop) or all of them; what is given goes to `args`. */
static int
main_parse(int argc, char **argv, const struct cmd_option *own, bool stop, struct cmd_args *args)
{
    struct main_table table = { .shorts = BUF_INIT(1024) };
    int letter, index = 0, rc = 0;

    (void)buf_adds(&table.shorts, stop ? "+:" : ":");
    main_table_add(&table, global_options);
    main_table_add(&table, own);
    table.longs = mem_realloc_array(table.longs, table.len + 1, sizeof *table.longs);
    memset(&table.longs[table.len], 0, sizeof table.longs[table.len]);
    opterr = 0;
    while (rc == 0 && (letter = getopt_long(argc, argv, table.shorts.data, table.longs, &index)) != -1) {
        const struct cmd_option *row = letter == '?' || letter == ':' ? NULL : main_table_row(&table, letter, index);

        if (row == NULL) {
            rc = main_bad_option(argv, &table, letter, args->cmd);
            break;
        }
        MEM_GROW(args->given, args->len, args->cap);
        args->given[args->len].option = row;
        args->given[args->len++].value = row->argument ? optarg : "";
    }
    free(table.longs);
    free(table.rows);
    buf_free(&table.shorts);
    return rc;
}

static const struct cmd *
main_find(const char *name)
{
    const char *names[32];
    size_t count = 0;
    const char *nearest;

    for (const struct cmd *const *cmd = cmd_table; *cmd != NULL; cmd++) {
        if (strcmp((*cmd)->name, name) == 0)
            return *cmd;
        names[count++] = (*cmd)->name;
    }
    nearest = parse_nearest(name, names, count);
    (void)error_set(ERROR_USAGE, "there is no command '%s'", name);
    if (nearest != NULL)
        (void)error_hint(ERROR_USAGE, "did you mean 'pgcask %s'?", nearest);
    else
        (void)error_hint(ERROR_USAGE, "'pgcask --help' lists the commands");
    return NULL;
}

static void
main_verbosity(const struct cmd_args *args)
{
    int level = LOG_LEVEL_WARN;

    for (size_t i = 0; i < args->len; i++)
        if (args->given[i].option == &global_options[1] && level < LOG_LEVEL_DEBUG)
            level++;
    log_set_level((enum log_level)level);
}

static void
main_version(void)
{
    (void)printf("pgcask %s\n", PACKAGE_VERSION);
}

/* pgcask help [COMMAND] */
static int
main_help_word(const char *name)
{
    const struct cmd *cmd = name ? main_find(name) : NULL;

    if (name != NULL && cmd == NULL)
        return ERROR_USAGE;
    if (cmd != NULL)
        cmd_help(cmd);
    else
        main_help();
    return 0;
}

static int
main_run(int argc, char **argv, struct cmd_args *args)
{
    int rc = main_parse(argc, argv, NULL, true, args);

    if (rc < 0)
        return rc;
    if (cmd_flag(args, "version")) {
        main_version();
        return 0;
    }
    if (optind >= argc) {
        if (cmd_flag(args, "help")) {
            main_help();
            return 0;
        }
        (void)error_set(ERROR_USAGE, "no command was given");
        return error_hint(ERROR_USAGE, "'pgcask --help' lists the commands");
    }
    if (strcmp(argv[optind], "help") == 0)
        return main_help_word(argv[optind + 1]); /* NULL behind the last word */
    if (strcmp(argv[optind], "version") == 0) {
        main_version();
        return 0;
    }
    args->cmd = main_find(argv[optind]);
    if (args->cmd == NULL)
        return ERROR_USAGE;
    argc -= optind;
    argv += optind;
    optind = 0; /* GNU: start anew */
    rc = main_parse(argc, argv, args->cmd->options, false, args);
    if (rc < 0)
        return rc;
    main_verbosity(args);
    if (cmd_flag(args, "help")) {
        cmd_help(args->cmd);
        return 0;
    }
    args->words = (const char *const *)argv + optind;
    args->word_count = (size_t)(argc - optind);
    args->config_path = cmd_arg(args, "config");
    return args->cmd->run(args);
}

/* Whoever closed one of the three must not get our words into the next file that we open. */
static void
main_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", O_RDWR); /* takes the lowest number there is */
}

int
main(int argc, char **argv)
{
    struct cmd_args args = { 0 };
    int rc;

    secret_harden_process();
    main_streams();
    (void)umask(077);
    (void)mallopt(M_ARENA_MAX, 2); /* many threads, few small allocations: no arena for each */
    cancel_start();
    rc = main_run(argc, argv, &args);
    if (rc < 0)
        log_slot_error();
    free(args.given);
    if (fflush(stdout) != 0) {
        log_error("could not write to stdout");
        rc = PGCASK_FAILED;
    }
    return main_exit_code((const char *const *)argv, rc);
}
