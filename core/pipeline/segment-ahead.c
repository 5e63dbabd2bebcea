/* SPDX-License-Identifier: PostgreSQL
 *
 * archive_command: the file that PostgreSQL asks for and, on the way, those that
 * it will ask for next. One process has several of them under way, and the calls
 * for them find a record. Trouble with those is told when they are asked for.
 */
#include "config.h"

#include "pipeline/segment.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/log.h"
#include "pipeline/segment-push.h"
#include "pipeline/segment-ready.h"
#include "pipeline/segment-record.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    THREADS_MAX = 4,         /* some 10 MiB each */
    AHEAD_TIME_MS = 10000,   /* once what was asked for is there, nothing is begun later than this */
};

static const char lock_name[] = "ahead.lock";

struct ahead {
    const struct segment_push_call *call;
    struct pusher *pusher;
    uint64_t system_identifier;
    const char *config_path;
    char *wal;         /* the directory */
    char *records;     /* another one; NULL: no looking ahead */
    struct lock *turn; /* one process looks ahead, others only do what they were asked for */
    int64_t begun_ms;
    pthread_mutex_t lock; /* for what follows */
    struct strv names;
    size_t next;
    bool answered; /* what was asked for has come to an end */
    bool stop;
};

/* ---- what is to be sent ---- */

/* Records of files that are not ready any more: PostgreSQL never asked, or somebody else answered. */
static void
ahead_tidy(const struct ahead *ahead, const struct strv *ready)
{
    DIR *dir = opendir(ahead->records);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (*entry->d_name != '.' && strcmp(entry->d_name, lock_name) != 0 && !strv_has(ready, entry->d_name)) {
            CLEANUP_FREE char *path = mem_printf("%s/%s", ahead->records, entry->d_name);

            (void)unlink(path); /* it does no harm */
        }
    if (dir != NULL)
        (void)closedir(dir); /* opened for reading */
}

static void
ahead_choose(struct ahead *ahead, const struct strv *ready)
{
    const char *slash = strrchr(ahead->call->path, '/');
    uint64_t bytes = 0;

    for (size_t i = 0; i < ready->len && ahead->names.len < SEGMENT_AHEAD_FILES; i++) {
        CLEANUP_FREE char *path = mem_printf("%s/%s", ahead->wal, ready->items[i]);
        struct stat st;

        if (strcmp(ready->items[i], slash != NULL ? slash + 1 : ahead->call->path) == 0 ||
            segment_record_exists(ahead->records, ready->items[i]) || stat(path, &st) < 0)
            continue;
        bytes += (uint64_t)st.st_size;
        if (bytes > SEGMENT_AHEAD_BYTES)
            break;
        strv_add(&ahead->names, ready->items[i]);
    }
}

/* Whatever goes wrong here, the file that was asked for is sent alone. */
static void
ahead_plan(struct ahead *ahead)
{
    const struct segment_push_call *call = ahead->call;
    CLEANUP_STRV struct strv ready = { 0 };
    CLEANUP_FREE char *lock = NULL;
    int rc;

    ahead->records = segment_record_dir(call->config->state_dir, call->cluster->name, call->path);
    rc = ahead->records != NULL ? segment_ready_list(ahead->wal, &ready) : PGCASK_FAILED;
    if (rc == 0)
        rc = file_mkdirs(ahead->records);
    if (rc == 0) {
        lock = mem_printf("%s/%s", ahead->records, lock_name);
        rc = lock_take(lock, "looking ahead", &ahead->turn);
    }
    if (rc == 0) {
        ahead_tidy(ahead, &ready);
        ahead_choose(ahead, &ready);
    } else if (rc != ERROR_LOCKED)
        log_slot_warn("no other file is sent ahead");
    error_clear();
}

/* ---- sending ---- */

static char *
ahead_next(struct ahead *ahead)
{
    char *name = NULL;

    (void)pthread_mutex_lock(&ahead->lock);
    if (ahead->answered && clock_mono_ms() - ahead->begun_ms > AHEAD_TIME_MS)
        ahead->stop = true;
    if (!ahead->stop && ahead->next < ahead->names.len && !cancel_requested() && pusher_alive(ahead->pusher))
        name = ahead->names.items[ahead->next++];
    (void)pthread_mutex_unlock(&ahead->lock);
    return name;
}

/* Only what is the same before and behind may be recorded. */
static int
ahead_send(struct ahead *ahead, struct blob_tools *tools, const char *path)
{
    CLEANUP_SEGMENT_FILE struct segment_file file = { .fd = -1 };
    CLEANUP_FREE char *before = NULL, *after = NULL;
    bool sent;
    int rc = segment_file_open(path, ahead->system_identifier, &file);

    if (rc == 0 && file.system_identifier != ahead->system_identifier)
        rc = error_set(ERROR_CORRUPT, "'%s' is of another system", path);
    if (rc < 0)
        return rc;
    before = segment_record_text(ahead->config_path, file.fd, path);
    if (before == NULL)
        return PGCASK_FAILED;
    rc = pusher_send(ahead->pusher, tools, &file, &sent);
    if (rc < 0)
        return rc;
    after = segment_record_text(ahead->config_path, file.fd, path);
    if (after == NULL || strcmp(before, after) != 0)
        return error_set(PGCASK_FAILED, "'%s' was changed while it was sent", path);
    log_info("'%s' %s, ahead", path, sent ? "is archived" : "was archived before");
    return segment_record_keep(ahead->records, path, after);
}

