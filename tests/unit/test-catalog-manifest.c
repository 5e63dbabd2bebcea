/* SPDX-License-Identifier: PostgreSQL
 *
 * Manifests as the catalog reads them: whose they are, from which store, and the
 * cache. And how a store says which repository it is.
 */
#include "config.h"

#include "catalog/catalog.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "unit-catalog.h"
#include "unit-talk.h"
#include "unit.h"

#define OTHER_REPOSITORY "ffffffffffffffffffffffffffffffff"

/* A manifest under a key that is not its own. */
static const struct foreign_row {
    const char *repository, *cluster, *id;
    const char *error; /* NULL: it is the right one */
} foreign_rows[] = {
    { REPOSITORY, "chain", "20261122T020000Z-daily", NULL },
    { REPOSITORY, "shop", "20261122T020000Z-daily", "the manifest is that of 'shop/20261122T020000Z-daily'" },
    { REPOSITORY, "chain", "20261121T020000Z-daily", "the manifest is that of 'chain/20261121T020000Z-daily'" },
    { OTHER_REPOSITORY, "chain", "20261122T020000Z-daily",
      "the manifest belongs to another repository (" OTHER_REPOSITORY ", this one is " REPOSITORY ")" },
};

START_TEST(a_manifest_of_something_else_is_refused_by_name)
{
    const struct foreign_row *row = &foreign_rows[_i];
    CLEANUP(manifest_free) struct manifest *made = made_empty(row->cluster, row->id);
    CLEANUP_FREE char *text = NULL, *cache = dir_path("cache");
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    const struct manifest *manifest = NULL;
    int rc;

    ck_assert_int_eq(file_mkdirs(cache), 0);
    free(made->repository);
    made->repository = mem_strdup(row->repository);
    text = manifest_encode(made);
    put_object(one, "20261122T020000Z-daily", LABEL_MANIFEST, text);
    catalog = load(cache);
    rc = catalog_manifest(catalog, &catalog->backups[0], &manifest);
    ck_assert_int_eq(rc, row->error ? ERROR_CORRUPT : 0);
    ck_assert_int_eq(manifest != NULL, row->error == NULL);
    if (row->error == NULL)
        return;
    ck_assert_error_has("store 'one': object 'chain/backup/20261122T020000Z-daily/manifest.json': ");
    ck_assert_error_has(row->error);
    (void)remove(cache);
    ck_assert(!file_exists(cache)); /* it was empty: nothing wrong is remembered */
}
END_TEST

START_TEST(a_manifest_is_read_once)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    const struct manifest *manifest, *again;
    size_t gets;

    put_backup(one, "20261122T020000Z-daily", "all", false);
    put_backup(two, "20261122T020000Z-daily", "all", false);
    catalog = load(NULL);
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[0], &manifest), 0);
    gets = one->gets + two->gets;
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[0], &again), 0);
    ck_assert_ptr_eq(manifest, again);
    ck_assert_uint_eq(one->gets + two->gets, gets);
}
END_TEST

START_TEST(the_next_store_helps_out)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    const struct manifest *manifest = NULL;
    struct talk talk = talk_begin(STDERR_FILENO);
    CLEANUP_FREE char *said = NULL;

    put_backup(one, "20261122T020000Z-daily", "all", false);
    put_backup(two, "20261122T020000Z-daily", "all", false);
    catalog = load(NULL);
    one->refuse = LABEL_MANIFEST;
    one->refuse_code = _i == 0 ? PGCASK_FAILED : PGCASK_COLD;
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[0], &manifest), 0);
    ck_assert_ptr_nonnull(manifest);
    said = talk_end(&talk);
    ck_assert_has(said, "store 'one': no answer");
    ck_assert_has(said, "trying the next store");
}
END_TEST

