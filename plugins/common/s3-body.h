/* SPDX-License-Identifier: PostgreSQL
 *
 * Digests of what is sent, in the forms that S3 speaks of them.
 */
#ifndef PGCASK_COMMON_S3_BODY_H
#define PGCASK_COMMON_S3_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { S3_CRC_TEXT = 9, S3_MD5_BASE64_TEXT = 25, S3_MD5_HEX_TEXT = 33, S3_ETAG_TEXT = 48 };

struct s3_body {
    const void *data; /* borrowed */
    size_t size;
    uint32_t crc;
    char crc32[S3_CRC_TEXT];        /* base64 of the big-endian CRC-32, as in x-amz-checksum-crc32 */
    char md5[S3_MD5_BASE64_TEXT];   /* as in Content-MD5; "" when not asked for */
    char md5_hex[S3_MD5_HEX_TEXT];  /* as in an entity tag */
};
void s3_body_digest(const void *data, size_t size, bool md5, struct s3_body *ret_body);
/* 32 hex digits, with or without quotes: the MD5 of a body that was neither put in parts nor encrypted with KMS. */
bool s3_etag_is_md5(const char *etag);

/* A whole object from its parts, in order. */
struct s3_whole {
    uint32_t crc;
    uint64_t parts;
    void *md5; /* opaque; NULL once a tag was no MD5 */
    char crc32[S3_CRC_TEXT];
    char etag[S3_ETAG_TEXT]; /* MD5 of the parts' MD5s, "-", their number; "" when not known */
};
void s3_whole_begin(struct s3_whole *whole);
void s3_whole_add(struct s3_whole *whole, uint32_t crc, uint64_t size, const char *etag);
void s3_whole_end(struct s3_whole *whole);

#endif
