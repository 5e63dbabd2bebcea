/* SPDX-License-Identifier: PostgreSQL
 *
 * Writing into the directories, and nowhere else: each step of a path is opened
 * without following a link. Declared in cluster-place.h.
 */
#include "config.h"

#include "pipeline/cluster-place.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { FILE_MODE = 0600, DIR_MODE = 0700, OPEN_DIR = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

static int
place_give(const struct cluster_place *place, int fd, const char *name)
{
    if (place->chown && fchown(fd, place->uid, place->gid) < 0)
        return error_errno(PGCASK_FAILED, "could not give '%s' to user %u", name, (unsigned)place->uid);
    return 0;
}

/* ---- one directory below ---- */

/* error_errno about what is called so there. */
static int
at_failed(const struct place_at *at, int code, const char *what, const char *base)
{
    return error_errno(code, "could not %s '%s%s%s/%s'", what, at->dir->path, at->path[0] != '\0' ? "/" : "", at->path,
                       base);
}

void
place_leave(struct place_at *at)
{
    free(STEAL(at->path));
    cleanup_close(&at->fd);
    at->fd = -1;
    at->dir = NULL;
}

void
cleanup_place_at(struct place_at *at)
{
    place_leave(at);
}

/* The server's WAL may lie on a disk of its own. */
static bool
enter_may_follow(const struct cluster_place *place, const struct place_at *at, const char *step)
{
    return place->delta && at->dir->tablespace == NULL && at->path[0] == '\0' && strcmp(step, "pg_wal") == 0;
}

int
place_mkdir(const struct cluster_place *place, const struct place_at *at, const char *base)
{
    mode_t mode = DIR_MODE | place->group_mode | place->group_mode >> 2;
    CLEANUP_FD int fd = -1;

    if (mkdirat(at->fd, base, DIR_MODE) < 0 && errno != EEXIST)
        return at_failed(at, PGCASK_FAILED, "make", base);
    fd = openat(at->fd, base, OPEN_DIR | (enter_may_follow(place, at, base) ? 0 : O_NOFOLLOW));
    if (fd < 0)
        return at_failed(at, PGCASK_FAILED, "open the directory", base);
    if (fchmod(fd, mode) < 0)
        return at_failed(at, PGCASK_FAILED, "change the mode of", base);
    return place_give(place, fd, base);
}

static int
enter_step(const struct cluster_place *place, struct place_at *at, const char *step, bool make)
{
    int flags = OPEN_DIR | (enter_may_follow(place, at, step) ? 0 : O_NOFOLLOW);
    int fd = openat(at->fd, step, flags);
    char *path;

    if (fd < 0 && errno == ENOENT && make) {
        int rc = place_mkdir(place, at, step);

        if (rc < 0)
            return rc;
        fd = openat(at->fd, step, flags);
    }
    if (fd < 0)
        return at_failed(at, errno == ENOENT ? PGCASK_NOT_FOUND : PGCASK_FAILED, "open the directory", step);
    path = mem_printf("%s%s%s", at->path, at->path[0] != '\0' ? "/" : "", step);
    free(at->path);
    at->path = path;
    (void)close(at->fd);
    at->fd = fd;
    return 0;
}

int
place_enter(const struct cluster_place *place, struct place_at *at, const struct place_dir *dir, const char *name,
            bool make, const char **ret_base)
{
    const char *slash = strrchr(name, '/');
    CLEANUP_FREE char *path = mem_strndup(name, slash != NULL ? (size_t)(slash - name) : 0);
    int rc = 0;

    *ret_base = slash != NULL ? slash + 1 : name;
    if (at->path != NULL && at->dir == dir && strcmp(at->path, path) == 0)
        return 0;
    place_leave(at);
    at->dir = dir;
    at->path = mem_strdup("");
    at->fd = fcntl(dir->fd, F_DUPFD_CLOEXEC, 0);
    if (at->fd < 0)
        rc = error_errno(PGCASK_FAILED, "could not open '%s'", dir->path);
    for (const char *rest = path; rc == 0 && *rest != '\0';) {
        CLEANUP_FREE char *step = mem_strndup(rest, strcspn(rest, "/"));

        rc = enter_step(place, at, step, make);
        rest += strlen(step) + (rest[strlen(step)] == '/');
    }
    if (rc < 0)
        place_leave(at);
    return rc;
}

