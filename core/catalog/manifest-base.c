/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "catalog/manifest-base.h"

#include "base/error.h"
#include "base/json.h"
#include "catalog/label.h"
#include "pg/wal-name.h"

#include <stdlib.h>
#include <string.h>

void
manifest_base_free(struct manifest_base *base)
{
    if (base == NULL)
        return;
    for (size_t i = 0; i < base->len; i++) {
        free(base->tablespaces[i].oid);
        free(base->tablespaces[i].location);
    }
    free(base->tablespaces);
    free(base->parent);
    free(base);
}

struct manifest_tablespace *
manifest_add_tablespace(struct manifest_base *base)
{
    MEM_GROW(base->tablespaces, base->len, base->cap);
    base->tablespaces[base->len] = (struct manifest_tablespace){ 0 };
    return &base->tablespaces[base->len++];
}

/* ---- writing ---- */

json_t *
manifest_base_encode(const struct manifest_base *base)
{
    json_t *json = json_object(), *tablespaces = json_array();
    CLEANUP_FREE char *start = wal_lsn_text(base->start_lsn), *stop = wal_lsn_text(base->stop_lsn);

    for (size_t i = 0; i < base->len; i++) {
        json_t *row = json_object();

        (void)json_object_set_new(row, "oid", json_text(base->tablespaces[i].oid));
        (void)json_object_set_new(row, "location", json_text(base->tablespaces[i].location));
        (void)json_array_append_new(tablespaces, row);
    }
    (void)json_object_set_new(json, "timeline", json_integer((json_int_t)base->timeline));
    (void)json_object_set_new(json, "start_lsn", json_string(start));
    (void)json_object_set_new(json, "stop_lsn", json_string(stop));
    (void)json_object_set_new(json, "segment_size", json_integer((json_int_t)base->segment_bytes));
    (void)json_object_set_new(json, "wal", json_string(base->wal_included ? "include" : "archive"));
    (void)json_object_set_new(json, "standby", json_boolean(base->standby));
    (void)json_object_set_new(json, "bad_pages", json_integer((json_int_t)base->bad_pages));
    if (base->parent != NULL)
        (void)json_object_set_new(json, "parent", json_text(base->parent));
    (void)json_object_set_new(json, "tablespaces", tablespaces);
    return json;
}

/* ---- reading ---- */

static int
decode_lsn(const json_t *json, const char *key, uint64_t *ret_lsn)
{
    const char *text;
    int rc = json_need_string(json, key, &text);

    if (rc < 0)
        return rc;
    return wal_lsn_parse(text, ret_lsn) < 0 ? error_context(ERROR_CORRUPT, "'%s'", key) : 0;
}

static int
decode_wal(const json_t *json, struct manifest_base *base)
{
    const char *wal;
    int64_t timeline, segment;
    int rc = json_need_int(json, "timeline", 1, UINT32_MAX, &timeline);

    if (rc == 0)
        rc = decode_lsn(json, "start_lsn", &base->start_lsn);
    if (rc == 0)
        rc = decode_lsn(json, "stop_lsn", &base->stop_lsn);
    if (rc == 0)
        rc = json_need_int(json, "segment_size", WAL_SEGMENT_MIN_BYTES, WAL_SEGMENT_MAX_BYTES, &segment);
    if (rc == 0)
        rc = json_need_string(json, "wal", &wal);
    if (rc < 0)
        return rc;
    base->timeline = (uint32_t)timeline;
    base->segment_bytes = (uint32_t)segment;
    base->wal_included = strcmp(wal, "include") == 0;
    if (base->start_lsn == 0 || base->stop_lsn < base->start_lsn)
        return error_set(ERROR_CORRUPT, "'stop_lsn' lies before 'start_lsn', or that is zero");
    if (!wal_segment_size_is_valid((uint64_t)segment))
        return error_set(ERROR_CORRUPT, "'segment_size' is %lld, which no server has", (long long)segment);
    if (!base->wal_included && strcmp(wal, "archive") != 0)
        return error_set(ERROR_CORRUPT, "'wal' is '%s' (wanted: archive or include)", wal);
    return 0;
}

