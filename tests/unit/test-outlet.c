/* SPDX-License-Identifier: PostgreSQL
 *
 * One stream into several stores: equal bytes, who fails is dropped, and nothing is left of what was given up.
 */
#include "config.h"

#include "stage/outlet.h"

#include <pthread.h>
#include <string.h>

#include "base/cancel.h"
#include "unit-outlet.h"
#include "unit.h"

static int
begin(const char *key, struct outlet_object **ret_object)
{
    return outlet_begin(outlet, key, 0, ret_object);
}

/* Write an object in pieces of `step`; what commit, or the first thing that failed, says. */
static int
write_object(const char *key, size_t len, size_t step)
{
    struct outlet_object *object;
    uint64_t size = 4711;
    int rc = begin(key, &object);

    for (size_t at = 0; rc == 0 && at < len; at += step) {
        rc = outlet_write(object, data + at, len - at < step ? len - at : step);
        if (rc < 0)
            outlet_abort(object);
    }
    if (rc < 0)
        return rc;
    rc = outlet_commit(object, &size);
    ck_assert_uint_eq(size, rc < 0 ? 4711 : len);
    return rc;
}

static void
expect_whole(struct store *store, const char *key, size_t len)
{
    const struct store_object *object = store_find(store, key);

    ck_assert_ptr_nonnull(object);
    ck_assert_uint_eq(object->len, len);
    if (len > 0)
        ck_assert_mem_eq(object->data, data, len);
}

/* ---- whole objects ---- */

static const struct {
    size_t len, step;
} size_rows[] = {
    { 0, 1 },                /* no part at all */
    { 1, 1 },
    { 999, 100 },
    { 1000, 1000 },          /* exactly one part */
    { 1001, 1001 },
    { 2000, 333 },
    { DATA_BYTES, 7 },       /* pieces smaller than a part */
    { DATA_BYTES, DATA_BYTES }, /* one piece of many parts */
};

START_TEST(two_stores_get_equal_bytes)
{
    stores[1].thread_model = PGCASK_THREADS_PARALLEL;
    stores[1].parallel = 3;
    open_all(2, 1);
    ck_assert_msg(write_object("key", size_rows[_i].len, size_rows[_i].step) == 0, "%s", error_text());
    for (size_t i = 0; i < 2; i++) {
        expect_whole(&stores[i], "key", size_rows[_i].len);
        ck_assert_uint_eq(stores[i].calls[STORE_PART], (size_rows[_i].len + 999) / 1000);
        ck_assert_uint_eq(stores[i].uploads, 0);
        ck_assert(outlet_alive(outlet, i, NULL));
    }
}
END_TEST

START_TEST(a_size_hint_reaches_the_stores)
{
    struct outlet_object *object;
    uint64_t size;

    open_all(1, 1);
    ck_assert_int_eq(outlet_begin(outlet, "key", 123456, &object), 0);
    ck_assert_int_eq(outlet_commit(object, &size), 0);
    ck_assert_uint_eq(stores[0].size_hint, 123456);
}
END_TEST

START_TEST(objects_follow_each_other)
{
    open_all(2, 1);
    for (unsigned i = 0; i < 5; i++) {
        CLEANUP_FREE char *key = mem_printf("key %u", i);

        ck_assert_int_eq(write_object(key, 1000 * i + 500, 1000), 0);
        expect_whole(&stores[0], key, 1000 * i + 500);
        expect_whole(&stores[1], key, 1000 * i + 500);
    }
}
END_TEST

static void *
write_one(void *key)
{
    return write_object(key, DATA_BYTES, 700) == 0 ? key : NULL;
}

