/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/wal-header.h"

#include "base/error.h"
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/*
 * Offsets of XLogLongPageHeaderData. All in the byte order of the machine that wrote it, which is that of the machine
 * that reads it: PostgreSQL cannot replay another one's.
 */
enum {
    MAGIC_AT = 0,
    INFO_AT = 2,
    TIMELINE_AT = 4,
    ADDRESS_AT = 8,
    SYSTEM_AT = 24,
    SEGMENT_AT = 32,
    BLOCK_AT = 36,
};

enum {
    LONG_HEADER = 2,
    KNOWN_FLAGS = 15,
    BLOCK_MIN_BYTES = 1024, /* configure --with-wal-blocksize: 1 to 64 kB */
    BLOCK_MAX_BYTES = 65536,
};

/* XLOG_PAGE_MAGIC grows with each change of the format; all of the last twenty years begin with 0xD. */
static const struct {
    uint16_t magic;
    int major;
} releases[] = {
    { 0xD106, 13 }, { 0xD10D, 14 }, { 0xD110, 15 }, { 0xD113, 16 }, { 0xD116, 17 }, { 0xD118, 18 },
};

static uint16_t
wal_u16(const void *data, size_t at)
{
    uint16_t value;

    memcpy(&value, (const char *)data + at, sizeof value);
    return value;
}

static uint32_t
wal_u32(const void *data, size_t at)
{
    uint32_t value;

    memcpy(&value, (const char *)data + at, sizeof value);
    return value;
}

static uint64_t
wal_u64(const void *data, size_t at)
{
    uint64_t value;

    memcpy(&value, (const char *)data + at, sizeof value);
    return value;
}

static int
wal_major(uint16_t magic)
{
    for (size_t i = 0; i < ARRAY_LEN(releases); i++)
        if (releases[i].magic == magic)
            return releases[i].major;
    return 0;
}

static int
wal_header_check_page(uint16_t magic, uint16_t info)
{
    if (magic >> 12 != 0xD)
        return error_set(ERROR_CORRUPT,
                         "this is not a WAL segment: it begins with %04X (wanted: a page's magic, such as D110)",
                         magic);
    if ((info & LONG_HEADER) == 0 || (info & ~KNOWN_FLAGS) != 0)
        return error_set(ERROR_CORRUPT, "this is not the first page of a WAL segment: its flags are %04X", info);
    return 0;
}

static int
wal_header_check_sizes(const struct wal_header *header)
{
    if (!wal_segment_size_is_valid(header->segment_bytes))
        return error_set(ERROR_CORRUPT, "its header says that a segment has %" PRIu32 " bytes, which none has",
                         header->segment_bytes);
    if (header->block_bytes < BLOCK_MIN_BYTES || header->block_bytes > BLOCK_MAX_BYTES ||
        (header->block_bytes & (header->block_bytes - 1)) != 0)
        return error_set(ERROR_CORRUPT, "its header says that a page of it has %" PRIu32 " bytes, which none has",
                         header->block_bytes);
    if (header->address % header->segment_bytes != 0)
        return error_set(ERROR_CORRUPT, "its header says that it begins at %" PRIX64 ", where no segment begins",
                         header->address);
    if (header->timeline == 0 || header->system_identifier == 0)
        return error_set(ERROR_CORRUPT, "its header names no timeline or no system identifier");
    return 0;
}

int
wal_header_read(const void *data, size_t len, struct wal_header *ret_header)
{
    struct wal_header header;
    uint16_t magic;
    int rc;

    if (len < WAL_HEADER_BYTES)
        return error_set(ERROR_CORRUPT, "this is not a WAL segment: it has %zu bytes, not even a header's %d", len,
                         WAL_HEADER_BYTES);
    magic = wal_u16(data, MAGIC_AT);
    rc = wal_header_check_page(magic, wal_u16(data, INFO_AT));
    if (rc < 0)
        return rc;
    header = (struct wal_header){
        .major = wal_major(magic),
        .timeline = wal_u32(data, TIMELINE_AT),
        .address = wal_u64(data, ADDRESS_AT),
        .system_identifier = wal_u64(data, SYSTEM_AT),
        .segment_bytes = wal_u32(data, SEGMENT_AT),
        .block_bytes = wal_u32(data, BLOCK_AT),
    };
    rc = wal_header_check_sizes(&header);
    if (rc == 0)
        *ret_header = header;
    return rc;
}

int
wal_header_check(const struct wal_header *header, const struct wal_name *name, uint64_t size)
{
    CLEANUP_FREE char *text = wal_name_text(name);
    int rc;

    assert(name->file == WAL_SEGMENT || name->file == WAL_PARTIAL);
    if (size != header->segment_bytes)
        return error_set(ERROR_CORRUPT, "'%s' has %" PRIu64 " bytes, its header says %" PRIu32, text, size,
                         header->segment_bytes);
    rc = wal_segment_check(name, header->segment_bytes);
    if (rc < 0)
        return rc;
    if (header->address != wal_segment_number(name, header->segment_bytes) * header->segment_bytes) {
        struct wal_name seen =
            wal_segment_at(header->timeline, header->address / header->segment_bytes, header->segment_bytes);
        CLEANUP_FREE char *other = wal_name_text(&seen);

        return error_set(ERROR_CORRUPT, "'%s' holds what its header calls '%s'", text, other);
    }
    if (header->timeline > name->timeline)
        return error_set(ERROR_CORRUPT, "'%s' is of timeline %" PRIu32 ", its header says %" PRIu32, text,
                         name->timeline, header->timeline);
    return 0;
}
