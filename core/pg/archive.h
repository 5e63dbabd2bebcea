/* SPDX-License-Identifier: PostgreSQL
 *
 * The table of contents of a pg_dump custom-format archive (versions 1.12 to 1.16: PostgreSQL 9 to 18), and its
 * data blocks when they are not compressed (pg_dump -Z0). Foreign bytes: everything is checked, and fuzzed.
 * Format facts: PostgreSQL's pg_backup_archiver.c (ReadHead, ReadToc) and pg_backup_custom.c.
 */
#ifndef PGCASK_PG_ARCHIVE_H
#define PGCASK_PG_ARCHIVE_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum archive_section { ARCHIVE_NONE = 1, ARCHIVE_PRE_DATA, ARCHIVE_DATA, ARCHIVE_POST_DATA };

struct archive_entry {
    int dump_id;
    char *tag;       /* object name as pg_dump shows it; NULL possible, as for all strings here */
    char *desc;      /* "TABLE", "TABLE DATA", "FK CONSTRAINT", … */
    enum archive_section section;
    char *defn;      /* SQL */
    char *copy_stmt; /* "COPY … FROM stdin;\n" of TABLE DATA */
    char *schema;    /* the object's namespace */
    char *tablespace, *tableam, *owner;
    int relkind;     /* pg_class.relkind; 0 before 1.16 */
    int *deps;       /* dump ids it depends on */
    size_t dep_count;
};

struct archive {
    int version;         /* 0x010F for 1.15 */
    char *database;      /* as dumped */
    char *server_version, *dump_version;
    int compressed;      /* not 0: the data blocks are compressed and cannot be read here */
    struct archive_entry *entries;
    size_t len;
    uint64_t toc_size;   /* bytes from the start up to the first data block */
    int int_size, off_size;
};

/* Reads exactly `len` bytes more of the archive; PGCASK_FAILED (or any error) when there are not so many. */
typedef int archive_read(void *ctx, void *data, size_t len);

/* ERROR_CORRUPT for bytes that are no such archive, PGCASK_UNSUPPORTED for a version older or newer than known. At most
 * `limit` bytes are read. */
int archive_load(archive_read *read, void *ctx, uint64_t limit, struct archive **ret_archive);
void archive_free(struct archive *archive);
CLEANUP_DEFINE(struct archive, archive_free)
/* Does a backslash in its string constants escape (standard_conforming_strings = off)? */
bool archive_has_backslashes(const struct archive *archive);
const struct archive_entry *archive_find(const struct archive *archive, int dump_id); /* NULL: none */

/* Walk the data blocks, right behind the table of contents. For the block of `dump_id` every piece of its rows goes
 * to `row_bytes` (COPY text format, pieces end anywhere, without pg_dump's end mark "\.\n\n\n"); other blocks are
 * passed over. Reads little at a time: `read` should buffer. Ends behind that block.
 * PGCASK_NOT_FOUND when the archive ends (the reader answers PGCASK_FAILED where a block would begin) without it,
 * PGCASK_UNSUPPORTED when it is compressed. What row_bytes answers below 0 ends the walk and is returned. */
int archive_data(const struct archive *archive, archive_read *read, void *ctx, int dump_id,
                 int (*row_bytes)(void *ctx, const void *data, size_t len), void *row_ctx);

#endif
