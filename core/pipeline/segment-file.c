/* SPDX-License-Identifier: PostgreSQL
 *
 * A WAL file on this host: is it what its name says, and whose is it?
 */
#include "config.h"

#include "pipeline/segment-push.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "pg/control.h"
#include "pg/wal-header.h"
#include "pg/wal-history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LABEL_LIMIT_BYTES = 64 * 1024 };

static int
segment_check_system(const struct segment_file *file, uint64_t seen, uint64_t wanted)
{
    if (wanted == 0 || seen == wanted)
        return 0;
    (void)error_set(ERROR_CORRUPT, "'%s' is of system %" PRIu64 ", not of %" PRIu64, file->path, seen, wanted);
    return error_hint(ERROR_CORRUPT, "the file belongs to another server, or to this one before it was made anew");
}

static int
segment_check_header(struct segment_file *file, uint64_t system_identifier)
{
    unsigned char data[WAL_HEADER_BYTES];
    struct wal_header header;
    ssize_t got = file_read_up_to(file->fd, data, sizeof data, file->path);
    int rc = got < 0 ? PGCASK_FAILED : wal_header_read(data, (size_t)got, &header);

    if (got < 0)
        return rc;
    if (rc < 0)
        return error_context(rc, "'%s'", file->path);
    rc = wal_header_check(&header, &file->name, file->size);
    if (rc == 0)
        rc = segment_check_system(file, header.system_identifier, system_identifier);
    if (rc == 0)
        file->system_identifier = header.system_identifier;
    return rc;
}

/* What has no header is of the system that the caller knows. */
static int
segment_check_text(struct segment_file *file, uint64_t system_identifier)
{
    bool history = file->name.file == WAL_HISTORY;
    CLEANUP_BUF struct buf text = BUF_INIT(history ? WAL_HISTORY_LIMIT_BYTES : LABEL_LIMIT_BYTES);
    int rc = file_read_fd(file->fd, file->path, &text);

    file->system_identifier = system_identifier;
    if (rc == 0 && text.len == 0)
        rc = error_set(ERROR_CORRUPT, "'%s' is empty", file->path);
    if (rc == 0 && history) {
        CLEANUP_WAL_HISTORY struct wal_history parsed = { .len = 0 };

        rc = wal_history_read(file->name.timeline, text.data, text.len, &parsed);
        if (rc < 0)
            return error_context(rc, "'%s'", file->path);
    }
    return rc;
}

int
segment_file_open(const char *path, uint64_t system_identifier, struct segment_file *ret_file)
{
    CLEANUP_SEGMENT_FILE struct segment_file file = { .fd = -1, .path = mem_strdup(path) };
    const char *slash = strrchr(path, '/');
    struct stat st;
    int rc = wal_name_parse(slash != NULL ? slash + 1 : path, &file.name);

    if (rc < 0)
        return rc;
    file.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file.fd < 0)
        return error_errno(errno == ENOENT ? PGCASK_NOT_FOUND : PGCASK_FAILED, "could not open '%s'", path);
    if (fstat(file.fd, &st) < 0)
        return error_errno(PGCASK_FAILED, "could not look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(ERROR_CORRUPT, "'%s' is no file", path);
    file.size = (uint64_t)st.st_size;
    rc = file.name.file == WAL_SEGMENT || file.name.file == WAL_PARTIAL
             ? segment_check_header(&file, system_identifier)
             : segment_check_text(&file, system_identifier);
    if (rc < 0)
        return rc;
    *ret_file = file;
    file = (struct segment_file){ .fd = -1 };
    return 0;
}

void
segment_file_close(struct segment_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd); /* opened for reading */
    free(file->path);
    *file = (struct segment_file){ .fd = -1 };
}

void
cleanup_segment_file(struct segment_file *file)
{
    segment_file_close(file);
}

/* PostgreSQL calls us with a relative path in its data directory. Of an absolute one the directory above the WAL's is
 * the data directory, unless the WAL is elsewhere and was named there. */
int
segment_system_of(const char *path, uint64_t *ret_system_identifier)
{
    CLEANUP_FREE char *wal = mem_strndup(path, strrchr(path, '/') ? (size_t)(strrchr(path, '/') - path) : 0);
    CLEANUP_FREE char *dir = NULL;
    const char *slash = strrchr(wal, '/');
    struct control control;
    int rc;

    if (*path == '/')
        dir = mem_strndup(wal, slash != NULL ? (size_t)(slash - wal) : 0);
    else
        dir = mem_strdup(".");
    rc = control_load(dir, &control);
    if (rc == PGCASK_NOT_FOUND) {
        error_clear();
        *ret_system_identifier = 0;
        return 0;
    }
    if (rc == 0)
        *ret_system_identifier = control.system_identifier;
    return rc;
}
