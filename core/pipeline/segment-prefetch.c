/* SPDX-License-Identifier: PostgreSQL
 *
 * The process that keeps the stock full, so that PostgreSQL replays one segment
 * while the next ones are on their way. It follows one timeline, as far as there
 * are segments, and ends when nobody has asked for a while.
 */
#include "config.h"

#include "pipeline/segment.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "pipeline/segment-fetch.h"
#include "pipeline/segment-stock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    THREADS_MAX = 4,
    POLL_MS = 20,
    ANSWERED_MS = 2000,            /* who asks takes at once, or has it from elsewhere */
    IDLE_MS = 60000,               /* what nobody has asked for then is thrown away */
    SEGMENT_GUESS_BYTES = 1 << 24, /* as long as none was seen */
};

struct prefetch {
    const struct segment_fetch_call *call;
    struct fetcher *fetcher;
    const char *dir;
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t moved;
    struct wal_name last; /* begun, or asked for */
    uint64_t segment_bytes;
    size_t room;          /* so many more may be begun */
    unsigned at_work;
    bool end;             /* nothing follows, or there was trouble: who asks for it will see */
    bool stop;
};

/* ---- fetching ---- */

static int
prefetch_one(struct prefetch *prefetch, struct blob_tools *tools, const struct wal_name *name)
{
    CLEANUP_FREE char *text = wal_name_text(name);
    char digest[BLOB_DIGEST_CHARS + 1];
    CLEANUP_FD int fd = -1;
    struct stat st;
    int rc = stock_begin(prefetch->dir, text, &fd);

    if (rc < 0)
        return rc;
    rc = fetcher_get(prefetch->fetcher, tools, name, fd, text, digest);
    if (rc == 0 && (fsync(fd) < 0 || fstat(fd, &st) < 0))
        rc = error_errno(PGCASK_FAILED, "could not sync '%s'", text);
    if (rc == 0)
        rc = stock_end(prefetch->dir, text, digest);
    if (rc < 0) {
        stock_cancel(prefetch->dir, text);
        return rc;
    }
    log_debug("'%s' is in stock", text);
    (void)pthread_mutex_lock(&prefetch->lock);
    prefetch->segment_bytes = (uint64_t)st.st_size;
    (void)pthread_mutex_unlock(&prefetch->lock);
    return 0;
}

/* Caller holds prefetch->lock. */
static bool
prefetch_next(struct prefetch *prefetch, struct wal_name *ret_name)
{
    while (!prefetch->stop && !prefetch->end && prefetch->room == 0)
        (void)pthread_cond_wait(&prefetch->moved, &prefetch->lock);
    if (prefetch->stop || prefetch->end)
        return false;
    if (!fetcher_next(prefetch->fetcher, &prefetch->last, ret_name)) {
        (void)fetcher_has(prefetch->fetcher, &prefetch->last, true); /* it may have come meanwhile */
        if (!fetcher_next(prefetch->fetcher, &prefetch->last, ret_name)) {
            prefetch->end = true;
            return false;
        }
    }
    prefetch->last = *ret_name;
    prefetch->room--;
    prefetch->at_work++;
    return true;
}

static void *
prefetch_thread(void *arg)
{
    struct prefetch *prefetch = arg;
    CLEANUP(blob_tools_free) struct blob_tools *tools = blob_tools_new(1);
    struct wal_name name;

    (void)pthread_mutex_lock(&prefetch->lock);
    while (prefetch_next(prefetch, &name)) {
        int rc;

        (void)pthread_mutex_unlock(&prefetch->lock);
        rc = prefetch_one(prefetch, tools, &name);
        if (rc < 0)
            log_info("%s; not fetched ahead", error_text());
        error_clear();
        (void)pthread_mutex_lock(&prefetch->lock);
        prefetch->at_work--;
        prefetch->end |= rc < 0;
        (void)pthread_cond_broadcast(&prefetch->moved);
    }
    (void)pthread_cond_broadcast(&prefetch->moved);
    (void)pthread_mutex_unlock(&prefetch->lock);
    return NULL;
}

/* ---- keeping watch ---- */

static bool
name_is_behind(const struct wal_name *name, const struct wal_name *than)
{
    return name->log > than->log || (name->log == than->log && name->piece > than->piece);
}

