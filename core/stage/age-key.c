/* SPDX-License-Identifier: PostgreSQL
 *
 * Who can read, and with what we can: the two sets of keys a run is given by
 * its config or its command line. Texts that may be secret never reach a
 * message; a key that could not work is refused here, not in the night's backup.
 */
#include "config.h"

#include "stage/age-key.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "stage/age-crypto.h"
#include "stage/bech32.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    KEY_LIMIT = 64,                   /* of recipients or identities in a set */
    KEY_FILE_LIMIT_BYTES = 64 * 1024, /* 64 keys with a generous comment each */
};

#define RECIPIENT_PREFIX "age"
#define IDENTITY_PREFIX "AGE-SECRET-KEY-"
#define PASSPHRASE_TEXT "passphrase"

struct age_recipients {
    struct age_recipient *items;
    size_t len, cap;
    struct secret *passphrase;
};

struct age_identities {
    struct age_identity *items;
    size_t len, cap;
};

static bool
key_begins(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- files ---- */

typedef int key_line(void *ctx, const char *text);

/* Comments, blank lines and the blanks around a key are skipped; cuts the text up. */
static int
key_each_line(struct buf *text, const char *path, key_line *use, void *ctx)
{
    char *next = text->data;
    size_t used = 0;

    if (memchr(text->data, '\0', text->len) != NULL)
        return error_set(ERROR_USAGE, "'%s' has a NUL byte: it is no text file", path);
    for (size_t number = 1; next != NULL; number++) {
        char *line = next + strspn(next, " \t");
        size_t len = strcspn(line, "\n");
        int rc;

        next = line[len] == '\n' ? line + len + 1 : NULL;
        while (len > 0 && isspace((unsigned char)line[len - 1]))
            len--;
        line[len] = '\0';
        if (len == 0 || *line == '#')
            continue;
        rc = use(ctx, line);
        if (rc < 0)
            return error_context(rc, "%s:%zu", path, number);
        used++;
    }
    return used > 0 ? 0 : error_set(ERROR_USAGE, "'%s' holds no key", path);
}

static int
key_read_file(const char *path, struct buf *text, key_line *use, void *ctx)
{
    int rc = file_read(path, text);

    return rc < 0 ? ERROR_USAGE : key_each_line(text, path, use, ctx);
}

/* ---- recipients ---- */

struct age_recipients *
age_recipients_new(void)
{
    return mem_zalloc(sizeof(struct age_recipients));
}

/* The kinds of text that are taken for a recipient by mistake. */
static int
recipient_check_kind(const char *text)
{
    if (key_begins(text, "AGE-SECRET-KEY-") || key_begins(text, "AGE-PLUGIN-")) {
        (void)error_set(ERROR_USAGE, "this is a secret identity, not a recipient (wanted: 'age1…')");
        return error_hint(ERROR_USAGE, "'age-keygen -y FILE' prints the recipient that belongs to an identity");
    }
    if (key_begins(text, "ssh-"))
        return error_set(ERROR_USAGE, "SSH keys cannot be recipients here (wanted: 'age1…')");
    if (strncmp(text, RECIPIENT_PREFIX "1", 4) != 0)
        return error_set(ERROR_USAGE, "this is no recipient (wanted: 'age1…')");
    return 0;
}

/* Bech32 and then a trial: a point of low order would give everybody the same shared secret. */
static int
recipient_parse(const char *text, unsigned char key[AGE_KEY_BYTES])
{
    static const unsigned char scalar[AGE_KEY_BYTES] = { 1 };
    AGE_WIPED_KEY shared;
    int rc = bech32_decode(text, RECIPIENT_PREFIX, key, AGE_KEY_BYTES);

    if (rc == 0)
        rc = age_crypto_shared(scalar, key, &shared);
    if (rc < 0)
        return error_context(rc == PGCASK_FAILED ? rc : ERROR_USAGE, "recipient '%.80s'", text);
    return 0;
}

int
age_recipients_add(struct age_recipients *recipients, const char *text)
{
    struct age_recipient recipient;
    int rc = recipient_check_kind(text);

    if (rc == 0)
        rc = recipient_parse(text, recipient.key);
    if (rc < 0)
        return rc;
    if (recipients->passphrase != NULL)
        return error_set(ERROR_USAGE, "a passphrase cannot be combined with recipients");
    for (size_t i = 0; i < recipients->len; i++)
        if (memcmp(recipients->items[i].key, recipient.key, AGE_KEY_BYTES) == 0)
            return 0; /* named twice is named */
    if (recipients->len == KEY_LIMIT)
        return error_set(ERROR_USAGE, "more than %d recipients", KEY_LIMIT);
    MEM_GROW(recipients->items, recipients->len, recipients->cap);
    recipient.text = mem_strdup(text);
    recipients->items[recipients->len++] = recipient;
    return 0;
}

static int
recipients_add_line(void *ctx, const char *text)
{
    return age_recipients_add(ctx, text);
}

int
age_recipients_add_file(struct age_recipients *recipients, const char *path)
{
    /* wiped, in case it is a file of identities */
    CLEANUP_BUF struct buf text = BUF_SECRET_INIT(KEY_FILE_LIMIT_BYTES);

    return key_read_file(path, &text, recipients_add_line, recipients);
}

int
age_recipients_set_passphrase(struct age_recipients *recipients, const struct secret *passphrase)
{
    if (secret_len(passphrase) == 0)
        return error_set(ERROR_USAGE, "the passphrase is empty");
    if (recipients->len > 0)
        return error_set(ERROR_USAGE, "a passphrase cannot be combined with recipients");
    secret_free(recipients->passphrase);
    recipients->passphrase = secret_new(secret_text(passphrase), secret_len(passphrase));
    return 0;
}

bool
age_recipients_empty(const struct age_recipients *recipients)
{
    return recipients->len == 0 && recipients->passphrase == NULL;
}

void
age_recipients_list(const struct age_recipients *recipients, struct strv *ret_texts)
{
    for (size_t i = 0; i < recipients->len; i++)
        strv_add(ret_texts, recipients->items[i].text);
    if (recipients->passphrase != NULL)
        strv_add(ret_texts, PASSPHRASE_TEXT);
}

const struct age_recipient *
age_recipients_get(const struct age_recipients *recipients, size_t index)
{
    return index < recipients->len ? &recipients->items[index] : NULL;
}

const struct secret *
age_recipients_passphrase(const struct age_recipients *recipients)
{
    return recipients->passphrase;
}

void
age_recipients_free(struct age_recipients *recipients)
{
    if (recipients == NULL)
        return;
    for (size_t i = 0; i < recipients->len; i++)
        free(recipients->items[i].text);
    free(recipients->items);
    secret_free(recipients->passphrase);
    free(recipients);
}

/* ---- identities ---- */

struct age_identities *
age_identities_new(void)
{
    return mem_zalloc(sizeof(struct age_identities));
}

/* The kinds of text that are taken for an identity by mistake; only what is public is shown. */
static int
identity_check_kind(const char *text)
{
    if (strncmp(text, "age1", 4) == 0)
        return error_set(ERROR_USAGE, "'%.80s' is a recipient, not an identity (wanted: 'AGE-SECRET-KEY-1…')", text);
    if (key_begins(text, "AGE-PLUGIN-"))
        return error_set(ERROR_USAGE, "identities of age plugins cannot be used here (wanted: 'AGE-SECRET-KEY-1…')");
    if (key_begins(text, "-----BEGIN ") || key_begins(text, "age-encryption.org/")) {
        (void)error_set(ERROR_USAGE, "this is an encrypted file or an SSH key (wanted: 'AGE-SECRET-KEY-1…')");
        return error_hint(ERROR_USAGE, "an identity file with a passphrase is opened with 'age -d FILE'");
    }
    return 0;
}

/* Takes what `identity` owns, also when it is refused. */
static int
identities_take(struct age_identities *identities, struct age_identity *identity)
{
    for (size_t i = 0; i < identities->len && !identity->is_passphrase; i++)
        if (!identities->items[i].is_passphrase && strcmp(identities->items[i].text, identity->text) == 0) {
            secret_free(identity->secret);
            free(identity->text);
            return 0;
        }
    if (identities->len == KEY_LIMIT) {
        secret_free(identity->secret);
        free(identity->text);
        return error_set(ERROR_USAGE, "more than %d identities", KEY_LIMIT);
    }
    MEM_GROW(identities->items, identities->len, identities->cap);
    identities->items[identities->len++] = *identity;
    return 0;
}

int
age_identities_add(struct age_identities *identities, const char *text)
{
    struct age_identity identity = { .is_passphrase = false };
    AGE_WIPED_KEY scalar;
    char public_text[BECH32_TEXT_BYTES];
    int rc = identity_check_kind(text);

    if (rc < 0)
        return rc;
    rc = bech32_decode(text, IDENTITY_PREFIX, scalar.bytes, sizeof scalar.bytes);
    if (rc < 0)
        return error_context(rc, "identity");
    rc = age_crypto_public(scalar.bytes, identity.key);
    if (rc < 0)
        return rc;
    bech32_encode(RECIPIENT_PREFIX, identity.key, sizeof identity.key, public_text);
    identity.text = mem_strdup(public_text);
    identity.secret = secret_new(scalar.bytes, sizeof scalar.bytes);
    return identities_take(identities, &identity);
}

static int
identities_add_line(void *ctx, const char *text)
{
    return age_identities_add(ctx, text);
}

int
age_identities_add_file(struct age_identities *identities, const char *path)
{
    CLEANUP_BUF struct buf text = BUF_SECRET_INIT(KEY_FILE_LIMIT_BYTES);
    int rc = file_check_private(path, "identity file");

    return rc < 0 ? rc : key_read_file(path, &text, identities_add_line, identities);
}

int
age_identities_add_passphrase(struct age_identities *identities, const struct secret *passphrase)
{
    struct age_identity identity = { .is_passphrase = true };

    if (secret_len(passphrase) == 0)
        return error_set(ERROR_USAGE, "the passphrase is empty");
    identity.text = mem_strdup(PASSPHRASE_TEXT);
    identity.secret = secret_new(secret_text(passphrase), secret_len(passphrase));
    return identities_take(identities, &identity);
}

bool
age_identities_empty(const struct age_identities *identities)
{
    return identities->len == 0;
}

void
age_identities_list(const struct age_identities *identities, struct strv *ret_texts)
{
    for (size_t i = 0; i < identities->len; i++)
        strv_add(ret_texts, identities->items[i].text);
}

const struct age_identity *
age_identities_get(const struct age_identities *identities, size_t index)
{
    return index < identities->len ? &identities->items[index] : NULL;
}

void
age_identities_free(struct age_identities *identities)
{
    if (identities == NULL)
        return;
    for (size_t i = 0; i < identities->len; i++) {
        secret_free(identities->items[i].secret);
        free(identities->items[i].text);
    }
    free(identities->items);
    free(identities);
}

int
age_key_generate(struct secret **ret_identity, char **ret_recipient)
{
    AGE_WIPED_KEY scalar;
    unsigned char public_key[AGE_KEY_BYTES];
    char text[BECH32_TEXT_BYTES];
    int rc = age_crypto_random(scalar.bytes, sizeof scalar.bytes);

    if (rc == 0)
        rc = age_crypto_public(scalar.bytes, public_key);
    if (rc < 0)
        return rc;
    bech32_encode(IDENTITY_PREFIX, scalar.bytes, sizeof scalar.bytes, text);
    *ret_identity = secret_new(text, strlen(text));
    OPENSSL_cleanse(text, sizeof text);
    bech32_encode(RECIPIENT_PREFIX, public_key, sizeof public_key, text);
    *ret_recipient = mem_strdup(text);
    return 0;
}
