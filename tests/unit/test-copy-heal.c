/* SPDX-License-Identifier: PostgreSQL
 *
 * A copy that is bad, and one that somebody else is writing: what is replaced, what
 * is left alone, and whose verdict counts.
 */
#include "config.h"

#include "pipeline/copy.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "pipeline/stores.h"
#include "unit-copy-run.h"
#include "unit.h"

/* ---- healing ---- */

START_TEST(only_what_is_bad_is_replaced)
{
    CLEANUP_FREE char *said = NULL;

    copy_put(target, ID);
    copy_flip(target, ID, 1, 500);
    spec.heal = true;
    said = copy(0);
    ck_assert(copy_has(target, ID));
    ck_assert_uint_eq(result.copied, 1);
    ck_assert_has(said, "store 'target': object '" DIR "shop.dump.zst.age'");
    ck_assert_has(said, "it is replaced");
    ck_assert_uint_eq(copy_count(target, "-good.json"), 1);
}
END_TEST

/* A bad member may be better than none. */
START_TEST(a_bad_member_stays_until_there_is_a_good_one)
{
    const struct source_row *row = &source_rows[_i];

    copy_put(target, ID);
    copy_flip(target, ID, 1, 500);
    trouble(near, row->trouble);
    spec.source_count = 1;
    spec.heal = true;
    free(copy(row->code));
    ck_assert_ptr_nonnull(fake_find(target, DIR "shop.dump.zst.age"));
    ck_assert_ptr_nonnull(fake_find(target, MANIFEST));
    ck_assert_uint_eq(target->removed.len, 1); /* the lease */
}
END_TEST

START_TEST(a_spoilt_manifest_is_replaced_behind_the_members)
{
    copy_put(target, ID);
    (void)fake_text(target, MANIFEST, "rubbish");
    copy_flip(target, ID, 0, 500);
    spec.heal = true;
    free(copy(0));
    ck_assert(copy_has(target, ID));
    ck_assert_str_eq(target->removed.items[0], DIR "globals.sql.zst.age");
    ck_assert_str_eq(target->removed.items[1], MANIFEST);
}
END_TEST

/* Its digest cannot be looked at, and what is known of it is that something was wrong. */
START_TEST(what_lies_cold_in_a_bad_copy_is_replaced)
{
    CLEANUP_FREE char *said = NULL;

    copy_put(target, ID);
    copy_flip(target, ID, 1, 500);
    fake_find(target, DIR "shop.dump.zst.age")->tier = PGCASK_TIER_COLD;
    spec.heal = spec.bad = true;
    said = copy(0);
    ck_assert(copy_has(target, ID));
    ck_assert_uint_eq(result.copied, 1);
    ck_assert_has(said, "was bad when it was last read, it is replaced");
}
END_TEST

/* The same id, and good in itself: it is not for us to say which one is the right one. */
START_TEST(another_backup_of_that_id_is_left_alone)
{
    CLEANUP(manifest_free) struct manifest *manifest = copy_manifest(ID);
    CLEANUP_FREE char *text = NULL;

    copy_put(target, ID);
    copy_flip(target, ID, 1, 500);
    manifest->server_version++;
    text = manifest_encode(manifest);
    (void)fake_text(target, MANIFEST, text);
    spec.heal = true;
    free(copy(ERROR_CORRUPT));
    ck_assert_error_has("store 'target' has another backup '" ID "' than the others: it is left alone");
    ck_assert_uint_eq(target->removed.len, 1); /* the lease */
    ck_assert_uint_eq(copy_count(target, "verdict"), 0);
}
END_TEST

/* ---- somebody else ---- */

static bool rival_is_good;

/* Another run commits the member right behind our first look. */
static void
rival_writes(struct fake *fake, const char *prefix)
{
    CLEANUP_FREE unsigned char *data = copy_bytes(ID, 1);

    if (strcmp(prefix, DIR) != 0)
        return;
    if (!rival_is_good)
        data[3] ^= 1;
    (void)fake_put(fake, DIR "shop.dump.zst.age", data, copy_members_of[1].size);
    fake->listed = NULL;
}

START_TEST(what_another_run_writes_at_the_same_time_is_looked_at)
{
    rival_is_good = _i == 1;
    target->listed = rival_writes;
    copy_quietly();
    ck_assert_uint_eq(result.copied, rival_is_good ? COPY_MEMBERS - 1 : COPY_MEMBERS);
}
END_TEST

static void
put_lease(bool alive)
{
    CLEANUP_FREE char *key = NULL, *text = NULL, *other = NULL;
    CLEANUP_JSON json_t *row = NULL;

    ck_assert_int_eq(stores_lease("chain", ID, &key, &text), 0);
    ck_assert_int_eq(json_read("lease", text, strlen(text), &row), 0);
    if (!alive)
        (void)json_object_set_new(row, "start", json_string("0")); /* our pid, but of another process */
    other = json_pretty(row);
    (void)fake_text(target, key, other);
}

START_TEST(another_run_that_is_at_it_is_left_to_it)
{
    put_lease(true);
    free(copy(ERROR_LOCKED));
    ck_assert_error_has("store 'target': another run is writing backup '" ID "' there");
    ck_assert_uint_eq(target->len, 1); /* the other's lease */
    ck_assert(!result.target_failed);
}
END_TEST

START_TEST(a_run_that_died_is_not_waited_for)
{
    put_lease(false);
    copy_quietly();
}
END_TEST

/* ---- verdicts ---- */

/* Of two verdicts in one second the bad one counts. */
START_TEST(a_good_verdict_waits_until_it_counts)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    struct storage *const one[] = { target->storage };
    CLEANUP_FREE char *key = NULL;

    spec.verdict_s = clock_now_s();
    key = label_verdict("chain", ID, spec.verdict_s, false);
    copy_put(target, ID);
    copy_flip(target, ID, 2, 12);
    (void)fake_text(target, key, "{}");
    spec.heal = true;
    free(copy(0));
    ck_assert_int_eq(catalog_load(one, 1, "chain", NULL, &catalog), 0);
    ck_assert_int_eq(catalog->backups[0].copies[0].state, CATALOG_GOOD);
}
END_TEST

static Suite *
copy_heal_suite(void)
{
    Suite *suite = suite_create("copy-heal");
    TCase *heal = tcase_create("heal"), *rival = tcase_create("rival");
    TCase *cases[] = { heal, rival };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        tcase_add_checked_fixture(cases[i], copy_setup, copy_teardown);
        tcase_set_timeout(cases[i], 60);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_test(heal, only_what_is_bad_is_replaced);
    tcase_add_loop_test(heal, a_bad_member_stays_until_there_is_a_good_one, 0, ARRAY_LEN(source_rows));
    tcase_add_test(heal, a_spoilt_manifest_is_replaced_behind_the_members);
    tcase_add_test(heal, what_lies_cold_in_a_bad_copy_is_replaced);
    tcase_add_test(heal, another_backup_of_that_id_is_left_alone);
    tcase_add_test(heal, a_good_verdict_waits_until_it_counts);
    tcase_add_loop_test(rival, what_another_run_writes_at_the_same_time_is_looked_at, 0, 2);
    tcase_add_test(rival, another_run_that_is_at_it_is_left_to_it);
    tcase_add_test(rival, a_run_that_died_is_not_waited_for);
    return suite;
}

UNIT_MAIN(copy_heal_suite)
