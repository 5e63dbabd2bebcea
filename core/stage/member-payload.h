/* SPDX-License-Identifier: PostgreSQL
 *
 * Where the compressed stream of a member lies in its object: chunks of 64 KiB,
 * sealed one by one, or plain pieces of the same size when nothing is encrypted. For
 * member-*.c only.
 */
#ifndef PGCASK_STAGE_MEMBER_PAYLOAD_H
#define PGCASK_STAGE_MEMBER_PAYLOAD_H

#include "stage/age-file.h"
#include "stage/fetch.h"

enum { SEALED_CHUNK_BYTES = AGE_CHUNK_BYTES + AGE_TAG_BYTES };

struct payload {
    struct fetch *fetch;       /* of the object, borrowed */
    struct age_opener *opener; /* NULL: not sealed; owned */
    uint64_t start;            /* of its first byte in the object */
    uint64_t size;             /* in the object */
    uint64_t stream;           /* bytes of the stream in it */
    uint64_t chunks;
};

size_t payload_chunk_size(const struct payload *payload);
/* Stored bytes of `count` chunks from there on. */
size_t payload_chunks_len(const struct payload *payload, uint64_t index, size_t count);
uint64_t payload_chunk_offset(const struct payload *payload, uint64_t index); /* in the object */
/* One chunk; the count of plain bytes, at most AGE_CHUNK_BYTES. The error is about bytes of that attempt. */
int payload_unseal(const struct payload *payload, const struct attempt *attempt, uint64_t index, const unsigned char *raw,
                   unsigned char *out, size_t *ret_len);

/* Reading anywhere, for the few bytes at the end: the last chunk that was opened is kept. */
struct peek {
    unsigned char raw[SEALED_CHUNK_BYTES], plain[AGE_CHUNK_BYTES];
    uint64_t index;
    size_t len; /* 0: none */
};
int payload_peek(const struct payload *payload, const struct attempt *attempt, struct peek *peek, uint64_t offset,
                 void *data, size_t len);

#endif
