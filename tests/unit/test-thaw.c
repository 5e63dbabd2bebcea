/* SPDX-License-Identifier: PostgreSQL
 *
 * Cold storage: who is looked at, who is asked for, which copy is read, and what a run does that has to come back later.
 */
#include "config.h"

#include "pipeline/thaw.h"

#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/error.h"
#include "pipeline/restore.h"
#include "stage/fetch.h"
#include "unit-member.h"
#include "unit-talk.h"
#include "unit.h"

enum { GLOBALS, MAIN, ROWS, MEMBERS, ROWS_BYTES = 100000 };

static struct fake *near, *far; /* far has a cold side */
static struct manifest *manifest;
static struct catalog *catalog;
static struct restore restore;
static struct thaw_options options;

static void
write_to(struct fake *fake)
{
    CLEANUP_FREE char *data = noise(ROWS_BYTES);

    (void)write_member(fake, manifest, NULL, "globals.sql", ROLE_GLOBALS, NULL, "CREATE ROLE a;\n", 15);
    (void)write_member(fake, manifest, NULL, "shop.dump", ROLE_MAIN, "shop", "main", 4);
    (void)write_member(fake, manifest, NULL, "shop.public.t.dump", ROLE_TABLE, "shop", data, ROWS_BYTES);
}

static void
setup(void)
{
    CLEANUP_FREE char *key = label_object("chain", RUN, LABEL_MANIFEST), *text = NULL;

    near = fake_opened("near");
    far = fake_cold_opened("far");
    far->tells = true;
    manifest = made_empty("chain", RUN);
    write_to(far);
    manifest->members[ROWS].schema = mem_strdup("public");
    manifest->members[ROWS].table = mem_strdup("t");
    text = manifest_encode(manifest);
    (void)fake_text(far, key, text);
    for (size_t i = 0; i < far->len; i++)
        (void)fake_put(near, far->objects[i].key, far->objects[i].data, far->objects[i].len);
    options = (struct thaw_options)THAW_OPTIONS_INIT;
    options.poll_ms = 1;
}

static void
forget(void)
{
    copies_free(restore.copies);
    free(restore.listed);
    catalog_free(catalog);
    catalog = NULL;
    restore = (struct restore){ .manifest = manifest, .thaw = &options };
}

static void
teardown(void)
{
    forget();
    manifest_free(manifest);
    fake_free(near);
    fake_free(far);
}

static void
freeze(struct fake *fake, size_t i)
{
    member_object(fake, manifest, i)->tier = PGCASK_TIER_COLD;
}

static void
freeze_all(struct fake *fake)
{
    for (size_t i = 0; i < MEMBERS; i++)
        freeze(fake, i);
}

/* List the stores, near before far, and order the copies. */
static void
choose(void)
{
    static struct storage *stores[2];

    forget();
    stores[0] = near->storage;
    stores[1] = far->storage;
    ck_assert_int_eq(catalog_load(stores, 2, "chain", NULL, &catalog), 0);
    ck_assert_uint_eq(catalog->len, 1);
    ck_assert_msg(restore_choose(&restore, catalog, &catalog->backups[0]) == 0, "%s", error_text());
}

static int
ready(size_t first, size_t end)
{
    const struct manifest_member *members[MEMBERS];

    for (size_t i = first; i < end; i++)
        members[i - first] = &manifest->members[i];
    return restore_ready(&restore, members, end - first);
}

static const char *
first_of(const char *object)
{
    CLEANUP_FREE char *key = label_object("chain", RUN, object);

    return storage_name(copies_store(restore.copies, copies_pick(restore.copies, key, 0)));
}

static void
verdict(struct fake *fake, bool good)
{
    CLEANUP_FREE char *key = label_verdict("chain", RUN, 1000, good);

    (void)fake_text(fake, key, "{}");
}

/* ---- which copy ---- */

