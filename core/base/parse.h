/* SPDX-License-Identifier: PostgreSQL
 *
 * Text to numbers and back. Every parser takes the whole text or refuses it.
 */
#ifndef PGCASK_BASE_PARSE_H
#define PGCASK_BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All return 0 or PGCASK_FAILED with a text that names the value and what is wanted. */
int parse_int64(const char *text, int64_t *ret_value);
int parse_bool(const char *text, bool *ret_value);           /* yes no true false on off 1 0 */
int parse_size(const char *text, int64_t *ret_bytes);        /* 512, 64KiB, 16MiB, 1GiB, 2TiB, 10kB, 10MB, 1GB */
int parse_duration(const char *text, int64_t *ret_ms);       /* 500ms, 30s, 15min, 12h, 30d, 2w; a bare 0 */
int parse_hex(const char *text, void *data, size_t size);    /* exactly 2 * size digits */

char *format_size(uint64_t bytes);        /* "8.0 MiB", owned by the caller */
char *format_duration(int64_t ms);        /* "1 h 02 min", "3.4 s", owned by the caller */
char *format_hex(const void *data, size_t size); /* lower case, owned by the caller */

/* The candidate closest to `word` (NULL when none is near): for "did you mean". */
const char *parse_nearest(const char *word, const char *const *candidates, size_t count);

#endif
