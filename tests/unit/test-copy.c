/* SPDX-License-Identifier: PostgreSQL
 *
 * One backup from store to store: what is read, what is written and in which order,
 * and what happens when a source is bad, cold or silent, when the target has some of
 * it, and when the target fails. Healing: test-copy-heal.c.
 */
#include "config.h"

#include "pipeline/copy.h"

#include <string.h>

#include "base/error.h"
#include "pipeline/stores.h"
#include "unit-copy-run.h"
#include "unit.h"

static size_t
key_at(const char *part)
{
    for (size_t i = 0; i < target->len; i++)
        if (strstr(target->objects[i].key, part) != NULL)
            return i;
    ck_abort_msg("'%s' is not there", part);
}

/* ---- as it should be ---- */

START_TEST(all_comes_the_manifest_last_and_the_lease_goes)
{
    copy_quietly();
    ck_assert_uint_eq(target->len, COPY_MEMBERS + 2);
    ck_assert_uint_eq(key_at("/manifest.json"), 0); /* the last one takes the place of one that goes: the lease's */
    ck_assert_uint_eq(copy_count(target, "-good.json"), 1);
    ck_assert_uint_eq(copy_count(target, "/lease/"), 0);
    ck_assert_uint_eq(result.size, 700 + 100000 + 5000);
    ck_assert_uint_eq(result.bytes, result.size);
    ck_assert_uint_eq(result.members, COPY_MEMBERS);
    ck_assert_uint_eq(result.copied, COPY_MEMBERS);
    ck_assert(!result.there && !result.target_failed);
    ck_assert_uint_eq(far->gets + far->stats + far->lists, 0); /* the nearest has all of it */
    ck_assert_uint_eq(near->lists, 0);
    ck_assert_uint_eq(near->gets, COPY_MEMBERS + 1); /* each member in one piece, and the manifest */
    ck_assert_uint_eq(near->len, COPY_MEMBERS + 1);  /* nothing is written there */
}
END_TEST

/* While it is copied no sweep of any host takes it for rubbish. */
static struct storage *of_sweeper;

static void
sweep_meanwhile(struct fake *fake, const char *key)
{
    if (strstr(key, "shop.dump") == NULL)
        return;
    fake->stated = NULL;
    ck_assert_uint_eq(copy_count(fake, "/lease/"), 1);
    stores_sweep(of_sweeper, "chain");
}

START_TEST(a_sweep_leaves_it_alone_meanwhile)
{
    static const struct config_store policy = { .required = 1, .parallel = 1 };

    fake_next = target;
    ck_assert_int_eq(storage_open_plugin("target", &fake_plugin, NULL, &policy, 0, &of_sweeper), 0);
    target->stated = sweep_meanwhile; /* at the confirmation of that member */
    copy_quietly();
    ck_assert_uint_eq(target->sweeps, 1);
    storage_close(of_sweeper);
}
END_TEST

START_TEST(what_has_come_by_now_is_left_alone)
{
    copy_put(target, ID);
    copy_flip(target, ID, 1, 500); /* nobody knows */
    free(copy(0));
    ck_assert(result.there);
    ck_assert_uint_eq(target->gets, 0);
    ck_assert_uint_eq(copy_count(target, "/lease/"), 0);
}
END_TEST

/* ---- what the target has of it already ---- */

static const struct half_row {
    int member; /* of which the target has something; -1: all of them */
    int flip;   /* this byte of it; -1: none */
    int cut;    /* bytes that are missing */
    size_t copied;
} half_rows[] = {
    { 0, -1, 0, COPY_MEMBERS - 1 },
    { 1, -1, 0, COPY_MEMBERS - 1 },
    { -1, -1, 0, 0 },
    { 1, 0, 0, COPY_MEMBERS },       /* in the age header */
    { 1, 99999, 0, COPY_MEMBERS },
    { 2, -1, 1, COPY_MEMBERS },
    { 2, -1, 5000, COPY_MEMBERS },   /* empty */
};

START_TEST(what_is_good_there_is_kept_and_the_rest_replaced)
{
    const struct half_row *row = &half_rows[_i];

    for (size_t i = 0; i < COPY_MEMBERS; i++) {
        CLEANUP_FREE unsigned char *data = copy_bytes(ID, i);
        CLEANUP_FREE char *key = copy_key(ID, i);

        if (row->member >= 0 && (size_t)row->member != i)
            continue;
        if (row->flip >= 0)
            data[row->flip] ^= 1;
        (void)fake_put(target, key, data, copy_members_of[i].size - (size_t)row->cut);
    }
    copy_quietly(); /* a run that was cut short is no reason for a warning */
    ck_assert_uint_eq(result.copied, row->copied);
    ck_assert_uint_eq(target->removed.len, (row->flip >= 0 || row->cut > 0) + 1U); /* and the lease */
}
END_TEST

