/* SPDX-License-Identifier: PostgreSQL
 *
 * Manifests of base backups: there and back, and what is refused of them.
 */
#include "config.h"

#include "unit-manifest-json.h"

static json_t *
base_json(void)
{
    CLEANUP(manifest_free) struct manifest *manifest = made_base();
    CLEANUP_FREE char *text = manifest_encode(manifest);
    json_t *json = NULL;

    ck_assert_msg(json_read("base", text, strlen(text), &json) == 0, "%s", error_text());
    return json;
}

START_TEST(what_is_written_comes_back)
{
    CLEANUP(manifest_free) struct manifest *manifest = made_base(), *again = NULL;
    CLEANUP_FREE char *text = NULL, *text_again = NULL;

    manifest->base->wal_included = _i == 1;
    text = manifest_encode(manifest);
    ck_assert_msg(decode_text(text, strlen(text), &again) == 0, "%s", error_text());
    text_again = manifest_encode(again);
    ck_assert_str_eq(text, text_again);
    ck_assert_str_eq(again->kind, "base");
    ck_assert_ptr_null(again->dump_version);
    ck_assert_uint_eq(again->base->start_lsn, UINT64_C(0x1AFF000028));
    ck_assert_uint_eq(again->base->stop_lsn, UINT64_C(0x1B00000100));
    ck_assert_uint_eq(again->base->timeline, 3);
    ck_assert_uint_eq(again->base->segment_bytes, 16 << 20);
    ck_assert_int_eq(again->base->wal_included, _i == 1);
    ck_assert(again->base->standby);
    ck_assert_int_eq(again->base->bad_pages, 2);
    ck_assert_str_eq(again->base->parent, "20261121T020000Z-full");
    ck_assert_uint_eq(again->base->len, 1);
    ck_assert_str_eq(again->base->tablespaces[0].oid, "16385");
    ck_assert_str_eq(again->base->tablespaces[0].location, "/srv/fast disk");
    ck_assert_str_eq(manifest_find(again, ROLE_TABLESPACE, NULL, NULL, NULL)->tablespace, "16385");
    ck_assert(manifest_is_full(again));
}
END_TEST

START_TEST(a_dump_has_no_base)
{
    CLEANUP(manifest_free) struct manifest *manifest = made_full(), *again = NULL;
    CLEANUP_FREE char *text = manifest_encode(manifest);

    ck_assert_ptr_null(strstr(text, "\"base\""));
    ck_assert_ptr_null(strstr(text, "\"tablespace\""));
    ck_assert_int_eq(decode_text(text, strlen(text), &again), 0);
    ck_assert_ptr_null(again->base);
}
END_TEST

static const struct {
    const char *path, *value;
    bool good;
} changes[] = {
    { "base.parent", NULL, true },                      /* a full one has none */
    { "base.parent", "null", true },
    { "base.parent", "\"yesterday\"", false },          /* no id */
    { "base.bad_pages", "0", true },
    { "base.bad_pages", "-1", false },
    { "base.bad_pages", NULL, false },
    { "base.standby", "false", true },
    { "base.standby", "1", false },
    { "base.timeline", "0", false },                    /* they begin at 1 */
    { "base.timeline", "4294967296", false },
    { "base.timeline", NULL, false },
    { "base.start_lsn", "\"1A/FF000028\"", true },
    { "base.start_lsn", "\"0/0\"", false },
    { "base.start_lsn", "\"1A\"", false },
    { "base.start_lsn", "7", false },
    { "base.stop_lsn", "\"1A/FF000027\"", false },      /* before the start */
    { "base.stop_lsn", NULL, false },
    { "base.segment_size", "1048576", true },
    { "base.segment_size", "3145728", false },          /* no power of two */
    { "base.segment_size", "524288", false },           /* too small */
    { "base.wal", "\"include\"", true },
    { "base.wal", "\"somewhere\"", false },
    { "base.wal", NULL, false },
    { "base.tablespaces", "[]", false },                /* then there is a member too many */
    { "base.tablespaces.0.oid", "\"16386\"", false },   /* the member is of another one */
    { "base.tablespaces.0.oid", "\"../16385\"", false },
    { "base.tablespaces.0.location", NULL, false },
    { "base.tablespaces", "[{\"oid\": \"1\", \"location\": \"/a\"}, {\"oid\": \"1\", \"location\": \"/b\"}]", false },
    { "members.0.tablespace", NULL, false },            /* of which one? */
    { "members.1.role", "\"settings\"", false },        /* no data directory */
    { "members.1.role", "\"backup_manifest\"", false }, /* two lists */
    { "members.2.role", "\"settings\"", false },        /* no list */
    { "kind", "\"dump\"", false },                      /* then there is no base */
    { "base", NULL, false },                            /* then it is no base backup */
    { "base", "null", false },
    { "base", "[]", false },
    { "dump_version", "\"15.20\"", true },              /* what is not asked for is passed over */
};

START_TEST(only_what_makes_sense_is_taken)
{
    CLEANUP_JSON json_t *json = base_json();
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    int rc = decode_with(json, changes[_i].path, changes[_i].value, &manifest);

    ck_assert_msg(rc == (changes[_i].good ? 0 : ERROR_CORRUPT), "%d: %s", rc, error_text());
}
END_TEST

START_TEST(a_dump_with_a_base_is_refused)
{
    CLEANUP_JSON json_t *json = base_json(), *dump = NULL;
    CLEANUP(manifest_free) struct manifest *full = made_full(), *manifest = NULL;
    CLEANUP_FREE char *text = manifest_encode(full), *base = NULL;

    ck_assert_int_eq(json_read("dump", text, strlen(text), &dump), 0);
    base = json_dumps(json_object_get(json, "base"), 0);
    ck_assert_int_eq(decode_with(dump, "base", base, &manifest), ERROR_CORRUPT);
    ck_assert_error_has("'kind' is 'dump'");
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("manifest-base");
    TCase *tcase = tcase_create("base");

    tcase_add_loop_test(tcase, what_is_written_comes_back, 0, 2);
    tcase_add_test(tcase, a_dump_has_no_base);
    tcase_add_loop_test(tcase, only_what_makes_sense_is_taken, 0, ARRAY_LEN(changes));
    tcase_add_test(tcase, a_dump_with_a_base_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
