/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of age files have in common: a known pair of keys, and files
 * sealed into memory.
 */
#ifndef PGCASK_TESTS_UNIT_AGE_H
#define PGCASK_TESTS_UNIT_AGE_H

#include "base/buf.h"
#include "base/error.h"
#include "stage/age-file.h"

#include "unit.h"

/* The example of the age specification: 32 bytes of 0x42. */
#define IDENTITY "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
#define RECIPIENT "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

enum {
    CHUNK = AGE_CHUNK_BYTES,
    SEALED = AGE_CHUNK_BYTES + AGE_TAG_BYTES,
    FILE_LIMIT_BYTES = 1 << 20,
};

static inline int
emit_to_buf(void *ctx, const void *data, size_t len)
{
    return buf_add(ctx, data, len);
}

/* Bytes that differ from place to place. */
static inline void
fill(struct buf *plain, size_t len)
{
    ck_assert_int_eq(buf_reserve(plain, len), 0);
    for (size_t i = 0; i < len; i++)
        plain->data[plain->len++] = (char)(i * 2654435761U >> 13);
}

/* In pieces of `step` bytes. */
static inline void
seal(const struct age_recipients *whom, const struct buf *plain, size_t step, struct buf *file)
{
    CLEANUP(age_sealer_free) struct age_sealer *sealer = NULL;

    ck_assert_msg(age_sealer_new(whom, &sealer) == 0, "%s", error_text());
    for (size_t at = 0; at < plain->len; at += step) {
        size_t len = plain->len - at < step ? plain->len - at : step;

        ck_assert_int_eq(age_seal(sealer, plain->data + at, len, emit_to_buf, file), 0);
    }
    ck_assert_int_eq(age_seal_end(sealer, emit_to_buf, file), 0);
}

#endif
