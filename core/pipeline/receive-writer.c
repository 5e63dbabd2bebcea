/* SPDX-License-Identifier: PostgreSQL
 *
 * The file of the segment that is being received. Declared in receive-spool.h.
 */
#include "config.h"

#include "pipeline/receive-spool.h"

#include "base/error.h"
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 /* what a disk keeps or loses as a whole */ };

struct spool_writer {
    char *parent; /* its directory */
    char *path;
    int fd;
    struct wal_name name;
    uint64_t begin_lsn;
    uint32_t segment_bytes;
    uint64_t len, synced, size;
};

uint64_t
spool_writer_len(const struct spool_writer *writer)
{
    return writer->len;
}

uint64_t
spool_writer_synced(const struct spool_writer *writer)
{
    return writer->synced;
}

uint64_t
spool_writer_size(const struct spool_writer *writer)
{
    return writer->size;
}

const struct wal_name *
spool_writer_name(const struct spool_writer *writer)
{
    return &writer->name;
}

void
spool_writer_close(struct spool_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->fd >= 0)
        (void)close(writer->fd);
    free(writer->parent);
    free(writer->path);
    free(writer);
}

static int
writer_open(struct spool_writer *writer)
{
    struct stat st;

    writer->fd = open(writer->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (writer->fd < 0 || fstat(writer->fd, &st) < 0)
        return error_errno(PGCASK_FAILED, "could not open '%s'", writer->path);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > writer->segment_bytes)
        return error_set(PGCASK_FAILED, "'%s' has %lld bytes (wanted: at most %" PRIu32 ", a segment)", writer->path,
                         (long long)st.st_size, writer->segment_bytes);
    writer->size = (uint64_t)st.st_size;
    if (fsync(writer->fd) < 0)
        return error_errno(PGCASK_FAILED, "could not sync '%s'", writer->path);
    return file_sync_dir(writer->parent);
}

int
spool_writer_open(const char *dir, const char *system, uint32_t timeline, uint64_t segment, uint32_t segment_bytes,
                  struct spool_writer **ret_writer)
{
    CLEANUP(spool_writer_close) struct spool_writer *writer = mem_zalloc(sizeof *writer);
    int rc;

    writer->fd = -1;
    writer->segment_bytes = segment_bytes;
    writer->begin_lsn = segment * segment_bytes;
    writer->name = wal_segment_at(timeline, segment, segment_bytes);
    writer->name.file = WAL_PARTIAL;
    writer->parent = mem_printf("%s/%s", dir, system);
    writer->path = spool_path(dir, system, &writer->name);
    rc = file_mkdirs(writer->parent);
    if (rc == 0)
        rc = writer_open(writer);
    if (rc == 0)
        *ret_writer = STEAL(writer);
    return rc;
}

/* Bytes of one page, which the file has already. */
static int
writer_compare(const struct spool_writer *writer, uint64_t at, const unsigned char *data, size_t len)
{
    unsigned char page[PAGE_BYTES];
    ssize_t got = pread(writer->fd, page, len, (off_t)at);
    CLEANUP_FREE char *lsn = NULL, *file = NULL;
    size_t same = 0;

    assert(len <= sizeof page);
    if (got != (ssize_t)len)
        return error_errno(PGCASK_FAILED, "could not read '%s'", writer->path);
    while (same < len && page[same] == data[same])
        same++;
    for (size_t i = same; i < len; i++)
        if (page[i] != 0) {
            lsn = wal_lsn_text(writer->begin_lsn + at + same);
            file = wal_name_text(&writer->name);
            (void)error_set(ERROR_CORRUPT,
                            "the server's WAL at %s (in '%s') is not what it was when it was received before", lsn,
                            file);
            return error_hint(ERROR_CORRUPT,
                              "was the server set back to an earlier state, or is this another copy of it? What "
                              "was received is in '%s' and stays",
                              writer->path);
        }
    return 0;
}

static int
writer_check(const struct spool_writer *writer, const unsigned char *data, size_t len)
{
    uint64_t at = writer->len, end = writer->len + len < writer->size ? writer->len + len : writer->size;
    int rc = 0;

    while (rc == 0 && at < end) {
        size_t piece = PAGE_BYTES - at % PAGE_BYTES;

        if (piece > end - at)
            piece = (size_t)(end - at);
        rc = writer_compare(writer, at, data + (at - writer->len), piece);
        at += piece;
    }
    return rc;
}

int
spool_writer_put(struct spool_writer *writer, const void *data, size_t len)
{
    const unsigned char *p = data;
    int rc = writer_check(writer, p, len);

    assert(len <= writer->segment_bytes - writer->len);
    while (rc == 0 && len > 0) {
        ssize_t put = pwrite(writer->fd, p, len, (off_t)writer->len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_errno(PGCASK_FAILED, "could not write '%s'", writer->path);
        p += put;
        len -= (size_t)put;
        writer->len += (size_t)put;
        if (writer->len > writer->size)
            writer->size = writer->len;
    }
    return rc;
}

int
spool_writer_sync(struct spool_writer *writer)
{
    if (writer->synced == writer->len)
        return 0;
    if (fdatasync(writer->fd) < 0)
        return error_errno(PGCASK_FAILED, "could not sync '%s'", writer->path);
    writer->synced = writer->len;
    return 0;
}

int
spool_writer_finish(struct spool_writer *writer)
{
    struct wal_name whole = writer->name;
    CLEANUP_FREE char *file = NULL, *path = NULL;
    int rc = spool_writer_sync(writer);

    assert(writer->len == writer->segment_bytes);
    if (rc < 0)
        return rc;
    whole.file = WAL_SEGMENT;
    file = wal_name_text(&whole);
    path = mem_printf("%s/%s", writer->parent, file);
    if (rename(writer->path, path) < 0)
        return error_errno(PGCASK_FAILED, "could not rename '%s' to '%s'", writer->path, path);
    writer->name = whole;
    return file_sync_dir(writer->parent);
}
