/* SPDX-License-Identifier: PostgreSQL
 *
 *   lock ─► stores, listings ─► for each backup, newest first: for each store that should have it: copy or heal
 *        ─► WAL (sync-wal.c)
 *
 * The newest first, because they are worth the most when time or room runs out.
 */
#include "config.h"

#include "pipeline/sync-private.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/parse.h"
#include "catalog/label.h"

#include <stdlib.h>
#include <string.h>

/* ---- stores ---- */

static int
sync_list(struct sync *sync, struct place *place)
{
    CLEANUP_FREE char *cache = mem_printf("%s/cache", sync->config->state_dir);
    int rc;

    if (place->storage == NULL)
        return 0;
    rc = catalog_load(&place->storage, 1, sync->cluster->name, cache, &place->catalog);
    if (rc == 0)
        catalog_repository_is(place->catalog, sync->stores.repository);
    return rc;
}

/* One that cannot be listed is left out, like one that cannot be opened. */
static void
sync_add_place(struct sync *sync, const char *name, struct storage *storage)
{
    struct place *place = &sync->places[sync->count];

    *place = (struct place){ .storage = storage };
    (void)config_find(&sync->config->stores, "store", name, &place->item); /* where its name came from */
    if (sync_list(sync, place) == 0) {
        sync->count++;
        return;
    }
    if (cancel_requested())
        return; /* which the caller looks for */
    log_slot_warn("going on without that store");
    sync->result->stores_failed_required += place->item->store->required != 0;
}

static int
sync_need_place(const struct sync *sync, const char *name)
{
    for (size_t i = 0; i < sync->count; i++)
        if (strcmp(name, sync->places[i].item->name) == 0)
            return 0;
    return cancel_or(error_set(PGCASK_FAILED, "without store '%s' nothing can be copied", name));
}

static int
sync_open(struct sync *sync)
{
    unsigned flags = sync->options->dry_run ? PGCASK_OPEN_READONLY : STORES_JOIN;
    CLEANUP_STRV struct strv names = { 0 }, all = { 0 };
    int rc;

    sync_names(sync, &names);
    if (names.len < 2)
        strv_free(&names); /* with one there is nothing to copy */
    for (size_t i = 0; i < names.len; i++)
        strv_add(&all, names.items[i]);
    sync_wal_names(sync, &all);
    if (all.len < 2)
        return 0;
    rc = stores_open(sync->config, &all, flags, &sync->stores);
    if (rc < 0)
        return rc;
    sync->result->stores_failed_required += sync->stores.failed_required;
    sync->places = mem_zalloc((names.len + 1) * sizeof *sync->places);
    for (size_t i = 0; i < names.len; i++) {
        for (size_t j = 0; j < sync->stores.len; j++)
            if (strcmp(storage_name(sync->stores.items[j]), names.items[i]) == 0)
                sync_add_place(sync, names.items[i], sync->stores.items[j]);
        if (strv_has(&sync->stores.empty, names.items[i]))
            sync_add_place(sync, names.items[i], NULL);
    }
    if (sync_is_explicit(sync->options)) {
        rc = sync_need_place(sync, sync->options->to);
        if (rc == 0 && sync->options->from != NULL)
            rc = sync_need_place(sync, sync->options->from);
    }
    return cancel_or(rc);
}

/* ---- doing it ---- */

static struct sync_step *
sync_add_step(struct sync *sync, const char *id, const struct place *target, bool heal)
{
    struct sync_result *result = sync->result;
    struct sync_step *step;

    MEM_GROW(result->steps, result->len, result->cap);
    step = &result->steps[result->len++];
    *step = (struct sync_step){
        .cluster = mem_strdup(sync->cluster->name),
        .id = mem_strdup(id),
        .store = mem_strdup(target->item->name),
        .heal = heal,
        .required = target->item->store->required != 0,
    };
    return step;
}

/* The error in the slot is why. */
static void
sync_count_failed(struct sync *sync, struct sync_step *step, int code)
{
    step->outcome = code == PGCASK_COLD ? SYNC_COLD : code == ERROR_LOCKED ? SYNC_BUSY : SYNC_FAILED;
    step->error = mem_strdup(error_text());
    if (step->required)
        sync->result->failed_required++;
    else
        sync->result->failed_optional++;
    sync->result->cold += step->outcome == SYNC_COLD;
}

static void
sync_failed(struct sync *sync, struct sync_step *step, int code)
{
    sync_count_failed(sync, step, code);
    if (step->outcome == SYNC_COLD)
        (void)error_hint(code, "it must be thawed first: 'pgcask thaw %s' asks for that", step->id);
    (void)error_context(code, "backup '%s'", step->id);
    log_slot_warn(step->heal ? "its copy there stays bad" : "it is not copied");
}

