/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/member-payload.h"

#include "base/error.h"

#include <string.h>

size_t
payload_chunk_size(const struct payload *payload)
{
    return payload->opener ? SEALED_CHUNK_BYTES : AGE_CHUNK_BYTES;
}

size_t
payload_chunks_len(const struct payload *payload, uint64_t index, size_t count)
{
    uint64_t left = payload->size - index * payload_chunk_size(payload);
    uint64_t len = count * payload_chunk_size(payload);

    return (size_t)(left < len ? left : len);
}

uint64_t
payload_chunk_offset(const struct payload *payload, uint64_t index)
{
    return payload->start + index * payload_chunk_size(payload);
}

int
payload_unseal(const struct payload *payload, const struct attempt *attempt, uint64_t index, const unsigned char *raw,
               unsigned char *out, size_t *ret_len)
{
    size_t len = payload_chunks_len(payload, index, 1);
    int rc;

    if (payload->opener == NULL) {
        memcpy(out, raw, len);
        *ret_len = len;
        return 0;
    }
    rc = age_open_chunk(payload->opener, index, index + 1 == payload->chunks, raw, len, out);
    if (rc < 0)
        return fetch_blame(payload->fetch, attempt, rc);
    *ret_len = len - AGE_TAG_BYTES;
    return 0;
}

int
payload_peek(const struct payload *payload, const struct attempt *attempt, struct peek *peek, uint64_t offset, void *data,
             size_t len)
{
    unsigned char *out = data;

    while (len > 0) {
        uint64_t index = offset / AGE_CHUNK_BYTES;
        size_t skip = (size_t)(offset % AGE_CHUNK_BYTES), take;
        int rc;

        if (peek->len == 0 || peek->index != index) {
            peek->len = 0;
            rc = fetch_get(payload->fetch, attempt, payload_chunk_offset(payload, index), peek->raw,
                           payload_chunks_len(payload, index, 1));
            if (rc == 0)
                rc = payload_unseal(payload, attempt, index, peek->raw, peek->plain, &peek->len);
            if (rc < 0)
                return rc;
            peek->index = index;
        }
        if (skip >= peek->len)
            return fetch_blame(payload->fetch, attempt, error_set(ERROR_CORRUPT, "the stream ends too early"));
        take = peek->len - skip < len ? peek->len - skip : len;
        memcpy(out, peek->plain + skip, take);
        out += take;
        offset += take;
        len -= take;
    }
    return 0;
}