START_TEST(a_proof_that_the_target_cannot_give_ends_it)
{
    CLEANUP_FREE unsigned char *data = copy_bytes(ID, 1);
    CLEANUP_FREE char *said = NULL;

    (void)fake_put(target, DIR "shop.dump.zst.age", data, copy_members_of[1].size);
    target->refuse = "shop.dump";
    said = copy(PGCASK_FAILED);
    ck_assert_error_has("store 'target': no answer for");
    ck_assert(result.target_failed);
    ck_assert_uint_eq(copy_count(target, "/lease/"), 0);
    ck_assert_ptr_null(fake_find(target, MANIFEST));
    ck_assert_ptr_nonnull(fake_find(target, DIR "shop.dump.zst.age"));
}
END_TEST

/* It became visible only after its digest was compared. */
START_TEST(what_lies_cold_in_the_target_is_believed)
{
    CLEANUP_FREE unsigned char *data = copy_bytes(ID, 1);

    fake_put(target, DIR "shop.dump.zst.age", data, copy_members_of[1].size)->tier = PGCASK_TIER_COLD;
    copy_quietly();
    ck_assert_uint_eq(result.copied, COPY_MEMBERS - 1);
    ck_assert_uint_eq(copy_count(target, "-good.json"), 1);
}
END_TEST

/* ---- sources in trouble ---- */

START_TEST(the_next_store_helps_out)
{
    const struct source_row *row = &source_rows[_i];
    CLEANUP_FREE char *said = NULL;

    trouble(near, row->trouble);
    said = copy(0);
    ck_assert(copy_has(target, ID));
    ck_assert_has(said, "WARN: store 'near': ");
    ck_assert_has(said, row->error);
    ck_assert_has(said, "trying the next store");
    ck_assert_int_eq(sources[0].bad, row->bad);
    ck_assert_int_eq(sources[0].failed, row->trouble == SILENT);
    ck_assert(!sources[1].bad && !sources[1].failed);
    ck_assert_uint_eq(copy_count(near, "-bad.json"), row->bad); /* so that the next sync heals it */
    ck_assert_uint_eq(copy_count(near, "-good.json") + copy_count(far, "verdict"), 0);
}
END_TEST

START_TEST(without_a_good_source_nothing_bad_comes_and_what_is_good_stays)
{
    const struct source_row *row = &source_rows[_i];
    CLEANUP_FREE char *said = NULL;

    spec.source_count = 1;
    trouble(near, row->trouble);
    said = copy(row->code);
    ck_assert_error_has("store 'near': ");
    ck_assert_error_has(row->error);
    ck_assert_ptr_null(fake_find(target, MANIFEST));
    ck_assert_ptr_null(fake_find(target, DIR "shop.dump.zst.age"));
    ck_assert_uint_eq(copy_count(target, "verdict"), 0);
    ck_assert_uint_eq(copy_count(target, "/lease/"), 0);
    ck_assert_uint_eq(target->removed.len, 1); /* the lease: nothing bad was ever committed */
    ck_assert(!result.target_failed);
    ck_assert(copy_has_member(target, ID, 0)); /* for the next try */
    ck_assert_uint_eq(copy_count(near, "-bad.json"), row->bad);
}
END_TEST

/* Bytes that were made to fit the quick digest: the header's cannot be cheated. */
START_TEST(both_digests_are_compared)
{
    CLEANUP(manifest_free) struct manifest *manifest = copy_manifest(ID);
    CLEANUP_FREE char *text = NULL, *said = NULL;

    free(manifest->members[1].header_digest);
    manifest->members[1].header_digest = mem_strdup(SHA256_TEXT);
    text = manifest_encode(manifest);
    (void)fake_text(near, MANIFEST, text);
    spec.source_count = 1;
    said = copy(ERROR_CORRUPT);
    ck_assert_error_has("the digest of the age header is ");
    ck_assert_ptr_null(fake_find(target, DIR "shop.dump.zst.age"));
    ck_assert_uint_eq(target->removed.len, 1); /* the lease */
}
END_TEST

