/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/stores.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "catalog/catalog.h"
#include "catalog/label.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { REPOSITORY_ID_BYTES = 16 };

static int
repository_random(char **ret_id)
{
    unsigned char raw[REPOSITORY_ID_BYTES];

    if (RAND_bytes(raw, sizeof raw) != 1)
        return error_set(PGCASK_FAILED, "libcrypto has no random bytes");
    *ret_id = format_hex(raw, sizeof raw);
    return 0;
}

/* The id for new stores of this host: remembered, so that stores used one after the other are one repository. */
static int
repository_of_host(const char *state_dir, char **ret_id)
{
    CLEANUP_FREE char *path = mem_printf("%s/repository", state_dir);
    CLEANUP_FREE char *id = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT(64);
    int rc = file_read(path, &text);

    if (rc == 0 && text.len == 2 * REPOSITORY_ID_BYTES && strspn(text.data, "0123456789abcdef") == text.len) {
        *ret_id = buf_take(&text);
        return 0;
    }
    if (rc == 0)
        return error_set(PGCASK_FAILED, "'%s' does not hold 32 hex digits", path);
    if (rc != PGCASK_NOT_FOUND)
        return rc;
    rc = repository_random(&id);
    if (rc == 0)
        rc = file_create(path, id, strlen(id));
    if (rc == PGCASK_EXISTS)
        return repository_of_host(state_dir, ret_id); /* another run was faster */
    if (rc == 0)
        *ret_id = STEAL(id);
    return rc;
}

static int
store_new(const struct config *config, const struct stores *stores, struct storage *storage, char **ret_id)
{
    CLEANUP_FREE char *id = NULL;
    int rc = 0;

    if (stores->repository != NULL)
        id = mem_strdup(stores->repository);
    else
        rc = repository_of_host(config->state_dir, &id);
    if (rc == 0)
        rc = catalog_repository_make(storage, id);
    if (rc == PGCASK_EXISTS)
        return catalog_repository(storage, ret_id); /* another run was faster */
    if (rc == 0) {
        log_info("store '%s' is new: repository %s", storage_name(storage), id);
        *ret_id = STEAL(id);
    }
    return rc;
}

/* This host remembers which stores it has used: one that is empty all of a sudden is not mounted, or lost. */
static char *
store_mark(const struct config *config, const struct storage *storage)
{
    return mem_printf("%s/store-%s", config->state_dir, storage_name(storage));
}

int
stores_check_emptied(const struct config *config, const struct storage *storage)
{
    CLEANUP_FREE char *mark = store_mark(config, storage);

    if (!file_exists(mark))
        return 0;
    (void)error_set(PGCASK_FAILED, "store '%s' is empty, but backups were stored in it before", storage_name(storage));
    return error_hint(PGCASK_FAILED, "is its file system mounted, is it the right place? To begin anew with an empty store, "
                                     "remove '%s'", mark);
}

/* A store that could be opened. */
struct found {
    const struct config_item *item;
    struct storage *storage;
    char *id; /* of its repository; NULL: it is new */
    bool lost; /* its pgcask.json: the id is what its manifests say */
};

static int
found_open(const struct config_item *item, unsigned flags, struct found *found)
{
    int rc = storage_open(item, flags & PGCASK_OPEN_READONLY, &found->storage);

    found->item = item;
    if (rc == 0)
        rc = catalog_repository(found->storage, &found->id);
    if (rc == PGCASK_NOT_FOUND) {
        rc = catalog_repository_by_manifests(found->storage, &found->id);
        found->lost = rc == 0;
    }
    return rc == PGCASK_NOT_FOUND ? 0 : rc;
}

static void
found_close(struct found *found)
{
    storage_close(found->storage);
    free(found->id);
    *found = (struct found){ 0 };
}

/* It holds backups, and one small object must not be what they hang on. */
static int
store_found_again(const struct found *found, bool writing)
{
    int rc = 0;

    log_warn("store '%s' has lost its 'pgcask.json': its manifests say that it is repository %s%s",
             storage_name(found->storage), found->id, writing ? ", and it is written again" : "");
    if (writing)
        rc = catalog_repository_make(found->storage, found->id);
    if (rc == PGCASK_EXISTS) {
        error_clear(); /* another run was faster */
        rc = 0;
    }
    return rc;
}

