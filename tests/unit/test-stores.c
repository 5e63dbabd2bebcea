/* SPDX-License-Identifier: PostgreSQL
 *
 * Opening the stores of a run: new ones get an id, all must have the same one, and
 * one that fails does not stop the others. The stores are in memory: plugin_load
 * below takes the place of the one that opens shared objects.
 */
#include "config.h"

#include "pipeline/stores.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "catalog/catalog.h"
#include "catalog/label.h"
#include "unit-dir.h"
#include "unit-fake.h"
#include "unit-talk.h"
#include "unit.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum { STORES = 3 };

static struct fake *fakes[STORES]; /* "one", "two", "three": the last is not required */
static bool broken[STORES];        /* cannot be opened */
static struct config *config;

int
plugin_load(enum plugin_kind kind, const char *name, const struct plugin **ret_plugin)
{
    ck_assert_int_eq(kind, PLUGIN_STORAGE);
    ck_assert_str_eq(name, "fake");
    *ret_plugin = &fake_plugin;
    return 0;
}

static struct fake *
named(const char *where)
{
    size_t i = (size_t)(where[0] - '0');

    return broken[i] ? NULL : fakes[i];
}

static void
setup(void)
{
    CLEANUP_FREE char *path = NULL, *text = NULL;

    dir_make();
    path = dir_path("pgcask.ini");
    text = mem_printf("[pgcask]\nencrypt = none\nstate_dir = %s\n"
                      "[store one]\nplugin = fake\nwhere = 0\n[store two]\nplugin = fake\nwhere = 1\n"
                      "[store three]\nplugin = fake\nwhere = 2\nrequired = no\nretries = 0\n", unit_dir);
    dir_put(path, text, 0600);
    ck_assert_msg(config_load(path, &config) == 0, "%s", error_text());
    fake_named = named;
    for (size_t i = 0; i < STORES; i++) {
        fakes[i] = fake_new();
        broken[i] = false;
    }
}

static void
teardown(void)
{
    config_free(config);
    for (size_t i = 0; i < STORES; i++)
        fake_free(fakes[i]);
    dir_remove();
}

static void
put_repository(size_t i, const char *id)
{
    CLEANUP_FREE char *text = mem_printf("{\"format\": 1, \"id\": \"%s\"}", id);

    (void)fake_text(fakes[i], LABEL_REPOSITORY, text);
}

/* Is that id in that store? */
static bool
holds(size_t i, const char *id)
{
    const struct fake_object *object = fake_find(fakes[i], LABEL_REPOSITORY);

    return object != NULL && strstr(object->data, id) != NULL;
}

static void
open_all(unsigned flags, struct stores *stores)
{
    ck_assert_msg(stores_open(config, NULL, flags, stores) == 0, "%s", error_text());
}

/* What is said meanwhile, owned by the caller. */
static char *
open_told(unsigned flags, int code, struct stores *stores)
{
    struct talk talk = talk_begin(STDERR_FILENO);
    int rc = stores_open(config, NULL, flags, stores);
    char *said = talk_end(&talk);

    ck_assert_int_eq(rc, code);
    return said;
}

/* ---- repositories ---- */

START_TEST(new_stores_get_one_id)
{
    CLEANUP_STORES struct stores stores = { 0 };

    open_all(0, &stores);
    ck_assert_uint_eq(stores.len, STORES);
    ck_assert_uint_eq(stores.failed, 0);
    ck_assert_uint_eq(strlen(stores.repository), 32);
    ck_assert_uint_eq(strspn(stores.repository, "0123456789abcdef"), 32);
    for (size_t i = 0; i < STORES; i++)
        ck_assert(holds(i, stores.repository));
    ck_assert_str_eq(storage_name(stores.items[0]), "one");
    ck_assert_str_eq(storage_name(stores.items[2]), "three");
}
END_TEST

/* A job to one store today and another job to another store tomorrow: still one repository. */
START_TEST(stores_used_one_after_the_other_get_one_id)
{
    CLEANUP_STORES struct stores first = { 0 }, second = { 0 };
    CLEANUP_STRV struct strv one = { 0 }, two = { 0 };

    strv_add(&one, "one");
    strv_add(&two, "two");
    ck_assert_int_eq(stores_open(config, &one, 0, &first), 0);
    ck_assert_int_eq(stores_open(config, &two, 0, &second), 0);
    ck_assert_uint_eq(first.len, 1);
    ck_assert_str_eq(storage_name(second.items[0]), "two");
    ck_assert_str_eq(first.repository, second.repository);
    ck_assert_uint_eq(fakes[2]->opens, 0);
}
END_TEST

/* A host that was never used before, and verifies what another one stored. */
START_TEST(an_old_store_needs_nothing_on_this_host)
{
    CLEANUP_STORES struct stores stores = { 0 };

    put_repository(0, ID_A);
    free(config->state_dir);
    config->state_dir = dir_path("new/state");
    open_all(0, &stores);
    ck_assert_uint_eq(stores.len, STORES);
}
END_TEST