/* One cannot be read now, the other never: thawing helps. */
START_TEST(cold_is_what_is_told_when_it_would_help)
{
    CLEANUP_FREE char *said = NULL;

    trouble(near, COLD);
    trouble(far, FLIPPED);
    said = copy(PGCASK_COLD);
    ck_assert_has(said, "store 'near': 'chain/backup/");
    ck_assert_has(said, "store 'far': object");
    ck_assert_error_has("store 'near': ");
}
END_TEST

START_TEST(a_spoilt_manifest_is_taken_from_the_next_store)
{
    CLEANUP_FREE char *said = NULL;

    (void)fake_text(near, MANIFEST, "rubbish");
    said = copy(0);
    ck_assert_has(said, "store 'near': object '" MANIFEST "' is not valid JSON");
    ck_assert(copy_has(target, ID));
    ck_assert(sources[0].bad);
    ck_assert_uint_eq(copy_count(near, "-bad.json"), 1);
}
END_TEST

/* Somebody removes it there: that is no bad copy. */
static void
expire(struct fake *fake, const char *key)
{
    if (strstr(key, "shop.dump") == NULL)
        return;
    fake_drop(fake, MANIFEST);
    fake_drop(fake, DIR "shop.dump.zst.age");
    fake->stated = NULL;
}

START_TEST(what_is_removed_meanwhile_gets_no_verdict)
{
    near->stated = expire;
    free(copy(0));
    ck_assert(copy_has(target, ID));
    ck_assert_uint_eq(copy_count(near, "verdict"), 0);
}
END_TEST

/* ---- the target in trouble ---- */

static const char *const refusals[] = { "/lease/", "globals", "manifest.json", "verdict" };

START_TEST(a_target_that_fails_is_told_apart)
{
    target->refuse = refusals[_i];
    free(copy(PGCASK_FAILED));
    ck_assert_error_has("store 'target': no answer for");
    ck_assert_int_eq(result.target_failed, strcmp(refusals[_i], "verdict") != 0);
    ck_assert(!sources[0].bad && !sources[0].failed);
    ck_assert_uint_eq(copy_count(near, "verdict"), 0);
    if (strcmp(refusals[_i], "verdict") != 0)
        ck_assert_ptr_null(fake_find(target, MANIFEST));
}
END_TEST

static void
spoil(struct fake *fake, const char *key)
{
    if (strcmp(key, MANIFEST) != 0)
        return;
    copy_flip(fake, ID, 1, 12);
    fake->stated = NULL;
}

/* It says that it has it, and has not. */
START_TEST(what_is_read_back_is_what_counts)
{
    target->stated = spoil;
    free(copy(ERROR_CORRUPT));
    ck_assert_error_has("it was copied, but could not be verified: store 'target'");
    ck_assert_uint_eq(copy_count(target, "-bad.json"), 1);
    ck_assert_uint_eq(copy_count(target, "-good.json"), 0);
}
END_TEST

static Suite *
copy_suite(void)
{
    Suite *suite = suite_create("copy");
    TCase *whole = tcase_create("whole"), *half = tcase_create("half"), *source = tcase_create("source");
    TCase *cases[] = { whole, half, source };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        tcase_add_checked_fixture(cases[i], copy_setup, copy_teardown);
        tcase_set_timeout(cases[i], 60);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_test(whole, all_comes_the_manifest_last_and_the_lease_goes);
    tcase_add_test(whole, a_sweep_leaves_it_alone_meanwhile);
    tcase_add_test(whole, what_has_come_by_now_is_left_alone);
    tcase_add_loop_test(whole, a_target_that_fails_is_told_apart, 0, ARRAY_LEN(refusals));
    tcase_add_test(whole, what_is_read_back_is_what_counts);
    tcase_add_loop_test(half, what_is_good_there_is_kept_and_the_rest_replaced, 0, ARRAY_LEN(half_rows));
    tcase_add_test(half, a_proof_that_the_target_cannot_give_ends_it);
    tcase_add_test(half, what_lies_cold_in_the_target_is_believed);
    tcase_add_loop_test(source, the_next_store_helps_out, 0, ARRAY_LEN(source_rows));
    tcase_add_loop_test(source, without_a_good_source_nothing_bad_comes_and_what_is_good_stays, 0, ARRAY_LEN(source_rows));
    tcase_add_test(source, both_digests_are_compared);
    tcase_add_test(source, cold_is_what_is_told_when_it_would_help);
    tcase_add_test(source, a_spoilt_manifest_is_taken_from_the_next_store);
    tcase_add_test(source, what_is_removed_meanwhile_gets_no_verdict);
    return suite;
}

UNIT_MAIN(copy_suite)
