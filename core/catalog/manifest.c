/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "catalog/manifest.h"

#include "catalog/label.h"
#include "catalog/manifest-base.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

struct manifest *
manifest_new(void)
{
    return mem_zalloc(sizeof(struct manifest));
}

static void
member_free(struct manifest_member *member)
{
    free(member->name);
    free(member->object);
    free(member->role);
    free(member->database);
    free(member->schema);
    free(member->table);
    free(member->tablespace);
    free(member->plain_digest);
    free(member->stored_digest);
    free(member->header_digest);
}

static void
check_free(struct manifest_check *check)
{
    free(check->name);
    free(check->database);
    free(check->query);
    free(check->result);
}

void
manifest_free(struct manifest *manifest)
{
    if (manifest == NULL)
        return;
    for (size_t i = 0; i < manifest->member_count; i++)
        member_free(&manifest->members[i]);
    for (size_t i = 0; i < manifest->check_count; i++)
        check_free(&manifest->checks[i]);
    for (size_t i = 0; i < manifest->database_count; i++)
        free(manifest->databases[i].name);
    free(manifest->members);
    free(manifest->checks);
    free(manifest->databases);
    strv_free(&manifest->recipients);
    free(manifest->repository);
    free(manifest->cluster);
    free(manifest->system_identifier);
    free(manifest->id);
    free(manifest->job);
    free(manifest->kind);
    free(manifest->content);
    free(manifest->tool);
    free(manifest->dump_version);
    free(manifest->server_text);
    manifest_base_free(manifest->base);
    free(manifest);
}

struct manifest_member *
manifest_add_member(struct manifest *manifest)
{
    MEM_GROW(manifest->members, manifest->member_count, manifest->member_cap);
    manifest->members[manifest->member_count] = (struct manifest_member){ 0 };
    return &manifest->members[manifest->member_count++];
}

struct manifest_check *
manifest_add_check(struct manifest *manifest)
{
    MEM_GROW(manifest->checks, manifest->check_count, manifest->check_cap);
    manifest->checks[manifest->check_count] = (struct manifest_check){ 0 };
    return &manifest->checks[manifest->check_count++];
}

struct manifest_database *
manifest_add_database(struct manifest *manifest)
{
    MEM_GROW(manifest->databases, manifest->database_count, manifest->database_cap);
    manifest->databases[manifest->database_count] = (struct manifest_database){ 0 };
    return &manifest->databases[manifest->database_count++];
}

/* ---- writing ---- */

static json_t *
encode_member(const struct manifest_member *member)
{
    json_t *json = json_object();

    (void)json_object_set_new(json, "name", json_text(member->name));
    (void)json_object_set_new(json, "object", json_text(member->object));
    (void)json_object_set_new(json, "role", json_text(member->role));
    if (member->database != NULL)
        (void)json_object_set_new(json, "database", json_text(member->database));
    if (member->table != NULL) {
        (void)json_object_set_new(json, "schema", json_text(member->schema));
        (void)json_object_set_new(json, "table", json_text(member->table));
    }
    if (member->tablespace != NULL)
        (void)json_object_set_new(json, "tablespace", json_text(member->tablespace));
    (void)json_object_set_new(json, "stages", member->sealed ? json_pack("[s,s]", "zstd", "age") : json_pack("[s]", "zstd"));
    (void)json_object_set_new(json, "plain_size", json_integer((json_int_t)member->plain_size));
    (void)json_object_set_new(json, "plain_digest", json_text(member->plain_digest));
    (void)json_object_set_new(json, "stored_size", json_integer((json_int_t)member->stored_size));
    (void)json_object_set_new(json, "stored_digest", json_text(member->stored_digest));
    if (member->sealed) {
        (void)json_object_set_new(json, "header_size", json_integer((json_int_t)member->header_size));
        (void)json_object_set_new(json, "header_digest", json_text(member->header_digest));
    }
    return json;
}

