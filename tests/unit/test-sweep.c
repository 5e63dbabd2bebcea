/* SPDX-License-Identifier: PostgreSQL
 *
 * The broom: what a dead run left goes, what a living run writes stays, and nothing
 * that was ever committed is touched, whatever happens meanwhile.
 */
#include "config.h"

#include "pipeline/stores.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "unit-lease.h"
#include "unit.h"

START_TEST(an_old_orphan_without_a_lease_is_swept)
{
    put_aged("chain/backup/" RUN "/globals.sql.zst.age", DAY_S + 600);
    (void)fake_text(fake, "pgcask.json", "{}");
    sweep_quietly();
    ck_assert_uint_eq(fake->len, 1);
    ck_assert(has("pgcask.json"));
    ck_assert_str_eq(error_text(), "");
}
END_TEST

/* It may be on its way here from another store, by hands that know no leases. */
static const int64_t young_s[] = { 0, DAY_S - 600, -1, -3600 /* by its store's clock */ };

START_TEST(a_young_orphan_stays)
{
    put_aged("chain/backup/" RUN "/globals.sql.zst.age", young_s[_i]);
    sweep_quietly();
    ck_assert_uint_eq(fake->len, 2); /* not even its old half goes */
    put_aged("chain/backup/" RUN "/globals.sql.zst.age", DAY_S + 600);
    sweep_quietly();
    ck_assert_uint_eq(fake->len, 0);
}
END_TEST

START_TEST(a_lease_protects_its_own_backup_only)
{
    CLEANUP_JSON json_t *json = own_lease();

    put_aged("chain/backup/20261121T020000Z-daily/shop.dump.zst.age", 2 * DAY_S);
    put_lease(json, 0);
    sweep_quietly();
    ck_assert(has(LEASE) && has(ORPHAN));
    ck_assert_uint_eq(fake->len, 2);
}
END_TEST

START_TEST(one_living_lease_among_dead_ones_is_enough)
{
    CLEANUP_JSON json_t *json = own_lease();
    CLEANUP_FREE char *dead = NULL;

    put_lease(json, 0);
    (void)json_object_set_new(json, "pid", json_integer(dead_pid()));
    dead = json_pretty(json);
    (void)fake_text(fake, "chain/lease/aaa-1-00.json", dead);
    (void)fake_text(fake, "chain/lease/zzz-1-00.json", dead);
    sweep_quietly();
    ck_assert(has(LEASE) && has(ORPHAN));
    ck_assert_uint_eq(fake->len, 2);
}
END_TEST

START_TEST(what_was_committed_is_never_touched)
{
    CLEANUP_JSON json_t *json = own_lease();

    (void)json_object_set_new(json, "pid", json_integer(dead_pid()));
    (void)fake_text(fake, MANIFEST, "rubbish"); /* bad ones are for verify to find */
    put_lease(json, 30 * DAY_S);
    sweep_quietly();
    ck_assert(!has(LEASE));
    ck_assert(has(ORPHAN) && has(MANIFEST));
    ck_assert_uint_eq(fake->removed.len, 1);
}
END_TEST

/* Its manifest was lost: the members are all that is left of a good backup. */
START_TEST(what_was_finished_once_is_told_and_stays)
{
    CLEANUP_FREE char *said = NULL;

    put_aged("chain/backup/" RUN "/verdict-20261122T020100Z-good.json", 2 * DAY_S);
    said = sweep();
    ck_assert_has(said, "backup '" RUN "' was finished once, but its manifest is missing");
    ck_assert(has(ORPHAN));
}
END_TEST

START_TEST(other_clusters_and_strangers_are_left_alone)
{
    static const char *const keys[] = {
        "shop/backup/" RUN "/shop.dump.zst.age", "shop/lease/host-1-00.json", "chain/backup/notes.txt",
        "chain/backups/" RUN "/shop.dump.zst.age", "chain/wal/00000001", "else",
    };
    CLEANUP_FREE char *said = NULL;

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        (void)fake_text(fake, keys[i], "bytes");
    said = sweep();
    ck_assert_has(said, "'chain/backup/notes.txt' is not part of a backup");
    ck_assert(!has(ORPHAN));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        ck_assert_msg(has(keys[i]), "%s is gone", keys[i]);
}
END_TEST