int
place_create(const struct cluster_place *place, const struct place_at *at, const char *base, int *ret_fd)
{
    CLEANUP_FD int fd = -1;
    int rc;

    if (place->replace && unlinkat(at->fd, base, 0) < 0 && errno != ENOENT)
        return at_failed(at, PGCASK_FAILED, "remove", base);
    fd = openat(at->fd, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return at_failed(at, PGCASK_FAILED, "create", base);
    if (place->group_mode != 0 && fchmod(fd, FILE_MODE | place->group_mode) < 0)
        return at_failed(at, PGCASK_FAILED, "change the mode of", base);
    rc = place_give(place, fd, base);
    if (rc == 0)
        *ret_fd = steal_fd(&fd);
    return rc;
}

/* ---- small files of our own ---- */

int
place_put(const struct cluster_place *place, const char *name, const void *data, size_t len)
{
    CLEANUP_PLACE_AT struct place_at at = PLACE_AT_INIT;
    CLEANUP_FD int fd = -1;
    const char *base;
    int rc = place_enter(place, &at, &place->dirs[0], name, true, &base);

    if (rc == 0 && unlinkat(at.fd, base, 0) < 0 && errno != ENOENT)
        rc = error_errno(PGCASK_FAILED, "could not replace '%s/%s'", place->dirs[0].path, name);
    if (rc == 0)
        rc = place_create(place, &at, base, &fd);
    if (rc == 0)
        rc = file_write_all(fd, data, len, name);
    if (rc == 0 && fsync(fd) < 0)
        rc = error_errno(PGCASK_FAILED, "could not sync '%s/%s'", place->dirs[0].path, name);
    return rc;
}

int
place_link(const struct cluster_place *place)
{
    CLEANUP_PLACE_AT struct place_at at = PLACE_AT_INIT;
    const char *base;
    int rc = place_enter(place, &at, &place->dirs[0], "pg_tblspc/x", true, &base);

    for (size_t i = 1; rc == 0 && i < place->len; i++) {
        const struct place_dir *dir = &place->dirs[i];

        if (unlinkat(at.fd, dir->tablespace->oid, 0) < 0 && errno != ENOENT)
            return error_errno(PGCASK_FAILED, "could not remove '%s/pg_tblspc/%s'", place->dirs[0].path,
                               dir->tablespace->oid);
        if (symlinkat(dir->path, at.fd, dir->tablespace->oid) < 0)
            return error_errno(PGCASK_FAILED, "could not make the link '%s/pg_tblspc/%s'", place->dirs[0].path,
                               dir->tablespace->oid);
        if (place->chown && fchownat(at.fd, dir->tablespace->oid, place->uid, place->gid, AT_SYMLINK_NOFOLLOW) < 0)
            return error_errno(PGCASK_FAILED, "could not give the link of tablespace %s away", dir->tablespace->oid);
    }
    return rc;
}

/* ---- begin and end ---- */

/* With its missing parents, which are of use to its owner only if they are his. */
static int
begin_make(const struct cluster_place *place, const char *path)
{
    CLEANUP_FREE char *parent = mem_strdup(path);
    char *slash = strrchr(parent, '/');
    int rc = mkdir(path, DIR_MODE);

    if (rc < 0 && errno == ENOENT && slash != parent) {
        *slash = '\0';
        rc = begin_make(place, parent);
        if (rc < 0)
            return rc;
        rc = mkdir(path, DIR_MODE);
    }
    if (rc < 0)
        return error_errno(PGCASK_FAILED, "could not make the directory '%s'", path);
    if (place->chown && chown(path, place->uid, place->gid) < 0)
        return error_errno(PGCASK_FAILED, "could not give '%s' to user %u", path, (unsigned)place->uid);
    return 0;
}

static int
begin_dir(const struct cluster_place *place, struct place_dir *dir)
{
    int rc = dir->there ? 0 : begin_make(place, dir->path);

    if (rc < 0)
        return rc;
    dir->fd = open(dir->path, OPEN_DIR);
    if (dir->fd < 0)
        return error_errno(PGCASK_FAILED, "could not open '%s'", dir->path);
    if (fchmod(dir->fd, DIR_MODE) < 0)
        return error_errno(PGCASK_FAILED, "could not change the mode of '%s'", dir->path);
    return place_give(place, dir->fd, dir->path);
}

/* From now on nobody can start a server from it by mistake. */
static int
begin_disarm(const struct cluster_place *place)
{
    CLEANUP_PLACE_AT struct place_at at = PLACE_AT_INIT;
    const char *base;
    int rc = place_enter(place, &at, &place->dirs[0], "global/pg_control", false, &base);

    if (rc == PGCASK_NOT_FOUND) {
        error_clear();
        return 0;
    }
    if (rc == 0 && unlinkat(at.fd, base, 0) < 0 && errno != ENOENT)
        rc = error_errno(PGCASK_FAILED, "could not remove '%s/global/pg_control'", place->dirs[0].path);
    if (rc == 0 && fsync(at.fd) < 0)
        rc = error_errno(PGCASK_FAILED, "could not sync '%s/global'", place->dirs[0].path);
    return rc;
}

int
place_begin(struct cluster_place *place, const struct manifest *manifest)
{
    CLEANUP_FREE char *marker =
        mem_printf("The restore of a backup by pgcask has not ended here: no server can start.\n"
                   "backup=%s\nsystem_identifier=%s\n",
                   manifest->id, manifest->system_identifier);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < place->len; i++)
        rc = begin_dir(place, &place->dirs[i]);
    if (rc == 0 && flock(place->dirs[0].fd, LOCK_EX | LOCK_NB) < 0) /* until it is closed */
        rc = error_set(ERROR_LOCKED, "another restore into '%s' is under way", place->dirs[0].path);
    if (rc == 0)
        rc = place_put(place, PLACE_MARKER, marker, strlen(marker));
    if (rc == 0 && fsync(place->dirs[0].fd) < 0)
        rc = error_errno(PGCASK_FAILED, "could not sync '%s'", place->dirs[0].path);
    if (rc == 0)
        rc = begin_disarm(place);
    return rc < 0 ? rc : place_link(place);
}

