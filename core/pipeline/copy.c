/* SPDX-License-Identifier: PostgreSQL
 *
 * The order of things, which is that of a backup:
 *
 *   manifest read ─► lease ─► members ─► manifest (from here on it exists there) ─► read back ─► verdict
 */
#include "config.h"

#include "pipeline/copy.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "catalog/label.h"
#include "pipeline/copy-private.h"
#include "pipeline/progress.h"
#include "pipeline/stores.h"
#include "pipeline/verify.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLAIM_TRIES = 3, VERDICT_WAIT_S = 3, VERIFY_STREAMS = 4 };

/* The manifest from the first source that has a good one. */
static int
copy_read_manifest(struct copy_run *run)
{
    const struct copy_spec *spec = run->spec;
    CLEANUP_FREE char *key = label_object(spec->cluster, spec->id, LABEL_MANIFEST);
    int rc = error_set(PGCASK_NOT_FOUND, "no store has backup '%s'", spec->id);

    for (size_t i = 0; i < spec->source_count; i++) {
        uint64_t size;

        if (i > 0)
            log_slot_warn("trying the next store");
        run->text.len = 0;
        rc = storage_stat(spec->sources[i].storage, key, &size, NULL);
        if (rc == 0)
            rc = catalog_fetch(spec->sources[i].storage, spec->repository, spec->cluster, spec->id, size, &run->text,
                               &run->manifest);
        if (rc == 0 || rc == ERROR_CANCELLED)
            return rc;
        copy_blame(run, i, rc);
    }
    return rc;
}

/* ---- the target ---- */

static void
copy_unclaim(struct copy_run *run)
{
    struct error kept;

    error_take(PGCASK_FAILED, &kept);
    if (run->lease != NULL && storage_remove(run->spec->target, run->lease) < 0)
        log_slot_warn("the lease stays; a later run removes it");
    free(STEAL(run->lease));
    if (kept.text != NULL)
        (void)error_put(&kept);
    error_free(&kept);
}

/* Say that we write it, then look whether anybody else says so, too: of two that do, at least one sees the other. */
static int
copy_claim(struct copy_run *run)
{
    const struct copy_spec *spec = run->spec;

    for (int try = 1;; try++) {
        CLEANUP_FREE char *text = NULL;
        bool rival = false;
        int rc = stores_lease(spec->cluster, spec->id, &run->lease, &text);

        if (rc == 0)
            rc = storage_put_object(spec->target, run->lease, text, strlen(text), true);
        if (rc < 0)
            run->result->target_failed = true;
        if (rc == 0)
            rc = stores_rival(spec->target, spec->cluster, spec->id, run->lease, &rival);
        if (rc < 0 || !rival)
            return rc;
        copy_unclaim(run);
        if (try == CLAIM_TRIES)
            return error_set(ERROR_LOCKED, "store '%s': another run is writing backup '%s' there",
                             storage_name(spec->target), spec->id);
        rc = cancel_sleep_ms(1000 + (int64_t)getpid() * 7 % 1000); /* not in step with it */
        if (rc < 0)
            return rc;
    }
}

/* Is the manifest that the target has the one we know? 1: yes; 0: it is spoilt, and the slot says how; ERROR_CORRUPT: it is a
 * good one, of something else. */
static int
copy_same_manifest(struct copy_run *run, uint64_t size)
{
    const struct copy_spec *spec = run->spec;
    CLEANUP_BUF struct buf text = BUF_INIT(MANIFEST_LIMIT_BYTES);
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    int rc = catalog_fetch(spec->target, spec->repository, spec->cluster, spec->id, size, &text, &manifest);

    if (rc == ERROR_CORRUPT)
        return 0;
    if (rc < 0)
        return rc;
    if (text.len == run->text.len && memcmp(text.data, run->text.data, text.len) == 0)
        return 1;
    return error_set(ERROR_CORRUPT, "store '%s' has another backup '%s' than the others: it is left alone",
                     storage_name(spec->target), spec->id);
}

/* What the target has of it by now. */
static int
copy_look(struct copy_run *run)
{
    const struct copy_spec *spec = run->spec;
    CLEANUP_FREE char *prefix = label_backup(spec->cluster, spec->id);
    CLEANUP_FREE char *key = label_object(spec->cluster, spec->id, LABEL_MANIFEST);
    int rc;

    storage_list_free(&run->present);
    run->visible = run->spoilt = false;
    rc = storage_list(spec->target, prefix, &run->present);
    for (size_t i = 0; rc == 0 && i < run->present.len; i++) {
        if (strcmp(run->present.objects[i].key, key) != 0)
            continue;
        run->visible = true;
        run->result->there = !spec->heal;
        if (!spec->heal)
            break;
        rc = copy_same_manifest(run, run->present.objects[i].size);
        if (rc < 0)
            break;
        run->spoilt = rc == 0;
        if (run->spoilt)
            log_slot_warn("it is replaced");
        rc = 0;
    }
    return rc;
}

