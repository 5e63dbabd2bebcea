/* SPDX-License-Identifier: PostgreSQL
 *
 * May a base backup be brought back there? Only looks. Declared in cluster-place.h.
 */
#include "config.h"

#include "pipeline/cluster-place.h"

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "pg/control.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PID_FILE_LIMIT_BYTES = 64 * 1024, PID_LINE = 0, SHM_LINE = 6, BLOCK_BYTES = 4096 };

static int
check_empty(const char *path, bool *ret_empty)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    if (dir == NULL)
        return error_errno(ERROR_USAGE, "could not look into '%s'", path);
    *ret_empty = true;
    while ((entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            *ret_empty = false;
    (void)closedir(dir); /* only read */
    return 0;
}

/* ---- a server that may be running there ---- */

/* The n-th line of postmaster.pid; "" when there is none. Owned by the caller. */
static char *
pid_line(const char *text, int line)
{
    for (; line > 0 && *text != '\0'; line--) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return mem_strndup(text, strcspn(text, "\n"));
}

/* Its first process is gone, but others of it may still be there: they hold the shared memory. */
static bool
shared_memory_is_used(const char *line)
{
    const char *blank = strrchr(line, ' ');
    struct shmid_ds status;
    int64_t id;

    while (blank != NULL && blank > line && blank[1] == '\0')
        blank--;
    if (blank == NULL || parse_int64(blank + 1, &id) < 0) {
        error_clear();
        return false;
    }
    return shmctl((int)id, IPC_STAT, &status) == 0 && status.shm_nattch > 0;
}

static int
check_stopped(const char *data_dir)
{
    CLEANUP_FREE char *path = mem_printf("%s/postmaster.pid", data_dir), *pid_text = NULL, *shm_text = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT(PID_FILE_LIMIT_BYTES);
    int64_t pid;
    int rc = file_read(path, &text);

    if (rc == PGCASK_NOT_FOUND) {
        error_clear();
        return 0;
    }
    if (rc < 0)
        return rc;
    pid_text = pid_line(text.data ? text.data : "", PID_LINE);
    shm_text = pid_line(text.data ? text.data : "", SHM_LINE);
    if (parse_int64(pid_text, &pid) < 0 || pid == 0) {
        (void)error_set(ERROR_USAGE, "'%s' does not say which process it is of", path);
        return error_hint(ERROR_USAGE, "make sure that no server runs there, and remove it");
    }
    if (pid < 0)
        pid = -pid; /* of a standalone backend */
    if (kill((pid_t)pid, 0) == 0 || errno != ESRCH || shared_memory_is_used(shm_text)) {
        (void)error_set(ERROR_USAGE, "a server runs in '%s' (process %" PRId64 ")", data_dir, pid);
        return error_hint(ERROR_USAGE, "stop it: pg_ctl stop -D '%s'", data_dir);
    }
    return 0;
}

/* ---- whose it is ---- */

/* A value of the marker; NULL: it has none. Owned by the caller. */
static char *
marker_value(const char *marker, const char *key)
{
    const char *found = strstr(marker, key);

    return found != NULL ? mem_strndup(found + strlen(key), strcspn(found + strlen(key), "\n")) : NULL;
}

static int
check_system(const char *data_dir, const char *marker, const struct manifest *manifest)
{
    CLEANUP_FREE char *seen = marker != NULL ? marker_value(marker, "system_identifier=") : NULL;
    struct control control;
    int rc;

    if (seen == NULL) {
        rc = control_load(data_dir, &control);
        if (rc == PGCASK_NOT_FOUND) {
            error_clear();
            return 0; /* nothing could be started from it any more */
        }
        if (rc < 0)
            return rc;
        seen = mem_printf("%" PRIu64, control.system_identifier);
    }
    if (strcmp(seen, manifest->system_identifier) == 0)
        return 0;
    (void)error_set(ERROR_USAGE, "'%s' belongs to the system %s, backup '%s' is of %s", data_dir, seen, manifest->id,
                    manifest->system_identifier);
    return error_hint(ERROR_USAGE, "restore into an empty directory");
}

static int
check_used_data_dir(const struct cluster_place *place, const struct manifest *manifest)
{
    const char *path = place->dirs[0].path;
    CLEANUP_FREE char *version = mem_printf("%s/PG_VERSION", path), *marker_path = mem_printf("%s/" PLACE_MARKER, path);
    CLEANUP_BUF struct buf marker = BUF_INIT(PID_FILE_LIMIT_BYTES);
    bool cluster = file_exists(version), unfinished = file_exists(marker_path);
    int rc;

    if (!cluster && !unfinished) {
        (void)error_set(ERROR_USAGE, "'%s' is not empty, and no data directory", path);
        return error_hint(ERROR_USAGE, "name an empty directory, or one that is not there yet");
    }
    if (!place->delta) {
        (void)error_set(ERROR_USAGE,
                        unfinished ? "'%s' holds a restore that was not finished" : "'%s' is a data directory already",
                        path);
        return error_hint(ERROR_USAGE, unfinished
                                           ? "--delta goes on with it; or remove it"
                                           : "name an empty directory; or --delta, to turn this one into the backup");
    }
    if (unfinished && (rc = file_read(marker_path, &marker)) < 0)
        return rc;
    rc = check_stopped(path);
    return rc < 0 ? rc : check_system(path, unfinished ? marker.data : NULL, manifest);
}

/* With delta, what the data directory's own link leads to may be used; nothing else that is in use. */
static int
check_used_tablespace(const struct cluster_place *place, const struct place_dir *dir)
{
    CLEANUP_FREE char *link = mem_printf("%s/pg_tblspc/%s", place->dirs[0].path, dir->tablespace->oid);
    CLEANUP_FREE char *leads = realpath(link, NULL);

    if (place->delta && leads != NULL && strcmp(leads, dir->path) == 0)
        return 0;
    (void)error_set(ERROR_USAGE, "directory '%s' of tablespace %s is not empty", dir->path, dir->tablespace->oid);
    return error_hint(ERROR_USAGE, "map it to an empty one: --tablespace %s=DIR", dir->tablespace->oid);
}

static int
check_dir(const struct cluster_place *place, const struct place_dir *dir, const struct manifest *manifest)
{
    struct stat status;
    bool empty;
    int rc;

    if (!dir->there)
        return 0;
    if (stat(dir->path, &status) < 0)
        return error_errno(ERROR_USAGE, "could not look at '%s'", dir->path);
    if (!S_ISDIR(status.st_mode))
        return error_set(ERROR_USAGE, "'%s' is no directory", dir->path);
    if (access(dir->path, R_OK | W_OK | X_OK) < 0)
        return error_errno(ERROR_USAGE, "'%s' cannot be written to", dir->path);
    rc = check_empty(dir->path, &empty);
    if (rc < 0 || empty)
        return rc;
    return dir->tablespace != NULL ? check_used_tablespace(place, dir) : check_used_data_dir(place, manifest);
}

int
place_check(const struct cluster_place *place, const struct manifest *manifest)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < place->len; i++)
        rc = check_dir(place, &place->dirs[i], manifest);
    return rc;
}