START_TEST(uploads_older_than_a_day_are_swept)
{
    int64_t before_s = clock_now_s() - DAY_S;

    sweep_quietly();
    ck_assert_uint_eq(fake->sweeps, 1);
    ck_assert(fake->sweep_before_s >= before_s && fake->sweep_before_s <= clock_now_s() - DAY_S);
}
END_TEST

/* ---- what happens meanwhile ---- */

static void
commit_meanwhile(struct fake *store, const char *prefix)
{
    if (strcmp(prefix, "chain/lease/") == 0) {
        fake_drop(store, LEASE); /* in this order: the lease outlives the commit */
        (void)fake_text(store, MANIFEST, "{}");
    }
}

START_TEST(a_backup_committed_between_the_two_looks_stays)
{
    fake->listed = commit_meanwhile;
    sweep_quietly();
    ck_assert(has(ORPHAN) && has(MANIFEST));
    ck_assert_uint_eq(fake->removed.len, 0);
    ck_assert_str_eq(error_text(), "");
}
END_TEST

static void
end_meanwhile(struct fake *store, const char *prefix)
{
    if (strcmp(prefix, "chain/lease/") == 0) {
        (void)fake_text(store, MANIFEST, "{}");
        fake_drop(store, LEASE);
    }
}

START_TEST(a_lease_that_goes_between_list_and_read_is_no_trouble)
{
    CLEANUP_JSON json_t *json = own_lease();

    put_lease(json, 0);
    fake->listed = end_meanwhile; /* behind the listing: it still shows the lease */
    sweep_quietly();
    ck_assert(has(ORPHAN) && has(MANIFEST));
}
END_TEST

static void
begin_meanwhile(struct fake *store, const char *prefix)
{
    CLEANUP_JSON json_t *json = NULL;
    CLEANUP_FREE char *text = NULL;

    if (strcmp(prefix, "chain/lease/") != 0 || fake_find(store, LEASE) != NULL)
        return;
    json = own_lease();
    text = json_pretty(json);
    (void)fake_text(store, LEASE, text);
    put_aged(ORPHAN, 2 * DAY_S); /* as if the clocks differed */
}

/* The backups are listed before the leases: a run that begins in between is not seen at all. */
START_TEST(a_run_that_begins_meanwhile_keeps_its_objects)
{
    fake_drop(fake, ORPHAN);
    fake->listed = begin_meanwhile;
    sweep_quietly();
    ck_assert(has(ORPHAN) && has(LEASE));
}
END_TEST

/* ---- trouble ---- */

static const struct trouble_row {
    const char *refuse;
    int code;
    const char *said; /* NULL: nothing */
    bool lease;       /* there is a dead one */
} trouble_rows[] = {
    { "chain/backup/", PGCASK_FAILED, "nothing is swept there", true },                 /* backups cannot be listed */
    { "chain/lease/", PGCASK_FAILED, "nothing is swept there", true },                  /* leases cannot be listed */
    { LEASE, PGCASK_FAILED, "no answer for '" LEASE "', nothing is swept there", true }, /* one cannot be read */
    { LEASE, PGCASK_COLD, "nothing is swept there", true },
    { MANIFEST, PGCASK_FAILED, NULL, true },                                            /* is it committed? not known */
    { MANIFEST, PGCASK_FAILED, NULL, false },
    { "chain/backup/" RUN "/", PGCASK_FAILED, NULL, false },                            /* is it old? not known */
};

START_TEST(in_doubt_nothing_is_swept)
{
    const struct trouble_row *row = &trouble_rows[_i];
    CLEANUP_JSON json_t *json = own_lease();
    CLEANUP_FREE char *said = NULL;

    (void)json_object_set_new(json, "pid", json_integer(dead_pid())); /* dead, if only it could be read */
    if (row->lease)
        put_lease(json, 0);
    fake->refuse = row->refuse;
    fake->refuse_code = row->code;
    said = sweep();
    if (row->said != NULL)
        ck_assert_has(said, row->said);
    ck_assert(has(ORPHAN));
}
END_TEST

static const char *const bad_leases[] = { "", "rubbish", "[]", "{}", "{\"backup\": 5}" };

START_TEST(a_lease_that_makes_no_sense_stops_the_broom)
{
    CLEANUP_FREE char *said = NULL;

    (void)fake_text(fake, LEASE, bad_leases[_i]);
    said = sweep();
    ck_assert_has(said, "nothing is swept there");
    ck_assert(has(ORPHAN) && has(LEASE));
}
END_TEST

