/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/segment-fetch.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "catalog/wal-list.h"
#include "pg/wal-header.h"
#include "pg/wal-history.h"
#include "pipeline/keys.h"
#include "pipeline/stores.h"
#include "stage/fetch.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WRITE_BYTES = 256 * 1024, /* as the local store has it, for the same reason */
    PARTIAL_COPIES = 8,       /* contents of one .partial that are compared: the newest */
};

struct fetcher {
    const struct config_item *cluster;
    struct stores stores;
    struct age_identities *identities; /* NULL: none */
    char *system;
    pthread_mutex_t lock; /* for what follows */
    char *group;          /* what `list` is of; NULL: nothing yet */
    struct wal_list list;
    bool *deaf;           /* for each store: it could not be listed, and is asked no more */
    struct error why;     /* the first reason for which the stores' answers are not the whole truth */
};

/* ---- opening ---- */

/* The error in the slot: that store's answer is lacking. */
static void
fetcher_doubt(struct fetcher *fetcher, int code)
{
    if (fetcher->why.code == 0)
        error_take(code, &fetcher->why);
    error_clear();
}

/* The upper half of the number is the time of initdb. */
static bool
system_is_newer(const char *system, const char *than)
{
    return strlen(system) != strlen(than) ? strlen(system) > strlen(than) : strcmp(system, than) > 0;
}

static int
fetcher_newest(struct fetcher *fetcher)
{
    CLEANUP_STRV struct strv systems = { 0 };
    const char *newest = NULL;

    for (size_t i = 0; i < fetcher->stores.len; i++) {
        int rc = wal_list_systems(fetcher->stores.items[i], fetcher->cluster->name, &systems);

        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < systems.len; i++)
        if (newest == NULL || system_is_newer(systems.items[i], newest))
            newest = systems.items[i];
    if (newest == NULL)
        return error_set(PGCASK_FAILED, "no store has WAL of cluster '%s'", fetcher->cluster->name);
    if (systems.len > 1)
        log_warn("the archive holds WAL of %zu systems; taking the newest, %s", systems.len, newest);
    fetcher->system = mem_strdup(newest);
    return 0;
}

static int
fetcher_open_stores(struct fetcher *fetcher, const struct config *config, const char *store)
{
    CLEANUP_STRV struct strv names = { 0 };
    int rc;

    if (store != NULL)
        strv_add(&names, store);
    else if (fetcher->cluster->cluster->wal_stores != NULL)
        option_words(fetcher->cluster->cluster->wal_stores, &names);
    rc = stores_open(config, names.len > 0 ? &names : NULL, PGCASK_OPEN_READONLY, &fetcher->stores);
    if (rc < 0)
        return rc;
    if (fetcher->stores.failed > 0)
        fetcher_doubt(fetcher, error_set(PGCASK_FAILED, "%zu of the stores cannot be read", fetcher->stores.failed));
    if (fetcher->stores.empty.len > 0)
        fetcher_doubt(fetcher, error_set(PGCASK_FAILED,
                                         "store '%s' holds no repository: is it the right place, and is it mounted?",
                                         fetcher->stores.empty.items[0]));
    if (fetcher->stores.len == 0)
        return error_put(&fetcher->why);
    return 0;
}

int
fetcher_open(const struct config *config, const struct config_item *cluster, const char *store,
             uint64_t system_identifier, struct fetcher **ret_fetcher)
{
    CLEANUP(fetcher_close) struct fetcher *fetcher = mem_zalloc(sizeof *fetcher);
    int rc;

    (void)pthread_mutex_init(&fetcher->lock, NULL);
    fetcher->cluster = cluster;
    rc = keys_identities(config, false, &fetcher->identities);
    if (rc == 0)
        rc = fetcher_open_stores(fetcher, config, store);
    if (rc < 0)
        return rc;
    fetcher->deaf = mem_zalloc(fetcher->stores.len * sizeof *fetcher->deaf);
    if (system_identifier != 0)
        fetcher->system = mem_printf("%" PRIu64, system_identifier);
    else
        rc = fetcher_newest(fetcher);
    if (rc < 0)
        return rc;
    *ret_fetcher = STEAL(fetcher);
    return 0;
}

void
fetcher_close(struct fetcher *fetcher)
{
    if (fetcher == NULL)
        return;
    stores_close(&fetcher->stores);
    age_identities_free(fetcher->identities);
    wal_list_free(&fetcher->list);
    error_free(&fetcher->why);
    (void)pthread_mutex_destroy(&fetcher->lock);
    free(fetcher->deaf);
    free(fetcher->group);
    free(fetcher->system);
    free(fetcher);
}

const char *
fetcher_system(const struct fetcher *fetcher)
{
    return fetcher->system;
}

/* ---- finding ---- */

