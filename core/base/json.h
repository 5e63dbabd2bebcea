/* SPDX-License-Identifier: PostgreSQL
 *
 * Strict reading of JSON that somebody else may have written, on jansson.
 * Every getter says which field of what was wrong.
 */
#ifndef PGCASK_BASE_JSON_H
#define PGCASK_BASE_JSON_H

#include "base/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

void cleanup_json(json_t **json);
#define CLEANUP_JSON __attribute__((cleanup(cleanup_json)))

/* One object; duplicate keys and trailing bytes are refused (ERROR_CORRUPT). `what` names it in messages. */
int json_read(const char *what, const void *data, size_t len, json_t **ret_object);

/* All return 0 or ERROR_CORRUPT. Strings are borrowed from the object. */
int json_need_string(const json_t *object, const char *key, const char **ret_text);
int json_want_string(const json_t *object, const char *key, const char **ret_text); /* NULL when missing or null */
int json_need_int(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *ret_value);
int json_need_bool(const json_t *object, const char *key, bool *ret_value);
int json_need_array(const json_t *object, const char *key, json_t **ret_array); /* borrowed; all elements of one kind is the caller's check */

/* Compact, keys sorted: what digests are made over. Owned by the caller. */
char *json_canonical(const json_t *json);
char *json_pretty(const json_t *json); /* two blanks, keys as given, newline at the end */

/* json_string for text that may not be valid UTF-8: such bytes become U+FFFD. */
json_t *json_text(const char *text);

#endif
