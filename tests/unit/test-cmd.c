/* SPDX-License-Identifier: PostgreSQL
 *
 * What commands have in common: their table, their options as given, their help.
 */
#include "config.h"

#include "cmd/cmd.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "unit-dir.h"
#include "unit-talk.h"
#include "unit.h"

enum { LINE_COLUMNS = 120 };

static const struct cmd_option options[] = {
    { "table", 't', "SCHEMA.TABLE", "a table (repeatable)" },
    { "into", 0, "NAME", "the new name" },
    { "deep", 'd', NULL, "all of it" },
    { "a-very-long-name-of-an-option", 0, "VALUE", "longer than its column" },
    { NULL, 0, NULL, NULL },
};

static const struct cmd sample = {
    .name = "sample",
    .usage = "sample ID [--deep]",
    .summary = "Do something",
    .options = options,
};

/* sample --table a --deep --table b --into "" WORD… */
static const struct cmd_args *
given(const char *const *words, size_t count)
{
    static struct cmd_args args;
    static const int order[] = { 0, 2, 0, 1 };
    static const char *const values[] = { "a", "", "b", "" };

    args = (struct cmd_args){ .cmd = &sample, .words = words, .word_count = count };
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        MEM_GROW(args.given, args.len, args.cap);
        args.given[args.len].option = &options[order[i]];
        args.given[args.len++].value = values[i];
    }
    return &args;
}

/* ---- options as given ---- */

static const struct arg_row {
    const char *name;
    const char *last; /* NULL: not given */
    const char *all;
} arg_rows[] = {
    { "table", "b", "a b" },  /* of one that is repeated the last */
    { "deep", "", "" },       /* a flag */
    { "into", "", "" },       /* given, with nothing in it */
    { "tab", NULL, "" },      /* not the beginning of another */
    { "a-very-long-name-of-an-option", NULL, "" },
    { "unknown", NULL, "" },
};

START_TEST(an_option_is_found_by_its_whole_name)
{
    const struct arg_row *row = &arg_rows[_i];
    const struct cmd_args *args = given(NULL, 0);
    CLEANUP_STRV struct strv all = { 0 };
    CLEANUP_FREE char *joined = NULL;

    ck_assert_pstr_eq(cmd_arg(args, row->name), row->last);
    ck_assert_int_eq(cmd_flag(args, row->name), row->last != NULL);
    cmd_arg_all(args, row->name, &all);
    joined = strv_join(&all, " ");
    ck_assert_str_eq(joined, row->all);
    free(args->given);
}
END_TEST

static const struct word_row {
    size_t count, min, max;
    const char *error; /* NULL: none */
} word_rows[] = {
    { 0, 0, 0, NULL },
    { 1, 0, 1, NULL },
    { 2, 1, 2, NULL },
    { 0, 1, 1, "'sample' lacks 1 word" },
    { 1, 2, 3, "'sample' lacks 1 word" },
    { 1, 0, 0, "'sample': 'first' is one word too many" },
    { 3, 0, 1, "'sample': 'second' is one word too many" }, /* the first that is too many */
};

START_TEST(words_are_counted)
{
    static const char *const words[] = { "first", "second", "third" };
    const struct word_row *row = &word_rows[_i];
    const struct cmd_args *args = given(words, row->count);

    ck_assert_int_eq(cmd_words(args, row->min, row->max), row->error ? ERROR_USAGE : 0);
    if (row->error != NULL) {
        ck_assert_str_eq(error_text(), row->error);
        ck_assert_str_eq(error_cure(), "usage: pgcask sample ID [--deep]");
    }
    free(args->given);
}
END_TEST

START_TEST(the_config_is_the_one_that_is_named)
{
    CLEANUP_FREE char *path = NULL;
    struct cmd_args args = { .cmd = &sample };
    CLEANUP(config_free) struct config *config = NULL;

    dir_make();
    path = dir_path("my.ini");
    args.config_path = path;
    ck_assert_int_eq(cmd_config(&args, &config), ERROR_USAGE);
    ck_assert_error_has(path);
    ck_assert_ptr_null(config);
    dir_put(path, "[cluster chain]\nconninfo = dbname=d\n", 0600);
    ck_assert_msg(cmd_config(&args, &config) == 0, "%s", error_text());
    ck_assert_str_eq(config->clusters.items[0].name, "chain");
    dir_remove();
}
END_TEST

/* ---- help ---- */

