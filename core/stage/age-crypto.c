/* SPDX-License-Identifier: PostgreSQL
 *
 * Fetching an algorithm from OpenSSL's providers takes locks and string work,
 * so the two used for every file are fetched once and kept until the process
 * ends.
 */
#include "config.h"

#include "stage/age-crypto.h"

#include "base/error.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

enum { CRYPTO_TAG_BYTES = 16 };

CLEANUP_DEFINE(EVP_PKEY, EVP_PKEY_free)
CLEANUP_DEFINE(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP_DEFINE(EVP_KDF_CTX, EVP_KDF_CTX_free)

static struct {
    pthread_once_t once;
    EVP_CIPHER *aead;
    EVP_KDF *hkdf;
} fetched = { .once = PTHREAD_ONCE_INIT };

static void
crypto_fetch_once(void)
{
    fetched.aead = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    fetched.hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
}

/* With OpenSSL's own reason; its queue is empty afterwards. */
static int
crypto_failed(const char *what)
{
    unsigned long code = ERR_peek_last_error();
    char reason[256] = "no reason was given";

    if (code != 0)
        ERR_error_string_n(code, reason, sizeof reason);
    ERR_clear_error();
    return error_set(PGCASK_FAILED, "%s failed in OpenSSL: %s", what, reason);
}

void
age_crypto_wipe_key(struct age_key *key)
{
    OPENSSL_cleanse(key, sizeof *key);
}

void
age_crypto_wipe_file_key(struct age_file_key *key)
{
    OPENSSL_cleanse(key, sizeof *key);
}

int
age_crypto_random(void *ret_data, size_t size)
{
    assert(size <= INT32_MAX);
    return RAND_bytes(ret_data, (int)size) == 1 ? 0 : crypto_failed("random number generation");
}

static EVP_PKEY *
crypto_private(const unsigned char secret[AGE_KEY_BYTES])
{
    return EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, secret, AGE_KEY_BYTES);
}

int
age_crypto_public(const unsigned char secret[AGE_KEY_BYTES], unsigned char ret_public[AGE_KEY_BYTES])
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pair = crypto_private(secret);
    size_t len = AGE_KEY_BYTES;

    if (pair == NULL || EVP_PKEY_get_raw_public_key(pair, ret_public, &len) != 1 || len != AGE_KEY_BYTES)
        return crypto_failed("X25519");
    return 0;
}

int
age_crypto_shared(const unsigned char secret[AGE_KEY_BYTES], const unsigned char peer[AGE_KEY_BYTES],
                  struct age_key *ret_shared)
{
    static const struct age_key zero;
    CLEANUP(EVP_PKEY_free) EVP_PKEY *ours = crypto_private(secret);
    CLEANUP(EVP_PKEY_free) EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, peer, AGE_KEY_BYTES);
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = NULL;
    AGE_WIPED_KEY shared = { { 0 } };
    size_t len = sizeof shared;

    if (ours != NULL && theirs != NULL)
        ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ours, NULL);
    if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, theirs) != 1)
        return crypto_failed("X25519");
    /* OpenSSL itself refuses an all-zero result, without saying so; other providers may hand it out. */
    if (EVP_PKEY_derive(ctx, shared.bytes, &len) != 1 || CRYPTO_memcmp(&shared, &zero, sizeof zero) == 0) {
        ERR_clear_error();
        return error_set(ERROR_CORRUPT, "an X25519 public key is a point of low order");
    }
    *ret_shared = shared;
    return 0;
}

int
age_crypto_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const char *info,
                struct age_key *ret_key)
{
    CLEANUP(EVP_KDF_CTX_free) EVP_KDF_CTX *ctx = NULL;
    OSSL_PARAM params[5];
    OSSL_PARAM *p = params;

    /* The parameters of OSSL_PARAM are not const, but only read here. */
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_len);
    if (salt_len > 0)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, salt_len);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, strlen(info));
    *p = OSSL_PARAM_construct_end();
    (void)pthread_once(&fetched.once, crypto_fetch_once);
    if (fetched.hkdf != NULL)
        ctx = EVP_KDF_CTX_new(fetched.hkdf);
    if (ctx == NULL || EVP_KDF_derive(ctx, ret_key->bytes, sizeof ret_key->bytes, params) != 1)
        return crypto_failed("HKDF");
    return 0;
}

int
age_crypto_hmac(const struct age_key *key, const void *data, size_t len, unsigned char ret_mac[AGE_MAC_BYTES])
{
    size_t mac_len = 0;

    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key->bytes, sizeof key->bytes, data, len, ret_mac, AGE_MAC_BYTES,
                  &mac_len) == NULL
        || mac_len != AGE_MAC_BYTES)
        return crypto_failed("HMAC");
    return 0;
}

