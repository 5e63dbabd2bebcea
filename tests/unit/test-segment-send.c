/* SPDX-License-Identifier: PostgreSQL
 *
 * One object to several stores: each has it whole or not at all, and says why; one
 * that fails does not hold up the others.
 */
#include "config.h"

#include "pipeline/segment-send.h"

#include <string.h>

#include "base/error.h"
#include "unit-store.h"
#include "unit.h"

enum { STORES = 3 };

static struct store stores[STORES];
static struct storage *opened[STORES];
static struct send_target targets[STORES];
static unsigned char part[1000];
static struct send sending;

static void
setup(void)
{
    static const char *const names[STORES] = { "a", "b", "c" };

    for (size_t i = 0; i < STORES; i++) {
        stores[i] = (struct store){ .part_preferred = 1000 };
        store_open(&stores[i], names[i]);
        opened[i] = stores[i].storage;
        targets[i] = (struct send_target){ .storage = opened[i] };
    }
    sending = (struct send){ .targets = targets, .count = STORES, .key = "x", .part = part, .size = sizeof part };
}

static void
teardown(void)
{
    for (size_t i = 0; i < STORES; i++) {
        error_free(&targets[i].error);
        ck_assert_uint_eq(stores[i].uploads, 0);
        store_close(&stores[i]);
    }
}

/* So many bytes, in pieces of 7. */
static int
send_bytes(size_t len)
{
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < len; at += 7) {
        unsigned char piece[7];

        for (size_t i = 0; i < sizeof piece; i++)
            piece[i] = (unsigned char)((at + i) % 251);
        rc = send_take(&sending, piece, len - at < sizeof piece ? len - at : sizeof piece);
    }
    return rc;
}

static void
check_has(size_t store, size_t len)
{
    const struct store_object *object = store_find(&stores[store], "x");

    ck_assert_ptr_nonnull(object);
    ck_assert_uint_eq(object->len, len);
    for (size_t i = 0; i < len; i++)
        ck_assert_uint_eq(object->data[i], i % 251);
    ck_assert_int_eq(targets[store].error.code, 0);
}

static const size_t lengths[] = { 0, 1, 999, 1000, 1001, 2000, 5500 };

START_TEST(every_store_has_every_byte)
{
    ck_assert_int_eq(send_bytes(lengths[_i]), 0);
    send_end(&sending);
    for (size_t i = 0; i < STORES; i++)
        check_has(i, lengths[_i]);
    ck_assert_uint_eq(stores[0].calls[STORE_PART], (lengths[_i] + 999) / 1000);
}
END_TEST

static const struct fail_row {
    enum store_call call;
    unsigned at;
} fail_rows[] = { { STORE_BEGIN, 1 }, { STORE_PART, 1 }, { STORE_PART, 3 }, { STORE_COMMIT, 1 }, { STORE_STAT, 1 } };

START_TEST(a_store_that_fails_is_left_and_the_others_have_it)
{
    stores[1].fails = fail_rows[_i].call;
    stores[1].fails_at = fail_rows[_i].at;
    stores[1].code = PGCASK_FAILED;
    stores[1].reason = "the disk is full";
    ck_assert_int_eq(send_bytes(5500), 0);
    send_end(&sending);
    check_has(0, 5500);
    check_has(2, 5500);
    ck_assert_int_eq(targets[1].error.code, PGCASK_FAILED);
    ck_assert_ptr_nonnull(strstr(targets[1].error.text, "store 'b'"));
    ck_assert_ptr_nonnull(strstr(targets[1].error.text, "the disk is full"));
}
END_TEST

START_TEST(a_key_that_is_taken_is_told_as_that)
{
    stores[1].fails = STORE_COMMIT;
    stores[1].fails_at = 1;
    stores[1].code = PGCASK_EXISTS;
    stores[1].reason = "it is there";
    ck_assert_int_eq(send_bytes(10), 0);
    send_end(&sending);
    ck_assert(targets[1].exists);
    ck_assert(!targets[0].exists);
    ck_assert_int_eq(targets[1].error.code, PGCASK_EXISTS);
}
END_TEST