/* List the neighbours of `name` in all stores that answer. Caller holds fetcher->lock. */
static void
fetcher_list(struct fetcher *fetcher, const struct wal_name *name, bool anew)
{
    CLEANUP_FREE char *group = label_wal_group(fetcher->cluster->name, fetcher->system, name);

    if (!anew && fetcher->group != NULL && strcmp(fetcher->group, group) == 0)
        return;
    wal_list_free(&fetcher->list);
    for (size_t i = 0; i < fetcher->stores.len; i++) {
        int rc = 0;

        if (!fetcher->deaf[i])
            rc = wal_list_add_prefix(fetcher->stores.items[i], i, fetcher->cluster->name, group, &fetcher->list);
        if (rc == 0)
            continue;
        fetcher->deaf[i] = true;
        log_warn("%s, going on without that store", error_text());
        fetcher_doubt(fetcher, rc);
    }
    free(fetcher->group);
    fetcher->group = STEAL(group);
}

/* The rows of that file, owned by the caller. */
static struct wal_row *
fetcher_rows(struct fetcher *fetcher, const struct wal_name *name, bool anew, size_t *ret_count)
{
    struct wal_row *rows = NULL;
    const struct wal_row *found;

    (void)pthread_mutex_lock(&fetcher->lock);
    fetcher_list(fetcher, name, anew);
    found = wal_list_find(&fetcher->list, name, ret_count);
    if (found != NULL) {
        rows = mem_realloc_array(NULL, *ret_count, sizeof *rows);
        memcpy(rows, found, *ret_count * sizeof *rows);
    }
    (void)pthread_mutex_unlock(&fetcher->lock);
    return rows;
}

bool
fetcher_has(struct fetcher *fetcher, const struct wal_name *name, bool anew)
{
    size_t count;

    free(fetcher_rows(fetcher, name, anew, &count));
    return count > 0;
}

/* The second half of the last one before the first half counts on depends on the size of segments: 3 (1 GiB) to FFF. */
bool
fetcher_next(struct fetcher *fetcher, const struct wal_name *name, struct wal_name *ret_next)
{
    struct wal_name next = *name;

    next.piece++;
    if (!fetcher_has(fetcher, &next, false) && next.piece >= 4 && (next.piece & (next.piece - 1)) == 0) {
        next.piece = 0;
        next.log++;
    }
    if (!fetcher_has(fetcher, &next, false))
        return false;
    *ret_next = next;
    return true;
}

/* ---- reading ---- */

static int
fetcher_write(void *ctx, const void *data, size_t len)
{
    int fd = *(const int *)ctx, rc = cancel_check();

    for (size_t done = 0; rc == 0 && done < len; done += WRITE_BYTES)
        rc = file_write_all(fd, (const char *)data + done, len - done < WRITE_BYTES ? len - done : WRITE_BYTES,
                            "the fetched file");
    return rc;
}

static int
fetched_check(const struct fetcher *fetcher, const struct wal_name *name, int fd, const char *path, uint64_t size)
{
    CLEANUP_BUF struct buf text = BUF_INIT(WAL_HISTORY_LIMIT_BYTES);
    CLEANUP_WAL_HISTORY struct wal_history history = { .len = 0 };
    unsigned char data[WAL_HEADER_BYTES];
    CLEANUP_FREE char *system = NULL;
    struct wal_header header;
    int rc = 0;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(PGCASK_FAILED, "could not read '%s'", path);
    if (name->file == WAL_HISTORY) {
        rc = file_read_fd(fd, path, &text);
        return rc == 0 ? wal_history_read(name->timeline, text.data, text.len, &history) : rc;
    }
    if (name->file == WAL_LABEL)
        return 0;
    if (file_read_up_to(fd, data, sizeof data, path) < 0)
        return PGCASK_FAILED;
    rc = wal_header_read(data, size < sizeof data ? (size_t)size : sizeof data, &header);
    if (rc == 0) /* what was streamed of a segment is as long as it is */
        rc = wal_header_check(&header, name, name->file == WAL_PARTIAL ? header.segment_bytes : size);
    if (rc < 0)
        return rc;
    system = mem_printf("%" PRIu64, header.system_identifier);
    return strcmp(system, fetcher->system) == 0 ? 0
           : error_set(ERROR_CORRUPT, "it is of system %s, not of %s", system, fetcher->system);
}

/* From that one store. */
static int
fetcher_read(struct fetcher *fetcher, struct blob_tools *tools, const struct wal_row *row, int fd, const char *path)
{
    struct storage *storage = fetcher->stores.items[row->store];
    CLEANUP_FREE char *key = wal_row_key(row, fetcher->cluster->name, fetcher->system);
    const struct blob_ref ref = {
        .key = key,
        .digest = row->digest,
        .sealed = row->sealed,
        .stored_size = row->size,
        .limit = WAL_SEGMENT_MAX_BYTES,
    };
    uint64_t size;
    int rc = ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0
                 ? error_errno(PGCASK_FAILED, "could not write '%s'", path)
                 : blob_read(tools, storage, &ref, fetcher->identities, fetcher_write, &fd, &size);

    if (rc < 0)
        return rc;
    rc = fetched_check(fetcher, &row->name, fd, path, size);
    return rc == ERROR_CORRUPT ? error_context(rc, "store '%s': object '%s'", storage_name(storage), key) : rc;
}

