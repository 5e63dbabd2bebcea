/* SPDX-License-Identifier: PostgreSQL
 *
 * Nothing that is in a store is ever replaced or removed here: of two files of one
 * name at most one was acknowledged, and which is not known.
 */
#include "config.h"

#include "pipeline/segment-push.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "catalog/label.h"
#include "catalog/wal-list.h"
#include "pipeline/keys.h"
#include "pipeline/segment-send.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pusher {
    const struct config_item *cluster;
    struct stores stores;
    struct age_recipients *recipients; /* NULL: not encrypted */
    size_t part_bytes;
    pthread_mutex_t lock;
    bool *dead; /* for each store: it failed in this run; guarded by lock */
};

/* One file in one store. */
enum push_state { PUSH_SKIPPED, PUSH_LACKING, PUSH_THERE };

/* One file on its way. */
struct push {
    struct pusher *pusher;
    const struct segment_file *file;
    char system[24];
    char digest[BLOB_DIGEST_CHARS + 1];
    enum push_state *states; /* one for each store */
    struct error error;      /* of the first required store that failed */
    bool sent;
};

int
pusher_open(const struct config *config, const struct config_item *cluster, struct pusher **ret_pusher)
{
    CLEANUP(pusher_close) struct pusher *pusher = mem_zalloc(sizeof *pusher);
    CLEANUP_STRV struct strv names = { 0 };
    int rc = keys_recipients(config, &pusher->recipients);

    (void)pthread_mutex_init(&pusher->lock, NULL);
    pusher->cluster = cluster;
    if (rc == 0 && cluster->cluster->wal_stores != NULL)
        option_words(cluster->cluster->wal_stores, &names);
    if (rc == 0)
        rc = file_mkdirs(config->state_dir);
    if (rc == 0)
        rc = stores_open(config, names.len > 0 ? &names : NULL, 0, &pusher->stores);
    if (rc == 0 && pusher->stores.len == 0) {
        (void)error_set(ERROR_USAGE, "the config has no store");
        rc = error_hint(ERROR_USAGE, "write a section [store NAME]");
    }
    if (rc == 0)
        rc = send_part_size(pusher->stores.items, pusher->stores.len, &pusher->part_bytes);
    if (rc < 0)
        return rc;
    pusher->dead = mem_zalloc(pusher->stores.len * sizeof *pusher->dead);
    *ret_pusher = STEAL(pusher);
    return 0;
}

void
pusher_close(struct pusher *pusher)
{
    if (pusher == NULL)
        return;
    stores_close(&pusher->stores);
    age_recipients_free(pusher->recipients);
    (void)pthread_mutex_destroy(&pusher->lock);
    free(pusher->dead);
    free(pusher);
}

static bool
pusher_is_dead(const struct pusher *pusher, size_t store)
{
    bool dead;

    (void)pthread_mutex_lock((pthread_mutex_t *)&pusher->lock);
    dead = pusher->dead[store];
    (void)pthread_mutex_unlock((pthread_mutex_t *)&pusher->lock);
    return dead;
}

bool
pusher_alive(const struct pusher *pusher)
{
    for (size_t i = 0; i < pusher->stores.len; i++)
        if (!pusher_is_dead(pusher, i))
            return true;
    return false;
}

const struct stores *
pusher_stores(const struct pusher *pusher)
{
    return &pusher->stores;
}

/* The error in the slot is that store's: it is asked no more. */
static void
push_fail(struct push *push, size_t store, int code)
{
    struct pusher *pusher = push->pusher;
    bool known;

    push->states[store] = PUSH_SKIPPED;
    if (code == ERROR_CANCELLED) {
        error_free(&push->error);
        error_take(code, &push->error);
        return;
    }
    (void)pthread_mutex_lock(&pusher->lock);
    known = pusher->dead[store];
    pusher->dead[store] = true;
    (void)pthread_mutex_unlock(&pusher->lock);
    if (storage_is_required(pusher->stores.items[store]) && push->error.code == 0)
        error_take(code, &push->error);
    else if (!known)
        log_slot_warn("going on without that store");
    error_clear();
}

/* ---- what is there ---- */

static int
push_conflict(const struct push *push, size_t store, const struct wal_row *row)
{
    CLEANUP_FREE char *name = wal_name_text(&row->name);

    (void)error_set(ERROR_CORRUPT, "store '%s' has another '%s' already: its digest is %s, that of '%s' is %s",
                    storage_name(push->pusher->stores.items[store]), name, row->digest, push->file->path,
                    push->digest);
    return error_hint(ERROR_CORRUPT,
                      "does another server archive as cluster '%s', or was this one set back? Nothing was replaced; "
                      "give each a [cluster NAME] of its own",
                      push->pusher->cluster->name);
}

