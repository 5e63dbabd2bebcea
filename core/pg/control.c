/* SPDX-License-Identifier: PostgreSQL
 *
 * Of struct ControlFileData only the first fields are looked at, which have been the same for ever. Where it ends and
 * its CRC begins differs from release to release, so the CRC is looked for: wherever four bytes are that of all bytes
 * before them.
 */
#include "config.h"

#include "pg/control.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <string.h>

enum {
    CONTROL_MIN_BYTES = 200, /* 288 for PostgreSQL 13 */
    CONTROL_MAX_BYTES = 512, /* PG_CONTROL_MAX_SAFE_SIZE: one sector */
    CONTROL_TRIES = 10,
    CONTROL_PAUSE_MS = 20,
};

static int
control_check(const unsigned char *data)
{
    uint32_t crc = crc32c_add(0, data, CONTROL_MIN_BYTES);

    for (size_t end = CONTROL_MIN_BYTES; end + sizeof crc <= CONTROL_MAX_BYTES; end += sizeof crc) {
        if (memcmp(data + end, &crc, sizeof crc) == 0)
            return 0;
        crc = crc32c_add(crc, data + end, sizeof crc);
    }
    return error_set(ERROR_CORRUPT, "its checksum is wrong, or it is of a release that is not known here");
}

int
control_read(const void *data, size_t len, struct control *ret_control)
{
    struct control control;
    int rc;

    if (len < CONTROL_MAX_BYTES)
        return error_set(ERROR_CORRUPT, "it has %zu bytes (wanted: %d)", len, CONTROL_BYTES);
    rc = control_check(data);
    if (rc < 0)
        return rc;
    memcpy(&control.system_identifier, data, sizeof control.system_identifier);
    memcpy(&control.version, (const char *)data + 8, sizeof control.version);
    memcpy(&control.catalog_version, (const char *)data + 12, sizeof control.catalog_version);
    if (control.system_identifier == 0)
        return error_set(ERROR_CORRUPT, "it has no system identifier");
    *ret_control = control;
    return 0;
}

int
control_load(const char *dir, struct control *ret_control)
{
    CLEANUP_FREE char *path = mem_printf("%s/global/pg_control", dir);
    int rc;

    for (unsigned try = 1;; try++) {
        CLEANUP_BUF struct buf data = BUF_INIT(CONTROL_BYTES);

        rc = file_read(path, &data);
        if (rc < 0)
            return rc;
        rc = control_read(data.data, data.len, ret_control);
        if (rc == 0)
            return 0;
        if (try == CONTROL_TRIES)
            break;
        if (cancel_sleep_ms(CONTROL_PAUSE_MS) < 0)
            return ERROR_CANCELLED;
    }
    return error_context(rc, "'%s'", path);
}