START_TEST(when_no_store_helps_the_last_reason_is_told)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    const struct manifest *manifest = NULL;
    struct talk talk = talk_begin(STDERR_FILENO);
    CLEANUP_FREE char *said = NULL;
    int rc;

    put_backup(one, "20261122T020000Z-daily", "all", false);
    put_backup(two, "20261122T020000Z-daily", "all", false);
    catalog = load(NULL);
    one->refuse = two->refuse = LABEL_MANIFEST;
    rc = catalog_manifest(catalog, &catalog->backups[0], &manifest);
    said = talk_end(&talk);
    ck_assert_int_eq(rc, PGCASK_FAILED);
    ck_assert_error_has("store 'two': no answer");
    ck_assert_has(said, "store 'one': no answer");
    ck_assert_ptr_null(manifest);
}
END_TEST

START_TEST(what_was_never_finished_has_no_manifest)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    const struct manifest *manifest = NULL;

    put_object(one, "20261122T020000Z-daily", "globals.sql.zst.age", "bytes");
    catalog = load(NULL);
    ck_assert(!catalog_exists(&catalog->backups[0]));
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[0], &manifest), PGCASK_NOT_FOUND);
    ck_assert_str_eq(error_text(), "backup '20261122T020000Z-daily' has no manifest: it was never finished");
}
END_TEST

/* ---- the cache ---- */

static int
read_once(const char *cache)
{
    CLEANUP(catalog_free) struct catalog *catalog = load(cache);
    const struct manifest *manifest;

    return catalog_manifest(catalog, &catalog->backups[0], &manifest);
}

START_TEST(a_manifest_is_fetched_once_for_all_runs)
{
    CLEANUP_FREE char *cache = dir_path("cache");
    struct fake_object *object;

    ck_assert_int_eq(file_mkdirs(cache), 0);
    put_backup(one, "20261122T020000Z-daily", "all", false);
    ck_assert_int_eq(read_once(cache), 0);
    object = fake_find(one, "chain/backup/20261122T020000Z-daily/manifest.json");
    memset(object->data, 'x', object->len); /* nobody looks */
    ck_assert_int_eq(read_once(cache), 0);
    ck_assert_int_eq(read_once(NULL), ERROR_CORRUPT);
}
END_TEST

START_TEST(a_cache_that_cannot_be_written_does_no_harm)
{
    CLEANUP_FREE char *cache = dir_path("missing");

    put_backup(one, "20261122T020000Z-daily", "all", false);
    ck_assert_int_eq(read_once(cache), 0);
    ck_assert_str_eq(error_text(), "");
}
END_TEST

static const char *const spoilt[] = { "", "rubbish", "{\"format\": 1}" };

START_TEST(a_spoilt_cache_is_told_and_made_anew)
{
    CLEANUP_FREE char *cache = dir_path("cache"), *said = NULL;
    CLEANUP_FREE char *path = mem_printf("%s/%s-chain-20261122T020000Z-daily.json", cache, REPOSITORY);
    struct talk talk;
    size_t gets;

    ck_assert_int_eq(file_mkdirs(cache), 0);
    put_backup(one, "20261122T020000Z-daily", "all", false);
    ck_assert_int_eq(read_once(cache), 0);
    ck_assert(file_exists(path));
    ck_assert_int_eq(file_write(path, spoilt[_i], strlen(spoilt[_i])), 0);
    talk = talk_begin(STDERR_FILENO);
    ck_assert_int_eq(read_once(cache), 0);
    said = talk_end(&talk);
    ck_assert_has(said, "WARN: the local copy '");
    ck_assert_has(said, path);
    ck_assert_has(said, ", removing it and asking the store");
    gets = one->gets;
    ck_assert_int_eq(read_once(cache), 0);
    ck_assert_uint_eq(one->gets, gets + 1); /* pgcask.json: the copy is a good one again */
}
END_TEST