/* 0 or ERROR_CORRUPT: refused. A store that does not answer is left out. */
static int
push_look(struct push *push, size_t store)
{
    const struct pusher *pusher = push->pusher;
    CLEANUP_FREE char *prefix = label_wal_file(pusher->cluster->name, push->system, &push->file->name);
    CLEANUP_WAL_LIST struct wal_list list = { 0 };
    int rc = wal_list_add_prefix(pusher->stores.items[store], store, pusher->cluster->name, prefix, &list);

    if (rc < 0) {
        push_fail(push, store, rc);
        return 0;
    }
    push->states[store] = PUSH_LACKING;
    for (size_t i = 0; i < list.len; i++) {
        if (strcmp(list.rows[i].digest, push->digest) == 0)
            push->states[store] = PUSH_THERE;
        else if (push->file->name.file != WAL_PARTIAL)
            return push_conflict(push, store, &list.rows[i]);
    }
    return 0;
}

static int
push_look_all(struct push *push)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < push->pusher->stores.len; i++) {
        if (!pusher_is_dead(push->pusher, i))
            rc = push_look(push, i);
        else if (storage_is_required(push->pusher->stores.items[i]) && push->error.code == 0)
            error_take(error_set(PGCASK_FAILED, "store '%s' failed before",
                                 storage_name(push->pusher->stores.items[i])), &push->error);
    }
    return rc;
}

/* ---- what is not ---- */

/* What became of it in each of them; then another look, for another host may have written at the same time. */
static int
push_settle(struct push *push, struct send *send, const size_t *stores)
{
    int rc = 0;

    for (size_t i = 0; i < send->count; i++) {
        struct error *error = &send->targets[i].error;

        if (error->code == 0 || send->targets[i].exists)
            continue;
        push_fail(push, stores[i], error_put(error));
    }
    for (size_t i = 0; rc == 0 && i < send->count; i++) {
        if (push->states[stores[i]] == PUSH_SKIPPED)
            continue;
        push->sent |= !send->targets[i].exists;
        rc = push_look(push, stores[i]);
        if (rc == 0 && push->states[stores[i]] == PUSH_LACKING)
            push_fail(push, stores[i], error_set(PGCASK_FAILED, "store '%s': '%s' was stored and is not listed",
                                                 storage_name(send->targets[i].storage), send->key));
    }
    for (size_t i = 0; i < send->count; i++)
        error_free(&send->targets[i].error);
    return rc;
}

/* Trouble with the file itself says nothing of the stores. */
static int
push_finish(struct send *send, int code)
{
    struct error error;

    if (code == 0) {
        send_end(send);
        return 0;
    }
    error_take(code, &error);
    if (send_abort(send)) {
        error_free(&error);
        return 0;
    }
    for (size_t i = 0; i < send->count; i++)
        error_free(&send->targets[i].error);
    return error_put(&error);
}

static int
push_write(struct push *push, struct blob_tools *tools)
{
    struct pusher *pusher = push->pusher;
    const struct blob_file source = { .fd = push->file->fd, .path = push->file->path, .size = push->file->size };
    CLEANUP_FREE char *key = label_wal(pusher->cluster->name, push->system, &push->file->name, push->digest,
                                       pusher->recipients != NULL);
    CLEANUP_FREE struct send_target *targets = mem_zalloc(pusher->stores.len * sizeof *targets);
    CLEANUP_FREE size_t *stores = mem_zalloc(pusher->stores.len * sizeof *stores);
    struct send send = { .targets = targets, .key = key, .size = pusher->part_bytes };
    int rc;

    for (size_t i = 0; i < pusher->stores.len; i++)
        if (push->states[i] == PUSH_LACKING) {
            targets[send.count].storage = pusher->stores.items[i];
            stores[send.count++] = i;
        }
    if (send.count == 0)
        return 0;
    send.part = mem_pages_alloc(send.size);
    rc = blob_write(tools, &source, push->digest, pusher->recipients, send_take, &send);
    rc = push_finish(&send, rc);
    mem_pages_free(send.part, send.size);
    return rc < 0 ? rc : push_settle(push, &send, stores);
}

/* ---- the whole of it ---- */

static int
push_verdict(struct push *push)
{
    const struct pusher *pusher = push->pusher;
    size_t have = 0;

    for (size_t i = 0; i < pusher->stores.len; i++)
        have += push->states[i] == PUSH_THERE;
    if (push->error.code != 0)
        return error_put(&push->error);
    if (pusher->stores.failed_required > 0)
        return error_set(PGCASK_FAILED, "'%s' is not in all required stores: %zu of them could not be opened",
                         push->file->path, pusher->stores.failed_required);
    return have > 0 ? 0 : error_set(PGCASK_FAILED, "'%s': no store has taken it", push->file->path);
}

int
pusher_send(struct pusher *pusher, struct blob_tools *tools, const struct segment_file *file, bool *ret_sent)
{
    const struct blob_file source = { .fd = file->fd, .path = file->path, .size = file->size };
    CLEANUP_FREE enum push_state *states = mem_zalloc(pusher->stores.len * sizeof *states);
    struct push push = { .pusher = pusher, .file = file, .states = states };
    int rc = blob_digest(tools, &source, push.digest);

    (void)snprintf(push.system, sizeof push.system, "%" PRIu64, file->system_identifier);
    if (rc == 0)
        rc = push_look_all(&push);
    if (rc == 0)
        rc = push_write(&push, tools);
    if (rc == 0)
        rc = push_verdict(&push);
    error_free(&push.error);
    if (rc < 0)
        return cancel_or(rc);
    *ret_sent = push.sent;
    return 0;
}
