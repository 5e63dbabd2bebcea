/* SPDX-License-Identifier: PostgreSQL
 *
 * One stanza of an age header: the file key, wrapped for one reader.
 *
 *   -> X25519 <ephemeral share>                 -> scrypt <salt> <work factor>
 *   <wrapped file key>                          <wrapped file key>
 */
#ifndef PGCASK_STAGE_AGE_STANZA_H
#define PGCASK_STAGE_AGE_STANZA_H

#include "base/buf.h"
#include "stage/age-crypto.h"

#include <stdbool.h>

/* A view into the header's bytes, well-formed as to the grammar. */
struct age_stanza {
    const char *args; /* behind "-> " */
    size_t args_len;
    const char *body; /* base64; lines of 64 and their newlines, then the last line without its own */
    size_t body_len;
};

/* The first argument. */
bool age_stanza_is(const struct age_stanza *stanza, const char *kind);
/* The rules of the kinds we know: arguments and sizes. ERROR_CORRUPT; other kinds are none of our business. */
int age_stanza_check(const struct age_stanza *stanza);

int age_stanza_wrap_x25519(const struct age_recipient *recipient, const struct age_file_key *file_key,
                           struct buf *header);
int age_stanza_wrap_scrypt(const struct secret *passphrase, const struct age_file_key *file_key, struct buf *header);

/* For a checked stanza, known or not. PGCASK_NOT_FOUND, without a text, when this identity does not fit; ERROR_CORRUPT
 * when it must not be used. */
int age_stanza_unwrap(const struct age_stanza *stanza, const struct age_identity *identity,
                      struct age_file_key *ret_file_key);

#endif
