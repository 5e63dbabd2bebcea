/* SPDX-License-Identifier: PostgreSQL
 *
 * Conformance: what a plugin may have besides what it must, and what may be true
 * of its objects. A case for something that is not there is skipped with a reason.
 */
#include "config.h"

#include "plugin/conform-suite.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

enum { COLD_POLL_MS = 200 };

#define HAS(conform, callback) ((conform)->spec->plugin->storage.callback != NULL)

static int
conform_lacks(const char *callback)
{
    return error_set(CONFORM_SKIPPED, "the plugin has no %s", callback);
}

/* ---- whole objects ---- */

static int
optional_whole_sizes(struct conform *conform)
{
    const size_t sizes[] = { 0, 1, 4096, (size_t)conform->limits.part_preferred };
    CLEANUP_FREE char *key = conform_key(conform, "whole/a b+c");
    int rc = 0;

    if (!HAS(conform, put_object))
        return conform_lacks("put_object");
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(sizes); i++) {
        rc = conform_put(conform, key, 30, sizes[i]);
        if (rc == 0)
            rc = conform_holds(conform, conform->storage, key, 30, sizes[i]);
        if (rc == 0)
            rc = conform_count(conform, key, 1);
        if (rc == 0)
            rc = storage_remove(conform->storage, key);
    }
    return rc;
}

/* Another object of that size, too: who only compares sizes takes it for his own. */
static int
optional_whole_existing(struct conform *conform)
{
    static const size_t sizes[] = { 700, 0, 1400 };
    CLEANUP_FREE char *key = conform_key(conform, "whole/taken");
    int rc;

    if (!HAS(conform, put_object))
        return conform_lacks("put_object");
    rc = conform_put(conform, key, 31, 700);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(sizes); i++)
        rc =
            conform_expect(conform_put(conform, key, 32, sizes[i]), PGCASK_EXISTS, "put_object to a key that is taken");
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 31, 700);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

/* ---- removing many ---- */

static const char *const batch_names[] = {
    "batch/a", "batch/a b", "batch/a+b", "batch/a%20b", "batch/&amp;", "batch/<x>", "batch/\"q\"'q'", "batch/\xc3\xa9",
    "batch/e\xcc\x81", "batch/deep/er", "batch/100%", "batch/ last ", "batch/]]>", "batch/a\\b",
};

/* As many keys as one call may have: those above, and others that were never there, some of them as long as can be. */
static void
batch_fill(const struct conform *conform, struct strv *keys)
{
    char component[251];

    memset(component, '&', 250);
    component[250] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(batch_names); i++) {
        CLEANUP_FREE char *key = conform_key(conform, batch_names[i]);

        strv_add(keys, key);
    }
    while (keys->len < 1000) {
        CLEANUP_FREE char *name = keys->len % 4 == 0
                                      ? mem_printf("batch/never/%zu/%s/%s", keys->len, component, component)
                                      : mem_printf("batch/never/%zu", keys->len);
        CLEANUP_FREE char *key = conform_key(conform, name);

        strv_add(keys, key);
    }
}

static int
optional_remove_many(struct conform *conform)
{
    CLEANUP_FREE char *prefix = conform_key(conform, "batch"), *neighbour = conform_key(conform, "batch/aa");
    CLEANUP_STRV struct strv keys = { 0 };
    int rc = 0;

    if (!HAS(conform, remove_many))
        return conform_lacks("remove_many");
    batch_fill(conform, &keys);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(batch_names); i++)
        rc = conform_put(conform, keys.items[i], (unsigned)i, 40);
    if (rc == 0)
        rc = conform_put(conform, neighbour, 33, 40);
    if (rc == 0)
        rc = storage_remove_many(conform->storage, &keys);
    if (rc == 0)
        rc = conform_count(conform, prefix, 1);
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, neighbour, 33, 40);
    if (rc == 0)
        rc = storage_remove_many(conform->storage, &keys); /* all of them missing */
    return rc < 0 ? rc : storage_remove(conform->storage, neighbour);
}

/* ---- hot and cold ---- */

static const char *
optional_tier_word(int tier)
{
    static const char *const words[] = { "hot", "cold", "thawing", "thawed" };

    return words[tier];
}

static int
optional_hot(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "hot");
    CLEANUP_FREE unsigned char *data = conform_data(34, 60);
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    struct storage_object object;
    int rc = storage_put_object(conform->storage, key, data, 60, true);

    if (rc == 0)
        rc = storage_stat_object(conform->storage, key, &object);
    if (rc == 0)
        rc = storage_list(conform->storage, key, &list);
    if (rc == 0 && object.tier != PGCASK_TIER_HOT)
        rc = error_set(PGCASK_FAILED, "stat says that it is %s", optional_tier_word(object.tier));
    if (rc == 0 && (list.len != 1 || list.objects[0].tier != PGCASK_TIER_HOT))
        rc = error_set(PGCASK_FAILED, "list says that it is %s",
                       list.len == 1 ? optional_tier_word(list.objects[0].tier) : "not there");
    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 34, 60);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

static int
optional_thaw(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "thaw/hot"), *missing = conform_key(conform, "thaw/missing");
    CLEANUP_FREE unsigned char *data = conform_data(35, 60);
    int rc;

    if (!HAS(conform, thaw))
        return error_set(CONFORM_SKIPPED, "the store never has cold objects");
    rc = conform_expect(storage_thaw(conform->storage, missing, 1, "standard"), PGCASK_NOT_FOUND,
                        "thaw of a missing object");
    if (rc == 0)
        rc = storage_put_object(conform->storage, key, data, 60, true);
    if (rc == 0)
        rc = storage_thaw(conform->storage, key, 1, "standard");
    if (rc < 0)
        return error_context(rc, "thaw of an object that can be read");
    return storage_remove(conform->storage, key);
}

