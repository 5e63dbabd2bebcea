/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void
cleanup_json(json_t **json)
{
    json_decref(*json);
}

int
json_read(const char *what, const void *data, size_t len, json_t **ret_object)
{
    json_error_t why;
    json_t *json = json_loadb(data, len, JSON_REJECT_DUPLICATES, &why);

    if (json == NULL)
        return error_set(ERROR_CORRUPT, "%s is not valid JSON: %s at line %d", what, why.text, why.line);
    if (!json_is_object(json)) {
        json_decref(json);
        return error_set(ERROR_CORRUPT, "%s is not a JSON object", what);
    }
    *ret_object = json;
    return 0;
}

static int
json_need(const json_t *object, const char *key, json_t **ret_value)
{
    *ret_value = json_object_get(object, key);
    if (*ret_value == NULL)
        return error_set(ERROR_CORRUPT, "'%s' is missing", key);
    return 0;
}

int
json_want_string(const json_t *object, const char *key, const char **ret_text)
{
    const json_t *value = json_object_get(object, key);

    if (value != NULL && !json_is_null(value) && !json_is_string(value))
        return error_set(ERROR_CORRUPT, "'%s' is not a string", key);
    *ret_text = json_string_value(value);
    return 0;
}

int
json_need_string(const json_t *object, const char *key, const char **ret_text)
{
    json_t *value;
    int rc = json_need(object, key, &value);

    if (rc < 0)
        return rc;
    if (!json_is_string(value))
        return error_set(ERROR_CORRUPT, "'%s' is not a string", key);
    *ret_text = json_string_value(value);
    return 0;
}

int
json_need_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *ret_value)
{
    json_t *value;
    int rc = json_need(object, key, &value);

    if (rc < 0)
        return rc;
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
        return error_set(ERROR_CORRUPT, "'%s' is not a whole number from %" PRId64 " to %" PRId64, key, min, max);
    *ret_value = json_integer_value(value);
    return 0;
}

int
json_need_bool(const json_t *object, const char *key, bool *ret_value)
{
    json_t *value;
    int rc = json_need(object, key, &value);

    if (rc < 0)
        return rc;
    if (!json_is_boolean(value))
        return error_set(ERROR_CORRUPT, "'%s' is neither true nor false", key);
    *ret_value = json_is_true(value);
    return 0;
}

int
json_need_array(const json_t *object, const char *key, json_t **ret_array)
{
    json_t *value;
    int rc = json_need(object, key, &value);

    if (rc < 0)
        return rc;
    if (!json_is_array(value))
        return error_set(ERROR_CORRUPT, "'%s' is not an array", key);
    *ret_array = value;
    return 0;
}

static char *
json_dump(const json_t *json, size_t flags, const char *behind)
{
    CLEANUP_FREE char *text = json_dumps(json, flags);

    if (text == NULL)
        return mem_strdup("{}"); /* only for lack of memory, which ends us soon enough */
    return mem_printf("%s%s", text, behind);
}

char *
json_canonical(const json_t *json)
{
    return json_dump(json, JSON_COMPACT | JSON_SORT_KEYS, "");
}

char *
json_pretty(const json_t *json)
{
    return json_dump(json, JSON_INDENT(2), "\n");
}

json_t *
json_text(const char *text)
{
    struct buf clean = BUF_INIT(SIZE_MAX / 2);
    CLEANUP_FREE char *joined = NULL;
    json_t *value = json_string(text);

    if (value != NULL)
        return value;
    for (const char *p = text; *p != '\0'; p++) /* not valid UTF-8 somewhere: keep what is plain */
        (void)buf_adds(&clean, (unsigned char)*p < 0x80 ? (char[]){ *p, '\0' } : "\xef\xbf\xbd");
    joined = buf_take(&clean);
    return json_string(joined);
}
