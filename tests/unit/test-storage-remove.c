/* SPDX-License-Identifier: PostgreSQL
 *
 * Removing many objects, against a plugin that answers as told: batches, what is given again, stories that do not
 * fit together, and stores that cannot.
 */
#include "config.h"

#include "plugin/storage.h"

#include <stdio.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/mem.h"
#include "unit-told.h"

enum { KEYS = 2500 };

/* A store of the keys 0 to KEYS - 1. */
static struct {
    bool gone[KEYS];
    int code;               /* of the next call; then 0 */
    unsigned (*take)(size_t number); /* 1: this one is removed, 0: left; NULL: 1 for all */
    unsigned char flag;     /* what is flagged for it; 0: the truth */
    size_t sizes[8];        /* of the calls */
    size_t calls;
    size_t singles;         /* calls of remove */
    const char *stuck;      /* remove of this key fails */
    bool cancel;            /* and then we are being stopped */
} many;

static int
many_remove_many(void *handle, const char *const *keys, size_t count, unsigned char *gone)
{
    int code = many.code;

    (void)handle;
    many.code = 0;
    ck_assert_uint_lt(many.calls, ARRAY_LEN(many.sizes));
    many.sizes[many.calls++] = count;
    for (size_t i = 0; i < count && code != PGCASK_UNSUPPORTED; i++) {
        size_t number = (size_t)strtoul(keys[i], NULL, 10);

        if (code < 0 && many.take != NULL && !many.take(number))
            continue;
        ck_assert_msg(!many.gone[number], "'%s' is given again", keys[i]);
        many.gone[number] = true;
        gone[i] = many.flag != 0 ? many.flag : 1;
    }
    if (code < 0)
        pgcask_error("trouble");
    return code;
}

static int
many_remove(void *handle, const char *key)
{
    (void)handle;
    many.singles++;
    if (many.stuck != NULL && strcmp(key, many.stuck) == 0) {
        if (many.cancel)
            cancel_request();
        pgcask_error("'%s' is stuck", key);
        return PGCASK_FAILED;
    }
    many.gone[strtoul(key, NULL, 10)] = true;
    return 0;
}

static void
setup_many(void)
{
    memset(&many, 0, sizeof many);
    setup();
    fake_plugin.storage.remove_many = many_remove_many;
    fake_plugin.storage.remove = many_remove;
}

static int
remove_keys(size_t count)
{
    CLEANUP_STRV struct strv keys = { 0 };

    for (size_t i = 0; i < count; i++) {
        CLEANUP_FREE char *key = mem_printf("%zu", i);

        strv_add(&keys, key);
    }
    return storage_remove_many(storage, &keys);
}

static size_t
count_gone(void)
{
    size_t gone = 0;

    for (size_t i = 0; i < KEYS; i++)
        gone += many.gone[i];
    return gone;
}

static const struct {
    size_t keys;
    size_t sizes[4]; /* of the batches */
    size_t singles;
} batch_rows[] = {
    { 0, { 0 }, 0 },                 /* nothing to do: nobody is asked */
    { 1, { 0 }, 1 },                 /* not worth a batch */
    { 2, { 2 }, 0 },                 /* one batch */
    { 1000, { 1000 }, 0 },           /* the largest */
    { 1001, { 1000 }, 1 },           /* and one more */
    { 2500, { 1000, 1000, 500 }, 0 } /* several */
};

START_TEST(many_go_in_batches_of_at_most_a_thousand)
{
    ck_assert_int_eq(remove_keys(batch_rows[_i].keys), 0);
    ck_assert_mem_eq(many.sizes, batch_rows[_i].sizes, sizeof batch_rows[_i].sizes);
    ck_assert_uint_eq(many.singles, batch_rows[_i].singles);
    ck_assert_uint_eq(count_gone(), batch_rows[_i].keys);
}
END_TEST

static unsigned
take_even(size_t number)
{
    return number % 2 == 0;
}

START_TEST(after_passing_trouble_only_those_left_are_given_again)
{
    many.code = PGCASK_RETRY;
    many.take = take_even;
    ck_assert_int_eq(remove_keys(101), 0);
    ck_assert_uint_eq(many.calls, 2);
    ck_assert_uint_eq(many.sizes[1], 50);
    ck_assert_uint_eq(count_gone(), 101);
}
END_TEST

