/* SPDX-License-Identifier: PostgreSQL
 *
 * Base64 as an age header has it: RFC 4648 section 4, no '=' at the end, and
 * canonical, so that each value has one text only.
 */
#ifndef PGCASK_STAGE_AGE_BASE64_H
#define PGCASK_STAGE_AGE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#define AGE_BASE64_CHARS(size) (((size) * 4 + 2) / 3)

/* Writes AGE_BASE64_CHARS(size) characters and a NUL. */
void age_base64_encode(const void *data, size_t size, char *ret_text);
/* False unless the text is canonical. */
bool age_base64_valid(const char *text, size_t len);
/* False unless the text is canonical and holds exactly `size` bytes; `ret_data` is then untouched. */
bool age_base64_decode(const char *text, size_t len, void *ret_data, size_t size);

#endif
