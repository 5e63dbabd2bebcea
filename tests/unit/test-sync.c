/* SPDX-License-Identifier: PostgreSQL
 *
 * Which backups sync brings where: from what the stores have, what the jobs say and
 * what was asked for. How one of them is copied: test-copy.c; trouble:
 * test-sync-faults.c.
 */
#include "config.h"

#include "pipeline/sync.h"

#include <string.h>

#include "base/error.h"
#include "unit-sync.h"
#include "unit.h"

/* ---- what is to be done ---- */

static const struct plan_row {
    const char *job;
    const char *states; /* of its copies in one, two and three */
    const char *steps;
    size_t good, failed_required, failed_optional;
} plan_rows[] = {
    { "daily", "ggg", "", 0, 0, 0 },
    { "daily", "uuu", "", 0, 0, 0 },
    { "daily", "---", "", 0, 0, 0 },
    { "daily", "g--", "copy:two:done copy:three:done", 2, 0, 0 },
    { "daily", "--g", "copy:one:done copy:two:done", 2, 0, 0 },
    { "daily", "u--", "copy:two:done copy:three:done", 2, 0, 0 }, /* never verified is not bad */
    { "daily", "ghh", "copy:two:done copy:three:done", 2, 0, 0 },
    { "daily", "h--", "", 0, 0, 0 },                              /* no backup yet */
    { "daily", "bgg", "heal:one:done", 1, 0, 0 },
    { "daily", "gb-", "heal:two:done copy:three:done", 2, 0, 0 },
    { "daily", "b--", "copy:two:failed copy:three:failed", 0, 1, 1 },
    { "daily", "bbb", "heal:one:failed heal:two:failed heal:three:failed", 0, 2, 1 },
    { "daily", "xg-", "copy:three:done heal:one:done", 2, 0, 0 }, /* found out while copying, healed at once */
    { "daily", "x--", "copy:two:failed copy:three:failed", 0, 1, 1 },
    { "weekly", "g--", "copy:two:done", 1, 0, 0 },                /* three is none of its stores */
    { "weekly", "g-b", "copy:two:done", 1, 0, 0 },
    { "weekly", "--g", "copy:one:done copy:two:done", 2, 0, 0 },  /* but may have it */
    { "lonely", "g--", "", 0, 0, 0 },
    { "lonely", "b--", "", 0, 0, 0 },
    { "gone", "g--", "", 0, 0, 0 },                               /* that job is no more */
    { "foreign", "g--", "", 0, 0, 0 },                            /* that of another cluster */
};

START_TEST(every_store_of_the_job_gets_a_good_copy)
{
    const struct plan_row *row = &plan_rows[_i];
    CLEANUP_FREE char *id = mem_printf("20261122T020000Z-%s", row->job);

    for (size_t i = 0; i < STORES; i++)
        put(i, id, row->states[i]);
    free(run(0));
    expect(row->steps);
    ck_assert_uint_eq(result.good, row->good);
    ck_assert_uint_eq(result.failed_required, row->failed_required);
    ck_assert_uint_eq(result.failed_optional, row->failed_optional);
    for (size_t i = 0; i < result.len; i++)
        for (size_t j = 0; j < STORES; j++)
            if (strcmp(result.steps[i].store, names[j]) == 0)
                ck_assert_int_eq(copy_has(fakes[j], id), result.steps[i].outcome == SYNC_DONE);
    if (row->failed_required > 0)
        return;
    free(run(0)); /* then all is well */
    expect("");
}
END_TEST

/* The same, only said. */
START_TEST(a_dry_run_changes_nothing)
{
    const struct plan_row *row = &plan_rows[_i];
    CLEANUP_FREE char *id = mem_printf("20261122T020000Z-%s", row->job);
    size_t before[STORES];

    for (size_t i = 0; i < STORES; i++) {
        put(i, id, row->states[i]);
        before[i] = fakes[i]->len;
    }
    options.dry_run = true;
    free(run(0));
    for (size_t i = 0; i < STORES; i++) {
        ck_assert_uint_eq(fakes[i]->len, before[i]);
        ck_assert_uint_eq(fakes[i]->removed.len, 0);
    }
    for (size_t i = 0; i < result.len; i++) {
        if (strchr(row->states, 'g') != NULL || strchr(row->states, 'u') != NULL)
            ck_assert_int_eq(result.steps[i].outcome, SYNC_PLANNED);
        if (result.steps[i].outcome == SYNC_PLANNED)
            ck_assert_uint_eq(result.steps[i].size, 105700);
    }
}
END_TEST

static const struct choice_row {
    const char *job, *from, *to;
    const char *steps; /* daily is in one, weekly in two, gone in three */
} choice_rows[] = {
    { NULL, NULL, NULL, "copy:one:done copy:two:done copy:three:done" },
    { "daily", NULL, NULL, "copy:two:done copy:three:done" },
    { "weekly", NULL, NULL, "copy:one:done" },
    { NULL, "one", NULL, "copy:two:done copy:three:done" },
    { NULL, "three", NULL, "" },
    { NULL, NULL, "two", "copy:two:done" },
    { "weekly", NULL, "two", "" },
    { NULL, "three", "one", "copy:one:done" },              /* whatever the jobs say */
    { NULL, "two", "three", "copy:three:done" },
    { "daily", "two", "three", "" },
    { "gone", "three", "one", "copy:one:done" },
};

START_TEST(the_choice_can_be_narrowed)
{
    const struct choice_row *row = &choice_rows[_i];

    put(0, "20261122T020000Z-daily", 'g');
    put(1, "20261123T020000Z-weekly", 'g');
    put(2, "20261124T020000Z-gone", 'g');
    options.job = row->job;
    options.from = row->from;
    options.to = row->to;
    free(run(0));
    expect(row->steps);
}
END_TEST