static void
sync_done(struct sync *sync, struct place *target, struct sync_step *step, const struct copy_result *copied)
{
    CLEANUP_FREE char *size = format_size(copied->bytes), *time = format_duration(step->ms);

    sync->result->good++;
    step->outcome = copied->there ? SYNC_THERE : SYNC_DONE;
    if (copied->there) {
        log_info("backup '%s' is in store '%s' by now", step->id, step->store);
        return;
    }
    target->written++;
    log_info("backup '%s' is %s store '%s': %zu of %zu members, %s in %s", step->id, step->heal ? "healed in" : "copied to",
             step->store, copied->copied, copied->members, size, time);
}

/* What was found out of the sources holds for the rest of this run. */
static void
sync_learn(struct sync *sync, const struct copy_spec *spec)
{
    for (size_t i = 0; i < spec->source_count; i++)
        for (size_t j = 0; j < sync->count; j++) {
            struct place *place = &sync->places[j];
            struct catalog_copy *copy = sync_copy(place, spec->id);

            if (place->storage != spec->sources[i].storage)
                continue;
            place->weary |= spec->sources[i].failed;
            if (!spec->sources[i].bad || copy == NULL || copy->state == CATALOG_BAD)
                continue;
            copy->state = CATALOG_BAD;
            copy->verdict_s = clock_now_s();
            place->exposed = true;
        }
}

/* How much it would be. */
static void
sync_plan(const struct sync *sync, struct sync_step *step, const struct storage *source)
{
    step->outcome = SYNC_PLANNED;
    for (size_t i = 0; i < sync->count; i++) {
        const struct place *place = &sync->places[i];
        const struct manifest *manifest;

        if (place->storage != source)
            continue;
        if (catalog_manifest(place->catalog, catalog_get(place->catalog, step->id), &manifest) == 0)
            step->size = manifest_stored_size(manifest);
        else
            log_slot_warn("its size is not known");
    }
}

/* Below 0 only when the run is being stopped. */
static int
sync_do(struct sync *sync, struct place *target, struct sync_step *step, const struct copy_spec *spec)
{
    struct copy_result copied = { 0 };
    int64_t begun_ms = clock_mono_ms();
    int rc = copy_backup(spec, &copied);

    step->ms = clock_mono_ms() - begun_ms;
    step->size = copied.size;
    step->bytes = copied.bytes;
    target->full |= copied.target_failed;
    sync_learn(sync, spec);
    if (rc == ERROR_CANCELLED)
        step->outcome = SYNC_FAILED;
    else if (rc < 0)
        sync_failed(sync, step, rc);
    else
        sync_done(sync, target, step, &copied);
    return rc == ERROR_CANCELLED ? rc : 0;
}

/* `copy`: what the target has, and what is bad or in doubt; NULL: nothing. */
static int
sync_step(struct sync *sync, const char *id, struct place *target, const struct catalog_copy *copy)
{
    CLEANUP_FREE struct copy_source *sources = mem_zalloc(sync->count * sizeof *sources);
    size_t good = 0, count = sync_sources(sync, id, target, sources, &good);
    const struct copy_spec spec = {
        .repository = sync->stores.repository,
        .cluster = sync->cluster->name,
        .id = id,
        .target = target->storage,
        .sources = sources,
        .source_count = count,
        .heal = copy != NULL,
        .bad = copy != NULL && copy->state == CATALOG_BAD,
        .verdict_s = copy != NULL ? copy->verdict_s : 0,
    };
    struct sync_step *step;

    target->exposed = false;
    if (count == 0)
        return 0; /* nobody else has it */
    step = sync_add_step(sync, id, target, copy != NULL);
    if (good == 0 && sync->options->id == NULL)
        sync_failed(sync, step, error_set(ERROR_CORRUPT, "every other copy of it is bad"));
    else if (target->full) /* which was told */
        sync_count_failed(sync, step, error_set(PGCASK_FAILED, "writing to store '%s' failed before", step->store));
    else if (sync->options->dry_run)
        sync_plan(sync, step, sources[0].storage);
    else
        return sync_do(sync, target, step, &spec);
    return 0;
}