static const struct order_row {
    int near_state, far_state; /* 1 good, 0 no verdict, -1 bad */
    bool near_lacks, near_cut, far_cold;
    const char *first;
} order_rows[] = {
    { 0, 0, false, false, false, "near" },  /* as in the config */
    { 1, 0, false, false, false, "near" },
    { 0, 1, false, false, false, "far" },   /* good before not verified */
    { -1, 0, false, false, false, "far" },
    { -1, 1, false, false, true, "far" },   /* bad comes last, even behind cold */
    { 1, -1, false, false, false, "near" },
    { 1, 1, false, false, false, "near" },
    { 1, 1, true, false, false, "far" },    /* whole before what lacks something */
    { 1, 1, false, true, false, "far" },    /* or has another size */
    { 1, 1, true, false, true, "far" },
    { 0, 1, false, false, true, "far" },    /* good and cold: restore_ready has the last word */
};

START_TEST(the_best_copy_comes_first)
{
    const struct order_row *row = &order_rows[_i];

    if (row->near_state != 0)
        verdict(near, row->near_state > 0);
    if (row->far_state != 0)
        verdict(far, row->far_state > 0);
    if (row->near_lacks)
        fake_drop(near, member_object(near, manifest, ROWS)->key);
    if (row->near_cut)
        member_object(near, manifest, ROWS)->len--;
    if (row->far_cold)
        freeze_all(far);
    choose();
    ck_assert_uint_eq(copies_count(restore.copies), 2);
    ck_assert_str_eq(storage_name(copies_store(restore.copies, 0)), row->first);
}
END_TEST

START_TEST(what_is_in_no_store_cannot_be_chosen)
{
    choose();
    for (size_t i = 0; i < catalog->backups[0].len; i++)
        catalog->backups[0].copies[i].manifest = false;
    copies_free(restore.copies);
    free(restore.listed);
    restore.copies = NULL;
    ck_assert_int_eq(restore_choose(&restore, catalog, &catalog->backups[0]), PGCASK_FAILED);
    ck_assert_error_has("is in no store");
}
END_TEST

/* ---- before anything is touched ---- */

START_TEST(hot_copies_need_one_look)
{
    far->tells = _i == 1;
    verdict(far, true); /* so that it comes first */
    choose();
    near->stats = far->stats = 0;
    ck_assert_msg(ready(0, MEMBERS) == 0, "%s", error_text());
    ck_assert_uint_eq(far->stats, 1); /* nothing in its listing shows that it would tell */
    ck_assert_uint_eq(near->stats, 0);
    ck_assert_uint_eq(far->thaws, 0);
}
END_TEST

START_TEST(a_listing_that_tells_is_enough)
{
    CLEANUP_FREE char *old = label_object("chain", "20200101T000000Z-daily", "x.zst");

    verdict(far, true);
    fake_text(far, old, "old and cold")->tier = PGCASK_TIER_COLD;
    (void)fake_text(far, "chain/backup/20200101T000000Z-daily/manifest.json", "{}");
    forget();
    {
        static struct storage *stores[2];

        stores[0] = near->storage;
        stores[1] = far->storage;
        ck_assert_int_eq(catalog_load(stores, 2, "chain", NULL, &catalog), 0);
        ck_assert_int_eq(restore_choose(&restore, catalog, &catalog->backups[1]), 0);
    }
    far->stats = 0;
    ck_assert_int_eq(ready(0, MEMBERS), 0);
    ck_assert_uint_eq(far->stats, 0);
}
END_TEST

START_TEST(a_hot_copy_is_read_rather_than_a_cold_one)
{
    verdict(far, true);
    far->tells = _i == 1;
    freeze_all(far);
    choose();
    ck_assert_msg(ready(0, MEMBERS) == 0, "%s", error_text());
    ck_assert_uint_eq(far->thaws, 0);
    ck_assert_str_eq(first_of("shop.dump.zst"), "near");
}
END_TEST

START_TEST(only_what_is_needed_counts)
{
    verdict(far, true);
    freeze(far, GLOBALS);
    choose();
    ck_assert_int_eq(ready(MAIN, MEMBERS), 0); /* all hot but the roles, which nobody wants */
    ck_assert_uint_eq(far->thaws, 0);
    ck_assert_str_eq(first_of("shop.dump.zst"), "far");
}
END_TEST

