/* SPDX-License-Identifier: PostgreSQL
 *
 * Conformance: writing. Sizes around the preferred part, order and repetition of
 * parts, what is visible when, and that nothing is ever replaced.
 */
#include "config.h"

#include "plugin/conform-suite.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>

static int
conform_size(struct conform *conform, const char *name, size_t size)
{
    CLEANUP_FREE char *key = conform_key(conform, name);
    int rc = conform_put(conform, key, 1, size);

    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 1, size);
    if (rc == 0)
        rc = conform_count(conform, key, 1);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static int
write_empty(struct conform *conform)
{
    return conform_size(conform, "empty", 0);
}

static int
write_one_byte(struct conform *conform)
{
    return conform_size(conform, "one", 1);
}

static int
write_preferred_less(struct conform *conform)
{
    return conform_size(conform, "less", (size_t)conform->limits.part_preferred - 1);
}

static int
write_preferred(struct conform *conform)
{
    return conform_size(conform, "preferred", (size_t)conform->limits.part_preferred);
}

static int
write_preferred_more(struct conform *conform)
{
    return conform_size(conform, "more", (size_t)conform->limits.part_preferred + 1);
}

static int
write_three_parts(struct conform *conform)
{
    return conform_size(conform, "three", (size_t)conform->limits.part_preferred * 2 + 12345);
}

/* Begin an object and send parts of one size in the order of `numbers` (0 ends it); the last part has 100 bytes. */
static int
conform_begin_parts(struct conform *conform, const char *key, const uint32_t *numbers, uint32_t last,
                    struct storage_put **ret_put, size_t *ret_size)
{
    size_t part = conform_small_part(conform);
    size_t size = part * (last - 1) + 100;
    CLEANUP_FREE unsigned char *data = conform_data(2, size);
    struct storage_put *put;
    int rc = storage_put_begin(conform->storage, key, size, conform->hot, &put);

    if (rc < 0)
        return rc;
    for (; rc == 0 && *numbers != 0; numbers++)
        rc = storage_put_part(put, *numbers, part * (*numbers - 1), data + part * (*numbers - 1),
                              *numbers == last ? 100 : part);
    if (rc < 0) {
        storage_put_abort(put);
        return rc;
    }
    *ret_put = put;
    *ret_size = size;
    return 0;
}

static int
conform_parts(struct conform *conform, const char *name, const uint32_t *numbers)
{
    CLEANUP_FREE char *key = conform_key(conform, name);
    struct storage_put *put;
    size_t size;
    int rc = conform_begin_parts(conform, key, numbers, 3, &put, &size);

    if (rc == 0)
        rc = storage_put_commit(put, size);
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 2, size);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static int
write_reversed(struct conform *conform)
{
    static const uint32_t numbers[] = { 3, 2, 1, 0 };

    return conform_parts(conform, "reversed", numbers);
}

static int
write_repeated(struct conform *conform)
{
    static const uint32_t numbers[] = { 1, 2, 1, 3, 3, 2, 0 };

    return conform_parts(conform, "repeated", numbers);
}

/* The key is not to be seen in any way. */
static int
conform_absent(struct conform *conform, const char *key)
{
    char byte;
    int rc =
        conform_expect(storage_stat(conform->storage, key, NULL, NULL), PGCASK_NOT_FOUND, "stat of what is not there");

    if (rc == 0)
        rc = conform_expect(storage_get(conform->storage, key, 0, &byte, 1), PGCASK_NOT_FOUND,
                            "get of what is not there");
    return rc < 0 ? rc : conform_count(conform, key, 0);
}

static int
write_invisible(struct conform *conform)
{
    static const uint32_t numbers[] = { 1, 2, 3, 0 };
    CLEANUP_FREE char *key = conform_key(conform, "invisible/object");
    struct storage_put *put;
    size_t size;
    int rc = conform_begin_parts(conform, key, numbers, 3, &put, &size);

    if (rc < 0)
        return rc;
    rc = conform_absent(conform, key);
    if (rc == 0)
        rc = conform_count(conform, conform->root, 0);
    if (rc < 0) {
        storage_put_abort(put);
        return rc;
    }
    rc = storage_put_commit(put, size);
    if (rc == 0)
        rc = conform_count(conform, key, 1);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static int
write_aborted(struct conform *conform)
{
    static const uint32_t numbers[] = { 1, 2, 3, 0 }, none[] = { 0 };
    CLEANUP_FREE char *key = conform_key(conform, "aborted/object");
    struct storage_put *put;
    size_t size;
    int rc = conform_begin_parts(conform, key, numbers, 3, &put, &size);

    if (rc < 0)
        return rc;
    storage_put_abort(put);
    rc = conform_begin_parts(conform, key, none, 3, &put, &size);
    if (rc < 0)
        return rc;
    storage_put_abort(put);
    rc = conform_absent(conform, key);
    if (rc == 0)
        rc = conform_count(conform, conform->root, 0);
    if (rc == 0)
        rc = conform_put(conform, key, 3, 10);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static int
write_existing(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "existing");
    int rc = conform_put(conform, key, 4, 1000);

    if (rc == 0)
        rc = conform_expect(conform_put(conform, key, 5, 2000), PGCASK_EXISTS, "writing a key that is taken");
    if (rc == 0)
        rc = conform_expect(conform_put(conform, key, 5, 0), PGCASK_EXISTS, "writing nothing to a key that is taken");
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 4, 1000);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

/* Both are begun before either is committed, so only the commit can tell. */
static int
write_two_at_once(struct conform *conform)
{
    static const uint32_t numbers[] = { 1, 2, 3, 0 }, none[] = { 0 };
    CLEANUP_FREE char *key = conform_key(conform, "race");
    struct storage_put *first, *second;
    size_t size, ignored;
    int rc = conform_begin_parts(conform, key, numbers, 3, &first, &size);

    if (rc < 0)
        return rc;
    rc = conform_begin_parts(conform, key, none, 3, &second, &ignored);
    if (rc < 0) {
        storage_put_abort(first);
        return rc;
    }
    rc = storage_put_commit(first, size);
    if (rc < 0) {
        storage_put_abort(second);
        return rc;
    }
    rc = conform_expect(storage_put_commit(second, 0), PGCASK_EXISTS, "the second of two uploads of one key");
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 2, size);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

const struct conform_case conform_write_cases[] = {
    { "an object of 0 bytes", write_empty },
    { "an object of 1 byte", write_one_byte },
    { "an object one byte shorter than the preferred part", write_preferred_less },
    { "an object of the preferred part", write_preferred },
    { "an object one byte longer than the preferred part", write_preferred_more },
    { "an object of three parts", write_three_parts },
    { "parts in reverse order", write_reversed },
    { "parts sent again", write_repeated },
    { "nothing is visible before put_commit", write_invisible },
    { "put_abort leaves nothing, and the key can be written", write_aborted },
    { "an existing object is refused and unchanged", write_existing },
    { "of two uploads of one key the second is refused", write_two_at_once },
    { NULL, NULL },
};
