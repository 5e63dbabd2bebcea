/* SPDX-License-Identifier: PostgreSQL
 *
 * Listings of WAL: put in order, merged over stores, and what is not ours passed over.
 */
#include "config.h"

#include "catalog/wal-list.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "unit-fake.h"
#include "unit.h"

#define SYSTEM "7301234567890123456"
#define OTHER "7301234567890123457"
#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct fake *one, *two;

static void
open_stores(void)
{
    one = fake_opened("one");
    two = fake_opened("two");
    log_set_level(LOG_LEVEL_ERROR);
}

static void
close_stores(void)
{
    fake_free(one);
    fake_free(two);
}

static void
put(struct fake *fake, const char *file, const char *digest, bool sealed)
{
    struct wal_name name;
    CLEANUP_FREE char *key = NULL;

    ck_assert_int_eq(wal_name_parse(file, &name), 0);
    key = label_wal("main", SYSTEM, &name, digest, sealed);
    (void)fake_text(fake, key, "seven b");
}

/* "name-first of digest+store" of each row */
static char *
shown(const struct wal_list *list)
{
    CLEANUP_STRV struct strv words = { 0 };

    for (size_t i = 0; i < list->len; i++) {
        CLEANUP_FREE char *name = wal_name_text(&list->rows[i].name);

        strv_addf(&words, "%s-%c%s+%zu", name, list->rows[i].digest[0], list->rows[i].sealed ? "s" : "",
                  list->rows[i].store);
    }
    return strv_join(&words, " ");
}

START_TEST(rows_come_in_order_of_the_log)
{
    CLEANUP_WAL_LIST struct wal_list list = { 0 };
    CLEANUP_FREE char *text = NULL;

    put(one, "000000020000000000000003", A, false);
    put(one, "000000010000000100000000", A, false);
    put(one, "0000000100000000000000FF.partial", A, false);
    put(one, "0000000100000000000000FF", B, true);
    put(one, "0000000100000000000000FF", A, false);
    put(one, "0000000100000000000000FF.00000028.backup", A, false);
    put(one, "00000002.history", A, true);
    ck_assert_int_eq(wal_list_load(one->storage, "main", SYSTEM, &list), 0);
    text = shown(&list);
    ck_assert_str_eq(text, "0000000100000000000000FF-a+0 0000000100000000000000FF-bs+0 "
                           "0000000100000000000000FF.partial-a+0 0000000100000000000000FF.00000028.backup-a+0 "
                           "000000010000000100000000-a+0 00000002.history-as+0 000000020000000000000003-a+0");
    ck_assert_str_eq(list.system_identifier, SYSTEM);
    ck_assert_uint_eq(list.rows[0].size, 7);
    ck_assert_int_gt(list.rows[0].mtime_s, 0);
}
END_TEST

START_TEST(stores_are_merged)
{
    CLEANUP_WAL_LIST struct wal_list list = { 0 };
    CLEANUP_FREE char *text = NULL;

    put(one, "000000010000000000000001", A, false);
    put(one, "000000010000000000000003", A, false);
    put(two, "000000010000000000000002", A, false);
    put(two, "000000010000000000000003", A, false);
    ck_assert_int_eq(wal_list_add(one->storage, 0, "main", SYSTEM, &list), 0);
    ck_assert_int_eq(wal_list_add(two->storage, 1, "main", SYSTEM, &list), 0);
    text = shown(&list);
    ck_assert_str_eq(text, "000000010000000000000001-a+0 000000010000000000000002-a+1 "
                           "000000010000000000000003-a+0 000000010000000000000003-a+1");
}
END_TEST

START_TEST(a_store_that_does_not_answer_adds_nothing)
{
    CLEANUP_WAL_LIST struct wal_list list = { 0 };

    put(one, "000000010000000000000001", A, false);
    one->refuse = SYSTEM;
    ck_assert_int_eq(wal_list_load(one->storage, "main", SYSTEM, &list), PGCASK_FAILED);
    ck_assert_error_has("store 'one'");
    ck_assert_ptr_null(list.rows);
    ck_assert_ptr_null(list.system_identifier);
}
END_TEST

