/* SPDX-License-Identifier: PostgreSQL
 *
 * Small objects on their way through an outlet: one call for a store that can take a whole object, an upload for one
 * that cannot, and nothing of them stays when the run fails.
 */
#include "config.h"

#include "stage/outlet.h"

#include <string.h>

#include "base/cancel.h"
#include "unit-outlet.h"
#include "unit.h"

static struct {
    unsigned calls;
    size_t size;
    int code;    /* what to answer */
    bool cancel; /* we are being stopped behind it */
} whole;

static int
whole_put_object(void *handle, const struct pgcask_put *put, const void *bytes, size_t size)
{
    whole.calls++;
    whole.size = size;
    if (whole.code < 0) {
        pgcask_error("not today");
        return whole.code;
    }
    store_place(handle, pgcask_put_key(put), bytes, size);
    if (whole.cancel)
        cancel_request();
    return 0;
}

/* The first store takes whole objects, the second does not. */
static void
setup_whole(void)
{
    memset(&whole, 0, sizeof whole);
    setup();
    open_all(2, 1);
    stores[0].plugin.storage.put_object = whole_put_object;
}

static int
write_object(size_t size, uint64_t *ret_size)
{
    struct outlet_object *object;

    ck_assert_int_eq(outlet_begin(outlet, "key", 0, &object), 0);
    ck_assert_int_eq(outlet_write(object, data, size / 2), 0);
    ck_assert_int_eq(outlet_write(object, data + size / 2, size - size / 2), 0);
    return outlet_commit(object, ret_size);
}

static const struct {
    size_t size;
    unsigned wholes, begins, parts; /* begins, parts: of the first store */
    unsigned others;                /* parts of the second one */
} size_rows[] = {
    { 0, 1, 0, 0, 0 },
    { 1, 1, 0, 0, 1 },
    { 999, 1, 0, 0, 1 },
    { 1000, 0, 1, 1, 1 },  /* a full part is sent before it is known to be the last */
    { 1001, 0, 1, 2, 2 },
};

START_TEST(an_object_below_a_part_is_one_call)
{
    uint64_t size;

    ck_assert_msg(write_object(size_rows[_i].size, &size) == 0, "%s", error_text());
    ck_assert_uint_eq(size, size_rows[_i].size);
    ck_assert_uint_eq(whole.calls, size_rows[_i].wholes);
    ck_assert_uint_eq(stores[0].calls[STORE_BEGIN], size_rows[_i].begins);
    ck_assert_uint_eq(stores[0].calls[STORE_PART], size_rows[_i].parts);
    ck_assert_uint_eq(stores[1].calls[STORE_BEGIN], 1);
    ck_assert_uint_eq(stores[1].calls[STORE_PART], size_rows[_i].others);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_uint_eq(store_find(&stores[i], "key")->len, size_rows[_i].size);
        if (size_rows[_i].size > 0)
            ck_assert_mem_eq(store_find(&stores[i], "key")->data, data, size_rows[_i].size);
    }
}
END_TEST

START_TEST(a_store_that_refuses_it_is_out_and_the_other_has_it)
{
    const struct error *why;
    uint64_t size;

    whole.code = PGCASK_EXISTS;
    ck_assert_int_eq(write_object(500, &size), 0);
    ck_assert(!outlet_alive(outlet, 0, &why));
    ck_assert_int_eq(why->code, PGCASK_EXISTS);
    ck_assert_str_eq(why->text, "store 'a': not today");
    ck_assert(outlet_alive(outlet, 1, NULL));
    ck_assert_uint_eq(store_count(&stores[0]), 0);
    ck_assert_uint_eq(store_count(&stores[1]), 1);
}
END_TEST

START_TEST(what_was_written_whole_is_taken_back_when_we_are_stopped)
{
    uint64_t size;

    whole.cancel = true;
    ck_assert_int_eq(write_object(500, &size), ERROR_CANCELLED);
    ck_assert_uint_eq(whole.calls, 1);
    ck_assert_uint_eq(store_count(&stores[0]) + store_count(&stores[1]), 0);
    ck_assert_uint_eq(stores[1].uploads, 0);
}
END_TEST

START_TEST(an_aborted_object_was_never_begun)
{
    struct outlet_object *object;

    ck_assert_int_eq(outlet_begin(outlet, "key", 0, &object), 0);
    ck_assert_int_eq(outlet_write(object, data, 999), 0);
    outlet_abort(object);
    ck_assert_uint_eq(whole.calls + stores[0].calls[STORE_BEGIN] + stores[0].calls[STORE_ABORT], 0);
    ck_assert_uint_eq(stores[1].calls[STORE_ABORT], 1);
}
END_TEST

START_TEST(a_store_with_smaller_parts_gets_it_as_a_part)
{
    uint64_t size;

    teardown();
    setup();
    stores[0].part_preferred = 400; /* the outlet's parts have 1000 bytes, as the second one prefers */
    stores[0].part_max = 5000;
    open_all(2, 1);
    stores[0].plugin.storage.put_object = whole_put_object;
    ck_assert_int_eq(write_object(500, &size), 0);
    ck_assert_uint_eq(whole.calls, 0);
    ck_assert_uint_eq(stores[0].calls[STORE_COMMIT], 1);
    ck_assert_int_eq(outlet_put(outlet, "small", data, 400), 0);
    ck_assert_uint_eq(whole.calls, 1);
}
END_TEST

static Suite *
outlet_whole_suite(void)
{
    Suite *suite = suite_create("outlet-whole");
    TCase *tcase = tcase_create("outlet-whole");

    tcase_add_checked_fixture(tcase, setup_whole, teardown);
    tcase_add_loop_test(tcase, an_object_below_a_part_is_one_call, 0, ARRAY_LEN(size_rows));
    tcase_add_test(tcase, a_store_that_refuses_it_is_out_and_the_other_has_it);
    tcase_add_test(tcase, what_was_written_whole_is_taken_back_when_we_are_stopped);
    tcase_add_test(tcase, an_aborted_object_was_never_begun);
    tcase_add_test(tcase, a_store_with_smaller_parts_gets_it_as_a_part);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(outlet_whole_suite)