/* Put there by somebody who knows digests but not whose backup it is. */
START_TEST(a_foreign_manifest_in_the_cache_is_refused)
{
    CLEANUP(manifest_free) struct manifest *made = made_empty("shop", "20261122T020000Z-daily");
    CLEANUP_FREE char *cache = dir_path("cache"), *text = manifest_encode(made), *said = NULL;
    CLEANUP_FREE char *path = mem_printf("%s/%s-chain-20261122T020000Z-daily.json", cache, REPOSITORY);
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    const struct manifest *manifest;
    struct talk talk;

    ck_assert_int_eq(file_mkdirs(cache), 0);
    put_backup(one, "20261122T020000Z-daily", "all", false);
    ck_assert_int_eq(file_write(path, text, strlen(text)), 0);
    catalog = load(cache);
    talk = talk_begin(STDERR_FILENO);
    ck_assert_int_eq(catalog_manifest(catalog, &catalog->backups[0], &manifest), 0);
    said = talk_end(&talk);
    ck_assert_has(said, "the manifest is that of 'shop/");
    ck_assert_str_eq(manifest->cluster, "chain");
}
END_TEST

/* Spoilt, and the store that has it does not answer: that is what is told. */
START_TEST(a_spoilt_cache_without_its_store_is_the_stores_error)
{
    CLEANUP_FREE char *cache = dir_path("cache"), *said = NULL;
    CLEANUP_FREE char *path = mem_printf("%s/%s-chain-20261122T020000Z-daily.json", cache, REPOSITORY);
    struct talk talk = talk_begin(STDERR_FILENO);

    ck_assert_int_eq(file_mkdirs(cache), 0);
    put_backup(one, "20261122T020000Z-daily", "all", false);
    ck_assert_int_eq(file_write(path, "x", 1), 0);
    one->refuse = LABEL_MANIFEST;
    ck_assert_int_eq(read_once(cache), PGCASK_FAILED);
    said = talk_end(&talk);
    ck_assert_error_has("store 'one': no answer");
    ck_assert(!file_exists(path));
}
END_TEST

/* ---- the repository ---- */

#define ID32 "0123456789abcdef0123456789abcdef"

static const struct repository_row {
    const char *text;
    int code;
    const char *error;
} repository_rows[] = {
    { "{\"format\": 1, \"id\": \"" ID32 "\"}", 0, NULL },
    { "{\"format\": 1, \"id\": \"" ID32 "\", \"more\": 1}", 0, NULL },
    { "{\"format\": 2, \"id\": \"" ID32 "\"}", PGCASK_UNSUPPORTED, "'pgcask.json' has format 2, this pgcask knows 1" },
    { "{\"format\": 0, \"id\": \"" ID32 "\"}", ERROR_CORRUPT, "'format' is not a whole number" },
    { "{\"id\": \"" ID32 "\"}", ERROR_CORRUPT, "'format' is missing" },
    { "{\"format\": 1}", ERROR_CORRUPT, "'id' is missing" },
    { "{\"format\": 1, \"id\": 5}", ERROR_CORRUPT, "'id' is not a string" },
    { "{\"format\": 1, \"id\": \"\"}", ERROR_CORRUPT, "'id' is '', not 32 hex digits" },
    { "{\"format\": 1, \"id\": \"" ID32 "0\"}", ERROR_CORRUPT, "not 32 hex digits" },
    { "{\"format\": 1, \"id\": \"0123456789ABCDEF0123456789ABCDEF\"}", ERROR_CORRUPT, "not 32 hex digits" },
    { "{\"format\": 1, \"id\": \"../../../../../../../../../../..\"}", ERROR_CORRUPT, "not 32 hex digits" },
    { "", ERROR_CORRUPT, "is not valid JSON" },
};

START_TEST(a_repository_is_known_by_its_file)
{
    const struct repository_row *row = &repository_rows[_i];
    CLEANUP_FREE char *id = NULL;

    (void)fake_text(one, LABEL_REPOSITORY, row->text);
    ck_assert_int_eq(catalog_repository(stores[0], &id), row->code);
    ck_assert_pstr_eq(id, row->code == 0 ? ID32 : NULL);
    if (row->code == 0)
        return;
    ck_assert_error_has("store 'one': object 'pgcask.json'");
    ck_assert_error_has(row->error);
}
END_TEST

