/* SPDX-License-Identifier: PostgreSQL
 *
 * A segment that is not whole: PostgreSQL writes page after page, and behind the
 * last one there are zeros or, in a file that was used before, pages of the past.
 */
#include "config.h"

#include "pipeline/segment-fetch.h"

#include "base/error.h"
#include "pg/wal-header.h"

#include <string.h>
#include <unistd.h>

enum {
    PAGE_MAX_BYTES = 65536,
    PAGE_HEADER_BYTES = 24, /* the same fields at the same places as in the long one */
    MAGIC_BYTES = 2,
    ADDRESS_AT = 8,
};

/* Is the page at `offset` the one that follows there? */
static bool
reach_page(int fd, const struct wal_header *header, const unsigned char *magic, uint64_t offset)
{
    unsigned char page[PAGE_HEADER_BYTES];
    uint64_t address;

    if (pread(fd, page, sizeof page, (off_t)offset) != (ssize_t)sizeof page)
        return false;
    memcpy(&address, page + ADDRESS_AT, sizeof address);
    return memcmp(page, magic, MAGIC_BYTES) == 0 && address == header->address + offset;
}

/* Of the last page only what is not zeros behind. */
static uint64_t
reach_within(int fd, uint64_t offset, uint32_t block_bytes)
{
    unsigned char page[PAGE_MAX_BYTES];
    ssize_t got = pread(fd, page, block_bytes, (off_t)offset);
    size_t len = got > 0 ? (size_t)got : 0;

    while (len > 0 && page[len - 1] == 0)
        len--;
    return offset + len;
}

uint64_t
segment_reach(int fd)
{
    unsigned char data[WAL_HEADER_BYTES];
    struct wal_header header;
    uint64_t offset;

    if (pread(fd, data, sizeof data, 0) != (ssize_t)sizeof data || wal_header_read(data, sizeof data, &header) < 0) {
        error_clear();
        return 0;
    }
    for (offset = header.block_bytes; offset < header.segment_bytes; offset += header.block_bytes)
        if (!reach_page(fd, &header, data, offset))
            break;
    return reach_within(fd, offset - header.block_bytes, header.block_bytes);
}
