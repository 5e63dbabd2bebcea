/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as a file of an incremental backup with blocks of 1 KiB, whole and in
 * pieces: both must do the same, and nothing beyond what the format can say.
 */
#include "config.h"

#include "base/error.h"
#include "pg/incremental.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_BLOCK = 1024 };
#define FUZZ_FILE_MAX ((UINT64_C(1) << 24) * FUZZ_BLOCK)

struct fuzz_file {
    uint64_t sum, end;
    unsigned cuts, grows;
};

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static int
fuzz_cut(void *ctx, uint64_t size)
{
    struct fuzz_file *file = ctx;

    must(size <= FUZZ_FILE_MAX && file->sum == 0 && file->cuts++ == 0);
    return 0;
}

static int
fuzz_write(void *ctx, uint64_t offset, const void *data, size_t len)
{
    struct fuzz_file *file = ctx;
    const uint8_t *bytes = data;

    must(file->cuts == 1 && len > 0 && offset + len <= FUZZ_FILE_MAX);
    for (size_t i = 0; i < len; i++)
        file->sum = (file->sum ^ bytes[i] ^ (offset + i)) * UINT64_C(0x100000001B3) + 1;
    if (offset + len > file->end)
        file->end = offset + len;
    return 0;
}

static int
fuzz_grow(void *ctx, uint64_t size)
{
    struct fuzz_file *file = ctx;

    must(size >= file->end && size <= FUZZ_FILE_MAX && file->grows++ == 0);
    return 0;
}

static const struct incremental_ops fuzz_ops = { fuzz_cut, fuzz_write, fuzz_grow };

static int
fuzz_apply(const uint8_t *data, size_t size, size_t step, struct fuzz_file *file)
{
    CLEANUP(incremental_free) struct incremental *incremental = incremental_new(size, FUZZ_BLOCK, &fuzz_ops, file);
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < size; at += step)
        rc = incremental_add(incremental, data + at, size - at < step ? size - at : step);
    return rc < 0 ? rc : incremental_end(incremental);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_file whole = { 0 }, pieces = { 0 };
    uint32_t block_bytes;
    int rc = fuzz_apply(data, size, size > 0 ? size : 1, &whole);

    must(fuzz_apply(data, size, 61, &pieces) == rc && (rc < 0 || pieces.sum == whole.sum));
    (void)incremental_block_bytes(data, size, &block_bytes);
    error_clear();
    return 0;
}