/* Wherever the old one stands in the list. */
START_TEST(a_new_store_joins_the_old_ones)
{
    CLEANUP_STORES struct stores stores = { 0 };

    put_repository((size_t)_i, ID_A);
    open_all(0, &stores);
    ck_assert_uint_eq(stores.len, STORES);
    ck_assert_str_eq(stores.repository, ID_A);
    for (size_t i = 0; i < STORES; i++) {
        ck_assert(holds(i, ID_A));
        ck_assert_str_eq(storage_name(stores.items[i]), config->stores.items[i].name);
    }
}
END_TEST

START_TEST(stores_of_two_repositories_are_not_mixed)
{
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_FREE char *said = NULL;

    put_repository(0, ID_A);
    put_repository(1, ID_B);
    put_repository(2, ID_A);
    said = open_told(_i == 0 ? 0 : PGCASK_OPEN_READONLY, 0, &stores);
    ck_assert_has(said, "store 'two' holds repository " ID_B ", the others of this job hold " ID_A
                        ", going on without that store");
    ck_assert_has(said, "HINT: give the job an empty store");
    ck_assert_uint_eq(stores.len, 2);
    ck_assert_uint_eq(stores.failed, 1);
    ck_assert_uint_eq(stores.failed_required, 1);
    ck_assert_str_eq(storage_name(stores.items[1]), "three");
    ck_assert(holds(1, ID_B));
    ck_assert_uint_eq(fakes[1]->closes, 1);
}
END_TEST

START_TEST(for_reading_an_empty_store_is_left_out_and_stays_empty)
{
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_FREE char *said = NULL;

    put_repository(1, ID_A);
    said = open_told(PGCASK_OPEN_READONLY, 0, &stores);
    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(stores.len, 1);
    ck_assert_uint_eq(stores.failed, 0);
    ck_assert_str_eq(stores.repository, ID_A);
    ck_assert_uint_eq(fakes[0]->len, 0);
    ck_assert_uint_eq(fakes[0]->closes, 1);
}
END_TEST

START_TEST(reading_without_any_backup_is_no_error)
{
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_FREE char *said = open_told(PGCASK_OPEN_READONLY, 0, &stores);

    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(stores.len, 0);
    ck_assert_ptr_null(stores.repository);
}
END_TEST

/* Another run makes the repository between our look and our writing. */
static void
other_run_is_faster(struct fake *fake, const char *key)
{
    if (strcmp(key, LABEL_REPOSITORY) == 0 && fake_find(fake, key) == NULL)
        (void)fake_text(fake, key, "{\"format\": 1, \"id\": \"" ID_B "\"}");
}

START_TEST(the_id_of_a_faster_run_is_taken)
{
    CLEANUP_STORES struct stores stores = { 0 };

    fakes[0]->missed = other_run_is_faster;
    open_all(0, &stores);
    ck_assert_uint_eq(stores.len, STORES);
    ck_assert_str_eq(stores.repository, ID_B);
    ck_assert(holds(0, ID_B) && holds(1, ID_B));
}
END_TEST

static const char *const bad_ids[] = { "", "rubbish", ID_A "\n", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ID_A "a" };

START_TEST(a_spoilt_id_of_this_host_is_not_used)
{
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_FREE char *path = dir_path("repository"), *said = NULL;

    dir_put(path, bad_ids[_i], 0600);
    said = open_told(0, PGCASK_FAILED, &stores);
    ck_assert_error_has("/repository' does not hold 32 hex digits");
    for (size_t i = 0; i < STORES; i++)
        ck_assert_uint_eq(fakes[i]->len, 0);
}
END_TEST

START_TEST(a_repository_that_cannot_be_read_is_not_made_anew)
{
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_FREE char *said = NULL;

    put_repository(0, ID_A);
    (void)fake_text(fakes[1], LABEL_REPOSITORY, "rubbish");
    fakes[2]->refuse = LABEL_REPOSITORY;
    said = open_told(0, 0, &stores);
    ck_assert_uint_eq(stores.len, 1);
    ck_assert_uint_eq(stores.failed, 2);
    ck_assert_uint_eq(stores.failed_required, 1);
    ck_assert_has(said, "store 'two': object 'pgcask.json' is not valid JSON");
    ck_assert_has(said, "store 'three': no answer for 'pgcask.json'");
    ck_assert(holds(1, "rubbish"));
    ck_assert_uint_eq(fakes[2]->len, 0);
}
END_TEST

/* ---- a store that was full yesterday ---- */

START_TEST(a_store_that_is_suddenly_empty_is_refused)
{
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_FREE char *said = NULL;

    open_all(0, &stores);
    stores_close(&stores);
    fake_drop(fakes[0], LABEL_REPOSITORY);
    said = open_told(_i == 0 ? 0 : PGCASK_OPEN_READONLY, 0, &stores);
    ck_assert_has(said, "store 'one' is empty, but backups were stored in it before");
    ck_assert_uint_eq(stores.len, 2);
    ck_assert_uint_eq(stores.failed_required, 1);
    ck_assert_uint_eq(fakes[0]->len, 0);
}
END_TEST

