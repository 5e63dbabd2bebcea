/* SPDX-License-Identifier: PostgreSQL
 *
 * AWS Signature Version 4, and the escaping of paths and queries that it prescribes. libcurl's own (CURLOPT_AWS_SIGV4) is
 * not used: of the requests that 7.88 signs, Ceph takes none with a query, which it neither sorts nor escapes, and it has
 * no way to be told the hash of a body that is read piece by piece.
 */
#ifndef PGCASK_COMMON_AWS_SIGN_H
#define PGCASK_COMMON_AWS_SIGN_H

#include "common/aws-credentials.h"

#include <time.h>

#define AWS_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

enum { AWS_HASH_BYTES = 32, AWS_HASH_TEXT = 65, AWS_DATE_TEXT = 17 };

/* Everything but letters, digits, '-', '.', '_', '~' (and '/' when `path`) as %XX; owned by the caller. */
char *aws_escape(const char *text, bool path);
/* SHA-256 in hex, AWS_HASH_TEXT bytes with the NUL. */
void aws_hash(const void *data, size_t size, char *ret_hex);
/* "20130524T000000Z", AWS_DATE_TEXT bytes with the NUL. */
void aws_date(time_t now_s, char *ret_text);

struct aws_signing {
    const char *method;
    const char *path;           /* escaped, begins with '/' */
    const char *query;          /* escaped, sorted by name, "" for none; a name without value ends with '=' */
    const char *const *headers; /* "name: value", lower-case names, sorted by name, all are signed; host, x-amz-date and
                                   x-amz-content-sha256 are among them; ends with NULL */
    const char *payload_hash;   /* hex, or AWS_UNSIGNED_PAYLOAD */
    const char *date;           /* of aws_date */
    const char *region, *service;
};

/* "authorization: AWS4-HMAC-SHA256 …", owned by the caller. */
char *aws_sign(const struct aws_signing *signing, const struct aws_keys *keys);

#endif
