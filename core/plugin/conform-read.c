/* SPDX-License-Identifier: PostgreSQL
 *
 * Conformance: reading, and removing. Every kind of range, and nothing but the
 * truth about what is not there.
 */
#include "config.h"

#include "plugin/conform-suite.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

static int
conform_range(struct conform *conform, const char *key, const unsigned char *wanted, uint64_t offset, size_t size)
{
    CLEANUP_FREE unsigned char *got = mem_alloc(size + 1);
    int rc;

    memset(got, 0, size + 1);
    got[size] = 0xa5;
    rc = storage_get(conform->storage, key, offset, got, size);
    if (rc < 0)
        return rc;
    if (got[size] != 0xa5)
        return error_set(PGCASK_FAILED, "get wrote more than the %zu bytes asked for", size);
    if (memcmp(got, wanted + offset, size) != 0)
        return error_set(PGCASK_FAILED, "%zu bytes from %" PRIu64 " are not those that were written", size, offset);
    return 0;
}

static int
read_ranges(struct conform *conform)
{
    size_t part = (size_t)conform->limits.part_preferred;
    size_t size = part + 4000;
    CLEANUP_FREE char *key = conform_key(conform, "ranges");
    CLEANUP_FREE unsigned char *data = conform_data(6, size);
    const struct {
        uint64_t offset;
        size_t size;
    } ranges[] = {
        { 0, size },         /* all of it */
        { 0, 1 },            /* the first byte */
        { size - 1, 1 },     /* the last byte */
        { 1, size - 1 },     /* all but the first */
        { 0, size - 1 },     /* all but the last */
        { size / 3, 1000 },  /* from the middle */
        { part, 1 },         /* the first of a part */
        { part, 4000 },      /* the second part */
    };
    int rc = conform_put(conform, key, 6, size);

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(ranges); i++)
        rc = conform_range(conform, key, data, ranges[i].offset, ranges[i].size);
    if (rc == 0 && part > 10)
        rc = conform_range(conform, key, data, part - 10, 20); /* across the border of two parts */
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static int
read_past_end(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "end"), *empty = conform_key(conform, "empty-end");
    static const struct {
        uint64_t offset;
        size_t size;
        const char *doing;
    } ranges[] = {
        { 1000, 1, "get of 1 byte right behind the end" },
        { 999, 2, "get of the last byte and one more" },
        { 0, 1001, "get of everything and one byte more" },
        { 5000, 10, "get of bytes far behind the end" },
    };
    char got[1001];
    int rc = conform_put(conform, key, 7, 1000);

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(ranges); i++)
        rc = conform_expect(storage_get(conform->storage, key, ranges[i].offset, got, ranges[i].size), PGCASK_FAILED,
                            ranges[i].doing);
    if (rc == 0)
        rc = conform_put(conform, empty, 7, 0);
    if (rc == 0)
        rc = conform_expect(storage_get(conform->storage, empty, 0, got, 1), PGCASK_FAILED,
                            "get of 1 byte of an empty object");
    if (rc == 0)
        rc = storage_remove(conform->storage, empty);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

/* With neighbours on both sides, so that a prefix is not taken for the object. */
static int
read_missing(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "missing/a"), *longer = conform_key(conform, "missing/a1");
    CLEANUP_FREE char *below = conform_key(conform, "missing/b/c"), *directory = conform_key(conform, "missing/b");
    const char *const absent[] = { key, directory };
    char byte;
    int rc = conform_put(conform, longer, 8, 1);

    if (rc == 0)
        rc = conform_put(conform, below, 8, 1);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(absent); i++) {
        rc = conform_expect(storage_stat(conform->storage, absent[i], NULL, NULL), PGCASK_NOT_FOUND,
                            "stat of a missing object");
        if (rc == 0)
            rc = conform_expect(storage_get(conform->storage, absent[i], 0, &byte, 1), PGCASK_NOT_FOUND,
                                "get of a missing object");
    }
    if (rc == 0)
        rc = storage_remove(conform->storage, below);
    return rc < 0 ? rc : storage_remove(conform->storage, longer);
}

static int
read_remove(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "removed"), *never = conform_key(conform, "never/was/here");
    int rc = conform_put(conform, key, 9, 10);

    if (rc == 0)
        rc = storage_remove(conform->storage, key);
    if (rc == 0)
        rc = conform_expect(storage_stat(conform->storage, key, NULL, NULL), PGCASK_NOT_FOUND, "stat after remove");
    if (rc == 0)
        rc = conform_count(conform, key, 0);
    if (rc == 0)
        rc = storage_remove(conform->storage, key);
    if (rc == 0)
        rc = storage_remove(conform->storage, never);
    if (rc == 0)
        rc = conform_put(conform, key, 10, 20);
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 10, 20);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

/* Taking one object away must not touch what its key is the beginning of. */
static int
read_remove_only(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "only/a"), *longer = conform_key(conform, "only/a1");
    CLEANUP_FREE char *directory = conform_key(conform, "only");
    int rc = conform_put(conform, key, 11, 10);

    if (rc == 0)
        rc = conform_put(conform, longer, 12, 10);
    if (rc == 0)
        rc = storage_remove(conform->storage, key);
    if (rc == 0)
        rc = storage_remove(conform->storage, directory);
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, longer, 12, 10);
    return rc < 0 ? rc : storage_remove(conform->storage, longer);
}

const struct conform_case conform_read_cases[] = {
    { "every kind of range is read exactly", read_ranges },
    { "reading past the end fails", read_past_end },
    { "stat and get say when an object is missing", read_missing },
    { "remove, remove again, and write again", read_remove },
    { "remove takes away nothing else", read_remove_only },
    { NULL, NULL },
};
