/* SPDX-License-Identifier: PostgreSQL
 *
 * What is no manifest. Bad ones are made from a good one by changing one field and
 * setting the digest right again, so that the digest is not what they are refused
 * for.
 */
#include "config.h"

#include "catalog/manifest.h"

#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"
#include "unit-manifest-json.h"
#include "unit.h"

/* The full one as JSON. */
static json_t *
full_json(void)
{
    CLEANUP(manifest_free) struct manifest *manifest = made_full();
    CLEANUP_FREE char *text = manifest_encode(manifest);
    json_t *json = NULL;

    ck_assert_msg(json_read("full", text, strlen(text), &json) == 0, "%s", error_text());
    return json;
}

/* Set (value NULL: take away) one field and try. */
static int
decode_changed(const char *path, const char *value, struct manifest **ret_manifest)
{
    CLEANUP_JSON json_t *json = full_json();

    return decode_with(json, path, value, ret_manifest);
}

/* ---- fields ---- */

enum { STRING = 1, INT = 2, BOOL = 4, ARRAY = 8, MAYBE = 16, NULLABLE = 32 };

static const struct field_row {
    const char *path;
    int kind;
} field_rows[] = {
    { "repository", STRING },
    { "cluster", STRING },
    { "system_identifier", STRING },
    { "id", STRING },
    { "job", STRING },
    { "kind", STRING },
    { "content", STRING },
    { "selection", BOOL },
    { "tool", STRING },
    { "dump_version", STRING },
    { "server_version", INT },
    { "server_text", STRING },
    { "started", STRING },
    { "finished", STRING },
    { "recipients", ARRAY },
    { "databases", ARRAY },
    { "databases.0.name", STRING },
    { "databases.0.size", INT },
    { "members", ARRAY },
    { "members.0.name", STRING },
    { "members.0.object", STRING },
    { "members.0.role", STRING },
    { "members.1.database", STRING | MAYBE | NULLABLE }, /* those of the cluster have none */
    { "members.0.stages", ARRAY },
    { "members.0.plain_size", INT },
    { "members.0.plain_digest", STRING },
    { "members.0.stored_size", INT },
    { "members.0.stored_digest", STRING },
    { "members.0.header_size", INT },
    { "members.0.header_digest", STRING },
    { "members.2.database", STRING }, /* of a table */
    { "members.2.schema", STRING },
    { "members.2.table", STRING },
    { "checks", ARRAY },
    { "checks.0.name", STRING },
    { "checks.0.database", STRING },
    { "checks.0.query", STRING },
    { "checks.0.result", STRING },
};

START_TEST(every_field_must_be_there)
{
    const struct field_row *row = &field_rows[_i];
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    const char *word = strrchr(row->path, '.') ? strrchr(row->path, '.') + 1 : row->path;
    int rc = decode_changed(row->path, NULL, &manifest);

    if (row->kind & MAYBE) {
        ck_assert_msg(rc == 0, "%s", error_text());
        return;
    }
    ck_assert_int_eq(rc, ERROR_CORRUPT);
    ck_assert_ptr_null(manifest);
    ck_assert_error_has("m.json: ");
    ck_assert_error_has(word);
}
END_TEST

START_TEST(no_field_may_be_of_another_type)
{
    static const struct {
        const char *value;
        int kind;
    } values[] = { { "null", NULLABLE }, { "true", BOOL }, { "7.5", 0 }, { "{}", 0 }, { "\"text\"", STRING },
                   { "7", INT },         { "[]", ARRAY } };
    const struct field_row *row = &field_rows[_i];

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct manifest *manifest = NULL;

        if ((values[i].kind & row->kind) != 0)
            continue;
        ck_assert_msg(decode_changed(row->path, values[i].value, &manifest) == ERROR_CORRUPT, "%s = %s", row->path,
                      values[i].value);
        ck_assert_ptr_null(manifest);
    }
}
END_TEST

