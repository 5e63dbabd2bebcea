/* SPDX-License-Identifier: PostgreSQL
 *
 * Tar streams for tests, written field by field, so that each may be wrong.
 */
#ifndef PGCASK_TESTS_UNIT_TAR_H
#define PGCASK_TESTS_UNIT_TAR_H

#include "base/buf.h"

#include <stdio.h>
#include <string.h>

enum { TAR_BLOCK = 512 };

static inline void
tar_text(unsigned char *field, const char *text, size_t size)
{
    size_t len = strlen(text);

    memcpy(field, text, len < size ? len : size); /* no NUL where it fills the field */
}

static inline void
tar_sum(unsigned char *block)
{
    unsigned sum = 0;
    char text[8];

    memset(block + 148, ' ', 8);
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += block[i];
    (void)snprintf(text, sizeof text, "%06o", sum);
    memcpy(block + 148, text, 7);
}

/* As PostgreSQL's tarCreateHeader: octal, or base 256 where that is too small. */
static inline void
tar_header(unsigned char *block, const char *name, char type, const char *target, unsigned mode, uint64_t size)
{
    char text[16];

    memset(block, 0, TAR_BLOCK);
    tar_text(block, name, 100);
    (void)snprintf(text, sizeof text, "%07o", mode);
    memcpy(block + 100, text, 7);
    (void)snprintf(text, sizeof text, "%011llo", (unsigned long long)(size & 077777777777));
    memcpy(block + 124, text, 11);
    if (size > 077777777777) {
        block[124] = 0x80;
        for (int i = 11; i > 0; i--, size >>= 8)
            block[124 + i] = (unsigned char)size;
    }
    memcpy(block + 136, "00000000001", 11);
    block[156] = (unsigned char)type;
    tar_text(block + 157, target, 100);
    memcpy(block + 257,
           "ustar\0"
           "00",
           8);
    memcpy(block + 265, "postgres", 8);
    tar_sum(block);
}

static inline void
tar_add(struct buf *tar, const char *name, char type, const char *target, unsigned mode, const void *data, size_t size)
{
    static const unsigned char zeros[TAR_BLOCK];
    unsigned char block[TAR_BLOCK];

    tar_header(block, name, type, target, mode, size);
    (void)buf_add(tar, block, sizeof block);
    (void)buf_add(tar, data, size);
    (void)buf_add(tar, zeros, (size_t)(-size % TAR_BLOCK));
}

static inline void
tar_file(struct buf *tar, const char *name, const void *data, size_t size)
{
    tar_add(tar, name, '0', "", 0600, data, size);
}

static inline void
tar_end(struct buf *tar)
{
    static const unsigned char zeros[2 * TAR_BLOCK];

    (void)buf_add(tar, zeros, sizeof zeros);
}

#endif