static void
encode_arrays(const struct manifest *manifest, json_t *json)
{
    json_t *recipients = json_array(), *databases = json_array(), *members = json_array(), *checks = json_array();

    for (size_t i = 0; i < manifest->recipients.len; i++)
        (void)json_array_append_new(recipients, json_text(manifest->recipients.items[i]));
    for (size_t i = 0; i < manifest->database_count; i++) {
        json_t *row = json_object();

        (void)json_object_set_new(row, "name", json_text(manifest->databases[i].name));
        (void)json_object_set_new(row, "size", json_integer((json_int_t)manifest->databases[i].size));
        (void)json_array_append_new(databases, row);
    }
    for (size_t i = 0; i < manifest->member_count; i++)
        (void)json_array_append_new(members, encode_member(&manifest->members[i]));
    for (size_t i = 0; i < manifest->check_count; i++) {
        const struct manifest_check *check = &manifest->checks[i];
        json_t *row = json_object();

        (void)json_object_set_new(row, "name", json_text(check->name));
        (void)json_object_set_new(row, "database", json_text(check->database));
        (void)json_object_set_new(row, "query", json_text(check->query));
        (void)json_object_set_new(row, "result", json_text(check->result));
        (void)json_array_append_new(checks, row);
    }
    (void)json_object_set_new(json, "recipients", recipients);
    (void)json_object_set_new(json, "databases", databases);
    (void)json_object_set_new(json, "members", members);
    (void)json_object_set_new(json, "checks", checks);
}

/* The text fields of the top level: one table for writing, reading and nothing to forget. */
static const struct {
    const char *key;
    size_t offset;
    bool of_dump; /* other kinds have none */
} text_fields[] = {
    { "repository", offsetof(struct manifest, repository) },
    { "cluster", offsetof(struct manifest, cluster) },
    { "system_identifier", offsetof(struct manifest, system_identifier) },
    { "id", offsetof(struct manifest, id) },
    { "job", offsetof(struct manifest, job) },
    { "kind", offsetof(struct manifest, kind) },
    { "content", offsetof(struct manifest, content) },
    { "tool", offsetof(struct manifest, tool) },
    { "dump_version", offsetof(struct manifest, dump_version), true },
    { "server_text", offsetof(struct manifest, server_text) },
};

static char **
text_field(struct manifest *manifest, size_t i)
{
    return (char **)((char *)manifest + text_fields[i].offset);
}

char *
manifest_encode(const struct manifest *manifest)
{
    CLEANUP_JSON json_t *json = json_object();
    CLEANUP_FREE char *started = clock_iso(manifest->started_s);
    CLEANUP_FREE char *finished = clock_iso(manifest->finished_s);
    CLEANUP_FREE char *canonical = NULL, *digest = NULL;

    (void)json_object_set_new(json, "format", json_integer(MANIFEST_FORMAT));
    for (size_t i = 0; i < ARRAY_LEN(text_fields); i++)
        if (!text_fields[i].of_dump || manifest->base == NULL)
            (void)json_object_set_new(json, text_fields[i].key, json_text(*text_field((struct manifest *)manifest, i)));
    (void)json_object_set_new(json, "selection", json_boolean(manifest->selection));
    (void)json_object_set_new(json, "server_version", json_integer(manifest->server_version));
    (void)json_object_set_new(json, "started", json_string(started));
    (void)json_object_set_new(json, "finished", json_string(finished));
    if (manifest->base != NULL)
        (void)json_object_set_new(json, "base", manifest_base_encode(manifest->base));
    encode_arrays(manifest, json);
    canonical = json_canonical(json);
    digest = digest_of(DIGEST_SHA256, canonical, strlen(canonical));
    (void)json_object_set_new(json, "digest", json_string(digest));
    return json_pretty(json);
}

/* ---- reading ---- */

static int
take_text(const json_t *json, const char *key, char **field)
{
    const char *text;
    int rc = json_need_string(json, key, &text);

    if (rc == 0)
        *field = mem_strdup(text);
    return rc;
}

static int
take_size(const json_t *json, const char *key, uint64_t *field)
{
    int64_t value;
    int rc = json_need_int(json, key, 0, INT64_MAX, &value);

    if (rc == 0)
        *field = (uint64_t)value;
    return rc;
}

static int
take_digest(const json_t *json, const char *key, char **field)
{
    int rc = take_text(json, key, field);

    return rc < 0 ? rc : digest_check_text(*field);
}

