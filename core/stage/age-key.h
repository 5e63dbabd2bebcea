/* SPDX-License-Identifier: PostgreSQL
 *
 * Keys of age v1 (age-encryption.org/v1): X25519 recipients and identities in
 * bech32, and passphrases. Only OpenSSL's primitives.
 */
#ifndef PGCASK_STAGE_AGE_KEY_H
#define PGCASK_STAGE_AGE_KEY_H

#include "base/buf.h"
#include "base/secret.h"

#include <stdbool.h>
#include <stdint.h>

enum { AGE_KEY_BYTES = 32 };

/* Those who can read: up to 64 X25519 public keys, or one passphrase. */
struct age_recipients;
struct age_recipients *age_recipients_new(void);
/* ERROR_USAGE with the reason (bad character, checksum, wrong kind: an identity is named as such, never shown). */
int age_recipients_add(struct age_recipients *recipients, const char *text);
/* One a line, blank lines and # comments skipped; messages name path:line. */
int age_recipients_add_file(struct age_recipients *recipients, const char *path);
int age_recipients_set_passphrase(struct age_recipients *recipients, const struct secret *passphrase);
bool age_recipients_empty(const struct age_recipients *recipients);
/* The public texts, "passphrase" for one; for manifests. */
void age_recipients_list(const struct age_recipients *recipients, struct strv *ret_texts);
void age_recipients_free(struct age_recipients *recipients);
CLEANUP_DEFINE(struct age_recipients, age_recipients_free)

/* Those secrets that we have. */
struct age_identities;
struct age_identities *age_identities_new(void);
int age_identities_add(struct age_identities *identities, const char *text);
/* As written by age-keygen: one AGE-SECRET-KEY-1… a line, comments skipped; must be private (file_check_private). */
int age_identities_add_file(struct age_identities *identities, const char *path);
int age_identities_add_passphrase(struct age_identities *identities, const struct secret *passphrase);
bool age_identities_empty(const struct age_identities *identities);
/* The public texts that belong to them. */
void age_identities_list(const struct age_identities *identities, struct strv *ret_texts);
void age_identities_free(struct age_identities *identities);
CLEANUP_DEFINE(struct age_identities, age_identities_free)

/* A new pair. The identity is the line age-keygen would print. */
int age_key_generate(struct secret **ret_identity, char **ret_recipient);

/* ---- for the header of an age file, nobody else: borrowed views ---- */
struct age_recipient {
    char *text;
    unsigned char key[AGE_KEY_BYTES];
};
struct age_identity {
    struct secret *secret; /* the X25519 scalar, or the passphrase */
    bool is_passphrase;
    char *text; /* public */
    unsigned char key[AGE_KEY_BYTES]; /* public */
};
/* NULL behind the last one. */
const struct age_recipient *age_recipients_get(const struct age_recipients *recipients, size_t index);
const struct secret *age_recipients_passphrase(const struct age_recipients *recipients); /* NULL when there is none */
const struct age_identity *age_identities_get(const struct age_identities *identities, size_t index);

#endif
