/* SPDX-License-Identifier: PostgreSQL
 *
 * The rows of a backup_manifest, in one pass: each object is collected field by
 * field, checked when it ends, and kept in a form that is little more than its
 * bytes. Beside that the digest of all lines but the last is computed, which the
 * last line must name.
 */
#include "config.h"

#include "pg/backup-files.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json-push.h"
#include "base/parse.h"
#include "base/path.h"
#include "pg/wal-name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 64 * 1024 }; /* PostgreSQL writes a line for each file */

/* ---- the reader ---- */

enum field {
    FIELD_PATH,
    FIELD_ENCODED_PATH,
    FIELD_SIZE,
    FIELD_MODIFIED,
    FIELD_ALGORITHM,
    FIELD_CHECKSUM,
    FIELD_TIMELINE,
    FIELD_START,
    FIELD_END,
    FIELD_VERSION,
    FIELD_SYSTEM,
    FIELD_FILES,
    FIELD_RANGES,
    FIELD_MANIFEST_SUM,
    FIELD_COUNT,
};

enum where { IN_NOTHING, IN_MANIFEST, IN_FILES, IN_FILE, IN_RANGES, IN_RANGE };

/* Each key: the object it belongs into, and what its value is. */
static const struct {
    const char *name;
    enum where where;
    enum json_event event;
} fields[FIELD_COUNT] = {
    [FIELD_PATH] = { "Path", IN_FILE, JSON_STRING },
    [FIELD_ENCODED_PATH] = { "Encoded-Path", IN_FILE, JSON_STRING },
    [FIELD_SIZE] = { "Size", IN_FILE, JSON_NUMBER },
    [FIELD_MODIFIED] = { "Last-Modified", IN_FILE, JSON_STRING },
    [FIELD_ALGORITHM] = { "Checksum-Algorithm", IN_FILE, JSON_STRING },
    [FIELD_CHECKSUM] = { "Checksum", IN_FILE, JSON_STRING },
    [FIELD_TIMELINE] = { "Timeline", IN_RANGE, JSON_NUMBER },
    [FIELD_START] = { "Start-LSN", IN_RANGE, JSON_STRING },
    [FIELD_END] = { "End-LSN", IN_RANGE, JSON_STRING },
    [FIELD_VERSION] = { "PostgreSQL-Backup-Manifest-Version", IN_MANIFEST, JSON_NUMBER },
    [FIELD_SYSTEM] = { "System-Identifier", IN_MANIFEST, JSON_NUMBER },
    [FIELD_FILES] = { "Files", IN_MANIFEST, JSON_ARRAY_BEGIN },
    [FIELD_RANGES] = { "WAL-Ranges", IN_MANIFEST, JSON_ARRAY_BEGIN },
    [FIELD_MANIFEST_SUM] = { "Manifest-Checksum", IN_MANIFEST, JSON_STRING },
};

struct backup_reader {
    struct json_push *json;
    struct backup_files *files;
    size_t cap, range_cap;
    enum where where;
    int field;               /* whose value comes next; -1: none */
    bool given[FIELD_COUNT]; /* in the object we are in, and in the manifest itself */
    struct buf values[FIELD_COUNT];
    struct digest *digest; /* of the lines before the one in `line` */
    struct buf line;
};

static int
reader_corrupt(const char *what, const char *value)
{
    return error_set(ERROR_CORRUPT, "%s '%s'", what, value);
}

/* ---- values ---- */

static const char *
reader_text(const struct backup_reader *reader, enum field field)
{
    return reader->values[field].len > 0 ? reader->values[field].data : "";
}

static int
reader_need(const struct backup_reader *reader, enum field field)
{
    return reader->given[field] ? 0 : error_set(ERROR_CORRUPT, "'%s' is missing", fields[field].name);
}

static int
reader_number(const struct backup_reader *reader, enum field field, uint64_t max, uint64_t *ret_value)
{
    const char *text = reader_text(reader, field);
    char *end;
    int rc = reader_need(reader, field);

    if (rc < 0)
        return rc;
    errno = 0;
    *ret_value = strtoull(text, &end, 10);
    if (text[0] == '-' || *end != '\0' || errno != 0 || *ret_value > max)
        return reader_corrupt(fields[field].name, text);
    return 0;
}

