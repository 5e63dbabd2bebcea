/* SPDX-License-Identifier: PostgreSQL
 *
 * Three bytes are four characters; one or two bytes left over are two or three
 * characters, whose spare bits must be zero.
 */
#include "config.h"

#include "stage/age-base64.h"

#include <stdint.h>

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int
base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

void
age_base64_encode(const void *data, size_t size, char *ret_text)
{
    const uint8_t *in = data;
    uint32_t held = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < size; i++) {
        held = held << 8 | in[i];
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            *ret_text++ = base64_digits[held >> bits & 63];
        }
    }
    if (bits > 0)
        *ret_text++ = base64_digits[held << (6 - bits) & 63];
    *ret_text = '\0';
}

bool
age_base64_valid(const char *text, size_t len)
{
    static const int spare_bits[] = { 0, 0, 15, 3 }; /* by the number of characters in the last group */
    size_t rest = len % 4;

    if (rest == 1)
        return false;
    for (size_t i = 0; i < len; i++)
        if (base64_value(text[i]) < 0)
            return false;
    return rest == 0 || (base64_value(text[len - 1]) & spare_bits[rest]) == 0;
}

bool
age_base64_decode(const char *text, size_t len, void *ret_data, size_t size)
{
    uint8_t *out = ret_data;
    uint32_t held = 0;
    unsigned bits = 0;

    if (len != AGE_BASE64_CHARS(size) || !age_base64_valid(text, len))
        return false;
    for (size_t i = 0; i < len; i++) {
        held = held << 6 | (uint32_t)base64_value(text[i]);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (uint8_t)(held >> bits);
        }
    }
    return true;
}