static const struct value_row {
    const char *path, *value;
    const char *error; /* NULL: taken */
} value_rows[] = {
    { "id", "\"20261122T020000Z-weekly\"", NULL }, /* whether it is the one that was asked for: see the catalog */
    { "id", "\"latest\"", "'latest' is not the id of a backup" },
    { "id", "\"../20261122T020000Z-daily\"", "is not the id of a backup" },
    { "server_version", "0", NULL },
    { "server_version", "2147483647", NULL },
    { "server_version", "2147483648", "'server_version' is not a whole number" },
    { "server_version", "-1", "'server_version' is not a whole number" },
    { "started", "\"2026-11-22T02:00:00Z\"", NULL },
    { "started", "\"2026-11-22 02:00:00\"", "is not a time" },
    { "started", "\"2026-11-22T02:00:00Z \"", "is not a time" },
    { "started", "\" 2026-11-22T02:00:00Z\"", "is not a time" },   /* as nobody writes it */
    { "started", "\"2026-02-31T02:00:00Z\"", "is not a time" },    /* no such day */
    { "started", "\"2026-1-2T3:4:5Z\"", "is not a time" },
    { "finished", "\"9999-12-31T23:59:60Z\"", "is not a time" },   /* would be the year 10000 */
    { "finished", "\"\"", "is not a time" },
    { "recipients", "[]", NULL },
    { "recipients", "[\"passphrase\"]", NULL },
    { "recipients", "[\"a\", 5]", "'recipients' does not hold strings" },
    { "databases", "[5]", "'databases' 0: 'name' is missing" },
    { "databases.0.size", "-1", "'databases' 0: 'size' is not a whole number" },
    { "databases.0.size", "9223372036854775807", NULL },
    { "members", "[[]]", "'members' 0: 'name' is missing" },
    { "checks", "[null]", "'checks' 0: 'name' is missing" },
    { "members.1.object", "\"../manifest.json\"", "'members' 1: '../manifest.json' is not the name of an object" },
    { "members.1.object", "\"\"", "is not the name of an object" },
    { "members.1.object", "\"/etc/passwd\"", "is not the name of an object" },
    { "members.1.object", "\"..\"", "is not the name of an object" },
    { "members.1.stages", "[\"zstd\"]", "'stored_digest' of an unencrypted member is not a SHA-256" },
    { "members.3.stages", "[\"zstd\", \"age\"]", "'header_size' is missing" },
    { "members.1.stages", "[]", "'stages' is neither" },
    { "members.1.stages", "[\"age\"]", "'stages' is neither" },
    { "members.1.stages", "[\"age\", \"zstd\"]", "'stages' is neither" },
    { "members.1.stages", "[\"zstd\", \"lzma\"]", "'stages' is neither" },
    { "members.1.stages", "[\"zstd\", 5]", "'stages' is neither" },
    { "members.1.stages", "[\"zstd\", \"age\", \"age\"]", "'stages' is neither" },
    { "members.1.plain_size", "-1", "'plain_size' is not a whole number" },
    { "members.1.plain_size", "0", NULL }, /* an empty table */
    { "members.1.plain_digest", "\"" SHA256_TEXT "\"", NULL },
    { "members.1.plain_digest", "\"md5:0123456789abcdef0123456789abcdef\"", "is not a digest of a known algorithm" },
    { "members.1.plain_digest", "\"xxh3-128:0123456789abcdef0123456789abcde\"", "digest 'xxh3-128:" }, /* too short */
    { "members.1.plain_digest", "\"" XXH3_TEXT "0\"", "digest 'xxh3-128:" },                          /* too long */
    { "members.1.plain_digest", "\"xxh3-128:0123456789abcdef0123456789abcdeg\"", "digest 'xxh3-128:" },
    { "members.1.stored_digest", "\"sha256:\"", "digest 'sha256:'" },
    { "members.3.stored_digest", "\"" XXH3_TEXT "\"", "'stored_digest' of an unencrypted member is not a SHA-256" },
    { "members.1.header_digest", "\"" XXH3_TEXT "\"", "'header_digest' is not a SHA-256" },
    { "members.1.header_size", "65536", "'header_size' is impossible" },  /* more than is stored */
    { "members.1.header_size", "984", NULL },                             /* an empty payload has a nonce */
    { "members.1.header_size", "985", "'header_size' is impossible" },
    { "members.1.stored_size", "215", "'header_size' is impossible" },
    { "members.1.role", "\"table\"", "a table's member does not name database, schema and table" },
    { "members.2.role", "\"main\"", "a member that is no table's names a schema or a table" },
    { "members.1.schema", "\"public\"", "a member that is no table's names a schema or a table" },
    { "members.1.table", "\"orders\"", "a member that is no table's names a schema or a table" },
    { "members.1.table", "null", NULL },
};