static int
sync_target(struct sync *sync, const char *id, struct place *target)
{
    const struct catalog_copy *copy = sync_copy(target, id);
    bool sure = sync->options->id == NULL; /* who asks for that one wants to know */

    if (copy == NULL || copy->state == CATALOG_BAD || (!sure && copy->state == CATALOG_UNVERIFIED))
        return sync_step(sync, id, target, copy);
    if (!sure) {
        struct sync_step *step = sync_add_step(sync, id, target, false);
        const struct copy_result there = { .there = true };

        sync_done(sync, target, step, &there);
    }
    return 0;
}

/* To all stores that should have it; then to those that were found to have a bad one on the way. */
static int
sync_backup(struct sync *sync, const char *id)
{
    const char *job = NULL;
    int rc = label_id_parse(id, NULL, &job);

    for (size_t i = 0; rc == 0 && i < sync->count; i++)
        if (sync_wants(sync, id, job, &sync->places[i]))
            rc = sync_target(sync, id, &sync->places[i]);
    for (size_t i = 0; rc == 0 && i < sync->count; i++)
        if (sync->places[i].exposed && sync_wants(sync, id, job, &sync->places[i]))
            rc = sync_target(sync, id, &sync->places[i]);
    for (size_t i = 0; i < sync->count; i++)
        sync->places[i].exposed = false;
    return rc;
}

/* ---- the story ---- */

static int
sync_all(struct sync *sync)
{
    CLEANUP_STRV struct strv ids = { 0 };
    size_t failed = sync->result->failed_required + sync->result->failed_optional;
    int rc = 0;

    for (size_t i = 0; i < sync->count; i++)
        for (size_t j = 0; sync->places[i].catalog != NULL && j < sync->places[i].catalog->len; j++)
            if (catalog_exists(&sync->places[i].catalog->backups[j]))
                strv_add(&ids, sync->places[i].catalog->backups[j].id);
    strv_sort(&ids);
    for (size_t i = ids.len; rc == 0 && i > 0; i--)
        if (i == ids.len || strcmp(ids.items[i], ids.items[i - 1]) != 0)
            rc = sync_backup(sync, ids.items[i - 1]);
    if (rc < 0 || sync->result->failed_required + sync->result->failed_optional > failed)
        return rc; /* what is half there is for the next run */
    for (size_t i = 0; i < sync->count; i++)
        if (sync->places[i].written > 0)
            stores_sweep(sync->places[i].storage, sync->cluster->name);
    return 0;
}

/* Of two on this host the second would only wait for the first. */
static int
sync_lock(const struct sync *sync, struct lock **ret_lock)
{
    CLEANUP_FREE char *path = mem_printf("%s/sync-%s.lock", sync->config->state_dir, sync->cluster->name);
    CLEANUP_FREE char *what = mem_printf("sync for cluster '%s'", sync->cluster->name);
    int rc = 0;

    if (sync->options->dry_run || sync->options->id != NULL)
        return 0;
    rc = file_mkdirs(sync->config->state_dir);
    return rc < 0 ? rc : lock_take(path, what, ret_lock);
}

int
sync_run(const struct config *config, const struct config_item *cluster, const struct sync_options *options,
         struct sync_result *result)
{
    struct sync sync = { .config = config, .cluster = cluster, .options = options, .result = result };
    CLEANUP(lock_release) struct lock *lock = NULL;
    size_t before = result->len;
    int rc = sync_check_options(&sync);

    if (rc == 0)
        rc = sync_lock(&sync, &lock);
    if (rc == 0)
        rc = sync_open(&sync);
    if (rc == 0)
        rc = sync_all(&sync);
    if (rc == 0)
        rc = sync_wal(&sync);
    if (rc == 0 && options->id != NULL && result->len == before) {
        rc = error_set(ERROR_USAGE, "no store but '%s' has backup '%s' of cluster '%s'", options->to, options->id,
                       cluster->name);
        rc = error_hint(rc, "'pgcask list' shows what there is");
    }
    for (size_t i = 0; i < sync.count; i++)
        catalog_free(sync.places[i].catalog);
    free(sync.places);
    stores_close(&sync.stores);
    return rc;
}

void
sync_result_free(struct sync_result *result)
{
    for (size_t i = 0; i < result->len; i++) {
        free(result->steps[i].cluster);
        free(result->steps[i].id);
        free(result->steps[i].store);
        free(result->steps[i].error);
    }
    for (size_t i = 0; i < result->wal_len; i++) {
        free(result->wals[i].cluster);
        free(result->wals[i].system_identifier);
        free(result->wals[i].store);
        free(result->wals[i].first);
        free(result->wals[i].last);
        free(result->wals[i].error);
    }
    free(result->wals);
    free(result->steps);
    *result = (struct sync_result){ 0 };
}

void
cleanup_sync_result(struct sync_result *result)
{
    sync_result_free(result);
}
