/* SPDX-License-Identifier: PostgreSQL
 *
 * Many manifests at once: how many requests a list costs, how many of them are under
 * way at the same time, and what becomes of those that fail.
 */
#include "config.h"

#include "catalog/catalog.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/file.h"
#include "unit-catalog.h"
#include "unit-talk.h"
#include "unit.h"

enum { BACKUPS = 100, WAIT_S = 30 };

/* A store that takes any number of calls at once. Each get waits until `crowd` of them have been there together. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    unsigned crowd, inside, peak;
} door = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };

static int
crowded_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    struct timespec until;
    int rc;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    (void)pthread_mutex_lock(&door.lock);
    if (++door.inside > door.peak)
        door.peak = door.inside;
    (void)pthread_cond_broadcast(&door.more);
    while (door.peak < door.crowd && pthread_cond_timedwait(&door.more, &door.lock, &until) == 0)
        ;
    rc = fake_get(handle, key, offset, data, size);
    door.inside--;
    (void)pthread_mutex_unlock(&door.lock);
    return rc;
}

/* Instead of the store `one`. */
static void
reopen(int thread_model, int64_t parallel)
{
    static struct plugin plugin;
    const struct config_store policy = { .required = 1, .parallel = parallel };

    plugin = fake_plugin;
    plugin.thread_model = thread_model;
    plugin.storage.get = crowded_get;
    fake_next = one;
    storage_close(one->storage);
    ck_assert_int_eq(storage_open_plugin("one", &plugin, NULL, &policy, 0, &one->storage), 0);
    stores[0] = one->storage;
}

static void
setup(void)
{
    catalog_setup();
    door.crowd = door.peak = door.inside = 0;
    for (int i = 0; i < BACKUPS; i++) {
        CLEANUP_FREE char *id = mem_printf("202611%02dT02%02d00Z-daily", 1 + i / 10, i % 10);

        put_backup(one, id, "all", false);
    }
}

static void
forget_counts(struct fake *fake)
{
    fake->gets = fake->stats = fake->lists = 0;
}

static void
read_all(const struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->len; i++) {
        const struct manifest *manifest;

        ck_assert_msg(catalog_manifest(catalog, &catalog->backups[i], &manifest) == 0, "%s", error_text());
        ck_assert_str_eq(manifest->id, catalog->backups[i].id);
    }
}

/* What a list costs: one listing and one get for each manifest; the next time the listing only. */
START_TEST(a_list_costs_one_get_for_each_manifest_that_is_new)
{
    CLEANUP_FREE char *cache = dir_path("cache");

    ck_assert_int_eq(file_mkdirs(cache), 0);
    for (int turn = 0; turn < 3; turn++) {
        CLEANUP(catalog_free) struct catalog *catalog = NULL;

        if (turn == 2)
            put_backup(one, "20261122T020000Z-daily", "all", false);
        forget_counts(one);
        catalog = load(cache);
        catalog_repository_is(catalog, REPOSITORY);
        catalog_prefetch(catalog, NULL);
        read_all(catalog);
        ck_assert_uint_eq(catalog->len, BACKUPS + (turn == 2));
        ck_assert_uint_eq(one->lists, 1);
        ck_assert_uint_eq(one->stats, 0);
        ck_assert_uint_eq(one->gets, turn == 0 ? BACKUPS : turn == 1 ? 0 : 1);
    }
}
END_TEST

/* Nobody has told: then each store is asked, once. */
START_TEST(the_repository_is_asked_for_once)
{
    CLEANUP(catalog_free) struct catalog *catalog = load(NULL);

    forget_counts(one);
    catalog_prefetch(catalog, NULL);
    read_all(catalog);
    ck_assert_uint_eq(one->stats, 0);
    ck_assert_uint_eq(one->gets, BACKUPS + 1);
    ck_assert_uint_eq(two->gets, 0); /* it has none of them */
}
END_TEST

static const struct crowd_row {
    int thread_model;
    int64_t parallel;
    unsigned peak;
} crowd_rows[] = {
    { PGCASK_THREADS_PARALLEL, 2, 16 },   /* small ones: more than parts of large ones */
    { PGCASK_THREADS_PARALLEL, 24, 24 },
    { PGCASK_THREADS_PARALLEL, 1, 1 },    /* whoever says 1 means it */
    { PGCASK_THREADS_PER_HANDLE, 2, 1 },
    { PGCASK_THREADS_ONE, 2, 1 },
};

