/* SPDX-License-Identifier: PostgreSQL
 *
 * A file is there with the right bytes, or the restore fails: nothing comes in
 * that the backup_manifest does not have, but for WAL, and nothing of it may be
 * missing at the end.
 */
#include "config.h"

#include "pipeline/cluster-write.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "pg/incremental.h"
#include "pipeline/progress.h"
#include "stage/untar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPACES_LIMIT_BYTES = 16 * 1024 * 1024 };

#define CONTROL_PATH "global/pg_control"
#define SPACES_PATH "tablespace_map"
#define LABEL_PATH "backup_label"

struct cluster_tar {
    struct cluster_write *write;
    const struct place_dir *dir;
    struct untar *untar;
    struct place_at at;
    struct backup_sum *sum;
    /* the file at hand */
    char *path;                      /* as the backup_manifest has it */
    struct backup_file *file;        /* NULL: it is not in there */
    int fd;                          /* -1: it is not written */
    struct buf *held;                /* NULL: it is not held back */
    struct incremental *incremental; /* NULL: it is not the change of another one */
    bool kept;
};

bool
cluster_is_special(const char *path)
{
    static const char *const names[] = { CONTROL_PATH, SPACES_PATH, LABEL_PATH, "postgresql.auto.conf" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], path) == 0)
            return true;
    return false;
}

/* ---- entries ---- */

static int
tar_directory(struct cluster_tar *tar, const struct untar_entry *entry)
{
    struct cluster_place *place = tar->write->place;
    const char *base;
    int rc = place_enter(place, &tar->at, tar->dir, entry->name, true, &base);

    if (rc == 0)
        rc = place_mkdir(place, &tar->at, base);
    if (rc == 0)
        strv_addf(&tar->write->directories, "%s%s", tar->dir->prefix, entry->name);
    return rc;
}

static bool
is_tablespace(const char *name)
{
    static const char prefix[] = "pg_tblspc/";

    return strncmp(name, prefix, sizeof prefix - 1) == 0 && name[sizeof prefix - 1] != '\0' &&
           name[sizeof prefix - 1 + strspn(name + sizeof prefix - 1, "0123456789")] == '\0';
}

/* The only links of a data directory are those to tablespaces; they are made by place_link. */
static int
tar_link(const struct cluster_tar *tar, const struct untar_entry *entry)
{
    const struct cluster_place *place = tar->write->place;

    for (size_t i = 1; tar->dir == &place->dirs[0] && i < place->len; i++) {
        size_t len = strlen(place->dirs[i].prefix) - 1;

        if (strncmp(place->dirs[i].prefix, entry->name, len) == 0 && entry->name[len] == '\0')
            return 0;
    }
    if (tar->write->passes && tar->dir == &place->dirs[0] && is_tablespace(entry->name))
        return 0;
    return error_set(ERROR_CORRUPT, "'%s%s' is a symbolic link, and none to a tablespace of this backup",
                     tar->dir->prefix, entry->name);
}

/* In base.tar nothing may be in what is another tar's. */
static int
tar_find(struct cluster_tar *tar, const struct untar_entry *entry)
{
    struct cluster_write *write = tar->write;
    const char *name;

    free(tar->path);
    tar->path = mem_printf("%s%s", tar->dir->prefix, entry->name);
    if (place_of(write->place, tar->path, &name) != tar->dir)
        return error_set(ERROR_CORRUPT, "file '%s' is in the tar of '%s'", tar->path, tar->dir->path);
    tar->file = backup_files_find(write->files, tar->path);
    if (tar->file == NULL && (tar->dir->tablespace != NULL || strncmp(tar->path, "pg_wal/", 7) != 0))
        return error_set(ERROR_CORRUPT, "file '%s' is not in the backup_manifest", tar->path);
    if (tar->file != NULL && write->state[tar->file - write->files->files] == CLUSTER_FILE_WRITTEN)
        return error_set(ERROR_CORRUPT, "file '%s' comes twice", tar->path);
    return 0;
}

static struct buf *
tar_holds(struct cluster_tar *tar)
{
    if (strcmp(tar->path, CONTROL_PATH) == 0)
        return &tar->write->control;
    if (strcmp(tar->path, LABEL_PATH) == 0 && tar->write->block_bytes != 0)
        return &tar->write->label;
    return strcmp(tar->path, SPACES_PATH) == 0 ? &tar->write->spaces : NULL;
}

