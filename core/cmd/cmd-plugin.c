/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask plugin list | info NAME | check NAME: what plugins there are, what they say about themselves, and whether
 * they do what pgcask relies on.
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "plugin/conform.h"
#include "plugin/host.h"

#include <stdio.h>
#include <string.h>

static int cmd_plugin_run(struct cmd_args *args);

static const struct cmd_option cmd_plugin_options[] = {
    { "set", 's', "KEY=VALUE", "check: a setting of the store to try; may be given again" },
    { "keys", 'k', "N", "check: objects of the long listing (default 2000; fewer for a slow store)" },
    { "cold", 0, "DURATION", "check: wait so long for an object to turn cold, and to thaw; installs tiering rules" },
    { NULL, 0, NULL, NULL },
};
const struct cmd cmd_plugin = {
    .name = "plugin",
    .usage = "plugin list | info NAME | check NAME [--set KEY=VALUE]… [--keys N] [--cold DURATION]",
    .summary = "List the plugins, describe one, or try whether it can be trusted with backups",
    .options = cmd_plugin_options,
    .run = cmd_plugin_run,
};

static bool
cmd_plugin_ends_with(const char *text, const char *tail)
{
    size_t len = strlen(text), tail_len = strlen(tail);

    return len >= tail_len && strcmp(text + len - tail_len, tail) == 0;
}

static enum plugin_kind
cmd_plugin_kind_of_file(const char *path)
{
    return cmd_plugin_ends_with(path, "-notifier.so") ? PLUGIN_NOTIFIER : PLUGIN_STORAGE;
}

/* A name that both kinds have means the storage plugin; the path of the file tells them apart. */
static int
cmd_plugin_load(const char *name, const struct plugin **ret_plugin)
{
    CLEANUP_STRV struct strv paths = { 0 };
    CLEANUP_FREE char *storage = mem_printf("/pgcask-%s-storage.so", name);
    CLEANUP_FREE char *notifier = mem_printf("/pgcask-%s-notifier.so", name);
    enum plugin_kind kind = PLUGIN_STORAGE;
    int rc;

    if (name[0] == '/')
        return plugin_load(cmd_plugin_kind_of_file(name), name, ret_plugin);
    rc = plugin_find_all(&paths);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < paths.len; i++) {
        if (cmd_plugin_ends_with(paths.items[i], storage))
            kind = PLUGIN_STORAGE;
        else if (cmd_plugin_ends_with(paths.items[i], notifier))
            kind = PLUGIN_NOTIFIER;
        else
            continue;
        if (kind == PLUGIN_STORAGE)
            break;
    }
    return plugin_load(kind, name, ret_plugin);
}

/* A plugin that cannot be loaded is told, and does not hide the others. */
static int
cmd_plugin_list(const struct cmd_args *args)
{
    CLEANUP_STRV struct strv paths = { 0 };
    size_t broken = 0;
    int rc = cmd_words(args, 1, 1);

    if (rc == 0)
        rc = plugin_find_all(&paths);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < paths.len; i++) {
        enum plugin_kind kind = cmd_plugin_kind_of_file(paths.items[i]);
        const struct plugin *plugin;

        if (plugin_load(kind, paths.items[i], &plugin) < 0) {
            log_slot_warn("left out");
            broken++;
            continue;
        }
        (void)printf("%-12s %-9s %-10s %s\n", plugin->name, kind == PLUGIN_STORAGE ? "storage" : "notifier",
                     plugin->version, plugin->summary);
    }
    if (broken > 0)
        return error_set(PGCASK_FAILED, "%zu of %zu plugins cannot be used", broken, paths.len);
    return 0;
}

static int
cmd_plugin_info(const struct cmd_args *args)
{
    CLEANUP_BUF struct buf text = BUF_INIT(1024 * 1024);
    const struct plugin *plugin;
    int rc = cmd_words(args, 2, 2);

    if (rc == 0)
        rc = cmd_plugin_load(args->words[1], &plugin);
    if (rc == 0)
        rc = plugin_describe(plugin, &text);
    if (rc < 0)
        return rc;
    (void)fputs(text.data, stdout);
    return 0;
}

static void
cmd_plugin_print(void *ctx, const char *line)
{
    (void)ctx;
    (void)puts(line);
    (void)fflush(stdout); /* some cases take long; who waits wants to see where it is */
}

static int
cmd_plugin_keys(const struct cmd_args *args, unsigned *ret_keys)
{
    const char *text = cmd_arg(args, "keys");
    int64_t keys = CONFORM_KEYS_DEFAULT;
    int rc = text != NULL ? parse_int64(text, &keys) : 0;

    if (rc == 0 && (keys < 1 || keys > 1000000))
        rc = error_set(ERROR_USAGE, "%s is not in the range 1 to 1000000", text);
    if (rc < 0)
        return error_context(ERROR_USAGE, "--keys");
    *ret_keys = (unsigned)keys;
    return 0;
}

static int
cmd_plugin_check(const struct cmd_args *args)
{
    CLEANUP_STRV struct strv words = { 0 };
    struct conform_spec spec = { .print = cmd_plugin_print };
    int rc = cmd_words(args, 2, 2);

    if (rc == 0)
        rc = cmd_plugin_keys(args, &spec.keys);
    if (rc == 0 && cmd_arg(args, "cold") != NULL && parse_duration(cmd_arg(args, "cold"), &spec.cold_ms) < 0)
        rc = error_context(ERROR_USAGE, "--cold");
    if (rc == 0)
        rc = cmd_plugin_load(args->words[1], &spec.plugin);
    if (rc < 0)
        return rc;
    cmd_arg_all(args, "set", &words);
    spec.words = (const char *const *)words.items;
    spec.word_count = words.len;
    return spec.plugin->kind == PLUGIN_STORAGE ? conform_storage(&spec) : conform_notifier(&spec);
}

static int
cmd_plugin_run(struct cmd_args *args)
{
    static const struct {
        const char *word;
        int (*run)(const struct cmd_args *args);
    } actions[] = {
        { "list", cmd_plugin_list },
        { "info", cmd_plugin_info },
        { "check", cmd_plugin_check },
    };
    int rc = cmd_words(args, 1, 2);

    if (rc < 0)
        return rc;
    if (args->config_path != NULL) {
        struct config *config;

        rc = cmd_config(args, &config); /* for plugin_dir */
        if (rc < 0)
            return rc;
        config_free(config);
    }
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strcmp(args->words[0], actions[i].word) == 0)
            return actions[i].run(args);
    (void)error_set(ERROR_USAGE, "'plugin' cannot '%s', wanted list, info or check", args->words[0]);
    return error_hint(ERROR_USAGE, "usage: pgcask %s", args->cmd->usage);
}