static int
decode_stages(const json_t *json, bool *ret_sealed)
{
    json_t *stages;
    const char *first, *second;
    int rc = json_need_array(json, "stages", &stages);

    if (rc < 0)
        return rc;
    first = json_string_value(json_array_get(stages, 0));
    second = json_string_value(json_array_get(stages, 1));
    if (first == NULL || strcmp(first, "zstd") != 0 || json_array_size(stages) > 2 ||
        (json_array_size(stages) == 2 && (second == NULL || strcmp(second, "age") != 0)))
        return error_set(ERROR_CORRUPT, "'stages' is neither [\"zstd\"] nor [\"zstd\", \"age\"]");
    *ret_sealed = second != NULL;
    return 0;
}

static int
decode_sealed(const json_t *json, struct manifest_member *member)
{
    int rc = take_size(json, "header_size", &member->header_size);

    if (rc == 0)
        rc = take_digest(json, "header_digest", &member->header_digest);
    if (rc == 0 && (member->header_size > 64 * 1024 || member->header_size + 16 > member->stored_size))
        rc = error_set(ERROR_CORRUPT, "'header_size' is impossible");
    if (rc == 0 && strncmp(member->header_digest, "sha256:", 7) != 0)
        rc = error_set(ERROR_CORRUPT, "'header_digest' is not a SHA-256");
    return rc;
}

static int
decode_member(const json_t *json, struct manifest_member *member)
{
    const char *database, *schema, *table, *tablespace;
    int rc = take_text(json, "name", &member->name);

    if (rc == 0)
        rc = take_text(json, "object", &member->object);
    if (rc == 0)
        rc = label_object_check(member->object);
    if (rc == 0)
        rc = take_text(json, "role", &member->role);
    if (rc == 0)
        rc = json_want_string(json, "database", &database);
    if (rc == 0)
        rc = json_want_string(json, "schema", &schema);
    if (rc == 0)
        rc = json_want_string(json, "table", &table);
    if (rc == 0)
        rc = json_want_string(json, "tablespace", &tablespace);
    if (rc < 0)
        return rc;
    member->database = database ? mem_strdup(database) : NULL;
    member->schema = schema ? mem_strdup(schema) : NULL;
    member->table = table ? mem_strdup(table) : NULL;
    member->tablespace = tablespace ? mem_strdup(tablespace) : NULL;
    if (strcmp(member->role, ROLE_TABLE) == 0 && (database == NULL || schema == NULL || table == NULL))
        return error_set(ERROR_CORRUPT, "a table's member does not name database, schema and table");
    if (strcmp(member->role, ROLE_TABLE) != 0 && (schema != NULL || table != NULL))
        return error_set(ERROR_CORRUPT, "a member that is no table's names a schema or a table");
    rc = decode_stages(json, &member->sealed);
    if (rc == 0)
        rc = take_size(json, "plain_size", &member->plain_size);
    if (rc == 0)
        rc = take_digest(json, "plain_digest", &member->plain_digest);
    if (rc == 0)
        rc = take_size(json, "stored_size", &member->stored_size);
    if (rc == 0)
        rc = take_digest(json, "stored_digest", &member->stored_digest);
    if (rc == 0 && !member->sealed && strncmp(member->stored_digest, "sha256:", 7) != 0)
        rc = error_set(ERROR_CORRUPT, "'stored_digest' of an unencrypted member is not a SHA-256");
    return rc == 0 && member->sealed ? decode_sealed(json, member) : rc;
}

static int
decode_check(const json_t *json, struct manifest_check *check)
{
    int rc = take_text(json, "name", &check->name);

    if (rc == 0)
        rc = take_text(json, "database", &check->database);
    if (rc == 0)
        rc = take_text(json, "query", &check->query);
    return rc < 0 ? rc : take_text(json, "result", &check->result);
}

