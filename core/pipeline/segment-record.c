/* SPDX-License-Identifier: PostgreSQL
 *
 * A record is one line. It is never parsed: what it must say is made again and compared, byte for byte.
 *
 *   pgcask-wal 1 <device> <inode> <size> <mtime> <ctime> <digest of the ends> <the same four of the config> <digest>
 */
#include "config.h"

#include "pipeline/segment-record.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    RECORD_LIMIT_BYTES = 1024,
    RECORD_END_BYTES = 8192, /* the first and the last page */
};

static const char *
record_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

char *
segment_record_dir(const char *state_dir, const char *cluster, const char *path)
{
    const char *name = record_name(path);
    CLEANUP_FREE char *parent = name == path ? mem_strdup(".") : mem_strndup(path, (size_t)(name - path));
    struct stat st;

    if (stat(parent, &st) < 0) {
        (void)error_errno(PGCASK_FAILED, "could not look at directory '%s'", parent);
        return NULL;
    }
    return mem_printf("%s/wal/%s/sent-%" PRIx64 "-%" PRIx64, state_dir, cluster, (uint64_t)st.st_dev,
                      (uint64_t)st.st_ino);
}

static char *
record_stat(const struct stat *st)
{
    return mem_printf("%" PRIx64 " %" PRIx64 " %" PRIu64 " %" PRIu64 ".%09ld %" PRIu64 ".%09ld", (uint64_t)st->st_dev,
                      (uint64_t)st->st_ino, (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
                      (uint64_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

/* At most RECORD_END_BYTES from there. */
static int
record_read(int fd, const char *path, uint64_t offset, unsigned char *data, size_t *ret_len)
{
    size_t len = 0;

    while (len < RECORD_END_BYTES) {
        ssize_t got = pread(fd, data + len, RECORD_END_BYTES - len, (off_t)(offset + len));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(PGCASK_FAILED, "could not read '%s'", path);
        if (got == 0)
            break;
        len += (size_t)got;
    }
    *ret_len = len;
    return 0;
}

/* Segments differ in both ends, whatever clocks and inodes say; the other files are short. */
static int
record_ends(int fd, const char *path, uint64_t size, XXH128_hash_t *ret_hash)
{
    unsigned char data[2 * RECORD_END_BYTES];
    size_t first, last;
    int rc = record_read(fd, path, 0, data, &first);

    if (rc == 0)
        rc = record_read(fd, path, size > RECORD_END_BYTES ? size - RECORD_END_BYTES : 0, data + first, &last);
    if (rc == 0)
        *ret_hash = XXH3_128bits(data, first + last);
    return rc;
}

/* The whole line: both files as they are now. */
static char *
record_line(const struct stat *file, const XXH128_hash_t *ends, const struct stat *config)
{
    CLEANUP_FREE char *file_text = record_stat(file), *config_text = record_stat(config);
    CLEANUP_FREE char *line = mem_printf("pgcask-wal 1 %s %016" PRIx64 "%016" PRIx64 " %s", file_text,
                                         (uint64_t)ends->high64, (uint64_t)ends->low64, config_text);

    return mem_printf("%s %016" PRIx64 "\n", line, (uint64_t)XXH3_64bits(line, strlen(line)));
}

char *
segment_record_text(const char *config_path, int fd, const char *path)
{
    struct stat file, config;
    XXH128_hash_t ends;

    if (stat(config_path, &config) < 0) {
        (void)error_errno(PGCASK_FAILED, "could not look at '%s'", config_path);
        return NULL;
    }
    if (fstat(fd, &file) < 0) {
        (void)error_errno(PGCASK_FAILED, "could not look at '%s'", path);
        return NULL;
    }
    return record_ends(fd, path, (uint64_t)file.st_size, &ends) < 0 ? NULL : record_line(&file, &ends, &config);
}

static bool
record_fits(const char *config_path, const char *path, const struct buf *record)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    CLEANUP_FREE char *wanted = fd >= 0 ? segment_record_text(config_path, fd, path) : NULL;

    return wanted != NULL && record->len == strlen(wanted) && memcmp(record->data, wanted, record->len) == 0;
}

bool
segment_record_take(const char *state_dir, const char *cluster, const char *config_path, const char *path)
{
    CLEANUP_FREE char *dir = segment_record_dir(state_dir, cluster, path);
    CLEANUP_FREE char *name = dir != NULL ? mem_printf("%s/%s", dir, record_name(path)) : NULL;
    CLEANUP_BUF struct buf record = BUF_INIT(RECORD_LIMIT_BYTES);
    bool fits = false;

    if (name != NULL && file_read(name, &record) != PGCASK_NOT_FOUND) {
        fits = record_fits(config_path, path, &record);
        (void)unlink(name); /* should it stay: it counts for this very file only, which is in the stores */
    }
    error_clear();
    return fits;
}

/* After a crash of the machine it may hold anything, which then does not fit: no need to wait for the disk. */
int
segment_record_keep(const char *dir, const char *path, const char *text)
{
    CLEANUP_FREE char *name = mem_printf("%s/%s", dir, record_name(path));

    return file_write_lazily(name, text, strlen(text));
}

bool
segment_record_exists(const char *dir, const char *name)
{
    CLEANUP_FREE char *path = mem_printf("%s/%s", dir, name);

    return file_exists(path);
}
