/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/zstd-frame.h"

#include "base/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define SKIPPABLE_MAGIC UINT32_C(0x184D2A5E)
#define SEEKABLE_MAGIC UINT32_C(0x8F92EAB1)

enum {
    ENTRY_BYTES = 8,
    FRAME_COUNT_LIMIT = 0x8000000, /* of the seekable format; 512 TiB in frames of 4 MiB */
    DESCRIPTOR_CHECKSUMS = 0x80,   /* each entry has 4 more bytes */
    DESCRIPTOR_RESERVED = 0x7c,
    FRAME_CHECKSUM_FLAG = 0x04,
};

struct frame_tools {
    int level;
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *expander;
};

size_t
frame_bound(void)
{
    return ZSTD_COMPRESSBOUND(FRAME_PLAIN_BYTES);
}

struct frame_tools *
frame_tools_new(int level)
{
    struct frame_tools *tools = mem_zalloc(sizeof *tools);

    tools->level = level;
    return tools;
}

void
frame_tools_free(struct frame_tools *tools)
{
    if (tools == NULL)
        return;
    (void)ZSTD_freeCCtx(tools->compressor);
    (void)ZSTD_freeDCtx(tools->expander);
    free(tools);
}

static int
frame_zstd_error(const char *what, size_t code)
{
    return error_set(PGCASK_FAILED, "%s: %s", what, ZSTD_getErrorName(code));
}

static int
frame_compressor(struct frame_tools *tools)
{
    size_t rc;

    if (tools->compressor != NULL)
        return 0;
    tools->compressor = ZSTD_createCCtx();
    if (tools->compressor == NULL)
        return error_set(PGCASK_FAILED, "zstd could not make a compressor: out of memory");
    rc = ZSTD_CCtx_setParameter(tools->compressor, ZSTD_c_compressionLevel, tools->level);
    if (!ZSTD_isError(rc))
        rc = ZSTD_CCtx_setParameter(tools->compressor, ZSTD_c_checksumFlag, 1);
    return ZSTD_isError(rc) ? frame_zstd_error("zstd does not take its parameters", rc) : 0;
}

int
frame_compress(struct frame_tools *tools, const void *plain, size_t len, void *out, size_t cap, size_t *ret_len)
{
    int rc = frame_compressor(tools);
    size_t got;

    if (rc < 0)
        return rc;
    got = ZSTD_compress2(tools->compressor, out, cap, plain, len);
    if (ZSTD_isError(got))
        return frame_zstd_error("zstd could not compress", got);
    *ret_len = got;
    return 0;
}

