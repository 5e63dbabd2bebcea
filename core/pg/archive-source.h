/* SPDX-License-Identifier: PostgreSQL
 *
 * The bytes, numbers and strings a custom-format archive is made of, read with
 * limits. For archive.c and archive-data.c only.
 *
 *   number  sign byte, intsize bytes, least significant first
 *   string  number (negative: NULL), bytes
 */
#ifndef PGCASK_PG_ARCHIVE_SOURCE_H
#define PGCASK_PG_ARCHIVE_SOURCE_H

#include "pg/archive.h"

enum {
    ARCHIVE_PIECE = 64 * 1024, /* bytes read at once: what a wrong length can make us allocate in vain */
};

struct archive_source {
    archive_read *read;
    void *ctx;
    uint64_t left; /* of the caller's limit */
    uint64_t used;
    int int_size;
};

/* ERROR_CORRUPT: "<what> <value> before byte <place>". */
int archive_source_corrupt(const struct archive_source *in, const char *what, int64_t value);
int archive_source_bytes(struct archive_source *in, void *data, size_t len);
int archive_source_byte(struct archive_source *in, int *ret_value);
/* An int or an oid: the range of both. */
int archive_source_number(struct archive_source *in, int64_t *ret_value);
int archive_source_int(struct archive_source *in, int *ret_value);
/* NULL for the string that is not there. */
int archive_source_string(struct archive_source *in, char **ret_text);
int archive_source_skip_string(struct archive_source *in);

#endif
