/* SPDX-License-Identifier: PostgreSQL
 *
 * The five primitives that age v1 is made of, on OpenSSL's EVP: X25519,
 * HKDF-SHA256, HMAC-SHA256, scrypt and ChaCha20-Poly1305. Knows sizes and keys,
 * nothing of headers or files. Safe from several threads at once.
 */
#ifndef PGCASK_STAGE_AGE_CRYPTO_H
#define PGCASK_STAGE_AGE_CRYPTO_H

#include "base/mem.h"
#include "base/secret.h"
#include "stage/age-key.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

enum {
    AGE_FILE_KEY_BYTES = 16,
    AGE_WRAPPED_KEY_BYTES = AGE_FILE_KEY_BYTES + 16, /* with its tag */
    AGE_MAC_BYTES = 32,
    AGE_SALT_BYTES = 16,
    AGE_IV_BYTES = 12,
};

/* Keys on the stack, wiped when their scope ends. */
struct age_key {
    unsigned char bytes[AGE_KEY_BYTES];
};
struct age_file_key {
    unsigned char bytes[AGE_FILE_KEY_BYTES];
};
void age_crypto_wipe_key(struct age_key *key);
void age_crypto_wipe_file_key(struct age_file_key *key);
#define AGE_WIPED_KEY __attribute__((cleanup(age_crypto_wipe_key))) struct age_key
#define AGE_WIPED_FILE_KEY __attribute__((cleanup(age_crypto_wipe_file_key))) struct age_file_key

/* All return 0 or PGCASK_FAILED with OpenSSL's reason, and what is said below. */
int age_crypto_random(void *ret_data, size_t size);
int age_crypto_public(const unsigned char secret[AGE_KEY_BYTES], unsigned char ret_public[AGE_KEY_BYTES]);
/* ERROR_CORRUPT when the shared secret is all zero: `peer` is then a point of low order, no one's honest key. */
int age_crypto_shared(const unsigned char secret[AGE_KEY_BYTES], const unsigned char peer[AGE_KEY_BYTES],
                      struct age_key *ret_shared);
/* `salt` may be empty. */
int age_crypto_hkdf(const void *key, size_t key_len, const void *salt, size_t salt_len, const char *info,
                    struct age_key *ret_key);
int age_crypto_hmac(const struct age_key *key, const void *data, size_t len, unsigned char ret_mac[AGE_MAC_BYTES]);
/* N = 2^log_n, r = 8, p = 1: takes 2^log_n KiB of memory. */
int age_crypto_scrypt(const struct secret *passphrase, const void *salt, size_t salt_len, unsigned log_n,
                      struct age_key *ret_key);

/* ChaCha20-Poly1305 under one key, for one direction and one thread at a time. */
EVP_CIPHER_CTX *age_crypto_aead_new(const unsigned char key[AGE_KEY_BYTES], bool seal); /* NULL: PGCASK_FAILED's text */
/* `ret_sealed` takes len + 16 bytes: the tag is behind the text. */
int age_crypto_seal(EVP_CIPHER_CTX *aead, const unsigned char iv[AGE_IV_BYTES], const void *plain, size_t len,
                    void *ret_sealed);
/* `len` counts the tag. ERROR_CORRUPT, without a text, when it does not authenticate; `ret_plain` is then zeros. */
int age_crypto_open(EVP_CIPHER_CTX *aead, const unsigned char iv[AGE_IV_BYTES], const void *sealed, size_t len,
                    void *ret_plain);
CLEANUP_DEFINE(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

/* The same for a file key under a key used once, with age's IV of zeros. */
int age_crypto_wrap(const struct age_key *key, const struct age_file_key *file_key,
                    unsigned char ret_wrapped[AGE_WRAPPED_KEY_BYTES]);
int age_crypto_unwrap(const struct age_key *key, const unsigned char wrapped[AGE_WRAPPED_KEY_BYTES],
                      struct age_file_key *ret_file_key);

#endif
