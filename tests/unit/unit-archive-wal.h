/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of archiving and fetching WAL have in common: three stores in
 * memory, the last of them optional, a config that names them, and WAL files.
 * plugin_load below takes the place of the one that opens shared objects.
 */
#ifndef PGCASK_TESTS_UNIT_ARCHIVE_WAL_H
#define PGCASK_TESTS_UNIT_ARCHIVE_WAL_H

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "catalog/label.h"
#include "config/settings.h"
#include "unit-age.h"
#include "unit-dir.h"
#include "unit-fake.h"
#include "unit-segment.h"
#include "unit.h"

enum { STORES = 3, MIB = 1 << 20 };

#define REPOSITORY "00112233445566778899aabbccddeeff"

static struct fake *fakes[STORES];
static bool broken[STORES]; /* cannot be opened */
static struct config *config;
static const struct config_item *cluster;

int
plugin_load(enum plugin_kind kind, const char *name, const struct plugin **ret_plugin)
{
    (void)kind;
    (void)name;
    *ret_plugin = &fake_plugin;
    return 0;
}

static inline struct fake *
named(const char *where)
{
    size_t i = (size_t)(where[0] - '0');

    return broken[i] ? NULL : fakes[i];
}

static inline void
archive_setup(void)
{
    CLEANUP_FREE char *path = NULL, *text = NULL, *identity = NULL;

    dir_make();
    log_set_level(LOG_LEVEL_ERROR);
    path = dir_path("pgcask.ini");
    identity = dir_path("identity.txt");
    dir_put(identity, IDENTITY "\n", 0600);
    text = mem_printf("[pgcask]\nrecipient = " RECIPIENT "\nidentity_file = %s\nstate_dir = %s/state\n"
                      "[cluster main]\nconninfo = dbname=x\n"
                      "[store one]\nplugin = fake\nwhere = 0\n[store two]\nplugin = fake\nwhere = 1\n"
                      "[store three]\nplugin = fake\nwhere = 2\nrequired = no\n",
                      identity, unit_dir);
    dir_put(path, text, 0600);
    ck_assert_msg(config_load(path, &config) == 0, "%s", error_text());
    cluster = &config->clusters.items[0];
    fake_named = named;
    for (size_t i = 0; i < STORES; i++) {
        fakes[i] = fake_new();
        broken[i] = false;
        (void)fake_text(fakes[i], LABEL_REPOSITORY, "{\n  \"format\": 1,\n  \"id\": \"" REPOSITORY "\"\n}\n");
    }
}

static inline void
archive_teardown(void)
{
    config_free(config);
    for (size_t i = 0; i < STORES; i++)
        fake_free(fakes[i]);
    dir_remove();
}

/* The path of a new file that is that segment of 1 MiB, or its .partial; owned by the caller. */
static inline char *
archive_file(const char *file, uint32_t seed)
{
    CLEANUP_FREE unsigned char *data = mem_alloc(MIB);
    struct segment_page page;
    struct wal_name name;
    char *path = dir_path(file);

    ck_assert_int_eq(wal_name_parse(file, &name), 0);
    page = segment_page(name.timeline, wal_segment_number(&name, MIB), MIB);
    segment_fill(data, MIB, &page, seed);
    ck_assert_int_eq(file_write(path, data, MIB), 0);
    return path;
}

/* Objects of that file in a store. */
static inline size_t
archive_count(const struct fake *fake, const char *file)
{
    CLEANUP_FREE char *begin = mem_printf("/%s-", file);
    size_t count = 0;

    for (size_t i = 0; i < fake->len; i++)
        count += strstr(fake->objects[i].key, begin) != NULL;
    return count;
}

#endif
