/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask config: the effective settings and where each came from.
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/error.h"
#include "base/json.h"
#include "pipeline/keys.h"
#include "plugin/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cmd_option options[] = {
    { "json", 0, NULL, "as JSON" },
    { NULL, 0, NULL, NULL },
};

static void
config_row_text(void *ctx, const char *key, const char *value, const char *origin)
{
    (void)ctx;
    if (value != NULL)
        (void)printf("%-20s = %-40s ; %s\n", key, value, origin);
    else
        (void)printf("%-20s   %-40s ; not set\n", key, "");
}

static void
config_row_json(void *ctx, const char *key, const char *value, const char *origin)
{
    json_t *row = json_object();

    (void)json_object_set_new(row, "value", value ? json_text(value) : json_null());
    (void)json_object_set_new(row, "origin", json_text(origin));
    (void)json_object_set_new(ctx, key, row);
}

/* One section; `more` (may be NULL) are the plugin's settings. */
static void
config_section(json_t *all, const char *kind, const char *name, const struct option_set *set, const struct option_set *more)
{
    CLEANUP_FREE char *title = *name ? mem_printf("%s %s", kind, name) : mem_strdup(kind);
    json_t *rows = NULL;

    if (all != NULL) {
        rows = json_object();
        (void)json_object_set_new(all, title, rows);
    } else
        (void)printf("[%s]\n", title);
    option_show(set, all ? config_row_json : config_row_text, rows);
    if (more != NULL)
        option_show(more, all ? config_row_json : config_row_text, rows);
    if (all == NULL)
        (void)printf("\n");
}

/* The plugin's part of a [store] section, checked as opening it would. */
static int
config_store(const struct config_item *item, struct option_set **ret_set)
{
    const struct plugin *plugin;
    int rc = plugin_load(PLUGIN_STORAGE, item->store->plugin, &plugin);

    if (rc < 0) {
        (void)config_context(item->section, "plugin");
        return rc;
    }
    return option_fill(&plugin->table, &config_kind("store")->table, item->section, ret_set);
}

int
cmd_config_check(const struct config *config)
{
    CLEANUP(age_recipients_free) struct age_recipients *recipients = NULL;
    CLEANUP(age_identities_free) struct age_identities *identities = NULL;
    int rc = config->jobs.len > 0 ? keys_recipients(config, &recipients) : 0;

    if (rc == 0)
        rc = keys_identities(config, false, &identities);
    for (size_t i = 0; rc == 0 && i < config->stores.len; i++) {
        CLEANUP(option_set_free) struct option_set *set = NULL;

        rc = config_store(&config->stores.items[i], &set);
    }
    return rc;
}

static int
config_sections(const struct config *config, json_t *all)
{
    const struct {
        const char *kind;
        const struct config_items *items;
    } kinds[] = { { "cluster", &config->clusters }, { "store", &config->stores }, { "job", &config->jobs },
                  { "check", &config->checks } };

    config_section(all, "pgcask", "", config->main_set, NULL);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (size_t j = 0; j < kinds[i].items->len; j++) {
            const struct config_item *item = &kinds[i].items->items[j];
            CLEANUP(option_set_free) struct option_set *more = NULL;
            int rc = kinds[i].items == &config->stores ? config_store(item, &more) : 0;

            if (rc < 0)
                return rc;
            config_section(all, kinds[i].kind, item->name, item->set, more);
        }
    return 0;
}

static int
config_run(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_JSON json_t *all = cmd_flag(args, "json") ? json_object() : NULL;
    CLEANUP_FREE char *text = NULL;
    int rc = cmd_words(args, 0, 0);

    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = cmd_config_check(config);
    if (rc < 0)
        return rc;
    if (all == NULL)
        (void)printf("; %s\n; state directory %s, %d jobs at a time\n\n", config->ini->path, config->state_dir,
                     config->workers);
    rc = config_sections(config, all);
    if (rc == 0 && all != NULL) {
        text = json_pretty(all);
        (void)fputs(text, stdout);
    }
    return rc;
}

const struct cmd cmd_show_config = {
    .name = "config",
    .usage = "config [--json]",
    .summary = "Check the config and show the effective settings",
    .options = options,
    .run = config_run,
};
