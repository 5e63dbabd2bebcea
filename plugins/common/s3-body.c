/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "common/s3-body.h"

#include "common/plain.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { MD5_BYTES = 16 };

static void
crc_text(uint32_t crc, char *ret_text)
{
    const unsigned char raw[4] = { (unsigned char)(crc >> 24), (unsigned char)(crc >> 16), (unsigned char)(crc >> 8),
                                   (unsigned char)crc };

    (void)EVP_EncodeBlock((unsigned char *)ret_text, raw, sizeof raw);
}

static void
hex_text(const unsigned char *raw, char *ret_text)
{
    for (size_t i = 0; i < MD5_BYTES; i++)
        (void)snprintf(ret_text + 2 * i, 3, "%02x", raw[i]);
}

void
s3_body_digest(const void *data, size_t size, bool md5, struct s3_body *ret_body)
{
    struct s3_body body = { .data = data, .size = size };
    unsigned char hash[EVP_MAX_MD_SIZE];

    body.crc = (uint32_t)crc32_z(0, data, size);
    crc_text(body.crc, body.crc32);
    if (md5 && EVP_Digest(data, size, hash, NULL, EVP_md5(), NULL) == 1) { /* absent in a FIPS library */
        (void)EVP_EncodeBlock((unsigned char *)body.md5, hash, MD5_BYTES);
        hex_text(hash, body.md5_hex);
    }
    *ret_body = body;
}

bool
s3_etag_is_md5(const char *etag)
{
    size_t len;

    etag += *etag == '"';
    len = strspn(etag, "0123456789abcdef");
    return len == 2 * MD5_BYTES && (etag[len] == '\0' || etag[len] == '"');
}

void
s3_whole_begin(struct s3_whole *whole)
{
    EVP_MD_CTX *md5 = EVP_MD_CTX_new();

    *whole = (struct s3_whole){ .crc = (uint32_t)crc32_z(0, NULL, 0) };
    if (md5 != NULL && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1)
        whole->md5 = md5;
    else
        EVP_MD_CTX_free(md5);
}

static void
whole_forget_md5(struct s3_whole *whole)
{
    EVP_MD_CTX_free(whole->md5);
    whole->md5 = NULL;
}

void
s3_whole_add(struct s3_whole *whole, uint32_t crc, uint64_t size, const char *etag)
{
    unsigned char raw[MD5_BYTES];

    whole->crc = (uint32_t)crc32_combine64(whole->crc, crc, (z_off64_t)size);
    whole->parts++;
    if (whole->md5 == NULL)
        return;
    if (etag == NULL || !s3_etag_is_md5(etag)) {
        whole_forget_md5(whole);
        return;
    }
    etag += *etag == '"';
    for (size_t i = 0; i < MD5_BYTES; i++) {
        const char pair[3] = { etag[2 * i], etag[2 * i + 1], '\0' };

        raw[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    (void)EVP_DigestUpdate(whole->md5, raw, sizeof raw);
}

void
s3_whole_end(struct s3_whole *whole)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char hex[S3_MD5_HEX_TEXT];

    crc_text(whole->crc, whole->crc32);
    if (whole->md5 == NULL)
        return;
    if (EVP_DigestFinal_ex(whole->md5, hash, NULL) == 1) {
        hex_text(hash, hex);
        (void)snprintf(whole->etag, sizeof whole->etag, "%s-%" PRIu64, hex, whole->parts);
    }
    whole_forget_md5(whole);
}
