/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as the beginning of a segment and as a pg_control: what is taken has
 * sizes and places that can be, and nothing is written for what is refused.
 */
#include "config.h"

#include "base/error.h"
#include "base/mem.h"
#include "pg/control.h"
#include "pg/wal-header.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
try_header(const uint8_t *data, size_t size)
{
    struct wal_header header = { .timeline = 0 };
    struct wal_name name;
    int rc = wal_header_read(data, size, &header);

    must(rc == 0 || (rc == ERROR_CORRUPT && header.timeline == 0 && error_text()[0] != '\0'));
    if (rc < 0)
        return;
    must(wal_segment_size_is_valid(header.segment_bytes) && header.address % header.segment_bytes == 0);
    must(header.timeline != 0 && header.system_identifier != 0);
    name = wal_segment_at(header.timeline, header.address / header.segment_bytes, header.segment_bytes);
    must(wal_header_check(&header, &name, header.segment_bytes) == 0);
    must(wal_header_check(&header, &name, header.segment_bytes - 1) == ERROR_CORRUPT);
    name.piece ^= 1;
    must(wal_header_check(&header, &name, header.segment_bytes) == ERROR_CORRUPT);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control control = { 0 };
    int rc = control_read(data, size, &control);

    must(rc == 0 || (rc == ERROR_CORRUPT && control.system_identifier == 0));
    try_header(data, size);
    error_clear();
    return 0;
}
