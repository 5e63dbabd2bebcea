/* SPDX-License-Identifier: PostgreSQL
 *
 * The manifest: what is written comes back, today and as the first pgcask wrote it.
 * What is refused: test-manifest-refused.c.
 */
#include "config.h"

#include "catalog/manifest.h"

#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "unit-manifest.h"
#include "unit.h"

#define ID "20261122T020000Z-daily"

/* ---- there and back ---- */

static void
same_members(const struct manifest *a, const struct manifest *b)
{
    ck_assert_uint_eq(a->member_count, b->member_count);
    for (size_t i = 0; i < a->member_count; i++) {
        const struct manifest_member *one = &a->members[i], *two = &b->members[i];

        ck_assert_str_eq(one->name, two->name);
        ck_assert_str_eq(one->object, two->object);
        ck_assert_str_eq(one->role, two->role);
        ck_assert_pstr_eq(one->database, two->database);
        ck_assert_pstr_eq(one->schema, two->schema);
        ck_assert_pstr_eq(one->table, two->table);
        ck_assert_int_eq(one->sealed, two->sealed);
        ck_assert_uint_eq(one->plain_size, two->plain_size);
        ck_assert_uint_eq(one->stored_size, two->stored_size);
        ck_assert_uint_eq(one->header_size, two->header_size);
        ck_assert_str_eq(one->plain_digest, two->plain_digest);
        ck_assert_str_eq(one->stored_digest, two->stored_digest);
        ck_assert_pstr_eq(one->header_digest, two->header_digest);
    }
}

static void
same_manifests(const struct manifest *a, const struct manifest *b)
{
    ck_assert_str_eq(a->repository, b->repository);
    ck_assert_str_eq(a->cluster, b->cluster);
    ck_assert_str_eq(a->system_identifier, b->system_identifier);
    ck_assert_str_eq(a->id, b->id);
    ck_assert_str_eq(a->job, b->job);
    ck_assert_str_eq(a->kind, b->kind);
    ck_assert_str_eq(a->content, b->content);
    ck_assert_int_eq(a->selection, b->selection);
    ck_assert_str_eq(a->tool, b->tool);
    ck_assert_str_eq(a->dump_version, b->dump_version);
    ck_assert_int_eq(a->server_version, b->server_version);
    ck_assert_str_eq(a->server_text, b->server_text);
    ck_assert_int_eq(a->started_s, b->started_s);
    ck_assert_int_eq(a->finished_s, b->finished_s);
    ck_assert_uint_eq(a->recipients.len, b->recipients.len);
    for (size_t i = 0; i < a->recipients.len; i++)
        ck_assert_str_eq(a->recipients.items[i], b->recipients.items[i]);
    ck_assert_uint_eq(a->database_count, b->database_count);
    for (size_t i = 0; i < a->database_count; i++) {
        ck_assert_str_eq(a->databases[i].name, b->databases[i].name);
        ck_assert_uint_eq(a->databases[i].size, b->databases[i].size);
    }
    same_members(a, b);
    ck_assert_uint_eq(a->check_count, b->check_count);
    for (size_t i = 0; i < a->check_count; i++) {
        ck_assert_str_eq(a->checks[i].name, b->checks[i].name);
        ck_assert_str_eq(a->checks[i].database, b->checks[i].database);
        ck_assert_str_eq(a->checks[i].query, b->checks[i].query);
        ck_assert_str_eq(a->checks[i].result, b->checks[i].result);
    }
}

START_TEST(what_is_written_comes_back)
{
    CLEANUP(manifest_free) struct manifest *manifest = _i == 0 ? made_full() : made_empty("c", ID);
    CLEANUP(manifest_free) struct manifest *again = NULL;
    CLEANUP_FREE char *text = NULL, *text_again = NULL;

    manifest->selection = _i == 0;
    text = manifest_encode(manifest);
    ck_assert_msg(decode_text(text, strlen(text), &again) == 0, "%s", error_text());
    same_manifests(manifest, again);
    text_again = manifest_encode(again);
    ck_assert_str_eq(text, text_again);
}
END_TEST

START_TEST(texts_that_are_no_utf8_do_not_spoil_the_rest)
{
    CLEANUP(manifest_free) struct manifest *manifest = made_full();
    CLEANUP(manifest_free) struct manifest *again = NULL;
    CLEANUP_FREE char *text = NULL;

    free(manifest->checks[0].result);
    manifest->checks[0].result = mem_strdup("caf\xe9\t\x01\x7f\"\\\n");
    text = manifest_encode(manifest);
    ck_assert_msg(decode_text(text, strlen(text), &again) == 0, "%s", error_text());
    ck_assert_str_eq(again->checks[0].result, "caf\xef\xbf\xbd\t\x01\x7f\"\\\n");
}
END_TEST

/* Written out by hand: keys sorted, nothing between, and how the rare characters are escaped. */
static const char canonical_by_hand[] =
    "{\"checks\":[{\"database\":\"d\",\"name\":\"n\",\"query\":\"q/\",\"result\":\"\\t\\n\\u001F\x7f\xc3\xbc\"}],"
    "\"cluster\":\"c\",\"content\":\"all\",\"databases\":[],\"dump_version\":\"15.20\","
    "\"finished\":\"2026-11-22T02:01:01Z\",\"format\":1,\"id\":\"20261122T020000Z-daily\",\"job\":\"daily\","
    "\"kind\":\"dump\",\"members\":[],\"recipients\":[],\"repository\":\"" REPOSITORY "\",\"selection\":false,"
    "\"server_text\":\"15.20 (Debian 15.20-0+deb12u1)\",\"server_version\":150020,"
    "\"started\":\"2026-11-22T02:00:00Z\",\"system_identifier\":\"7123456789012345678\",\"tool\":\"pgcask 0.1.0\"}";