START_TEST(values_nobody_would_write_are_refused)
{
    const struct value_row *row = &value_rows[_i];
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    int rc = decode_changed(row->path, row->value, &manifest);

    if (row->error == NULL) {
        ck_assert_msg(rc == 0, "%s", error_text());
        return;
    }
    ck_assert_int_eq(rc, ERROR_CORRUPT);
    ck_assert_ptr_null(manifest);
    ck_assert_error_has("m.json: ");
    ck_assert_error_has(row->error);
}
END_TEST

START_TEST(headers_longer_than_age_allows_are_refused)
{
    CLEANUP_JSON json_t *json = full_json();
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    const char *key;
    json_t *member = json_at(json, "members.1.name", &key);

    (void)json_object_set_new(member, "stored_size", json_integer(1000000));
    (void)json_object_set_new(member, "header_size", json_integer(65536));
    ck_assert_int_eq(decode_json(json, &manifest), 0);
    (void)json_object_set_new(member, "header_size", json_integer(65537));
    ck_assert_int_eq(decode_json(json, &manifest), ERROR_CORRUPT);
}
END_TEST

static const struct format_row {
    const char *value; /* NULL: missing */
    int code;
    const char *error;
} format_rows[] = {
    { "2", PGCASK_UNSUPPORTED, "m.json has format 2, this pgcask knows 1" },
    { "2147483647", PGCASK_UNSUPPORTED, "m.json has format 2147483647" },
    { "0", ERROR_CORRUPT, "'format' is not a whole number" },
    { "-1", ERROR_CORRUPT, "'format' is not a whole number" },
    { "\"1\"", ERROR_CORRUPT, "'format' is not a whole number" },
    { "1.0", ERROR_CORRUPT, "'format' is not a whole number" },
    { NULL, ERROR_CORRUPT, "'format' is missing" },
};

START_TEST(a_format_that_is_not_known_is_refused)
{
    const struct format_row *row = &format_rows[_i];
    CLEANUP(manifest_free) struct manifest *manifest = NULL;

    ck_assert_int_eq(decode_changed("format", row->value, &manifest), row->code);
    ck_assert_ptr_null(manifest);
    ck_assert_error_has(row->error);
    if (row->code == PGCASK_UNSUPPORTED)
        ck_assert_str_eq(error_cure(), "a newer pgcask wrote it: use that one");
}
END_TEST

/* A newer one need not have our digest to be told for what it is. */
START_TEST(the_format_is_looked_at_before_the_digest)
{
    static const char newer[] = "{\"format\": 2}";
    CLEANUP(manifest_free) struct manifest *manifest = NULL;

    ck_assert_int_eq(decode_text(newer, strlen(newer), &manifest), PGCASK_UNSUPPORTED);
}
END_TEST

START_TEST(no_byte_can_be_changed)
{
    CLEANUP(manifest_free) struct manifest *full = made_full();
    CLEANUP_FREE char *text = manifest_encode(full);
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        struct manifest *manifest = NULL;

        text[i] ^= 1;
        ck_assert_msg(decode_text(text, len, &manifest) < 0, "byte %zu", i);
        ck_assert_ptr_null(manifest);
        text[i] ^= 1;
    }
}
END_TEST