/* … for a week, like everybody's word. */
START_TEST(an_old_lease_that_makes_no_sense_goes)
{
    CLEANUP_FREE char *said = NULL;

    fake_text(fake, LEASE, bad_leases[_i])->mtime_s = clock_now_s() - 8 * DAY_S;
    said = sweep();
    ck_assert_has(said, "removing what is no lease");
    ck_assert(!has(LEASE) && !has(ORPHAN));
}
END_TEST

START_TEST(an_orphan_that_cannot_be_removed_is_told)
{
    CLEANUP_FREE char *said = NULL;

    fake->refuse = "shop.dump";
    said = sweep();
    ck_assert_has(said, "no answer for '" ORPHAN "', objects of the unfinished backup stay");
}
END_TEST

/* ---- discard ---- */

START_TEST(the_manifest_goes_first)
{
    (void)fake_text(fake, "chain/backup/" RUN "/a.dump.zst.age", "bytes");
    (void)fake_text(fake, MANIFEST, "{}");
    (void)fake_text(fake, "chain/backup/" RUN "x/b.dump.zst.age", "bytes"); /* another id that begins so */
    stores_discard(fake->storage, "chain", RUN);
    ck_assert_uint_eq(fake->len, 1);
    ck_assert(has("chain/backup/" RUN "x/b.dump.zst.age"));
    ck_assert_str_eq(fake->removed.items[0], MANIFEST);
}
END_TEST

START_TEST(what_has_no_manifest_is_discarded_as_well)
{
    stores_discard(fake->storage, "chain", RUN);
    ck_assert_uint_eq(fake->len, 0);
    stores_discard(fake->storage, "chain", RUN); /* nothing there is no trouble */
    ck_assert_str_eq(error_text(), "");
}
END_TEST

START_TEST(while_the_manifest_stays_everything_stays)
{
    struct talk talk = talk_begin(STDERR_FILENO);
    CLEANUP_FREE char *said = NULL;

    (void)fake_text(fake, MANIFEST, "{}");
    fake->refuse = MANIFEST;
    stores_discard(fake->storage, "chain", RUN);
    said = talk_end(&talk);
    ck_assert(has(ORPHAN) && has(MANIFEST));
    ck_assert_has(said, "objects of the unfinished backup stay");
}
END_TEST

static Suite *
sweep_suite(void)
{
    Suite *suite = suite_create("sweep");
    TCase *broom = tcase_create("broom"), *discard = tcase_create("discard");

    tcase_add_checked_fixture(broom, lease_setup, lease_teardown);
    suite_add_tcase(suite, broom);
    tcase_add_checked_fixture(discard, lease_setup, lease_teardown);
    suite_add_tcase(suite, discard);
    tcase_add_test(broom, an_old_orphan_without_a_lease_is_swept);
    tcase_add_loop_test(broom, a_young_orphan_stays, 0, ARRAY_LEN(young_s));
    tcase_add_test(broom, a_lease_protects_its_own_backup_only);
    tcase_add_test(broom, one_living_lease_among_dead_ones_is_enough);
    tcase_add_test(broom, what_was_committed_is_never_touched);
    tcase_add_test(broom, what_was_finished_once_is_told_and_stays);
    tcase_add_test(broom, other_clusters_and_strangers_are_left_alone);
    tcase_add_test(broom, uploads_older_than_a_day_are_swept);
    tcase_add_test(broom, a_backup_committed_between_the_two_looks_stays);
    tcase_add_test(broom, a_lease_that_goes_between_list_and_read_is_no_trouble);
    tcase_add_test(broom, a_run_that_begins_meanwhile_keeps_its_objects);
    tcase_add_loop_test(broom, in_doubt_nothing_is_swept, 0, ARRAY_LEN(trouble_rows));
    tcase_add_loop_test(broom, a_lease_that_makes_no_sense_stops_the_broom, 0, ARRAY_LEN(bad_leases));
    tcase_add_loop_test(broom, an_old_lease_that_makes_no_sense_goes, 0, ARRAY_LEN(bad_leases));
    tcase_add_test(broom, an_orphan_that_cannot_be_removed_is_told);
    tcase_add_test(discard, the_manifest_goes_first);
    tcase_add_test(discard, what_has_no_manifest_is_discarded_as_well);
    tcase_add_test(discard, while_the_manifest_stays_everything_stays);
    return suite;
}

UNIT_MAIN(sweep_suite)
