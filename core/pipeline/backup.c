/* SPDX-License-Identifier: PostgreSQL
 *
 * The order of things, which is what makes a backup safe:
 *
 *   lock ─► stores, leases, sweep ─► members ─► manifest (from here on it exists) ─► read back ─► verdict
 *
 * Killed before the manifest, nothing is visible; killed after it, the backup is
 * whole but has no verdict yet.
 */
#include "config.h"

#include "pipeline/backup.h"

#include "pipeline/backup-private.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/parse.h"
#include "catalog/catalog.h"
#include "catalog/label.h"
#include "pipeline/claim.h"
#include "pipeline/keys.h"
#include "pipeline/ledger.h"
#include "pipeline/verify.h"

#include <stdlib.h>
#include <string.h>

static const struct backup_kind *
backup_kind(const char *name)
{
    return strcmp(name, KIND_BASE) == 0 ? &backup_kind_base : &backup_kind_dump;
}

static void
backup_free(struct backup *backup)
{
    backup->kind->close(backup);
    free(backup->offered);
    outlet_free(backup->outlet);
    crew_free(backup->crew);
    stores_close(&backup->stores);
    age_recipients_free(backup->recipients);
    age_identities_free(backup->identities);
    strv_free(&backup->writing.taken);
    manifest_free(backup->manifest);
    free(backup->lease);
    free(backup->id);
}

static int
backup_manifest_start(struct backup *backup)
{
    struct manifest *manifest = manifest_new();

    backup->manifest = backup->writing.manifest = manifest;
    manifest->repository = mem_strdup(backup->stores.repository);
    manifest->cluster = mem_strdup(backup->cluster->name);
    manifest->id = mem_strdup(backup->id);
    manifest->job = mem_strdup(backup->job->name);
    manifest->kind = mem_strdup(backup->kind->name);
    manifest->tool = mem_strdup("pgcask " PACKAGE_VERSION);
    manifest->started_s = clock_now_s();
    if (backup->recipients != NULL)
        age_recipients_list(backup->recipients, &manifest->recipients);
    return backup->kind->describe(backup);
}

static int
backup_open_stores(struct backup *backup)
{
    CLEANUP_STRV struct strv names = { 0 };
    int rc;

    option_words(backup->job->job->stores, &names);
    rc = stores_open(backup->config, &names, 0, &backup->stores);
    for (size_t i = 0; rc == 0 && i < backup->stores.len; i++)
        stores_sweep(backup->stores.items[i], backup->cluster->name);
    return rc;
}

static int
backup_prepare(struct backup *backup)
{
    struct writing *writing = &backup->writing;
    int rc = keys_recipients(backup->config, &backup->recipients);

    writing->recipients = backup->recipients;
    writing->cluster = backup->cluster->name;
    writing->streams = (unsigned)backup->config->workers;
    writing->pieces = writing->streams + 1;
    if (rc == 0)
        rc = keys_identities(backup->config, true, &backup->identities);
    if (rc == 0)
        rc = backup->kind->open(backup);
    if (rc == 0)
        rc = backup_open_stores(backup);
    if (rc == 0)
        rc = outlet_new(backup->stores.items, backup->stores.len, writing->streams + 1, &backup->outlet);
    if (rc < 0)
        return rc;
    writing->outlet = backup->outlet;
    backup->crew = writing->crew = crew_new(writing->streams, (int)backup->config->main->compress_level);
    rc = claim_id(&backup->stores, backup->outlet, backup->cluster->name, backup->job->name, &backup->id, &backup->lease);
    writing->id = backup->id;
    return rc < 0 ? rc : backup_manifest_start(backup);
}

/* ---- writing ---- */

static int
backup_write(struct backup *backup)
{
    CLEANUP_FREE char *key = NULL, *manifest = NULL;
    int rc = backup->kind->write(backup);

    if (rc == 0)
        rc = cancel_check();
    if (rc < 0)
        return rc;
    backup->manifest->finished_s = clock_now_s();
    manifest = manifest_encode(backup->manifest);
    key = label_object(backup->cluster->name, backup->id, LABEL_MANIFEST);
    backup->offered = mem_zalloc(backup->stores.len * sizeof *backup->offered);
    for (size_t i = 0; i < backup->stores.len; i++)
        backup->offered[i] = outlet_alive(backup->outlet, i, NULL);
    rc = outlet_put(backup->outlet, key, manifest, strlen(manifest));
    if (rc < 0)
        return error_context(rc, "writing the manifest");
    backup->committed = true;
    return 0;
}

/* ---- after writing ---- */

static bool
backup_store_required(const struct backup *backup, size_t i)
{
    return storage_is_required(backup->stores.items[i]);
}