/* Rows of one digest, nearest store first. */
static int
fetcher_read_any(struct fetcher *fetcher, struct blob_tools *tools, const struct wal_row *rows, size_t count, int fd,
                 const char *path)
{
    for (size_t i = 0;; i++) {
        int rc = fetcher_read(fetcher, tools, &rows[i], fd, path);

        if (rc == 0 || !fetch_is_trouble(rc) || i + 1 == count)
            return cancel_requested() && rc < 0 ? cancel_check() : rc;
        log_slot_warn("going on with another copy");
    }
}

/* ---- .partial ---- */

static int
rows_by_age(const void *a, const void *b)
{
    const struct wal_row *one = a, *two = b;

    return (one->mtime_s < two->mtime_s) - (one->mtime_s > two->mtime_s);
}

/* All that was ever written on a timeline was written by one server, so of two of them the longer one has the shorter
 * one in it: it is looked for among the newest. */
static int
fetcher_longest(struct fetcher *fetcher, struct blob_tools *tools, struct wal_row *rows, size_t count, int fd,
                const char *path, size_t *ret_best)
{
    uint64_t best = 0;
    bool any = false;
    int rc = 0;

    qsort(rows, count, sizeof *rows, rows_by_age);
    for (size_t i = 0; i < count && i < PARTIAL_COPIES; i++) {
        uint64_t reach;

        rc = fetcher_read(fetcher, tools, &rows[i], fd, path);
        if (rc < 0 && !fetch_is_trouble(rc))
            return rc;
        if (rc < 0) {
            log_slot_warn("looking at the others");
            continue;
        }
        reach = segment_reach(fd);
        if (!any || reach > best) {
            best = reach;
            *ret_best = i;
        }
        any = true;
    }
    return any ? 0 : error_set(ERROR_CORRUPT, "no copy of '%s' can be read", path);
}

static int
fetcher_get_partial(struct fetcher *fetcher, struct blob_tools *tools, struct wal_row *rows, size_t count, int fd,
                    const char *path, char *ret_digest)
{
    size_t best = 0;
    int rc = count > 1 ? fetcher_longest(fetcher, tools, rows, count, fd, path, &best) : 0;

    if (rc == 0)
        rc = fetcher_read(fetcher, tools, &rows[best], fd, path);
    if (rc == 0)
        memcpy(ret_digest, rows[best].digest, sizeof rows[best].digest);
    return rc == PGCASK_NOT_FOUND ? error_context(PGCASK_FAILED, "it was listed") : rc;
}

/* ---- the whole of it ---- */

static int
fetcher_missing(struct fetcher *fetcher, const char *file)
{
    int rc = 0;

    (void)pthread_mutex_lock(&fetcher->lock);
    if (fetcher->why.code != 0)
        rc = error_set(fetcher->why.code, "'%s' is in none of the stores that answer, but %s", file, fetcher->why.text);
    (void)pthread_mutex_unlock(&fetcher->lock);
    if (rc == 0)
        return error_set(PGCASK_NOT_FOUND, "'%s' is not in the archive", file);
    return error_hint(rc, "mend that store, or take the others' word for it with --store or wal_stores");
}

static int
fetcher_dispute(const struct fetcher *fetcher, const char *file, const struct wal_row *one, const struct wal_row *two)
{
    (void)error_set(ERROR_CORRUPT, "there are two different '%s': digest %s in store '%s', %s in store '%s'", file,
                    one->digest, storage_name(fetcher->stores.items[one->store]), two->digest,
                    storage_name(fetcher->stores.items[two->store]));
    return error_hint(ERROR_CORRUPT,
                      "two servers have archived as cluster '%s': remove the object of the wrong one by hand",
                      fetcher->cluster->name);
}

int
fetcher_get(struct fetcher *fetcher, struct blob_tools *tools, const struct wal_name *name, int fd, const char *path,
            char ret_digest[BLOB_DIGEST_CHARS + 1])
{
    CLEANUP_FREE char *file = wal_name_text(name);
    size_t count;
    CLEANUP_FREE struct wal_row *rows = fetcher_rows(fetcher, name, false, &count);
    int rc;

    if (count == 0)
        return fetcher_missing(fetcher, file);
    if (name->file == WAL_PARTIAL)
        return fetcher_get_partial(fetcher, tools, rows, count, fd, path, ret_digest);
    for (size_t i = 1; i < count; i++)
        if (strcmp(rows[i].digest, rows[0].digest) != 0)
            return fetcher_dispute(fetcher, file, &rows[0], &rows[i]);
    rc = fetcher_read_any(fetcher, tools, rows, count, fd, path);
    if (rc == 0)
        memcpy(ret_digest, rows[0].digest, sizeof rows[0].digest);
    return rc == PGCASK_NOT_FOUND ? error_context(PGCASK_FAILED, "it was listed") : rc;
}