/* ---- room ---- */

struct room {
    dev_t device;
    uint64_t need, have;
    const char *path;
};

/* Of the directory, or of the nearest above it that is there. */
static int
room_of(const char *path, struct room *ret_room)
{
    CLEANUP_FREE char *copy = mem_strdup(path);
    struct stat status;
    struct statvfs vfs;
    char *slash;

    while (stat(copy, &status) < 0 && (slash = strrchr(copy, '/')) != NULL && slash != copy)
        *slash = '\0';
    if (stat(copy, &status) < 0 || statvfs(copy, &vfs) < 0)
        return error_errno(PGCASK_FAILED, "could not ask for the room below '%s'", copy);
    *ret_room = (struct room){ .device = status.st_dev, .have = (uint64_t)vfs.f_bavail * vfs.f_frsize, .path = path };
    return 0;
}

/* Bytes that this file will take more than the one in `dir` (NULL: there is none) does now. */
static uint64_t
room_for(const struct cluster_place *place, const struct place_dir *dir, const char *name, uint64_t size)
{
    uint64_t need = (size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    struct stat status;

    if (place->delta && dir != NULL && dir->there) {
        CLEANUP_FREE char *path = mem_printf("%s/%s", dir->path, name);

        if (lstat(path, &status) == 0 && S_ISREG(status.st_mode)) {
            uint64_t has = (uint64_t)status.st_blocks * 512;

            return need > has ? need - has : 0;
        }
    }
    return need;
}

static int
room_compare(const struct room *room)
{
    CLEANUP_FREE char *need = format_size(room->need), *have = format_size(room->have);

    log_debug("'%s': %s wanted, %s free", room->path, need, have);
    if (room->need <= room->have)
        return 0;
    return error_set(ERROR_USAGE, "'%s' has %s of room, the backup needs %s", room->path, have, need);
}

int
place_check_room(const struct cluster_place *place, const struct backup_files *const *files, size_t count)
{
    CLEANUP_FREE struct room *rooms = mem_zalloc(place->len * sizeof *rooms);
    CLEANUP_FREE size_t *which = mem_zalloc(place->len * sizeof *which); /* directories on one device share a room */
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < place->len; i++) {
        rc = room_of(place->dirs[i].path, &rooms[i]);
        for (which[i] = 0; rc == 0 && rooms[which[i]].device != rooms[i].device;)
            which[i]++;
    }
    for (size_t k = 0; rc == 0 && k < count; k++)
        for (size_t i = 0; i < files[k]->len; i++) {
            const struct backup_file *file = &files[k]->files[i];
            const char *name;
            const struct place_dir *dir = place_of(place, file->path, &name);

            rooms[which[dir - place->dirs]].need += room_for(place, k == 0 ? dir : NULL, name, file->size);
        }
    for (size_t i = 0; rc == 0 && i < place->len; i++)
        rc = room_compare(&rooms[i]);
    return rc;
}
