/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/stores.h"

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

static int
store_emptied(const struct storage *storage, const char *mark)
{
    (void)error_set(PGCASK_FAILED, "store '%s' is empty, but backups were stored in it before", storage_name(storage));
    return error_hint(PGCASK_FAILED, "is its file system mounted, is it the right place? To begin anew with an empty store, "
                                     "remove '%s'", mark);
}

/* 1: usable, 0: an empty store opened for reading. */
static int
store_check(const struct config *config, const struct stores *stores, struct storage *storage, unsigned flags,
            char **ret_id)
{
    CLEANUP_FREE char *id = NULL, *mark = store_mark(config, storage);
    bool writing = (flags & PGCASK_OPEN_READONLY) == 0;
    int rc = catalog_repository(storage, &id);

    if (rc == PGCASK_NOT_FOUND && file_exists(mark))
        return store_emptied(storage, mark);
    if (rc == PGCASK_NOT_FOUND && (!writing || (flags & STORES_EXISTING) != 0))
        return 0;
    if (rc == PGCASK_NOT_FOUND)
        rc = store_new(config, stores, storage, &id);
    if (rc < 0)
        return rc;
    if (stores->repository != NULL && strcmp(stores->repository, id) != 0) {
        (void)error_set(ERROR_USAGE, "store '%s' holds repository %s, the others of this job hold %s", storage_name(storage),
                        id, stores->repository);
        return error_hint(ERROR_USAGE, "give the job an empty store, or one that was used together with the others");
    }
    if (writing && !file_exists(mark)) {
        rc = file_mkdirs(config->state_dir);
        if (rc == 0)
            rc = file_write(mark, id, strlen(id));
    }
    *ret_id = STEAL(id);
    return rc < 0 ? rc : 1;
}

static int
stores_open_one(const struct config *config, const struct config_item *item, unsigned flags, struct stores *stores)
{
    CLEANUP(storage_close) struct storage *storage = NULL;
    CLEANUP_FREE char *id = NULL;
    int rc = storage_open(item, flags & PGCASK_OPEN_READONLY, &storage);

    if (rc == 0)
        rc = store_check(config, stores, storage, flags, &id);
    if (rc <= 0)
        return rc;
    if (stores->repository == NULL)
        stores->repository = STEAL(id);
    MEM_GROW(stores->items, stores->len, stores->cap);
    stores->items[stores->len++] = STEAL(storage);
    return 0;
}

int
stores_open(const struct config *config, const struct strv *names, unsigned flags, struct stores *ret_stores)
{
    CLEANUP_STORES struct stores stores = { 0 };
    struct error last = { 0 };
    size_t count = names ? names->len : config->stores.len;

    for (size_t i = 0; i < count; i++) {
        const struct config_item *item = names ? NULL : &config->stores.items[i];
        struct error now;
        int rc = names ? config_find(&config->stores, "store", names->items[i], &item) : 0;

        if (rc < 0) {
            error_free(&last);
            return rc;
        }
        rc = stores_open_one(config, item, flags, &stores);
        if (rc == 0)
            continue;
        stores.failed++;
        stores.failed_required += item->store->required != 0;
        error_take(rc, &now);
        if (last.code != 0) {
            (void)error_put(&last);
            log_slot_warn("going on without that store");
        }
        last = now;
    }
    if (stores.len == 0 && last.code != 0)
        return error_put(&last);
    if (last.code != 0) {
        (void)error_put(&last);
        log_slot_warn("going on without that store");
    }
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
    *stores = (struct stores){ 0 };
}

void
cleanup_stores(struct stores *stores)
{
    stores_close(stores);
}
