/* SPDX-License-Identifier: PostgreSQL
 *
 * What exists, as the stores' listings show it: verdicts, and what `latest` means.
 * Reading manifests: test-catalog-manifest.c.
 */
#include "config.h"

#include "catalog/catalog.h"

#include <string.h>

#include "base/error.h"
#include "unit-catalog.h"
#include "unit-talk.h"
#include "unit.h"

static struct catalog_backup *
find(const struct catalog *catalog, const char *id, const char *job)
{
    struct catalog_backup *backup = NULL;

    ck_assert_msg(catalog_find(catalog, id, job, &backup) == 0, "%s", error_text());
    return backup;
}

/* ---- listing ---- */

START_TEST(backups_of_all_stores_are_in_order_and_counted_once)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;

    put_backup(two, "20261120T020000Z-daily", "all", false);
    put_backup(one, "20261122T020000Z-daily", "all", false);
    put_backup(two, "20261121T020000Z-daily", "all", false);
    put_backup(one, "20261121T020000Z-daily", "all", false);
    (void)fake_text(one, "other/backup/20261123T020000Z-daily/manifest.json", "{}");
    catalog = load(NULL);
    ck_assert_uint_eq(catalog->len, 3);
    ck_assert_str_eq(catalog->backups[0].id, "20261120T020000Z-daily");
    ck_assert_str_eq(catalog->backups[1].id, "20261121T020000Z-daily");
    ck_assert_str_eq(catalog->backups[2].id, "20261122T020000Z-daily");
    ck_assert_str_eq(catalog->backups[2].job, "daily");
    ck_assert_int_eq(catalog->backups[2].start_s, 1795312800);
    ck_assert_uint_eq(catalog->backups[0].len, 1);
    ck_assert_uint_eq(catalog->backups[0].copies[0].store, 1);
    ck_assert_uint_eq(catalog->backups[1].len, 2);
    ck_assert_uint_eq(catalog->backups[1].copies[0].keys.len, 2);
    ck_assert_str_eq(catalog->backups[1].copies[1].keys.items[1], "chain/backup/20261121T020000Z-daily/manifest.json");
}
END_TEST

START_TEST(strange_objects_are_passed_over_and_named)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    struct talk talk = talk_begin(STDERR_FILENO);
    CLEANUP_FREE char *said = NULL;

    (void)fake_text(one, "chain/backup/notes.txt", "");
    (void)fake_text(one, "chain/backup/20261122T020000Z-daily/a b", "");
    put_backup(one, "20261122T020000Z-daily", "all", false);
    catalog = load(NULL);
    said = talk_end(&talk);
    ck_assert_uint_eq(catalog->len, 1);
    ck_assert_uint_eq(catalog->backups[0].copies[0].keys.len, 2);
    ck_assert_has(said, "'chain/backup/notes.txt' is not part of a backup, ignoring that object");
    ck_assert_has(said, "'a b' is not the name of an object of a backup");
}
END_TEST

START_TEST(a_store_that_cannot_be_listed_is_an_error)
{
    struct catalog *catalog = NULL;

    two->refuse = "chain/";
    ck_assert_int_eq(catalog_load(stores, 2, "chain", NULL, &catalog), PGCASK_FAILED);
    ck_assert_error_has("store 'two': no answer");
    ck_assert_ptr_null(catalog);
}
END_TEST

/* ---- states ---- */

#define U CATALOG_UNVERIFIED
#define G CATALOG_GOOD
#define B CATALOG_BAD

static const struct verdict_row {
    const char *verdicts; /* in the order of writing: "g5" is a good one at second 5 */
    enum catalog_state state;
} verdict_rows[] = {
    { "", U },
    { "g5", G },
    { "b5", B },
    { "g5b6", B }, /* the newest counts, whatever came before */
    { "b5g6", G },
    { "g6b5", G }, /* written late, or listed in another order */
    { "b6g5", B },
    { "b5g6b7", B },
    { "g5b5", B }, /* of two in one second the bad one */
    { "b5g5", B },
    { "b4g5", G },
    { "b5g5g6", G },
};

START_TEST(the_newest_verdict_counts)
{
    static const char id[] = "20261122T020000Z-daily";
    CLEANUP(catalog_free) struct catalog *catalog = NULL;

    put_backup(one, id, "all", false);
    for (const char *p = verdict_rows[_i].verdicts; *p != '\0'; p += 2)
        put_verdict(one, id, 1795312800 + p[1] - '0', *p == 'g');
    catalog = load(NULL);
    ck_assert_uint_eq(catalog->len, 1);
    ck_assert_int_eq(catalog->backups[0].copies[0].state, verdict_rows[_i].state);
    ck_assert_int_eq(catalog_state(&catalog->backups[0]), verdict_rows[_i].state);
}
END_TEST

enum { NO_MANIFEST = -1, NO_COPY = -2 };