START_TEST(the_digest_is_over_the_canonical_form)
{
    CLEANUP(manifest_free) struct manifest *manifest = made_empty("c", ID);
    struct manifest_check *check = manifest_add_check(manifest);
    CLEANUP_FREE char *text = NULL;
    CLEANUP_FREE char *digest = digest_of(DIGEST_SHA256, canonical_by_hand, strlen(canonical_by_hand));
    CLEANUP_JSON json_t *json = NULL;

    *check = (struct manifest_check){ mem_strdup("n"), mem_strdup("d"), mem_strdup("q/"),
                                      mem_strdup("\t\n\x1f\x7f\xc3\xbc") };
    text = manifest_encode(manifest);
    ck_assert_int_eq(json_read("m", text, strlen(text), &json), 0);
    ck_assert_str_eq(json_string_value(json_object_get(json, "digest")), digest);
}
END_TEST

/* ---- the fixture, kept for ever ---- */

START_TEST(the_first_format_stays_readable)
{
    const char *top = getenv("top_srcdir");
    CLEANUP_FREE char *path = mem_printf("%s/tests/format/v1/manifest.json", top ? top : ".");
    CLEANUP_BUF struct buf text = BUF_INIT(MANIFEST_LIMIT_BYTES);
    CLEANUP(manifest_free) struct manifest *manifest = NULL, *wanted = made_full();

    ck_assert_msg(file_read(path, &text) == 0, "%s", error_text());
    ck_assert_msg(manifest_decode("golden", text.data, text.len, &manifest) == 0, "%s", error_text());
    same_manifests(manifest, wanted);
}
END_TEST

/* ---- looking things up ---- */

static const struct find_row {
    const char *role, *database, *schema, *table;
    int index; /* -1: none */
} find_rows[] = {
    { ROLE_GLOBALS, NULL, NULL, NULL, 0 },
    { ROLE_MAIN, "shop", NULL, NULL, 1 },
    { ROLE_MAIN, NULL, NULL, NULL, 1 },
    { ROLE_MAIN, "other", NULL, NULL, -1 },
    { ROLE_TABLE, "shop", "public", "order line", 2 },
    { ROLE_TABLE, "shop", "public", "order", -1 },
    { ROLE_TABLE, "shop", "Public", "order line", -1 },
    { ROLE_GLOBALS, "shop", NULL, NULL, -1 }, /* it belongs to no database */
    { NULL, "shop", NULL, NULL, 1 },          /* the first of several */
    { ROLE_SETTINGS, NULL, NULL, NULL, -1 },
};

START_TEST(members_are_found_by_what_they_are)
{
    const struct find_row *row = &find_rows[_i];
    CLEANUP(manifest_free) struct manifest *manifest = made_full();
    const struct manifest_member *member = manifest_find(manifest, row->role, row->database, row->schema, row->table);

    ck_assert_ptr_eq(member, row->index < 0 ? NULL : &manifest->members[row->index]);
}
END_TEST

START_TEST(databases_and_sums_are_found)
{
    CLEANUP(manifest_free) struct manifest *manifest = made_full();

    ck_assert_ptr_eq(manifest_database(manifest, "shop"), &manifest->databases[0]);
    ck_assert_ptr_null(manifest_database(manifest, "sho"));
    ck_assert_uint_eq(manifest_plain_size(manifest), 12000);
    ck_assert_uint_eq(manifest_stored_size(manifest), 4000);
}
END_TEST

static const struct full_row {
    const char *content;
    bool selection, full;
} full_rows[] = {
    { "all", false, true },
    { "all", true, false },
    { "schema", false, false },
    { "data", false, false },
};

START_TEST(only_all_of_everything_is_full)
{
    CLEANUP(manifest_free) struct manifest *manifest = made_full();

    free(manifest->content);
    manifest->content = mem_strdup(full_rows[_i].content);
    manifest->selection = full_rows[_i].selection;
    ck_assert_int_eq(manifest_is_full(manifest), full_rows[_i].full);
}
END_TEST

START_TEST(half_made_ones_can_be_freed)
{
    struct manifest *manifest = manifest_new();

    manifest_free(NULL);
    for (size_t i = 0; i < 20; i++) { /* more than the arrays begin with */
        (void)manifest_add_member(manifest);
        (void)manifest_add_check(manifest);
        (void)manifest_add_database(manifest);
    }
    ck_assert_ptr_null(manifest->members[19].name);
    manifest_free(manifest);
}
END_TEST

static Suite *
manifest_suite(void)
{
    Suite *suite = suite_create("manifest");
    TCase *back = tcase_create("there and back"), *use = tcase_create("use");

    tcase_add_loop_test(back, what_is_written_comes_back, 0, 2);
    tcase_add_test(back, texts_that_are_no_utf8_do_not_spoil_the_rest);
    tcase_add_test(back, the_digest_is_over_the_canonical_form);
    tcase_add_test(back, the_first_format_stays_readable);
    suite_add_tcase(suite, back);
    tcase_add_loop_test(use, members_are_found_by_what_they_are, 0, ARRAY_LEN(find_rows));
    tcase_add_test(use, databases_and_sums_are_found);
    tcase_add_loop_test(use, only_all_of_everything_is_full, 0, ARRAY_LEN(full_rows));
    tcase_add_test(use, half_made_ones_can_be_freed);
    suite_add_tcase(suite, use);
    return suite;
}

UNIT_MAIN(manifest_suite)
