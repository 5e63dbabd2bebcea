/* SPDX-License-Identifier: PostgreSQL
 *
 * Bech32 (BIP 173, without its limit of 90 characters): how age writes keys.
 * Texts may be secret, so no message of this file shows one.
 */
#ifndef PGCASK_STAGE_BECH32_H
#define PGCASK_STAGE_BECH32_H

#include <stddef.h>

enum { BECH32_TEXT_BYTES = 128 }; /* room for any text read or written here, with its NUL */

/* `prefix` is all lower or all upper case, and so is the text then. Prefix and data must fit BECH32_TEXT_BYTES. */
void bech32_encode(const char *prefix, const void *data, size_t size, char ret_text[BECH32_TEXT_BYTES]);

/* Exactly `size` bytes behind exactly this prefix, case included. ERROR_USAGE with the reason; `ret_data` is then
 * untouched. */
int bech32_decode(const char *text, const char *prefix, void *ret_data, size_t size);

#endif