/* ---- increments ---- */

char *
cluster_target(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;

    if (strncmp(base, INCREMENTAL_PREFIX, strlen(INCREMENTAL_PREFIX)) != 0)
        return mem_strdup(path);
    return mem_printf("%.*s%s", (int)(base - path), path, base + strlen(INCREMENTAL_PREFIX));
}

static int
change_cut(void *ctx, uint64_t size)
{
    const struct cluster_tar *tar = ctx;
    struct stat status;

    if (fstat(tar->fd, &status) < 0 || ((uint64_t)status.st_size > size && ftruncate(tar->fd, (off_t)size) < 0))
        return error_errno(PGCASK_FAILED, "could not cut what '%s' goes into", tar->path);
    return 0;
}

static int
change_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
    const struct cluster_tar *tar = ctx;

    tar->write->written_bytes += len;
    if (lseek(tar->fd, (off_t)offset, SEEK_SET) < 0)
        return error_errno(PGCASK_FAILED, "could not seek in what '%s' goes into", tar->path);
    return file_write_all(tar->fd, data, len, tar->path);
}

static int
change_grow(void *ctx, uint64_t size)
{
    const struct cluster_tar *tar = ctx;
    struct stat status;

    if (fstat(tar->fd, &status) < 0 || ((uint64_t)status.st_size < size && ftruncate(tar->fd, (off_t)size) < 0))
        return error_errno(PGCASK_FAILED, "could not lengthen what '%s' goes into", tar->path);
    return 0;
}

static const struct incremental_ops change_ops = { change_cut, change_write, change_grow };

