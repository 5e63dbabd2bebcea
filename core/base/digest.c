/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/digest.h"

#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SHA256_BYTES = 32 };

static const struct {
    const char *prefix;
    size_t bytes;
} kinds[] = {
    [DIGEST_XXH3] = { "xxh3-128:", sizeof(XXH128_canonical_t) },
    [DIGEST_SHA256] = { "sha256:", SHA256_BYTES },
};

struct digest {
    enum digest_kind kind;
    XXH3_state_t *xxh3;
    EVP_MD_CTX *sha256;
};

static _Noreturn void
digest_broken(void)
{
    log_error("libcrypto cannot compute SHA-256");
    abort();
}

struct digest *
digest_new(enum digest_kind kind)
{
    struct digest *digest = mem_zalloc(sizeof *digest);

    digest->kind = kind;
    if (kind == DIGEST_XXH3) {
        digest->xxh3 = XXH3_createState();
        if (digest->xxh3 == NULL)
            abort(); /* out of memory */
        (void)XXH3_128bits_reset(digest->xxh3); /* fails for NULL only */
        return digest;
    }
    digest->sha256 = EVP_MD_CTX_new();
    if (digest->sha256 == NULL || EVP_DigestInit_ex(digest->sha256, EVP_sha256(), NULL) != 1)
        digest_broken();
    return digest;
}

void
digest_add(struct digest *digest, const void *data, size_t len)
{
    if (digest->kind == DIGEST_XXH3)
        (void)XXH3_128bits_update(digest->xxh3, data, len); /* fails for NULL only */
    else if (EVP_DigestUpdate(digest->sha256, data, len) != 1)
        digest_broken();
}

char *
digest_end(struct digest *digest)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    CLEANUP_FREE char *hex = NULL;

    if (digest->kind == DIGEST_XXH3) {
        XXH128_canonical_t canonical;

        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(digest->xxh3));
        memcpy(raw, &canonical, sizeof canonical);
    } else if (EVP_DigestFinal_ex(digest->sha256, raw, NULL) != 1)
        digest_broken();
    hex = format_hex(raw, kinds[digest->kind].bytes);
    return mem_printf("%s%s", kinds[digest->kind].prefix, hex);
}

void
digest_free(struct digest *digest)
{
    if (digest == NULL)
        return;
    (void)XXH3_freeState(digest->xxh3);
    EVP_MD_CTX_free(digest->sha256);
    free(digest);
}

char *
digest_of(enum digest_kind kind, const void *data, size_t len)
{
    CLEANUP(digest_free) struct digest *digest = digest_new(kind);

    digest_add(digest, data, len);
    return digest_end(digest);
}

int
digest_check_text(const char *text)
{
    unsigned char raw[SHA256_BYTES];

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t prefix = strlen(kinds[i].prefix);

        if (strncmp(text, kinds[i].prefix, prefix) == 0)
            return parse_hex(text + prefix, raw, kinds[i].bytes) < 0 ? error_context(ERROR_CORRUPT, "digest '%s'", text) : 0;
    }
    return error_set(ERROR_CORRUPT, "'%s' is not a digest of a known algorithm (wanted: xxh3-128 or sha256)", text);
}

enum digest_kind
digest_kind_of(const char *text)
{
    return strncmp(text, kinds[DIGEST_SHA256].prefix, strlen(kinds[DIGEST_SHA256].prefix)) == 0 ? DIGEST_SHA256
                                                                                               : DIGEST_XXH3;
}

int
digest_compare(const char *what, const char *seen, const char *wanted)
{
    if (strcmp(seen, wanted) == 0)
        return 0;
    return error_set(ERROR_CORRUPT, "%s is %s, the manifest says %s", what, seen, wanted);
}