static int
copy_all_members(struct copy_run *run)
{
    size_t rounds = run->manifest->member_count + 1; /* another run has written one member more each time */
    CLEANUP_FREE char *what = mem_printf("copying '%s' to '%s'", run->spec->id, storage_name(run->spec->target));
    int rc;

    run->done = mem_zalloc(run->manifest->member_count * sizeof *run->done + 1);
    progress_begin(what, run->result->size);
    do {
        rc = copy_look(run);
        if (rc < 0 || run->result->there)
            break;
        rc = copy_members(run);
        if (rc == PGCASK_EXISTS)
            log_info("%s: another run writes this backup, too", error_text());
    } while (rc == PGCASK_EXISTS && --rounds > 0);
    progress_end();
    return rc;
}

static int
copy_commit(struct copy_run *run)
{
    const struct copy_spec *spec = run->spec;
    CLEANUP_FREE char *key = label_object(spec->cluster, spec->id, LABEL_MANIFEST);
    int rc = 0;

    if (run->visible && !run->spoilt)
        return 0;
    if (run->spoilt)
        rc = storage_remove(spec->target, key);
    if (rc == 0)
        rc = storage_put_object(spec->target, key, run->text.data, run->text.len, true);
    if (rc == PGCASK_EXISTS && copy_same_manifest(run, run->text.len) == 1) {
        error_clear(); /* another run was faster */
        return 0;
    }
    run->result->target_failed |= rc < 0 && rc != PGCASK_EXISTS;
    return rc;
}

/* ---- verdicts ---- */

/* The newest verdict counts, and of two in the same second the bad one. */
static int
copy_record(struct copy_run *run, enum verify_depth depth, const char *problem)
{
    int64_t until_s = clock_now_s() + VERDICT_WAIT_S;
    int rc = 0;

    while (rc == 0 && problem == NULL && clock_now_s() <= run->spec->verdict_s && clock_now_s() < until_s)
        rc = cancel_sleep_ms(100);
    return rc < 0 ? rc : verify_record(run->spec->target, run->manifest, depth, problem);
}

static int
copy_verify(struct copy_run *run)
{
    const struct verify_spec spec = {
        .streams = VERIFY_STREAMS,
        .storage = run->spec->target,
        .manifest = run->manifest,
    };
    enum verify_depth depth = VERIFY_STORED;
    struct error why;
    int rc = verify_copy(&spec, NULL);

    if (rc == PGCASK_COLD) { /* the target keeps it where it cannot be read at once */
        error_clear();
        depth = VERIFY_CONFIRMED;
        rc = verify_confirm(&spec);
    }
    if (rc == 0)
        rc = copy_record(run, depth, NULL);
    if (rc == 0)
        return 0;
    error_take(rc, &why);
    if (verify_is_bad(rc) && copy_record(run, depth, why.text) < 0)
        log_slot_warn("the bad outcome is not recorded");
    rc = error_put(&why);
    return rc == ERROR_CANCELLED ? rc : error_context(rc, "it was copied, but could not be verified");
}

/* A source that turned out to be bad is to be healed by the next sync. One that lacks the manifest by now was removed
 * meanwhile. */
static void
copy_tell_source(const struct copy_run *run, size_t i)
{
    const struct copy_spec *spec = run->spec;
    struct storage *source = spec->sources[i].storage;
    CLEANUP_FREE char *key = label_object(spec->cluster, spec->id, LABEL_MANIFEST);
    uint64_t size;
    int rc = storage_stat(source, key, &size, NULL);

    if (rc == 0)
        rc = verify_record(source, run->manifest, VERIFY_STORED, run->problems[i]);
    if (rc < 0 && rc != PGCASK_NOT_FOUND)
        log_slot_warn("that its copy is bad is not recorded there");
    error_clear();
}

static void
copy_tell_sources(const struct copy_run *run)
{
    struct error kept;

    error_take(PGCASK_FAILED, &kept);
    for (size_t i = 0; run->manifest != NULL && i < run->spec->source_count; i++)
        if (run->problems[i] != NULL)
            copy_tell_source(run, i);
    if (kept.text != NULL)
        (void)error_put(&kept);
}

/* ---- the story ---- */

static int
copy_steps(struct copy_run *run)
{
    int rc = copy_read_manifest(run);

    if (rc < 0)
        return rc;
    run->result->size = manifest_stored_size(run->manifest);
    run->result->members = run->manifest->member_count;
    rc = copy_claim(run);
    if (rc == 0)
        rc = copy_all_members(run);
    if (rc == 0 && !run->result->there)
        rc = cancel_check();
    if (rc == 0 && !run->result->there)
        rc = copy_commit(run);
    copy_unclaim(run);
    if (rc == 0 && !run->result->there)
        rc = copy_verify(run);
    return rc;
}

int
copy_backup(const struct copy_spec *spec, struct copy_result *ret_result)
{
    struct copy_run run = { .spec = spec, .result = ret_result, .text = BUF_INIT(MANIFEST_LIMIT_BYTES) };
    int rc;

    *ret_result = (struct copy_result){ 0 };
    run.problems = mem_zalloc((spec->source_count + 1) * sizeof *run.problems);
    (void)pthread_mutex_init(&run.lock, NULL);
    rc = cancel_or(copy_steps(&run));
    copy_tell_sources(&run);
    for (size_t i = 0; i < spec->source_count; i++)
        free(run.problems[i]);
    free(run.problems);
    free(run.done);
    free(run.lease);
    storage_list_free(&run.present);
    manifest_free(run.manifest);
    buf_free(&run.text);
    (void)pthread_mutex_destroy(&run.lock);
    return rc;
}
