/* SPDX-License-Identifier: PostgreSQL
 *
 * Files of incremental backups for tests, with blocks of 1 KiB; each block is filled with one letter.
 */
#ifndef PGCASK_TESTS_UNIT_INCREMENTAL_H
#define PGCASK_TESTS_UNIT_INCREMENTAL_H

#include "base/buf.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { INC_BLOCK = 1024 };

/* "AB.C": blocks of these letters; '.' is one of zeros. */
static inline void
inc_blocks(struct buf *out, const char *letters)
{
    unsigned char block[INC_BLOCK];

    for (; *letters != '\0'; letters++) {
        memset(block, *letters == '.' ? 0 : *letters, sizeof block);
        (void)buf_add(out, block, sizeof block);
    }
}

/* `changes`: "3C 0A": block 3 is now of C, 0 of A. */
static inline void
inc_file(struct buf *out, uint32_t cut, const char *changes)
{
    struct strv words = { 0 };
    uint32_t head[3] = { 0xD3AE1F0D, 0, cut };

    strv_split(&words, changes, " ");
    head[1] = (uint32_t)words.len;
    (void)buf_add(out, head, sizeof head);
    for (size_t i = 0; i < words.len; i++) {
        uint32_t number = (uint32_t)strtoul(words.items[i], NULL, 10);

        (void)buf_add(out, &number, sizeof number);
    }
    while (words.len > 0 && out->len % INC_BLOCK != 0)
        (void)buf_add(out, "", 1);
    for (size_t i = 0; i < words.len; i++)
        inc_blocks(out, words.items[i] + strspn(words.items[i], "0123456789"));
    strv_free(&words);
}

/* What of a pg_control tells the size of a block. */
static inline void
inc_control(struct buf *out, uint32_t block_bytes)
{
    const double mark = 1234567.0;

    (void)buf_add(out, "control ", 8);
    (void)buf_add(out, &mark, sizeof mark);
    (void)buf_add(out, &block_bytes, sizeof block_bytes);
}

#endif
