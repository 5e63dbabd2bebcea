/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as a tar stream, whole and in pieces: both must tell the same, and no
 * name may leave its directory.
 */
#include "config.h"

#include "base/error.h"
#include "base/path.h"
#include "stage/untar.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_told {
    uint64_t sum;
    uint64_t left; /* of the file begun last */
    bool in_file;
};

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
fuzz_add(struct fuzz_told *told, uint64_t value)
{
    told->sum = (told->sum ^ value) * UINT64_C(0x100000001B3);
}

static int
fuzz_begin(void *ctx, const struct untar_entry *entry)
{
    struct fuzz_told *told = ctx;

    must(!told->in_file && entry->name[0] != '\0' && path_is_inside(entry->name));
    must((entry->type == UNTAR_SYMLINK) == (entry->target != NULL) && (entry->type == UNTAR_FILE || entry->size == 0));
    told->in_file = entry->type == UNTAR_FILE;
    told->left = entry->size;
    for (const char *c = entry->name; *c != '\0'; c++)
        fuzz_add(told, (uint64_t)*c);
    fuzz_add(told, entry->size);
    fuzz_add(told, entry->mode);
    return 0;
}

static int
fuzz_bytes(void *ctx, const void *data, size_t len)
{
    struct fuzz_told *told = ctx;
    const uint8_t *bytes = data;

    must(told->in_file && len <= told->left);
    told->left -= len;
    for (size_t i = 0; i < len; i++)
        fuzz_add(told, bytes[i]);
    return 0;
}

static int
fuzz_end(void *ctx)
{
    struct fuzz_told *told = ctx;

    must(told->in_file && told->left == 0);
    told->in_file = false;
    fuzz_add(told, UINT64_MAX);
    return 0;
}

static const struct untar_ops fuzz_ops = { fuzz_begin, fuzz_bytes, fuzz_end };

static int
fuzz_read(const uint8_t *data, size_t size, size_t step, struct fuzz_told *told)
{
    CLEANUP(untar_free) struct untar *untar = untar_new(&fuzz_ops, told);
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < size; at += step)
        rc = untar_add(untar, data + at, size - at < step ? size - at : step);
    return rc < 0 ? rc : untar_end(untar);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_told whole = { 0 }, pieces = { 0 };
    int rc = fuzz_read(data, size, size > 0 ? size : 1, &whole);

    must(fuzz_read(data, size, 61, &pieces) == rc && pieces.sum == whole.sum);
    error_clear();
    return 0;
}
