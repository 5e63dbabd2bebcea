/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/segment-ready.h"

#include "base/error.h"
#include "base/mem.h"
#include "pg/wal-name.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char suffix[] = ".ready";

static void
ready_take(const char *entry, struct strv *names)
{
    size_t len = strlen(entry);
    CLEANUP_FREE char *name = NULL;
    struct wal_name parsed;

    if (len <= strlen(suffix) || strcmp(entry + len - strlen(suffix), suffix) != 0)
        return;
    name = mem_strndup(entry, len - strlen(suffix));
    if (wal_name_parse(name, &parsed) == 0)
        strv_take(names, STEAL(name));
    else
        error_clear(); /* whoever put it there, it is no WAL */
}

/* Histories come first: a new timeline is of no use without. Then in the order of their names, oldest first. */
static int
ready_compare(const void *a, const void *b)
{
    const char *one = *(char *const *)a, *two = *(char *const *)b;
    bool history_one = strstr(one, ".history") != NULL, history_two = strstr(two, ".history") != NULL;

    return history_one != history_two ? history_two - history_one : strcmp(one, two);
}

int
segment_ready_list(const char *wal, struct strv *ret_names)
{
    CLEANUP_FREE char *path = mem_printf("%s/archive_status", wal);
    DIR *dir = opendir(path);
    const struct dirent *entry;
    int rc = 0;

    if (dir == NULL)
        return errno == ENOENT ? 0 : error_errno(PGCASK_FAILED, "could not open directory '%s'", path);
    for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0)
        ready_take(entry->d_name, ret_names);
    if (errno != 0)
        rc = error_errno(PGCASK_FAILED, "could not read directory '%s'", path);
    (void)closedir(dir); /* opened for reading */
    if (ret_names->len > 1)
        qsort(ret_names->items, ret_names->len, sizeof *ret_names->items, ready_compare);
    return rc;
}
