/* SPDX-License-Identifier: PostgreSQL
 *
 * What the s3 and glacier plugins can be told in common: one struct, one list of table rows for a settings struct that
 * begins with it.
 */
#ifndef PGCASK_COMMON_S3_OPTIONS_H
#define PGCASK_COMMON_S3_OPTIONS_H

#include "pgcask-plugin.h"

#include <stddef.h>

struct s3_settings {
    const char *bucket, *prefix, *region, *endpoint, *addressing;
    const char *access_key, *secret_key, *session_token, *profile, *credentials_file;
    const char *ca_file, *proxy;
    int64_t connect_timeout_ms, stall_timeout_ms;
    int64_t part_size;
    const char *storage_class, *tags; /* storage_class: only the s3 plugin has it as an option */
    const char *sse, *sse_kms_key;
    const char *object_lock;
    int64_t object_lock_ms;
    const char *checksum, *sign_payload;
};

int s3_check_settings(const void *settings);

#define S3_OPTION(option_name, option_type, field, ...)                                                                \
    {                                                                                                                  \
        .name = (option_name), .type = (option_type), .offset = offsetof(struct s3_settings, field), __VA_ARGS__       \
    }

#define S3_OPTIONS                                                                                                     \
    S3_OPTION("bucket", PGCASK_OPTION_STRING, bucket, .flags = PGCASK_OPTION_REQUIRED, .help = "name of the bucket"),  \
    S3_OPTION("prefix", PGCASK_OPTION_STRING, prefix, .help = "what all keys begin with, such as backups/chain"),      \
    S3_OPTION("region", PGCASK_OPTION_STRING, region,                                                                  \
              .help = "region of the bucket; otherwise AWS_REGION, the profile's, or what the server says"),           \
    S3_OPTION("endpoint", PGCASK_OPTION_STRING, endpoint,                                                              \
              .help = "URL of a server other than Amazon's, such as https://minio.example.com:9000"),                  \
    S3_OPTION("addressing", PGCASK_OPTION_ENUM, addressing, .fallback = "auto", .choices = "auto|path|virtual",        \
              .help = "where the bucket's name goes: path or host name; auto is virtual at Amazon, path elsewhere"),   \
    S3_OPTION("access_key", PGCASK_OPTION_STRING, access_key, .help = "access key id, with secret_key"),               \
    S3_OPTION("secret_key", PGCASK_OPTION_SECRET, secret_key, .help = "secret access key"),                            \
    S3_OPTION("session_token", PGCASK_OPTION_SECRET, session_token, .help = "token of temporary keys"),                \
    S3_OPTION("profile", PGCASK_OPTION_STRING, profile, .help = "profile in the shared credentials and config files"), \
    S3_OPTION("credentials_file", PGCASK_OPTION_PATH, credentials_file,                                                \
              .help = "shared credentials file instead of ~/.aws/credentials"),                                        \
    S3_OPTION("ca_file", PGCASK_OPTION_PATH, ca_file, .help = "PEM file of the authorities to trust"),                 \
    S3_OPTION("proxy", PGCASK_OPTION_STRING, proxy,                                                                    \
              .help = "URL of a proxy; none for no proxy; otherwise https_proxy and no_proxy"),                        \
    S3_OPTION("connect_timeout", PGCASK_OPTION_DURATION, connect_timeout_ms, .fallback = "10s", .min = 100,            \
              .max = 600000, .help = "longest time to reach the server"),                                              \
    S3_OPTION("stall_timeout", PGCASK_OPTION_DURATION, stall_timeout_ms, .fallback = "60s", .min = 1000,               \
              .max = 3600000, .help = "a connection without a byte for so long is given up and tried anew"),           \
    S3_OPTION("part_size", PGCASK_OPTION_SIZE, part_size, .fallback = "16MiB", .min = 5242880, .max = 1073741824,      \
              .help = "bytes of a part; grows by itself for objects above 10 000 parts"),                              \
    S3_OPTION("tags", PGCASK_OPTION_LIST, tags, .help = "object tags, as key=value words"),                            \
    S3_OPTION("sse", PGCASK_OPTION_ENUM, sse, .fallback = "none", .choices = "none|aes256|kms",                        \
              .help = "server-side encryption, on top of pgcask's own: SSE-S3 or SSE-KMS"),                            \
    S3_OPTION("sse_kms_key", PGCASK_OPTION_STRING, sse_kms_key, .help = "key id or ARN for sse = kms"),                \
    S3_OPTION("object_lock", PGCASK_OPTION_ENUM, object_lock, .fallback = "none",                                      \
              .choices = "none|governance|compliance", .help = "write objects locked against removal"),                \
    S3_OPTION("object_lock_time", PGCASK_OPTION_DURATION, object_lock_ms, .min = 0, .max = INT64_C(3153600000000),     \
              .help = "for how long, such as 30d"),                                                                    \
    S3_OPTION("checksum", PGCASK_OPTION_ENUM, checksum, .fallback = "auto", .choices = "auto|crc32|md5",               \
              .help = "what the server checks a body with; auto asks for both until it shows what it knows"),          \
    S3_OPTION("sign_payload", PGCASK_OPTION_ENUM, sign_payload, .fallback = "auto", .choices = "auto|yes|no",          \
              .help = "SHA-256 of each body in its signature; auto only without TLS")

#endif
