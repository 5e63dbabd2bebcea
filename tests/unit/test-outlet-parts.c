/* SPDX-License-Identifier: PostgreSQL
 *
 * The parts that an outlet makes: how large they are, how many there are in memory, and that all stores can take them.
 */
#include "config.h"

#include "stage/outlet.h"

#include <stdatomic.h>
#include <string.h>

#include "unit-outlet.h"
#include "unit.h"

static atomic_uint parts_written, parts_sent, most_ahead;

/* One part more is out; how far was the writer before it? */
static void
note_lead(struct store *store, uint32_t number)
{
    unsigned ahead = atomic_load(&parts_written) - (store == &stores[0] ? atomic_fetch_add(&parts_sent, 1) : 0);

    (void)number;
    if (store == &stores[0] && ahead > atomic_load(&most_ahead))
        atomic_store(&most_ahead, ahead);
}

static const struct {
    unsigned objects;
    int64_t parallel;
    unsigned limit; /* parts in memory */
} bound_rows[] = {
    { 1, 1, 3 },
    { 1, 4, 6 },
    { 4, 1, 6 },
};

START_TEST(the_slowest_store_holds_everybody_back)
{
    struct outlet_object *object;
    uint64_t size;

    for (size_t i = 0; i < 2; i++) {
        stores[i].thread_model = PGCASK_THREADS_PARALLEL;
        stores[i].parallel = bound_rows[_i].parallel;
        stores[i].part_hook = note_lead;
    }
    stores[0].pause_us = 1000; /* the writer alone could make thousands of parts in that time */
    atomic_store(&parts_written, 0);
    atomic_store(&parts_sent, 0);
    atomic_store(&most_ahead, 0);
    open_all(2, bound_rows[_i].objects);
    ck_assert_int_eq(outlet_begin(outlet, "key", 0, &object), 0);
    for (int i = 0; i < 150; i++) {
        ck_assert_int_eq(outlet_write(object, data, 1000), 0);
        (void)atomic_fetch_add(&parts_written, 1);
    }
    ck_assert_int_eq(outlet_commit(object, &size), 0);
    ck_assert_uint_le(atomic_load(&most_ahead), bound_rows[_i].limit);
    ck_assert_uint_le(stores[0].buffer_count, bound_rows[_i].limit);
    ck_assert_uint_eq(stores[1].calls[STORE_PART], 150);
}
END_TEST

static const struct {
    uint32_t number;
    size_t size;
} growth_rows[] = {
    { 1, 1000 }, { 50, 1000 },   /* the first half of 100 */
    { 51, 2000 }, { 60, 2000 },
    { 61, 4000 }, { 71, 8000 },
    { 81, 8000 },                /* 16000 would be more than a store takes */
    { 99, 8000 }, { 100, 500 },  /* the rest */
};

START_TEST(parts_grow_so_that_their_number_is_enough)
{
    static unsigned char zeros[342500];
    struct outlet_object *object;
    uint64_t size;

    stores[0].part_preferred = 500;
    stores[0].parts = 100;
    stores[1].part_preferred = 1000; /* the larger wish counts */
    stores[1].part_max = 15000;      /* and the smaller limit */
    stores[1].parts = 5000;
    open_all(2, 1);
    ck_assert_int_eq(outlet_begin(outlet, "key", 0, &object), 0);
    ck_assert_int_eq(outlet_write(object, zeros, sizeof zeros), 0);
    ck_assert_msg(outlet_commit(object, &size) == 0, "%s", error_text());
    ck_assert_uint_eq(size, sizeof zeros);
    for (size_t i = 0; i < ARRAY_LEN(growth_rows); i++) {
        ck_assert_uint_eq(stores[0].sizes[growth_rows[i].number], growth_rows[i].size);
        ck_assert_uint_eq(stores[1].sizes[growth_rows[i].number], growth_rows[i].size);
    }
}
END_TEST

START_TEST(parts_grow_even_where_there_are_few)
{
    struct outlet_object *object;
    uint64_t size;

    stores[0].parts = 5;
    open_all(1, 1);
    ck_assert_int_eq(outlet_begin(outlet, "key", 0, &object), 0);
    ck_assert_int_eq(outlet_write(object, data, DATA_BYTES), 0);
    ck_assert_msg(outlet_commit(object, &size) == 0, "%s", error_text());
    ck_assert_uint_eq(size, DATA_BYTES);
    ck_assert_mem_eq(store_find(&stores[0], "key")->data, data, DATA_BYTES);
}
END_TEST

START_TEST(stores_that_no_part_suits_are_refused)
{
    stores[0].part_min = stores[0].part_preferred = 5000;
    stores[1].part_max = 4999;
    for (size_t i = 0; i < 2; i++) {
        store_open(&stores[i], i == 0 ? "a" : "b");
        storages[i] = stores[i].storage;
    }
    ck_assert_int_eq(outlet_new(storages, 2, 1, &outlet), ERROR_USAGE);
    ck_assert_str_eq(error_text(), "store 'a' takes parts from 5000 bytes, another store of this run up to 4999 only");
    ck_assert_ptr_null(outlet);
}
END_TEST

static Suite *
outlet_parts_suite(void)
{
    Suite *suite = suite_create("outlet-parts");
    TCase *tcase = tcase_create("outlet-parts");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, the_slowest_store_holds_everybody_back, 0, ARRAY_LEN(bound_rows));
    tcase_add_test(tcase, parts_grow_so_that_their_number_is_enough);
    tcase_add_test(tcase, parts_grow_even_where_there_are_few);
    tcase_add_test(tcase, stores_that_no_part_suits_are_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(outlet_parts_suite)