START_TEST(foreign_objects_are_passed_over)
{
    CLEANUP_WAL_LIST struct wal_list list = { 0 };

    put(one, "000000010000000000000001", A, false);
    (void)fake_text(one, "main/wal/" SYSTEM "/notes.txt", "?");
    (void)fake_text(one, "main/wal/" SYSTEM "/00000001/0000000100000000/000000010000000000000001", "?");
    (void)fake_text(one, "main/wal/" OTHER "/00000002.history-" A ".zst", "?");
    ck_assert_int_eq(wal_list_load(one->storage, "main", SYSTEM, &list), 0);
    ck_assert_uint_eq(list.len, 1);
}
END_TEST

static const struct find_row {
    const char *file;
    size_t count;
} find_rows[] = {
    { "000000010000000000000001", 1 }, { "000000010000000000000002", 3 }, { "000000010000000000000003", 0 },
    { "000000010000000000000002.partial", 1 }, { "00000002.history", 1 }, { "00000001.history", 0 },
    { "000000030000000000000002", 0 },
};

START_TEST(all_rows_of_a_file_are_found)
{
    const struct find_row *row = &find_rows[_i];
    CLEANUP_WAL_LIST struct wal_list list = { 0 };
    struct wal_name name;
    const struct wal_row *found;
    size_t count = 4711;

    put(one, "000000010000000000000001", A, false);
    put(one, "000000010000000000000002", A, false);
    put(one, "000000010000000000000002", A, true);
    put(one, "000000010000000000000002", B, true);
    put(one, "000000010000000000000002.partial", B, true);
    put(one, "00000002.history", B, true);
    ck_assert_int_eq(wal_list_load(one->storage, "main", SYSTEM, &list), 0);
    ck_assert_int_eq(wal_name_parse(row->file, &name), 0);
    found = wal_list_find(&list, &name, &count);
    ck_assert_uint_eq(count, row->count);
    ck_assert_int_eq(found != NULL, row->count > 0);
    for (size_t i = 0; i < count; i++) {
        CLEANUP_FREE char *text = wal_name_text(&found[i].name), *key = wal_row_key(&found[i], "main", SYSTEM);

        ck_assert_str_eq(text, row->file);
        ck_assert_ptr_nonnull(fake_find(one, key));
    }
}
END_TEST

START_TEST(each_history_of_a_cluster_is_named_once)
{
    CLEANUP_STRV struct strv systems = { 0 };

    put(one, "000000010000000000000001", A, false);
    put(one, "000000010000000000000002", A, false);
    (void)fake_text(one, "main/wal/" OTHER "/00000002.history-" A ".zst", "?");
    (void)fake_text(one, "main/wal/nonsense/00000002.history-" A ".zst", "?");
    (void)fake_text(one, "mains/wal/1/00000002.history-" A ".zst", "?");
    ck_assert_int_eq(wal_list_systems(one->storage, "main", &systems), 0);
    ck_assert_uint_eq(systems.len, 2);
    ck_assert_str_eq(systems.items[0], SYSTEM);
    ck_assert_str_eq(systems.items[1], OTHER);
}
END_TEST

static Suite *
wal_list_suite(void)
{
    Suite *suite = suite_create("wal-list");
    TCase *listing = tcase_create("listing");

    tcase_add_checked_fixture(listing, open_stores, close_stores);
    tcase_add_test(listing, rows_come_in_order_of_the_log);
    tcase_add_test(listing, stores_are_merged);
    tcase_add_test(listing, a_store_that_does_not_answer_adds_nothing);
    tcase_add_test(listing, foreign_objects_are_passed_over);
    tcase_add_loop_test(listing, all_rows_of_a_file_are_found, 0, ARRAY_LEN(find_rows));
    tcase_add_test(listing, each_history_of_a_cluster_is_named_once);
    suite_add_tcase(suite, listing);
    return suite;
}

UNIT_MAIN(wal_list_suite)
