/* SPDX-License-Identifier: PostgreSQL
 *
 * The bytes, numbers and strings of an archive: nothing is believed, memory
 * follows what was really read.
 */
#include "config.h"

#include "pg/archive-source.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

#include <string.h>

int
archive_source_corrupt(const struct archive_source *in, const char *what, int64_t value)
{
    return error_set(ERROR_CORRUPT, "archive: %s %lld before byte %llu", what, (long long)value,
                     (unsigned long long)in->used);
}

int
archive_source_bytes(struct archive_source *in, void *data, size_t len)
{
    int rc;

    if (len > in->left)
        return error_set(ERROR_CORRUPT, "archive: table of contents is larger than the %llu bytes allowed",
                         (unsigned long long)(in->left + in->used));
    rc = in->read(in->ctx, data, len);
    if (rc < 0)
        return rc;
    in->left -= len;
    in->used += len;
    return 0;
}

int
archive_source_byte(struct archive_source *in, int *ret_value)
{
    unsigned char byte;
    int rc = archive_source_bytes(in, &byte, 1);

    if (rc < 0)
        return rc;
    *ret_value = byte;
    return 0;
}

int
archive_source_number(struct archive_source *in, int64_t *ret_value)
{
    unsigned char bytes[9];
    uint64_t value = 0;
    int rc = archive_source_bytes(in, bytes, (size_t)in->int_size + 1);

    if (rc < 0)
        return rc;
    for (int i = in->int_size; i > 0; i--)
        value = value << 8 | bytes[i];
    if (value > UINT32_MAX || bytes[0] > 1)
        return archive_source_corrupt(in, "number out of range", (int64_t)(value & INT64_MAX));
    *ret_value = bytes[0] ? -(int64_t)value : (int64_t)value;
    return 0;
}

int
archive_source_int(struct archive_source *in, int *ret_value)
{
    int64_t value = 0;
    int rc = archive_source_number(in, &value);

    if (rc < 0)
        return rc;
    if (value < INT32_MIN || value > INT32_MAX)
        return archive_source_corrupt(in, "number out of range", value);
    *ret_value = (int)value;
    return 0;
}

/* Into `buf`, a piece at a time, so that memory follows the bytes that are really there. */
static int
archive_source_fill(struct archive_source *in, size_t len, struct buf *buf)
{
    while (len > 0) {
        size_t piece = len < ARCHIVE_PIECE ? len : ARCHIVE_PIECE;
        int rc = buf_reserve(buf, piece);

        if (rc == 0)
            rc = archive_source_bytes(in, buf->data + buf->len, piece);
        if (rc < 0)
            return rc;
        buf->len += piece;
        buf->data[buf->len] = '\0';
        len -= piece;
    }
    return 0;
}

int
archive_source_string(struct archive_source *in, char **ret_text)
{
    CLEANUP_BUF struct buf text = BUF_INIT(INT32_MAX);
    int len = 0, rc;

    rc = archive_source_int(in, &len);
    if (rc < 0)
        return rc;
    if (len < 0) {
        *ret_text = NULL;
        return 0;
    }
    if ((uint64_t)len > in->left)
        return archive_source_corrupt(in, "string of impossible length", len);
    rc = archive_source_fill(in, (size_t)len, &text);
    if (rc < 0)
        return rc;
    if (len > 0 && memchr(text.data, '\0', text.len) != NULL)
        return archive_source_corrupt(in, "NUL byte in a string of length", len);
    *ret_text = buf_take(&text);
    return 0;
}

int
archive_source_skip_string(struct archive_source *in)
{
    CLEANUP_FREE char *text = NULL;

    return archive_source_string(in, &text);
}
