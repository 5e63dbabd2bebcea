/* SPDX-License-Identifier: PostgreSQL
 *
 * Copying seen from the plugin of the target: in parts, several at once, from a fixed
 * number of buffers, and no commit of what is not as the manifest says.
 */
#include "config.h"

#include "pipeline/copy.h"

#include "base/error.h"
#include "unit-copy.h"
#include "unit-store.h"
#include "unit-talk.h"
#include "unit.h"

#define ID "20261122T020000Z-daily"

enum {
    PARALLEL = 3,
    OBJECTS = COPY_MEMBERS + 3, /* lease, manifest, verdict */
    SMALL_BUFFERS = 6,          /* of 1000 bytes each, in the memory of these three */
};

static struct fake *source;
static struct store target;
static struct copy_source sources[1];
static struct copy_spec spec;
static struct copy_result result;

static void
setup(void)
{
    source = fake_opened("source");
    copy_put(source, ID);
    memset(&target, 0, sizeof target);
    target.thread_model = PGCASK_THREADS_PARALLEL;
    target.parallel = PARALLEL;
    store_open(&target, "target");
    sources[0] = (struct copy_source){ .storage = source->storage };
    spec = (struct copy_spec){
        .repository = REPOSITORY,
        .cluster = "chain",
        .id = ID,
        .target = target.storage,
        .sources = sources,
        .source_count = 1,
    };
}

static void
teardown(void)
{
    fake_free(source);
    store_close(&target);
}

START_TEST(memory_does_not_grow_with_what_is_copied)
{
    ck_assert_msg(copy_backup(&spec, &result) == 0, "%s", error_text());
    ck_assert_uint_eq(target.calls[STORE_COMMIT], OBJECTS);
    ck_assert_uint_eq(target.calls[STORE_ABORT], 0);
    ck_assert_uint_eq(target.uploads, 0);
    ck_assert_uint_gt(target.calls[STORE_PART], 100); /* parts of 1000 bytes */
    ck_assert_uint_le(target.buffer_count, 2 * PARALLEL + 1 + SMALL_BUFFERS);
    ck_assert_uint_eq(store_count(&target), OBJECTS - 1); /* the lease went */
}
END_TEST

/* In the first piece or in the last, the target aborts what it was given. */
START_TEST(what_is_not_as_the_manifest_says_is_never_committed)
{
    struct talk talk;
    int rc;

    copy_flip(source, ID, 1, _i == 0 ? 0 : copy_members_of[1].size - 1);
    talk = talk_begin(STDERR_FILENO);
    rc = copy_backup(&spec, &result);
    free(talk_end(&talk));
    ck_assert_int_eq(rc, ERROR_CORRUPT);
    ck_assert_uint_ge(target.calls[STORE_ABORT], 1);
    ck_assert_uint_eq(target.uploads, 0);
    ck_assert_ptr_null(store_find(&target, "chain/backup/" ID "/shop.dump.zst.age"));
    ck_assert_ptr_null(store_find(&target, "chain/backup/" ID "/manifest.json"));
}
END_TEST

static const struct fault_row {
    enum store_call call;
    unsigned at;
} fault_rows[] = {
    { STORE_BEGIN, 2 },  /* the first one is the lease */
    { STORE_BEGIN, 4 },
    { STORE_PART, 3 },
    { STORE_PART, 60 },
    { STORE_COMMIT, 2 },
    { STORE_COMMIT, 4 },
    { STORE_COMMIT, 5 }, /* the manifest */
};

START_TEST(a_target_that_fails_ends_it_without_a_manifest)
{
    target.fails = fault_rows[_i].call;
    target.fails_at = fault_rows[_i].at;
    target.code = PGCASK_FAILED;
    target.reason = "disk full";
    ck_assert_int_eq(copy_backup(&spec, &result), PGCASK_FAILED);
    ck_assert_error_has("store 'target': disk full");
    ck_assert(result.target_failed);
    ck_assert(!sources[0].bad && !sources[0].failed);
    ck_assert_uint_eq(target.uploads, 0);
    ck_assert_ptr_null(store_find(&target, "chain/backup/" ID "/manifest.json"));
    ck_assert_uint_eq(copy_count(source, "verdict"), 0);
}
END_TEST

static Suite *
copy_parts_suite(void)
{
    Suite *suite = suite_create("copy-parts");
    TCase *parts = tcase_create("parts");

    tcase_add_checked_fixture(parts, setup, teardown);
    tcase_add_test(parts, memory_does_not_grow_with_what_is_copied);
    tcase_add_loop_test(parts, what_is_not_as_the_manifest_says_is_never_committed, 0, 2);
    tcase_add_loop_test(parts, a_target_that_fails_ends_it_without_a_manifest, 0, ARRAY_LEN(fault_rows));
    suite_add_tcase(suite, parts);
    return suite;
}

UNIT_MAIN(copy_parts_suite)
