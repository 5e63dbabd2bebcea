/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask check: is all in place for the next backup and the next restore?
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipeline/inspect.h"

#include <stdio.h>
#include <stdlib.h>

static const struct cmd_option options[] = {
    { "fix", 0, NULL, "mend what is safe to mend" },
    { "store", 0, "NAME", "look at this store only" },
    { "json", 0, NULL, "as JSON" },
    { NULL, 0, NULL, NULL },
};

/* By PGCASK_CHECK_…; they are an interface. */
static const char *const outcome_words[] = { "ok", "fixed", "warn", "bad" };

struct check_cmd {
    json_t *rows; /* NULL: each finding is a line, told at once */
    size_t count, bad;
};

static void
check_row_json(json_t *rows, const struct finding_told *finding)
{
    json_t *row = json_object();

    (void)json_object_set_new(row, "outcome", json_text(outcome_words[finding->outcome]));
    (void)json_object_set_new(row, "kind", json_text(finding->kind));
    (void)json_object_set_new(row, "name", finding->name != NULL ? json_text(finding->name) : json_null());
    (void)json_object_set_new(row, "text", json_text(finding->text));
    (void)json_object_set_new(row, "cure", finding->cure != NULL ? json_text(finding->cure) : json_null());
    (void)json_array_append_new(rows, row);
}

static void
check_row_text(const struct finding_told *finding)
{
    CLEANUP_FREE char *about = finding->name != NULL ? mem_printf("%s '%s'", finding->kind, finding->name)
                                                     : mem_strdup(finding->kind);
    CLEANUP_FREE char *line = mem_printf("%-6s %s: %s", outcome_words[finding->outcome], about, finding->text);
    CLEANUP_FREE char *safe = log_defuse(line), *cure = finding->cure != NULL ? log_defuse(finding->cure) : NULL;

    (void)printf("%s\n", safe);
    if (cure != NULL)
        (void)printf("       HINT: %s\n", cure);
    (void)fflush(stdout); /* some steps take a while */
}

static void
check_say(void *ctx, const struct finding_told *finding)
{
    struct check_cmd *check = ctx;

    check->count++;
    check->bad += finding->outcome == PGCASK_CHECK_BAD;
    if (check->rows != NULL)
        check_row_json(check->rows, finding);
    else
        check_row_text(finding);
}

/* All but the stores. */
static int
check_host(const struct inspect *inspect)
{
    int rc;

    inspect_say(inspect, "config", inspect->config->ini->path, PGCASK_CHECK_OK, NULL,
                "clusters: %zu, stores: %zu, jobs: %zu", inspect->config->clusters.len, inspect->config->stores.len,
                inspect->config->jobs.len);
    rc = inspect_state_dir(inspect);
    if (rc == 0)
        rc = inspect_keys(inspect);
    for (size_t i = 0; rc == 0 && i < inspect->config->clusters.len; i++)
        rc = inspect_cluster(inspect, &inspect->config->clusters.items[i]);
    return rc;
}

static int
check_stores(const struct inspect *inspect)
{
    const struct config_items *stores = &inspect->config->stores;
    char **repositories = mem_zalloc((stores->len + 1) * sizeof *repositories);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < stores->len; i++)
        rc = inspect_store(inspect, &stores->items[i], &repositories[i]);
    if (rc == 0)
        rc = inspect_repositories(inspect, repositories);
    for (size_t i = 0; i < stores->len; i++)
        free(repositories[i]);
    free(repositories);
    return rc;
}

static int
check_one_store(const struct inspect *inspect, const char *name)
{
    const struct config_item *store;
    CLEANUP_FREE char *repository = NULL;
    int rc = config_find(&inspect->config->stores, "store", name, &store);

    return rc < 0 ? rc : inspect_store(inspect, store, &repository);
}

static int
check_run(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_JSON json_t *rows = cmd_flag(args, "json") ? json_array() : NULL;
    struct check_cmd check = { .rows = rows };
    struct inspect inspect = { .fix = cmd_flag(args, "fix"), .say = check_say, .ctx = &check };
    const char *store = cmd_arg(args, "store");
    int rc = cmd_words(args, 0, 0);

    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = cmd_config_check(config);
    if (rc < 0)
        return rc;
    inspect.config = config;
    if (store != NULL)
        rc = check_one_store(&inspect, store);
    else
        rc = check_host(&inspect);
    if (rc == 0 && store == NULL)
        rc = check_stores(&inspect);
    if (rc == 0 && rows != NULL) {
        CLEANUP_FREE char *text = json_pretty(rows);

        (void)fputs(text, stdout);
    }
    if (rc == 0 && check.bad > 0)
        rc = error_set(PGCASK_FAILED, "%zu of %zu findings are bad", check.bad, check.count);
    return rc;
}

const struct cmd cmd_check = {
    .name = "check",
    .usage = "check [--fix] [--store NAME] [--json]",
    .summary = "Try the server, the keys and the stores before they are needed",
    .options = options,
    .run = check_run,
};
