/* SPDX-License-Identifier: PostgreSQL
 *
 * Reads the table of contents of a custom-format archive. Knows the order of
 * its fields, not what the entries mean.
 *
 *   header  "PGDMP" major minor revision intsize offsize format
 *           compression (a byte since 1.15, a number before), 7 numbers of date, 3 strings, count
 *   entry   numbers and strings in the order of archive_read_entry
 *   block   1: dump id, chunks          3: dump id, { oid, chunks }, 0
 *   chunks  { number > 0, bytes }, 0
 */
#include "config.h"

#include "pg/archive.h"

#include "base/error.h"
#include "base/mem.h"
#include "pg/archive-source.h"

#include <stdlib.h>
#include <string.h>

enum {
    ARCHIVE_1_12 = 0x010C, /* the oldest that is read */
    ARCHIVE_1_14 = 0x010E, /* on: the table access method */
    ARCHIVE_1_15 = 0x010F, /* on: compression is an algorithm */
    ARCHIVE_1_16 = 0x0110, /* on: the kind of relation; the newest that is read */
    ARCHIVE_CUSTOM = 1,
};

/* Dump ids in decimal, ended by a string that is not there. */
static int
archive_deps(struct archive_source *in, struct archive_entry *entry)
{
    size_t cap = 0;

    for (;;) {
        CLEANUP_FREE char *text = NULL;
        char *end;
        long id;
        int rc = archive_source_string(in, &text);

        if (rc < 0)
            return rc;
        if (text == NULL)
            return 0;
        id = strtol(text, &end, 10);
        if (end == text || *end != '\0' || id <= 0 || id > INT32_MAX)
            return error_set(ERROR_CORRUPT, "archive: entry %d depends on '%.20s', which is no dump id", entry->dump_id,
                             text);
        MEM_GROW(entry->deps, entry->dep_count, cap);
        entry->deps[entry->dep_count++] = (int)id;
    }
}

/* Whether the entry has data and where; the place is not there when the dump went through a pipe. */
static int
archive_data_place(struct archive_source *in, const struct archive *archive)
{
    unsigned char place[8];
    int state = 0;
    int rc = archive_source_byte(in, &state);

    if (rc == 0 && (state < 1 || state > 3))
        rc = archive_source_corrupt(in, "unknown data state", state);
    if (rc == 0)
        rc = archive_source_bytes(in, place, (size_t)archive->off_size);
    return rc;
}

static int
archive_relkind(struct archive_source *in, const struct archive *archive, struct archive_entry *entry)
{
    return archive->version >= ARCHIVE_1_16 ? archive_source_int(in, &entry->relkind) : 0;
}

static int
archive_section(struct archive_source *in, struct archive_entry *entry)
{
    int section = 0;
    int rc = archive_source_int(in, &section);

    if (rc < 0)
        return rc;
    if (section < ARCHIVE_NONE || section > ARCHIVE_POST_DATA)
        return archive_source_corrupt(in, "unknown section", section);
    entry->section = (enum archive_section)section;
    return 0;
}

static int
archive_read_id(struct archive_source *in, struct archive_entry *entry)
{
    int had_dumper;
    int rc = archive_source_int(in, &entry->dump_id);

    if (rc == 0 && entry->dump_id <= 0)
        rc = archive_source_corrupt(in, "impossible dump id", entry->dump_id);
    return rc == 0 ? archive_source_int(in, &had_dumper) : rc;
}

static int
archive_read_entry(struct archive_source *in, const struct archive *archive, struct archive_entry *entry)
{
    char **const names[] = { &entry->schema, &entry->tablespace, &entry->tableam };
    size_t name_count = archive->version >= ARCHIVE_1_14 ? 3 : 2;
    int rc = archive_read_id(in, entry);

    for (int i = 0; rc == 0 && i < 2; i++)
        rc = archive_source_skip_string(in); /* the catalog's oid, the object's oid */
    if (rc == 0)
        rc = archive_source_string(in, &entry->tag);
    if (rc == 0)
        rc = archive_source_string(in, &entry->desc);
    if (rc == 0)
        rc = archive_section(in, entry);
    if (rc == 0)
        rc = archive_source_string(in, &entry->defn);
    if (rc == 0)
        rc = archive_source_skip_string(in); /* the statement that drops it */
    if (rc == 0)
        rc = archive_source_string(in, &entry->copy_stmt);
    for (size_t i = 0; rc == 0 && i < name_count; i++)
        rc = archive_source_string(in, names[i]);
    if (rc == 0)
        rc = archive_relkind(in, archive, entry);
    if (rc == 0)
        rc = archive_source_string(in, &entry->owner);
    if (rc == 0)
        rc = archive_source_skip_string(in); /* "true" for tables WITH OIDS, gone since PostgreSQL 12 */
    if (rc == 0)
        rc = archive_deps(in, entry);
    if (rc == 0)
        rc = archive_data_place(in, archive);
    return rc;
}

