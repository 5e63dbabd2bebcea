/* SPDX-License-Identifier: PostgreSQL
 *
 * How files of the spool get into the stores: as those of `wal push` do, with the same refusals. Of a segment that is
 * not whole yet its first bytes are stored as a .partial, each time a new object; those that a longer one or the
 * segment itself makes needless are removed. Used by the archiver's thread only, but for receive_archive_load.
 */
#include "config.h"

#include "pipeline/receive-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "catalog/wal-list.h"
#include "pg/wal-header.h"
#include "pipeline/segment-push.h"
#include "pipeline/stores.h"
#include "stage/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REOPEN_MS = 10 * 60 * 1000 /* a store that failed and was not needed is asked again then */ };

struct receive_push {
    const struct config *config;
    const struct config_item *cluster;
    char *dir;
    struct blob_tools *tools;
    struct pusher *pusher; /* NULL: to be opened */
    int64_t opened_ms;
    struct stores stores; /* the same ones, for removing */
    bool *deaf;           /* for each of these: not asked to remove until it is opened again */
    bool deaf_told;
};

struct receive_push *
receive_push_new(const struct config *config, const struct config_item *cluster)
{
    struct receive_push *push = mem_zalloc(sizeof *push);

    push->config = config;
    push->cluster = cluster;
    push->dir = spool_dir(config->state_dir, cluster->name);
    push->tools = blob_tools_new((int)config->main->compress_level);
    return push;
}

static void
push_close(struct receive_push *push)
{
    pusher_close(STEAL(push->pusher));
    stores_close(&push->stores);
    free(STEAL(push->deaf));
}

void
receive_push_free(struct receive_push *push)
{
    if (push == NULL)
        return;
    push_close(push);
    blob_tools_free(push->tools);
    free(push->dir);
    free(push);
}

static int
push_open(struct receive_push *push)
{
    if (push->pusher != NULL && clock_mono_ms() - push->opened_ms >= REOPEN_MS)
        push_close(push);
    if (push->pusher != NULL)
        return 0;
    push->opened_ms = clock_mono_ms();
    return pusher_open(push->config, push->cluster, &push->pusher);
}

/* ---- storing ---- */

/* The beginning of a segment: its header must be right, too. */
static int
push_check_partial(const struct spool_item *item, const struct segment_file *file, uint64_t len)
{
    unsigned char data[WAL_HEADER_BYTES];
    ssize_t got = pread(file->fd, data, sizeof data, 0);
    CLEANUP_FREE char *system = NULL;
    struct wal_header header;
    int rc;

    if (got < 0)
        return error_errno(PGCASK_FAILED, "could not read '%s'", file->path);
    if (len < sizeof data)
        return 0; /* not even that was received */
    rc = wal_header_read(data, (size_t)got, &header);
    if (rc == 0)
        rc = wal_header_check(&header, &item->name, header.segment_bytes);
    if (rc < 0)
        return error_context(rc, "'%s'", file->path);
    system = mem_printf("%llu", (unsigned long long)header.system_identifier);
    if (strcmp(system, item->system) != 0)
        return error_set(ERROR_CORRUPT, "'%s' is of system %s, not of %s", file->path, system, item->system);
    return 0;
}

static int
push_open_partial(struct receive_push *push, const struct spool_item *item, uint64_t len, struct segment_file *file)
{
    struct stat st;

    file->path = spool_path(push->dir, item->system, &item->name);
    file->name = item->name;
    file->size = len;
    file->system_identifier = strtoull(item->system, NULL, 10); /* digits, as spool_list and the protocol check */
    file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file->fd < 0 || fstat(file->fd, &st) < 0)
        return error_errno(errno == ENOENT ? PGCASK_NOT_FOUND : PGCASK_FAILED, "could not open '%s'", file->path);
    return push_check_partial(item, file, len);
}

static int
push_send(struct receive_push *push, const struct spool_item *item, uint64_t len, char *ret_digest)
{
    CLEANUP_SEGMENT_FILE struct segment_file file = { .fd = -1 };
    CLEANUP_FREE char *path = spool_path(push->dir, item->system, &item->name);
    bool sent = false;
    int rc;

    if (item->name.file == WAL_PARTIAL)
        rc = push_open_partial(push, item, len, &file);
    else
        rc = segment_file_open(path, strtoull(item->system, NULL, 10), &file);
    if (rc == 0 && item->name.file == WAL_PARTIAL) {
        const struct blob_file source = { .fd = file.fd, .path = file.path, .size = len };

        rc = blob_digest(push->tools, &source, ret_digest);
    }
    if (rc == 0)
        rc = pusher_send(push->pusher, push->tools, &file, &sent);
    if (rc == 0)
        log_info("%s '%s' (%llu bytes)", sent ? "archived" : "is in the archive already:", path,
                 (unsigned long long)len);
    return rc;
}

int
receive_push_store(struct receive_push *push, const struct spool_item *item, uint64_t len,
                   char ret_digest[LABEL_DIGEST_CHARS + 1])
{
    int rc = push_open(push);

    if (rc == 0)
        rc = push_send(push, item, len, ret_digest);
    if (rc < 0 && rc != PGCASK_NOT_FOUND)
        push_close(push); /* a store that has failed is asked no more by this pusher */
    return rc;
}

