/* SPDX-License-Identifier: PostgreSQL
 *
 * CRC-32C (Castagnoli), as PostgreSQL uses it: by the processor's own instruction where it has one.
 */
#ifndef PGCASK_BASE_CRC32C_H
#define PGCASK_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of bytes that follow those of `crc`; 0 at the beginning. crc32c_add(0, "123456789", 9) is 0xE3069283. */
uint32_t crc32c_add(uint32_t crc, const void *data, size_t len);
/* The same without that instruction, for processors that lack it; and for the test that compares the two. */
uint32_t crc32c_add_portably(uint32_t crc, const void *data, size_t len);

#endif