bool
place_sync_tells(void)
{
    struct utsname name;
    char *end;
    long major, minor = 0;

    if (uname(&name) < 0)
        return false;
    major = strtol(name.release, &end, 10);
    if (*end == '.')
        minor = strtol(end + 1, NULL, 10);
    return major > 5 || (major == 5 && minor >= 8);
}

static int
sync_dir(const struct place_dir *dir)
{
    CLEANUP_FREE char *parent = mem_strdup(dir->path);

    if (syncfs(dir->fd) < 0)
        return error_errno(PGCASK_FAILED, "could not sync '%s'", dir->path);
    *strrchr(parent, '/') = '\0';
    return file_sync_dir(parent[0] != '\0' ? parent : "/");
}

static int
finish_mode(const struct cluster_place *place)
{
    mode_t mode = DIR_MODE | place->group_mode | place->group_mode >> 2;

    for (size_t i = 0; i < place->len; i++)
        if (fchmod(place->dirs[i].fd, mode) < 0)
            return error_errno(PGCASK_FAILED, "could not change the mode of '%s'", place->dirs[i].path);
    return 0;
}

/* As one step: before the renaming there is no pg_control, behind it all is complete. */
static int
finish_arm(const struct cluster_place *place, const void *control, size_t len)
{
    static const char temp[] = "global/pg_control.pgcask";
    const struct place_dir *data = &place->dirs[0];
    int rc = place_put(place, temp, control, len);

    if (rc == 0 && unlinkat(data->fd, PLACE_MARKER, 0) < 0)
        rc = error_errno(PGCASK_FAILED, "could not remove '%s/" PLACE_MARKER "'", data->path);
    if (rc == 0 && fsync(data->fd) < 0)
        rc = error_errno(PGCASK_FAILED, "could not sync '%s'", data->path);
    if (rc == 0 && renameat(data->fd, temp, data->fd, "global/pg_control") < 0)
        rc = error_errno(PGCASK_FAILED, "could not put '%s/global/pg_control' in its place", data->path);
    if (rc == 0) {
        CLEANUP_FREE char *global = mem_printf("%s/global", data->path);

        rc = file_sync_dir(global);
    }
    return rc;
}

int
place_finish(const struct cluster_place *place, const void *control, size_t len)
{
    int rc = finish_mode(place);

    for (size_t i = 0; rc == 0 && i < place->len; i++)
        rc = sync_dir(&place->dirs[i]);
    return rc < 0 ? rc : finish_arm(place, control, len);
}