static int
reader_lsn(const struct backup_reader *reader, enum field field, uint64_t *ret_lsn)
{
    int rc = reader_need(reader, field);

    if (rc < 0)
        return rc;
    rc = wal_lsn_parse(reader_text(reader, field), ret_lsn);
    return rc < 0 ? reader_corrupt(fields[field].name, reader_text(reader, field)) : 0;
}

/* The path, plain or as hexadecimal digits of what is not UTF-8. NULL: neither, or both, or one that is no path. */
static const char *
reader_path(struct backup_reader *reader, char *space)
{
    const char *path = reader_text(reader, FIELD_PATH);

    if (reader->given[FIELD_PATH] == reader->given[FIELD_ENCODED_PATH])
        return NULL;
    if (reader->given[FIELD_ENCODED_PATH]) {
        size_t len = reader->values[FIELD_ENCODED_PATH].len / 2;

        if (len > BACKUP_FILES_PATH_MAX || parse_hex(reader_text(reader, FIELD_ENCODED_PATH), space, len) < 0)
            return NULL;
        space[len] = '\0';
        if (strlen(space) != len)
            return NULL;
        path = space;
    }
    return path[0] != '\0' && strlen(path) <= BACKUP_FILES_PATH_MAX && path_is_inside(path) ? path : NULL;
}

static int
reader_sum(struct backup_reader *reader, struct backup_file *file)
{
    unsigned char value[BACKUP_SUM_MAX_BYTES];
    const char *name = reader_text(reader, FIELD_ALGORITHM), *text = reader_text(reader, FIELD_CHECKSUM);
    unsigned kind = BACKUP_SUM_NONE;

    if (reader->given[FIELD_ALGORITHM] != reader->given[FIELD_CHECKSUM])
        return error_set(ERROR_CORRUPT, "'%s' has half of a checksum", file->path);
    if (!reader->given[FIELD_ALGORITHM])
        return 0;
    while (kind <= BACKUP_SUM_SHA512 && strcmp(name, backup_sum_name(kind)) != 0)
        kind++;
    if (kind > BACKUP_SUM_SHA512)
        return reader_corrupt("unknown checksum algorithm", name);
    if (parse_hex(text, value, backup_sum_bytes(kind)) < 0)
        return reader_corrupt("checksum", text);
    file->kind = (uint8_t)kind;
    if (kind != BACKUP_SUM_NONE)
        file->sum = arena_add(&reader->files->arena, value, backup_sum_bytes(kind));
    return 0;
}

/* ---- what ends here ---- */

static int
reader_file(struct backup_reader *reader)
{
    struct backup_files *files = reader->files;
    struct backup_file file = { 0 };
    char space[BACKUP_FILES_PATH_MAX + 1];
    const char *path = reader_path(reader, space);
    int rc;

    if (path == NULL)
        return reader_corrupt("no path of a file is",
                              reader_text(reader, reader->given[FIELD_PATH] ? FIELD_PATH : FIELD_ENCODED_PATH));
    if (files->len >= BACKUP_FILES_MAX)
        return error_set(ERROR_CORRUPT, "more than %d files", BACKUP_FILES_MAX);
    file.path = arena_text(&files->arena, path);
    rc = reader_number(reader, FIELD_SIZE, UINT64_C(1) << 50, &file.size);
    if (rc == 0)
        rc = reader_sum(reader, &file);
    if (rc < 0)
        return rc;
    MEM_GROW(files->files, files->len, reader->cap);
    files->files[files->len++] = file;
    files->total_bytes += file.size;
    return 0;
}

static int
reader_range(struct backup_reader *reader)
{
    struct backup_files *files = reader->files;
    struct backup_range range;
    uint64_t timeline;
    int rc = reader_number(reader, FIELD_TIMELINE, UINT32_MAX, &timeline);

    if (rc == 0)
        rc = reader_lsn(reader, FIELD_START, &range.start_lsn);
    if (rc == 0)
        rc = reader_lsn(reader, FIELD_END, &range.end_lsn);
    if (rc < 0)
        return rc;
    if (timeline == 0 || range.start_lsn > range.end_lsn)
        return error_set(ERROR_CORRUPT, "an impossible range of WAL on timeline %llu", (unsigned long long)timeline);
    if (files->range_count >= BACKUP_FILES_RANGES_MAX)
        return error_set(ERROR_CORRUPT, "more than %d ranges of WAL", BACKUP_FILES_RANGES_MAX);
    range.timeline = (uint32_t)timeline;
    MEM_GROW(files->ranges, files->range_count, reader->range_cap);
    files->ranges[files->range_count++] = range;
    return 0;
}