START_TEST(help_shows_usage_and_every_option)
{
    struct talk talk = talk_begin(STDOUT_FILENO);
    CLEANUP_FREE char *text = NULL;

    cmd_help(&sample);
    text = talk_end(&talk);
    ck_assert_str_eq(text, "usage: pgcask sample ID [--deep]\n"
                           "\n"
                           "Do something\n"
                           "\n"
                           "  -t, --table SCHEMA.TABLE       a table (repeatable)\n"
                           "      --into NAME                the new name\n"
                           "  -d, --deep                     all of it\n"
                           "      --a-very-long-name-of-an-option VALUE longer than its column\n"
                           "\n"
                           "See pgcask-sample(1).\n");
}
END_TEST

START_TEST(help_does_without_options)
{
    static const struct cmd bare = { .name = "bare", .usage = "bare", .summary = "Do nothing" };
    struct talk talk = talk_begin(STDOUT_FILENO);
    CLEANUP_FREE char *text = NULL;

    cmd_help(&bare);
    text = talk_end(&talk);
    ck_assert_has(text, "usage: pgcask bare\n\nDo nothing\n");
}
END_TEST

/* ---- the table ---- */

static size_t
table_len(void)
{
    size_t len = 0;

    while (cmd_table[len] != NULL)
        len++;
    return len;
}

START_TEST(every_command_is_described)
{
    for (size_t i = 0; i < table_len(); i++) {
        const struct cmd *cmd = cmd_table[i];

        ck_assert_msg(strncmp(cmd->usage, cmd->name, strlen(cmd->name)) == 0, "usage of '%s'", cmd->name);
        ck_assert_msg(isupper((unsigned char)cmd->summary[0]) && cmd->summary[strlen(cmd->summary) - 1] != '.',
                      "summary of '%s'", cmd->name);
        ck_assert_ptr_nonnull(cmd->run);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(cmd->name, cmd_table[j]->name);
    }
    ck_assert_uint_gt(table_len(), 0);
}
END_TEST

/* main.c takes -c -v -h -V and their long names away from all commands. */
START_TEST(no_option_hides_another)
{
    static const char *const global_names[] = { "config", "verbose", "help", "version" };
    static const char global_letters[] = "cvhV";

    for (size_t i = 0; i < table_len(); i++) {
        const struct cmd_option *rows = cmd_table[i]->options;

        for (size_t j = 0; rows != NULL && rows[j].name != NULL; j++) {
            for (size_t k = 0; k < ARRAY_LEN(global_names); k++)
                ck_assert_str_ne(rows[j].name, global_names[k]);
            if (rows[j].letter != 0)
                ck_assert_msg(strchr(global_letters, rows[j].letter) == NULL, "-%c", rows[j].letter);
            for (size_t k = 0; k < j; k++) {
                ck_assert_str_ne(rows[j].name, rows[k].name);
                ck_assert_msg(rows[j].letter == 0 || rows[j].letter != rows[k].letter, "-%c of '%s'", rows[j].letter,
                              cmd_table[i]->name);
            }
        }
    }
}
END_TEST

START_TEST(options_read_well)
{
    for (size_t i = 0; i < table_len(); i++) {
        const struct cmd_option *rows = cmd_table[i]->options;

        for (size_t j = 0; rows != NULL && rows[j].name != NULL; j++) {
            const char *name = rows[j].name, *help = rows[j].help, *argument = rows[j].argument;

            ck_assert_msg(name[strspn(name, "abcdefghijklmnopqrstuvwxyz-")] == '\0' && *name != '-', "--%s", name);
            ck_assert_msg(*help != '\0' && help[strlen(help) - 1] != '.', "help of --%s", name);
            ck_assert_msg(strlen(help) + 33 <= LINE_COLUMNS, "help of --%s is long", name);
            for (const char *p = argument ? argument : ""; *p != '\0'; p++)
                ck_assert_msg(!islower((unsigned char)*p), "argument of --%s", name);
        }
    }
}
END_TEST

static Suite *
cmd_suite(void)
{
    Suite *suite = suite_create("cmd");
    TCase *args = tcase_create("args"), *help = tcase_create("help"), *table = tcase_create("table");

    tcase_add_loop_test(args, an_option_is_found_by_its_whole_name, 0, ARRAY_LEN(arg_rows));
    tcase_add_loop_test(args, words_are_counted, 0, ARRAY_LEN(word_rows));
    tcase_add_test(args, the_config_is_the_one_that_is_named);
    suite_add_tcase(suite, args);
    tcase_add_test(help, help_shows_usage_and_every_option);
    tcase_add_test(help, help_does_without_options);
    suite_add_tcase(suite, help);
    tcase_add_test(table, every_command_is_described);
    tcase_add_test(table, no_option_hides_another);
    tcase_add_test(table, options_read_well);
    suite_add_tcase(suite, table);
    return suite;
}

UNIT_MAIN(cmd_suite)
