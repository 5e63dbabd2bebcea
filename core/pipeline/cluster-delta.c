/* SPDX-License-Identifier: PostgreSQL
 *
 * Into a directory that holds most of it already: each file is read and its
 * checksum compared, whatever its size and times say. What the backup does not
 * have goes: an old file of WAL would lead recovery astray. Declared in
 * cluster-write.h.
 */
#include "config.h"

#include "pipeline/cluster-write.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg/incremental.h"
#include "pipeline/progress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 256 * 1024, DEPTH_MAX = 64 };

/* ---- which files are as they must be ---- */

struct search {
    struct cluster_write *write;
    atomic_size_t next;
    atomic_int code; /* of the first error */
    struct error error;
    pthread_mutex_t lock;
};

struct searcher {
    struct search *search;
    struct place_at at;
    struct backup_sum *sum;
    unsigned char *data;
};

static int
search_read(struct searcher *searcher, int fd, const struct backup_file *file, bool *ret_same)
{
    uint64_t left = file->size;

    backup_sum_begin(searcher->sum, file->kind);
    while (left > 0) {
        size_t part = left < READ_BYTES ? (size_t)left : READ_BYTES;
        ssize_t len = file_read_up_to(fd, searcher->data, part, file->path);
        int rc = cancel_check();

        if (rc < 0 || len < 0)
            return rc < 0 ? rc : (int)len;
        if (len == 0)
            return 0;
        backup_sum_add(searcher->sum, searcher->data, (size_t)len);
        progress_add(NULL, (size_t)len);
        left -= (size_t)len;
    }
    *ret_same = backup_sum_end(searcher->sum, file) == 0;
    error_clear();
    return 0;
}

/* A file with a second name may be somebody else's, too: it is not kept. */
static int
search_file(struct searcher *searcher, const struct backup_file *file, bool *ret_same)
{
    const struct cluster_place *place = searcher->search->write->place;
    const char *name, *base;
    const struct place_dir *dir = place_of(place, file->path, &name);
    CLEANUP_FD int fd = -1;
    struct stat status;
    int rc;

    if (!dir->there || cluster_is_special(file->path) || file->kind == BACKUP_SUM_NONE)
        return 0;
    if (place_enter(place, &searcher->at, dir, name, false, &base) < 0) {
        error_clear(); /* not there, or behind a link: made anew */
        return 0;
    }
    fd = openat(searcher->at.fd, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1 ||
        (uint64_t)status.st_size != file->size)
        return 0;                                         /* it is made anew */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only faster */
    rc = search_read(searcher, fd, file, ret_same);
    if (rc < 0 && cancel_requested())
        return rc;
    error_clear(); /* one that cannot be read is made anew */
    return 0;
}

static void *
search_thread(void *arg)
{
    struct search *search = arg;
    struct cluster_write *write = search->write;
    struct searcher searcher = {
        .search = search, .at = PLACE_AT_INIT, .sum = backup_sum_new(), .data = mem_alloc(READ_BYTES)
    };
    size_t i;

    while (atomic_load(&search->code) == 0 && (i = atomic_fetch_add(&search->next, 1)) < write->files->len) {
        bool same = false;
        int rc = search_file(&searcher, &write->files->files[i], &same);

        if (same)
            write->state[i] = CLUSTER_FILE_KEPT;
        if (rc < 0) {
            (void)pthread_mutex_lock(&search->lock);
            if (atomic_load(&search->code) == 0)
                error_take(rc, &search->error);
            atomic_store(&search->code, rc);
            (void)pthread_mutex_unlock(&search->lock);
        }
    }
    place_leave(&searcher.at);
    backup_sum_free(searcher.sum);
    free(searcher.data);
    return NULL;
}

static int
search_run(struct cluster_write *write, unsigned threads)
{
    struct search search = { .write = write, .lock = PTHREAD_MUTEX_INITIALIZER };
    CLEANUP_FREE pthread_t *others = mem_realloc_array(NULL, threads, sizeof *others);
    unsigned started = 0;

    while (started + 1 < threads && pthread_create(&others[started], NULL, search_thread, &search) == 0)
        started++;
    (void)search_thread(&search);
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(others[i], NULL);
    return error_put(&search.error);
}

/* ---- what is there ---- */

/* One entry of a directory that is walked through. */
struct walk {
    struct cluster_write *write;
    const struct place_dir *dir;
    int (*file)(struct walk *walk, int fd, const char *name, const char *path); /* no directory; may be NULL */
    int (*directory)(struct walk *walk, int fd, const char *name,
                     const char *path); /* behind what is in it; may be NULL */
    struct strv known;                  /* directories of the backup, in byte order */
    size_t removed;
};

/* Of a tablespace only that directory is the server's. */
static bool
walk_is_ours(const struct walk *walk, const char *path, const char *name)
{
    CLEANUP_FREE char *version = mem_printf("PG_%d_", walk->write->place->major);

    if (path[0] != '\0')
        return true;
    if (walk->dir->tablespace != NULL)
        return strncmp(name, version, strlen(version)) == 0;
    return strcmp(name, "lost+found") != 0 && strcmp(name, PLACE_MARKER) != 0;
}

