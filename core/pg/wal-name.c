/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/wal-name.h"

#include "base/error.h"
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { WORD_CHARS = 8, LOG_BITS = 32 };

static const struct {
    const char *suffix; /* behind the words */
    unsigned words;     /* of eight digits each, all in front but the offset of a label */
} files[] = {
    [WAL_SEGMENT] = { "", 3 },
    [WAL_PARTIAL] = { ".partial", 3 },
    [WAL_LABEL] = { ".backup", 3 },
    [WAL_HISTORY] = { ".history", 1 },
};

/* -1: not upper case hexadecimal */
static int
wal_digit(char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

/* Exactly eight digits; moves behind them. */
static bool
wal_word(const char **text, uint32_t *ret_word)
{
    uint32_t word = 0;

    for (unsigned i = 0; i < WORD_CHARS; i++) {
        int digit = wal_digit((*text)[i]);

        if (digit < 0)
            return false;
        word = word << 4 | (uint32_t)digit;
    }
    *text += WORD_CHARS;
    *ret_word = word;
    return true;
}

static bool
wal_name_is(enum wal_file file, const char *text, struct wal_name *name)
{
    *name = (struct wal_name){ .file = file };
    if (!wal_word(&text, &name->timeline) || name->timeline == 0)
        return false;
    if (files[file].words > 1 && (!wal_word(&text, &name->log) || !wal_word(&text, &name->piece)))
        return false;
    if (file == WAL_LABEL && (*text++ != '.' || !wal_word(&text, &name->offset)))
        return false;
    return strcmp(text, files[file].suffix) == 0;
}

int
wal_name_parse(const char *name, struct wal_name *ret_name)
{
    for (unsigned file = 0; file < ARRAY_LEN(files); file++) {
        struct wal_name parsed;

        if (wal_name_is(file, name, &parsed)) {
            *ret_name = parsed;
            return 0;
        }
    }
    return error_set(ERROR_USAGE,
                     "'%s' is not the name of a WAL file (wanted: one like 000000010000000000000001, "
                     "or such a one with .partial or .00000028.backup, or 00000002.history)",
                     name);
}

char *
wal_name_text(const struct wal_name *name)
{
    if (name->file == WAL_HISTORY)
        return mem_printf("%08" PRIX32 "%s", name->timeline, files[name->file].suffix);
    if (name->file == WAL_LABEL)
        return mem_printf("%08" PRIX32 "%08" PRIX32 "%08" PRIX32 ".%08" PRIX32 "%s", name->timeline, name->log,
                          name->piece, name->offset, files[name->file].suffix);
    return mem_printf("%08" PRIX32 "%08" PRIX32 "%08" PRIX32 "%s", name->timeline, name->log, name->piece,
                      files[name->file].suffix);
}

bool
wal_segment_size_is_valid(uint64_t segment_bytes)
{
    return segment_bytes >= WAL_SEGMENT_MIN_BYTES && segment_bytes <= WAL_SEGMENT_MAX_BYTES &&
           (segment_bytes & (segment_bytes - 1)) == 0;
}

/* How many there are for one value of the first half: 4 GiB of log. */
static uint64_t
wal_pieces(uint32_t segment_bytes)
{
    assert(wal_segment_size_is_valid(segment_bytes));
    return (UINT64_C(1) << LOG_BITS) / segment_bytes;
}

uint64_t
wal_segment_number(const struct wal_name *name, uint32_t segment_bytes)
{
    return name->log * wal_pieces(segment_bytes) + name->piece;
}

int
wal_segment_check(const struct wal_name *name, uint32_t segment_bytes)
{
    CLEANUP_FREE char *text = NULL;

    if (name->piece < wal_pieces(segment_bytes))
        return 0;
    text = wal_name_text(name);
    return error_set(ERROR_CORRUPT,
                     "'%s' cannot be a segment of %" PRIu32 " bytes (its last eight digits: at most %08" PRIX64 ")",
                     text, segment_bytes, wal_pieces(segment_bytes) - 1);
}

struct wal_name
wal_segment_at(uint32_t timeline, uint64_t number, uint32_t segment_bytes)
{
    uint64_t pieces = wal_pieces(segment_bytes);

    return (struct wal_name){
        .file = WAL_SEGMENT,
        .timeline = timeline,
        .log = (uint32_t)(number / pieces),
        .piece = (uint32_t)(number % pieces),
    };
}

/* One to eight hexadecimal digits of either case; moves behind them. */
static bool
wal_lsn_half(const char **text, uint32_t *ret_half)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    size_t len = strspn(*text, digits);
    uint32_t half = 0;

    if (len == 0 || len > WORD_CHARS)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned at = (unsigned)(strchr(digits, (*text)[i]) - digits);

        half = half << 4 | (at < 16 ? at : at - 6);
    }
    *text += len;
    *ret_half = half;
    return true;
}

int
wal_lsn_parse(const char *text, uint64_t *ret_lsn)
{
    const char *at = text;
    uint32_t high, low;

    if (!wal_lsn_half(&at, &high) || *at++ != '/' || !wal_lsn_half(&at, &low) || *at != '\0')
        return error_set(ERROR_USAGE, "'%s' is not a position in the write-ahead log (wanted: one like 1A/FF000028)",
                         text);
    *ret_lsn = (uint64_t)high << 32 | low;
    return 0;
}

char *
wal_lsn_text(uint64_t lsn)
{
    return mem_printf("%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32), (uint32_t)lsn);
}
