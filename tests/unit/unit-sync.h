/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of sync have in common: three stores in memory, the last of them
 * optional, jobs that write to them, and copies in every state. plugin_load below
 * takes the place of the one that opens shared objects.
 */
#ifndef PGCASK_TESTS_UNIT_SYNC_H
#define PGCASK_TESTS_UNIT_SYNC_H

#include <string.h>

#include "base/error.h"
#include "pipeline/sync.h"
#include "unit-copy.h"
#include "unit-dir.h"
#include "unit-talk.h"
#include "unit.h"

enum { STORES = 3 };

static const char *const names[STORES] = { "one", "two", "three" };
static struct fake *fakes[STORES];
static bool broken[STORES]; /* cannot be opened */
static struct config *config;
static struct sync_options options;
static struct sync_result result;

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
sync_setup(void)
{
    CLEANUP_FREE char *path = NULL, *text = NULL;

    dir_make();
    path = dir_path("pgcask.ini");
    text = mem_printf("[pgcask]\nencrypt = none\nstate_dir = %s/state\n"
                      "[cluster chain]\nconninfo = dbname=x\n[cluster other]\nconninfo = dbname=y\n"
                      "[store one]\nplugin = fake\nwhere = 0\n[store two]\nplugin = fake\nwhere = 1\n"
                      "[store three]\nplugin = fake\nwhere = 2\nrequired = no\n"
                      "[job daily]\ncluster = chain\ndatabases = all\nstores = three one two\n"
                      "[job weekly]\ncluster = chain\ndatabases = all\nstores = one two\n"
                      "[job lonely]\ncluster = chain\ndatabases = all\nstores = one\n"
                      "[job foreign]\ncluster = other\ndatabases = all\nstores = one two\n",
                      unit_dir);
    dir_put(path, text, 0600);
    ck_assert_msg(config_load(path, &config) == 0, "%s", error_text());
    fake_named = named;
    for (size_t i = 0; i < STORES; i++) {
        fakes[i] = fake_new();
        broken[i] = false;
        (void)fake_text(fakes[i], LABEL_REPOSITORY, "{\n  \"format\": 1,\n  \"id\": \"" REPOSITORY "\"\n}\n");
    }
    options = (struct sync_options){ 0 };
}

static inline void
sync_teardown(void)
{
    sync_result_free(&result);
    config_free(config);
    for (size_t i = 0; i < STORES; i++)
        fake_free(fakes[i]);
    dir_remove();
}

/* What is said meanwhile, owned by the caller. */
static inline char *
run(int code)
{
    struct talk talk = talk_begin(STDERR_FILENO);
    char *said;
    int rc;

    sync_result_free(&result);
    rc = sync_run(config, &config->clusters.items[0], &options, &result);
    said = talk_end(&talk);
    ck_assert_msg(rc == code, "%d, wanted %d: %s\n%s", rc, code, error_text(), said);
    return said;
}

/* The steps as words, "copy:two:done heal:one:failed"; owned by the caller. */
static inline char *
steps(void)
{
    static const char *const words[] = {
        [SYNC_PLANNED] = "planned", [SYNC_DONE] = "done", [SYNC_THERE] = "there",
        [SYNC_FAILED] = "failed",   [SYNC_COLD] = "cold", [SYNC_BUSY] = "busy",
    };
    CLEANUP_STRV struct strv list = { 0 };

    for (size_t i = 0; i < result.len; i++)
        strv_addf(&list, "%s:%s:%s", result.steps[i].heal ? "heal" : "copy", result.steps[i].store,
                  words[result.steps[i].outcome]);
    return strv_join(&list, " ");
}

static inline void
expect(const char *wanted)
{
    CLEANUP_FREE char *seen = steps();

    ck_assert_str_eq(seen, wanted);
}

/* A copy in that state: '-' none, 'u' unverified, 'g' good, 'b' known to be bad and bad, 'x' bad and nobody knows,
 * 'h' half there. */
static inline void
put(size_t store, const char *id, char state)
{
    CLEANUP_FREE char *verdict = label_verdict("chain", id, 1795312900, state != 'b');
    CLEANUP_FREE char *manifest = label_object("chain", id, LABEL_MANIFEST);

    if (state == '-')
        return;
    copy_put(fakes[store], id);
    if (state == 'b' || state == 'x')
        copy_flip(fakes[store], id, 1, 5);
    if (state == 'b' || state == 'g')
        (void)fake_text(fakes[store], verdict, "{}");
    if (state == 'h')
        fake_drop(fakes[store], manifest);
}

#endif