/* 1: usable, 0: an empty store opened for reading. `stores` knows the id that all have to have, if there is one. */
static int
found_check(const struct config *config, const struct stores *stores, struct found *found, unsigned flags)
{
    CLEANUP_FREE char *mark = store_mark(config, found->storage);
    bool writing = (flags & PGCASK_OPEN_READONLY) == 0;
    int rc = 0;

    if (found->id == NULL)
        rc = stores_check_emptied(config, found->storage);
    if (rc < 0)
        return rc;
    if (found->id == NULL && (!writing || (flags & STORES_EXISTING) != 0))
        return 0;
    if (found->id == NULL && (flags & STORES_JOIN) != 0 && stores->repository == NULL)
        return 0;
    if (found->id == NULL)
        rc = store_new(config, stores, found->storage, &found->id);
    if (rc < 0)
        return rc;
    if (stores->repository != NULL && strcmp(stores->repository, found->id) != 0) {
        (void)error_set(ERROR_USAGE, "store '%s' holds repository %s, the others of this job hold %s",
                        storage_name(found->storage), found->id, stores->repository);
        return error_hint(ERROR_USAGE, "give the job an empty store, or one that was used together with the others");
    }
    if (found->lost)
        rc = store_found_again(found, writing);
    if (rc == 0 && writing && !file_exists(mark)) {
        rc = file_mkdirs(config->state_dir);
        if (rc == 0)
            rc = file_write(mark, found->id, strlen(found->id));
    }
    return rc < 0 ? rc : 1;
}

/* This thread's error is about that store. Only the last one is kept: it is what to say when no store is left. */
static void
stores_fail(struct stores *stores, const struct config_item *item, int code, struct error *last)
{
    struct error now;

    stores->failed++;
    stores->failed_required += item->store->required != 0;
    error_take(code, &now);
    if (last->code != 0) {
        (void)error_put(last);
        log_slot_warn("going on without that store");
    }
    *last = now;
}

/* What is there already says which repository it is; a new store joins it, wherever it stands in the list. */
static void
stores_take(const struct config *config, struct found *found, size_t count, unsigned flags, struct stores *stores,
            struct error *last)
{
    for (size_t i = 0; i < count && stores->repository == NULL; i++)
        if (found[i].id != NULL && !found[i].lost)
            stores->repository = mem_strdup(found[i].id);
    for (size_t i = 0; i < count && stores->repository == NULL; i++)
        if (found[i].id != NULL)
            stores->repository = mem_strdup(found[i].id);
    for (size_t i = 0; i < count; i++) {
        int rc = found[i].storage != NULL ? found_check(config, stores, &found[i], flags) : 0;

        if (rc < 0)
            stores_fail(stores, found[i].item, rc, last);
        if (rc == 0 && found[i].storage != NULL)
            strv_add(&stores->empty, found[i].item->name);
        if (rc <= 0)
            continue;
        if (stores->repository == NULL)
            stores->repository = mem_strdup(found[i].id);
        MEM_GROW(stores->items, stores->len, stores->cap);
        stores->items[stores->len++] = STEAL(found[i].storage);
    }
}

int
stores_open(const struct config *config, const struct strv *names, unsigned flags, struct stores *ret_stores)
{
    CLEANUP_STORES struct stores stores = { 0 };
    struct error last = { 0 };
    size_t count = names ? names->len : config->stores.len;
    CLEANUP_FREE struct found *found = mem_zalloc((count + 1) * sizeof *found);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        const struct config_item *item = names ? NULL : &config->stores.items[i];
        int opened;

        if (names != NULL)
            rc = config_find(&config->stores, "store", names->items[i], &item);
        if (rc < 0)
            break;
        opened = found_open(item, flags, &found[i]);
        if (opened < 0 && cancel_requested())
            rc = cancel_check();
        else if (opened < 0) {
            stores_fail(&stores, item, opened, &last);
            found_close(&found[i]);
        }
    }
    if (rc == 0)
        stores_take(config, found, count, flags, &stores, &last);
    for (size_t i = 0; i < count; i++)
        found_close(&found[i]);
    if (rc < 0) {
        error_free(&last);
        return rc;
    }
    rc = error_put(&last);
    if (rc < 0 && stores.len == 0)
        return rc;
    if (rc < 0)
        log_slot_warn("going on without that store");
    *ret_stores = stores;
    stores = (struct stores){ 0 };
    return 0;
}

void
stores_close(struct stores *stores)
{
    for (size_t i = 0; i < stores->len; i++)
        storage_close(stores->items[i]);
    free(stores->items);
    free(stores->repository);
    strv_free(&stores->empty);
    *stores = (struct stores){ 0 };
}

void
cleanup_stores(struct stores *stores)
{
    stores_close(stores);
}
