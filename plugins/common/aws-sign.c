/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "common/aws-sign.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

char *
aws_escape(const char *text, bool path)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = plain_zalloc(strlen(text) * 3 + 1), *p = out;

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;

        if (strchr(unreserved, byte) != NULL || (path && byte == '/')) {
            *p++ = (char)byte;
            continue;
        }
        *p++ = '%';
        *p++ = hex[byte >> 4];
        *p++ = hex[byte & 15];
    }
    return out;
}

static void
hex_of(const unsigned char *hash, char *ret_hex)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < AWS_HASH_BYTES; i++) {
        ret_hex[2 * i] = hex[hash[i] >> 4];
        ret_hex[2 * i + 1] = hex[hash[i] & 15];
    }
    ret_hex[2 * AWS_HASH_BYTES] = '\0';
}

void
aws_hash(const void *data, size_t size, char *ret_hex)
{
    unsigned char hash[AWS_HASH_BYTES];

    (void)SHA256(data, size, hash);
    hex_of(hash, ret_hex);
}

void
aws_date(time_t now_s, char *ret_text)
{
    struct tm tm;

    (void)gmtime_r(&now_s, &tm);
    (void)strftime(ret_text, AWS_DATE_TEXT, "%Y%m%dT%H%M%SZ", &tm);
}

static void
hmac(const void *key, size_t key_len, const char *text, unsigned char *ret_hash)
{
    (void)HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), ret_hash, NULL);
}

/* Names of the headers, joined by ';'. */
static char *
signed_names(const char *const *headers)
{
    size_t room = 1;
    char *names, *p;

    for (size_t i = 0; headers[i] != NULL; i++)
        room += strlen(headers[i]) + 1;
    p = names = plain_zalloc(room);
    for (size_t i = 0; headers[i] != NULL; i++) {
        size_t len = strcspn(headers[i], ":");

        if (i > 0)
            *p++ = ';';
        memcpy(p, headers[i], len);
        p += len;
    }
    return names;
}

/* "name:value\n" for each, without blanks around the value. */
static char *
canonical_headers(const char *const *headers)
{
    size_t room = 1;
    char *text, *p;

    for (size_t i = 0; headers[i] != NULL; i++)
        room += strlen(headers[i]) + 2;
    p = text = plain_zalloc(room);
    for (size_t i = 0; headers[i] != NULL; i++) {
        size_t name = strcspn(headers[i], ":");
        const char *value = headers[i] + name + 1;

        value += strspn(value, " ");
        memcpy(p, headers[i], name);
        p += name;
        *p++ = ':';
        memcpy(p, value, strlen(value));
        p += strlen(value);
        *p++ = '\n';
    }
    return text;
}

char *
aws_sign(const struct aws_signing *signing, const struct aws_keys *keys)
{
    CLEANUP_FREE char *names = signed_names(signing->headers), *headers = canonical_headers(signing->headers);
    CLEANUP_FREE char *canonical = plain_printf("%s\n%s\n%s\n%s\n%s\n%s", signing->method, signing->path, signing->query,
                                                headers, names, signing->payload_hash);
    CLEANUP_FREE char *day = plain_strndup(signing->date, 8);
    CLEANUP_FREE char *scope = plain_printf("%s/%s/%s/aws4_request", day, signing->region, signing->service);
    CLEANUP_FREE char *to_sign = NULL;
    CLEANUP_WIPE char *secret = plain_printf("AWS4%s", keys->secret_key);
    char hash[AWS_HASH_TEXT], signature[AWS_HASH_TEXT];
    unsigned char key[AWS_HASH_BYTES];

    aws_hash(canonical, strlen(canonical), hash);
    to_sign = plain_printf("AWS4-HMAC-SHA256\n%s\n%s\n%s", signing->date, scope, hash);
    hmac(secret, strlen(secret), day, key);
    hmac(key, sizeof key, signing->region, key);
    hmac(key, sizeof key, signing->service, key);
    hmac(key, sizeof key, "aws4_request", key);
    hmac(key, sizeof key, to_sign, key);
    hex_of(key, signature);
    OPENSSL_cleanse(key, sizeof key);
    return plain_printf("authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", keys->access_key,
                        scope, names, signature);
}
