/* SPDX-License-Identifier: PostgreSQL
 *
 * What sealing and opening a payload have in common: its key and the IVs of its
 * chunks.
 */
#ifndef PGCASK_STAGE_AGE_PAYLOAD_H
#define PGCASK_STAGE_AGE_PAYLOAD_H

#include "stage/age-crypto.h"
#include "stage/age-file.h"

#include <string.h>

enum { AGE_SEALED_CHUNK_BYTES = AGE_CHUNK_BYTES + AGE_TAG_BYTES };

static inline int
age_payload_key(const struct age_file_key *file_key, const unsigned char nonce[AGE_NONCE_BYTES],
                struct age_key *ret_key)
{
    return age_crypto_hkdf(file_key->bytes, sizeof file_key->bytes, nonce, AGE_NONCE_BYTES, "payload", ret_key);
}

/* Eleven bytes of counter, big endian, then one that marks the last chunk. */
static inline void
age_payload_iv(uint64_t index, bool last, unsigned char ret_iv[AGE_IV_BYTES])
{
    memset(ret_iv, 0, AGE_IV_BYTES);
    for (unsigned i = 0; i < 8; i++)
        ret_iv[AGE_IV_BYTES - 2 - i] = (unsigned char)(index >> (8 * i));
    ret_iv[AGE_IV_BYTES - 1] = last;
}

#endif
