/* SPDX-License-Identifier: PostgreSQL
 *
 * Sync with stores that are away, new, silent, cold or failing: the others get what
 * they should have.
 */
#include "config.h"

#include "pipeline/sync.h"

#include <string.h>

#include "base/error.h"
#include "base/lock.h"
#include "unit-sync.h"
#include "unit.h"

START_TEST(a_store_that_is_away_is_left_out)
{
    CLEANUP_FREE char *said = NULL;

    put(0, "20261122T020000Z-daily", 'g');
    broken[_i + 1] = true;
    said = run(0);
    ck_assert_has(said, "going on without that store");
    expect(_i == 0 ? "copy:three:done" : "copy:two:done");
    ck_assert_uint_eq(result.stores_failed_required, _i == 0 ? 1 : 0); /* three is optional */
}
END_TEST

START_TEST(a_store_that_cannot_be_listed_is_left_out)
{
    CLEANUP_FREE char *said = NULL;

    put(0, "20261122T020000Z-daily", 'g');
    fakes[1]->refuse = "chain/backup/";
    said = run(0);
    ck_assert_has(said, "store 'two': no answer for 'chain/backup/', going on without that store");
    expect("copy:three:done");
    ck_assert_uint_eq(result.stores_failed_required, 1);
}
END_TEST

START_TEST(without_the_stores_that_were_named_it_fails)
{
    put(0, "20261122T020000Z-daily", 'g');
    broken[_i] = true;
    options.from = "one";
    options.to = "two";
    free(run(PGCASK_FAILED));
    ck_assert_error_has(_i == 0 ? "without store 'one' nothing can be copied" : "without store 'two' nothing can be copied");
    broken[1 - _i] = true;
    free(run(PGCASK_FAILED));
    ck_assert_error_has("there is no ");
}
END_TEST

START_TEST(a_new_store_becomes_part_of_the_repository)
{
    put(0, "20261122T020000Z-weekly", 'g');
    fake_drop(fakes[1], LABEL_REPOSITORY);
    options.dry_run = true;
    free(run(0));
    expect("copy:two:planned");
    ck_assert_uint_eq(fakes[1]->len, 0);
    options.dry_run = false;
    free(run(0));
    expect("copy:two:done");
    ck_assert_ptr_nonnull(strstr(fake_find(fakes[1], LABEL_REPOSITORY)->data, REPOSITORY));
}
END_TEST

START_TEST(no_repository_is_made_when_there_is_none)
{
    for (size_t i = 0; i < STORES; i++)
        fake_drop(fakes[i], LABEL_REPOSITORY);
    free(run(0));
    for (size_t i = 0; i < STORES; i++)
        ck_assert_uint_eq(fakes[i]->len, 0);
}
END_TEST

/* Then each further backup would meet the same trouble. */
START_TEST(a_target_that_fails_is_tried_once)
{
    CLEANUP_FREE char *said = NULL;

    put(0, "20261121T020000Z-daily", 'g');
    put(0, "20261122T020000Z-daily", 'g');
    fakes[1]->refuse = "shop.dump";
    said = run(0);
    expect("copy:two:failed copy:three:done copy:two:failed copy:three:done");
    ck_assert_uint_eq(copy_count(fakes[1], "globals"), 1);
    ck_assert_ptr_eq(strstr(said, "it is not copied"), strrchr(said, ',') + 2); /* told once */
    ck_assert_has(result.steps[2].error, "writing to store 'two' failed before");
    ck_assert_uint_eq(result.failed_required, 2);
    ck_assert_uint_eq(fakes[1]->sweeps + fakes[2]->sweeps, 0); /* what is half there is for the next run */
}
END_TEST

/* Others are asked first from then on. */
START_TEST(a_source_that_fails_is_asked_last)
{
    CLEANUP_FREE char *said = NULL;

    put(0, "20261121T020000Z-daily", 'g');
    put(1, "20261121T020000Z-daily", 'g');
    put(0, "20261122T020000Z-daily", 'g');
    put(1, "20261122T020000Z-daily", 'g');
    fakes[0]->refuse = "shop.dump";
    said = run(0);
    expect("copy:three:done copy:three:done");
    ck_assert_ptr_eq(strstr(said, "trying the next store"), strrchr(said, ',') + 2); /* once */
    ck_assert_uint_eq(fakes[2]->sweeps, 1);
}
END_TEST

START_TEST(cold_sources_are_told_with_the_cure)
{
    CLEANUP_FREE char *said = NULL;

    put(0, "20261122T020000Z-weekly", 'g');
    fake_find(fakes[0], "chain/backup/20261122T020000Z-weekly/shop.dump.zst.age")->tier = PGCASK_TIER_COLD;
    said = run(0);
    expect("copy:two:cold");
    ck_assert_uint_eq(result.cold, 1);
    ck_assert_uint_eq(result.failed_required, 1);
    ck_assert_has(said, "is in cold storage, it is not copied");
    ck_assert_has(said, "HINT: it must be thawed first: 'pgcask thaw 20261122T020000Z-weekly' asks for that");
}
END_TEST

/* Who has it at hand is asked first, wherever it stands in the config. */
START_TEST(a_cold_source_is_not_asked_when_another_has_it)
{
    CLEANUP_FREE char *said = NULL;

    put(0, "20261122T020000Z-daily", 'g');
    put(1, "20261122T020000Z-daily", 'g');
    fakes[0]->tells = true;
    fake_find(fakes[0], "chain/backup/20261122T020000Z-daily/shop.dump.zst.age")->tier = PGCASK_TIER_COLD;
    said = run(0);
    ck_assert_str_eq(said, "");
    expect("copy:three:done");
    ck_assert_uint_eq(fakes[0]->gets, 1); /* pgcask.json */
}
END_TEST

START_TEST(one_at_a_time_on_a_host)
{
    CLEANUP(lock_release) struct lock *lock = NULL;
    CLEANUP_FREE char *path = NULL;

    put(0, "20261122T020000Z-weekly", 'g');
    free(run(0)); /* makes the state directory */
    path = mem_printf("%s/sync-chain.lock", config->state_dir);
    ck_assert_int_eq(lock_take(path, "a test", &lock), 0);
    free(run(ERROR_LOCKED));
    ck_assert_error_has("another run of sync for cluster 'chain' is under way");
    options.dry_run = true;
    free(run(0)); /* which changes nothing, is always possible */
}
END_TEST

static Suite *
sync_faults_suite(void)
{
    Suite *suite = suite_create("sync-faults");
    TCase *fault = tcase_create("fault");

    tcase_add_checked_fixture(fault, sync_setup, sync_teardown);
    tcase_set_timeout(fault, 60);
    tcase_add_loop_test(fault, a_store_that_is_away_is_left_out, 0, 2);
    tcase_add_test(fault, a_store_that_cannot_be_listed_is_left_out);
    tcase_add_loop_test(fault, without_the_stores_that_were_named_it_fails, 0, 2);
    tcase_add_test(fault, a_new_store_becomes_part_of_the_repository);
    tcase_add_test(fault, no_repository_is_made_when_there_is_none);
    tcase_add_test(fault, a_target_that_fails_is_tried_once);
    tcase_add_test(fault, a_source_that_fails_is_asked_last);
    tcase_add_test(fault, cold_sources_are_told_with_the_cure);
    tcase_add_test(fault, a_cold_source_is_not_asked_when_another_has_it);
    tcase_add_test(fault, one_at_a_time_on_a_host);
    suite_add_tcase(suite, fault);
    return suite;
}

UNIT_MAIN(sync_faults_suite)
