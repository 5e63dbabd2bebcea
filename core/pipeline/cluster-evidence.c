/* SPDX-License-Identifier: PostgreSQL
 *
 * Gathering what cluster-choice.c decides by: manifests of base backups, the WAL
 * that the stores list, the histories of timelines.
 */
#include "config.h"

#include "pipeline/cluster-choice.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "pipeline/wal-read.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int
evidence_none(const char *job)
{
    if (job != NULL)
        (void)error_set(ERROR_USAGE, "there is no base backup of job '%s'", job);
    else
        (void)error_set(ERROR_USAGE, "there is no base backup");
    return error_hint(ERROR_USAGE, "'pgcask list' shows what there is; one is made by a job with kind = base");
}

/* Whose history it is: that of the named backup, else of the newest base backup. */
static int
evidence_system(const struct catalog *catalog, const char *id, const char *job, const struct manifest **ret_manifest)
{
    struct catalog_backup *backup;
    int rc;

    if (strcmp(id, "latest") == 0)
        rc = catalog_latest(catalog, KIND_BASE, job, NULL, &backup);
    else
        rc = catalog_find(catalog, id, job, &backup);
    if (rc == 0)
        rc = catalog_manifest(catalog, backup, ret_manifest);
    if (rc == 0 && (*ret_manifest)->base == NULL) {
        (void)error_set(ERROR_USAGE, "backup '%s' is a dump: a data directory is made of base backups only",
                        (*ret_manifest)->id);
        rc = error_hint(ERROR_USAGE, "leave --data-dir away, or name a base backup");
    }
    return rc;
}

int
choice_chain(const struct catalog *catalog, struct catalog_backup *backup, struct catalog_backup **ret_chain,
             size_t *ret_len)
{
    struct catalog_backup *chain[CHOICE_CHAIN_MAX];
    const struct manifest *manifest, *child = NULL;
    size_t len = 0;

    do {
        int rc = catalog_manifest(catalog, backup, &manifest);

        if (rc < 0)
            return rc;
        if (manifest->base == NULL || len == CHOICE_CHAIN_MAX ||
            (child != NULL && strcmp(manifest->system_identifier, child->system_identifier) != 0))
            return error_set(ERROR_CORRUPT, "the chain of backup '%s' leads nowhere", manifest->id);
        chain[len++] = backup;
        if (manifest->base->parent != NULL) {
            backup = catalog_get(catalog, manifest->base->parent);
            if (backup == NULL || !catalog_exists(backup))
                return error_set(ERROR_USAGE, "backup '%s' builds on '%s', which is not there", manifest->id,
                                 manifest->base->parent);
        }
        child = manifest;
    } while (manifest->base->parent != NULL);
    for (size_t i = 0; i < len; i++)
        ret_chain[i] = chain[len - 1 - i];
    *ret_len = len;
    return 0;
}

/* Is a backup that this one builds on missing or bad? */
static bool
evidence_chain_is_bad(const struct catalog *catalog, struct catalog_backup *backup)
{
    struct catalog_backup *chain[CHOICE_CHAIN_MAX];
    size_t len;
    bool bad = false;

    if (choice_chain(catalog, backup, chain, &len) < 0) {
        CLEANUP_FREE char *what = mem_printf("passing over backup '%s'", backup->id);

        log_slot_warn(what);
        return true;
    }
    for (size_t i = 0; i < len; i++)
        bad |= catalog_state(chain[i]) == CATALOG_BAD;
    return bad;
}

static void
evidence_base(const struct catalog *catalog, struct choice *choice, struct catalog_backup *backup,
              const struct manifest *manifest)
{
    const struct manifest_base *base = manifest->base;

    MEM_GROW(choice->bases, choice->len, choice->cap);
    choice->bases[choice->len++] = (struct choice_base){
        .id = manifest->id,
        .started_s = manifest->started_s,
        .finished_s = manifest->finished_s,
        .wal = { .timeline = base->timeline,
                 .start_lsn = base->start_lsn,
                 .stop_lsn = base->stop_lsn,
                 .finished_s = manifest->finished_s,
                 .wal_included = base->wal_included },
        .backup = backup,
        .bad = evidence_chain_is_bad(catalog, backup),
    };
}

/* All base backups of that history; one whose manifest cannot be read is left out with a warning. */
static int
evidence_bases(const struct catalog *catalog, const char *job, const struct manifest *wanted, struct choice *choice)
{
    catalog_prefetch(catalog, job);
    for (size_t i = 0; i < catalog->len; i++) {
        struct catalog_backup *backup = &catalog->backups[i];
        const struct manifest *manifest;

        if (!catalog_exists(backup) || (job != NULL && strcmp(backup->job, job) != 0))
            continue;
        if (catalog_manifest(catalog, backup, &manifest) < 0) {
            if (cancel_requested())
                return cancel_check();
            log_slot_warn("going on without that backup");
            continue;
        }
        if (manifest->base != NULL && strcmp(manifest->system_identifier, wanted->system_identifier) == 0 &&
            manifest->base->segment_bytes == wanted->base->segment_bytes)
            evidence_base(catalog, choice, backup, manifest);
    }
    return choice->len > 0 ? 0 : evidence_none(job);
}

