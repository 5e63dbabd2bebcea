/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask verify [ID|latest|--all]: read backups back, in every store.
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/error.h"
#include "base/log.h"
#include "pg/tools.h"
#include "pipeline/keys.h"
#include "pipeline/repo.h"
#include "pipeline/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cmd_option options[] = {
    { "all", 0, NULL, "every backup there is" },
    { "deep", 0, NULL, "decrypt and decompress; needs the identity" },
    { "cluster", 0, "NAME", "of this cluster (needed when the config has several)" },
    { "store", 0, "NAME", "in this store only" },
    { "job", 0, "NAME", "of this job only" },
    { NULL, 0, NULL, NULL },
};

struct verify_cmd {
    struct repo repo;
    struct crew *crew;
    struct age_identities *identities;
    struct pg_tools *tools;
    struct strv list_argv;
    bool deep;
    size_t good, bad, failed; /* copies; failed: not to be told */
    size_t cold;              /* of those, copies that cannot be read now */
    size_t locked; /* backups that no key of this host opens */
};

/* pg_restore for the tables of contents: worth a warning when it is not here, no failure. */
static void
verify_tools(struct verify_cmd *verify)
{
    const struct config_cluster *cluster = verify->repo.cluster->cluster;
    struct pg_tools_spec spec = { .exec = cluster->exec, .bindir = cluster->bindir, .conninfo = cluster->conninfo };

    if (pg_tools_find(&spec, &verify->tools) < 0)
        log_slot_warn("the archives' tables of contents are not looked at");
    else
        pg_tools_argv(verify->tools, "pg_restore", &verify->list_argv);
}

static void
verify_remember(struct storage *storage, const struct manifest *manifest, enum verify_depth depth, const char *problem)
{
    if (verify_record(storage, manifest, depth, problem) < 0)
        log_slot_warn("the outcome is not recorded");
}

static int
verify_one_copy(struct verify_cmd *verify, const struct manifest *manifest, const struct catalog_copy *copy)
{
    static const char *const words[] = {
        [VERIFY_STORED] = "stored bytes",
        [VERIFY_PLAIN] = "plain bytes",
        [VERIFY_CONFIRMED] = "sizes: cold",
    };
    struct storage *storage = verify->repo.stores.items[copy->store];
    struct verify_spec spec = {
        .crew = verify->crew,
        .streams = (unsigned)verify->repo.config->workers,
        .storage = storage,
        .manifest = manifest,
        .identities = verify->identities,
        .list_argv = verify->tools ? &verify->list_argv : NULL,
        .deep = verify->deep,
    };
    enum verify_depth depth = verify->deep ? VERIFY_PLAIN : VERIFY_STORED;
    int rc = verify_copy(&spec, &depth);

    if (rc == PGCASK_COLD) {
        log_info("%s", error_text());
        rc = verify_confirm(&spec);
        depth = VERIFY_CONFIRMED;
        if (rc == 0 && copy->state == CATALOG_BAD) { /* right sizes do not heal it */
            rc = error_set(ERROR_CORRUPT, "store '%s': backup '%s' was bad when it was last read, and is in cold storage now",
                           storage_name(storage), manifest->id);
            (void)error_hint(rc, "'pgcask sync' replaces it from another store; 'pgcask thaw' makes it readable, to look again");
        }
    }
    if (rc == ERROR_CANCELLED || rc == ERROR_USAGE) /* the wrong key says nothing of the bytes */
        return rc;
    if (rc < 0 && !verify_is_bad(rc)) {
        log_slot_error();
        verify->failed++;
        (void)printf("%s %s not verified\n", manifest->id, storage_name(storage));
        return 0;
    }
    if (rc < 0) {
        CLEANUP_FREE char *problem = mem_strdup(error_text());

        log_slot_error();
        verify->bad++;
        (void)printf("%s %s bad\n", manifest->id, storage_name(storage));
        if (depth != VERIFY_CONFIRMED || copy->state != CATALOG_BAD) /* what was found when it could be read says more */
            verify_remember(storage, manifest, depth, problem);
        return 0;
    }
    verify->good++;
    verify->cold += depth == VERIFY_CONFIRMED;
    (void)printf("%s %s good (%s)\n", manifest->id, storage_name(storage), words[depth]);
    /* what was read when it could be read says more */
    if (depth != VERIFY_CONFIRMED || copy->state != CATALOG_GOOD)
        verify_remember(storage, manifest, depth, NULL);
    return 0;
}