static int
decode_arrays(const json_t *json, struct manifest *manifest)
{
    json_t *array, *row;
    size_t i;
    int rc = json_need_array(json, "recipients", &array);

    json_array_foreach (rc == 0 ? array : NULL, i, row) {
        if (!json_is_string(row))
            return error_set(ERROR_CORRUPT, "'recipients' does not hold strings");
        strv_add(&manifest->recipients, json_string_value(row));
    }
    if (rc == 0)
        rc = json_need_array(json, "databases", &array);
    json_array_foreach (rc == 0 ? array : NULL, i, row) {
        struct manifest_database *database = manifest_add_database(manifest);

        rc = take_text(row, "name", &database->name);
        if (rc == 0)
            rc = take_size(row, "size", &database->size);
        if (rc < 0)
            return error_context(rc, "'databases' %zu", i);
    }
    if (rc == 0)
        rc = json_need_array(json, "members", &array);
    json_array_foreach (rc == 0 ? array : NULL, i, row) {
        rc = decode_member(row, manifest_add_member(manifest));
        if (rc < 0)
            return error_context(rc, "'members' %zu", i);
    }
    if (rc == 0)
        rc = json_need_array(json, "checks", &array);
    json_array_foreach (rc == 0 ? array : NULL, i, row) {
        rc = decode_check(row, manifest_add_check(manifest));
        if (rc < 0)
            return error_context(rc, "'checks' %zu", i);
    }
    return rc;
}

/* The digest is over the canonical text without the digest itself. Takes it out of `json`. */
static int
decode_digest(json_t *json)
{
    const char *text;
    CLEANUP_FREE char *wanted = NULL, *canonical = NULL, *seen = NULL;
    int rc = json_need_string(json, "digest", &text);

    if (rc < 0)
        return rc;
    wanted = mem_strdup(text);
    (void)json_object_del(json, "digest");
    canonical = json_canonical(json);
    seen = digest_of(DIGEST_SHA256, canonical, strlen(canonical));
    if (strcmp(wanted, seen) != 0)
        return error_set(ERROR_CORRUPT, "its digest is %s, but it says %s: it was changed after it was written", seen, wanted);
    return 0;
}

static int
decode_top(const json_t *json, struct manifest *manifest)
{
    const char *time;
    int64_t version;
    const json_t *base = json_object_get(json, "base");
    int rc = base != NULL ? manifest_base_decode(base, &manifest->base) : 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(text_fields); i++)
        if (!text_fields[i].of_dump || base == NULL)
            rc = take_text(json, text_fields[i].key, text_field(manifest, i));
    if (rc == 0)
        rc = label_id_parse(manifest->id, NULL, NULL) < 0 ? ERROR_CORRUPT : 0;
    if (rc == 0)
        rc = json_need_bool(json, "selection", &manifest->selection);
    if (rc == 0)
        rc = json_need_int(json, "server_version", 0, INT32_MAX, &version);
    if (rc == 0) {
        manifest->server_version = (int)version;
        rc = json_need_string(json, "started", &time);
    }
    if (rc == 0)
        rc = clock_parse_iso(time, &manifest->started_s);
    if (rc == 0)
        rc = json_need_string(json, "finished", &time);
    if (rc == 0)
        rc = clock_parse_iso(time, &manifest->finished_s);
    if (rc == 0)
        rc = decode_arrays(json, manifest);
    return rc < 0 ? rc : manifest_base_check(manifest);
}

int
manifest_decode(const char *name, const void *data, size_t len, struct manifest **ret_manifest)
{
    CLEANUP_JSON json_t *json = NULL;
    CLEANUP(manifest_free) struct manifest *manifest = NULL;
    int64_t format;
    int rc = json_read(name, data, len, &json);

    if (rc < 0)
        return rc;
    rc = json_need_int(json, "format", 1, INT32_MAX, &format);
    if (rc == 0 && format != MANIFEST_FORMAT) {
        (void)error_set(PGCASK_UNSUPPORTED, "%s has format %lld, this pgcask knows %d", name, (long long)format,
                        MANIFEST_FORMAT);
        return error_hint(PGCASK_UNSUPPORTED, "a newer pgcask wrote it: use that one");
    }
    if (rc == 0)
        rc = decode_digest(json);
    manifest = manifest_new();
    if (rc == 0)
        rc = decode_top(json, manifest);
    if (rc < 0)
        return error_context(ERROR_CORRUPT, "%s", name);
    *ret_manifest = STEAL(manifest);
    return 0;
}
