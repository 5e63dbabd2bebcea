/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of archives have in common: archives written byte by byte, read
 * from memory, and the fixtures of tests/unit/data (made by pg_dump -Fc -Z0 of
 * PostgreSQL 15 and 18).
 */
#ifndef PGCASK_TESTS_UNIT_ARCHIVE_H
#define PGCASK_TESTS_UNIT_ARCHIVE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "pg/archive.h"

#include <stdlib.h>
#include <string.h>

#include "unit.h"

enum { MADE_LIMIT_BYTES = 1 << 20 };

/* An archive being read; `at` moves. */
struct bytes {
    const char *data;
    size_t len, at;
};

static inline int
bytes_read(void *ctx, void *data, size_t len)
{
    struct bytes *bytes = ctx;

    if (len > bytes->len - bytes->at)
        return error_set(PGCASK_FAILED, "no more bytes");
    memcpy(data, bytes->data + bytes->at, len);
    bytes->at += len;
    return 0;
}

static inline void
made_bytes(struct buf *out, const void *data, size_t len)
{
    ck_assert_int_eq(buf_add(out, data, len), 0);
}

static inline void
made_int(struct buf *out, long value)
{
    unsigned long size = (unsigned long)(value < 0 ? -value : value);
    unsigned char bytes[5] = { value < 0, size & 0xff, size >> 8 & 0xff, size >> 16 & 0xff, size >> 24 & 0xff };

    made_bytes(out, bytes, sizeof bytes);
}

static inline void
made_string(struct buf *out, const char *text)
{
    made_int(out, text != NULL ? (long)strlen(text) : -1);
    if (text != NULL)
        made_bytes(out, text, strlen(text));
}

/* 1.`minor`, plain */
static inline void
made_header(struct buf *out, int minor, long count)
{
    char magic[] = { 'P', 'G', 'D', 'M', 'P', 1, (char)minor, 0, 4, 8, 1 };

    made_bytes(out, magic, sizeof magic);
    if (minor >= 15)
        made_bytes(out, "", 1);
    else
        made_int(out, 0);
    for (int i = 0; i < 7; i++)
        made_int(out, i);
    made_string(out, "shop");
    made_string(out, "15.9");
    made_string(out, "15.10");
    made_int(out, count);
}

/* `deps`: dump ids separated by blanks; NULL: none */
struct made_entry {
    int dump_id;
    enum archive_section section;
    const char *desc, *schema, *tag, *defn, *copy_stmt, *deps, *owner, *tablespace, *tableam;
    int relkind;
};

static inline void
made_deps(struct buf *out, const char *deps)
{
    CLEANUP_STRV struct strv ids = { 0 };

    strv_split(&ids, deps != NULL ? deps : "", " ");
    for (size_t i = 0; i < ids.len; i++)
        made_string(out, ids.items[i]);
    made_string(out, NULL);
}

static inline void
made_entry_bytes(struct buf *out, int minor, const struct made_entry *entry)
{
    made_int(out, entry->dump_id);
    made_int(out, entry->section == ARCHIVE_DATA);
    made_string(out, "1259");
    made_string(out, "16384");
    made_string(out, entry->tag);
    made_string(out, entry->desc);
    made_int(out, entry->section ? (long)entry->section : ARCHIVE_PRE_DATA);
    made_string(out, entry->defn);
    made_string(out, "");
    made_string(out, entry->copy_stmt);
    made_string(out, entry->schema);
    made_string(out, entry->tablespace);
    if (minor >= 14)
        made_string(out, entry->tableam);
    if (minor >= 16)
        made_int(out, entry->relkind);
    made_string(out, entry->owner);
    made_string(out, "false");
    made_deps(out, entry->deps);
    made_bytes(out, "\1\0\0\0\0\0\0\0\0", 9);
}

static inline void
made_toc(struct buf *out, int minor, const struct made_entry *entries, size_t count)
{
    made_header(out, minor, (long)count);
    for (size_t i = 0; i < count; i++)
        made_entry_bytes(out, minor, &entries[i]);
}

/* A data block in chunks of `step` bytes. */
static inline void
made_rows(struct buf *out, int dump_id, const char *rows, size_t step)
{
    made_bytes(out, "\1", 1);
    made_int(out, dump_id);
    for (size_t at = 0, len = strlen(rows); at < len; at += step) {
        size_t piece = len - at < step ? len - at : step;

        made_int(out, (long)piece);
        made_bytes(out, rows + at, piece);
    }
    made_int(out, 0);
}

static inline struct archive *
load_bytes(struct bytes *bytes)
{
    struct archive *archive = NULL;

    ck_assert_msg(archive_load(bytes_read, bytes, MADE_LIMIT_BYTES, &archive) == 0, "%s", error_text());
    ck_assert_uint_eq(archive->toc_size, bytes->at);
    return archive;
}

static inline struct archive *
load_made(const struct buf *made)
{
    return load_bytes(&(struct bytes){ made->data, made->len, 0 });
}

/* Of tests/unit/data. */
static inline void
read_fixture(const char *name, struct buf *data)
{
    const char *top = getenv("top_srcdir");
    CLEANUP_FREE char *path = mem_printf("%s/tests/unit/data/%s", top != NULL ? top : ".", name);

    ck_assert_msg(file_read(path, data) == 0, "%s", error_text());
}

#endif
