/* SPDX-License-Identifier: PostgreSQL
 *
 * Finding plugin files. A plugin runs with all our rights, so a file is taken only when nobody but root or the user we
 * run as could have written or replaced it: that holds for the file, for every directory above it, and for the
 * directory in which a symbolic link to it was found.
 */
#include "config.h"

#include "plugin/host-find.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/parse.h"
#include "paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *extra_dir; /* of the config; set once at start, before threads */

void
plugin_set_dir(const char *extra)
{
    free(extra_dir);
    extra_dir = extra != NULL ? mem_strdup(extra) : NULL;
}

static void
plugin_dirs(struct strv *ret_dirs)
{
    const char *path = secure_getenv("PGCASK_PLUGIN_PATH");

    if (path != NULL)
        strv_split(ret_dirs, path, ":");
    if (extra_dir != NULL)
        strv_add(ret_dirs, extra_dir);
    strv_add(ret_dirs, PGCASK_PLUGIN_DIR);
}

/* `path`: absolute and real. */
static int
plugin_check_entry(const char *path, const char *file, bool directory)
{
    struct stat st;
    const char *what = directory ? "directory" : "file";

    if (stat(path, &st) < 0)
        return error_errno(ERROR_USAGE, "could not read plugin %s '%s'", what, path);
    if (!directory && !S_ISREG(st.st_mode))
        return error_set(ERROR_USAGE, "plugin '%s' is not a regular file", path);
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        (void)error_set(ERROR_USAGE, "plugin %s '%s' belongs to user %u, wanted root or %u", what, path,
                        (unsigned)st.st_uid, (unsigned)geteuid());
        return error_hint(ERROR_USAGE, "who owns it could make pgcask run anything: chown it before '%s' is used",
                          file);
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !(directory && (st.st_mode & S_ISVTX) != 0)) {
        (void)error_set(ERROR_USAGE, "plugin %s '%s' can be written by others than its owner (mode %04o)", what, path,
                        (unsigned)(st.st_mode & 07777));
        return error_hint(ERROR_USAGE, "chmod go-w '%s'", path);
    }
    return 0;
}

/* `directory` and all above it. In a sticky one others cannot replace what is not theirs, and what is below it has
 * already been found to be root's or ours. */
static int
plugin_check_dirs(const char *directory, const char *file)
{
    CLEANUP_FREE char *above = mem_strdup(directory);

    for (;;) {
        int rc = plugin_check_entry(above[0] != '\0' ? above : "/", file, true);

        if (rc < 0 || above[0] == '\0' || strcmp(above, "/") == 0)
            return rc;
        *strrchr(above, '/') = '\0';
    }
}

static int
plugin_check_path(const char *path, char **ret_real)
{
    CLEANUP_FREE char *real = realpath(path, NULL);
    CLEANUP_FREE char *found = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    CLEANUP_FREE char *found_real = NULL, *parent = NULL;
    int rc;

    if (real != NULL) /* else errno stays as it is */
        found_real = realpath(found[0] != '\0' ? found : "/", NULL);
    if (found_real == NULL)
        return error_errno(ERROR_USAGE, "could not find plugin file '%s'", path);
    rc = plugin_check_entry(real, path, false);
    if (rc < 0)
        return rc;
    parent = mem_strndup(real, (size_t)(strrchr(real, '/') - real));
    rc = plugin_check_dirs(parent, path);
    if (rc == 0 && strcmp(parent, found_real) != 0)
        rc = plugin_check_dirs(found_real, path);
    if (rc < 0)
        return rc;
    *ret_real = STEAL(real);
    return 0;
}

/* "local" out of "pgcask-local-storage.so"; NULL when it is no plugin's name. Owned by the caller. */
static char *
plugin_name_of_file(const char *file, const char *kind)
{
    CLEANUP_FREE char *tail = mem_printf("-%s.so", kind);
    size_t head_len = strlen("pgcask-"), tail_len = strlen(tail), len = strlen(file);

    if (len <= head_len + tail_len || strncmp(file, "pgcask-", head_len) != 0 ||
        strcmp(file + len - tail_len, tail) != 0)
        return NULL;
    return mem_strndup(file + head_len, len - head_len - tail_len);
}

static int
plugin_not_found(enum plugin_kind kind, const char *name, const struct strv *dirs)
{
    CLEANUP_FREE char *where = strv_join(dirs, "', '");
    CLEANUP_STRV struct strv all = { 0 }, names = { 0 };
    const char *nearest;
    int rc = plugin_find_all(&all);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < all.len; i++) {
        char *known = plugin_name_of_file(strrchr(all.items[i], '/') + 1, plugin_kind_word(kind));

        if (known != NULL)
            strv_take(&names, known);
    }
    (void)error_set(ERROR_USAGE, "there is no %s plugin '%s': no file 'pgcask-%s-%s.so' in '%s'",
                    plugin_kind_word(kind), name, name, plugin_kind_word(kind), where);
    nearest = parse_nearest(name, (const char *const *)names.items, names.len);
    if (nearest != NULL)
        return error_hint(ERROR_USAGE, "did you mean '%s'?", nearest);
    return error_hint(ERROR_USAGE, "'pgcask plugin list' shows what there is; other directories go into plugin_dir or "
                                   "PGCASK_PLUGIN_PATH");
}

int
plugin_find(enum plugin_kind kind, const char *name, char **ret_path)
{
    CLEANUP_STRV struct strv dirs = { 0 };

    if (name[0] == '/')
        return plugin_check_path(name, ret_path);
    plugin_dirs(&dirs);
    for (size_t i = 0; i < dirs.len; i++) {
        CLEANUP_FREE char *path = mem_printf("%s/pgcask-%s-%s.so", dirs.items[i], name, plugin_kind_word(kind));
        struct stat st;

        if (dirs.items[i][0] == '/' && lstat(path, &st) == 0)
            return plugin_check_path(path, ret_path);
    }
    return plugin_not_found(kind, name, &dirs);
}

/* A directory that is not there or cannot be read holds no plugins. */
static void
plugin_scan_dir(const char *dir, struct strv *files, struct strv *paths)
{
    DIR *handle = dir[0] == '/' ? opendir(dir) : NULL;
    const struct dirent *entry;

    if (handle == NULL)
        return;
    while ((entry = readdir(handle)) != NULL) {
        CLEANUP_FREE char *storage = plugin_name_of_file(entry->d_name, plugin_kind_word(PLUGIN_STORAGE));
        CLEANUP_FREE char *notifier = plugin_name_of_file(entry->d_name, plugin_kind_word(PLUGIN_NOTIFIER));

        if ((storage == NULL && notifier == NULL) || strv_has(files, entry->d_name))
            continue;
        strv_add(files, entry->d_name);
        strv_addf(paths, "%s/%s", dir, entry->d_name);
    }
    (void)closedir(handle); /* only read from */
}

static int
plugin_compare_files(const void *a, const void *b)
{
    return strcmp(strrchr(*(char *const *)a, '/'), strrchr(*(char *const *)b, '/'));
}

int
plugin_find_all(struct strv *ret_paths)
{
    CLEANUP_STRV struct strv dirs = { 0 }, files = { 0 }, paths = { 0 };

    plugin_dirs(&dirs);
    for (size_t i = 0; i < dirs.len; i++)
        plugin_scan_dir(dirs.items[i], &files, &paths);
    if (paths.len > 1)
        qsort(paths.items, paths.len, sizeof *paths.items, plugin_compare_files);
    for (size_t i = 0; i < paths.len; i++)
        strv_add(ret_paths, paths.items[i]);
    return 0;
}
