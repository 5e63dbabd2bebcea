/* SPDX-License-Identifier: PostgreSQL
 *
 * The grammar, line by line; all is foreign bytes until the MAC is checked:
 *
 *   age-encryption.org/v1
 *   -> ARGUMENT ARGUMENT …       one stanza or more
 *   base64, 64 characters        as often as needed
 *   base64, 0 to 63 characters   the end of the stanza
 *   --- base64 of the MAC        of all before, with the "---"
 */
#include "config.h"

#include "stage/age-header.h"

#include "base/error.h"
#include "stage/age-base64.h"
#include "stage/age-file.h"
#include "stage/age-stanza.h"

#include <openssl/crypto.h>
#include <string.h>

enum { HEADER_COLUMNS = 64 };

#define HEADER_VERSION_START "age-encryption.org/"
#define HEADER_VERSION_LINE HEADER_VERSION_START "v1"
#define HEADER_ARMOR_START "-----BEGIN AGE"

/* Where a reader of lines stands. */
struct header_reader {
    const char *data;
    size_t len; /* at most AGE_HEADER_LIMIT_BYTES */
    size_t at;
};

struct header_line {
    const char *text;
    size_t len; /* without the newline */
};

/* ---- reading ---- */

/* The bytes ended before the header did. */
static int
header_incomplete(const struct header_reader *reader)
{
    if (reader->len == AGE_HEADER_LIMIT_BYTES)
        return error_set(ERROR_CORRUPT, "the age header is longer than %d bytes", AGE_HEADER_LIMIT_BYTES);
    return error_set(PGCASK_RETRY, "the age header does not end within %zu bytes", reader->len);
}

static int
header_next_line(struct header_reader *reader, struct header_line *ret_line)
{
    const char *start = reader->data + reader->at;
    size_t rest = reader->len - reader->at;
    const char *newline = rest > 0 ? memchr(start, '\n', rest) : NULL;
    size_t len = newline ? (size_t)(newline - start) : rest;

    for (size_t i = 0; i < len; i++)
        if (start[i] < 0x20 || start[i] > 0x7e)
            return error_set(ERROR_CORRUPT, "the age header has the byte 0x%02x at offset %zu", (unsigned char)start[i],
                             reader->at + i);
    if (newline == NULL)
        return header_incomplete(reader);
    *ret_line = (struct header_line){ start, len };
    reader->at += len + 1;
    return 0;
}

static bool
header_line_begins(const struct header_line *line, const char *prefix)
{
    return line->len >= strlen(prefix) && memcmp(line->text, prefix, strlen(prefix)) == 0;
}

/* Tells what is no age file at its first bytes, so that nobody reads on in a database dump for a newline. */
static int
header_read_version(struct header_reader *reader)
{
    size_t known = strlen(HEADER_VERSION_START) < reader->len ? strlen(HEADER_VERSION_START) : reader->len;
    struct header_line line;
    int rc;

    if (reader->len >= strlen(HEADER_ARMOR_START)
        && memcmp(reader->data, HEADER_ARMOR_START, strlen(HEADER_ARMOR_START)) == 0) {
        (void)error_set(ERROR_CORRUPT, "this is an age file in ASCII armor (wanted: the binary form)");
        return error_hint(ERROR_CORRUPT, "drop the lines with BEGIN and END and decode the rest with 'base64 -d'");
    }
    if (known == 0 || (known < strlen(HEADER_ARMOR_START) && memcmp(reader->data, HEADER_ARMOR_START, known) == 0))
        return header_incomplete(reader);
    if (memcmp(reader->data, HEADER_VERSION_START, known) != 0)
        return error_set(ERROR_CORRUPT, "this is no age file: it does not begin with '" HEADER_VERSION_LINE "'");
    rc = header_next_line(reader, &line);
    if (rc < 0)
        return rc;
    if (line.len != strlen(HEADER_VERSION_LINE) || !header_line_begins(&line, HEADER_VERSION_LINE))
        return error_set(ERROR_CORRUPT, "the age file is of version '%.*s' (wanted: 'v1')",
                         line.len - known > 40 ? 40 : (int)(line.len - known), line.text + known);
    return 0;
}

