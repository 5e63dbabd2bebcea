/* SPDX-License-Identifier: PostgreSQL
 *
 * What the host does around a storage plugin's callbacks, against a plugin that answers as told: retry, lies, locks,
 * cancellation, and what is refused before the plugin ever sees it. Writing is in test-storage-put.c, removing in
 * test-storage-remove.c, looking after a store in test-storage-check.c.
 */
#include "config.h"

#include "plugin/storage.h"

#include <pthread.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/mem.h"
#include "unit-told.h"

/* ---- retry ---- */

static const struct {
    int answers[5];
    int code;       /* what the caller gets */
    unsigned calls; /* how often the plugin was asked; 3 retries are allowed */
} retry_rows[] = {
    { { 0 }, 0, 1 },                                                                      /* at once */
    { { PGCASK_RETRY, 0 }, 0, 2 },                                                        /* after one pause */
    { { PGCASK_RETRY, PGCASK_RETRY, PGCASK_RETRY, 0 }, 0, 4 },                            /* with the last try */
    { { PGCASK_RETRY, PGCASK_RETRY, PGCASK_RETRY, PGCASK_RETRY, 0 }, PGCASK_FAILED, 4 },  /* given up */
    { { PGCASK_FAILED, 0 }, PGCASK_FAILED, 1 },                                           /* final means final */
    { { PGCASK_RETRY, PGCASK_NOT_FOUND, 0 }, PGCASK_NOT_FOUND, 2 },                       /* an answer after trouble */
    { { PGCASK_COLD, 0 }, PGCASK_COLD, 1 },                                               /* not for retry to solve */
    { { 7, 0 }, PGCASK_FAILED, 1 },                                                       /* no answer at all */
    { { -99, 0 }, PGCASK_FAILED, 1 },                                                     /* nor this */
};

START_TEST(passing_trouble_is_tried_again_and_the_rest_is_not)
{
    memcpy(fake.answers, retry_rows[_i].answers, sizeof retry_rows[_i].answers);
    ck_assert_int_eq(storage_remove(storage, "key"), retry_rows[_i].code);
    ck_assert_uint_eq(fake.calls, retry_rows[_i].calls);
    if (retry_rows[_i].code < 0)
        ck_assert_error_has("store 'test': ");
}
END_TEST