/* Somebody has asked for a segment: nothing before it is of any use. False: for the one that was known. */
static bool
prefetch_follow(struct prefetch *prefetch, struct wal_name *asked)
{
    struct wal_name now;

    if (!stock_asked(prefetch->dir, &now) || memcmp(&now, asked, sizeof now) == 0)
        return false;
    *asked = now;
    stock_tidy(prefetch->dir, &now, false);
    (void)pthread_mutex_lock(&prefetch->lock);
    if (now.timeline != prefetch->last.timeline)
        prefetch->end = true; /* the process that it starts goes on there */
    else if (name_is_behind(&now, &prefetch->last))
        prefetch->last = now;
    (void)pthread_mutex_unlock(&prefetch->lock);
    return true;
}

/* At most half of what the file system has left is taken. */
static size_t
prefetch_room(const struct prefetch *prefetch, size_t count, uint64_t bytes)
{
    uint64_t size = prefetch->segment_bytes, under_way = prefetch->at_work * size, limit = SEGMENT_AHEAD_BYTES;
    size_t files = count + prefetch->at_work;
    struct statvfs space;

    if (statvfs(prefetch->dir, &space) == 0) {
        uint64_t half = bytes + (uint64_t)space.f_bavail * space.f_frsize / 2;

        if (half < limit)
            limit = half;
    }
    if (files >= SEGMENT_AHEAD_FILES || bytes + under_way + size > limit)
        return 0;
    limit = (limit - bytes - under_way) / size;
    return limit < SEGMENT_AHEAD_FILES - files ? (size_t)limit : SEGMENT_AHEAD_FILES - files;
}

/* False: there is nothing left to do. */
static bool
prefetch_look(struct prefetch *prefetch)
{
    uint64_t bytes;
    size_t count;
    bool over;

    stock_count(prefetch->dir, &count, &bytes);
    (void)pthread_mutex_lock(&prefetch->lock);
    prefetch->room = prefetch_room(prefetch, count, bytes);
    over = prefetch->end && prefetch->at_work == 0 && count == 0;
    (void)pthread_cond_broadcast(&prefetch->moved);
    (void)pthread_mutex_unlock(&prefetch->lock);
    return !over;
}

static void
prefetch_watch(struct prefetch *prefetch)
{
    struct wal_name asked = prefetch->last;
    int64_t since_ms = clock_mono_ms(), idle_ms = 0;

    while (idle_ms < IDLE_MS && prefetch_look(prefetch) && cancel_sleep_ms(POLL_MS) == 0) {
        if (prefetch_follow(prefetch, &asked))
            since_ms = clock_mono_ms();
        idle_ms = clock_mono_ms() - since_ms;
        if (idle_ms > ANSWERED_MS) {
            struct wal_name behind = asked;

            behind.piece++;
            stock_tidy(prefetch->dir, &behind, false);
        }
    }
}

static void
prefetch_run(struct prefetch *prefetch)
{
    pthread_t threads[THREADS_MAX];
    unsigned count = 0, wanted = (unsigned)prefetch->call->config->workers;

    if (wanted > THREADS_MAX)
        wanted = THREADS_MAX;
    while (count < wanted && pthread_create(&threads[count], NULL, prefetch_thread, prefetch) == 0)
        count++;
    if (count > 0)
        prefetch_watch(prefetch);
    (void)pthread_mutex_lock(&prefetch->lock);
    prefetch->stop = true;
    (void)pthread_cond_broadcast(&prefetch->moved);
    (void)pthread_mutex_unlock(&prefetch->lock);
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    stock_tidy(prefetch->dir, NULL, true);
}

int
segment_prefetch(const struct segment_fetch_call *call, const char *dir)
{
    CLEANUP(lock_release) struct lock *lock = NULL;
    CLEANUP(fetcher_close) struct fetcher *fetcher = NULL;
    struct prefetch prefetch = { .call = call, .dir = dir, .segment_bytes = SEGMENT_GUESS_BYTES };
    int rc = wal_name_parse(call->name, &prefetch.last);

    if (rc == 0 && prefetch.last.file != WAL_SEGMENT)
        rc = error_set(ERROR_USAGE, "nothing follows '%s'", call->name);
    if (rc == 0)
        rc = stock_lock(dir, &lock);
    if (rc < 0)
        return rc;
    stock_tidy_others(dir);
    stock_tidy(dir, &prefetch.last, true);
    rc = fetcher_open(call->config, call->cluster, NULL, call->system_identifier, &fetcher);
    if (rc < 0)
        return rc;
    prefetch.fetcher = fetcher;
    (void)pthread_mutex_init(&prefetch.lock, NULL);
    (void)pthread_cond_init(&prefetch.moved, NULL);
    prefetch_run(&prefetch);
    (void)pthread_cond_destroy(&prefetch.moved);
    (void)pthread_mutex_destroy(&prefetch.lock);
    return 0;
}
