/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/verify-base.h"

#include "base/error.h"
#include "pg/wal-name.h"
#include "stage/untar.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WAL_PREFIX "pg_wal/" /* taken along with wal = include; PostgreSQL's list leaves it out */

struct verify_tar {
    const struct manifest_member *member;
    struct backup_files *files;
    struct backup_file *file; /* the one whose bytes come; NULL: one that is not in the list */
    struct backup_sum *sum;
    struct untar *untar;
};

bool
verify_is_tar(const struct manifest_member *member)
{
    return strcmp(member->role, ROLE_BASE) == 0 || strcmp(member->role, ROLE_TABLESPACE) == 0;
}

/* ---- the list ---- */

static const struct backup_range *
find_start(const struct backup_files *files, const struct manifest_base *base)
{
    for (size_t i = 0; i < files->range_count; i++)
        if (files->ranges[i].timeline == base->timeline && files->ranges[i].start_lsn == base->start_lsn)
            return &files->ranges[i];
    return NULL;
}

int
verify_base_begin(const struct manifest *manifest, const struct backup_files *files)
{
    const struct manifest_base *base = manifest->base;
    CLEANUP_FREE char *identifier = mem_printf("%" PRIu64, files->system_identifier);
    CLEANUP_FREE char *start = wal_lsn_text(base->start_lsn);

    if (files->system_identifier != 0 && strcmp(identifier, manifest->system_identifier) != 0)
        return error_set(ERROR_CORRUPT, "member 'backup_manifest' is that of system identifier %s, the backup's is %s",
                         identifier, manifest->system_identifier);
    if (find_start(files, base) == NULL)
        return error_set(ERROR_CORRUPT, "member 'backup_manifest' names no WAL that begins at %s on timeline %" PRIu32,
                         start, base->timeline);
    return 0;
}

int
verify_base_end(const struct backup_files *files)
{
    const struct backup_file *first = NULL;
    size_t missing = 0;

    for (size_t i = 0; i < files->len; i++)
        if (!files->files[i].seen) {
            first = first ? first : &files->files[i];
            missing++;
        }
    if (first == NULL)
        return 0;
    return error_set(ERROR_CORRUPT, "file '%s' is in backup_manifest, but in none of the archives%s", first->path,
                     missing > 1 ? ", and it is not the only one" : "");
}

/* ---- an archive ---- */

/* As the list calls it; owned by the caller. */
static char *
tar_path(const struct verify_tar *tar, const char *name)
{
    if (tar->member->tablespace == NULL)
        return mem_strdup(name);
    return mem_printf("pg_tblspc/%s/%s", tar->member->tablespace, name);
}

static int
tar_begin(void *ctx, const struct untar_entry *entry)
{
    struct verify_tar *tar = ctx;
    CLEANUP_FREE char *path = tar_path(tar, entry->name);

    tar->file = NULL;
    if (entry->type != UNTAR_FILE)
        return 0;
    tar->file = backup_files_find(tar->files, path);
    if (tar->file == NULL)
        return strncmp(path, WAL_PREFIX, strlen(WAL_PREFIX)) == 0
                   ? 0
                   : error_set(ERROR_CORRUPT, "file '%s' is not in backup_manifest", path);
    if (tar->file->seen)
        return error_set(ERROR_CORRUPT, "file '%s' is there twice", path);
    tar->file->seen = true;
    backup_sum_begin(tar->sum, tar->file->kind);
    return 0;
}

static int
tar_bytes(void *ctx, const void *data, size_t len)
{
    struct verify_tar *tar = ctx;

    if (tar->file != NULL)
        backup_sum_add(tar->sum, data, len);
    return 0;
}

static int
tar_end(void *ctx)
{
    struct verify_tar *tar = ctx;

    return tar->file != NULL ? backup_sum_end(tar->sum, tar->file) : 0;
}

static const struct untar_ops tar_ops = { tar_begin, tar_bytes, tar_end };

struct verify_tar *
verify_tar_new(const struct manifest_member *member, struct backup_files *files)
{
    struct verify_tar *tar = mem_zalloc(sizeof *tar);

    tar->member = member;
    tar->files = files;
    tar->sum = backup_sum_new();
    tar->untar = untar_new(&tar_ops, tar);
    return tar;
}

void
verify_tar_free(struct verify_tar *tar)
{
    if (tar == NULL)
        return;
    untar_free(tar->untar);
    backup_sum_free(tar->sum);
    free(tar);
}

static int
tar_blame(const struct verify_tar *tar, int rc)
{
    return rc < 0 ? error_context(rc, "member '%s'", tar->member->name) : 0;
}

int
verify_tar_add(void *ctx, const void *data, size_t len)
{
    struct verify_tar *tar = ctx;

    return tar_blame(tar, untar_add(tar->untar, data, len));
}

int
verify_tar_end(struct verify_tar *tar)
{
    return tar_blame(tar, untar_end(tar->untar));
}