/* ---- removing ---- */

static int
push_open_stores(struct receive_push *push)
{
    CLEANUP_STRV struct strv names = { 0 };
    int rc;

    if (push->deaf != NULL)
        return 0;
    option_words(push->cluster->cluster->wal_stores, &names);
    rc = stores_open(push->config, names.len > 0 ? &names : NULL, STORES_EXISTING, &push->stores);
    if (rc == 0)
        push->deaf = mem_zalloc((push->stores.len + 1) * sizeof *push->deaf);
    return rc;
}

/* Is what makes them needless in that store? */
static bool
forget_may(const struct wal_list *list, const char *digest, const char *shorter)
{
    for (size_t i = 0; i < list->len; i++)
        if (shorter == NULL ? list->rows[i].name.file == WAL_SEGMENT
                            : list->rows[i].name.file == WAL_PARTIAL && strcmp(list->rows[i].digest, digest) == 0)
            return true;
    return false;
}

/* The keys of what is to go from that store. */
static int
forget_keys(struct receive_push *push, struct storage *storage, const struct spool_item *item, const char *digest,
            const char *shorter, struct strv *keys)
{
    struct wal_name name = item->name;
    CLEANUP_WAL_LIST struct wal_list list = { 0 };
    CLEANUP_FREE char *prefix = NULL;
    int rc;

    name.file = WAL_SEGMENT;
    prefix = label_wal_file(push->cluster->name, item->system, &name);
    prefix[strlen(prefix) - 1] = '\0'; /* without its '-': both forms of the name */
    rc = wal_list_add_prefix(storage, 0, push->cluster->name, prefix, &list);
    if (rc < 0 || !forget_may(&list, digest, shorter))
        return rc;
    for (size_t i = 0; i < list.len; i++)
        if (list.rows[i].name.file == WAL_PARTIAL && (shorter == NULL || strcmp(list.rows[i].digest, shorter) == 0))
            strv_take(keys, wal_row_key(&list.rows[i], push->cluster->name, item->system));
    return 0;
}

void
receive_push_forget(struct receive_push *push, const struct spool_item *item, const char *digest, const char *shorter)
{
    if (push_open_stores(push) < 0) {
        error_clear(); /* needless objects stay; the next longer one, or the segment, tries again */
        return;
    }
    for (size_t i = 0; i < push->stores.len; i++) {
        CLEANUP_STRV struct strv keys = { 0 };
        int rc = push->deaf[i] ? 0 : forget_keys(push, push->stores.items[i], item, digest, shorter, &keys);

        if (rc == 0 && keys.len > 0)
            rc = storage_remove_many(push->stores.items[i], &keys);
        if (rc == 0)
            continue;
        push->deaf[i] = true;
        if (push->deaf_told)
            log_debug("%s", error_text());
        else
            log_slot_warn("so .partial files stay that are not needed any more");
        error_clear();
        push->deaf_told = true;
    }
}

/* ---- what there is ---- */

static int
archive_add(const struct stores *stores, const char *cluster, const char *system, struct wal_ranges *ranges)
{
    CLEANUP_WAL_LIST struct wal_list list = { 0 };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < stores->len; i++)
        rc = wal_list_add(stores->items[i], i, cluster, system, &list);
    for (size_t i = 0; rc == 0 && i < list.len; i++)
        rc = wal_ranges_add(ranges, &list.rows[i].name, list.rows[i].digest);
    return rc;
}

static int
archive_others(const struct stores *stores, const char *cluster, const char *system, bool *others)
{
    CLEANUP_STRV struct strv systems = { 0 };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < stores->len; i++)
        rc = wal_list_systems(stores->items[i], cluster, &systems);
    for (size_t i = 0; rc == 0 && i < systems.len; i++)
        *others |= strcmp(systems.items[i], system) != 0;
    return rc;
}

int
receive_archive_load(const struct config *config, const struct config_item *cluster, const char *system,
                     uint32_t segment_bytes, struct wal_ranges *ret_ranges, bool *ret_others)
{
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_WAL_RANGES struct wal_ranges ranges;
    int rc;

    wal_ranges_begin(&ranges, segment_bytes);
    option_words(cluster->cluster->wal_stores, &names);
    rc = stores_open(config, names.len > 0 ? &names : NULL, 0, &stores);
    if (rc == 0 && stores.failed_required > 0)
        rc = error_set(PGCASK_FAILED, "a required store could not be opened");
    if (rc == 0)
        rc = archive_add(&stores, cluster->name, system, &ranges);
    if (rc < 0)
        return rc == ERROR_CANCELLED || rc == ERROR_USAGE
                   ? rc
                   : error_context(PGCASK_RETRY, "where the archive ends is not known");
    wal_ranges_end(&ranges);
    if (ret_others != NULL && ranges.whole.len + ranges.partial.len == 0)
        rc = archive_others(&stores, cluster->name, system, ret_others);
    if (rc < 0)
        return rc;
    *ret_ranges = ranges;
    ranges = (struct wal_ranges){ 0 };
    return 0;
}
