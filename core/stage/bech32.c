/* SPDX-License-Identifier: PostgreSQL
 *
 * A bech32 text is prefix, '1', then five bits a character; the last six
 * characters are a BCH checksum over the prefix and what is before them. It
 * finds up to four wrong characters for sure.
 */
#include "config.h"

#include "stage/bech32.h"

#include "base/error.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BECH32_CHECKSUM_CHARS = 6 };

static const char bech32_digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static uint32_t
bech32_step(uint32_t sum, unsigned value)
{
    static const uint32_t generator[] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3 };
    uint32_t top = sum >> 25;

    sum = (sum & 0x1ffffff) << 5 ^ value;
    for (unsigned i = 0; i < 5; i++)
        if (top >> i & 1)
            sum ^= generator[i];
    return sum;
}

static uint32_t
bech32_sum(const char *prefix, size_t prefix_len, const uint8_t *groups, size_t count)
{
    uint32_t sum = 1;

    for (size_t i = 0; i < prefix_len; i++)
        sum = bech32_step(sum, (unsigned)tolower((unsigned char)prefix[i]) >> 5);
    sum = bech32_step(sum, 0);
    for (size_t i = 0; i < prefix_len; i++)
        sum = bech32_step(sum, (unsigned)tolower((unsigned char)prefix[i]) & 31);
    for (size_t i = 0; i < count; i++)
        sum = bech32_step(sum, groups[i]);
    return sum;
}

/* Eight bits to five; what is missing in the last group is zero. */
static size_t
bech32_spread(const uint8_t *data, size_t size, uint8_t *groups)
{
    unsigned held = 0;
    unsigned bits = 0;
    size_t count = 0;

    for (size_t i = 0; i < size; i++) {
        held = held << 8 | data[i];
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            groups[count++] = held >> bits & 31;
        }
    }
    if (bits > 0)
        groups[count++] = (held << (5 - bits)) & 31;
    return count;
}

/* Five bits to eight; false unless that makes `size` bytes and the bits left over are few and zero. */
static bool
bech32_gather(const uint8_t *groups, size_t count, uint8_t *data, size_t size)
{
    unsigned held = 0;
    unsigned bits = 0;
    size_t len = 0;

    if (count * 5 / 8 != size || count * 5 % 8 >= 5)
        return false;
    for (size_t i = 0; i < count; i++) {
        held = held << 5 | groups[i];
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            data[len++] = (uint8_t)(held >> bits);
        }
    }
    return (held & ((1U << bits) - 1)) == 0;
}

void
bech32_encode(const char *prefix, const void *data, size_t size, char ret_text[BECH32_TEXT_BYTES])
{
    size_t len = strlen(prefix);
    bool upper = isupper((unsigned char)prefix[0]) != 0;
    uint8_t groups[BECH32_TEXT_BYTES];
    size_t count;
    uint32_t sum;

    assert(len + 1 + (size * 8 + 4) / 5 + BECH32_CHECKSUM_CHARS < BECH32_TEXT_BYTES);
    count = bech32_spread(data, size, groups);
    memset(groups + count, 0, BECH32_CHECKSUM_CHARS);
    sum = bech32_sum(prefix, len, groups, count + BECH32_CHECKSUM_CHARS) ^ 1;
    for (unsigned i = 0; i < BECH32_CHECKSUM_CHARS; i++)
        groups[count++] = sum >> (5 * (BECH32_CHECKSUM_CHARS - 1 - i)) & 31;
    memcpy(ret_text, prefix, len);
    ret_text[len++] = '1';
    for (size_t i = 0; i < count; i++) {
        char digit = bech32_digits[groups[i]];

        ret_text[len++] = upper ? (char)toupper((unsigned char)digit) : digit;
    }
    ret_text[len] = '\0';
    explicit_bzero(groups, sizeof groups);
}

/* The characters behind the '1' as five-bit values; `start` is where they stand in the text, for messages. */
static int
bech32_read_digits(const char *digits, size_t count, bool upper, size_t start, uint8_t *groups)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)digits[i];
        const char *found;

        if (upper ? islower(c) : isupper(c))
            return error_set(ERROR_USAGE, "character %zu changes between lower and upper case", start + i + 1);
        found = memchr(bech32_digits, tolower(c), sizeof bech32_digits - 1);
        if (found == NULL)
            return error_set(ERROR_USAGE, "character %zu cannot be in a key", start + i + 1);
        groups[i] = (uint8_t)(found - bech32_digits);
    }
    return 0;
}

static int
bech32_decode_groups(const char *text, const char *prefix, uint8_t *groups, void *ret_data, size_t size)
{
    size_t len = strlen(text);
    size_t prefix_len = strlen(prefix);
    uint8_t data[BECH32_TEXT_BYTES];
    const char *one = strrchr(text, '1');
    size_t count;
    bool fits;
    int rc;

    if (len >= BECH32_TEXT_BYTES)
        return error_set(ERROR_USAGE, "a key of %zu characters is too long (wanted: at most %d)", len,
                         BECH32_TEXT_BYTES - 1);
    if (one == NULL || (size_t)(one - text) != prefix_len || memcmp(text, prefix, prefix_len) != 0)
        return error_set(ERROR_USAGE, "a key of this kind begins with '%s1'", prefix);
    count = len - prefix_len - 1;
    rc = bech32_read_digits(one + 1, count, isupper((unsigned char)prefix[0]) != 0, prefix_len + 1, groups);
    if (rc < 0)
        return rc;
    if (count < BECH32_CHECKSUM_CHARS || bech32_sum(prefix, prefix_len, groups, count) != 1)
        return error_set(ERROR_USAGE, "the checksum is wrong: a character is missing or mistyped");
    fits = bech32_gather(groups, count - BECH32_CHECKSUM_CHARS, data, size);
    if (fits)
        memcpy(ret_data, data, size);
    explicit_bzero(data, sizeof data);
    return fits ? 0 : error_set(ERROR_USAGE, "the key does not hold exactly %zu bytes", size);
}

int
bech32_decode(const char *text, const char *prefix, void *ret_data, size_t size)
{
    uint8_t groups[BECH32_TEXT_BYTES];
    int rc = bech32_decode_groups(text, prefix, groups, ret_data, size);

    explicit_bzero(groups, sizeof groups);
    return rc;
}