/* Wait until stat says that tier, as long as --cold allows. */
static int
optional_await(struct conform *conform, const char *key, int tier)
{
    int64_t waited_ms = 0;
    struct storage_object object;
    int rc;

    for (;;) {
        rc = storage_stat_object(conform->storage, key, &object);
        if (rc < 0 || object.tier == tier)
            return rc;
        if (waited_ms >= conform->spec->cold_ms)
            return error_set(PGCASK_FAILED, "after %" PRId64 " s it is still %s, not %s", waited_ms / 1000,
                             optional_tier_word(object.tier), optional_tier_word(tier));
        rc = cancel_sleep_ms(COLD_POLL_MS);
        if (rc < 0)
            return rc;
        waited_ms += COLD_POLL_MS;
    }
}

static void
optional_rules_say(void *ctx, int outcome, const char *text, const char *cure)
{
    (void)cure;
    if (outcome == PGCASK_CHECK_FIXED)
        conform_note(ctx, "%s", text);
}

/* Where nobody waits, only what turns cold as soon as it is written can be tried. */
static int
optional_freeze(struct conform *conform, const char *key, size_t size)
{
    const struct storage_check rules = { .fix = true, .say = optional_rules_say, .ctx = conform };
    CLEANUP_FREE unsigned char *data = conform_data(36, size);
    struct storage_object object;
    int rc = 0;

    if (conform->spec->cold_ms > 0)
        rc = storage_check(conform->storage, &rules);
    if (rc == 0)
        rc = storage_put_object(conform->storage, key, data, size, false);
    if (rc == 0 && conform->spec->cold_ms > 0)
        return optional_await(conform, key, PGCASK_TIER_COLD);
    if (rc == 0)
        rc = storage_stat_object(conform->storage, key, &object);
    if (rc < 0 || object.tier == PGCASK_TIER_COLD)
        return rc;
    rc = storage_remove(conform->storage, key);
    return rc < 0 ? rc : error_set(CONFORM_SKIPPED, "an object just written is not cold here; --cold DURATION waits for it");
}

static int
optional_cold(struct conform *conform)
{
    enum { SIZE = 70000 };
    CLEANUP_FREE char *key = conform_key(conform, "cold");
    struct storage_object object;
    unsigned char byte;
    int rc;

    if (!HAS(conform, thaw))
        return error_set(CONFORM_SKIPPED, "the store never has cold objects");
    rc = optional_freeze(conform, key, SIZE);
    if (rc != 0)
        return rc;
    rc = storage_stat_object(conform->storage, key, &object);
    if (rc == 0 && object.size != SIZE && object.size != 0) /* 0: not told while it is cold */
        rc = error_set(PGCASK_FAILED, "stat of a cold object says %" PRIu64 " bytes, wanted %d", object.size, SIZE);
    if (rc < 0)
        return rc;
    rc = conform_expect(storage_get(conform->storage, key, 0, &byte, 1), PGCASK_COLD, "get of a cold object");
    if (rc == 0)
        rc = conform_expect(storage_thaw(conform->storage, key, 1, "standard"), PGCASK_COLD, "thaw of a cold object");
    if (rc == 0)
        rc = storage_stat_object(conform->storage, key, &object);
    if (rc == 0 && object.tier == PGCASK_TIER_COLD)
        rc = error_set(PGCASK_FAILED, "stat says that it is cold, but it was asked for");
    if (rc == 0)
        rc = conform_expect(storage_thaw(conform->storage, key, 1, "standard"), PGCASK_COLD,
                            "thaw of one that is on its way");
    if (rc == 0 && conform->spec->cold_ms > 0)
        rc = optional_await(conform, key, PGCASK_TIER_THAWED);
    if (rc == 0 && conform->spec->cold_ms > 0)
        rc = conform_holds(conform, conform->storage, key, 36, SIZE);
    return rc < 0 ? rc : storage_remove(conform->storage, key);
}

/* ---- the store's own check ---- */

struct findings {
    const struct conform *conform;
    unsigned count;
};

static void
optional_hear(void *ctx, int outcome, const char *text, const char *cure)
{
    static const char *const words[] = { "ok", "fixed", "warn", "bad" };
    struct findings *findings = ctx;

    findings->count++;
    conform_note(findings->conform, "check: %s: %s%s%s", words[outcome], text, cure != NULL ? "; cure: " : "",
                 cure != NULL ? cure : "");
}

/* What it finds is the store's business; that it says something, and in the words of pgcask-plugin.h, is ours. */
static int
optional_check(struct conform *conform)
{
    struct findings findings = { .conform = conform };
    struct storage_check check = { .keep_s = 30 * 24 * 60 * 60, .say = optional_hear, .ctx = &findings };
    int rc;

    if (!HAS(conform, check))
        return conform_lacks("check");
    rc = storage_check(conform->storage, &check);
    if (rc == 0 && findings.count == 0)
        rc = error_set(PGCASK_FAILED, "check says nothing at all, wanted one finding at least");
    return rc < 0 ? rc : conform_count(conform, conform->root, 0);
}

const struct conform_case conform_optional_cases[] = {
    { "put_object writes whole objects", optional_whole_sizes },
    { "put_object refuses a key that is taken", optional_whole_existing },
    { "remove_many removes what it is told, and no more", optional_remove_many },
    { "an object that must be readable at once is hot", optional_hot },
    { "thaw of an object that can be read, and of a missing one", optional_thaw },
    { "a cold object is refused and can be asked for", optional_cold },
    { "check tells what it finds", optional_check },
    { NULL, NULL },
};
