/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of copying have in common: backups with real bytes and digests in
 * stores in memory.
 */
#ifndef PGCASK_TESTS_UNIT_COPY_H
#define PGCASK_TESTS_UNIT_COPY_H

#include <string.h>

#include "base/digest.h"
#include "catalog/catalog.h"
#include "catalog/label.h"
#include "unit-fake.h"
#include "unit-manifest.h"
#include "unit.h"

enum { COPY_MEMBERS = 3, COPY_HEADER_BYTES = 200 };

static const struct {
    const char *name, *role;
    size_t size;
} copy_members_of[COPY_MEMBERS] = {
    { "globals.sql", ROLE_GLOBALS, 700 },
    { "shop.dump", ROLE_MAIN, 100000 },
    { "postgresql.conf", ROLE_SETTINGS, 5000 },
};

/* Bytes of the i-th member of that backup: no two are alike. */
static inline unsigned char *
copy_bytes(const char *id, size_t i)
{
    unsigned char *data = mem_alloc(copy_members_of[i].size);
    unsigned seed = (unsigned)i;

    for (const char *p = id; *p != '\0'; p++)
        seed = seed * 31 + (unsigned char)*p;
    for (size_t j = 0; j < copy_members_of[i].size; j++)
        data[j] = (unsigned char)((j + seed) * 2654435761U >> 13);
    return data;
}

/* Its key; owned by the caller. */
static inline char *
copy_key(const char *id, size_t i)
{
    CLEANUP_FREE char *object = mem_printf("%s.zst.age", copy_members_of[i].name);

    return label_object("chain", id, object);
}

static inline struct manifest *
copy_manifest(const char *id)
{
    struct manifest *manifest = made_empty("chain", id);

    for (size_t i = 0; i < COPY_MEMBERS; i++) {
        CLEANUP_FREE unsigned char *data = copy_bytes(id, i);
        struct manifest_member *member = made_member(manifest, copy_members_of[i].name, copy_members_of[i].role, NULL);

        member->stored_size = copy_members_of[i].size;
        free(member->stored_digest);
        free(member->header_digest);
        member->stored_digest = digest_of(DIGEST_XXH3, data, member->stored_size);
        member->header_digest = digest_of(DIGEST_SHA256, data, COPY_HEADER_BYTES);
        if (strcmp(member->role, ROLE_MAIN) == 0)
            member->database = mem_strdup("shop");
    }
    return manifest;
}

/* The whole backup into a store. */
static inline void
copy_put(struct fake *fake, const char *id)
{
    CLEANUP(manifest_free) struct manifest *manifest = copy_manifest(id);
    CLEANUP_FREE char *text = manifest_encode(manifest), *key = label_object("chain", id, LABEL_MANIFEST);

    for (size_t i = 0; i < COPY_MEMBERS; i++) {
        CLEANUP_FREE unsigned char *data = copy_bytes(id, i);
        CLEANUP_FREE char *member = copy_key(id, i);

        (void)fake_put(fake, member, data, copy_members_of[i].size);
    }
    (void)fake_text(fake, key, text);
}

/* Does the store have that member as it must be? */
static inline bool
copy_has_member(const struct fake *fake, const char *id, size_t i)
{
    CLEANUP_FREE unsigned char *data = copy_bytes(id, i);
    CLEANUP_FREE char *key = copy_key(id, i);
    const struct fake_object *object = fake_find(fake, key);

    return object != NULL && object->len == copy_members_of[i].size && memcmp(object->data, data, object->len) == 0;
}

/* Manifest and members. */
static inline bool
copy_has(const struct fake *fake, const char *id)
{
    CLEANUP(manifest_free) struct manifest *manifest = copy_manifest(id);
    CLEANUP_FREE char *text = manifest_encode(manifest), *key = label_object("chain", id, LABEL_MANIFEST);
    const struct fake_object *object = fake_find(fake, key);
    bool has = object != NULL && strcmp(object->data, text) == 0;

    for (size_t i = 0; i < COPY_MEMBERS; i++)
        has &= copy_has_member(fake, id, i);
    return has;
}

/* Objects with that text in their keys. */
static inline size_t
copy_count(const struct fake *fake, const char *part)
{
    size_t count = 0;

    for (size_t i = 0; i < fake->len; i++)
        count += strstr(fake->objects[i].key, part) != NULL;
    return count;
}

/* One bit of a byte of that member is another one. */
static inline void
copy_flip(struct fake *fake, const char *id, size_t i, size_t offset)
{
    CLEANUP_FREE char *key = copy_key(id, i);

    fake_find(fake, key)->data[offset] ^= 1;
}

#endif
