/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of copying one backup have in common: two stores that have it, one
 * that is to have it, and what may be wrong with a source.
 */
#ifndef PGCASK_TESTS_UNIT_COPY_RUN_H
#define PGCASK_TESTS_UNIT_COPY_RUN_H

#include <string.h>

#include "base/error.h"
#include "pipeline/copy.h"
#include "unit-copy.h"
#include "unit-talk.h"
#include "unit.h"

#define ID "20261122T020000Z-daily"
#define DIR "chain/backup/" ID "/"
#define MANIFEST DIR "manifest.json"

static struct fake *near, *far, *target;
static struct copy_source sources[2];
static struct copy_spec spec;
static struct copy_result result;

static inline void
copy_setup(void)
{
    near = fake_opened("near");
    far = fake_opened("far");
    target = fake_opened("target");
    copy_put(near, ID);
    copy_put(far, ID);
    sources[0] = (struct copy_source){ .storage = near->storage };
    sources[1] = (struct copy_source){ .storage = far->storage };
    spec = (struct copy_spec){
        .repository = REPOSITORY,
        .cluster = "chain",
        .id = ID,
        .target = target->storage,
        .sources = sources,
        .source_count = 2,
    };
}

static inline void
copy_teardown(void)
{
    fake_free(near);
    fake_free(far);
    fake_free(target);
}

/* What is said meanwhile, owned by the caller. */
static inline char *
copy(int code)
{
    struct talk talk = talk_begin(STDERR_FILENO);
    int rc = copy_backup(&spec, &result);
    char *said = talk_end(&talk);

    ck_assert_msg(rc == code, "%d, wanted %d: %s\n%s", rc, code, error_text(), said);
    return said;
}

static inline void
copy_quietly(void)
{
    CLEANUP_FREE char *said = copy(0);

    ck_assert_str_eq(said, "");
    ck_assert(copy_has(target, ID));
}

enum trouble { FLIPPED, HEADER_FLIPPED, CUT, GONE, SILENT, COLD };

static const struct source_row {
    enum trouble trouble;
    bool bad;          /* its copy is */
    int code;          /* when nobody else has it */
    const char *error;
} source_rows[] = {
    { FLIPPED, true, ERROR_CORRUPT, "the digest of the stored bytes is " },
    { HEADER_FLIPPED, true, ERROR_CORRUPT, "the digest of the stored bytes is " },
    { CUT, true, ERROR_CORRUPT, "has 99999 bytes, the manifest says 100000" },
    { GONE, true, PGCASK_NOT_FOUND, "is missing" },
    { SILENT, false, PGCASK_FAILED, "no answer for" },
    { COLD, false, PGCASK_COLD, "is in cold storage" },
};

static inline void
trouble(struct fake *fake, enum trouble kind)
{
    struct fake_object *object = fake_find(fake, DIR "shop.dump.zst.age");

    switch (kind) {
    case FLIPPED:
        object->data[70000] ^= 1;
        break;
    case HEADER_FLIPPED:
        object->data[7] ^= 1;
        break;
    case CUT:
        object->len--;
        break;
    case GONE:
        fake_drop(fake, object->key);
        break;
    case SILENT:
        fake->refuse = "shop.dump";
        break;
    case COLD:
        object->tier = PGCASK_TIER_COLD;
        break;
    }
}

#endif