/* Links are followed to a server's WAL only; those to tablespaces are ours already. */
static bool
walk_enters(const struct walk *walk, int fd, const char *name, const char *path, bool *ret_skip)
{
    struct stat status;

    *ret_skip = false;
    if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (S_ISDIR(status.st_mode))
        return true;
    if (!S_ISLNK(status.st_mode) || walk->dir->tablespace != NULL)
        return false;
    if (strcmp(path, "pg_wal") == 0)
        return fstatat(fd, name, &status, 0) == 0 && S_ISDIR(status.st_mode);
    for (size_t i = 1; i < walk->write->place->len; i++) {
        const char *prefix = walk->write->place->dirs[i].prefix;

        *ret_skip |= strncmp(prefix, path, strlen(prefix) - 1) == 0 && strlen(path) == strlen(prefix) - 1;
    }
    return false;
}

static int walk_dir(struct walk *walk, int parent, const char *name, const char *path, int depth);

static int
walk_entry(struct walk *walk, int fd, const char *name, const char *path, int depth)
{
    bool skip;
    int rc = cancel_check();

    if (rc < 0)
        return rc;
    if (!walk_enters(walk, fd, name, path, &skip))
        return skip || walk->file == NULL ? 0 : walk->file(walk, fd, name, path);
    rc = walk_dir(walk, fd, name, path, depth);
    return rc < 0 || walk->directory == NULL ? rc : walk->directory(walk, fd, name, path);
}

static int
walk_dir(struct walk *walk, int parent, const char *name, const char *path, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    int rc = 0;

    if (dir == NULL) {
        rc = error_errno(PGCASK_FAILED, "could not look into '%s/%s'", walk->dir->path, path);
        cleanup_close(&fd);
        return rc;
    }
    if (depth > DEPTH_MAX)
        rc = error_set(PGCASK_FAILED, "'%s/%s' is nested too deeply", walk->dir->path, path);
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        CLEANUP_FREE char *below = mem_printf("%s%s%s", path, path[0] != '\0' ? "/" : "", entry->d_name);

        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            walk_is_ours(walk, path, entry->d_name))
            rc = walk_entry(walk, dirfd(dir), entry->d_name, below, depth + 1);
    }
    (void)closedir(dir); /* only read */
    return rc;
}

static int
walk_all(struct walk *walk)
{
    struct cluster_place *place = walk->write->place;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < place->len; i++) {
        walk->dir = &place->dirs[i];
        if (walk->dir->there || walk->write->block_bytes != 0)
            rc = walk_dir(walk, walk->dir->fd, ".", "", 0);
    }
    return rc;
}

/* ---- what does not belong ---- */

static int
remove_file(struct walk *walk, int fd, const char *name, const char *path)
{
    const struct cluster_write *write = walk->write;
    CLEANUP_FREE char *full = mem_printf("%s%s", walk->dir->prefix, path);
    const struct backup_file *file = backup_files_find(write->files, full);

    if (file != NULL && write->state[file - write->files->files] == CLUSTER_FILE_KEPT)
        return 0;
    if (unlinkat(fd, name, 0) < 0 && errno != ENOENT)
        return error_errno(PGCASK_FAILED, "could not remove '%s/%s'", walk->dir->path, path);
    walk->removed++;
    return 0;
}

static int
name_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
remove_directory(struct walk *walk, int fd, const char *name, const char *path)
{
    CLEANUP_FREE char *full = mem_printf("%s%s", walk->dir->prefix, path);
    const char *key = full;

    if (walk->known.len > 0 && bsearch(&key, walk->known.items, walk->known.len, sizeof key, name_compare) != NULL)
        return 0;
    if (unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTEMPTY && errno != ENOTDIR)
        return error_errno(PGCASK_FAILED, "could not remove '%s/%s'", walk->dir->path, path);
    return 0;
}

int
cluster_delta(struct cluster_write *write, unsigned threads)
{
    struct walk walk = { .write = write, .file = remove_file };
    size_t kept = 0;
    int rc = search_run(write, threads > 0 ? threads : 1);

    if (rc == 0)
        rc = walk_all(&walk);
    for (size_t i = 0; i < write->files->len; i++)
        kept += write->state[i] == CLUSTER_FILE_KEPT;
    if (rc == 0)
        log_info("%zu of %zu files are there already; %zu others removed", kept, write->files->len, walk.removed);
    return rc;
}

int
cluster_delta_end(struct cluster_write *write)
{
    struct walk walk = { .write = write, .directory = remove_directory };

    strv_sort(&write->directories);
    walk.known = write->directories;
    return walk_all(&walk);
}

/* Of an increment's files one may be called as it is, or as what goes into it. WAL came with one of the backups. */
static int
prune_file(struct walk *walk, int fd, const char *name, const char *path)
{
    const struct backup_files *files = walk->write->files;
    CLEANUP_FREE char *full = mem_printf("%s%s", walk->dir->prefix, path);
    size_t before = strlen(full) - strlen(name);
    CLEANUP_FREE char *change = mem_printf("%.*s" INCREMENTAL_PREFIX "%s", (int)before, full, name);

    if (backup_files_find(files, full) != NULL || backup_files_find(files, change) != NULL ||
        strncmp(full, "pg_wal/", 7) == 0)
        return 0;
    if (unlinkat(fd, name, 0) < 0 && errno != ENOENT)
        return error_errno(PGCASK_FAILED, "could not remove '%s/%s'", walk->dir->path, path);
    walk->removed++;
    return 0;
}

int
cluster_prune(struct cluster_write *write)
{
    struct walk walk = { .write = write, .file = prune_file, .directory = remove_directory };

    strv_sort(&write->directories);
    walk.known = write->directories;
    return walk_all(&walk);
}