static int
reader_version(struct backup_reader *reader)
{
    uint64_t version;
    int rc = reader_number(reader, FIELD_VERSION, INT32_MAX, &version);

    if (rc < 0)
        return rc;
    if (version < 1 || version > 2)
        return error_set(PGCASK_UNSUPPORTED, "backup_manifest of version %llu, known are 1 and 2",
                         (unsigned long long)version);
    reader->files->version = (int)version;
    return 0;
}

static int
reader_all(struct backup_reader *reader)
{
    static const enum field wanted[] = { FIELD_VERSION, FIELD_FILES, FIELD_RANGES, FIELD_MANIFEST_SUM };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(wanted); i++)
        rc = reader_need(reader, wanted[i]);
    if (rc == 0 && reader->files->version >= 2)
        rc = reader_number(reader, FIELD_SYSTEM, UINT64_MAX, &reader->files->system_identifier);
    return rc;
}

/* ---- events ---- */

static void
reader_forget(struct backup_reader *reader, enum where where)
{
    for (int i = 0; i < FIELD_COUNT; i++)
        if (fields[i].where == where)
            reader->given[i] = false;
}

static int
reader_begin(struct backup_reader *reader, enum json_event event)
{
    enum where from = reader->where;

    if (event == JSON_ARRAY_BEGIN && from == IN_MANIFEST)
        reader->where = reader->field == FIELD_FILES ? IN_FILES : IN_RANGES;
    else if (event == JSON_OBJECT_BEGIN && from == IN_NOTHING)
        reader->where = IN_MANIFEST;
    else if (event == JSON_OBJECT_BEGIN && from == IN_FILES)
        reader->where = IN_FILE;
    else if (event == JSON_OBJECT_BEGIN && from == IN_RANGES)
        reader->where = IN_RANGE;
    else
        return error_set(ERROR_CORRUPT, "an array or object where none belongs");
    reader->field = -1;
    if (event == JSON_OBJECT_BEGIN)
        reader_forget(reader, reader->where);
    return 0;
}

static int
reader_object_end(struct backup_reader *reader)
{
    switch (reader->where) {
    case IN_FILE:
        reader->where = IN_FILES;
        return reader_file(reader);
    case IN_RANGE:
        reader->where = IN_RANGES;
        return reader_range(reader);
    default:
        reader->where = IN_NOTHING;
        return reader_all(reader);
    }
}

static int
reader_key(struct backup_reader *reader, const char *name)
{
    for (int i = 0; i < FIELD_COUNT; i++) {
        if (fields[i].where != reader->where || strcmp(fields[i].name, name) != 0)
            continue;
        if (reader->given[i])
            return reader_corrupt("twice the key", name);
        reader->field = i;
        reader->given[i] = true;
        return 0;
    }
    return reader_corrupt("unknown key", name);
}

static int
reader_value(struct backup_reader *reader, const char *text)
{
    int field = reader->field;
    int rc;

    if (field < 0)
        return reader_corrupt("a value where none belongs:", text);
    reader->values[field].len = 0;
    rc = buf_adds(&reader->values[field], text);
    reader->field = -1;
    if (rc == 0 && field == FIELD_VERSION)
        return reader_version(reader);
    return rc;
}

static int
reader_event(void *ctx, enum json_event event, const char *text)
{
    struct backup_reader *reader = ctx;

    if (event == JSON_KEY)
        return reader_key(reader, text);
    if (event == JSON_OBJECT_END)
        return reader_object_end(reader);
    if (event == JSON_ARRAY_END) {
        reader->where = IN_MANIFEST;
        return 0;
    }
    if (reader->field >= 0 && fields[reader->field].event != event)
        return reader_corrupt("a value of the wrong kind for", fields[reader->field].name);
    if (event == JSON_ARRAY_BEGIN || event == JSON_OBJECT_BEGIN)
        return reader_begin(reader, event);
    return reader_value(reader, text);
}

