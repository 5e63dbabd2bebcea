/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int
parse_int64(const char *text, int64_t *ret_value)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || isspace((unsigned char)*text))
        return error_set(PGCASK_FAILED, "'%s' is not a whole number", text);
    *ret_value = value;
    return 0;
}

int
parse_bool(const char *text, bool *ret_value)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(text, words[i]) == 0) {
            *ret_value = i % 2 == 1;
            return 0;
        }
    return error_set(PGCASK_FAILED, "'%s' is neither yes nor no", text);
}

struct unit {
    const char *name;
    int64_t factor;
};

/* A non-negative decimal number with an optional fraction and one of `units` behind it. */
static int
parse_with_unit(const char *text, const struct unit *units, size_t count, int64_t *ret_value)
{
    char *end;
    double value;

    if (!isdigit((unsigned char)*text))
        return -1;
    errno = 0;
    value = strtod(text, &end);
    if (errno != 0 || strcspn(text, "xXeEpP") < (size_t)(end - text))
        return -1;
    end += strspn(end, " ");
    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        value *= (double)units[i].factor;
        if (value > 9e18)
            return -1;
        *ret_value = (int64_t)(value + 0.5);
        return 0;
    }
    return -1;
}

int
parse_size(const char *text, int64_t *ret_bytes)
{
    static const struct unit units[] = {
        { "", 1 },
        { "B", 1 },
        { "kB", 1000 },
        { "MB", 1000000 },
        { "GB", 1000000000 },
        { "TB", 1000000000000 },
        { "KiB", 1LL << 10 },
        { "MiB", 1LL << 20 },
        { "GiB", 1LL << 30 },
        { "TiB", 1LL << 40 },
    };

    if (parse_with_unit(text, units, ARRAY_LEN(units), ret_bytes) < 0)
        return error_set(PGCASK_FAILED, "'%s' is not a size (wanted: a number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB)",
                         text);
    return 0;
}

int
parse_duration(const char *text, int64_t *ret_ms)
{
    static const struct unit units[] = {
        { "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { "w", 604800000 },
    };

    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return 0;
    }
    if (parse_with_unit(text, units, ARRAY_LEN(units), ret_ms) < 0)
        return error_set(PGCASK_FAILED, "'%s' is not a duration (wanted: a number with ms, s, min, h, d or w)", text);
    return 0;
}

int
parse_hex(const char *text, void *data, size_t size)
{
    unsigned char *out = data;

    if (strlen(text) != 2 * size)
        return error_set(PGCASK_FAILED, "'%s' is not %zu hex digits", text, 2 * size);
    for (size_t i = 0; i < 2 * size; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, text[i]);

        if (digit == NULL)
            return error_set(PGCASK_FAILED, "'%s' is not %zu hex digits", text, 2 * size);
        out[i / 2] = (unsigned char)((i % 2 ? out[i / 2] << 4 : 0) | (digit - digits));
    }
    return 0;
}

char *
format_size(uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1024 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1024;
        unit++;
    }
    return unit == 0 ? mem_printf("%llu B", (unsigned long long)bytes) : mem_printf("%.1f %s", value, units[unit]);
}

char *
format_duration(int64_t ms)
{
    if (ms < 60000)
        return mem_printf("%.1f s", (double)ms / 1000);
    if (ms < 3600000)
        return mem_printf("%lld min %02lld s", (long long)(ms / 60000), (long long)(ms / 1000 % 60));
    return mem_printf("%lld h %02lld min", (long long)(ms / 3600000), (long long)(ms / 60000 % 60));
}

char *
format_hex(const void *data, size_t size)
{
    const unsigned char *in = data;
    char *text = mem_alloc(2 * size + 1);

    for (size_t i = 0; i < size; i++) {
        text[2 * i] = "0123456789abcdef"[in[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[in[i] & 15];
    }
    text[2 * size] = '\0';
    return text;
}

/* Levenshtein distance, for short words. */
static size_t
parse_distance(const char *a, const char *b)
{
    size_t len = strlen(b);
    CLEANUP_FREE size_t *row = mem_realloc_array(NULL, len + 1, sizeof *row);

    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            size_t insert = row[j - 1] + 1;
            size_t delete = row[j] + 1;

            diagonal = row[j];
            row[j] = replace < insert ? replace : insert;
            if (delete < row[j])
                row[j] = delete;
        }
    }
    return row[len];
}

const char *
parse_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t best = strlen(word) / 3 + 2; /* farther than this is no typo */

    if (strlen(word) > 64)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t distance = parse_distance(word, candidates[i]);

        if (distance < best) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
