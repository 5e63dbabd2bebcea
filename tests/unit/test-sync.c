/* SPDX-License-Identifier: PostgreSQL
 *
 * Which backups sync brings where: from what the stores have, what the jobs say and
 * what was asked for. How one of them is copied: test-copy.c. The stores are in
 * memory: plugin_load below takes the place of the one that opens shared objects.
 */
#include "config.h"

#include "pipeline/sync.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/lock.h"
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

static struct fake *
named(const char *where)
{
    size_t i = (size_t)(where[0] - '0');

    return broken[i] ? NULL : fakes[i];
}

static void
setup(void)
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
        (void)fake_text(fakes[i], LABEL_REPOSITORY, "{\"format\": 1, \"id\": \"" REPOSITORY "\"}");
    }
    options = (struct sync_options){ 0 };
}

static void
teardown(void)
{
    sync_result_free(&result);
    config_free(config);
    for (size_t i = 0; i < STORES; i++)
        fake_free(fakes[i]);
    dir_remove();
}

/* What is said meanwhile, owned by the caller. */
static char *
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
static char *
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

static void
expect(const char *wanted)
{
    CLEANUP_FREE char *seen = steps();

    ck_assert_str_eq(seen, wanted);
}

/* A copy in that state: '-' none, 'u' unverified, 'g' good, 'b' known to be bad and bad, 'x' bad and nobody knows,
 * 'h' half there. */
static void
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

/* ---- trouble ---- */

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

/* pgcask.json, whose size has to be asked for, and one listing for each store. */
START_TEST(nothing_to_do_costs_three_requests_a_store)
{
    for (size_t i = 0; i < STORES; i++)
        put(i, "20261122T020000Z-daily", 'g');
    free(run(0));
    for (size_t i = 0; i < STORES; i++) {
        ck_assert_uint_eq(fakes[i]->gets, 1);
        ck_assert_uint_eq(fakes[i]->stats, 1);
        ck_assert_uint_eq(fakes[i]->lists, 1);
    }
}
END_TEST

static Suite *
sync_suite(void)
{
    Suite *suite = suite_create("sync");
    TCase *plan = tcase_create("plan"), *fault = tcase_create("fault");
    TCase *cases[] = { plan, fault };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        tcase_add_checked_fixture(cases[i], setup, teardown);
        tcase_set_timeout(cases[i], 60);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_loop_test(plan, every_store_of_the_job_gets_a_good_copy, 0, ARRAY_LEN(plan_rows));
    tcase_add_loop_test(plan, a_dry_run_changes_nothing, 0, ARRAY_LEN(plan_rows));
    tcase_add_loop_test(plan, the_choice_can_be_narrowed, 0, ARRAY_LEN(choice_rows));
    tcase_add_test(plan, the_newest_comes_first);
    tcase_add_loop_test(plan, one_backup_goes_to_one_store, 0, ARRAY_LEN(one_rows));
    tcase_add_test(plan, one_that_is_nowhere_is_a_usage_error);
    tcase_add_loop_test(plan, what_is_not_there_is_a_usage_error, 0, ARRAY_LEN(usage_rows));
    tcase_add_test(plan, nothing_to_do_costs_three_requests_a_store);
    tcase_add_loop_test(fault, a_store_that_is_away_is_left_out, 0, 2);
    tcase_add_test(fault, a_store_that_cannot_be_listed_is_left_out);
    tcase_add_loop_test(fault, without_the_stores_that_were_named_it_fails, 0, 2);
    tcase_add_test(fault, a_new_store_becomes_part_of_the_repository);
    tcase_add_test(fault, no_repository_is_made_when_there_is_none);
    tcase_add_test(fault, a_target_that_fails_is_tried_once);
    tcase_add_test(fault, a_source_that_fails_is_asked_last);
    tcase_add_test(fault, cold_sources_are_told_with_the_cure);
    tcase_add_test(fault, one_at_a_time_on_a_host);
    return suite;
}

UNIT_MAIN(sync_suite)