START_TEST(objects_can_be_written_at_once)
{
    static char keys[4][2] = { "a", "b", "c", "d" };
    pthread_t threads[4];

    for (size_t i = 0; i < 2; i++) {
        stores[i].thread_model = PGCASK_THREADS_PARALLEL;
        stores[i].parallel = 2;
        stores[i].pause_us = 200;
    }
    open_all(2, 4);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_one, keys[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *good;

        ck_assert_int_eq(pthread_join(threads[i], &good), 0);
        ck_assert_ptr_nonnull(good);
        expect_whole(&stores[0], keys[i], DATA_BYTES);
        expect_whole(&stores[1], keys[i], DATA_BYTES);
    }
}
END_TEST

/* ---- stores that fail ---- */

static const struct {
    enum store_call fails;
    unsigned at;
    int code, answer; /* of the store; of the outlet when it was the only one */
} fail_rows[] = {
    { STORE_BEGIN, 1, PGCASK_FAILED, PGCASK_FAILED },
    { STORE_BEGIN, 1, PGCASK_EXISTS, PGCASK_EXISTS },   /* the key is taken there */
    { STORE_PART, 1, PGCASK_FAILED, PGCASK_FAILED },
    { STORE_PART, 10, PGCASK_FAILED, PGCASK_FAILED },   /* mid-way */
    { STORE_PART, 21, PGCASK_FAILED, PGCASK_FAILED },   /* the last one, sent by the commit */
    { STORE_PART, 10, PGCASK_RETRY, PGCASK_FAILED },    /* passing trouble that does not pass */
    { STORE_COMMIT, 1, PGCASK_FAILED, PGCASK_FAILED },
};

static void
fail_as(struct store *store, int row, const char *reason)
{
    store->fails = fail_rows[row].fails;
    store->fails_at = fail_rows[row].at;
    store->code = fail_rows[row].code;
    store->reason = reason;
}

START_TEST(a_store_that_fails_is_dropped_and_the_other_completes)
{
    for (size_t bad = 0; bad < 2; bad++) {
        size_t good = 1 - bad;
        const struct error *why;
        unsigned begins;

        setup();
        fail_as(&stores[bad], _i, "the disk is full");
        open_all(2, 1);
        ck_assert_msg(write_object("key", DATA_BYTES, 700) == 0, "%s", error_text());
        expect_whole(&stores[good], "key", DATA_BYTES);
        ck_assert(outlet_alive(outlet, good, NULL));
        ck_assert(!outlet_alive(outlet, bad, &why));
        ck_assert_int_eq(why->code, fail_rows[_i].answer);
        ck_assert_ptr_nonnull(strstr(why->text, "the disk is full"));
        ck_assert_ptr_nonnull(strstr(why->text, bad == 0 ? "store 'a'" : "store 'b'"));
        ck_assert_uint_eq(outlet_alive_count(outlet), 1);
        ck_assert_uint_eq(stores[bad].uploads, 0); /* given up */
        ck_assert_uint_eq(store_count(&stores[bad]), 0);
        begins = stores[bad].calls[STORE_BEGIN];
        ck_assert_int_eq(write_object("next", 1500, 700), 0); /* the run goes on without it */
        expect_whole(&stores[good], "next", 1500);
        ck_assert_uint_eq(stores[bad].calls[STORE_BEGIN], begins);
        teardown();
    }
}
END_TEST

START_TEST(a_dropped_store_is_not_sent_the_rest)
{
    fail_as(&stores[0], 3, "full"); /* the 10th of 21 parts */
    stores[0].pause_us = 5000;      /* so that the next ones wait for it */
    open_all(2, 1);
    ck_assert_int_eq(write_object("key", DATA_BYTES, 700), 0);
    ck_assert_uint_eq(stores[0].calls[STORE_PART], 10);
    ck_assert_uint_eq(stores[0].calls[STORE_COMMIT], 0);
    ck_assert_uint_eq(stores[0].calls[STORE_ABORT], 1);
}
END_TEST

