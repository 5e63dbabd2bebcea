/* SPDX-License-Identifier: PostgreSQL
 *
 * Who we are to an S3 server: looked for where the ecosystem puts it, in this order, the first source that has something wins:
 *
 *   access_key and secret_key of the config            (session_token with them)
 *   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY           (AWS_SESSION_TOKEN)          unless `profile` is in the config
 *   web identity: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, or those keys of the profile
 *   the profile in the shared credentials file, then the config file (keys, credential_process)
 *   container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI (with its token or token file)
 *   instance metadata, version 2
 *
 * What expires is fetched anew a few minutes before. Any thread may ask at any time.
 */
#ifndef PGCASK_COMMON_AWS_CREDENTIALS_H
#define PGCASK_COMMON_AWS_CREDENTIALS_H

#include "common/http.h"

struct aws_credentials; /* opaque */

/* All borrowed until aws_credentials_free; NULL: not given. */
struct aws_credentials_settings {
    const char *access_key, *secret_key, *session_token;
    const char *profile;          /* else AWS_PROFILE, else "default" */
    const char *credentials_file; /* else AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials; the config file is
                                     AWS_CONFIG_FILE, else ~/.aws/config */
    const char *region;           /* for the address of STS */
};

/* Only remembers; nothing is looked for yet. */
struct aws_credentials *aws_credentials_new(const struct aws_credentials_settings *settings, struct http *http);
void aws_credentials_free(struct aws_credentials *credentials);
CLEANUP_DEFINE(struct aws_credentials, aws_credentials_free)

/* One set, owned by the caller. */
struct aws_keys {
    char *access_key, *secret_key;
    char *session_token; /* NULL: none */
    const char *source;  /* static, for messages: "the config", "the environment", "the shared credentials file", … */
};
/* PGCASK_FAILED with a cure when no source has any, PGCASK_RETRY when one that should did not answer. */
int aws_credentials_get(struct aws_credentials *credentials, struct aws_keys *ret_keys);
void aws_keys_free(struct aws_keys *keys); /* wipes */
/* The server said that these are expired: forget what was fetched, if it is still that. */
void aws_credentials_expired(struct aws_credentials *credentials, const struct aws_keys *keys);

/* region of the profile in the config file, owned by the caller; NULL: none. AWS_REGION and AWS_DEFAULT_REGION come first. */
char *aws_credentials_region(const struct aws_credentials_settings *settings);

#endif
