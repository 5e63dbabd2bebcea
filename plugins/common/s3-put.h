/* SPDX-License-Identifier: PostgreSQL
 *
 * What the two ways of writing have in common: headers, the server's confirmations, and whether a key is taken.
 */
#ifndef PGCASK_COMMON_S3_PUT_H
#define PGCASK_COMMON_S3_PUT_H

#include "common/s3-body.h"
#include "common/s3.h"

enum { S3_PUT_HEADERS_MAX = 16 };

/* A growing list of headers, owned; ends with NULL. */
struct s3_headers {
    char *items[S3_PUT_HEADERS_MAX + 1];
    size_t count;
};
void s3_headers_free(struct s3_headers *headers);
/* `header` becomes the list's. */
void s3_headers_add(struct s3_headers *headers, char *header);
/* What an object is created with: once, by the PUT or by CreateMultipartUpload. */
void s3_headers_create(const struct s3 *s3, bool hot, struct s3_headers *headers);
/* What the server is to check the body with. */
void s3_headers_body(struct s3 *s3, const struct s3_body *body, struct s3_headers *headers);
/* Only one that has the body's checksum in its answer has looked at it. */
bool s3_body_needs_md5(struct s3 *s3);

/* Encryption that was asked for and silently left out would be found out by an auditor. */
int s3_check_encrypted(const struct s3 *s3, const struct http_answer *answer);
/* Compare what the server says of a body with what we sent; learn whether it knows checksums. */
int s3_check_stored(struct s3 *s3, const char *key, const struct s3_body *body, const struct http_answer *answer);

/* 0 when the object that is there has these bytes: by checksum, or by an entity tag that is an MD5 ("" is none). */
int s3_same_object(struct s3 *s3, const char *key, uint64_t size, const char *crc32, const char *etag);
/* PGCASK_EXISTS when there is an object, 0 when there is none. */
int s3_check_free(struct s3 *s3, const char *key);

/* PGCASK_UNSUPPORTED: the server refused the condition, and knows no such thing. `resent` as in s3_request. */
int s3_put_once(struct s3 *s3, const char *key, bool hot, const struct s3_body *body, bool conditional, bool *resent);
/* Take away an object of ours that is not what it must be. */
void s3_undo(struct s3 *s3, const char *key);

#endif