START_TEST(an_only_store_that_fails_fails_the_object)
{
    fail_as(&stores[0], _i, "the disk is full");
    open_all(1, 1);
    ck_assert_int_eq(write_object("key", DATA_BYTES, 700), fail_rows[_i].answer);
    ck_assert_error_has("the disk is full");
    ck_assert_int_eq(strncmp(error_text(), "store 'a': ", 11), 0);
    ck_assert_uint_eq(stores[0].uploads, 0);
    ck_assert_uint_eq(store_count(&stores[0]), 0);
    ck_assert_uint_eq(outlet_alive_count(outlet), 0);
    ck_assert_int_eq(write_object("next", 1500, 700), fail_rows[_i].answer); /* nor does the next one work */
    ck_assert_error_has("the disk is full");
}
END_TEST

START_TEST(when_all_stores_fail_the_reason_is_told)
{
    fail_as(&stores[0], _i, "the disk is full");
    fail_as(&stores[1], 3, "the line is down"); /* mid-way */
    open_all(2, 1);
    ck_assert_int_eq(write_object("key", DATA_BYTES, 700), fail_rows[_i].answer);
    ck_assert_error_has("no store is left: ");
    ck_assert_error_has("the disk is full");
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(stores[i].uploads, 0);
        ck_assert_uint_eq(store_count(&stores[i]), 0);
    }
}
END_TEST

START_TEST(writing_ends_soon_once_all_have_failed)
{
    struct outlet_object *object;
    unsigned writes = 0;
    int rc = 0;

    fail_as(&stores[0], 2, "full"); /* the first part */
    open_all(1, 1);
    ck_assert_int_eq(begin("key", &object), 0);
    while (rc == 0 && writes++ < 1000000)
        rc = outlet_write(object, data, 1000);
    ck_assert_int_eq(rc, PGCASK_FAILED);
    ck_assert_uint_le(writes, 5); /* never more than the parts that may be under way */
    ck_assert_error_has("full");
    outlet_abort(object);
    ck_assert_uint_eq(stores[0].uploads, 0);
}
END_TEST

START_TEST(a_caller_can_drop_a_store)
{
    const struct error *why;

    open_all(2, 1);
    (void)error_set(PGCASK_FAILED, "it lies");
    (void)error_hint(PGCASK_FAILED, "do not use it");
    outlet_drop(outlet, 0, PGCASK_FAILED);
    (void)error_set(PGCASK_RETRY, "again");
    outlet_drop(outlet, 0, PGCASK_RETRY); /* the first reason stays */
    ck_assert(!outlet_alive(outlet, 0, &why));
    ck_assert_int_eq(why->code, PGCASK_FAILED);
    ck_assert_str_eq(why->text, "it lies");
    ck_assert_int_eq(write_object("key", DATA_BYTES, 700), 0);
    expect_whole(&stores[1], "key", DATA_BYTES);
    ck_assert_uint_eq(stores[0].calls[STORE_BEGIN], 0);
    outlet_drop(outlet, 1, PGCASK_FAILED);
    ck_assert_int_eq(write_object("key", 1, 1), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "no store is left: it lies");
    ck_assert_str_eq(error_cure(), "do not use it");
}
END_TEST

/* ---- giving up ---- */

static const size_t abort_rows[] = { 0, 500, 1000, 10500 };

START_TEST(abort_leaves_nothing)
{
    struct outlet_object *object;

    open_all(2, 1);
    outlet_abort(NULL);
    for (int round = 0; round < 10; round++) { /* often enough to show a buffer that is not given back */
        ck_assert_int_eq(begin("key", &object), 0);
        ck_assert_int_eq(outlet_write(object, data, abort_rows[_i]), 0);
        (void)error_set(PGCASK_FAILED, "why we gave up");
        outlet_abort(object);
        ck_assert_str_eq(error_text(), "why we gave up");
    }
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(stores[i].calls[STORE_ABORT], 10);
        ck_assert_uint_eq(stores[i].uploads, 0);
        ck_assert_uint_eq(store_count(&stores[i]), 0);
        ck_assert(outlet_alive(outlet, i, NULL));
    }
    ck_assert_int_eq(write_object("key", DATA_BYTES, 700), 0);
}
END_TEST

