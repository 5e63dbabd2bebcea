/* SPDX-License-Identifier: PostgreSQL
 *
 * Conformance: listing, and names that are easily damaged on the way.
 */
#include "config.h"

#include "plugin/conform-suite.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CLOCK_TOLERANCE_S = 24 * 60 * 60 }; /* a store's clock may be wrong, but not by a unit */

static int
list_prefixes(struct conform *conform)
{
    static const char *const names[] = { "list/a/1", "list/a/2", "list/ab", "list/b/c/d" };
    static const struct {
        const char *prefix;
        size_t wanted;
    } rows[] = {
        { "list/", 4 },
        { "list/a", 3 },       /* a directory and a name */
        { "list/a/", 2 },      /* only what is below */
        { "list/a/1", 1 },     /* a whole key */
        { "list/a/1/", 0 },    /* an object is no directory */
        { "list/b/c", 1 },     /* part of the way down */
        { "list/c", 0 },       /* nothing there */
        { "nothing/at/all/", 0 },
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *key = conform_key(conform, names[i]);

        rc = conform_put(conform, key, 13, i);
    }
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rows); i++) {
        CLEANUP_FREE char *prefix = conform_key(conform, rows[i].prefix);

        rc = conform_count(conform, prefix, rows[i].wanted);
    }
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *key = conform_key(conform, names[i]);

        rc = storage_remove(conform->storage, key);
    }
    return rc;
}

static int
list_tells_truth(struct conform *conform)
{
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    CLEANUP_FREE char *key = conform_key(conform, "truth");
    uint64_t size;
    int64_t mtime_s, now_s = clock_now_s();
    int rc = conform_put(conform, key, 14, 777);

    if (rc == 0)
        rc = storage_list(conform->storage, key, &list);
    if (rc == 0)
        rc = storage_stat(conform->storage, key, &size, &mtime_s);
    if (rc < 0)
        return rc;
    if (list.len != 1 || list.objects[0].size != 777)
        return error_set(PGCASK_FAILED, "list gives %zu objects, the first with %" PRIu64 " bytes; wanted 1 with 777",
                         list.len, list.len > 0 ? list.objects[0].size : 0);
    if (size != 777)
        return error_set(PGCASK_FAILED, "stat gives %" PRIu64 " bytes, wanted 777", size);
    if (mtime_s != 0 && (mtime_s < now_s - CLOCK_TOLERANCE_S || mtime_s > now_s + CLOCK_TOLERANCE_S))
        return error_set(PGCASK_FAILED,
                         "stat gives the time %" PRId64 ", wanted seconds since 1970 UTC (about %" PRId64 ")", mtime_s,
                         now_s);
    return storage_remove(conform->storage, key);
}

static int
list_put_some(struct conform *conform, unsigned index, void *prefix)
{
    int rc = 0;

    for (unsigned i = index; rc == 0 && i < conform->spec->keys; i += CONFORM_THREADS) {
        CLEANUP_FREE char *key = mem_printf("%s%u/%08u", (const char *)prefix, i % 7, i);

        rc = cancel_check();
        if (rc == 0)
            rc = conform_put(conform, key, i, i % 3);
    }
    return rc;
}

/* Several thousand objects make every paged interface turn a page; servers far away would take minutes for them one by
 * one. */
static int
list_many(struct conform *conform)
{
    CLEANUP_FREE char *prefix = conform_key(conform, "many/");
    int rc = conform_threads(conform, list_put_some, prefix);

    if (rc == 0)
        rc = conform_count(conform, prefix, conform->spec->keys);
    if (rc == 0)
        rc = conform_remove_all(conform, prefix);
    return rc < 0 ? rc : conform_count(conform, prefix, 0);
}

static int
conform_name(struct conform *conform, const char *name)
{
    CLEANUP_FREE char *key = conform_key(conform, name);
    int rc = conform_put(conform, key, 15, 33);

    if (rc == 0)
        rc = conform_holds(conform, conform->storage, key, 15, 33);
    if (rc == 0)
        rc = conform_count(conform, key, 1);
    if (rc == 0)
        rc = storage_remove(conform->storage, key);
    if (rc == 0)
        rc = conform_count(conform, key, 0);
    return rc < 0 ? error_context(rc, "name '%s'", name) : 0;
}

static int
list_odd_names(struct conform *conform)
{
    static const char *const names[] = {
        "a blank", " first", "last ", "two  blanks", "100%", "%41", "a%2Fb", "a+b", "a&b=c", "a?b#c",
        "semi;colon,comma", "'single'", "\"double\"", "back\\slash", "back`tick", "$(dollar)", "st*r", "[x]", "{y}",
        "~tilde", "-dash", "=",
        "<xml>&amp;", "a:b@c", "...", ".hidden", "UPPER", "upper", "\xc3\xbcml\xc3\xa4ut", "\xe6\x97\xa5\xe6\x9c\xac",
        "\xf0\x9f\x90\x98", "e\xcc\x81 decomposed", "\xc3\xa9 composed", "dir with blank/and %/+",
    };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(names); i++)
        rc = conform_name(conform, names[i]);
    return rc;
}

/* Names that differ only in case or in Unicode's way of writing must stay apart. */
static int
list_similar_names(struct conform *conform)
{
    static const char *const names[] = { "similar/a", "similar/A", "similar/\xc3\xa9", "similar/e\xcc\x81",
                                         "similar/a b", "similar/a+b", "similar/a%20b" };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *key = conform_key(conform, names[i]);

        rc = conform_put(conform, key, (unsigned)i, 50);
    }
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *key = conform_key(conform, names[i]);

        rc = conform_holds(conform, conform->storage, key, (unsigned)i, 50);
        if (rc == 0)
            rc = storage_remove(conform->storage, key);
    }
    return rc;
}

static int
list_long_names(struct conform *conform)
{
    char component[251], whole[1001];
    size_t len = 1000 - strlen(conform->root);
    int rc;

    memset(component, 'c', 250);
    component[250] = '\0';
    memset(whole, 'w', len);
    for (size_t i = 200; i < len; i += 200)
        whole[i] = '/';
    whole[len - 1] = 'w'; /* a key does not end with '/' */
    whole[len] = '\0';
    rc = conform_name(conform, component);
    return rc < 0 ? rc : conform_name(conform, whole);
}

const struct conform_case conform_list_cases[] = {
    { "list finds what begins with the prefix, and no more", list_prefixes },
    { "list and stat give size and time", list_tells_truth },
    { "a long list has every object once", list_many },
    { "odd names come back as they were", list_odd_names },
    { "similar names stay apart", list_similar_names },
    { "names of 250 bytes and keys of 1000", list_long_names },
    { NULL, NULL },
};
