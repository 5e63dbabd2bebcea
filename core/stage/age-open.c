/* SPDX-License-Identifier: PostgreSQL
 *
 * Reading an age file, chunk by chunk and in any order. An opener is never
 * changed once it is made, so any number of threads may use it.
 */
#include "config.h"

#include "stage/age-file.h"

#include "base/error.h"
#include "stage/age-header.h"
#include "stage/age-payload.h"

#include <stdlib.h>

struct age_opener {
    struct secret *key; /* of the payload */
};

int
age_opener_new(const void *head, size_t len, const struct age_identities *identities, struct age_opener **ret_opener)
{
    struct age_header header;
    AGE_WIPED_FILE_KEY file_key;
    AGE_WIPED_KEY key;
    struct age_opener *opener;
    int rc = age_header_parse(head, len, &header);

    if (rc == 0 && len != header.len + AGE_NONCE_BYTES)
        rc = error_set(ERROR_CORRUPT, "%zu bytes behind the age header (wanted: a nonce of %d)", len - header.len,
                       AGE_NONCE_BYTES);
    if (rc == PGCASK_RETRY)
        rc = ERROR_CORRUPT; /* there is no more to come */
    if (rc == 0)
        rc = age_header_unlock(&header, identities, &file_key);
    if (rc == 0)
        rc = age_payload_key(&file_key, (const unsigned char *)head + header.len, &key);
    if (rc < 0)
        return rc;
    opener = mem_zalloc(sizeof *opener);
    opener->key = secret_new(key.bytes, sizeof key.bytes);
    *ret_opener = opener;
    return 0;
}

/* A chunk is full, but for the last one, which is not empty unless it is the only one. */
static int
opener_check_size(uint64_t index, bool last, size_t len)
{
    size_t least = !last ? AGE_SEALED_CHUNK_BYTES : index > 0 ? AGE_TAG_BYTES + 1 : AGE_TAG_BYTES;

    if (len < least || len > AGE_SEALED_CHUNK_BYTES)
        return error_set(ERROR_CORRUPT, "chunk %llu has %zu bytes (wanted: %zu to %d)", (unsigned long long)index, len,
                         least, AGE_SEALED_CHUNK_BYTES);
    return 0;
}

int
age_open_chunk(const struct age_opener *opener, uint64_t index, bool last, const void *data, size_t len, void *out)
{
    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *aead = NULL;
    unsigned char iv[AGE_IV_BYTES];
    int rc = opener_check_size(index, last, len);

    if (rc < 0)
        return rc;
    aead = age_crypto_aead_new((const unsigned char *)secret_text(opener->key), false);
    if (aead == NULL)
        return PGCASK_FAILED;
    age_payload_iv(index, last, iv);
    rc = age_crypto_open(aead, iv, data, len, out);
    if (rc == ERROR_CORRUPT)
        return error_set(ERROR_CORRUPT, "chunk %llu%s does not authenticate: it was changed, or the file was cut here",
                         (unsigned long long)index, last ? " (the last)" : "");
    return rc;
}

void
age_opener_free(struct age_opener *opener)
{
    if (opener == NULL)
        return;
    secret_free(opener->key);
    free(opener);
}

int
age_payload_layout(uint64_t payload, uint64_t *ret_plain, uint64_t *ret_chunks)
{
    uint64_t chunks = payload / AGE_SEALED_CHUNK_BYTES + (payload % AGE_SEALED_CHUNK_BYTES != 0);
    uint64_t rest = payload % AGE_SEALED_CHUNK_BYTES;

    if (payload < AGE_TAG_BYTES || (payload > AGE_TAG_BYTES && rest > 0 && rest <= AGE_TAG_BYTES))
        return error_set(ERROR_CORRUPT, "no age payload has %llu bytes: the file was cut", (unsigned long long)payload);
    *ret_plain = payload - chunks * AGE_TAG_BYTES;
    *ret_chunks = chunks;
    return 0;
}