START_TEST(a_batch_that_fails_does_not_hold_up_the_next)
{
    many.code = PGCASK_FAILED;
    many.take = take_even;
    ck_assert_int_eq(remove_keys(2500), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'test': trouble");
    ck_assert_uint_eq(many.calls, 3);
    ck_assert_uint_eq(count_gone(), 2000);
}
END_TEST

static unsigned
take_none(size_t number)
{
    (void)number;
    return 0;
}

/* Says that it is done, and left half of them. */
static int
lies_about_half(void *handle, const char *const *keys, size_t count, unsigned char *gone)
{
    many.code = PGCASK_RETRY; /* which is not what is answered */
    many.take = take_even;
    (void)many_remove_many(handle, keys, count, gone);
    return 0;
}

START_TEST(success_with_objects_left_is_not_believed)
{
    fake_plugin.storage.remove_many = lies_about_half;
    ck_assert_int_eq(remove_keys(4), PGCASK_FAILED);
    ck_assert_str_eq(error_text(),
                     "store 'test': remove_many says it is done, but 2 of 4 objects are left, the first is '1'");
}
END_TEST

START_TEST(failure_with_nothing_left_is_not_believed)
{
    many.code = PGCASK_RETRY;
    ck_assert_int_eq(remove_keys(4), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'test': remove_many failed, but says that all 4 objects are gone: trouble");
    ck_assert_uint_eq(many.calls, 1);
}
END_TEST

START_TEST(a_flag_is_0_or_1)
{
    many.flag = 2;
    ck_assert_int_eq(remove_keys(4), PGCASK_FAILED);
    ck_assert_error_has("remove_many set a flag to something else than 0 or 1");
}
END_TEST

START_TEST(a_server_that_cannot_is_asked_for_each)
{
    many.code = PGCASK_UNSUPPORTED;
    ck_assert_int_eq(remove_keys(5), 0);
    ck_assert_uint_eq(many.calls, 1);
    ck_assert_uint_eq(many.singles, 5);
    ck_assert_uint_eq(count_gone(), 5);
}
END_TEST

START_TEST(a_plugin_that_cannot_is_asked_for_each_and_goes_on_behind_a_failure)
{
    fake_plugin.storage.remove_many = NULL;
    many.stuck = "2";
    ck_assert_int_eq(remove_keys(5), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'test': '2' is stuck");
    ck_assert_uint_eq(many.singles, 5);
    ck_assert_uint_eq(count_gone(), 4);
}
END_TEST

START_TEST(being_stopped_ends_it)
{
    fake_plugin.storage.remove_many = NULL;
    many.stuck = "2";
    many.cancel = true;
    ck_assert_int_eq(remove_keys(5), ERROR_CANCELLED);
    ck_assert_uint_eq(many.singles, 3);
}
END_TEST

START_TEST(the_error_is_that_of_the_first)
{
    many.code = PGCASK_FAILED;
    many.take = take_none;
    many.stuck = "1000";
    ck_assert_int_eq(remove_keys(1001), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'test': trouble");
    ck_assert_uint_eq(many.singles, 1);
}
END_TEST

START_TEST(a_key_that_is_none_is_refused_and_the_others_go)
{
    CLEANUP_STRV struct strv keys = { 0 };

    strv_add(&keys, "1");
    strv_add(&keys, "../2");
    strv_add(&keys, "3");
    ck_assert_int_eq(storage_remove_many(storage, &keys), PGCASK_FAILED);
    ck_assert_error_has("key '../2' has a component '..'");
    ck_assert_uint_eq(many.sizes[0], 2);
    ck_assert(many.gone[1] && many.gone[3]);
}
END_TEST

START_TEST(a_store_opened_for_reading_loses_nothing)
{
    teardown();
    open_fake(PGCASK_THREADS_PARALLEL, PGCASK_OPEN_READONLY);
    fake_plugin.storage.remove_many = many_remove_many;
    ck_assert_int_eq(remove_keys(3), PGCASK_FAILED);
    ck_assert_error_has("store 'test': the store was opened for reading only");
    ck_assert_uint_eq(many.calls, 0);
}
END_TEST

static Suite *
storage_remove_suite(void)
{
    Suite *suite = suite_create("storage-remove");
    TCase *tcase = tcase_create("storage-remove");

    tcase_add_checked_fixture(tcase, setup_many, teardown);
    tcase_add_loop_test(tcase, many_go_in_batches_of_at_most_a_thousand, 0, ARRAY_LEN(batch_rows));
    tcase_add_test(tcase, after_passing_trouble_only_those_left_are_given_again);
    tcase_add_test(tcase, a_batch_that_fails_does_not_hold_up_the_next);
    tcase_add_test(tcase, success_with_objects_left_is_not_believed);
    tcase_add_test(tcase, failure_with_nothing_left_is_not_believed);
    tcase_add_test(tcase, a_flag_is_0_or_1);
    tcase_add_test(tcase, a_server_that_cannot_is_asked_for_each);
    tcase_add_test(tcase, a_plugin_that_cannot_is_asked_for_each_and_goes_on_behind_a_failure);
    tcase_add_test(tcase, being_stopped_ends_it);
    tcase_add_test(tcase, the_error_is_that_of_the_first);
    tcase_add_test(tcase, a_key_that_is_none_is_refused_and_the_others_go);
    tcase_add_test(tcase, a_store_opened_for_reading_loses_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(storage_remove_suite)
