/* SPDX-License-Identifier: PostgreSQL
 *
 * Whom to ask for an object that several stores have: the nearest first, who had trouble last. What is read that way:
 * test-member-failover.c.
 */
#include "config.h"

#include "stage/copies.h"

#include "unit-store.h"
#include "unit.h"

static struct store store, other, third;

static void
setup(void)
{
    store = other = third = (struct store){ 0 };
    store_open(&store, "s");
    store_open(&other, "t");
    store_open(&third, "u");
}

static void
teardown(void)
{
    store_close(&other);
    store_close(&third);
    store_close(&store);
}

static struct copies *
three(void)
{
    struct storage *const storages[] = { store.storage, other.storage, third.storage };

    return copies_new(storages, ARRAY_LEN(storages));
}

START_TEST(the_nearest_is_asked_first)
{
    CLEANUP(copies_free) struct copies *order = three();

    ck_assert_uint_eq(copies_count(order), 3);
    ck_assert_uint_eq(copies_pick(order, "a", 0), 0);
    ck_assert_uint_eq(copies_pick(order, "a", 1), 1);
    ck_assert_uint_eq(copies_pick(order, "a", 3), 2);
    ck_assert_uint_eq(copies_pick(order, "a", 7), 3);
    copies_prefer(order, 2);
    ck_assert_uint_eq(copies_pick(order, "a", 0), 2);
    ck_assert_uint_eq(copies_pick(order, "a", 4), 0);
    ck_assert_uint_eq(copies_pick(order, "a", 5), 1);
    copies_free(NULL);
}
END_TEST

START_TEST(who_had_trouble_with_an_object_is_asked_last_for_it)
{
    CLEANUP(copies_free) struct copies *order = three();

    ck_assert(copies_note(order, 0, "a", ERROR_CORRUPT));
    ck_assert(!copies_note(order, 0, "a", ERROR_CORRUPT));
    ck_assert_uint_eq(copies_pick(order, "a", 0), 1);
    ck_assert_uint_eq(copies_pick(order, "b", 0), 0);
    ck_assert_uint_eq(copies_pick(order, "a", 6), 0);
}
END_TEST

START_TEST(a_store_that_fails_again_and_again_is_asked_last_for_all)
{
    CLEANUP(copies_free) struct copies *order = three();

    (void)copies_note(order, 0, "a", PGCASK_FAILED);
    (void)copies_note(order, 0, "b", PGCASK_FAILED);
    copies_served(order, 0); /* not in a row */
    (void)copies_note(order, 0, "c", PGCASK_FAILED);
    (void)copies_note(order, 0, "d", PGCASK_FAILED);
    ck_assert_uint_eq(copies_pick(order, "new", 0), 0);
    (void)copies_note(order, 0, "e", PGCASK_FAILED);
    ck_assert_uint_eq(copies_pick(order, "new", 0), 1);
    for (int i = 0; i < 5; i++) { /* objects that are bad say nothing of the others */
        CLEANUP_FREE char *key = mem_printf("%d", i);

        (void)copies_note(order, 1, key, ERROR_CORRUPT);
    }
    ck_assert_uint_eq(copies_pick(order, "new", 0), 1);
    copies_served(order, 0);
    ck_assert_uint_eq(copies_pick(order, "new", 0), 0);
}
END_TEST

static Suite *
copies_suite(void)
{
    Suite *suite = suite_create("copies");
    TCase *tcase = tcase_create("copies");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_nearest_is_asked_first);
    tcase_add_test(tcase, who_had_trouble_with_an_object_is_asked_last_for_it);
    tcase_add_test(tcase, a_store_that_fails_again_and_again_is_asked_last_for_all);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(copies_suite)