START_TEST(giving_up_tells_the_last_reason_and_the_tries)
{
    for (size_t i = 0; i < 4; i++)
        fake.answers[i] = PGCASK_RETRY;
    ck_assert_int_eq(storage_remove(storage, "key"), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'test': given up after 4 tries: answer 4");
}
END_TEST

/* A store that is down must not hold up the others with all its tries for each call that follows. */
START_TEST(who_was_given_up_gets_one_try_until_it_answers)
{
    for (size_t i = 0; i < 5; i++)
        fake.answers[i] = PGCASK_RETRY;
    ck_assert_int_eq(storage_remove(storage, "key"), PGCASK_FAILED);
    ck_assert_int_eq(storage_remove(storage, "key"), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'test': answer 5");
    fake.calls = 0;
    fake.answers[0] = PGCASK_NOT_FOUND;
    ck_assert_int_eq(storage_stat(storage, "key", NULL, NULL), PGCASK_NOT_FOUND);
    fake.calls = 0;
    fake.answers[0] = PGCASK_RETRY;
    fake.answers[1] = 0;
    ck_assert_int_eq(storage_remove(storage, "key"), 0);
    ck_assert_uint_eq(fake.calls, 2);
}
END_TEST

START_TEST(an_error_without_a_text_gets_one)
{
    fake.silent = true;
    fake.answers[0] = PGCASK_FAILED;
    ck_assert_int_eq(storage_remove(storage, "key"), PGCASK_FAILED);
    ck_assert_error_has("store 'test': remove failed (-1), the plugin gave no reason");
}
END_TEST

START_TEST(cancelling_ends_the_tries)
{
    fake.answers[0] = fake.answers[1] = PGCASK_RETRY;
    cancel_request();
    ck_assert_int_eq(storage_remove(storage, "key"), ERROR_CANCELLED);
    ck_assert_uint_eq(fake.calls, 1);
    ck_assert_str_eq(error_text(), "stopped by a signal");
}
END_TEST

START_TEST(a_failure_while_cancelled_is_the_cancellation)
{
    fake.answers[0] = PGCASK_FAILED;
    cancel_request();
    ck_assert_int_eq(storage_remove(storage, "key"), ERROR_CANCELLED);
}
END_TEST

/* ---- what is believed ---- */

static const struct {
    int times;
    int code;
} stat_rows[] = {
    { 1, 0 },              /* as it should be */
    { 2, PGCASK_FAILED },  /* two objects of one key */
    { -1, PGCASK_FAILED }, /* success, and none */
};

START_TEST(stat_must_give_exactly_one_object)
{
    uint64_t size;

    fake.there = true;
    fake.listed_times = stat_rows[_i].times;
    ck_assert_int_eq(storage_stat(storage, "key", &size, NULL), stat_rows[_i].code);
}
END_TEST

START_TEST(list_is_sorted_filtered_and_each_key_once)
{
    static const char *const keys[] = { "p/b", "p/a", "other/x", "p/b", "p/bad//key", "p/", "p/c\n" };
    struct storage_list list = { 0 };

    memcpy(fake.list_keys, keys, sizeof keys);
    ck_assert_int_eq(storage_list(storage, "p/", &list), 0);
    ck_assert_uint_eq(list.len, 2);
    ck_assert_str_eq(list.objects[0].key, "p/a");
    ck_assert_str_eq(list.objects[1].key, "p/b");
    storage_list_free(&list);
}
END_TEST

START_TEST(list_starts_afresh_after_trouble)
{
    struct storage_list list = { 0 };

    fake.list_keys[0] = "p/a";
    fake.list_keys[1] = "p/gone";
    fake.answers[0] = PGCASK_RETRY;
    ck_assert_int_eq(storage_list(storage, "p/", &list), 0);
    ck_assert_uint_eq(fake.calls, 2);
    ck_assert_uint_eq(list.len, 1);
    storage_list_free(&list);
}
END_TEST

START_TEST(one_key_with_two_sizes_is_not_believed)
{
    struct storage_list list = { 0 };

    fake.list_keys[0] = fake.list_keys[1] = "p/a";
    fake.list_sizes[1] = 5;
    ck_assert_int_eq(storage_list(storage, "p/", &list), PGCASK_FAILED);
    ck_assert_error_has("'p/a' is listed twice, with ");
    ck_assert_ptr_null(list.objects);
}
END_TEST

/* ---- limits ---- */

static const struct {
    uint64_t said[4]; /* min, preferred, max, parts; 0: not said */
    int code;
    struct storage_limits wanted;
} limit_rows[] = {
    { { 0, 0, 0, 0 }, 0, { 1, 16 << 20, UINT64_C(5) << 30, 10000 } },         /* nothing said */
    { { 5 << 20, 8 << 20, 0, 0 }, 0, { 5 << 20, 8 << 20, UINT64_C(5) << 30, 10000 } },
    { { 0, 0, 1 << 20, 7 }, 0, { 1, 1 << 20, 1 << 20, 7 } },                  /* preferred follows max */
    { { 20 << 20, 0, 0, 0 }, 0, { 20 << 20, 20 << 20, UINT64_C(5) << 30, 10000 } }, /* and min */
    { { 10, 5, 0, 0 }, PGCASK_FAILED, { 0 } },                                /* preferred below min */
    { { 0, 10, 5, 0 }, PGCASK_FAILED, { 0 } },                                /* preferred above max */
    { { 0, UINT64_C(2) << 30, 0, 0 }, PGCASK_FAILED, { 0 } },                 /* more than can be held */
};

START_TEST(part_limits_are_completed_and_checked)
{
    static const struct config_store policy = { .retries = 0 };
    struct storage *other = NULL;

    memcpy(fake.limits, limit_rows[_i].said, sizeof fake.limits);
    ck_assert_int_eq(storage_open_plugin("o", &fake_plugin, NULL, &policy, 0, &other), limit_rows[_i].code);
    if (other != NULL) {
        struct storage_limits got = storage_limits(other);

        ck_assert_uint_eq(got.part_min, limit_rows[_i].wanted.part_min);
        ck_assert_uint_eq(got.part_preferred, limit_rows[_i].wanted.part_preferred);
        ck_assert_uint_eq(got.part_max, limit_rows[_i].wanted.part_max);
        ck_assert_uint_eq(got.parts, limit_rows[_i].wanted.parts);
    }
    storage_close(other);
    ck_assert_uint_eq(fake.closes, 1); /* a handle that was opened is closed, refused limits or not */
}
END_TEST

/* ---- reading only, keys ---- */

START_TEST(a_store_opened_for_reading_is_not_written)
{
    struct storage_put *put;
    uint64_t count;

    teardown();
    open_fake(PGCASK_THREADS_PARALLEL, PGCASK_OPEN_READONLY);
    ck_assert_int_eq(storage_put_begin(storage, "key", 0, false, &put), PGCASK_FAILED);
    ck_assert_error_has("opened for reading only");
    ck_assert_int_eq(storage_remove(storage, "key"), PGCASK_FAILED);
    ck_assert_int_eq(storage_sweep(storage, 0, &count), PGCASK_FAILED);
    ck_assert_uint_eq(fake.begins + fake.removes, 0);
}
END_TEST

static const struct {
    const char *key;
    bool ok;
} key_rows[] = {
    { "a", true },
    { "a/b/c", true },
    { "a b/%41/\xc3\xbc", true },   /* odd, and allowed */
    { "...", true },                /* three dots are a name */
    { "", false },
    { "/a", false },                /* absolute */
    { "a/", false },                /* nothing behind the last '/' */
    { "a//b", false },              /* an empty component */
    { ".", false },
    { "a/../b", false },            /* up */
    { "a/..", false },
    { "a\nb", false },              /* control characters */
    { "a\x7f", false },
};

START_TEST(keys_are_checked)
{
    ck_assert_int_eq(storage_key_check(key_rows[_i].key), key_rows[_i].ok ? 0 : PGCASK_FAILED);
}
END_TEST

START_TEST(key_lengths_are_checked)
{
    char key[1002];

    memset(key, 'k', sizeof key);
    for (size_t i = 200; i < sizeof key; i += 200)
        key[i] = '/';
    key[1000] = '\0';
    key[999] = 'k';
    ck_assert_int_eq(storage_key_check(key), 0); /* 1000 bytes */
    key[1000] = 'k';
    key[1001] = '\0';
    ck_assert_int_eq(storage_key_check(key), PGCASK_FAILED);
    memset(key, 'k', 251);
    key[250] = '\0';
    ck_assert_int_eq(storage_key_check(key), 0); /* a component of 250 */
    key[250] = 'k';
    key[251] = '\0';
    ck_assert_int_eq(storage_key_check(key), PGCASK_FAILED);
}
END_TEST

/* ---- whole small objects ---- */

START_TEST(get_object_refuses_what_is_too_large)
{
    CLEANUP_BUF struct buf data = BUF_INIT(10);

    fake.there = true;
    fake.size = 11;
    ck_assert_int_eq(storage_get_object(storage, "key", &data), PGCASK_FAILED);
    ck_assert_error_has("'key' has 11 bytes, at most 10 are allowed here");
    fake.size = 10;
    ck_assert_int_eq(storage_get_object(storage, "key", &data), 0);
    ck_assert_str_eq(data.data, "xxxxxxxxxx");
}
END_TEST

/* ---- threads ---- */

static const struct {
    int model;
    bool alone;
    unsigned parallel;
} thread_rows[] = {
    { PGCASK_THREADS_ONE, true, 1 },
    { PGCASK_THREADS_PER_HANDLE, true, 1 },
    { PGCASK_THREADS_PARALLEL, false, 4 },
};

static void *
get_once(void *handle)
{
    char byte;

    return storage_get(handle, "key", 0, &byte, 1) == 0 ? handle : NULL;
}

static void
get_from_two(struct storage *a, struct storage *b)
{
    pthread_t other;
    void *answer;

    ck_assert_int_eq(pthread_create(&other, NULL, get_once, b), 0);
    ck_assert_ptr_nonnull(get_once(a));
    ck_assert_int_eq(pthread_join(other, &answer), 0);
    ck_assert_ptr_nonnull(answer);
}

START_TEST(the_thread_model_is_enforced_for_one_handle)
{
    teardown();
    open_fake(thread_rows[_i].model, 0);
    ck_assert_uint_eq(storage_parallel(storage), thread_rows[_i].parallel);
    get_from_two(storage, storage);
    ck_assert_int_eq(atomic_load(&fake.inside_most), thread_rows[_i].alone ? 1 : 2);
}
END_TEST

START_TEST(the_thread_model_is_enforced_between_handles)
{
    struct storage *first;

    teardown();
    open_fake(thread_rows[_i].model, 0);
    first = storage;
    open_fake(thread_rows[_i].model, 0);
    get_from_two(first, storage);
    ck_assert_int_eq(atomic_load(&fake.inside_most), thread_rows[_i].model == PGCASK_THREADS_ONE ? 1 : 2);
    storage_close(first);
}
END_TEST

static Suite *
storage_suite(void)
{
    Suite *suite = suite_create("storage");
    TCase *tcase = tcase_create("storage");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, passing_trouble_is_tried_again_and_the_rest_is_not, 0, ARRAY_LEN(retry_rows));
    tcase_add_test(tcase, giving_up_tells_the_last_reason_and_the_tries);
    tcase_add_test(tcase, who_was_given_up_gets_one_try_until_it_answers);
    tcase_add_test(tcase, an_error_without_a_text_gets_one);
    tcase_add_test(tcase, cancelling_ends_the_tries);
    tcase_add_test(tcase, a_failure_while_cancelled_is_the_cancellation);
    tcase_add_loop_test(tcase, stat_must_give_exactly_one_object, 0, ARRAY_LEN(stat_rows));
    tcase_add_test(tcase, list_is_sorted_filtered_and_each_key_once);
    tcase_add_test(tcase, list_starts_afresh_after_trouble);
    tcase_add_test(tcase, one_key_with_two_sizes_is_not_believed);
    tcase_add_loop_test(tcase, part_limits_are_completed_and_checked, 0, ARRAY_LEN(limit_rows));
    tcase_add_test(tcase, a_store_opened_for_reading_is_not_written);
    tcase_add_loop_test(tcase, keys_are_checked, 0, ARRAY_LEN(key_rows));
    tcase_add_test(tcase, key_lengths_are_checked);
    tcase_add_test(tcase, get_object_refuses_what_is_too_large);
    tcase_add_loop_test(tcase, the_thread_model_is_enforced_for_one_handle, 0, ARRAY_LEN(thread_rows));
    tcase_add_loop_test(tcase, the_thread_model_is_enforced_between_handles, 0, ARRAY_LEN(thread_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(storage_suite)