/* What a store holds of this run is rubbish: but not where the id is somebody else's, nor where the manifest got no answer. It
 * may still come, and then needs its members; if it does not, they are swept when they are a day old. */
static void
backup_discard(const struct backup *backup, size_t i)
{
    struct storage *storage = backup->stores.items[i];
    const struct error *why;
    bool alive = outlet_alive(backup->outlet, i, &why);

    if (!alive && why->code == PGCASK_EXISTS)
        return;
    if (!alive && backup->offered != NULL && backup->offered[i] && storage_may_still_come(storage))
        log_warn("store '%s': whether the manifest of backup '%s' got there is not known, so its members stay for a day",
                 storage_name(storage), backup->id);
    else
        stores_discard(storage, backup->cluster->name, backup->id);
}

/* Tell which stores fell out. */
static size_t
backup_dropped(struct backup *backup)
{
    size_t required = 0;

    for (size_t i = 0; i < backup->stores.len; i++) {
        const struct error *why;

        if (outlet_alive(backup->outlet, i, &why))
            continue;
        (void)error_set(why->code, "%s", why->text ? why->text : "no reason was given");
        if (why->hint != NULL)
            (void)error_hint(why->code, "%s", why->hint);
        log_slot_warn("going on without that store");
        backup_discard(backup, i);
        required += backup_store_required(backup, i);
    }
    return required;
}

/* `ret_depth` stays untouched when the copy is bad. */
static int
backup_verify_store(struct backup *backup, size_t i, bool deep, const struct strv *list_argv, enum verify_depth *ret_depth)
{
    struct verify_spec spec = {
        .crew = backup->crew,
        .streams = backup->writing.streams,
        .storage = backup->stores.items[i],
        .manifest = backup->manifest,
        .identities = backup->identities,
        .list_argv = list_argv->len > 0 ? list_argv : NULL,
        .deep = deep,
    };
    enum verify_depth depth = VERIFY_STORED;
    int rc = verify_copy(&spec, &depth);

    if (rc == PGCASK_COLD) { /* it went there at once */
        rc = verify_confirm(&spec);
        depth = VERIFY_CONFIRMED;
    }
    if (rc == 0) {
        *ret_depth = depth;
        return verify_record(spec.storage, spec.manifest, depth, NULL);
    }
    if (verify_is_bad(rc)) {
        struct error why = { 0 };

        error_take(rc, &why);
        if (verify_record(spec.storage, spec.manifest, depth, why.text) < 0)
            log_slot_warn("the bad outcome is not recorded");
        rc = error_put(&why);
    }
    return rc;
}

/* The first copy that can be read is read to the last plain byte; the others hold the same stored bytes, so their digests are
 * enough. */
static int
backup_verify(struct backup *backup, size_t *ret_bad_required)
{
    CLEANUP_STRV struct strv list_argv = { 0 };
    bool deep = true;
    size_t good = 0;
    struct error last = { 0 };
    int code;

    if (backup->recipients != NULL && backup->identities == NULL)
        log_info("no identity on this host: verifying stored digests only");
    else if (!verify_can_decrypt(backup->manifest, backup->identities))
        log_warn("the identity of this host does not open its own backups: verifying stored digests only");
    if (backup->dump.tools != NULL)
        pg_tools_argv(backup->dump.tools, "pg_restore", &list_argv);
    for (size_t i = 0; i < backup->stores.len; i++) {
        enum verify_depth depth = VERIFY_CONFIRMED;
        struct error now;
        int rc;

        if (!outlet_alive(backup->outlet, i, NULL))
            continue;
        rc = backup_verify_store(backup, i, deep, &list_argv, &depth);
        if (rc == 0) {
            good++;
            deep &= depth == VERIFY_CONFIRMED;
            continue;
        }
        error_take(rc, &now);
        if (last.code != 0) {
            (void)error_put(&last);
            log_slot_warn("that copy could not be verified");
        }
        last = now;
        *ret_bad_required += backup_store_required(backup, i);
        if (rc == ERROR_CANCELLED)
            break;
    }
    if (last.code == 0)
        return 0;
    if (good > 0 && last.code != ERROR_CANCELLED) {
        (void)error_put(&last);
        log_slot_warn("that copy could not be verified");
        return 0;
    }
    code = error_put(&last);
    return error_context(code, "the backup was written but could not be verified");
}

/* What PostgreSQL wrote before cannot be replayed on what it is now. */
static void
backup_compare_server(const struct backup *backup, const struct manifest *before)
{
    const struct manifest *now = backup->manifest;

    if (now->base != NULL && before->base != NULL && strcmp(now->system_identifier, before->system_identifier) != 0)
        log_warn("the server is another one than that of backup '%s' (system identifier %s, now %s): upgraded, made anew, or is "
                 "conninfo wrong? A new history begins: WAL of the old one does not go with it", before->id,
                 before->system_identifier, now->system_identifier);
}