/* One or more arguments of visible characters, a single blank between them. */
static int
header_check_args(const char *args, size_t len, size_t offset)
{
    for (size_t i = 0; i <= len; i++)
        if ((i == len || args[i] == ' ') && (i == 0 || args[i - 1] == ' '))
            return error_set(ERROR_CORRUPT, "the age stanza at offset %zu has an empty argument", offset);
    return 0;
}

/* The stanza that begins with `first`. */
static int
header_read_stanza(struct header_reader *reader, const struct header_line *first, struct age_stanza *ret_stanza)
{
    size_t offset = (size_t)(first->text - reader->data);
    struct age_stanza stanza = { .args = first->text + 3, .args_len = first->len - 3 };
    struct header_line line;
    int rc = header_check_args(stanza.args, stanza.args_len, offset);

    if (rc < 0)
        return rc;
    stanza.body = reader->data + reader->at;
    do {
        rc = header_next_line(reader, &line);
        if (rc < 0)
            return rc;
        if (line.len > HEADER_COLUMNS || !age_base64_valid(line.text, line.len))
            return error_set(ERROR_CORRUPT,
                             "the age stanza at offset %zu is not base64 in lines of %d that ends with a shorter one",
                             offset, HEADER_COLUMNS);
    } while (line.len == HEADER_COLUMNS);
    stanza.body_len = (size_t)(line.text + line.len - stanza.body);
    rc = age_stanza_check(&stanza);
    if (rc == 0)
        *ret_stanza = stanza;
    return rc;
}

/* 0 and the next stanza, 1 and the line of the MAC, or an error. */
static int
header_next(struct header_reader *reader, struct age_stanza *ret_stanza, struct header_line *ret_mac)
{
    size_t offset = reader->at;
    struct header_line line;
    int rc = header_next_line(reader, &line);

    if (rc < 0)
        return rc;
    if (header_line_begins(&line, "-> "))
        return header_read_stanza(reader, &line, ret_stanza);
    if (!header_line_begins(&line, "---"))
        return error_set(ERROR_CORRUPT, "the age header has neither a stanza nor its MAC at offset %zu", offset);
    *ret_mac = line;
    return 1;
}

int
age_header_parse(const void *data, size_t len, struct age_header *ret_header)
{
    struct header_reader reader = { data, len < AGE_HEADER_LIMIT_BYTES ? len : AGE_HEADER_LIMIT_BYTES, 0 };
    struct age_header header = { .text = data };
    struct age_stanza stanza;
    struct header_line mac;
    size_t stanzas = 0;
    bool scrypt = false;
    int rc = header_read_version(&reader);

    while (rc == 0) {
        rc = header_next(&reader, &stanza, &mac);
        if (rc == 0) {
            stanzas++;
            scrypt = scrypt || age_stanza_is(&stanza, "scrypt");
        }
    }
    if (rc < 0)
        return rc;
    if (stanzas == 0)
        return error_set(ERROR_CORRUPT, "the age header has no stanza");
    if (scrypt && stanzas > 1)
        return error_set(ERROR_CORRUPT, "the age header has a scrypt stanza among %zu (wanted: alone)", stanzas);
    if (!header_line_begins(&mac, "--- ") || !age_base64_decode(mac.text + 4, mac.len - 4, header.mac, AGE_MAC_BYTES))
        return error_set(ERROR_CORRUPT, "the MAC of the age header is not base64 of %d bytes", AGE_MAC_BYTES);
    header.len = reader.at;
    header.mac_at = (size_t)(mac.text - header.text) + 3;
    *ret_header = header;
    return 0;
}

int
age_header_length(const void *data, size_t len, size_t *ret_len)
{
    struct age_header header;
    int rc = age_header_parse(data, len, &header);

    if (rc == 0)
        *ret_len = header.len;
    return rc;
}

/* ---- writing ---- */

int
age_header_mac(const void *header, size_t len, const struct age_file_key *file_key,
               unsigned char ret_mac[AGE_MAC_BYTES])
{
    AGE_WIPED_KEY key;
    int rc = age_crypto_hkdf(file_key->bytes, sizeof file_key->bytes, NULL, 0, "header", &key);

    return rc < 0 ? rc : age_crypto_hmac(&key, header, len, ret_mac);
}

