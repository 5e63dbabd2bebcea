/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/receive-archive.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "pipeline/receive-partial.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RETRY_FIRST_MS = 1000,
    RETRY_MOST_MS = 30 * 1000,
    REMIND_MS = 10 * 60 * 1000, /* the same trouble is told again after that */
};

struct job {
    struct spool_item item;
    uint64_t lsn;
    bool keep;
};

/* archiver->lock guards all below it; ops are called without it. */
struct archiver {
    const char *dir;
    int64_t interval_ms;
    const struct archiver_ops *ops;
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;  /* for the thread */
    pthread_cond_t moved; /* for who waits for it */
    struct job *jobs;     /* the first one may be under way */
    size_t len, cap;
    struct job current; /* item.size: bytes that are synced */
    bool has_current;
    uint64_t stored;  /* bytes of current that are in the stores */
    int64_t began_ms; /* the last time current was begun to be stored */
    bool hasten, draining, stop;
    uint64_t moves; /* counts them */
    struct error fatal;
    int64_t retry_ms, pause_ms; /* when, and how long that was */
    char *told;
    int64_t told_ms;
    struct partials partials; /* the thread's own */
};

static bool
item_is(const struct spool_item *item, const struct spool_item *other)
{
    return item->system != NULL && strcmp(item->system, other->system) == 0 && item->name.file == other->name.file &&
           item->name.timeline == other->name.timeline && item->name.log == other->name.log &&
           item->name.piece == other->name.piece;
}

static struct spool_item
item_copy(const struct spool_item *item)
{
    return (struct spool_item){ mem_strdup(item->system), item->name, item->size };
}

/* ---- one file ---- */

/* Those that this one makes needless are shorter, so it holds what they hold. */
static void
job_replace_partials(struct archiver *archiver, const struct job *job, const char *digest)
{
    struct partial shorter;

    partials_add(&archiver->partials, &job->item.name, job->item.size, digest);
    while (partials_take_shorter(&archiver->partials, &job->item.name, job->item.size, &shorter))
        archiver->ops->forget(archiver->ctx, &job->item, digest, shorter.digest);
}

/* Without the lock. */
static int
job_store(struct archiver *archiver, const struct job *job)
{
    char digest[LABEL_DIGEST_CHARS + 1] = "";
    int rc = archiver->ops->store(archiver->ctx, &job->item, job->item.size, digest);

    if (rc < 0)
        return rc;
    if (job->item.name.file == WAL_SEGMENT) {
        archiver->ops->forget(archiver->ctx, &job->item, digest, NULL);
        partials_free(&archiver->partials);
    }
    if (job->item.name.file == WAL_PARTIAL)
        job_replace_partials(archiver, job, digest);
    return job->keep ? 0 : spool_remove(archiver->dir, job->item.system, &job->item.name);
}

/* ---- what to do next; all with the lock held ---- */

static void
archiver_move(struct archiver *archiver)
{
    archiver->moves++;
    (void)pthread_cond_broadcast(&archiver->moved);
}

/* When the current one is to be stored; INT64_MAX: not now. */
static int64_t
current_due_ms(const struct archiver *archiver)
{
    if (!archiver->has_current || archiver->current.item.size <= archiver->stored)
        return INT64_MAX;
    if (archiver->hasten || archiver->draining)
        return 0;
    return archiver->interval_ms > 0 ? archiver->began_ms + archiver->interval_ms : INT64_MAX;
}

static int64_t
archiver_due_ms(const struct archiver *archiver)
{
    int64_t due_ms = archiver->len > 0 ? 0 : current_due_ms(archiver);

    if (archiver->fatal.code != 0)
        return INT64_MAX;
    return due_ms > archiver->retry_ms ? due_ms : archiver->retry_ms;
}

static void
archiver_sleep(struct archiver *archiver, pthread_cond_t *cond, int64_t until_ms)
{
    struct timespec until = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };

    if (until_ms == INT64_MAX)
        (void)pthread_cond_wait(cond, &archiver->lock);
    else
        (void)pthread_cond_clockwait(cond, &archiver->lock, CLOCK_MONOTONIC, &until);
}

/* The same words are not said with each try. */
static void
archiver_tell(struct archiver *archiver)
{
    CLEANUP_FREE char *pause = format_duration(archiver->pause_ms);
    CLEANUP_FREE char *then = mem_printf("it stays in the spool; next try in %s", pause);
    int64_t now_ms = clock_mono_ms();

    if (archiver->told != NULL && strcmp(archiver->told, error_text()) == 0 && now_ms - archiver->told_ms < REMIND_MS) {
        log_debug("%s, %s", error_text(), then);
        error_clear();
        return;
    }
    free(archiver->told);
    archiver->told = mem_strdup(error_text());
    archiver->told_ms = now_ms;
    log_slot_warn(then);
}