START_TEST(a_changed_manifest_is_told_so)
{
    CLEANUP(manifest_free) struct manifest *full = made_full(), *manifest = NULL;
    CLEANUP_FREE char *text = manifest_encode(full);

    *strstr(text, "shop") = 'S';
    ck_assert_int_eq(decode_text(text, strlen(text), &manifest), ERROR_CORRUPT);
    ck_assert_error_has("m.json: its digest is sha256:");
    ck_assert_error_has("it was changed after it was written");
}
END_TEST

START_TEST(no_piece_of_it_is_one)
{
    CLEANUP(manifest_free) struct manifest *full = made_full();
    CLEANUP_FREE char *text = manifest_encode(full);
    size_t whole = strlen(text) - 1; /* the newline at the end may go */

    ck_assert_int_eq(text[whole], '\n');
    for (size_t len = 0; len < whole; len++) {
        struct manifest *manifest = NULL;

        ck_assert_int_eq(decode_text(text, len, &manifest), ERROR_CORRUPT);
        ck_assert_ptr_null(manifest);
    }
}
END_TEST

static const char *const no_manifests[] = {
    "",
    "null",
    "[]",
    "\"format\"",
    "{}",
    "{\"format\": 1}",                              /* no digest */
    "{\"format\": 1, \"digest\": 5}",
    "{\"format\": 1, \"format\": 1}",               /* whom to believe? */
    "{\"format\": 1, \"tool\": \"a\\u0000b\"}",     /* a text that would end too early */
    "{\"format\": 99999999999999999999}",
    "\xff\xfe{\"format\": 1}",
};

START_TEST(other_json_is_refused)
{
    CLEANUP(manifest_free) struct manifest *manifest = NULL;

    ck_assert_int_eq(decode_text(no_manifests[_i], strlen(no_manifests[_i]), &manifest), ERROR_CORRUPT);
    ck_assert_ptr_null(manifest);
    ck_assert_error_has("m.json");
}
END_TEST

START_TEST(nothing_may_stand_behind_it)
{
    CLEANUP(manifest_free) struct manifest *full = made_full(), *manifest = NULL;
    CLEANUP_FREE char *text = manifest_encode(full);
    CLEANUP_FREE char *more = mem_printf("%s{}", text), *twice = mem_printf("%s%s", text, text);

    ck_assert_int_eq(decode_text(more, strlen(more), &manifest), ERROR_CORRUPT);
    ck_assert_int_eq(decode_text(twice, strlen(twice), &manifest), ERROR_CORRUPT);
    ck_assert_ptr_null(manifest);
}
END_TEST

static Suite *
manifest_refused_suite(void)
{
    Suite *suite = suite_create("manifest-refused");
    TCase *refused = tcase_create("all");

    tcase_add_loop_test(refused, every_field_must_be_there, 0, ARRAY_LEN(field_rows));
    tcase_add_loop_test(refused, no_field_may_be_of_another_type, 0, ARRAY_LEN(field_rows));
    tcase_add_loop_test(refused, values_nobody_would_write_are_refused, 0, ARRAY_LEN(value_rows));
    tcase_add_test(refused, headers_longer_than_age_allows_are_refused);
    tcase_add_loop_test(refused, a_format_that_is_not_known_is_refused, 0, ARRAY_LEN(format_rows));
    tcase_add_test(refused, the_format_is_looked_at_before_the_digest);
    tcase_add_test(refused, no_byte_can_be_changed);
    tcase_add_test(refused, a_changed_manifest_is_told_so);
    tcase_add_test(refused, no_piece_of_it_is_one);
    tcase_add_loop_test(refused, other_json_is_refused, 0, ARRAY_LEN(no_manifests));
    tcase_add_test(refused, nothing_may_stand_behind_it);
    suite_add_tcase(suite, refused);
    return suite;
}

UNIT_MAIN(manifest_refused_suite)
