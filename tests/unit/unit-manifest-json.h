/* SPDX-License-Identifier: PostgreSQL
 *
 * Manifests with one field changed and the digest set right again, so that the
 * digest is not what they are refused for.
 */
#ifndef PGCASK_TESTS_UNIT_MANIFEST_JSON_H
#define PGCASK_TESTS_UNIT_MANIFEST_JSON_H

#include "base/digest.h"
#include "base/error.h"
#include "base/json.h"
#include "unit-manifest.h"

/* The text with the digest set right. */
static inline char *
signed_text(json_t *json)
{
    CLEANUP_FREE char *canonical = NULL, *digest = NULL;

    (void)json_object_del(json, "digest");
    canonical = json_canonical(json);
    digest = digest_of(DIGEST_SHA256, canonical, strlen(canonical));
    (void)json_object_set_new(json, "digest", json_string(digest));
    return json_pretty(json);
}

static inline int
decode_json(json_t *json, struct manifest **ret_manifest)
{
    CLEANUP_FREE char *text = signed_text(json);

    return decode_text(text, strlen(text), ret_manifest);
}

/* "members.1.name": the object that holds the last word, which goes to `ret_key`. */
static inline json_t *
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

/* Set (value NULL: take away) one field of `json` and try. */
static inline int
decode_with(json_t *json, const char *path, const char *value, struct manifest **ret_manifest)
{
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

#endif
