/* SPDX-License-Identifier: PostgreSQL
 *
 * Archived WAL to the stores that lack it, several files at once, each from the first
 * store that has a good copy. Each object is a commit of its own, so a run that is cut
 * short is gone on with by the next one.
 */
#include "config.h"

#include "pipeline/sync-private.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "pipeline/keys.h"
#include "pipeline/progress.h"
#include "pipeline/segment-send.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WAL_STREAMS_MAX = 4 };

/* All that one store lacks of one system's WAL. */
struct wal_run {
    struct sync *sync;
    struct wal_plan *plan;
    struct wal_place *target;
    const struct wal_errand *errands;
    size_t count;
    struct wal_copier copier; /* what all threads have in common */
    int64_t begun_ms;
    pthread_mutex_t lock; /* for what follows, the result, and `mute` and `full` of places */
    size_t next;
    bool stop;
};

/* One thread of it. */
struct wal_worker {
    struct wal_run *run;
    struct wal_copier copier;
};

/* ---- one file, from whoever has it ---- */

/* Bad bytes say nothing of the store's other objects; what is cold, neither. */
static void
wal_note(struct wal_run *run, struct wal_place *place, bool target, int code)
{
    bool bad = code == ERROR_CORRUPT || code == PGCASK_NOT_FOUND || code == PGCASK_COLD;
    bool trouble = code != ERROR_CANCELLED && (target || !bad);

    (void)pthread_mutex_lock(&run->lock);
    if (target)
        place->full |= trouble;
    else
        place->mute |= trouble;
    (void)pthread_mutex_unlock(&run->lock);
}

static bool
wal_is_out(struct wal_run *run, const bool *flag)
{
    bool out;

    (void)pthread_mutex_lock(&run->lock);
    out = *flag;
    (void)pthread_mutex_unlock(&run->lock);
    return out;
}

/* 0: it is there; the error of the last store otherwise. `ret_told`: it was told before. */
static int
wal_fetch(struct wal_worker *worker, const struct wal_errand *errand, uint64_t *ret_bytes, bool *ret_told)
{
    struct wal_run *run = worker->run;
    struct error last = { 0 };

    *ret_told = true;
    for (size_t i = 0; i < errand->count; i++) {
        const struct wal_row *row = &errand->rows[i];
        struct wal_place *place = &run->plan->places[row->store];
        CLEANUP_FREE char *key = wal_row_key(row, run->sync->cluster->name, run->plan->list.system_identifier);
        const struct blob_ref ref = { key, row->digest, row->sealed, row->size, WAL_SEGMENT_MAX_BYTES };
        bool target = false;
        int rc;

        if (!place->source || wal_is_out(run, &place->mute))
            continue;
        if (last.code != 0 && error_put(&last) < 0)
            log_slot_warn("trying the next store");
        rc = sync_wal_copy(&worker->copier, place->storage, &ref, &target);
        *ret_bytes = rc == 0 ? row->size : 0;
        if (rc == 0 || rc == PGCASK_EXISTS) { /* another host has just brought it */
            error_clear();
            return 0;
        }
        *ret_told = target && wal_is_out(run, &run->target->full);
        wal_note(run, target ? run->target : place, target, rc);
        if (target || rc == ERROR_CANCELLED)
            return rc;
        error_take(rc, &last);
    }
    return last.code != 0 ? error_put(&last) : error_set(PGCASK_FAILED, "every store that has it failed before");
}

/* Caller holds run->lock. The error in the slot is why. */
static void
wal_failed(struct wal_run *run, struct sync_wal *step, int code, bool told)
{
    struct sync_result *result = run->sync->result;

    step->failed++;
    if (step->outcome != SYNC_FAILED)
        step->outcome = code == PGCASK_COLD ? SYNC_COLD : SYNC_FAILED;
    if (step->error == NULL)
        step->error = mem_strdup(error_text());
    result->cold += code == PGCASK_COLD;
    if (step->required)
        result->wal_failed_required++;
    else
        result->wal_failed_optional++;
    if (told)
        error_clear();
    else
        log_slot_warn("that WAL is not copied");
}

static void
wal_run_one(struct wal_worker *worker, const struct wal_errand *errand)
{
    struct wal_run *run = worker->run;
    struct sync_wal *step = &run->sync->result->wals[errand->step];
    uint64_t bytes = 0;
    bool told = true;
    int rc = wal_is_out(run, &run->target->full)
                 ? error_set(PGCASK_FAILED, "writing to store '%s' failed before", run->target->item->name)
                 : wal_fetch(worker, errand, &bytes, &told);

    (void)pthread_mutex_lock(&run->lock);
    step->ms = clock_mono_ms() - run->begun_ms;
    if (rc == 0) {
        run->sync->result->wal_good++;
        step->copied += bytes > 0;
        step->bytes += bytes;
    } else if (cancel_requested())
        run->stop = true;
    else
        wal_failed(run, step, rc, told);
    (void)pthread_mutex_unlock(&run->lock);
}

/* ---- all of them ---- */