START_TEST(as_many_at_once_as_the_store_can_take)
{
    const struct crowd_row *row = &crowd_rows[_i];
    CLEANUP(catalog_free) struct catalog *catalog = NULL;

    reopen(row->thread_model, row->parallel);
    catalog = load(NULL);
    catalog_repository_is(catalog, REPOSITORY);
    door.crowd = row->peak;
    catalog_prefetch(catalog, NULL);
    ck_assert_uint_eq(door.peak, row->peak);
    read_all(catalog);
}
END_TEST

START_TEST(only_those_of_the_job_are_fetched)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;

    put_backup(one, "20261122T020000Z-weekly", "all", false);
    put_object(one, "20261123T020000Z-weekly", "globals.sql.zst.age", "never finished");
    forget_counts(one);
    catalog = load(NULL);
    catalog_repository_is(catalog, REPOSITORY);
    catalog_prefetch(catalog, "weekly");
    ck_assert_uint_eq(one->gets, 1);
}
END_TEST

START_TEST(what_failed_is_told_by_who_asks_for_it_and_tried_again_later)
{
    static const char id[] = "20261122T020000Z-daily";
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    const struct manifest *manifest;

    put_object(one, id, LABEL_MANIFEST, "rubbish");
    catalog = load(NULL);
    catalog_repository_is(catalog, REPOSITORY);
    catalog_prefetch(catalog, NULL);
    ck_assert_str_eq(error_text(), "");
    forget_counts(one);
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[BACKUPS], &manifest), ERROR_CORRUPT);
    ck_assert_error_has("store 'one': object 'chain/backup/20261122T020000Z-daily/manifest.json' is not valid JSON");
    ck_assert_uint_eq(one->gets, 0);
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[BACKUPS], &manifest), ERROR_CORRUPT);
    ck_assert_uint_eq(one->gets, 1);
}
END_TEST

START_TEST(the_next_store_helps_out_and_the_trouble_is_told)
{
    static const char id[] = "20261122T020000Z-daily";
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    CLEANUP_FREE char *said = NULL;
    struct talk talk;

    put_object(one, id, LABEL_MANIFEST, "rubbish");
    put_backup(two, id, "all", false);
    catalog = load(NULL);
    catalog_repository_is(catalog, REPOSITORY);
    talk = talk_begin(STDERR_FILENO);
    catalog_prefetch(catalog, NULL);
    said = talk_end(&talk);
    ck_assert_has(said, "manifest.json' is not valid JSON");
    ck_assert_has(said, "trying the next store");
    read_all(catalog);
}
END_TEST

/* A listing that says other than what is there. */
START_TEST(a_manifest_of_absurd_size_is_not_fetched)
{
    CLEANUP(catalog_free) struct catalog *catalog = load(NULL);
    const struct manifest *manifest;

    catalog_repository_is(catalog, REPOSITORY);
    catalog->backups[0].copies[0].manifest_size = (uint64_t)MANIFEST_LIMIT_BYTES + 1;
    catalog->backups[1].copies[0].manifest_size++;
    catalog->backups[2].copies[0].manifest_size--;
    catalog->backups[3].copies[0].manifest_size = 0;
    forget_counts(one);
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[0], &manifest), ERROR_CORRUPT);
    ck_assert_uint_eq(one->gets, 0);
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[1], &manifest), PGCASK_FAILED);
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[2], &manifest), 0); /* the newline at the end */
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[3], &manifest), ERROR_CORRUPT);
}
END_TEST

static Suite *
prefetch_suite(void)
{
    Suite *suite = suite_create("catalog-prefetch");
    TCase *tcase = tcase_create("prefetch");

    tcase_add_checked_fixture(tcase, setup, catalog_teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_list_costs_one_get_for_each_manifest_that_is_new);
    tcase_add_test(tcase, the_repository_is_asked_for_once);
    tcase_add_loop_test(tcase, as_many_at_once_as_the_store_can_take, 0, ARRAY_LEN(crowd_rows));
    tcase_add_test(tcase, only_those_of_the_job_are_fetched);
    tcase_add_test(tcase, what_failed_is_told_by_who_asks_for_it_and_tried_again_later);
    tcase_add_test(tcase, the_next_store_helps_out_and_the_trouble_is_told);
    tcase_add_test(tcase, a_manifest_of_absurd_size_is_not_fetched);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(prefetch_suite)