/* ---- the digest of all lines but the last ---- */

static int
reader_lines(struct backup_reader *reader, const char *data, size_t len)
{
    const char *end = memrchr(data, '\n', data[len - 1] == '\n' ? len - 1 : len);
    struct buf *line = &reader->line;

    if (end != NULL || (line->len > 0 && line->data[line->len - 1] == '\n')) {
        size_t part = end != NULL ? (size_t)(end + 1 - data) : 0;

        digest_add(reader->digest, line->data, line->len);
        digest_add(reader->digest, data, part);
        line->len = 0;
        data += part;
        len -= part;
    }
    return buf_add(line, data, len) == 0 ? 0 : error_set(ERROR_CORRUPT, "a line of more than %d bytes", LINE_MAX_BYTES);
}

static int
reader_digest(struct backup_reader *reader)
{
    CLEANUP_FREE char *seen = digest_end(reader->digest);
    CLEANUP_FREE char *wanted = mem_printf("sha256:%s", reader_text(reader, FIELD_MANIFEST_SUM));
    int rc = digest_check_text(wanted);

    if (rc == 0)
        rc = digest_compare("the backup_manifest's digest of itself", seen, wanted);
    return rc;
}

/* ---- from outside ---- */

static int
file_compare(const void *a, const void *b)
{
    return strcmp(((const struct backup_file *)a)->path, ((const struct backup_file *)b)->path);
}

int
backup_reader_add(void *reader_, const void *data, size_t len)
{
    struct backup_reader *reader = reader_;
    int rc = len > 0 ? reader_lines(reader, data, len) : 0;

    if (rc == 0)
        rc = json_push_add(reader->json, data, len);
    return rc < 0 ? error_context(rc, "backup_manifest") : 0;
}

static int
reader_finish(struct backup_reader *reader)
{
    struct backup_files *files = reader->files;
    int rc = json_push_end(reader->json);

    if (rc == 0)
        rc = reader_digest(reader);
    if (rc < 0)
        return rc;
    if (files->len > 0)
        qsort(files->files, files->len, sizeof *files->files, file_compare);
    for (size_t i = 1; i < files->len; i++)
        if (strcmp(files->files[i - 1].path, files->files[i].path) == 0)
            return reader_corrupt("twice the file", files->files[i].path);
    return 0;
}

int
backup_reader_end(struct backup_reader *reader, struct backup_files **ret_files)
{
    int rc = reader_finish(reader);

    if (rc < 0)
        return error_context(rc, "backup_manifest");
    *ret_files = STEAL(reader->files);
    return 0;
}

struct backup_reader *
backup_reader_new(void)
{
    struct backup_reader *reader = mem_zalloc(sizeof *reader);

    reader->json = json_push_new(reader_event, reader);
    reader->files = mem_zalloc(sizeof *reader->files);
    reader->digest = digest_new(DIGEST_SHA256);
    reader->field = -1;
    reader->line = (struct buf)BUF_INIT(LINE_MAX_BYTES);
    for (int i = 0; i < FIELD_COUNT; i++)
        reader->values[i] = (struct buf)BUF_INIT(JSON_PUSH_TEXT_MAX);
    return reader;
}

void
backup_reader_free(struct backup_reader *reader)
{
    if (reader == NULL)
        return;
    json_push_free(reader->json);
    backup_files_free(reader->files);
    digest_free(reader->digest);
    buf_free(&reader->line);
    for (int i = 0; i < FIELD_COUNT; i++)
        buf_free(&reader->values[i]);
    free(reader);
}

int
backup_files_read(const void *data, size_t len, struct backup_files **ret_files)
{
    CLEANUP(backup_reader_free) struct backup_reader *reader = backup_reader_new();
    int rc = backup_reader_add(reader, data, len);

    return rc < 0 ? rc : backup_reader_end(reader, ret_files);
}

struct backup_file *
backup_files_find(const struct backup_files *files, const char *path)
{
    const struct backup_file wanted = { .path = path };

    return files->len == 0 ? NULL : bsearch(&wanted, files->files, files->len, sizeof wanted, file_compare);
}

void
backup_files_free(struct backup_files *files)
{
    if (files == NULL)
        return;
    arena_free(files->arena);
    free(files->files);
    free(files->ranges);
    free(files);
}