static int
verify_backup(struct verify_cmd *verify, struct catalog_backup *backup)
{
    const struct manifest *manifest;
    int rc = catalog_manifest(verify->repo.catalog, backup, &manifest);

    if (rc < 0) {
        log_slot_error();
        verify->bad++;
        (void)printf("%s - bad\n", backup->id);
        return 0;
    }
    if (verify->deep && !verify_can_decrypt(manifest, verify->identities)) {
        (void)error_set(ERROR_USAGE, "backup '%s' cannot be decrypted with the keys of this host", backup->id);
        return error_hint(ERROR_USAGE, "set identity_file (or passphrase) in [pgcask], or verify without --deep");
    }
    for (size_t i = 0; rc == 0 && i < backup->len; i++)
        if (backup->copies[i].manifest)
            rc = verify_one_copy(verify, manifest, &backup->copies[i]);
    return rc;
}

/* Whoever names a backup wants it to be read, and no copy of it could be. */
static int
verify_all_cold(const struct cmd_args *args, const struct catalog_backup *backup)
{
    const char *store = cmd_arg(args, "store");

    (void)error_set(PGCASK_COLD, "backup '%s' is in cold storage%s%s%s: only its sizes were compared", backup->id,
                    store ? " in store '" : "", store ? store : "", store ? "'" : "");
    return error_hint(PGCASK_COLD, "'pgcask thaw %s%s%s' makes it readable for some days", backup->id,
                      store ? " --store " : "", store ? store : "");
}

static int
verify_chosen(struct verify_cmd *verify, const struct cmd_args *args)
{
    struct catalog_backup *backup;
    const char *job = cmd_arg(args, "job");
    size_t matching = 0;
    int rc = 0;

    if (!cmd_flag(args, "all")) {
        rc = catalog_find(verify->repo.catalog, args->word_count ? args->words[0] : "latest", job, &backup);
        if (rc == 0)
            rc = verify_backup(verify, backup);
        return rc == 0 && verify->cold > 0 && verify->cold == verify->good ? verify_all_cold(args, backup) : rc;
    }
    catalog_prefetch(verify->repo.catalog, job);
    for (size_t i = 0; rc == 0 && i < verify->repo.catalog->len; i++) {
        backup = &verify->repo.catalog->backups[i];
        if (!catalog_exists(backup) || (job != NULL && strcmp(backup->job, job) != 0))
            continue;
        matching++;
        rc = verify_backup(verify, backup);
        if (rc == ERROR_USAGE) { /* made for another key: that must not hide what is wrong with the others */
            log_slot_error();
            (void)printf("%s - not verified\n", backup->id);
            verify->locked++;
            rc = 0;
        }
    }
    if (matching > 0)
        return rc;
    /* who checks once a week wants to hear of it */
    repo_tell_empty(&verify->repo, cmd_arg(args, "store"));
    return job ? error_set(PGCASK_FAILED, "there is no backup of job '%s' to verify", job)
               : error_set(PGCASK_FAILED, "there is no backup to verify");
}

static int
verify_run(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    struct verify_cmd verify = { .deep = cmd_flag(args, "deep") };
    int rc = cmd_words(args, 0, cmd_flag(args, "all") ? 0 : 1);

    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = repo_open(config, cmd_arg(args, "cluster"), cmd_arg(args, "store"), STORES_EXISTING, &verify.repo);
    if (rc == 0 && verify.deep)
        rc = keys_identities(config, false, &verify.identities);
    if (rc == 0) {
        if (verify.deep)
            verify_tools(&verify);
        verify.crew = crew_new((unsigned)config->workers, 1);
        rc = verify_chosen(&verify, args);
    }
    if (rc == 0 && verify.bad > 0)
        rc = error_set(PGCASK_FAILED, "%zu of %zu copies are bad", verify.bad, verify.bad + verify.good);
    if (rc == 0 && verify.failed > 0)
        rc = error_set(PGCASK_FAILED, "%zu copies could not be verified", verify.failed);
    if (rc == 0 && verify.locked > 0)
        rc = error_set(ERROR_USAGE, "%zu backups are not verified: no key of this host opens them", verify.locked);
    if (rc == 0 && verify.repo.stores.failed > 0)
        rc = CMD_DEGRADED;
    crew_free(verify.crew);
    age_identities_free(verify.identities);
    pg_tools_free(verify.tools);
    strv_free(&verify.list_argv);
    repo_close(&verify.repo);
    return rc;
}

const struct cmd cmd_verify = {
    .name = "verify",
    .usage = "verify [ID|latest|--all] [--deep] [--cluster NAME] [--store NAME] [--job NAME]",
    .summary = "Read backups back and compare them with their manifests",
    .options = options,
    .run = verify_run,
};
