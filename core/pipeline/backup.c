/* SPDX-License-Identifier: PostgreSQL
 *
 * The order of things, which is what makes a backup safe:
 *
 *   lock ─► stores, leases, sweep ─► dump ─► manifest (from here on it exists) ─► read back ─► verdict
 *
 * Killed before the manifest, nothing is visible; killed after it, the backup is
 * whole but has no verdict yet.
 */
#include "config.h"

#include "pipeline/backup.h"

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
#include "pipeline/databases.h"
#include "pipeline/dump.h"
#include "pipeline/keys.h"
#include "pipeline/ledger.h"
#include "pipeline/stores.h"
#include "pipeline/verify.h"

#include <stdlib.h>
#include <string.h>

struct backup {
    const struct config *config;
    const struct config_item *job, *cluster;
    const struct backup_options *options;
    struct age_recipients *recipients;
    struct age_identities *identities;
    struct stores stores;
    struct outlet *outlet;
    struct crew *crew;
    struct pg_conn *conn; /* to conninfo's own database */
    struct dump_run dump;
    struct manifest *manifest;
    char *id, *lease;
    bool *offered;  /* stores that were given the manifest; NULL: not that far */
    bool committed; /* at least one store has the manifest */
    size_t bad;     /* stores whose copy could not be verified */
};

static void
backup_free(struct backup *backup)
{
    pg_close(backup->conn);
    free(backup->offered);
    outlet_free(backup->outlet);
    crew_free(backup->crew);
    stores_close(&backup->stores);
    age_recipients_free(backup->recipients);
    age_identities_free(backup->identities);
    pg_tools_free(backup->dump.tools);
    strv_free(&backup->dump.taken);
    manifest_free(backup->manifest);
    free(backup->lease);
    free(backup->id);
}

static const char *
backup_pick(const char *given, const char *configured)
{
    return given ? given : configured;
}

static struct dump_selection
backup_selection(const struct backup *backup)
{
    const struct config_job *job = backup->job->job;
    const struct dump_selection *given = &backup->options->selection;

    return (struct dump_selection){
        .content = backup_pick(given->content, job->content),
        .tables = backup_pick(given->tables, job->tables),
        .exclude_tables = backup_pick(given->exclude_tables, job->exclude_tables),
        .exclude_table_data = backup_pick(given->exclude_table_data, job->exclude_table_data),
        .table_size = job->table_size,
    };
}

/* Connect, and find programs that can dump this server. */
static int
backup_source(struct backup *backup)
{
    const struct config_cluster *cluster = backup->cluster->cluster;
    struct dump_run *dump = &backup->dump;
    struct pg_tools_spec spec = {
        .exec = cluster->exec,
        .bindir = cluster->bindir,
        .conninfo = cluster->exec_conninfo ? cluster->exec_conninfo : cluster->conninfo,
        .password = cluster->password,
    };
    int rc;

    dump->config = backup->config;
    dump->job = backup->job->job;
    dump->server = (struct pg_server){ cluster->conninfo, cluster->password };
    dump->lock_timeout_ms = cluster->lock_timeout;
    dump->selection = backup_selection(backup);
    dump->recipients = backup->recipients;
    dump->cluster = backup->cluster->name;
    dump->streams = (unsigned)backup->config->workers;
    rc = pg_connect(&dump->server, NULL, &backup->conn);
    if (rc < 0)
        return rc;
    dump->maintenance = backup->conn;
    spec.server_version = pg_server_version(backup->conn);
    return pg_tools_find(&spec, &dump->tools);
}

static int
backup_manifest_start(struct backup *backup)
{
    struct manifest *manifest = manifest_new();
    const struct dump_selection *selection = &backup->dump.selection;
    int rc;

    backup->manifest = backup->dump.manifest = manifest;
    manifest->repository = mem_strdup(backup->stores.repository);
    manifest->cluster = mem_strdup(backup->cluster->name);
    manifest->id = mem_strdup(backup->id);
    manifest->job = mem_strdup(backup->job->name);
    manifest->kind = mem_strdup(backup->job->job->kind);
    manifest->content = mem_strdup(selection->content);
    manifest->selection = selection->tables != NULL || selection->exclude_tables != NULL ||
                          selection->exclude_table_data != NULL;
    manifest->tool = mem_strdup("pgcask " PACKAGE_VERSION);
    manifest->dump_version = mem_strdup(pg_tools_version(backup->dump.tools));
    manifest->server_version = pg_server_version(backup->conn);
    manifest->server_text = mem_strdup(PQparameterStatus(pg_raw(backup->conn), "server_version"));
    manifest->started_s = clock_now_s();
    if (backup->recipients != NULL)
        age_recipients_list(backup->recipients, &manifest->recipients);
    rc = pg_value(backup->conn, "SELECT system_identifier FROM pg_control_system()", NULL, 0,
                  &manifest->system_identifier);
    return rc;
}

static int
backup_prepare(struct backup *backup)
{
    CLEANUP_STRV struct strv names = { 0 };
    int rc = keys_recipients(backup->config, &backup->recipients);

    if (rc == 0)
        rc = keys_identities(backup->config, true, &backup->identities);
    if (rc == 0)
        rc = backup_source(backup);
    if (rc < 0)
        return rc;
    option_words(backup->job->job->stores, &names);
    rc = stores_open(backup->config, &names, 0, &backup->stores);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < backup->stores.len; i++)
        stores_sweep(backup->stores.items[i], backup->cluster->name);
    rc = outlet_new(backup->stores.items, backup->stores.len, backup->dump.streams + 1, &backup->outlet);
    if (rc < 0)
        return rc;
    backup->dump.outlet = backup->outlet;
    backup->crew = backup->dump.crew = crew_new(backup->dump.streams, (int)backup->config->main->compress_level);
    rc = claim_id(&backup->stores, backup->outlet, backup->cluster->name, backup->job->name, &backup->id, &backup->lease);
    backup->dump.id = backup->id;
    return rc < 0 ? rc : backup_manifest_start(backup);
}

/* ---- writing ---- */

static int
backup_write(struct backup *backup)
{
    CLEANUP_FREE char *key = NULL, *manifest = NULL;
    CLEANUP_STRV struct strv databases = { 0 };
    const struct config_job *job = backup->job->job;
    int rc = databases_chosen(backup->conn, backup_pick(backup->options->databases, job->databases), job->exclude_databases,
                              &databases);

    if (rc == 0)
        rc = dump_cluster(&backup->dump);
    for (size_t i = 0; rc == 0 && i < databases.len; i++)
        rc = dump_database(&backup->dump, databases.items[i]);
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
        .streams = backup->dump.streams,
        .storage = backup->stores.items[i],
        .manifest = backup->manifest,
        .identities = backup->identities,
        .list_argv = list_argv,
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

/* A backup that is much smaller than the last good one is worth a look. */
static void
backup_compare_size(struct backup *backup)
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
    then = manifest_plain_size(before);
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
    missing = backup->stores.failed_required + backup_dropped(backup);
    claim_end(&backup->stores, backup->lease);
    outlet_rest(backup->outlet);
    rc = backup_verify(backup, &missing);
    if (rc < 0)
        return rc;
    backup_compare_size(backup);
    ret_result->degraded = missing > 0;
    return 0;
}

int
backup_run(const struct config *config, const struct config_item *job, const struct backup_options *options,
           struct backup_result *ret_result)
{
    struct backup backup = { .config = config, .job = job, .options = options };
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
