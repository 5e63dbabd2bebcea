/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/segment-stock.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/label.h"
#include "pipeline/segment-arrival.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    COPY_BYTES = 256 * 1024,
    WAIT_MS = 5,                  /* between two looks at what is under way */
    WAIT_LIMIT_MS = 10 * 60 * 1000,
};

static const char prefix[] = "stock-";
static const char under_way[] = ".tmp";
static const char asked[] = ".asked";
static const char lock_name[] = ".lock";

char *
stock_dir(const char *state_dir, const char *cluster, uint64_t system_identifier)
{
    struct stat st = { 0 };

    (void)stat(".", &st); /* should it have none: a stock of nobody */
    return mem_printf("%s/wal/%s/%s%" PRIu64 "-%" PRIx64 "-%" PRIx64, state_dir, cluster, prefix, system_identifier,
                      (uint64_t)st.st_dev, (uint64_t)st.st_ino);
}

/* ---- what is in it ---- */

/* "<name>-<digest>" or "<name>.tmp", of a segment. */
static bool
stock_entry(const char *entry, struct wal_name *ret_name, const char **ret_digest)
{
    CLEANUP_FREE char *name = mem_strndup(entry, strnlen(entry, WAL_NAME_CHARS));
    const char *rest = entry + strlen(name);

    if (wal_name_parse(name, ret_name) < 0) {
        error_clear();
        return false;
    }
    *ret_digest = NULL;
    if (strcmp(rest, under_way) == 0)
        return true;
    *ret_digest = rest + 1;
    return *rest == '-' && strlen(rest + 1) == LABEL_DIGEST_CHARS;
}

/* `digest` NULL: it is under way. */
typedef void stock_visit(void *ctx, const char *dir, const char *entry, const struct wal_name *name,
                         const char *digest);

static void
stock_walk(const char *dir, stock_visit *visit, void *ctx)
{
    DIR *stream = opendir(dir);
    const struct dirent *entry;

    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        struct wal_name name;
        const char *digest;

        if (stock_entry(entry->d_name, &name, &digest))
            visit(ctx, dir, entry->d_name, &name, digest);
    }
    if (stream != NULL)
        (void)closedir(stream); /* opened for reading */
}

/* ---- taking ---- */

void
stock_ask(const char *dir, const char *name)
{
    CLEANUP_FREE char *path = mem_printf("%s/%s", dir, asked);

    if (file_exists(dir) && file_write_lazily(path, name, strlen(name)) < 0)
        error_clear(); /* the stock is filled a little less cleverly */
}

struct stock_search {
    const char *name;
    char *entry, *digest; /* NULL: it is not there */
};

static void
stock_compare(void *ctx, const char *dir, const char *entry, const struct wal_name *name, const char *digest)
{
    struct stock_search *search = ctx;

    (void)dir;
    (void)name;
    if (digest == NULL || search->entry != NULL || strncmp(entry, search->name, WAL_NAME_CHARS) != 0)
        return;
    search->entry = mem_strdup(entry);
    search->digest = mem_strdup(digest);
}

static bool
stock_is_filled(const char *dir)
{
    CLEANUP(lock_release) struct lock *lock = NULL;
    bool filled = stock_lock(dir, &lock) == ERROR_LOCKED;

    error_clear();
    return filled;
}

/* Until it is there, or nobody is bringing it. */
static void
stock_wait(const char *dir, const char *name, struct stock_search *search)
{
    CLEANUP_FREE char *coming = mem_printf("%s/%s%s", dir, name, under_way);
    int64_t begun_ms = clock_mono_ms();

    for (;;) {
        bool waiting = file_exists(coming);

        stock_walk(dir, stock_compare, search);
        if (search->entry != NULL || !waiting || !stock_is_filled(dir) ||
            clock_mono_ms() - begun_ms > WAIT_LIMIT_MS || cancel_sleep_ms(WAIT_MS) < 0)
            return;
    }
}

/* Its bytes, digested; and copied when `out` is a file. */
static int
stock_read(int fd, const char *path, int out, const char *dest, char ret_digest[LABEL_DIGEST_CHARS + 1])
{
    CLEANUP_FREE unsigned char *data = mem_alloc(COPY_BYTES);
    XXH3_state_t *state = XXH3_createState();
    XXH128_hash_t hash;
    ssize_t got;
    int rc = 0;

    if (state == NULL)
        abort(); /* out of memory */
    (void)XXH3_128bits_reset(state); /* fails for NULL only */
    do {
        got = file_read_up_to(fd, data, COPY_BYTES, path);
        if (got > 0)
            (void)XXH3_128bits_update(state, data, (size_t)got); /* fails for NULL only */
        if (got > 0 && out >= 0)
            rc = file_write_all(out, data, (size_t)got, dest);
    } while (rc == 0 && got == COPY_BYTES);
    hash = XXH3_128bits_digest(state);
    (void)XXH3_freeState(state);
    (void)snprintf(ret_digest, LABEL_DIGEST_CHARS + 1, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
                   (uint64_t)hash.low64);
    return got < 0 ? PGCASK_FAILED : rc;
}

static int
stock_check(const char *path, const char *seen, const char *digest)
{
    return strcmp(seen, digest) == 0 ? 0 : error_set(ERROR_CORRUPT, "'%s' has digest %s", path, seen);
}