/* What is cold in the only copy that is not bad is asked for, all in one go. */
START_TEST(what_is_cold_everywhere_is_asked_for)
{
    verdict(near, false);
    far->tells = _i == 1;
    freeze_all(far);
    choose();
    ck_assert_int_eq(ready(0, MEMBERS), PGCASK_COLD);
    ck_assert_uint_eq(far->thaws, MEMBERS);
    ck_assert_error_has("backup '" RUN "': store 'far': 'chain/backup/" RUN "/");
    ck_assert_error_has("will be there soon (standard) (and 2 more)");
    ck_assert_str_eq(error_cure(), "run the same command again later, or with --wait");
    choose(); /* the same command again */
    ck_assert_int_eq(ready(0, MEMBERS), PGCASK_COLD);
    choose();
    ck_assert_msg(ready(0, MEMBERS) == 0, "%s", error_text());
    ck_assert_str_eq(first_of("shop.dump.zst"), "far");
}
END_TEST

START_TEST(only_what_no_other_copy_has_is_asked_for)
{
    freeze_all(far);
    fake_drop(near, member_object(near, manifest, ROWS)->key);
    choose();
    ck_assert_int_eq(ready(0, MEMBERS), PGCASK_COLD);
    ck_assert_uint_eq(far->thaws, 1);
    ck_assert_int_eq(member_object(far, manifest, ROWS)->tier, PGCASK_TIER_THAWING);
    ck_assert_int_eq(member_object(far, manifest, MAIN)->tier, PGCASK_TIER_COLD);
}
END_TEST

START_TEST(waiting_goes_on_until_all_is_there)
{
    CLEANUP_FREE char *said = NULL;
    struct talk talk;
    int rc;

    verdict(near, false);
    freeze_all(far);
    far->thaw_for = 7;
    options.wait = true;
    choose();
    talk = talk_begin(STDERR_FILENO);
    rc = ready(0, MEMBERS);
    said = talk_end(&talk);
    ck_assert_msg(rc == 0, "%s", error_text());
    ck_assert_has(said, "will be there soon (standard) (and 2 more), waiting for it");
    for (size_t i = 0; i < MEMBERS; i++)
        ck_assert_int_eq(member_object(far, manifest, i)->tier, PGCASK_TIER_THAWED);
}
END_TEST

static void
freeze_again(struct fake *fake, const char *key)
{
    static unsigned times;

    if (++times == 5)
        fake_find(fake, key)->tier = PGCASK_TIER_COLD;
}

START_TEST(what_gets_cold_again_is_asked_for_again)
{
    freeze_all(far);
    verdict(near, false);
    far->thaw_for = 4;
    far->stated = freeze_again;
    options.wait = true;
    choose();
    ck_assert_msg(ready(0, MEMBERS) == 0, "%s", error_text());
    ck_assert_uint_eq(far->thaws, MEMBERS + 1);
}
END_TEST

START_TEST(waiting_can_be_stopped)
{
    freeze_all(far);
    verdict(near, false);
    far->thaw_for = 1000000;
    options.wait = true;
    options.poll_ms = 3600 * 1000;
    choose();
    cancel_request();
    ck_assert_int_eq(ready(0, MEMBERS), ERROR_CANCELLED);
}
END_TEST

START_TEST(a_store_that_cannot_be_looked_at_is_passed_over)
{
    freeze_all(far);
    verdict(far, true);
    far->tells = false;
    choose();
    far->refuse = "shop";
    ck_assert_msg(ready(0, MEMBERS) == 0, "%s", error_text());
    ck_assert_str_eq(first_of("shop.dump.zst"), "near");
}
END_TEST

