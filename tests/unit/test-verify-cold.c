/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading a copy back that is cold, or has cold members: nothing is said of what cannot
 * be read, and what can be looked at is.
 */
#include "config.h"

#include "pipeline/verify.h"

#include <string.h>

#include "base/error.h"
#include "unit-verify.h"
#include "unit.h"

static void
freeze(size_t i)
{
    member_object(fake, manifest, i)->tier = PGCASK_TIER_COLD;
}

START_TEST(a_cold_copy_is_neither_good_nor_bad)
{
    enum verify_depth depth = VERIFY_CONFIRMED;

    spec.deep = _i % 2 == 0;
    freeze((size_t)_i / 2);
    ck_assert_int_eq(verify(&depth), PGCASK_COLD);
    ck_assert_int_eq(depth, VERIFY_CONFIRMED); /* untouched */
    ck_assert(!verify_is_bad(PGCASK_COLD));
    ck_assert_error_has("store 'one': 'chain/backup/" RUN "/");
}
END_TEST

/* What can be read is read: cold members hide nothing of the others. */
START_TEST(a_hot_member_that_is_bad_is_found_among_cold_ones)
{
    spec.streams = 1;
    freeze(GLOBALS);
    freeze(ROWS);
    member_object(fake, manifest, MAIN)->data[MAIN_BYTES / 2] ^= 1;
    ck_assert_int_eq(verify(NULL), ERROR_CORRUPT);
}
END_TEST

START_TEST(a_cold_copy_is_confirmed_by_its_sizes)
{
    size_t gets;

    for (size_t i = 0; i < MEMBERS; i++)
        freeze(i);
    commit();
    gets = fake->gets;
    ck_assert_msg(verify_confirm(&spec) == 0, "%s", error_text());
    ck_assert_uint_eq(fake->gets, gets + 1); /* the manifest */
    member_object(fake, manifest, (size_t)_i)->len--;
    ck_assert_int_eq(verify_confirm(&spec), ERROR_CORRUPT);
    ck_assert_error_has("the manifest says");
    member_object(fake, manifest, (size_t)_i)->len++;
    fake_drop(fake, member_object(fake, manifest, (size_t)_i)->key);
    ck_assert_int_eq(verify_confirm(&spec), PGCASK_NOT_FOUND);
    ck_assert_error_has("is missing");
}
END_TEST

static Suite *
verify_cold_suite(void)
{
    Suite *suite = suite_create("verify-cold");
    TCase *cold = tcase_create("cold");

    tcase_add_checked_fixture(cold, verify_setup, verify_teardown);
    tcase_set_timeout(cold, 60);
    tcase_add_loop_test(cold, a_cold_copy_is_neither_good_nor_bad, 0, 2 * MEMBERS);
    tcase_add_test(cold, a_hot_member_that_is_bad_is_found_among_cold_ones);
    tcase_add_loop_test(cold, a_cold_copy_is_confirmed_by_its_sizes, 0, MEMBERS);
    suite_add_tcase(suite, cold);
    return suite;
}

UNIT_MAIN(verify_cold_suite)