static int
decode_tablespace(const json_t *json, struct manifest_base *base)
{
    const char *oid, *location;
    struct manifest_tablespace *tablespace;
    int rc = json_need_string(json, "oid", &oid);

    if (rc == 0)
        rc = json_need_string(json, "location", &location);
    if (rc < 0)
        return rc;
    if (*oid == '\0' || strlen(oid) > 10 || strspn(oid, "0123456789") != strlen(oid))
        return error_set(ERROR_CORRUPT, "'oid' is '%s' (wanted: digits)", oid);
    for (size_t i = 0; i < base->len; i++)
        if (strcmp(base->tablespaces[i].oid, oid) == 0)
            return error_set(ERROR_CORRUPT, "'oid' %s is there twice", oid);
    tablespace = manifest_add_tablespace(base);
    tablespace->oid = mem_strdup(oid);
    tablespace->location = mem_strdup(location);
    return 0;
}

static int
decode_fields(const json_t *json, struct manifest_base *base)
{
    const char *parent = NULL;
    json_t *array, *row;
    size_t i;
    int rc = decode_wal(json, base);

    if (rc == 0)
        rc = json_need_bool(json, "standby", &base->standby);
    if (rc == 0)
        rc = json_need_int(json, "bad_pages", 0, INT64_MAX, &base->bad_pages);
    if (rc == 0)
        rc = json_want_string(json, "parent", &parent);
    if (rc == 0 && parent != NULL) {
        base->parent = mem_strdup(parent);
        rc = label_id_parse(parent, NULL, NULL) < 0 ? error_context(ERROR_CORRUPT, "'parent'") : 0;
    }
    if (rc == 0)
        rc = json_need_array(json, "tablespaces", &array);
    json_array_foreach(rc == 0 ? array : NULL, i, row)
    {
        rc = decode_tablespace(row, base);
        if (rc < 0)
            return error_context(rc, "'tablespaces' %zu", i);
    }
    return rc;
}

int
manifest_base_decode(const json_t *json, struct manifest_base **ret_base)
{
    struct manifest_base *base = mem_zalloc(sizeof *base);
    int rc = decode_fields(json, base);

    if (rc < 0) {
        manifest_base_free(base);
        return error_context(rc, "'base'");
    }
    *ret_base = base;
    return 0;
}

static size_t
count_role(const struct manifest *manifest, const char *role, const char *oid)
{
    size_t count = 0;

    for (size_t i = 0; i < manifest->member_count; i++) {
        const struct manifest_member *member = &manifest->members[i];

        count += strcmp(member->role, role) == 0 &&
                 (oid == NULL || (member->tablespace != NULL && strcmp(member->tablespace, oid) == 0));
    }
    return count;
}

int
manifest_base_check(const struct manifest *manifest)
{
    const struct manifest_base *base = manifest->base;

    if ((strcmp(manifest->kind, KIND_BASE) == 0) != (base != NULL))
        return error_set(ERROR_CORRUPT, "'kind' is '%s', but %s", manifest->kind,
                         base ? "there is a 'base'" : "there is no 'base'");
    if (base == NULL)
        return 0;
    if (count_role(manifest, ROLE_BASE, NULL) != 1 || count_role(manifest, ROLE_FILES, NULL) != 1)
        return error_set(ERROR_CORRUPT, "there must be one member '%s' and one '%s'", ROLE_BASE, ROLE_FILES);
    if (count_role(manifest, ROLE_TABLESPACE, NULL) != base->len)
        return error_set(ERROR_CORRUPT, "there are %zu tablespaces, but %zu members of tablespaces", base->len,
                         count_role(manifest, ROLE_TABLESPACE, NULL));
    for (size_t i = 0; i < base->len; i++)
        if (count_role(manifest, ROLE_TABLESPACE, base->tablespaces[i].oid) != 1)
            return error_set(ERROR_CORRUPT, "tablespace %s has no member of its own", base->tablespaces[i].oid);
    return 0;
}