static int
header_add_stanzas(const struct age_recipients *recipients, const struct age_file_key *file_key, struct buf *header)
{
    const struct secret *passphrase = age_recipients_passphrase(recipients);
    const struct age_recipient *recipient = age_recipients_get(recipients, 0);
    int rc = 0;

    if (passphrase != NULL)
        return age_stanza_wrap_scrypt(passphrase, file_key, header);
    for (size_t i = 1; rc == 0 && recipient != NULL; i++) {
        rc = age_stanza_wrap_x25519(recipient, file_key, header);
        recipient = age_recipients_get(recipients, i);
    }
    return rc;
}

int
age_header_build(const struct age_recipients *recipients, const struct age_file_key *file_key, struct buf *header)
{
    unsigned char mac[AGE_MAC_BYTES];
    char mac_text[AGE_BASE64_CHARS(sizeof mac) + 1];
    int rc;

    if (age_recipients_empty(recipients))
        return error_set(ERROR_USAGE, "there is nobody to encrypt for: no recipient and no passphrase was given");
    rc = buf_adds(header, HEADER_VERSION_LINE "\n");
    if (rc == 0)
        rc = header_add_stanzas(recipients, file_key, header);
    if (rc == 0)
        rc = buf_adds(header, "---");
    if (rc == 0)
        rc = age_header_mac(header->data, header->len, file_key, mac);
    if (rc < 0)
        return rc;
    age_base64_encode(mac, sizeof mac, mac_text);
    return buf_addf(header, " %s\n", mac_text);
}

/* ---- unlocking ---- */

/* For whom the file is not. */
static int
header_nobody(const struct age_identities *identities)
{
    CLEANUP_STRV struct strv tried = { 0 };
    CLEANUP_FREE char *texts = NULL;

    age_identities_list(identities, &tried);
    if (tried.len == 0)
        (void)error_set(ERROR_USAGE, "the file is encrypted, and no identity or passphrase was given");
    else {
        texts = strv_join(&tried, ", ");
        (void)error_set(ERROR_USAGE, "none of our keys opens the file (tried: %s)", texts);
    }
    return error_hint(ERROR_USAGE, "set identity_file (or passphrase) in [pgcask], or name the key with --identity");
}

/* PGCASK_NOT_FOUND when none of the identities opens this stanza. */
static int
header_try_stanza(const struct age_stanza *stanza, const struct age_identities *identities,
                  struct age_file_key *ret_file_key)
{
    const struct age_identity *identity = age_identities_get(identities, 0);
    int rc = PGCASK_NOT_FOUND;

    for (size_t i = 1; rc == PGCASK_NOT_FOUND && identity != NULL; i++) {
        rc = age_stanza_unwrap(stanza, identity, ret_file_key);
        identity = age_identities_get(identities, i);
    }
    return rc;
}

/* The first stanza that opens. All was parsed before, so reading on can only end at the MAC. */
static int
header_find_key(const struct age_header *header, const struct age_identities *identities,
                struct age_file_key *ret_file_key)
{
    struct header_reader reader = { header->text, header->len, 0 };
    struct age_stanza stanza;
    struct header_line mac;
    int rc = header_read_version(&reader);

    while (rc == 0) {
        rc = header_next(&reader, &stanza, &mac);
        if (rc != 0)
            break;
        rc = header_try_stanza(&stanza, identities, ret_file_key);
        if (rc != PGCASK_NOT_FOUND)
            return rc;
        rc = 0;
    }
    return rc < 0 ? rc : header_nobody(identities);
}

int
age_header_unlock(const struct age_header *header, const struct age_identities *identities,
                  struct age_file_key *ret_file_key)
{
    AGE_WIPED_FILE_KEY file_key;
    unsigned char mac[AGE_MAC_BYTES];
    int rc = header_find_key(header, identities, &file_key);

    if (rc == 0)
        rc = age_header_mac(header->text, header->mac_at, &file_key, mac);
    if (rc < 0)
        return rc;
    if (CRYPTO_memcmp(mac, header->mac, sizeof mac) != 0)
        return error_set(ERROR_CORRUPT, "the age header was changed: its MAC is wrong");
    *ret_file_key = file_key;
    return 0;
}
