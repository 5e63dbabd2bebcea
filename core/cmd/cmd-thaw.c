/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask thaw ID|latest: bring a backup out of cold storage, for verify, copy and
 * whoever else wants to read it.
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "pipeline/repo.h"
#include "pipeline/thaw.h"

#include <stdio.h>
#include <stdlib.h>

static const struct cmd_option options[] = {
    { "tier", 0, "NAME", "how fast to bring it: expedited, standard (default) or bulk" },
    { "days", 0, "N", "how long it is to be readable (default: 7)" },
    { "wait", 0, NULL, "wait until it is there, instead of coming back later" },
    { "poll", 0, "TIME", "with --wait: how often to look (default: 1min)" },
    { "cluster", 0, "NAME", "of this cluster (needed when the config has several)" },
    { "store", 0, "NAME", "the copy in this store (default: the first one that is cold)" },
    { "job", 0, "NAME", "with latest: of this job" },
    { NULL, 0, NULL, NULL },
};

static int
thaw_options(const struct cmd_args *args, struct thaw_options *options_given)
{
    int rc = thaw_set_tier(options_given, cmd_arg(args, "tier"));

    if (rc < 0)
        return error_context(rc, "--tier");
    rc = thaw_set_days(options_given, cmd_arg(args, "days"));
    if (rc < 0)
        return error_context(rc, "--days");
    rc = thaw_set_poll(options_given, cmd_arg(args, "poll"));
    if (rc < 0)
        return error_context(rc, "--poll");
    options_given->wait = cmd_flag(args, "wait");
    return 0;
}

/* "ID STORE thawed until TIME" */
static void
thaw_print(const struct manifest *manifest, const struct thaw *thaw)
{
    int64_t until_s;
    int tier = thaw_tier(thaw, &until_s);
    CLEANUP_FREE char *until = until_s > 0 ? clock_iso(until_s) : NULL;

    (void)printf("%s %s %s%s%s\n", manifest->id, storage_name(thaw->storage), thaw_word(tier), until ? " until " : "",
                 until ? until : "");
}

static int
thaw_copy(const struct manifest *manifest, struct thaw *thaw, const struct thaw_options *wanted)
{
    int rc = thaw_bring(thaw, wanted);

    if (rc < 0 && rc != PGCASK_COLD)
        return rc;
    if (rc == PGCASK_COLD) {
        log_slot_warn("come back later");
        rc = CMD_LATER;
    }
    thaw_print(manifest, thaw);
    return rc;
}

/* The first copy that is cold, of those that are not bad, if there are any. */
static int
thaw_chosen(const struct repo *repo, const struct catalog_backup *backup, const struct manifest *manifest,
            const struct thaw_options *wanted)
{
    bool all_bad = catalog_state(backup) == CATALOG_BAD;

    for (size_t i = 0; i < backup->len; i++) {
        const struct catalog_copy *copy = &backup->copies[i];
        CLEANUP_THAW struct thaw thaw = { .storage = repo->stores.items[copy->store] };
        int rc;

        if (!copy->manifest || (copy->state == CATALOG_BAD && !all_bad))
            continue;
        thaw_add_members(&thaw, repo->catalog, copy, manifest);
        rc = thaw_look(&thaw);
        if (rc < 0)
            return rc;
        if (!thaw_all_readable(&thaw))
            return thaw_copy(manifest, &thaw, wanted);
        thaw_print(manifest, &thaw);
    }
    return 0;
}

static int
thaw_run(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_REPO struct repo repo = { 0 };
    struct thaw_options wanted = THAW_OPTIONS_INIT;
    struct catalog_backup *backup;
    const struct manifest *manifest;
    int rc = cmd_words(args, 1, 1);

    if (rc == 0)
        rc = thaw_options(args, &wanted);
    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = repo_open(config, cmd_arg(args, "cluster"), cmd_arg(args, "store"), PGCASK_OPEN_READONLY, &repo);
    if (rc == 0)
        rc = repo_find(&repo, args->words[0], cmd_arg(args, "job"), &backup, &manifest);
    return rc < 0 ? rc : thaw_chosen(&repo, backup, manifest, &wanted);
}

const struct cmd cmd_thaw = {
    .name = "thaw",
    .usage = "thaw ID|latest [--tier NAME] [--days N] [--wait] [--store NAME]",
    .summary = "Bring a backup out of cold storage",
    .options = options,
    .run = thaw_run,
};