START_TEST(without_its_mark_a_store_begins_anew)
{
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_FREE char *mark = dir_path("store-one");

    open_all(0, &stores);
    stores_close(&stores);
    fake_drop(fakes[0], LABEL_REPOSITORY);
    ck_assert_int_eq(remove(mark), 0);
    open_all(0, &stores);
    ck_assert_uint_eq(stores.len, STORES);
    ck_assert(holds(0, stores.repository));
}
END_TEST

/* ---- stores that fail ---- */

static const struct broken_row {
    bool broken[STORES];
    size_t failed, failed_required;
} broken_rows[] = {
    { { false, false, false }, 0, 0 },
    { { true, false, false }, 1, 1 },
    { { false, false, true }, 1, 0 }, /* nobody has to have that one */
    { { true, false, true }, 2, 1 },
    { { true, true, false }, 2, 2 },
};

START_TEST(the_others_go_on)
{
    const struct broken_row *row = &broken_rows[_i];
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_FREE char *said = NULL;

    memcpy(broken, row->broken, sizeof broken);
    said = open_told(0, 0, &stores);
    ck_assert_uint_eq(stores.len, STORES - row->failed);
    ck_assert_uint_eq(stores.failed, row->failed);
    ck_assert_uint_eq(stores.failed_required, row->failed_required);
    for (size_t i = 0; i < STORES; i++) {
        CLEANUP_FREE char *reason = mem_printf("there is no '%zu', going on without that store", i);

        ck_assert_msg((strstr(said, reason) != NULL) == broken[i], "%s", said);
    }
    ck_assert_str_eq(error_text(), "");
}
END_TEST

START_TEST(when_all_fail_the_last_one_is_the_error)
{
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_FREE char *said = NULL;

    memset(broken, true, sizeof broken);
    said = open_told(0, PGCASK_FAILED, &stores);
    ck_assert_has(said, "there is no '0', going on without that store");
    ck_assert_has(said, "there is no '1', going on without that store");
    ck_assert_lacks(said, "there is no '2'");
    ck_assert_str_eq(error_text(), "store 'three': there is no '2'");
    ck_assert_uint_eq(stores.len, 0);
}
END_TEST

START_TEST(a_name_that_is_not_there_is_a_usage_error)
{
    CLEANUP_STORES struct stores stores = { 0 };
    CLEANUP_STRV struct strv names = { 0 };

    strv_add(&names, "one");
    strv_add(&names, "tree");
    ck_assert_int_eq(stores_open(config, &names, 0, &stores), ERROR_USAGE);
    ck_assert_error_has("'tree'");
    ck_assert_str_eq(error_cure(), "did you mean 'three'?");
    ck_assert_uint_eq(stores.len, 0);
    ck_assert_uint_eq(fakes[0]->closes, fakes[0]->opens);
}
END_TEST

START_TEST(closing_twice_is_no_harm)
{
    struct stores stores = { 0 };

    open_all(0, &stores);
    stores_close(&stores);
    stores_close(&stores);
    for (size_t i = 0; i < STORES; i++)
        ck_assert_uint_eq(fakes[i]->closes, 1);
}
END_TEST

static Suite *
stores_suite(void)
{
    Suite *suite = suite_create("stores");
    TCase *repository = tcase_create("repository"), *trouble = tcase_create("trouble");

    tcase_add_checked_fixture(repository, setup, teardown);
    tcase_add_test(repository, new_stores_get_one_id);
    tcase_add_test(repository, stores_used_one_after_the_other_get_one_id);
    tcase_add_test(repository, an_old_store_needs_nothing_on_this_host);
    tcase_add_loop_test(repository, a_new_store_joins_the_old_ones, 0, STORES);
    tcase_add_loop_test(repository, stores_of_two_repositories_are_not_mixed, 0, 2);
    tcase_add_test(repository, for_reading_an_empty_store_is_left_out_and_stays_empty);
    tcase_add_test(repository, reading_without_any_backup_is_no_error);
    tcase_add_test(repository, the_id_of_a_faster_run_is_taken);
    tcase_add_loop_test(repository, a_spoilt_id_of_this_host_is_not_used, 0, ARRAY_LEN(bad_ids));
    tcase_add_test(repository, a_repository_that_cannot_be_read_is_not_made_anew);
    suite_add_tcase(suite, repository);
    tcase_add_checked_fixture(trouble, setup, teardown);
    tcase_add_loop_test(trouble, a_store_that_is_suddenly_empty_is_refused, 0, 2);
    tcase_add_test(trouble, without_its_mark_a_store_begins_anew);
    tcase_add_loop_test(trouble, the_others_go_on, 0, ARRAY_LEN(broken_rows));
    tcase_add_test(trouble, when_all_fail_the_last_one_is_the_error);
    tcase_add_test(trouble, a_name_that_is_not_there_is_a_usage_error);
    tcase_add_test(trouble, closing_twice_is_no_harm);
    suite_add_tcase(suite, trouble);
    return suite;
}

UNIT_MAIN(stores_suite)