START_TEST(when_all_have_failed_no_more_is_made)
{
    for (size_t i = 0; i < STORES; i++) {
        stores[i].fails = STORE_PART;
        stores[i].fails_at = 2;
        stores[i].code = PGCASK_FAILED;
        stores[i].reason = "no";
    }
    ck_assert_int_eq(send_bytes(5500), PGCASK_FAILED);
    ck_assert(send_abort(&sending));
    for (size_t i = 0; i < STORES; i++)
        ck_assert_uint_eq(store_count(&stores[i]), 0);
}
END_TEST

START_TEST(what_is_given_up_leaves_nothing)
{
    ck_assert_int_eq(send_bytes(2500), 0);
    ck_assert(!send_abort(&sending));
    for (size_t i = 0; i < STORES; i++) {
        ck_assert_uint_eq(store_count(&stores[i]), 0);
        ck_assert_int_eq(targets[i].error.code, 0);
    }
}
END_TEST

START_TEST(given_up_before_a_part_was_full_nothing_was_begun)
{
    ck_assert_int_eq(send_bytes(500), 0);
    ck_assert(!send_abort(&sending));
    ck_assert_uint_eq(stores[0].calls[STORE_BEGIN], 0);
}
END_TEST

static const struct size_row {
    struct {
        uint64_t least, preferred, most;
    } limits[2];
    size_t size; /* 0: refused */
} size_rows[] = {
    { { { 1, 1000, 5000 }, { 1, 1000, 5000 } }, 1000 },
    { { { 1, 1000, 5000 }, { 1, 3000, 5000 } }, 1000 },             /* less memory */
    { { { 1, 1000, 5000 }, { 2000, 3000, 5000 } }, 2000 },          /* but not less than one of them takes */
    { { { 1, 1 << 25, 1 << 26 }, { 1, 1 << 25, 1 << 26 } }, 1 << 24 },
    { { { 1 << 25, 1 << 25, 1 << 26 }, { 1, 1 << 25, 1 << 26 } }, 1 << 25 },
    { { { 1, 500, 500 }, { 1000, 1000, 5000 } }, 0 },
};

START_TEST(parts_are_of_a_size_that_suits_all)
{
    const struct size_row *row = &size_rows[_i];
    size_t size = 0;

    for (size_t i = 0; i < 2; i++) {
        store_close(&stores[i]);
        stores[i] = (struct store){ .part_min = row->limits[i].least,
                                    .part_preferred = row->limits[i].preferred,
                                    .part_max = row->limits[i].most };
        store_open(&stores[i], "x");
        opened[i] = stores[i].storage;
    }
    ck_assert_int_eq(send_part_size(opened, 2, &size), row->size > 0 ? 0 : ERROR_USAGE);
    ck_assert_uint_eq(size, row->size);
}
END_TEST

static Suite *
send_suite(void)
{
    Suite *suite = suite_create("segment-send");
    TCase *sends = tcase_create("sends"), *parts = tcase_create("parts");

    tcase_add_checked_fixture(sends, setup, teardown);
    tcase_add_loop_test(sends, every_store_has_every_byte, 0, ARRAY_LEN(lengths));
    tcase_add_loop_test(sends, a_store_that_fails_is_left_and_the_others_have_it, 0, ARRAY_LEN(fail_rows));
    tcase_add_test(sends, a_key_that_is_taken_is_told_as_that);
    tcase_add_test(sends, when_all_have_failed_no_more_is_made);
    tcase_add_test(sends, what_is_given_up_leaves_nothing);
    tcase_add_test(sends, given_up_before_a_part_was_full_nothing_was_begun);
    suite_add_tcase(suite, sends);
    tcase_add_checked_fixture(parts, setup, teardown);
    tcase_add_loop_test(parts, parts_are_of_a_size_that_suits_all, 0, ARRAY_LEN(size_rows));
    suite_add_tcase(suite, parts);
    return suite;
}

UNIT_MAIN(send_suite)