static bool
is_fatal(int rc)
{
    return rc == PGCASK_NOT_FOUND || rc == PGCASK_EXISTS || rc == ERROR_CORRUPT || rc == ERROR_USAGE ||
           rc == ERROR_CANCELLED;
}

static void
archiver_failed(struct archiver *archiver, int rc)
{
    if (is_fatal(rc)) {
        error_take(rc, &archiver->fatal);
    } else {
        archiver->pause_ms = archiver->pause_ms == 0 ? RETRY_FIRST_MS : archiver->pause_ms * 2;
        if (archiver->pause_ms > RETRY_MOST_MS)
            archiver->pause_ms = RETRY_MOST_MS;
        archiver->retry_ms = clock_mono_ms() + archiver->pause_ms;
        archiver_tell(archiver);
    }
    archiver->draining = false;
}

static void
archiver_worked(struct archiver *archiver)
{
    if (archiver->told != NULL)
        log_warn("the stores take WAL again");
    free(STEAL(archiver->told));
    archiver->retry_ms = archiver->pause_ms = 0;
}

/* A .partial may have become whole meanwhile; or a crash of this machine has taken its beginning. */
static int
job_excuse(const struct job *job, int rc)
{
    if (job->item.name.file != WAL_PARTIAL || (rc != PGCASK_NOT_FOUND && rc != ERROR_CORRUPT))
        return rc;
    if (rc == ERROR_CORRUPT)
        log_slot_warn("so it is not archived, and stays in the spool");
    error_clear();
    return 0;
}

static void
archiver_do_job(struct archiver *archiver)
{
    struct job job = archiver->jobs[0];
    int rc;

    job.item = item_copy(&job.item);
    (void)pthread_mutex_unlock(&archiver->lock);
    rc = job_excuse(&job, job_store(archiver, &job));
    (void)pthread_mutex_lock(&archiver->lock);
    if (rc < 0)
        archiver_failed(archiver, rc);
    else
        archiver_worked(archiver);
    if (rc == 0 && archiver->jobs[0].keep == job.keep) { /* else somebody wants it removed by now */
        free(archiver->jobs[0].item.system);
        memmove(archiver->jobs, archiver->jobs + 1, --archiver->len * sizeof *archiver->jobs);
    }
    free(job.item.system);
}

static void
archiver_do_current(struct archiver *archiver)
{
    struct job job = { .item = item_copy(&archiver->current.item), .keep = true };
    int rc;

    archiver->began_ms = clock_mono_ms();
    archiver->hasten = false;
    (void)pthread_mutex_unlock(&archiver->lock);
    rc = job_store(archiver, &job);
    (void)pthread_mutex_lock(&archiver->lock);
    if (rc == PGCASK_NOT_FOUND && !archiver->draining)
        error_clear(); /* it has just become whole, and comes as such */
    else if (rc < 0)
        archiver_failed(archiver, rc);
    else
        archiver_worked(archiver);
    if (rc == 0 && archiver->has_current && item_is(&archiver->current.item, &job.item) &&
        job.item.size > archiver->stored)
        archiver->stored = job.item.size;
    free(job.item.system);
}

static void *
archiver_run(void *arg)
{
    struct archiver *archiver = arg;

    (void)pthread_mutex_lock(&archiver->lock);
    while (!archiver->stop) {
        int64_t due_ms = archiver_due_ms(archiver);

        if (due_ms > clock_mono_ms()) {
            archiver_sleep(archiver, &archiver->work, due_ms);
            continue;
        }
        if (archiver->len > 0)
            archiver_do_job(archiver);
        else
            archiver_do_current(archiver);
        archiver_move(archiver);
        (void)pthread_mutex_unlock(&archiver->lock);
        archiver->ops->moved(archiver->ctx);
        (void)pthread_mutex_lock(&archiver->lock);
    }
    (void)pthread_mutex_unlock(&archiver->lock);
    return NULL;
}

/* ---- for the others ---- */

int
archiver_start(const char *dir, int64_t partial_interval_ms, const struct archiver_ops *ops, void *ctx,
               struct archiver **ret_archiver)
{
    struct archiver *archiver = mem_zalloc(sizeof *archiver);

    archiver->dir = dir;
    archiver->interval_ms = partial_interval_ms;
    archiver->ops = ops;
    archiver->ctx = ctx;
    (void)pthread_mutex_init(&archiver->lock, NULL);
    (void)pthread_cond_init(&archiver->work, NULL);
    (void)pthread_cond_init(&archiver->moved, NULL);
    if (pthread_create(&archiver->thread, NULL, archiver_run, archiver) != 0) {
        free(archiver);
        return error_set(PGCASK_FAILED, "could not start a thread");
    }
    *ret_archiver = archiver;
    return 0;
}

