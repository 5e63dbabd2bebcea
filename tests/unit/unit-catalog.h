/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of the catalog have in common: two stores in memory, and backups in
 * them.
 */
#ifndef PGCASK_TESTS_UNIT_CATALOG_H
#define PGCASK_TESTS_UNIT_CATALOG_H

#include <string.h>

#include "base/error.h"
#include "catalog/catalog.h"
#include "catalog/label.h"
#include "unit-dir.h"
#include "unit-fake.h"
#include "unit-manifest.h"
#include "unit.h"

static struct fake *one, *two;
static struct storage *stores[2];

static inline void
catalog_setup(void)
{
    dir_make();
    one = fake_opened("one");
    two = fake_opened("two");
    stores[0] = one->storage;
    stores[1] = two->storage;
    ck_assert_int_eq(catalog_repository_make(stores[0], REPOSITORY), 0);
    ck_assert_int_eq(catalog_repository_make(stores[1], REPOSITORY), 0);
}

static inline void
catalog_teardown(void)
{
    fake_free(one);
    fake_free(two);
    dir_remove();
}

static inline void
put_object(struct fake *fake, const char *id, const char *object, const char *text)
{
    CLEANUP_FREE char *key = label_object("chain", id, object);

    (void)fake_text(fake, key, text);
}

/* A whole backup; its content and selection as given. */
static inline void
put_backup(struct fake *fake, const char *id, const char *content, bool selection)
{
    CLEANUP(manifest_free) struct manifest *manifest = made_empty("chain", id);
    CLEANUP_FREE char *text = NULL;

    free(manifest->content);
    manifest->content = mem_strdup(content);
    manifest->selection = selection;
    text = manifest_encode(manifest);
    put_object(fake, id, "globals.sql.zst.age", "bytes");
    put_object(fake, id, LABEL_MANIFEST, text);
}

static inline void
put_verdict(struct fake *fake, const char *id, int64_t when_s, bool good)
{
    CLEANUP_FREE char *key = label_verdict("chain", id, when_s, good);

    (void)fake_text(fake, key, "{}");
}

static inline struct catalog *
load(const char *cache_dir)
{
    struct catalog *catalog = NULL;

    ck_assert_msg(catalog_load(stores, 2, "chain", cache_dir, &catalog) == 0, "%s", error_text());
    return catalog;
}

#endif
