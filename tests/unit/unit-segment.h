/* SPDX-License-Identifier: PostgreSQL
 *
 * Segments for tests: a header as PostgreSQL writes it, and what follows.
 */
#ifndef PGCASK_TESTS_UNIT_SEGMENT_H
#define PGCASK_TESTS_UNIT_SEGMENT_H

#include <stdint.h>
#include <string.h>

#include "pg/wal-header.h"

#define SEGMENT_SYSTEM UINT64_C(7301234567890123456)

/* What is written into the first bytes of a segment. */
struct segment_page {
    uint16_t magic, info;
    uint32_t timeline;
    uint64_t address;
    uint32_t remaining, padding;
    uint64_t system_identifier;
    uint32_t segment_bytes, block_bytes;
};
_Static_assert(sizeof(struct segment_page) == WAL_HEADER_BYTES, "as XLogLongPageHeaderData");

static inline struct segment_page
segment_page(uint32_t timeline, uint64_t number, uint32_t segment_bytes)
{
    return (struct segment_page){
        .magic = 0xD110,
        .info = 2,
        .timeline = timeline,
        .address = number * segment_bytes,
        .system_identifier = SEGMENT_SYSTEM,
        .segment_bytes = segment_bytes,
        .block_bytes = 8192,
    };
}

/* `size` bytes that look like a segment: its header, then bytes made from `seed` that compress a little. */
static inline void
segment_fill(void *data, size_t size, const struct segment_page *page, uint32_t seed)
{
    unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++) {
        if (i % 4 == 0)
            seed = seed * 1664525 + 1013904223;
        bytes[i] = (i / 512) % 2 ? (unsigned char)(seed >> 24) : (unsigned char)(i >> 9);
    }
    memcpy(data, page, sizeof *page);
}

#endif
