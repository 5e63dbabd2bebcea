/* SPDX-License-Identifier: PostgreSQL
 *
 * The two kinds of age's own: X25519 for a key pair, scrypt for a passphrase.
 * A wrapped key is of one size only, checked before it is opened: a longer one
 * could be made to open under several keys.
 */
#include "config.h"

#include "stage/age-stanza.h"

#include "base/error.h"
#include "stage/age-base64.h"

#include <string.h>

enum {
    SCRYPT_WORK_WRITTEN = 18, /* as the age program does: 256 MiB and about a second */
    SCRYPT_WORK_LIMIT = 22,   /* likewise: 4 GiB; more would let a header decide over our memory */
    STANZA_ARGS = 3,          /* as many as any kind we know has */
};

#define X25519_INFO "age-encryption.org/v1/X25519"
#define SCRYPT_INFO "age-encryption.org/v1/scrypt"

struct stanza_arg {
    const char *text;
    size_t len;
};

/* Fills up to STANZA_ARGS; returns how many there are. */
static size_t
stanza_split(const struct age_stanza *stanza, struct stanza_arg args[STANZA_ARGS])
{
    const char *at = stanza->args;
    const char *end = stanza->args + stanza->args_len;
    size_t count = 0;

    for (;;) {
        const char *blank = memchr(at, ' ', (size_t)(end - at));

        if (count < STANZA_ARGS)
            args[count] = (struct stanza_arg){ at, (size_t)((blank ? blank : end) - at) };
        count++;
        if (blank == NULL)
            return count;
        at = blank + 1;
    }
}

bool
age_stanza_is(const struct age_stanza *stanza, const char *kind)
{
    struct stanza_arg args[STANZA_ARGS];

    (void)stanza_split(stanza, args); /* there is always a first one */
    return args[0].len == strlen(kind) && memcmp(args[0].text, kind, args[0].len) == 0;
}

static int
stanza_check_body(const struct age_stanza *stanza, const char *kind)
{
    unsigned char wrapped[AGE_WRAPPED_KEY_BYTES];

    if (!age_base64_decode(stanza->body, stanza->body_len, wrapped, sizeof wrapped))
        return error_set(ERROR_CORRUPT, "the %s stanza does not hold a wrapped key of %d bytes", kind,
                         AGE_WRAPPED_KEY_BYTES);
    return 0;
}

/* ---- X25519 ---- */

static int
x25519_parse(const struct age_stanza *stanza, unsigned char share[AGE_KEY_BYTES])
{
    struct stanza_arg args[STANZA_ARGS];
    size_t count = stanza_split(stanza, args);

    if (count != 2)
        return error_set(ERROR_CORRUPT, "an X25519 stanza has %zu arguments (wanted: 2)", count);
    if (!age_base64_decode(args[1].text, args[1].len, share, AGE_KEY_BYTES))
        return error_set(ERROR_CORRUPT, "the share in an X25519 stanza is not base64 of %d bytes", AGE_KEY_BYTES);
    return stanza_check_body(stanza, "X25519");
}

static int
x25519_wrap_key(const struct age_key *shared, const unsigned char share[AGE_KEY_BYTES],
                const unsigned char recipient[AGE_KEY_BYTES], struct age_key *ret_key)
{
    unsigned char salt[2 * AGE_KEY_BYTES];

    memcpy(salt, share, AGE_KEY_BYTES);
    memcpy(salt + AGE_KEY_BYTES, recipient, AGE_KEY_BYTES);
    return age_crypto_hkdf(shared->bytes, sizeof shared->bytes, salt, sizeof salt, X25519_INFO, ret_key);
}

int
age_stanza_wrap_x25519(const struct age_recipient *recipient, const struct age_file_key *file_key, struct buf *header)
{
    AGE_WIPED_KEY ephemeral;
    AGE_WIPED_KEY shared;
    AGE_WIPED_KEY key;
    unsigned char share[AGE_KEY_BYTES];
    unsigned char wrapped[AGE_WRAPPED_KEY_BYTES];
    char share_text[AGE_BASE64_CHARS(sizeof share) + 1];
    char wrapped_text[AGE_BASE64_CHARS(sizeof wrapped) + 1];
    int rc = age_crypto_random(ephemeral.bytes, sizeof ephemeral.bytes);

    if (rc == 0)
        rc = age_crypto_public(ephemeral.bytes, share);
    if (rc == 0)
        rc = age_crypto_shared(ephemeral.bytes, recipient->key, &shared);
    if (rc == 0)
        rc = x25519_wrap_key(&shared, share, recipient->key, &key);
    if (rc == 0)
        rc = age_crypto_wrap(&key, file_key, wrapped);
    if (rc < 0)
        return error_context(rc, "recipient '%s'", recipient->text);
    age_base64_encode(share, sizeof share, share_text);
    age_base64_encode(wrapped, sizeof wrapped, wrapped_text);
    return buf_addf(header, "-> X25519 %s\n%s\n", share_text, wrapped_text);
}

static int
x25519_unwrap_key(const struct age_stanza *stanza, const struct age_identity *identity, struct age_key *ret_key)
{
    AGE_WIPED_KEY shared;
    unsigned char share[AGE_KEY_BYTES];
    int rc = x25519_parse(stanza, share);

    if (rc == 0)
        rc = age_crypto_shared((const unsigned char *)secret_text(identity->secret), share, &shared);
    if (rc < 0)
        return rc;
    return x25519_wrap_key(&shared, share, identity->key, ret_key);
}

