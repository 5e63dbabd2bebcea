/* SPDX-License-Identifier: PostgreSQL
 *
 * What PostgreSQL wants to have archived, in its order.
 */
#include "config.h"

#include "pipeline/segment-ready.h"

#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "unit-dir.h"
#include "unit.h"

START_TEST(histories_come_first_then_the_oldest)
{
    static const char *const entries[] = {
        "000000020000000000000004.ready",
        "000000010000000000000003.ready",
        "000000010000000000000002.done", /* archived already */
        "00000003.history.ready",
        "000000010000000000000003.partial.ready",
        "00000002.history.ready",
        "000000010000000000000001.00000028.backup.ready",
        "000000010000000000000001.ready",
        "000000010000000000000009",
        "notes.ready", /* no WAL */
        ".ready",
    };
    CLEANUP_FREE char *status = dir_path("archive_status"), *text = NULL;
    CLEANUP_STRV struct strv names = { 0 };

    ck_assert_int_eq(mkdir(status, 0700), 0);
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        CLEANUP_FREE char *path = mem_printf("%s/%s", status, entries[i]);

        dir_put(path, "", 0600);
    }
    ck_assert_int_eq(segment_ready_list(unit_dir, &names), 0);
    text = strv_join(&names, " ");
    ck_assert_str_eq(text, "00000002.history 00000003.history 000000010000000000000001 "
                           "000000010000000000000001.00000028.backup 000000010000000000000003 "
                           "000000010000000000000003.partial 000000020000000000000004");
    ck_assert_str_eq(error_text(), "");
}
END_TEST

START_TEST(without_the_directory_nothing_is_ready)
{
    CLEANUP_STRV struct strv names = { 0 };

    ck_assert_int_eq(segment_ready_list(unit_dir, &names), 0);
    ck_assert_uint_eq(names.len, 0);
}
END_TEST

static Suite *
ready_suite(void)
{
    Suite *suite = suite_create("segment-ready");
    TCase *ready = tcase_create("ready");

    tcase_add_checked_fixture(ready, dir_make, dir_remove);
    tcase_add_test(ready, histories_come_first_then_the_oldest);
    tcase_add_test(ready, without_the_directory_nothing_is_ready);
    suite_add_tcase(suite, ready);
    return suite;
}

UNIT_MAIN(ready_suite)