void
archiver_free(struct archiver *archiver)
{
    if (archiver == NULL)
        return;
    (void)pthread_mutex_lock(&archiver->lock);
    archiver->stop = true;
    (void)pthread_cond_broadcast(&archiver->work);
    (void)pthread_mutex_unlock(&archiver->lock);
    (void)pthread_join(archiver->thread, NULL);
    for (size_t i = 0; i < archiver->len; i++)
        free(archiver->jobs[i].item.system);
    free(archiver->jobs);
    free(archiver->current.item.system);
    partials_free(&archiver->partials);
    free(archiver->told);
    error_free(&archiver->fatal);
    (void)pthread_cond_destroy(&archiver->moved);
    (void)pthread_cond_destroy(&archiver->work);
    (void)pthread_mutex_destroy(&archiver->lock);
    free(archiver);
}

void
archiver_add(struct archiver *archiver, const struct spool_item *item, uint64_t lsn, bool keep)
{
    bool there = false;

    (void)pthread_mutex_lock(&archiver->lock);
    for (size_t i = 0; i < archiver->len; i++)
        if (item_is(&archiver->jobs[i].item, item)) {
            archiver->jobs[i].keep &= keep;
            there = true;
        }
    if (!there) {
        MEM_GROW(archiver->jobs, archiver->len, archiver->cap);
        archiver->jobs[archiver->len++] = (struct job){ item_copy(item), lsn, keep };
        (void)pthread_cond_signal(&archiver->work);
    }
    (void)pthread_mutex_unlock(&archiver->lock);
}

void
archiver_current(struct archiver *archiver, const struct spool_item *item, uint64_t lsn, uint64_t synced)
{
    (void)pthread_mutex_lock(&archiver->lock);
    if (!archiver->has_current || !item_is(&archiver->current.item, item)) {
        free(archiver->current.item.system);
        archiver->current = (struct job){ .item = item_copy(item), .lsn = lsn };
        archiver->stored = 0;
    }
    archiver->has_current = true;
    archiver->current.item.size = synced;
    (void)pthread_cond_signal(&archiver->work);
    (void)pthread_mutex_unlock(&archiver->lock);
}

void
archiver_hasten(struct archiver *archiver)
{
    (void)pthread_mutex_lock(&archiver->lock);
    archiver->hasten = archiver->has_current && archiver->current.item.size > archiver->stored;
    (void)pthread_cond_signal(&archiver->work);
    (void)pthread_mutex_unlock(&archiver->lock);
}

uint64_t
archiver_stored_lsn(struct archiver *archiver)
{
    uint64_t lsn = 0;

    (void)pthread_mutex_lock(&archiver->lock);
    if (archiver->has_current)
        lsn = archiver->current.lsn + archiver->stored;
    for (size_t i = archiver->len; archiver->has_current && i-- > 0;)
        if (strcmp(archiver->jobs[i].item.system, archiver->current.item.system) == 0 && archiver->jobs[i].lsn < lsn)
            lsn = archiver->jobs[i].lsn;
    (void)pthread_mutex_unlock(&archiver->lock);
    return lsn;
}

uint64_t
archiver_backlog_bytes(struct archiver *archiver)
{
    uint64_t bytes = 0;

    (void)pthread_mutex_lock(&archiver->lock);
    for (size_t i = 0; i < archiver->len; i++)
        bytes += archiver->jobs[i].item.size;
    (void)pthread_mutex_unlock(&archiver->lock);
    return bytes;
}

int
archiver_check(struct archiver *archiver)
{
    int rc;

    (void)pthread_mutex_lock(&archiver->lock);
    rc = archiver->fatal.code;
    if (rc < 0) {
        (void)error_set(rc, "%s", archiver->fatal.text ? archiver->fatal.text : "no reason was given");
        if (archiver->fatal.hint != NULL)
            (void)error_hint(rc, "%s", archiver->fatal.hint);
    }
    (void)pthread_mutex_unlock(&archiver->lock);
    return rc;
}

void
archiver_wait(struct archiver *archiver, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    uint64_t moves;

    (void)pthread_mutex_lock(&archiver->lock);
    moves = archiver->moves;
    while (archiver->moves == moves && clock_mono_ms() < until_ms)
        archiver_sleep(archiver, &archiver->moved, until_ms);
    (void)pthread_mutex_unlock(&archiver->lock);
}

size_t
archiver_drain(struct archiver *archiver, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;
    size_t left;

    (void)pthread_mutex_lock(&archiver->lock);
    archiver->draining = true;
    archiver->retry_ms = 0;
    (void)pthread_cond_signal(&archiver->work);
    while (archiver->draining && archiver->fatal.code == 0 && clock_mono_ms() < until_ms &&
           (archiver->len > 0 || current_due_ms(archiver) != INT64_MAX))
        archiver_sleep(archiver, &archiver->moved, until_ms);
    left = archiver->len + (archiver->has_current && archiver->current.item.size > archiver->stored);
    archiver->draining = false;
    (void)pthread_mutex_unlock(&archiver->lock);
    return left;
}