static int
archive_read_magic(struct archive_source *in, struct archive *archive)
{
    unsigned char magic[11]; /* PGDMP, version, revision, sizes, format */
    int rc = archive_source_bytes(in, magic, sizeof magic);

    if (rc < 0)
        return rc;
    if (memcmp(magic, "PGDMP", 5) != 0)
        return error_set(ERROR_CORRUPT, "archive: does not begin with 'PGDMP'");
    archive->version = magic[5] << 8 | magic[6];
    archive->int_size = magic[8];
    archive->off_size = magic[9];
    if (archive->version < ARCHIVE_1_12 || archive->version > ARCHIVE_1_16)
        return error_set(PGCASK_UNSUPPORTED, "archive: version %d.%d is not among the known 1.12 to 1.16", magic[5],
                         magic[6]);
    if ((archive->int_size != 4 && archive->int_size != 8) || (archive->off_size != 4 && archive->off_size != 8))
        return error_set(ERROR_CORRUPT, "archive: integers of %d and offsets of %d bytes, not 4 or 8",
                         archive->int_size, archive->off_size);
    if (magic[10] != ARCHIVE_CUSTOM)
        return error_set(ERROR_CORRUPT, "archive: format %d is not pg_dump's custom format (1)", magic[10]);
    in->int_size = archive->int_size;
    return 0;
}

static int
archive_read_header(struct archive_source *in, struct archive *archive, int *ret_count)
{
    int rc = archive_read_magic(in, archive);
    int date;

    if (rc == 0)
        rc = archive->version >= ARCHIVE_1_15 ? archive_source_byte(in, &archive->compressed)
                                              : archive_source_int(in, &archive->compressed);
    for (int i = 0; rc == 0 && i < 7; i++)
        rc = archive_source_int(in, &date);
    if (rc == 0)
        rc = archive_source_string(in, &archive->database);
    if (rc == 0)
        rc = archive_source_string(in, &archive->server_version);
    if (rc == 0)
        rc = archive_source_string(in, &archive->dump_version);
    if (rc == 0)
        rc = archive_source_int(in, ret_count);
    if (rc == 0 && *ret_count < 0)
        rc = archive_source_corrupt(in, "impossible number of entries", *ret_count);
    return rc;
}

int
archive_load(archive_read *read, void *ctx, uint64_t limit, struct archive **ret_archive)
{
    CLEANUP(archive_free) struct archive *archive = mem_zalloc(sizeof *archive);
    struct archive_source in = { .read = read, .ctx = ctx, .left = limit };
    size_t cap = 0;
    int count = 0;
    int rc = archive_read_header(&in, archive, &count);

    while (rc == 0 && archive->len < (size_t)count) {
        MEM_GROW(archive->entries, archive->len, cap);
        memset(&archive->entries[archive->len], 0, sizeof *archive->entries);
        rc = archive_read_entry(&in, archive, &archive->entries[archive->len++]);
    }
    if (rc < 0)
        return rc;
    archive->toc_size = in.used;
    *ret_archive = STEAL(archive);
    return 0;
}

void
archive_free(struct archive *archive)
{
    if (archive == NULL)
        return;
    for (size_t i = 0; i < archive->len; i++) {
        struct archive_entry *entry = &archive->entries[i];
        char *const texts[] = { entry->tag, entry->desc, entry->defn, entry->copy_stmt, entry->schema,
                                entry->tablespace, entry->tableam, entry->owner };

        for (size_t k = 0; k < ARRAY_LEN(texts); k++)
            free(texts[k]);
        free(entry->deps);
    }
    free(archive->entries);
    free(archive->database);
    free(archive->server_version);
    free(archive->dump_version);
    free(archive);
}

bool
archive_has_backslashes(const struct archive *archive)
{
    for (size_t i = 0; i < archive->len; i++) {
        const struct archive_entry *entry = &archive->entries[i];

        if (entry->desc != NULL && strcmp(entry->desc, "STDSTRINGS") == 0 && entry->defn != NULL)
            return strstr(entry->defn, "'off'") != NULL; /* SET standard_conforming_strings = 'off'; */
    }
    return false;
}

const struct archive_entry *
archive_find(const struct archive *archive, int dump_id)
{
    for (size_t i = 0; i < archive->len; i++)
        if (archive->entries[i].dump_id == dump_id)
            return &archive->entries[i];
    return NULL;
}
