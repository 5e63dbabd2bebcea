/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/wal-read.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* Where the bytes go; `again` empties it for the next store. */
struct sink {
    blob_take *take;
    int (*again)(void *ctx);
    void *ctx;
    uint64_t limit;
};

static int
read_agree(const struct wal_row *rows, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (strcmp(rows[i].digest, rows[0].digest) != 0) {
            CLEANUP_FREE char *file = wal_name_text(&rows[i].name);

            return error_set(ERROR_CORRUPT, "the archive has '%s' with two contents: %s and %s", file, rows[0].digest,
                             rows[i].digest);
        }
    return 0;
}

static int
read_row(const struct wal_reader *reader, const struct wal_row *row, const struct sink *sink)
{
    CLEANUP_FREE char *key = wal_row_key(row, reader->cluster, reader->system_identifier);
    struct blob_ref ref = {
        .key = key,
        .digest = row->digest,
        .sealed = row->sealed,
        .stored_size = row->size,
        .limit = sink->limit,
    };
    uint64_t size;
    int rc = sink->again(sink->ctx);

    if (rc == 0)
        rc = blob_read(reader->tools, reader->stores[row->store], &ref, reader->identities, sink->take, sink->ctx,
                       &size);
    return rc;
}

static int
read_rows(const struct wal_reader *reader, const struct wal_row *rows, size_t count, const struct sink *sink)
{
    int rc = read_agree(rows, count);

    for (size_t i = 0; rc == 0 && i < count; i++) {
        int tried = read_row(reader, &rows[i], sink);

        if (tried == 0)
            return 0;
        if (i + 1 == count || tried == ERROR_USAGE || cancel_requested()) /* the key that is missing is so for all */
            return cancel_or(tried);
        log_slot_warn("trying the next store");
    }
    return rc < 0 ? rc : error_set(PGCASK_NOT_FOUND, "the archive is without that file");
}

static int
text_take(void *ctx, const void *data, size_t len)
{
    return buf_add(ctx, data, len);
}

static int
text_again(void *ctx)
{
    struct buf *text = ctx;

    text->len = 0;
    return 0;
}

int
wal_read_text(const struct wal_reader *reader, const struct wal_row *rows, size_t count, struct buf *ret_text)
{
    struct sink sink = { text_take, text_again, ret_text, ret_text->limit };

    return read_rows(reader, rows, count, &sink);
}

struct sink_file {
    int fd;
    const char *path;
};

static int
file_take(void *ctx, const void *data, size_t len)
{
    const struct sink_file *file = ctx;

    return file_write_all(file->fd, data, len, file->path);
}

static int
file_again(void *ctx)
{
    const struct sink_file *file = ctx;

    if (ftruncate(file->fd, 0) < 0 || lseek(file->fd, 0, SEEK_SET) < 0)
        return error_errno(PGCASK_FAILED, "could not empty '%s'", file->path);
    return 0;
}

int
wal_read_file(const struct wal_reader *reader, const struct wal_row *rows, size_t count, uint64_t limit,
              const char *path)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct sink_file file = { fd, path };
    struct sink sink = { file_take, file_again, &file, limit };

    if (fd < 0)
        return error_errno(PGCASK_FAILED, "could not create '%s'", path);
    return read_rows(reader, rows, count, &sink);
}

int
wal_read_history(const struct wal_reader *reader, const struct wal_list *list, uint32_t timeline,
                 struct wal_history *ret_history)
{
    const struct wal_name name = { .file = WAL_HISTORY, .timeline = timeline };
    CLEANUP_BUF struct buf text = BUF_INIT(WAL_HISTORY_LIMIT_BYTES);
    const struct wal_row *rows;
    size_t count;
    int rc;

    if (timeline == 1)
        return wal_history_read(timeline, NULL, 0, ret_history);
    rows = wal_list_find(list, &name, &count);
    if (count == 0)
        return error_set(PGCASK_NOT_FOUND, "the archive is without the history of timeline %" PRIu32, timeline);
    rc = wal_read_text(reader, rows, count, &text);
    if (rc == 0)
        rc = wal_history_read(timeline, text.data != NULL ? text.data : "", text.len, ret_history);
    return rc < 0 ? error_context(rc, "history of timeline %" PRIu32, timeline) : 0;
}