START_TEST(the_newest_comes_first)
{
    put(0, "20261121T020000Z-daily", 'g');
    put(0, "20261123T020000Z-weekly", 'g');
    put(1, "20261122T020000Z-daily", 'g');
    free(run(0));
    ck_assert_str_eq(result.steps[0].id, "20261123T020000Z-weekly");
    ck_assert_str_eq(result.steps[1].id, "20261122T020000Z-daily");
    ck_assert_str_eq(result.steps[3].id, "20261121T020000Z-daily");
    ck_assert_uint_eq(result.len, 5);
}
END_TEST

/* Not even read, unless nobody else has the member. */
START_TEST(a_copy_that_is_known_to_be_bad_is_no_source)
{
    static const char id[] = "20261122T020000Z-daily";
    CLEANUP_FREE char *said = NULL;

    put(0, id, 'b');
    options.to = "three";
    if (_i == 0)
        put(1, id, 'g');
    said = run(0);
    expect(_i == 0 ? "copy:three:done" : "copy:three:failed");
    ck_assert_uint_eq(fakes[0]->gets, 1); /* pgcask.json */
    if (_i == 0)
        ck_assert_str_eq(said, "");
    else
        ck_assert_has(said, "WARN: backup '20261122T020000Z-daily': every other copy of it is bad, it is not copied");
}
END_TEST

/* ---- one backup ---- */

static const struct one_row {
    const char *states, *from, *steps;
} one_rows[] = {
    { "g--", NULL, "copy:two:done" },
    { "--u", NULL, "copy:two:done" },
    { "g--", "one", "copy:two:done" },
    { "b--", "one", "copy:two:failed" }, /* tried all the same: who says so may know better */
    { "ggg", NULL, "copy:two:there" },
    { "-g-", NULL, "copy:two:there" },
    { "gug", NULL, "heal:two:done" },    /* looked at */
    { "gxg", NULL, "copy:two:there" },
    { "gbg", NULL, "heal:two:done" },
    { "ghg", NULL, "copy:two:done" },
};

START_TEST(one_backup_goes_to_one_store)
{
    static const char id[] = "20261122T020000Z-lonely";

    for (size_t i = 0; i < STORES; i++)
        put(i, id, one_rows[_i].states[i]);
    if (one_rows[_i].states[1] == 'x') /* nobody knows */
        fake_text(fakes[1], "chain/backup/20261122T020000Z-lonely/verdict-20261122T030000Z-good.json", "{}");
    put(0, "20261123T020000Z-lonely", 'g');
    options.id = id;
    options.to = "two";
    options.from = one_rows[_i].from;
    free(run(0));
    expect(one_rows[_i].steps);
}
END_TEST

START_TEST(one_that_is_nowhere_is_a_usage_error)
{
    put(1, "20261122T020000Z-daily", 'u');
    options.to = "two";
    options.id = "20261121T020000Z-daily";
    free(run(ERROR_USAGE));
    ck_assert_error_has("no store but 'two' has backup '20261121T020000Z-daily' of cluster 'chain'");
    options.id = "20261122T020000Z-daily"; /* in doubt, and there is nobody to ask */
    free(run(ERROR_USAGE));
}
END_TEST

static const struct usage_row {
    const char *job, *from, *to, *error;
} usage_rows[] = {
    { "monthly", NULL, NULL, "there is no job 'monthly'" },
    { NULL, "four", NULL, "there is no store 'four'" },
    { NULL, NULL, "four", "there is no store 'four'" },
    { NULL, "one", "one", "from store 'one' to itself" },
};

START_TEST(what_is_not_there_is_a_usage_error)
{
    const struct usage_row *row = &usage_rows[_i];

    options.job = row->job;
    options.from = row->from;
    options.to = row->to;
    free(run(ERROR_USAGE));
    ck_assert_error_has(row->error);
}
END_TEST

/* pgcask.json, and for each store a listing of backups and one of WAL. */
START_TEST(nothing_to_do_costs_three_requests_a_store)
{
    for (size_t i = 0; i < STORES; i++)
        put(i, "20261122T020000Z-daily", 'g');
    free(run(0));
    for (size_t i = 0; i < STORES; i++) {
        ck_assert_uint_eq(fakes[i]->gets, 1);
        ck_assert_uint_eq(fakes[i]->stats, 0);
        ck_assert_uint_eq(fakes[i]->lists, 2);
    }
}
END_TEST

static Suite *
sync_suite(void)
{
    Suite *suite = suite_create("sync");
    TCase *plan = tcase_create("plan");

    tcase_add_checked_fixture(plan, sync_setup, sync_teardown);
    tcase_set_timeout(plan, 60);
    tcase_add_loop_test(plan, every_store_of_the_job_gets_a_good_copy, 0, ARRAY_LEN(plan_rows));
    tcase_add_loop_test(plan, a_dry_run_changes_nothing, 0, ARRAY_LEN(plan_rows));
    tcase_add_loop_test(plan, the_choice_can_be_narrowed, 0, ARRAY_LEN(choice_rows));
    tcase_add_test(plan, the_newest_comes_first);
    tcase_add_loop_test(plan, a_copy_that_is_known_to_be_bad_is_no_source, 0, 2);
    tcase_add_loop_test(plan, one_backup_goes_to_one_store, 0, ARRAY_LEN(one_rows));
    tcase_add_test(plan, one_that_is_nowhere_is_a_usage_error);
    tcase_add_loop_test(plan, what_is_not_there_is_a_usage_error, 0, ARRAY_LEN(usage_rows));
    tcase_add_test(plan, nothing_to_do_costs_three_requests_a_store);
    suite_add_tcase(suite, plan);
    return suite;
}

UNIT_MAIN(sync_suite)