/* By its name, where that is possible; else by its bytes. */
static int
stock_move(const char *path, const char *digest, const char *dest)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char seen[LABEL_DIGEST_CHARS + 1];
    struct arrival arrival;
    int rc;

    if (fd < 0)
        return error_errno(PGCASK_FAILED, "could not open '%s'", path);
    rc = stock_read(fd, path, -1, NULL, seen);
    if (rc == 0)
        rc = stock_check(path, seen, digest);
    if (rc == 0 && fsync(fd) < 0)
        rc = error_errno(PGCASK_FAILED, "could not sync '%s'", path);
    if (rc < 0 || rename(path, dest) == 0)
        return rc;
    if (errno != EXDEV)
        return error_errno(PGCASK_FAILED, "could not rename '%s' to '%s'", path, dest);
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(PGCASK_FAILED, "could not read '%s'", path);
    rc = arrival_begin(dest, &arrival);
    if (rc < 0)
        return rc;
    rc = stock_read(fd, path, arrival.fd, dest, seen);
    if (rc == 0)
        rc = stock_check(path, seen, digest);
    return arrival_end(&arrival, rc);
}

int
stock_take(const char *dir, const char *name, const char *dest)
{
    struct stock_search search = { .name = name };
    CLEANUP_FREE char *path = NULL;
    int rc = PGCASK_NOT_FOUND;

    if (file_exists(dir))
        stock_wait(dir, name, &search);
    if (search.entry != NULL) {
        path = mem_printf("%s/%s", dir, search.entry);
        rc = stock_move(path, search.digest, dest);
        (void)unlink(path); /* gone, or of no use */
    }
    if (search.entry != NULL && rc < 0) {
        log_info("%s; fetching it once more", error_text());
        rc = error_set(PGCASK_NOT_FOUND, "'%s' is not in stock", name);
    }
    free(search.entry);
    free(search.digest);
    return rc;
}

/* ---- filling ---- */

int
stock_lock(const char *dir, struct lock **ret_lock)
{
    CLEANUP_FREE char *path = mem_printf("%s/%s", dir, lock_name);
    int rc = file_mkdirs(dir);

    return rc < 0 ? rc : lock_take(path, "fetching ahead", ret_lock);
}

bool
stock_asked(const char *dir, struct wal_name *ret_name)
{
    CLEANUP_FREE char *path = mem_printf("%s/%s", dir, asked);
    CLEANUP_BUF struct buf text = BUF_INIT(64);
    bool good = file_read(path, &text) == 0 && text.len > 0 && wal_name_parse(text.data, ret_name) == 0;

    error_clear();
    return good;
}

struct stock_sum {
    size_t count;
    uint64_t bytes;
};

static void
stock_add(void *ctx, const char *dir, const char *entry, const struct wal_name *name, const char *digest)
{
    struct stock_sum *sum = ctx;
    CLEANUP_FREE char *path = mem_printf("%s/%s", dir, entry);
    struct stat st;

    (void)name;
    if (digest == NULL || stat(path, &st) < 0)
        return;
    sum->count++;
    sum->bytes += (uint64_t)st.st_size;
}

void
stock_count(const char *dir, size_t *ret_count, uint64_t *ret_bytes)
{
    struct stock_sum sum = { 0 };

    stock_walk(dir, stock_add, &sum);
    *ret_count = sum.count;
    *ret_bytes = sum.bytes;
}

int
stock_begin(const char *dir, const char *name, int *ret_fd)
{
    CLEANUP_FREE char *path = mem_printf("%s/%s%s", dir, name, under_way);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return error_errno(PGCASK_FAILED, "could not create '%s'", path);
    *ret_fd = fd;
    return 0;
}

int
stock_end(const char *dir, const char *name, const char *digest)
{
    CLEANUP_FREE char *temp = mem_printf("%s/%s%s", dir, name, under_way);
    CLEANUP_FREE char *path = mem_printf("%s/%s-%s", dir, name, digest);

    return rename(temp, path) == 0 ? 0 : error_errno(PGCASK_FAILED, "could not rename '%s' to '%s'", temp, path);
}

void
stock_cancel(const char *dir, const char *name)
{
    CLEANUP_FREE char *path = mem_printf("%s/%s%s", dir, name, under_way);

    (void)unlink(path); /* it is in the way of nobody but itself */
}

struct stock_broom {
    const struct wal_name *name;
    bool under_way;
};

static void
stock_sweep(void *ctx, const char *dir, const char *entry, const struct wal_name *name, const char *digest)
{
    const struct stock_broom *broom = ctx;
    const struct wal_name *at = broom->name;
    bool wanted = at != NULL && name->timeline == at->timeline &&
                  (name->log > at->log || (name->log == at->log && name->piece >= at->piece));
    CLEANUP_FREE char *path = mem_printf("%s/%s", dir, entry);

    if (digest != NULL ? !wanted : broom->under_way)
        (void)unlink(path); /* taken meanwhile, or removed by the next one */
}

void
stock_tidy(const char *dir, const struct wal_name *name, bool with_under_way)
{
    struct stock_broom broom = { name, with_under_way };

    stock_walk(dir, stock_sweep, &broom);
}

void
stock_tidy_others(const char *dir)
{
    const char *slash = strrchr(dir, '/');
    CLEANUP_FREE char *parent = mem_strndup(dir, (size_t)(slash - dir));
    DIR *stream = opendir(parent);
    const struct dirent *entry;

    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        CLEANUP_FREE char *other = mem_printf("%s/%s", parent, entry->d_name);
        CLEANUP(lock_release) struct lock *lock = NULL;

        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || strcmp(entry->d_name, slash + 1) == 0)
            continue;
        if (stock_lock(other, &lock) == 0)
            stock_tidy(other, NULL, true);
        error_clear();
    }
    if (stream != NULL)
        (void)closedir(stream); /* opened for reading */
}
