/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/base-chain.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "catalog/catalog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LIST_PIECE_BYTES = 64 * 1024 };

static char *
list_path(const struct base_run *run)
{
    return mem_printf("%s/files-%s.%s", run->config->state_dir, run->cluster->name, run->job->name);
}

/* ---- the backup before ---- */

/* Why the next one is a full one; 0, so that it is one. */
static int
chain_full(const char *why)
{
    log_warn("%s: making a full backup", why);
    return 0;
}

static int
chain_full_for(const struct catalog_backup *backup, const char *why)
{
    CLEANUP_FREE char *text = mem_printf("nothing can be put on top of backup '%s', %s", backup->id, why);

    return chain_full(text);
}

/* The newest finished one of the job. */
static struct catalog_backup *
chain_newest(const struct base_run *run, const struct catalog *catalog)
{
    for (size_t i = catalog->len; i > 0; i--) {
        struct catalog_backup *backup = &catalog->backups[i - 1];

        if (catalog_exists(backup) && strcmp(backup->job, run->job->name) == 0)
            return backup;
    }
    return NULL;
}

/* Is it whole in each store of this run? */
static bool
chain_is_everywhere(const struct base_run *run, const struct catalog_backup *backup)
{
    size_t good = 0;

    for (size_t i = 0; i < backup->len; i++)
        good += backup->copies[i].manifest && backup->copies[i].state != CATALOG_BAD;
    return good == run->stores->len;
}

/* How many are below it, down to the full one; -1 when one of them is not to be had. */
static int64_t
chain_length(const struct base_run *run, const struct catalog *catalog, struct catalog_backup *backup)
{
    int64_t length = 0;

    for (;;) {
        const struct manifest *manifest;

        if (backup == NULL || !chain_is_everywhere(run, backup) || catalog_manifest(catalog, backup, &manifest) < 0 ||
            manifest->base == NULL) {
            error_clear();
            return -1;
        }
        if (manifest->base->parent == NULL || length > run->job->job->chain_max)
            return length;
        backup = catalog_get(catalog, manifest->base->parent);
        length++;
    }
}

/* Open the list that is kept here when it is that of this backup. */
static int
chain_open_list(const struct base_run *run, const struct manifest *manifest)
{
    const struct manifest_member *member = manifest_find(manifest, ROLE_FILES, NULL, NULL, NULL);
    CLEANUP_FREE char *path = list_path(run), *seen = NULL;
    CLEANUP_FREE char *piece = mem_alloc(LIST_PIECE_BYTES);
    CLEANUP(digest_free) struct digest *digest = digest_new(DIGEST_XXH3);
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = 1;

    while (fd >= 0 && len > 0) {
        len = file_read_up_to(fd, piece, LIST_PIECE_BYTES, path);
        if (len > 0)
            digest_add(digest, piece, (size_t)len);
    }
    if (fd < 0 || len < 0 || lseek(fd, 0, SEEK_SET) < 0) {
        error_clear();
        return -1;
    }
    seen = digest_end(digest);
    if (strcmp(seen, member->plain_digest) != 0)
        return -1;
    return steal_fd(&fd);
}

static int
chain_look(struct base_run *run, const struct catalog *catalog, char **ret_id, int *ret_list_fd)
{
    struct catalog_backup *newest = chain_newest(run, catalog);
    const struct manifest *manifest;
    int64_t length;
    int fd;

    if (newest == NULL)
        return 0; /* the first one */
    if (catalog_manifest(catalog, newest, &manifest) < 0) {
        log_slot_warn("making a full backup");
        return 0;
    }
    if (manifest->base == NULL || strcmp(manifest->system_identifier, run->system.identifier) != 0)
        return chain_full_for(newest, "which is of another kind or of another server");
    length = chain_length(run, catalog, newest);
    if (length < 0)
        return chain_full_for(newest, "as it, or one that it is on top of, is not good in every store of this run");
    if (length >= run->job->job->chain_max)
        return 0;
    fd = chain_open_list(run, manifest);
    if (fd < 0)
        return chain_full_for(newest, "as this host does not have the list of its files");
    *ret_id = mem_strdup(newest->id);
    *ret_list_fd = fd;
    return 0;
}

int
base_chain_find(struct base_run *run, char **ret_id, int *ret_list_fd)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    CLEANUP_FREE char *cache = mem_printf("%s/cache", run->config->state_dir);
    int rc = catalog_load(run->stores->items, run->stores->len, run->cluster->name, file_exists(cache) ? cache : NULL,
                          &catalog);

    *ret_id = NULL;
    *ret_list_fd = -1;
    if (rc < 0) {
        log_slot_warn("making a full backup");
        return 0;
    }
    catalog_repository_is(catalog, run->stores->repository);
    return chain_look(run, catalog, ret_id, ret_list_fd);
}

/* ---- the list of this backup ---- */

struct base_list {
    char *path, *temp;
    int fd; /* -1: it could not be written */
};

static void
list_failed(struct base_list *list)
{
    log_slot_warn("the next backup will be a full one");
    if (list->fd >= 0)
        (void)close(list->fd);
    list->fd = -1;
}

struct base_list *
base_list_begin(const struct base_run *run)
{
    struct base_list *list = mem_zalloc(sizeof *list);

    list->path = list_path(run);
    list->temp = mem_printf("%s.new", list->path);
    list->fd = open(list->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (list->fd < 0) {
        (void)error_errno(PGCASK_FAILED, "could not write '%s'", list->temp);
        list_failed(list);
    }
    return list;
}

void
base_list_add(struct base_list *list, const void *data, size_t len)
{
    if (list->fd >= 0 && file_write_all(list->fd, data, len, list->temp) < 0)
        list_failed(list);
}

/* What a crash of the machine leaves of it has another digest than the manifest says, and is not used. */
void
base_list_keep(struct base_list *list)
{
    if (list->fd < 0)
        return;
    if (rename(list->temp, list->path) < 0) {
        (void)error_errno(PGCASK_FAILED, "could not rename '%s'", list->temp);
        list_failed(list);
    }
}

void
base_list_free(struct base_list *list)
{
    if (list == NULL)
        return;
    if (list->fd >= 0)
        (void)close(list->fd);
    (void)unlink(list->temp); /* gone already when it was kept */
    free(list->path);
    free(list->temp);
    free(list);
}