static const struct state_row {
    int one, two; /* a state, or what the store lacks */
    enum catalog_state state;
} state_rows[] = {
    { G, B, G },           /* one good copy is enough */
    { B, G, G },
    { U, B, U },
    { B, U, U },
    { B, B, B },
    { U, G, G },
    { B, NO_COPY, B },
    { NO_MANIFEST, B, B }, /* objects without a manifest are no copy, verified or not */
    { NO_MANIFEST, U, U },
};

START_TEST(the_best_copy_counts)
{
    static const char id[] = "20261122T020000Z-daily";
    const int states[] = { state_rows[_i].one, state_rows[_i].two };
    CLEANUP(catalog_free) struct catalog *catalog = NULL;

    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct fake *fake = i == 0 ? one : two;

        if (states[i] >= 0)
            put_backup(fake, id, "all", false);
        if (states[i] == NO_MANIFEST)
            put_verdict(fake, id, 1795312900, true);
        if (states[i] == G || states[i] == B)
            put_verdict(fake, id, 1795312900, states[i] == G);
    }
    catalog = load(NULL);
    ck_assert_uint_eq(catalog->len, 1);
    ck_assert_int_eq(catalog_state(&catalog->backups[0]), state_rows[_i].state);
}
END_TEST

/* ---- choosing ---- */

/* What `latest` passes over, put behind one that it may take. */
static const struct latest_row {
    const char *id;
    const char *content; /* NULL: never finished */
    bool selection, bad;
    const char *job;     /* asked for */
    bool taken;
} latest_rows[] = {
    { "20261123T020000Z-daily", "all", false, false, NULL, true },
    { "20261123T020000Z-daily", "all", false, true, NULL, false },
    { "20261123T020000Z-daily", NULL, false, false, NULL, false },
    { "20261123T020000Z-daily", "all", true, false, NULL, false },
    { "20261123T020000Z-daily", "schema", false, false, NULL, false },
    { "20261123T020000Z-daily", "data", false, false, NULL, false },
    { "20261123T020000Z-weekly", "all", false, false, "daily", false },
    { "20261123T020000Z-weekly", "all", false, false, NULL, true },
    { "20261123T020000Z-dail", "all", false, false, "daily", false },
    { "20261121T020000Z-daily", "all", false, false, NULL, false }, /* older */
};

START_TEST(latest_is_the_newest_that_can_be_meant)
{
    const struct latest_row *row = &latest_rows[_i];
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    struct talk talk = talk_begin(STDERR_FILENO);
    CLEANUP_FREE char *said = NULL;

    put_backup(one, "20261122T020000Z-daily", "all", false);
    if (row->content != NULL)
        put_backup(one, row->id, row->content, row->selection);
    else
        put_object(one, row->id, "globals.sql.zst.age", "bytes");
    if (row->bad)
        put_verdict(one, row->id, 1795500000, false);
    catalog = load(NULL);
    ck_assert_str_eq(find(catalog, "latest", row->job)->id, row->taken ? row->id : "20261122T020000Z-daily");
    said = talk_end(&talk);
    if (row->bad)
        ck_assert_has(said, "backup '20261123T020000Z-daily' is passed over: its verification failed");
    else
        ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(latest_passes_over_a_manifest_it_cannot_read)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    struct talk talk = talk_begin(STDERR_FILENO);
    CLEANUP_FREE char *said = NULL;

    put_backup(one, "20261122T020000Z-daily", "all", false);
    put_object(one, "20261123T020000Z-daily", LABEL_MANIFEST, "rubbish");
    catalog = load(NULL);
    ck_assert_str_eq(find(catalog, "latest", NULL)->id, "20261122T020000Z-daily");
    said = talk_end(&talk);
    ck_assert_has(said, "20261123T020000Z-daily/manifest.json' is not valid JSON");
    ck_assert_has(said, "passing over that backup");
}
END_TEST

START_TEST(latest_can_be_of_one_kind)
{
    static const struct {
        const char *kind, *job, *id; /* id NULL: there is none */
    } rows[] = {
        { NULL, NULL, "20261122T020000Z-full" },        /* the newest of all */
        { KIND_BASE, NULL, "20261122T020000Z-full" },
        { KIND_DUMP, NULL, "20261121T020000Z-daily" },
        { KIND_BASE, "daily", NULL },
    };
    CLEANUP(manifest_free) struct manifest *base = made_base();
    CLEANUP_FREE char *text = manifest_encode(base);
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    struct catalog_backup *backup = NULL;
    int rc;

    put_backup(one, "20261121T020000Z-daily", "all", false);
    put_object(one, base->id, LABEL_MANIFEST, text);
    catalog = load(NULL);
    rc = catalog_latest(catalog, rows[_i].kind, rows[_i].job, NULL, &backup);
    ck_assert_int_eq(rc, rows[_i].id ? 0 : ERROR_USAGE);
    if (rc == 0)
        ck_assert_str_eq(backup->id, rows[_i].id);
    else
        ck_assert_error_has("has no full backup of kind 'base' of job 'daily'");
}
END_TEST