int
age_crypto_scrypt(const struct secret *passphrase, const void *salt, size_t salt_len, unsigned log_n,
                  struct age_key *ret_key)
{
    enum { R = 8, P = 1 };
    uint64_t n = UINT64_C(1) << log_n;
    uint64_t memory = 128 * R * (n + P) + 32 * R * sizeof(uint32_t) + 4096; /* RFC 7914, and some to spare */

    assert(log_n > 0 && log_n < 32);
    if (EVP_PBE_scrypt(secret_text(passphrase), secret_len(passphrase), salt, salt_len, n, R, P, memory, ret_key->bytes,
                       sizeof ret_key->bytes) == 1)
        return 0;
    (void)crypto_failed("scrypt");
    return error_context(PGCASK_FAILED, "work factor %u, which takes %llu MiB of memory", log_n,
                         (unsigned long long)(memory >> 20));
}

EVP_CIPHER_CTX *
age_crypto_aead_new(const unsigned char key[AGE_KEY_BYTES], bool seal)
{
    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *aead = EVP_CIPHER_CTX_new();

    (void)pthread_once(&fetched.once, crypto_fetch_once);
    if (aead == NULL || fetched.aead == NULL || EVP_CipherInit_ex2(aead, fetched.aead, key, NULL, seal, NULL) != 1) {
        (void)crypto_failed("ChaCha20-Poly1305");
        return NULL;
    }
    return STEAL(aead);
}

int
age_crypto_seal(EVP_CIPHER_CTX *aead, const unsigned char iv[AGE_IV_BYTES], const void *plain, size_t len,
                void *ret_sealed)
{
    unsigned char *out = ret_sealed;
    int done = 0;
    int rest = 0;

    assert(len <= INT32_MAX);
    if (EVP_EncryptInit_ex2(aead, NULL, NULL, iv, NULL) != 1
        || (len > 0 && EVP_EncryptUpdate(aead, out, &done, plain, (int)len) != 1)
        || EVP_EncryptFinal_ex(aead, out + done, &rest) != 1 || (size_t)done + (size_t)rest != len
        || EVP_CIPHER_CTX_ctrl(aead, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG_BYTES, out + len) != 1)
        return crypto_failed("ChaCha20-Poly1305");
    return 0;
}

int
age_crypto_open(EVP_CIPHER_CTX *aead, const unsigned char iv[AGE_IV_BYTES], const void *sealed, size_t len,
                void *ret_plain)
{
    const unsigned char *in = sealed;
    unsigned char *out = ret_plain;
    unsigned char tag[CRYPTO_TAG_BYTES];
    int done = 0;
    int rest = 0;

    assert(len >= CRYPTO_TAG_BYTES && len <= INT32_MAX);
    len -= CRYPTO_TAG_BYTES;
    memcpy(tag, in + len, sizeof tag);
    if (EVP_DecryptInit_ex2(aead, NULL, NULL, iv, NULL) != 1
        || EVP_CIPHER_CTX_ctrl(aead, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG_BYTES, tag) != 1
        || (len > 0 && EVP_DecryptUpdate(aead, out, &done, in, (int)len) != 1))
        return crypto_failed("ChaCha20-Poly1305");
    if (EVP_DecryptFinal_ex(aead, out + done, &rest) == 1 && (size_t)done + (size_t)rest == len)
        return 0;
    ERR_clear_error();
    OPENSSL_cleanse(out, len); /* nobody shall use what was not authenticated */
    return ERROR_CORRUPT;
}

int
age_crypto_wrap(const struct age_key *key, const struct age_file_key *file_key,
                unsigned char ret_wrapped[AGE_WRAPPED_KEY_BYTES])
{
    static const unsigned char iv[AGE_IV_BYTES];
    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *aead = age_crypto_aead_new(key->bytes, true);

    if (aead == NULL)
        return PGCASK_FAILED;
    return age_crypto_seal(aead, iv, file_key->bytes, sizeof file_key->bytes, ret_wrapped);
}

int
age_crypto_unwrap(const struct age_key *key, const unsigned char wrapped[AGE_WRAPPED_KEY_BYTES],
                  struct age_file_key *ret_file_key)
{
    static const unsigned char iv[AGE_IV_BYTES];
    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *aead = age_crypto_aead_new(key->bytes, false);

    if (aead == NULL)
        return PGCASK_FAILED;
    return age_crypto_open(aead, iv, wrapped, AGE_WRAPPED_KEY_BYTES, ret_file_key->bytes);
}
