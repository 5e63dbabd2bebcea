/* SPDX-License-Identifier: PostgreSQL
 *
 * PostgreSQL's backup_manifest: the files of a base backup with their sizes and checksums, and the WAL it needs. Read
 * while it comes by, so that memory is that of the result. Foreign bytes: strict, bounded, fuzzed.
 * Source of the format: "Backup Manifest Format" in PostgreSQL's documentation; versions 1 (13 to 16) and 2 (from 17).
 */
#ifndef PGCASK_PG_BACKUP_FILES_H
#define PGCASK_PG_BACKUP_FILES_H

#include "base/arena.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BACKUP_FILES_PATH_MAX = 1024,      /* bytes; PostgreSQL's MAXPGPATH */
    BACKUP_FILES_MAX = 50 * 1000 * 1000,
    BACKUP_FILES_RANGES_MAX = 10000,
    BACKUP_SUM_MAX_BYTES = 64,
};

enum backup_sum_kind { BACKUP_SUM_NONE, BACKUP_SUM_CRC32C, BACKUP_SUM_SHA224, BACKUP_SUM_SHA256, BACKUP_SUM_SHA384,
                       BACKUP_SUM_SHA512 };

struct backup_file {
    const char *path; /* relative to the data directory; in a tablespace: pg_tblspc/<oid>/…; the bytes of the name, which need
                         not be UTF-8 */
    uint64_t size;
    const unsigned char *sum; /* backup_sum_bytes(kind) bytes; NULL for none */
    uint8_t kind;             /* enum backup_sum_kind */
    bool seen;                /* for the reader's use, false at first */
};

struct backup_range {
    uint32_t timeline;
    uint64_t start_lsn, end_lsn;
};

struct backup_files {
    int version;
    uint64_t system_identifier; /* 0: not told, by servers before 17 */
    struct backup_file *files;  /* in byte order of their paths, each path once, none that leaves the directory */
    size_t len;
    struct backup_range *ranges;
    size_t range_count;
    uint64_t total_bytes; /* of all files */
    struct arena *arena; /* the texts and checksums */
};
void backup_files_free(struct backup_files *files);
CLEANUP_DEFINE(struct backup_files, backup_files_free)

struct backup_reader; /* opaque */
struct backup_reader *backup_reader_new(void);
void backup_reader_free(struct backup_reader *reader);
CLEANUP_DEFINE(struct backup_reader, backup_reader_free)
/* The next bytes, in pieces of any size. ERROR_CORRUPT: not what PostgreSQL writes. PGCASK_UNSUPPORTED: of a version that is
 * not known. Of the type member_take. */
int backup_reader_add(void *reader, const void *data, size_t len);
/* Behind the last byte: the manifest's own SHA-256 is compared. Once only. */
int backup_reader_end(struct backup_reader *reader, struct backup_files **ret_files);
/* All of it from memory. */
int backup_files_read(const void *data, size_t len, struct backup_files **ret_files);

/* NULL: none. */
struct backup_file *backup_files_find(const struct backup_files *files, const char *path);

/* ---- the checksum of a file while its bytes come by ---- */

struct backup_sum; /* opaque; may be used again by backup_sum_begin */
struct backup_sum *backup_sum_new(void);
void backup_sum_free(struct backup_sum *sum);
CLEANUP_DEFINE(struct backup_sum, backup_sum_free)
void backup_sum_begin(struct backup_sum *sum, enum backup_sum_kind kind);
void backup_sum_add(struct backup_sum *sum, const void *data, size_t len);
/* Size and checksum are those of `file`? ERROR_CORRUPT, naming both, otherwise. backup_sum_begin must have had its kind. */
int backup_sum_end(struct backup_sum *sum, const struct backup_file *file);

size_t backup_sum_bytes(enum backup_sum_kind kind);
const char *backup_sum_name(enum backup_sum_kind kind); /* "CRC32C" */

#endif
