/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as the table of frames at a member's end. The first eight are the
 * size of the body that the table claims to cover, little endian.
 */
#include "config.h"

#include "base/error.h"
#include "stage/zstd-frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_BYTES = 8 };

static void
must(bool holds)
{
    if (!holds)
        abort();
}

/* What was believed must fill the body, keep to the limits, and come back from its own encoding. */
static void
fuzz_table(const struct frame_table *table, uint64_t body)
{
    CLEANUP_BUF struct buf again = BUF_INIT(UINT32_MAX);
    struct frame_table back = { 0 };
    uint64_t sum = 0;

    for (size_t i = 0; i < table->len; i++) {
        must(table->entries[i].plain <= FRAME_PLAIN_BYTES && table->entries[i].stored <= frame_bound());
        sum += table->entries[i].stored;
    }
    must(sum == body);
    must(frame_table_encode(table, &again) == 0);
    must(frame_table_decode(again.data, again.len, body, &back) == 0 && back.len == table->len);
    must(table->len == 0 || memcmp(back.entries, table->entries, table->len * sizeof *table->entries) == 0);
    frame_table_free(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_table table = { 0 };
    uint64_t body = 0, table_bytes = 0;
    int footer = ERROR_CORRUPT, rc;

    if (size < BODY_BYTES)
        return 0;
    for (int i = 0; i < BODY_BYTES; i++)
        body |= (uint64_t)data[i] << (8 * i);
    data += BODY_BYTES;
    size -= BODY_BYTES;
    if (size >= FRAME_FOOTER_BYTES)
        footer = frame_footer_decode(data + size - FRAME_FOOTER_BYTES, &table_bytes);
    must(footer == 0 || footer == ERROR_CORRUPT);
    rc = frame_table_decode(data, size, body, &table);
    must(rc == 0 || rc == ERROR_CORRUPT);
    if (rc == 0) {
        must(footer == 0 && table_bytes == size);
        fuzz_table(&table, body);
        frame_table_free(&table);
    } else
        must(table.entries == NULL && error_text()[0] != '\0');
    error_clear();
    return 0;
}
