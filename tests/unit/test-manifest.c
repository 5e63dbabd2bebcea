/* SPDX-License-Identifier: PostgreSQL
 *
 * The manifest: what is written comes back, and nothing else is taken. Bad ones are
 * made from a good one by changing one field and setting the digest right again, so
 * that the digest is not what they are refused for.
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

static int
decode_text(const char *text, size_t len, struct manifest **ret_manifest)
{
    CLEANUP_FREE char *exact = mem_alloc(len + 1); /* the sanitizer sees a byte read too far */

    memcpy(exact, text, len);
    return manifest_decode("m.json", exact, len, ret_manifest);
}

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

/* The text with the digest set right. */
static char *
signed_text(json_t *json)
{
    CLEANUP_FREE char *canonical = NULL, *digest = NULL;

    (void)json_object_del(json, "digest");
    canonical = json_canonical(json);
    digest = digest_of(DIGEST_SHA256, canonical, strlen(canonical));
    (void)json_object_set_new(json, "digest", json_string(digest));
    return json_pretty(json);
}

static int
decode_json(json_t *json, struct manifest **ret_manifest)
{
    CLEANUP_FREE char *text = signed_text(json);

    return decode_text(text, strlen(text), ret_manifest);
}

/* "members.1.name": the object that holds the last word, which goes to `ret_key`. */
static json_t *
json_at(json_t *json, const char *path, const char **ret_key)
{
    const char *dot;

    for (; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        CLEANUP_FREE char *word = mem_strndup(path, (size_t)(dot - path));

        json = json_is_array(json) ? json_array_get(json, strtoul(word, NULL, 10)) : json_object_get(json, word);
    }
    ck_assert(json_is_object(json));
    *ret_key = path;
    return json;
}

/* Set (value NULL: take away) one field and try. */
static int
decode_changed(const char *path, const char *value, struct manifest **ret_manifest)
{
    CLEANUP_JSON json_t *json = full_json();
    const char *key;
    json_t *object = json_at(json, path, &key);

    if (value == NULL)
        ck_assert_int_eq(json_object_del(object, key), 0);
    else {
        json_t *made = json_loads(value, JSON_DECODE_ANY, NULL);

        ck_assert_ptr_nonnull(made);
        ck_assert_int_eq(json_object_set_new(object, key, made), 0);
    }
    return decode_json(json, ret_manifest);
}

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
    CLEANUP(manifest_free) struct manifest *manifest = _i == 0 ? made_full() : made_empty("c", "20261122T020000Z-daily");
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
    CLEANUP(manifest_free) struct manifest *manifest = made_empty("c", "20261122T020000Z-daily");
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

/* ---- refused ---- */

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
    { "members.1.plain_digest", "\"xxh3-128:0123456789abcdef0123456789abcde\"", "digest 'xxh3-128:" },  /* a digit short */
    { "members.1.plain_digest", "\"" XXH3_TEXT "0\"", "digest 'xxh3-128:" },                              /* one too many */
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
    CLEANUP_FREE char *text = manifest_encode(full), *more = mem_printf("%s{}", text), *twice = mem_printf("%s%s", text, text);

    ck_assert_int_eq(decode_text(more, strlen(more), &manifest), ERROR_CORRUPT);
    ck_assert_int_eq(decode_text(twice, strlen(twice), &manifest), ERROR_CORRUPT);
    ck_assert_ptr_null(manifest);
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
    TCase *back = tcase_create("there and back"), *refused = tcase_create("refused"), *use = tcase_create("use");

    tcase_add_loop_test(back, what_is_written_comes_back, 0, 2);
    tcase_add_test(back, texts_that_are_no_utf8_do_not_spoil_the_rest);
    tcase_add_test(back, the_digest_is_over_the_canonical_form);
    tcase_add_test(back, the_first_format_stays_readable);
    suite_add_tcase(suite, back);
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
    tcase_add_loop_test(use, members_are_found_by_what_they_are, 0, ARRAY_LEN(find_rows));
    tcase_add_test(use, databases_and_sums_are_found);
    tcase_add_loop_test(use, only_all_of_everything_is_full, 0, ARRAY_LEN(full_rows));
    tcase_add_test(use, half_made_ones_can_be_freed);
    suite_add_tcase(suite, use);
    return suite;
}

UNIT_MAIN(manifest_suite)