static void
ahead_work(struct ahead *ahead, struct blob_tools *tools)
{
    const char *name;

    while ((name = ahead_next(ahead)) != NULL) {
        CLEANUP_FREE char *path = mem_printf("%s/%s", ahead->wal, name);

        if (ahead_send(ahead, tools, path) < 0) {
            log_info("%s; not sent ahead", error_text());
            error_clear();
        }
    }
}

static void *
ahead_thread(void *arg)
{
    struct ahead *ahead = arg;
    CLEANUP(blob_tools_free) struct blob_tools *tools =
        blob_tools_new((int)ahead->call->config->main->compress_level);

    ahead_work(ahead, tools);
    return NULL;
}

/* The history of a segment's timeline, when it lies beside it: a server that was promoted while it did not archive never asks
 * for that, and without it the timeline cannot be found again. */
static int
ahead_history(struct ahead *ahead, struct blob_tools *tools, const struct segment_file *of)
{
    const struct wal_name name = { .file = WAL_HISTORY, .timeline = of->name.timeline };
    CLEANUP_FREE char *text = wal_name_text(&name), *path = mem_printf("%s/%s", ahead->wal, text);
    CLEANUP_SEGMENT_FILE struct segment_file file = { .fd = -1 };
    bool sent = false;
    int rc;

    if (of->name.timeline < 2 || of->name.file == WAL_HISTORY || !file_exists(path))
        return 0;
    rc = segment_file_open(path, ahead->system_identifier, &file);
    if (rc == 0)
        rc = pusher_send(ahead->pusher, tools, &file, &sent);
    if (rc == 0 && sent)
        log_info("'%s' is archived, which '%s' needs", path, of->path);
    return rc;
}

/* What was asked for, in this thread, before it helps the others. */
static int
ahead_answer(struct ahead *ahead, const struct segment_file *file)
{
    CLEANUP(blob_tools_free) struct blob_tools *tools =
        blob_tools_new((int)ahead->call->config->main->compress_level);
    struct error error;
    bool sent = false;
    int rc = ahead_history(ahead, tools, file);

    if (rc == 0)
        rc = pusher_send(ahead->pusher, tools, file, &sent);
    if (rc == 0)
        log_info("'%s' %s", file->path, sent ? "is archived" : "was archived before");
    error_take(rc, &error);
    (void)pthread_mutex_lock(&ahead->lock);
    ahead->answered = true;
    ahead->stop |= rc == ERROR_CORRUPT || rc == ERROR_USAGE;
    (void)pthread_mutex_unlock(&ahead->lock);
    ahead_work(ahead, tools);
    return error_put(&error);
}

static int
ahead_run(struct ahead *ahead, const struct segment_file *file)
{
    pthread_t threads[THREADS_MAX];
    unsigned count = 0, wanted = (unsigned)ahead->call->config->workers; /* and we: one more hides waits for disks */
    int rc;

    if (wanted > THREADS_MAX - 1)
        wanted = THREADS_MAX - 1;
    if (wanted > ahead->names.len)
        wanted = (unsigned)ahead->names.len;
    while (count < wanted && pthread_create(&threads[count], NULL, ahead_thread, ahead) == 0)
        count++;
    rc = ahead_answer(ahead, file);
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    return rc;
}

/* ---- the call ---- */

static int
push_check_system(const struct segment_push_call *call, uint64_t *ret_system)
{
    uint64_t system;
    int rc = segment_system_of(call->path, &system);

    if (rc == 0 && system != 0 && call->system_identifier != 0 && system != call->system_identifier)
        rc = error_set(ERROR_USAGE, "--system-identifier is %" PRIu64 ", the data directory says %" PRIu64,
                       call->system_identifier, system);
    if (rc == 0)
        *ret_system = system != 0 ? system : call->system_identifier;
    return rc;
}

static int
push_open(struct ahead *ahead, struct segment_file *file)
{
    int rc = push_check_system(ahead->call, &ahead->system_identifier);

    if (rc == 0)
        rc = segment_file_open(ahead->call->path, ahead->system_identifier, file);
    if (rc == 0 && file->system_identifier == 0) {
        (void)error_set(ERROR_USAGE, "'%s' does not say of which system it is, and no data directory is near",
                        file->path);
        rc = error_hint(ERROR_USAGE, "run it in the data directory, or give --system-identifier");
    }
    ahead->system_identifier = file->system_identifier;
    return rc;
}

int
segment_push(const struct segment_push_call *call)
{
    const char *slash = strrchr(call->path, '/');
    CLEANUP_SEGMENT_FILE struct segment_file file = { .fd = -1 };
    struct ahead ahead = { .call = call, .config_path = call->config->ini->path, .begun_ms = clock_mono_ms() };
    int rc;

    if (segment_record_take(call->config->state_dir, call->cluster->name, ahead.config_path, call->path)) {
        log_info("'%s' was sent ahead", call->path);
        return 0;
    }
    (void)pthread_mutex_init(&ahead.lock, NULL);
    ahead.wal = slash != NULL ? mem_strndup(call->path, (size_t)(slash - call->path)) : mem_strdup(".");
    rc = push_open(&ahead, &file);
    if (rc == 0)
        rc = pusher_open(call->config, call->cluster, &ahead.pusher);
    if (rc == 0 && !call->alone)
        ahead_plan(&ahead);
    if (rc == 0)
        rc = ahead_run(&ahead, &file);
    pusher_close(ahead.pusher);
    lock_release(ahead.turn);
    strv_free(&ahead.names);
    free(ahead.records);
    free(ahead.wal);
    (void)pthread_mutex_destroy(&ahead.lock);
    return rc;
}