START_TEST(a_repository_is_made_once)
{
    CLEANUP_FREE char *id = NULL;

    fake_drop(one, LABEL_REPOSITORY);
    ck_assert_int_eq(catalog_repository(stores[0], &id), PGCASK_NOT_FOUND);
    ck_assert_int_eq(catalog_repository_make(stores[0], ID32), 0);
    ck_assert_int_eq(catalog_repository_make(stores[0], OTHER_REPOSITORY), PGCASK_EXISTS);
    ck_assert_int_eq(catalog_repository(stores[0], &id), 0);
    ck_assert_str_eq(id, ID32);
}
END_TEST

/* The newest that can be read says it; what is spoilt and what is not ours does not. */
START_TEST(a_repository_without_its_file_is_known_by_its_manifests)
{
    CLEANUP_FREE char *id = NULL;

    fake_drop(one, LABEL_REPOSITORY);
    ck_assert_int_eq(catalog_repository_by_manifests(stores[0], &id), PGCASK_NOT_FOUND);
    (void)fake_text(one, "holiday/manifest.json", "{}");
    put_object(one, "20260101T000000Z-daily", "globals.sql.zst.age", "bytes");
    ck_assert_int_eq(catalog_repository_by_manifests(stores[0], &id), PGCASK_NOT_FOUND);
    put_object(one, "20260103T000000Z-daily", LABEL_MANIFEST, "{}");
    ck_assert_int_eq(catalog_repository_by_manifests(stores[0], &id), ERROR_CORRUPT);
    put_backup(one, "20260102T000000Z-daily", "all", false);
    ck_assert_int_eq(catalog_repository_by_manifests(stores[0], &id), 0);
    ck_assert_str_eq(id, REPOSITORY);
}
END_TEST

START_TEST(trouble_with_a_manifest_is_no_answer)
{
    CLEANUP_FREE char *id = NULL;

    put_backup(one, "20260102T000000Z-daily", "all", false);
    one->refuse = LABEL_MANIFEST;
    ck_assert_int_eq(catalog_repository_by_manifests(stores[0], &id), PGCASK_FAILED);
    ck_assert_ptr_null(id);
}
END_TEST

static Suite *
catalog_manifest_suite(void)
{
    Suite *suite = suite_create("catalog-manifest");
    TCase *read = tcase_create("read");

    tcase_add_checked_fixture(read, catalog_setup, catalog_teardown);
    tcase_add_loop_test(read, a_manifest_of_something_else_is_refused_by_name, 0, ARRAY_LEN(foreign_rows));
    tcase_add_test(read, a_manifest_is_read_once);
    tcase_add_loop_test(read, the_next_store_helps_out, 0, 2);
    tcase_add_test(read, when_no_store_helps_the_last_reason_is_told);
    tcase_add_test(read, what_was_never_finished_has_no_manifest);
    tcase_add_test(read, a_manifest_is_fetched_once_for_all_runs);
    tcase_add_test(read, a_cache_that_cannot_be_written_does_no_harm);
    tcase_add_loop_test(read, a_spoilt_cache_is_told_and_made_anew, 0, ARRAY_LEN(spoilt));
    tcase_add_test(read, a_foreign_manifest_in_the_cache_is_refused);
    tcase_add_test(read, a_spoilt_cache_without_its_store_is_the_stores_error);
    tcase_add_loop_test(read, a_repository_is_known_by_its_file, 0, ARRAY_LEN(repository_rows));
    tcase_add_test(read, a_repository_is_made_once);
    tcase_add_test(read, a_repository_without_its_file_is_known_by_its_manifests);
    tcase_add_test(read, trouble_with_a_manifest_is_no_answer);
    suite_add_tcase(suite, read);
    return suite;
}

UNIT_MAIN(catalog_manifest_suite)