static void *
wal_thread(void *arg)
{
    struct wal_run *run = arg;
    struct wal_worker worker = { .run = run, .copier = run->copier };

    worker.copier.tools = blob_tools_new(1);
    worker.copier.window = mem_pages_alloc(SYNC_WAL_WINDOW_BYTES);
    worker.copier.part = mem_pages_alloc(run->copier.part_bytes);
    (void)pthread_mutex_lock(&run->lock);
    while (!run->stop && run->next < run->count) {
        const struct wal_errand *errand = &run->errands[run->next++];

        (void)pthread_mutex_unlock(&run->lock);
        wal_run_one(&worker, errand);
        (void)pthread_mutex_lock(&run->lock);
    }
    (void)pthread_mutex_unlock(&run->lock);
    mem_pages_free(worker.copier.window, SYNC_WAL_WINDOW_BYTES);
    mem_pages_free(worker.copier.part, run->copier.part_bytes);
    blob_tools_free(worker.copier.tools);
    return NULL;
}

static void
wal_tell(const struct sync_wal *step)
{
    CLEANUP_FREE char *size = format_size(step->bytes), *time = format_duration(step->ms);

    log_info("WAL of timeline %u, '%s' to '%s': %zu of %zu files copied to store '%s', %s in %s", step->timeline,
             step->first, step->last, step->copied, step->files, step->store, size, time);
}

/* The steps from there on are this run's. */
static int
wal_run_all(struct wal_run *run, size_t from)
{
    struct sync_result *result = run->sync->result;
    CLEANUP_FREE char *what = mem_printf("copying WAL to '%s'", run->target->item->name);
    unsigned streams = storage_parallel(run->target->storage), started = 0;
    pthread_t threads[WAL_STREAMS_MAX];
    uint64_t total = 0;

    for (size_t i = from; i < result->wal_len; i++) {
        total += result->wals[i].size;
        result->wals[i].outcome = SYNC_DONE;
    }
    streams = streams < WAL_STREAMS_MAX ? streams : WAL_STREAMS_MAX;
    streams = run->count < streams ? (unsigned)run->count : streams;
    (void)pthread_mutex_init(&run->lock, NULL);
    run->begun_ms = clock_mono_ms();
    progress_begin(what, total);
    while (started + 1 < streams && pthread_create(&threads[started], NULL, wal_thread, run) == 0)
        started++;
    (void)wal_thread(run); /* this thread is one of them */
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    progress_end();
    (void)pthread_mutex_destroy(&run->lock);
    for (size_t i = from; i < result->wal_len; i++) {
        if (cancel_requested())
            result->wals[i].outcome = SYNC_FAILED;
        wal_tell(&result->wals[i]);
    }
    return cancel_check();
}

static int
wal_to(struct sync *sync, struct wal_plan *plan, size_t target, const struct age_identities *identities)
{
    CLEANUP_FREE struct wal_errand *errands = NULL;
    size_t from = sync->result->wal_len;
    struct wal_run run = {
        .sync = sync,
        .plan = plan,
        .target = &plan->places[target],
        .copier = { .target = plan->places[target].storage, .identities = identities },
    };
    int rc;

    if (!run.target->target || run.target->deaf)
        return 0;
    run.count = sync_wal_errands(sync, plan, target, &errands);
    run.errands = errands;
    if (run.count == 0 || sync->options->dry_run)
        return 0;
    rc = send_part_size(&run.copier.target, 1, &run.copier.part_bytes);
    return rc < 0 ? rc : wal_run_all(&run, from);
}

/* Those that are in dispute, by now: servers may have archived meanwhile. */
static int
wal_settle(struct sync *sync, const struct wal_plan *plan, bool copied)
{
    struct wal_plan now = { .places = plan->places, .count = plan->count };
    size_t disputed;
    int rc = copied ? sync_wal_list(sync, &now, plan->list.system_identifier) : 0;

    disputed = rc == 0 ? sync_wal_disputed(copied ? &now : plan) : 0;
    sync->result->wal_disputed += disputed;
    if (disputed > 0) {
        (void)error_hint(ERROR_CORRUPT,
                         "two servers have archived as cluster '%s': remove the object of the wrong one by hand",
                         sync->cluster->name);
        if (disputed > 1)
            (void)error_context(ERROR_CORRUPT, "%zu WAL files have two contents, the first", disputed);
        log_slot_warn("neither is copied");
    }
    wal_list_free(&now.list);
    return rc;
}

static int
wal_system(struct sync *sync, struct wal_plan *plan, const char *system_identifier,
           const struct age_identities *identities)
{
    size_t good = sync->result->wal_good;
    int rc = sync_wal_list(sync, plan, system_identifier);

    for (size_t i = 0; rc == 0 && i < plan->count; i++)
        rc = wal_to(sync, plan, i, identities);
    if (rc == 0)
        rc = wal_settle(sync, plan, sync->result->wal_good > good);
    wal_list_free(&plan->list);
    return rc;
}

int
sync_wal(struct sync *sync)
{
    CLEANUP_FREE struct wal_place *places = NULL;
    CLEANUP_STRV struct strv systems = { 0 };
    CLEANUP(age_identities_free) struct age_identities *identities = NULL;
    struct wal_plan plan = { 0 };
    int rc = 0;

    plan.count = sync_wal_places(sync, &places);
    plan.places = places;
    if (plan.count > 1)
        rc = sync_wal_systems(sync, &plan, &systems);
    if (rc == 0 && systems.len > 0 && !sync->options->dry_run)
        rc = keys_identities(sync->config, true, &identities);
    for (size_t i = 0; rc == 0 && i < systems.len; i++)
        rc = wal_system(sync, &plan, systems.items[i], identities);
    return rc;
}