/* Only from where it will be fetched. */
static int
evidence_wal(const struct catalog *catalog, const struct strv *wal_stores, uint32_t segment_bytes,
             struct choice *choice)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < catalog->store_count; i++)
        if (wal_stores == NULL || wal_stores->len == 0 || strv_has(wal_stores, storage_name(catalog->stores[i])))
            rc = wal_list_add(catalog->stores[i], i, catalog->cluster, choice->system_identifier, &choice->list);
    wal_ranges_begin(&choice->ranges, segment_bytes);
    for (size_t i = 0; rc == 0 && i < choice->list.len; i++)
        rc = wal_ranges_add(&choice->ranges, &choice->list.rows[i].name, choice->list.rows[i].digest);
    wal_ranges_end(&choice->ranges);
    return rc;
}

static int
timeline_compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return left < right ? -1 : left > right;
}

/* Of one timeline. That of a base backup is at least its own. */
static int
evidence_history(const struct wal_reader *reader, struct choice *choice, uint32_t timeline)
{
    struct wal_history history = { 0 };
    bool of_base = false;
    int rc = wal_read_history(reader, &choice->list, timeline, &history);

    if (rc < 0 && cancel_requested())
        return cancel_or(rc);
    for (size_t i = 0; i < choice->len; i++)
        of_base |= choice->bases[i].wal.timeline == timeline;
    if (rc < 0) {
        strv_addf(&choice->unknown, "timeline %" PRIu32 ": %s", timeline, error_text());
        error_clear();
        if (!of_base)
            return 0;
        rc = wal_history_read(timeline, NULL, 0, &history);
        if (rc < 0)
            return rc;
    }
    MEM_GROW(choice->histories, choice->history_len, choice->history_cap);
    choice->histories[choice->history_len++] = history;
    return 0;
}

static int
evidence_histories(const struct catalog *catalog, const struct age_identities *identities, struct choice *choice)
{
    CLEANUP(blob_tools_free) struct blob_tools *tools = blob_tools_new(1);
    struct wal_reader reader = { catalog->stores, catalog->cluster, choice->system_identifier, identities, tools };
    size_t count = 0;
    CLEANUP_FREE uint32_t *timelines = mem_realloc_array(NULL, choice->len + choice->list.len + 1, sizeof *timelines);
    int rc = 0;

    for (size_t i = 0; i < choice->len; i++)
        timelines[count++] = choice->bases[i].wal.timeline;
    for (size_t i = 0; i < choice->list.len; i++)
        if (i == 0 || choice->list.rows[i].name.timeline != choice->list.rows[i - 1].name.timeline)
            timelines[count++] = choice->list.rows[i].name.timeline;
    qsort(timelines, count, sizeof *timelines, timeline_compare);
    for (size_t i = 0; rc == 0 && i < count; i++)
        if (i == 0 || timelines[i] != timelines[i - 1])
            rc = evidence_history(&reader, choice, timelines[i]);
    return rc;
}

int
choice_load(const struct catalog *catalog, const struct strv *wal_stores, const char *id, const char *job,
            const struct age_identities *identities, struct choice *ret_choice)
{
    CLEANUP_CHOICE struct choice choice = { 0 };
    const struct manifest *wanted;
    int rc = evidence_system(catalog, id, job, &wanted);

    if (rc < 0)
        return rc;
    choice.system_identifier = wanted->system_identifier;
    rc = evidence_bases(catalog, job, wanted, &choice);
    if (rc == 0)
        rc = evidence_wal(catalog, wal_stores, wanted->base->segment_bytes, &choice);
    if (rc == 0)
        rc = evidence_histories(catalog, identities, &choice);
    if (rc < 0)
        return rc;
    *ret_choice = choice;
    choice = (struct choice){ 0 };
    return 0;
}

void
choice_free(struct choice *choice)
{
    free(choice->bases);
    wal_list_free(&choice->list);
    wal_ranges_free(&choice->ranges);
    for (size_t i = 0; i < choice->history_len; i++)
        wal_history_free(&choice->histories[i]);
    free(choice->histories);
    strv_free(&choice->unknown);
    *choice = (struct choice){ 0 };
}

void
cleanup_choice(struct choice *choice)
{
    choice_free(choice);
}
