/* SPDX-License-Identifier: PostgreSQL
 *
 * What the sources of credentials have in common: what they are asked with, what they give, and the checks that keys
 * pass wherever they come from. Only aws-credentials.c and the sources see it.
 */
#ifndef PGCASK_COMMON_AWS_SOURCE_H
#define PGCASK_COMMON_AWS_SOURCE_H

#include "common/aws-credentials.h"

#include <stdbool.h>
#include <stdint.h>

/* What a source answers: PGCASK_OK with a grant; AWS_SOURCE_NONE when it is not for this machine, with a note of what
 * was tried; or an error when it should have had keys. */
enum { AWS_SOURCE_NONE = 1 };

/* Keys and their end. */
struct aws_grant {
    struct aws_keys keys;
    int64_t expires_s; /* seconds since 1970 UTC; 0: never */
};
void aws_grant_free(struct aws_grant *grant); /* wipes; {0} is fine */

/* One search through the sources. */
struct aws_search {
    const struct aws_credentials_settings *settings;
    struct http *http;
    char *tried;      /* the notes, in order; NULL: none yet */
    bool *told_modes; /* that a file can be read by others is told once */
};
void aws_search_note(struct aws_search *search, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A variable of the environment, borrowed; NULL when it is not set or empty. */
const char *aws_source_env(const char *name);

/* The text of a small file, to be wiped by the caller. PGCASK_NOT_FOUND
 * when it cannot be opened, PGCASK_FAILED for everything else; both with a text. `what`: "token file". */
int aws_source_read(const char *path, const char *what, size_t limit, char **ret_text, size_t *ret_len);
/* Takes the white space at its end away. */
void aws_source_trim(char *text);

/* What a source told, as texts. NULL or "": not there. */
struct aws_told {
    const char *source; /* static, as in struct aws_keys */
    const char *access_key, *secret_key, *session_token;
    const char *expiration; /* ISO 8601 */
};
/* Checked and copied. No error text has any of the keys. */
int aws_source_grant(const struct aws_told *told, struct aws_grant *ret_grant);

/* The JSON document in which programs and metadata services give keys. `text` is wiped. */
struct aws_document {
    const char *source;     /* static */
    const char *token_name; /* "SessionToken" or "Token" */
    bool versioned;         /* Version must be 1 */
};
int aws_source_document(const struct aws_document *document, char *text, size_t len, struct aws_grant *ret_grant);

/* "2030-01-31T12:00:00Z", with a fraction or an offset in place of Z, as seconds since 1970 UTC. False: it is not that.
 */
bool aws_source_time(const char *text, int64_t *ret_s);

#endif