/* The file must be there, from the backups before. */
static int
tar_change(struct cluster_tar *tar, const struct untar_entry *entry, const char *base)
{
    tar->fd = openat(tar->at.fd, base + strlen(INCREMENTAL_PREFIX), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (tar->fd < 0)
        return error_errno(errno == ENOENT ? ERROR_CORRUPT : PGCASK_FAILED, "could not open what '%s' goes into",
                           tar->path);
    tar->incremental = incremental_new(entry->size, tar->write->block_bytes, &change_ops, tar);
    return 0;
}

static int
tar_file(struct cluster_tar *tar, const struct untar_entry *entry)
{
    struct cluster_place *place = tar->write->place;
    const char *base;
    int rc = tar_find(tar, entry);

    if (rc < 0)
        return rc;
    backup_sum_begin(tar->sum, tar->file != NULL ? tar->file->kind : BACKUP_SUM_NONE);
    tar->kept = tar->file != NULL && tar->write->state[tar->file - tar->write->files->files] == CLUSTER_FILE_KEPT;
    tar->held = tar_holds(tar);
    if (tar->held != NULL)
        tar->held->len = 0;
    if (tar->kept || tar->held != NULL)
        return 0;
    rc = place_enter(place, &tar->at, tar->dir, entry->name, true, &base);
    if (rc == 0 && tar->write->block_bytes != 0 && strncmp(base, INCREMENTAL_PREFIX, strlen(INCREMENTAL_PREFIX)) == 0)
        return tar_change(tar, entry, base);
    return rc < 0 ? rc : place_create(place, &tar->at, base, &tar->fd);
}

static int
tar_begin(void *ctx, const struct untar_entry *entry)
{
    struct cluster_tar *tar = ctx;

    if (entry->type == UNTAR_SYMLINK)
        return tar_link(tar, entry);
    tar->write->place->group_mode = entry->mode & 040; /* all of a cluster has it, or nothing */
    return entry->type == UNTAR_DIRECTORY ? tar_directory(tar, entry) : tar_file(tar, entry);
}

static int
tar_bytes(void *ctx, const void *data, size_t len)
{
    struct cluster_tar *tar = ctx;

    if (tar->kept)
        return 0;
    backup_sum_add(tar->sum, data, len);
    if (tar->held != NULL)
        return buf_add(tar->held, data, len) == 0 ? 0 : error_set(ERROR_CORRUPT, "file '%s' is too large", tar->path);
    if (tar->incremental != NULL)
        return incremental_add(tar->incremental, data, len);
    tar->write->written_bytes += len;
    return file_write_all(tar->fd, data, len, tar->path);
}

static int
tar_file_end(void *ctx)
{
    struct cluster_tar *tar = ctx;
    int rc = 0;

    if (tar->kept)
        return 0;
    if (tar->file != NULL)
        rc = backup_sum_end(tar->sum, tar->file);
    if (rc == 0 && tar->incremental != NULL) {
        rc = incremental_end(tar->incremental);
        incremental_free(STEAL(tar->incremental));
    }
    if (rc == 0 && tar->fd >= 0 && !place_sync_tells() && fsync(tar->fd) < 0)
        rc = error_errno(PGCASK_FAILED, "could not sync '%s'", tar->path);
    if (tar->fd >= 0 && close(tar->fd) < 0 && rc == 0)
        rc = error_errno(PGCASK_FAILED, "could not close '%s'", tar->path);
    tar->fd = -1;
    if (rc == 0 && tar->file != NULL)
        tar->write->state[tar->file - tar->write->files->files] = CLUSTER_FILE_WRITTEN;
    return rc;
}

static const struct untar_ops tar_ops = { tar_begin, tar_bytes, tar_file_end };

/* ---- one tar ---- */

struct cluster_tar *
cluster_tar_new(struct cluster_write *write, const struct place_dir *dir)
{
    struct cluster_tar *tar = mem_zalloc(sizeof *tar);

    tar->write = write;
    tar->dir = dir;
    tar->untar = untar_new(&tar_ops, tar);
    tar->at = (struct place_at)PLACE_AT_INIT;
    tar->sum = backup_sum_new();
    tar->fd = -1;
    return tar;
}

int
cluster_tar_add(void *tar, const void *data, size_t len)
{
    progress_add(NULL, len);
    return untar_add(((struct cluster_tar *)tar)->untar, data, len);
}

int
cluster_tar_end(struct cluster_tar *tar)
{
    return untar_end(tar->untar);
}

void
cluster_tar_free(struct cluster_tar *tar)
{
    if (tar == NULL)
        return;
    untar_free(tar->untar);
    place_leave(&tar->at);
    backup_sum_free(tar->sum);
    incremental_free(tar->incremental);
    cleanup_close(&tar->fd);
    free(tar->path);
    free(tar);
}

/* ---- all of them ---- */

/* A tablespace that a later backup of the chain does not have is left out. */
static bool
write_passes(const struct cluster_write *write, const char *path)
{
    const char *name;

    return write->passes && strncmp(path, "pg_tblspc/", 10) == 0 &&
           place_of(write->place, path, &name) == &write->place->dirs[0];
}

int
cluster_write_init(struct cluster_write *write, struct cluster_place *place, const struct backup_files *files,
                   const struct cluster_write *before)
{
    uint32_t block_bytes = 0;
    int rc = before != NULL ? incremental_block_bytes(before->control.data, before->control.len, &block_bytes) : 0;

    if (rc < 0)
        return rc;
    *write = (struct cluster_write){
        .place = place,
        .files = files,
        .state = mem_zalloc(files->len + 1),
        .control = BUF_INIT(PLACE_CONTROL_LIMIT_BYTES),
        .spaces = BUF_INIT(SPACES_LIMIT_BYTES),
        .label = BUF_INIT(SPACES_LIMIT_BYTES),
        .block_bytes = block_bytes,
    };
    return 0;
}

void
cluster_write_free(struct cluster_write *write)
{
    free(write->state);
    buf_free(&write->control);
    buf_free(&write->spaces);
    buf_free(&write->label);
    strv_free(&write->directories);
}

int
cluster_write_check(const struct cluster_write *write)
{
    size_t missing = 0;
    const char *first = NULL;

    for (size_t i = 0; i < write->files->len; i++)
        if (write->state[i] == CLUSTER_FILE_WANTED && !write_passes(write, write->files->files[i].path)) {
            first = first != NULL ? first : write->files->files[i].path;
            missing++;
        }
    if (missing > 0)
        return error_set(ERROR_CORRUPT, "%zu files of the backup_manifest are not in the backup, such as '%s'", missing,
                         first);
    if (write->control.len == 0)
        return error_set(ERROR_CORRUPT, "the backup has no " CONTROL_PATH);
    return 0;
}