START_TEST(without_any_latest_is_a_usage_error)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    struct catalog_backup *backup = NULL;

    put_backup(one, "20261122T020000Z-daily", "schema", false);
    catalog = load(NULL);
    ck_assert_int_eq(catalog_find(catalog, "latest", "daily", &backup), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "cluster 'chain' has no full backup of job 'daily'");
    ck_assert_int_eq(catalog_find(catalog, "latest", NULL, &backup), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "cluster 'chain' has no full backup");
    ck_assert_ptr_null(backup);
}
END_TEST

START_TEST(by_its_id_anything_finished_is_found)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    struct catalog_backup *backup = NULL;

    put_backup(one, "20261122T020000Z-daily", "schema", true);
    put_verdict(one, "20261122T020000Z-daily", 1795500000, false);
    put_object(one, "20261123T020000Z-daily", "globals.sql.zst.age", "bytes");
    catalog = load(NULL);
    ck_assert_str_eq(find(catalog, "20261122T020000Z-daily", NULL)->id, "20261122T020000Z-daily");
    ck_assert_int_eq(catalog_find(catalog, "20261123T020000Z-daily", NULL, &backup), ERROR_USAGE); /* unfinished */
    ck_assert_str_eq(error_text(), "cluster 'chain' has no backup '20261123T020000Z-daily'");
    ck_assert_int_eq(catalog_find(catalog, "20261124T020000Z-daily", NULL, &backup), ERROR_USAGE);
    ck_assert_int_eq(catalog_find(catalog, "yesterday", NULL, &backup), ERROR_USAGE);
    ck_assert_error_has("'yesterday' is not the id of a backup");
    ck_assert_ptr_null(backup);
}
END_TEST

/* Which of the backups below is the last good one. All were verified, but the third. */
static const struct {
    const char *id, *content;
    bool selection, good;
} past[] = {
    { "20261121T020000Z-daily", "all", false, true },
    { "20261122T020000Z-daily", "all", false, true },
    { "20261123T020000Z-daily", "all", false, false },
    { "20261124T020000Z-daily", "schema", false, true },
    { "20261125T020000Z-daily", "all", true, true },
    { "20261126T020000Z-weekly", "all", false, true },
};

static const struct good_row {
    const char *job;
    int64_t before_s;
    const char *content;
    bool selection;
    int index; /* of past; -1: none */
} good_rows[] = {
    { "daily", 1900000000, "all", false, 1 },
    { "daily", 1795312801, "all", false, 1 },
    { "daily", 1795312800, "all", false, 0 }, /* the run of that second is the one that asks */
    { "daily", 1795312800 - 86400, "all", false, -1 },
    { "daily", 1900000000, "schema", false, 3 },
    { "daily", 1900000000, "data", false, -1 },
    { "daily", 1900000000, "all", true, 4 },
    { "weekly", 1900000000, "all", false, 5 },
    { "hourly", 1900000000, "all", false, -1 },
};

START_TEST(the_last_good_one_is_of_the_same_kind)
{
    const struct good_row *row = &good_rows[_i];
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    const struct catalog_backup *found;

    for (size_t i = 0; i < ARRAY_LEN(past); i++) {
        put_backup(one, past[i].id, past[i].content, past[i].selection);
        if (past[i].good)
            put_verdict(one, past[i].id, 1795900000, true);
    }
    catalog = load(NULL);
    found = catalog_last_good(catalog, row->job, row->before_s, row->content, row->selection);
    ck_assert_pstr_eq(found ? found->id : NULL, row->index < 0 ? NULL : past[row->index].id);
}
END_TEST

static Suite *
catalog_suite(void)
{
    Suite *suite = suite_create("catalog");
    TCase *list = tcase_create("list"), *choose = tcase_create("choose");
    TCase *cases[] = { list, choose };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        tcase_add_checked_fixture(cases[i], catalog_setup, catalog_teardown);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_test(list, backups_of_all_stores_are_in_order_and_counted_once);
    tcase_add_test(list, strange_objects_are_passed_over_and_named);
    tcase_add_test(list, a_store_that_cannot_be_listed_is_an_error);
    tcase_add_loop_test(list, the_newest_verdict_counts, 0, ARRAY_LEN(verdict_rows));
    tcase_add_loop_test(list, the_best_copy_counts, 0, ARRAY_LEN(state_rows));
    tcase_add_loop_test(choose, latest_is_the_newest_that_can_be_meant, 0, ARRAY_LEN(latest_rows));
    tcase_add_test(choose, latest_passes_over_a_manifest_it_cannot_read);
    tcase_add_loop_test(choose, latest_can_be_of_one_kind, 0, 4);
    tcase_add_test(choose, without_any_latest_is_a_usage_error);
    tcase_add_test(choose, by_its_id_anything_finished_is_found);
    tcase_add_loop_test(choose, the_last_good_one_is_of_the_same_kind, 0, ARRAY_LEN(good_rows));
    return suite;
}

UNIT_MAIN(catalog_suite)