/* ---- scrypt ---- */

/* A number without sign or leading zero; one too long for us is as good as one over the limit. */
static bool
scrypt_parse_work(const struct stanza_arg *arg, unsigned *ret_work)
{
    unsigned work = 0;

    if (arg->len == 0 || arg->text[0] == '0')
        return false;
    for (size_t i = 0; i < arg->len; i++) {
        if (arg->text[i] < '0' || arg->text[i] > '9')
            return false;
        if (work < 1000)
            work = work * 10 + (unsigned)(arg->text[i] - '0');
    }
    *ret_work = work;
    return true;
}

static int
scrypt_parse(const struct age_stanza *stanza, unsigned char salt[AGE_SALT_BYTES], unsigned *ret_work)
{
    struct stanza_arg args[STANZA_ARGS];
    size_t count = stanza_split(stanza, args);

    if (count != 3)
        return error_set(ERROR_CORRUPT, "a scrypt stanza has %zu arguments (wanted: 3)", count);
    if (!age_base64_decode(args[1].text, args[1].len, salt, AGE_SALT_BYTES))
        return error_set(ERROR_CORRUPT, "the salt in a scrypt stanza is not base64 of %d bytes", AGE_SALT_BYTES);
    if (!scrypt_parse_work(&args[2], ret_work))
        return error_set(ERROR_CORRUPT, "the work factor of a scrypt stanza is no number (wanted: 1 to %d)",
                         SCRYPT_WORK_LIMIT);
    if (*ret_work > SCRYPT_WORK_LIMIT)
        return error_set(ERROR_CORRUPT, "the scrypt work factor '%.*s' is too high (wanted: at most %d)",
                         args[2].len > 20 ? 20 : (int)args[2].len, args[2].text, SCRYPT_WORK_LIMIT);
    return stanza_check_body(stanza, "scrypt");
}

static int
scrypt_wrap_key(const struct secret *passphrase, const unsigned char salt[AGE_SALT_BYTES], unsigned work,
                struct age_key *ret_key)
{
    unsigned char salted[sizeof SCRYPT_INFO - 1 + AGE_SALT_BYTES];

    memcpy(salted, SCRYPT_INFO, sizeof SCRYPT_INFO - 1);
    memcpy(salted + sizeof SCRYPT_INFO - 1, salt, AGE_SALT_BYTES);
    return age_crypto_scrypt(passphrase, salted, sizeof salted, work, ret_key);
}

int
age_stanza_wrap_scrypt(const struct secret *passphrase, const struct age_file_key *file_key, struct buf *header)
{
    AGE_WIPED_KEY key;
    unsigned char salt[AGE_SALT_BYTES];
    unsigned char wrapped[AGE_WRAPPED_KEY_BYTES];
    char salt_text[AGE_BASE64_CHARS(sizeof salt) + 1];
    char wrapped_text[AGE_BASE64_CHARS(sizeof wrapped) + 1];
    int rc = age_crypto_random(salt, sizeof salt);

    if (rc == 0)
        rc = scrypt_wrap_key(passphrase, salt, SCRYPT_WORK_WRITTEN, &key);
    if (rc == 0)
        rc = age_crypto_wrap(&key, file_key, wrapped);
    if (rc < 0)
        return rc;
    age_base64_encode(salt, sizeof salt, salt_text);
    age_base64_encode(wrapped, sizeof wrapped, wrapped_text);
    return buf_addf(header, "-> scrypt %s %d\n%s\n", salt_text, SCRYPT_WORK_WRITTEN, wrapped_text);
}

static int
scrypt_unwrap_key(const struct age_stanza *stanza, const struct age_identity *identity, struct age_key *ret_key)
{
    unsigned char salt[AGE_SALT_BYTES];
    unsigned work;
    int rc = scrypt_parse(stanza, salt, &work);

    return rc < 0 ? rc : scrypt_wrap_key(identity->secret, salt, work, ret_key);
}

/* ---- both ---- */

int
age_stanza_check(const struct age_stanza *stanza)
{
    unsigned char share[AGE_KEY_BYTES];
    unsigned work;

    if (age_stanza_is(stanza, "X25519"))
        return x25519_parse(stanza, share);
    if (age_stanza_is(stanza, "scrypt"))
        return scrypt_parse(stanza, share, &work);
    return 0;
}

int
age_stanza_unwrap(const struct age_stanza *stanza, const struct age_identity *identity,
                  struct age_file_key *ret_file_key)
{
    AGE_WIPED_KEY key;
    AGE_WIPED_FILE_KEY file_key;
    unsigned char wrapped[AGE_WRAPPED_KEY_BYTES];
    int rc;

    if (!age_stanza_is(stanza, identity->is_passphrase ? "scrypt" : "X25519"))
        return PGCASK_NOT_FOUND;
    if (identity->is_passphrase)
        rc = scrypt_unwrap_key(stanza, identity, &key);
    else
        rc = x25519_unwrap_key(stanza, identity, &key);
    if (rc < 0)
        return rc;
    if (!age_base64_decode(stanza->body, stanza->body_len, wrapped, sizeof wrapped))
        return PGCASK_NOT_FOUND; /* parsing has seen to it that this does not happen */
    rc = age_crypto_unwrap(&key, wrapped, &file_key);
    if (rc < 0)
        return rc == ERROR_CORRUPT ? PGCASK_NOT_FOUND : rc;
    *ret_file_key = file_key;
    return 0;
}