static uint32_t
get32(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* `data` begins with a whole frame: its descriptor is behind the magic number (RFC 8878, 3.1.1.1.1). */
static bool
frame_has_checksum(const unsigned char *data)
{
    return get32(data) == ZSTD_MAGICNUMBER && (data[4] & FRAME_CHECKSUM_FLAG) != 0;
}

int
frame_expand(struct frame_tools *tools, const void *data, size_t len, void *out, size_t plain_len)
{
    size_t got;

    if (tools->expander == NULL)
        tools->expander = ZSTD_createDCtx();
    if (tools->expander == NULL)
        return error_set(PGCASK_FAILED, "zstd could not make a decompressor: out of memory");
    if (ZSTD_findFrameCompressedSize(data, len) != len)
        return error_set(ERROR_CORRUPT, "the compressed frame does not have the length that its table says");
    if (!frame_has_checksum(data))
        return error_set(ERROR_CORRUPT, "a compressed frame has no checksum");
    got = ZSTD_decompressDCtx(tools->expander, out, plain_len, data, len);
    if (ZSTD_isError(got))
        return error_set(ERROR_CORRUPT, "a compressed frame cannot be read: %s", ZSTD_getErrorName(got));
    if (got != plain_len)
        return error_set(ERROR_CORRUPT, "a compressed frame holds %zu bytes, not the %zu of its table", got, plain_len);
    return 0;
}

void
frame_table_add(struct frame_table *table, size_t stored, size_t plain)
{
    MEM_GROW(table->entries, table->len, table->cap);
    table->entries[table->len++] = (struct frame_entry){ (uint32_t)stored, (uint32_t)plain };
}

static void
put32(unsigned char *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

int
frame_table_encode(const struct frame_table *table, struct buf *ret_data)
{
    unsigned char pair[ENTRY_BYTES];
    unsigned char footer[FRAME_FOOTER_BYTES] = { 0 };
    int rc;

    put32(pair, SKIPPABLE_MAGIC);
    put32(pair + 4, (uint32_t)(table->len * ENTRY_BYTES + FRAME_FOOTER_BYTES));
    rc = buf_add(ret_data, pair, sizeof pair);
    for (size_t i = 0; i < table->len && rc == 0; i++) {
        put32(pair, table->entries[i].stored);
        put32(pair + 4, table->entries[i].plain);
        rc = buf_add(ret_data, pair, sizeof pair);
    }
    put32(footer, (uint32_t)table->len);
    put32(footer + 5, SEEKABLE_MAGIC);
    return rc < 0 ? rc : buf_add(ret_data, footer, sizeof footer);
}

/* Entry size and count from a footer. */
static int
footer_decode(const unsigned char *footer, size_t *ret_entry, uint32_t *ret_count)
{
    if (get32(footer + 5) != SEEKABLE_MAGIC)
        return error_set(ERROR_CORRUPT, "no table of frames at the end (magic %08x, wanted %08x)", get32(footer + 5),
                         SEEKABLE_MAGIC);
    if ((footer[4] & DESCRIPTOR_RESERVED) != 0)
        return error_set(ERROR_CORRUPT, "the table of frames is of an unknown kind (descriptor 0x%02x)", footer[4]);
    if (get32(footer) > FRAME_COUNT_LIMIT)
        return error_set(ERROR_CORRUPT, "the table of frames claims %u frames", get32(footer));
    *ret_entry = footer[4] & DESCRIPTOR_CHECKSUMS ? ENTRY_BYTES + 4 : ENTRY_BYTES;
    *ret_count = get32(footer);
    return 0;
}

int
frame_footer_decode(const void *footer, uint64_t *ret_table_bytes)
{
    size_t entry;
    uint32_t count;
    int rc = footer_decode(footer, &entry, &count);

    if (rc < 0)
        return rc;
    *ret_table_bytes = FRAME_TABLE_HEAD_BYTES + (uint64_t)count * entry + FRAME_FOOTER_BYTES;
    return 0;
}

int
frame_table_decode(const void *data, size_t len, uint64_t body, struct frame_table *ret_table)
{
    const unsigned char *p = data;
    struct frame_table table = { 0 };
    size_t entry;
    uint32_t count;
    uint64_t sum = 0;
    int rc;

    if (len < FRAME_TABLE_HEAD_BYTES + FRAME_FOOTER_BYTES)
        return error_set(ERROR_CORRUPT, "the table of frames is too short");
    rc = footer_decode(p + len - FRAME_FOOTER_BYTES, &entry, &count);
    if (rc < 0)
        return rc;
    if (len != FRAME_TABLE_HEAD_BYTES + (uint64_t)count * entry + FRAME_FOOTER_BYTES || get32(p) != SKIPPABLE_MAGIC ||
        get32(p + 4) != len - FRAME_TABLE_HEAD_BYTES)
        return error_set(ERROR_CORRUPT, "the table of frames contradicts itself");
    for (uint32_t i = 0; i < count; i++) {
        const unsigned char *row = p + FRAME_TABLE_HEAD_BYTES + i * entry;

        if (get32(row + 4) > FRAME_PLAIN_BYTES || get32(row) > frame_bound()) {
            frame_table_free(&table);
            return error_set(ERROR_CORRUPT, "frame %u claims %u bytes from %u, more than a frame may hold", i,
                             get32(row + 4), get32(row));
        }
        frame_table_add(&table, get32(row), get32(row + 4));
        sum += get32(row);
    }
    if (sum != body) {
        frame_table_free(&table);
        return error_set(ERROR_CORRUPT, "the table of frames covers %llu bytes, the stream has %llu",
                         (unsigned long long)sum, (unsigned long long)body);
    }
    *ret_table = table;
    return 0;
}

void
frame_table_free(struct frame_table *table)
{
    free(table->entries);
    *table = (struct frame_table){ 0 };
}