/* Do their sizes say anything of each other? */
static bool
backup_is_like(const struct manifest *a, const struct manifest *b)
{
    bool incremental = (a->base != NULL && a->base->parent != NULL) || (b->base != NULL && b->base->parent != NULL);

    return strcmp(a->kind, b->kind) == 0 && !incremental;
}

/* A backup that is much smaller than the last good one, or of another server, is worth a look. */
static void
backup_compare(struct backup *backup)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    CLEANUP_FREE struct storage **alive = mem_zalloc((backup->stores.len + 1) * sizeof *alive);
    size_t count = 0;
    const struct manifest *before;
    struct catalog_backup *last;
    uint64_t now = manifest_plain_size(backup->manifest), then;

    if (backup->options->databases != NULL)
        return; /* not what the job usually holds */
    for (size_t i = 0; i < backup->stores.len; i++)
        if (outlet_alive(backup->outlet, i, NULL))
            alive[count++] = backup->stores.items[i]; /* the others had their tries */
    if (catalog_load(alive, count, backup->cluster->name, NULL, &catalog) < 0) {
        log_slot_warn("the size was not compared with the last good backup");
        return;
    }
    last = catalog_last_good(catalog, backup->job->name, backup->manifest->started_s, backup->manifest->content,
                             backup->manifest->selection);
    if (last == NULL || catalog_manifest(catalog, last, &before) < 0)
        return;
    backup_compare_server(backup, before);
    then = backup_is_like(before, backup->manifest) ? manifest_plain_size(before) : 0;
    if (now * 100 < then * (uint64_t)backup->config->main->shrink_warn) {
        CLEANUP_FREE char *now_text = format_size(now), *then_text = format_size(then);

        log_warn("backup '%s' has %s before compression, the last good one ('%s') had %s: is something missing?", backup->id,
                 now_text, last->id, then_text);
    }
}

/* Nothing of a failed run stays behind. */
static void
backup_undo(struct backup *backup, int code)
{
    struct error why;

    error_take(code, &why);
    if (!backup->committed && backup->id != NULL) {
        for (size_t i = 0; i < backup->stores.len; i++)
            backup_discard(backup, i);
        claim_end(&backup->stores, backup->lease);
    }
    (void)error_put(&why);
}

static int
backup_steps(struct backup *backup, struct backup_result *ret_result)
{
    size_t missing = 0;
    int rc = backup_prepare(backup);

    if (rc == 0)
        rc = ledger_begin(backup->config->state_dir, backup->cluster->name, backup->job->name, backup->id);
    if (rc == 0)
        rc = backup_write(backup);
    if (rc < 0) {
        rc = cancel_or(rc);
        backup_undo(backup, rc);
        return rc;
    }
    missing = backup->stores.failed_required + backup->wal_missing + backup_dropped(backup);
    claim_end(&backup->stores, backup->lease);
    outlet_rest(backup->outlet);
    rc = backup_verify(backup, &missing);
    if (rc < 0)
        return rc;
    backup_compare(backup);
    ret_result->degraded = missing > 0;
    return 0;
}

int
backup_run(const struct config *config, const struct config_item *job, const struct backup_options *options,
           struct backup_result *ret_result)
{
    struct backup backup = { .config = config, .job = job, .options = options, .kind = backup_kind(job->job->kind) };
    struct backup_result result = { 0 };
    struct error why = { 0 };
    CLEANUP_FREE char *lock_path = NULL, *what = mem_printf("job '%s'", job->name);
    CLEANUP(lock_release) struct lock *lock = NULL;
    int rc = config_find(&config->clusters, "cluster", job->job->cluster, &backup.cluster);

    if (rc == 0)
        rc = file_mkdirs(config->state_dir);
    if (rc < 0)
        return rc;
    lock_path = mem_printf("%s/lock-%s.%s", config->state_dir, backup.cluster->name, job->name);
    rc = lock_take(lock_path, what, &lock);
    if (rc == 0)
        rc = ledger_report_dead(config->state_dir, backup.cluster->name, job->name);
    if (rc < 0)
        return rc;
    rc = backup_steps(&backup, &result);
    if (rc < 0)
        error_take(rc, &why);
    if (backup.manifest != NULL)
        ledger_end(config->state_dir, backup.cluster->name, job->name, backup.id,
                   rc < 0 ? "failed" : result.degraded ? "degraded" : "done", NULL);
    if (rc < 0)
        rc = error_put(&why);
    if (rc == 0) {
        result.id = STEAL(backup.id);
        *ret_result = result;
    }
    backup_free(&backup);
    return rc;
}