START_TEST(who_knows_no_cold_objects_is_not_looked_at)
{
    static struct storage *stores[1];

    forget();
    stores[0] = near->storage;
    ck_assert_int_eq(catalog_load(stores, 1, "chain", NULL, &catalog), 0);
    ck_assert_int_eq(restore_choose(&restore, catalog, &catalog->backups[0]), 0);
    near->stats = 0;
    ck_assert_int_eq(ready(0, MEMBERS), 0);
    ck_assert_uint_eq(near->stats, 0);
}
END_TEST

/* ---- objects ---- */

START_TEST(the_worst_of_them_counts)
{
    struct thaw_object objects[] = { { .tier = PGCASK_TIER_HOT },
                                     { .tier = PGCASK_TIER_THAWED, .until_s = 500 },
                                     { .tier = PGCASK_TIER_THAWED, .until_s = 300 },
                                     { .tier = PGCASK_TIER_THAWING },
                                     { .tier = PGCASK_TIER_COLD } };
    static const int worst[] = { PGCASK_TIER_HOT, PGCASK_TIER_THAWED, PGCASK_TIER_THAWED, PGCASK_TIER_THAWING,
                                 PGCASK_TIER_COLD };
    static const int64_t until[] = { 0, 500, 300, 0, 0 };
    struct thaw thaw = { .objects = objects, .len = (size_t)_i + 1 };
    int64_t until_s = -1;

    ck_assert_int_eq(thaw_tier(&thaw, &until_s), worst[_i]);
    ck_assert_int_eq(until_s, until[_i]);
    ck_assert_int_eq(thaw_all_readable(&thaw), _i < 3);
}
END_TEST

static const struct {
    const char *tier, *days, *poll;
    bool good;
} option_rows[] = {
    { NULL, NULL, NULL, true },
    { "expedited", "1", "1ms", true },
    { "bulk", "365", "2h", true },
    { "fast", NULL, NULL, false },
    { "", NULL, NULL, false },
    { NULL, "0", NULL, false },
    { NULL, "366", NULL, false },
    { NULL, "-1", NULL, false },
    { NULL, "seven", NULL, false },
    { NULL, NULL, "0", false },
    { NULL, NULL, "60", false },
};

START_TEST(options_are_checked)
{
    int rc = thaw_set_tier(&options, option_rows[_i].tier);

    if (rc == 0)
        rc = thaw_set_days(&options, option_rows[_i].days);
    if (rc == 0)
        rc = thaw_set_poll(&options, option_rows[_i].poll);
    ck_assert_int_eq(rc, option_rows[_i].good ? 0 : ERROR_USAGE);
    ck_assert(option_rows[_i].good || error_text()[0] != '\0');
}
END_TEST

static Suite *
thaw_suite(void)
{
    Suite *suite = suite_create("thaw");
    TCase *tcase = tcase_create("thaw");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, the_best_copy_comes_first, 0, ARRAY_LEN(order_rows));
    tcase_add_test(tcase, what_is_in_no_store_cannot_be_chosen);
    tcase_add_loop_test(tcase, hot_copies_need_one_look, 0, 2);
    tcase_add_test(tcase, a_listing_that_tells_is_enough);
    tcase_add_loop_test(tcase, a_hot_copy_is_read_rather_than_a_cold_one, 0, 2);
    tcase_add_test(tcase, only_what_is_needed_counts);
    tcase_add_loop_test(tcase, what_is_cold_everywhere_is_asked_for, 0, 2);
    tcase_add_test(tcase, only_what_no_other_copy_has_is_asked_for);
    tcase_add_test(tcase, waiting_goes_on_until_all_is_there);
    tcase_add_test(tcase, what_gets_cold_again_is_asked_for_again);
    tcase_add_test(tcase, a_store_that_cannot_be_looked_at_is_passed_over);
    tcase_add_test(tcase, who_knows_no_cold_objects_is_not_looked_at);
    tcase_add_loop_test(tcase, the_worst_of_them_counts, 0, 5);
    tcase_add_loop_test(tcase, options_are_checked, 0, ARRAY_LEN(option_rows));
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("cancel"); /* last: without forks it cannot be taken back */
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, waiting_can_be_stopped);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(thaw_suite)