START_TEST(cancelling_leaves_nothing)
{
    struct outlet_object *object;
    uint64_t size;
    int rc;

    open_all(2, 1);
    ck_assert_int_eq(begin("key", &object), 0);
    ck_assert_int_eq(outlet_write(object, data, 5500), 0);
    cancel_request();
    rc = outlet_write(object, data, DATA_BYTES);
    if (rc == 0)
        rc = outlet_commit(object, &size);
    else
        outlet_abort(object);
    ck_assert_int_eq(rc, ERROR_CANCELLED);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(stores[i].calls[STORE_COMMIT], 0);
        ck_assert_uint_eq(stores[i].uploads, 0);
        ck_assert_uint_eq(store_count(&stores[i]), 0);
    }
}
END_TEST

START_TEST(cancelling_before_the_commit_leaves_nothing)
{
    struct outlet_object *object;
    uint64_t size;

    open_all(2, 1);
    ck_assert_int_eq(begin("key", &object), 0);
    cancel_request();
    ck_assert_int_eq(outlet_commit(object, &size), ERROR_CANCELLED);
    ck_assert_str_eq(error_text(), "stopped by a signal");
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(stores[i].uploads, 0);
        ck_assert_uint_eq(store_count(&stores[i]), 0);
    }
}
END_TEST

/* ---- small objects ---- */

START_TEST(a_small_object_goes_to_all)
{
    open_all(2, 1);
    ck_assert_int_eq(outlet_put(outlet, "key", data, 2500), 0);
    expect_whole(&stores[0], "key", 2500);
    expect_whole(&stores[1], "key", 2500);
}
END_TEST

START_TEST(a_small_object_survives_a_store_that_fails)
{
    fail_as(&stores[0], _i, "full");
    stores[0].fails_at = 1;
    open_all(2, 1);
    ck_assert_int_eq(outlet_put(outlet, "key", data, 2500), 0);
    expect_whole(&stores[1], "key", 2500);
    ck_assert(!outlet_alive(outlet, 0, NULL));
    ck_assert_uint_eq(stores[0].uploads, 0);
    (void)error_set(PGCASK_FAILED, "gone");
    outlet_drop(outlet, 1, PGCASK_FAILED);
    ck_assert_int_eq(outlet_put(outlet, "next", data, 1), fail_rows[_i].answer);
}
END_TEST

static Suite *
outlet_suite(void)
{
    Suite *suite = suite_create("outlet");
    TCase *tcase = tcase_create("outlet");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, two_stores_get_equal_bytes, 0, ARRAY_LEN(size_rows));
    tcase_add_test(tcase, a_size_hint_reaches_the_stores);
    tcase_add_test(tcase, objects_follow_each_other);
    tcase_add_test(tcase, objects_can_be_written_at_once);
    tcase_add_loop_test(tcase, a_store_that_fails_is_dropped_and_the_other_completes, 0, ARRAY_LEN(fail_rows));
    tcase_add_test(tcase, a_dropped_store_is_not_sent_the_rest);
    tcase_add_loop_test(tcase, an_only_store_that_fails_fails_the_object, 0, ARRAY_LEN(fail_rows));
    tcase_add_loop_test(tcase, when_all_stores_fail_the_reason_is_told, 0, ARRAY_LEN(fail_rows));
    tcase_add_test(tcase, writing_ends_soon_once_all_have_failed);
    tcase_add_test(tcase, a_caller_can_drop_a_store);
    tcase_add_loop_test(tcase, abort_leaves_nothing, 0, ARRAY_LEN(abort_rows));
    tcase_add_test(tcase, a_small_object_goes_to_all);
    tcase_add_loop_test(tcase, a_small_object_survives_a_store_that_fails, 0, ARRAY_LEN(fail_rows));
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("cancel"); /* last: without forks it cannot be taken back */
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, cancelling_leaves_nothing);
    tcase_add_test(tcase, cancelling_before_the_commit_leaves_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(outlet_suite)
