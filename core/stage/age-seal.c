/* SPDX-License-Identifier: PostgreSQL
 *
 * Writing an age file. The last chunk is marked as such, so a full chunk is
 * held back until another byte shows that it is not the last. All other chunks
 * are sealed from where the caller has them; one cipher context and one buffer
 * serve the whole file.
 */
#include "config.h"

#include "stage/age-file.h"

#include "base/error.h"
#include "stage/age-header.h"
#include "stage/age-payload.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct age_sealer {
    struct buf header;
    unsigned char nonce[AGE_NONCE_BYTES];
    EVP_CIPHER_CTX *aead; /* holds the payload key */
    uint64_t index;       /* of the next chunk */
    bool begun;           /* header and nonce are out */
    bool ended;
    int failed; /* the first error; nothing is emitted after it */
    size_t held_len;
    unsigned char held[AGE_CHUNK_BYTES];
    unsigned char sealed[AGE_SEALED_CHUNK_BYTES];
};

static int
sealer_begin(struct age_sealer *sealer, const struct age_recipients *recipients)
{
    AGE_WIPED_FILE_KEY file_key;
    AGE_WIPED_KEY key;
    int rc = age_crypto_random(file_key.bytes, sizeof file_key.bytes);

    if (rc == 0)
        rc = age_crypto_random(sealer->nonce, sizeof sealer->nonce);
    if (rc == 0)
        rc = age_header_build(recipients, &file_key, &sealer->header);
    if (rc == 0)
        rc = age_payload_key(&file_key, sealer->nonce, &key);
    if (rc < 0)
        return rc;
    sealer->aead = age_crypto_aead_new(key.bytes, true);
    return sealer->aead ? 0 : PGCASK_FAILED;
}

int
age_sealer_new(const struct age_recipients *recipients, struct age_sealer **ret_sealer)
{
    CLEANUP(age_sealer_free) struct age_sealer *sealer = mem_zalloc(sizeof *sealer);
    int rc;

    sealer->header = (struct buf)BUF_INIT(AGE_HEADER_LIMIT_BYTES);
    rc = sealer_begin(sealer, recipients);
    if (rc < 0)
        return error_context(rc, "encrypting");
    *ret_sealer = STEAL(sealer);
    return 0;
}

const void *
age_sealer_header(const struct age_sealer *sealer, size_t *ret_len)
{
    *ret_len = sealer->header.len;
    return sealer->header.data;
}

static int
sealer_emit_head(struct age_sealer *sealer, age_emit *emit, void *ctx)
{
    int rc;

    if (sealer->begun)
        return 0;
    sealer->begun = true;
    rc = emit(ctx, sealer->header.data, sealer->header.len);
    return rc != 0 ? rc : emit(ctx, sealer->nonce, sizeof sealer->nonce);
}

static int
sealer_emit_chunk(struct age_sealer *sealer, const void *plain, size_t len, bool last, age_emit *emit, void *ctx)
{
    unsigned char iv[AGE_IV_BYTES];
    int rc;

    age_payload_iv(sealer->index, last, iv);
    rc = age_crypto_seal(sealer->aead, iv, plain, len, sealer->sealed);
    if (rc < 0)
        return rc;
    sealer->index++;
    return emit(ctx, sealer->sealed, len + AGE_TAG_BYTES);
}

/* Move bytes into what is held, up to a full chunk; how many. */
static size_t
sealer_hold(struct age_sealer *sealer, const void *data, size_t len)
{
    size_t room = AGE_CHUNK_BYTES - sealer->held_len;
    size_t take = len < room ? len : room;

    if (take > 0)
        memcpy(sealer->held + sealer->held_len, data, take);
    sealer->held_len += take;
    return take;
}

static int
sealer_take(struct age_sealer *sealer, const unsigned char *data, size_t len, age_emit *emit, void *ctx)
{
    int rc = sealer_emit_head(sealer, emit, ctx);

    if (rc == 0 && sealer->held_len > 0) {
        size_t taken = sealer_hold(sealer, data, len);

        data += taken;
        len -= taken;
        if (len > 0) {
            rc = sealer_emit_chunk(sealer, sealer->held, AGE_CHUNK_BYTES, false, emit, ctx);
            sealer->held_len = 0;
        }
    }
    while (rc == 0 && len > AGE_CHUNK_BYTES) {
        rc = sealer_emit_chunk(sealer, data, AGE_CHUNK_BYTES, false, emit, ctx);
        data += AGE_CHUNK_BYTES;
        len -= AGE_CHUNK_BYTES;
    }
    if (rc == 0)
        (void)sealer_hold(sealer, data, len); /* what is left always has room */
    return rc;
}

int
age_seal(struct age_sealer *sealer, const void *data, size_t len, age_emit *emit, void *ctx)
{
    assert(!sealer->ended);
    if (sealer->failed == 0)
        sealer->failed = sealer_take(sealer, data, len, emit, ctx);
    return sealer->failed;
}

int
age_seal_end(struct age_sealer *sealer, age_emit *emit, void *ctx)
{
    assert(!sealer->ended);
    sealer->ended = true;
    if (sealer->failed == 0)
        sealer->failed = sealer_emit_head(sealer, emit, ctx);
    if (sealer->failed == 0)
        sealer->failed = sealer_emit_chunk(sealer, sealer->held, sealer->held_len, true, emit, ctx);
    return sealer->failed;
}

void
age_sealer_free(struct age_sealer *sealer)
{
    if (sealer == NULL)
        return;
    EVP_CIPHER_CTX_free(sealer->aead); /* wipes the key in it */
    buf_free(&sealer->header);
    free(sealer);
}
