/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/receive-spool.h"

#include "base/error.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SYSTEM_LIMIT = 20 /* digits of 64 bits */ };

void
spool_items_add(struct spool_items *items, const char *system, const struct wal_name *name, uint64_t size)
{
    MEM_GROW(items->items, items->len, items->cap);
    items->items[items->len++] = (struct spool_item){ mem_strdup(system), *name, size };
}

void
spool_items_free(struct spool_items *items)
{
    for (size_t i = 0; i < items->len; i++)
        free(items->items[i].system);
    free(items->items);
    *items = (struct spool_items){ 0 };
}

void
cleanup_spool_items(struct spool_items *items)
{
    spool_items_free(items);
}

char *
spool_dir(const char *state_dir, const char *cluster)
{
    return mem_printf("%s/receive-%s", state_dir, cluster);
}

char *
spool_path(const char *dir, const char *system, const struct wal_name *name)
{
    CLEANUP_FREE char *file = wal_name_text(name);

    return mem_printf("%s/%s/%s", dir, system, file);
}

static int
order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int
item_compare(const void *a, const void *b)
{
    const struct spool_item *x = a, *y = b;
    int by = strcmp(x->system, y->system);

    if (by == 0)
        by = order(x->name.timeline, y->name.timeline);
    if (by == 0)
        by = order(x->name.file != WAL_HISTORY, y->name.file != WAL_HISTORY);
    if (by == 0)
        by = order(x->name.log, y->name.log);
    if (by == 0)
        by = order(x->name.piece, y->name.piece);
    return by != 0 ? by : order(x->name.file, y->name.file);
}

/* Names in a directory. PGCASK_NOT_FOUND when there is none. */
static int
spool_names(const char *path, struct strv *names)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    if (dir == NULL)
        return error_errno(errno == ENOENT ? PGCASK_NOT_FOUND : PGCASK_FAILED, "could not open directory '%s'", path);
    errno = 0;
    while ((entry = readdir(dir)) != NULL)
        strv_add(names, entry->d_name);
    if (errno != 0) {
        int rc = error_errno(PGCASK_FAILED, "could not read directory '%s'", path);

        (void)closedir(dir);
        return rc;
    }
    (void)closedir(dir);
    return 0;
}

static int
spool_list_system(const char *dir, const char *system, struct spool_items *items)
{
    CLEANUP_FREE char *path = mem_printf("%s/%s", dir, system);
    CLEANUP_STRV struct strv names = { 0 };
    int rc = spool_names(path, &names);

    for (size_t i = 0; rc == 0 && i < names.len; i++) {
        CLEANUP_FREE char *file = mem_printf("%s/%s", path, names.items[i]);
        struct wal_name name;
        struct stat st;

        if (wal_name_parse(names.items[i], &name) < 0 || name.file == WAL_LABEL) {
            error_clear();
            continue;
        }
        if (lstat(file, &st) < 0)
            return error_errno(PGCASK_FAILED, "could not look at '%s'", file);
        if (!S_ISREG(st.st_mode))
            return error_set(PGCASK_FAILED, "'%s' is no file", file);
        spool_items_add(items, system, &name, (uint64_t)st.st_size);
    }
    return rc;
}

int
spool_list(const char *dir, struct spool_items *items)
{
    CLEANUP_STRV struct strv names = { 0 };
    int rc = spool_names(dir, &names);

    if (rc == PGCASK_NOT_FOUND) {
        error_clear();
        return 0;
    }
    for (size_t i = 0; rc == 0 && i < names.len; i++) {
        size_t len = strlen(names.items[i]);

        if (len > 0 && len <= SYSTEM_LIMIT && strspn(names.items[i], "0123456789") == len)
            rc = spool_list_system(dir, names.items[i], items);
    }
    if (rc == 0 && items->len > 0)
        qsort(items->items, items->len, sizeof *items->items, item_compare);
    return rc;
}

const struct spool_item *
spool_items_open(const struct spool_items *items, const char *system)
{
    const struct spool_item *found = NULL;

    for (size_t i = 0; i < items->len; i++)
        if (items->items[i].name.file == WAL_PARTIAL && strcmp(items->items[i].system, system) == 0)
            found = &items->items[i];
    return found;
}

int
spool_remove(const char *dir, const char *system, const struct wal_name *name)
{
    CLEANUP_FREE char *path = spool_path(dir, system, name);

    if (unlink(path) < 0 && errno != ENOENT)
        return error_errno(PGCASK_FAILED, "could not remove '%s'", path);
    return 0;
}

int
spool_put_history(const char *dir, const char *system, uint32_t timeline, const char *text, size_t len)
{
    const struct wal_name name = { .file = WAL_HISTORY, .timeline = timeline };
    CLEANUP_FREE char *parent = mem_printf("%s/%s", dir, system), *path = spool_path(dir, system, &name);
    int rc = file_mkdirs(parent);

    return rc < 0 ? rc : file_write(path, text, len);
}
