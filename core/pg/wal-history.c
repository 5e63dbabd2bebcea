/* SPDX-License-Identifier: PostgreSQL
 *
 * A line is "<parent timeline>\t<LSN>\t<reason, for people>"; blank lines and those that begin with '#' mean nothing.
 */
#include "config.h"

#include "pg/wal-history.h"

#include "base/error.h"
#include "pg/wal-name.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LSN_CHARS = 17 };

static void
wal_history_add(struct wal_history *history, uint32_t timeline, uint64_t end_lsn)
{
    MEM_GROW(history->entries, history->len, history->cap);
    history->entries[history->len++] = (struct wal_history_entry){ .timeline = timeline, .end_lsn = end_lsn };
}

static size_t
wal_history_blanks(const char *line, size_t len)
{
    size_t blanks = 0;

    while (blanks < len && (line[blanks] == ' ' || line[blanks] == '\t' || line[blanks] == '\r'))
        blanks++;
    return blanks;
}

/* Decimal; the number of its digits, 0 when there are none or too many. */
static size_t
wal_history_number(const char *line, size_t len, uint32_t *ret_number)
{
    uint64_t number = 0;
    size_t digits = 0;

    while (digits < len && line[digits] >= '0' && line[digits] <= '9') {
        number = number * 10 + (uint64_t)(line[digits++] - '0');
        if (number > UINT32_MAX)
            return 0;
    }
    *ret_number = (uint32_t)number;
    return digits;
}

static size_t
wal_history_word(const char *line, size_t len)
{
    size_t word = 0;

    while (word < len && line[word] != ' ' && line[word] != '\t' && line[word] != '\r')
        word++;
    return word;
}

/* What is behind the two fields is a reason, and none of our business. */
static int
wal_history_line(const char *line, size_t len, struct wal_history_entry *ret_entry)
{
    CLEANUP_FREE char *lsn = NULL;
    size_t at = wal_history_number(line, len, &ret_entry->timeline), blanks, word;

    blanks = at > 0 ? wal_history_blanks(line + at, len - at) : 0;
    if (blanks == 0)
        return ERROR_CORRUPT;
    at += blanks;
    word = wal_history_word(line + at, len - at);
    if (word == 0 || word > LSN_CHARS)
        return ERROR_CORRUPT;
    lsn = mem_strndup(line + at, word);
    return wal_lsn_parse(lsn, &ret_entry->end_lsn) < 0 ? ERROR_CORRUPT : 0;
}

/* Only timelines ascend: recovery may end before the point at which the timeline it followed was left, and the one that
 * begins then names that one as its parent. */
static int
wal_history_take(uint32_t timeline, unsigned number, const char *line, size_t len, struct wal_history *history)
{
    uint32_t before = history->len > 0 ? history->entries[history->len - 1].timeline : 0;
    struct wal_history_entry entry;

    if (wal_history_line(line, len, &entry) < 0)
        return error_set(ERROR_CORRUPT, "history of timeline %" PRIu32 ", line %u: wanted a timeline and an LSN",
                         timeline, number);
    if (entry.timeline <= before || entry.timeline >= timeline)
        return error_set(ERROR_CORRUPT,
                         "history of timeline %" PRIu32 ", line %u: timeline %" PRIu32 " cannot come behind %" PRIu32
                         " and before %" PRIu32,
                         timeline, number, entry.timeline, before, timeline);
    wal_history_add(history, entry.timeline, entry.end_lsn);
    return 0;
}

static int
wal_history_lines(uint32_t timeline, const char *text, size_t len, struct wal_history *history)
{
    const char *end = text + len;
    unsigned number = 0;

    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline != NULL ? newline : end;
        int rc = 0;

        number++;
        text += wal_history_blanks(text, (size_t)(stop - text));
        if (text < stop && *text != '#')
            rc = wal_history_take(timeline, number, text, (size_t)(stop - text), history);
        if (rc < 0)
            return rc;
        text = newline != NULL ? newline + 1 : end;
    }
    return 0;
}

int
wal_history_read(uint32_t timeline, const char *text, size_t len, struct wal_history *ret_history)
{
    CLEANUP_WAL_HISTORY struct wal_history history = { 0 };
    int rc;

    if (text != NULL && len > WAL_HISTORY_LIMIT_BYTES)
        return error_set(ERROR_CORRUPT, "the history of timeline %" PRIu32 " has %zu bytes (at most %d)", timeline, len,
                         WAL_HISTORY_LIMIT_BYTES);
    if (text != NULL && memchr(text, '\0', len) != NULL)
        return error_set(ERROR_CORRUPT, "the history of timeline %" PRIu32 " is no text", timeline);
    rc = text != NULL ? wal_history_lines(timeline, text, len, &history) : 0;
    if (rc < 0)
        return rc;
    if (text != NULL && history.len == 0)
        return error_set(ERROR_CORRUPT, "the history of timeline %" PRIu32 " names none that it comes from", timeline);
    wal_history_add(&history, timeline, UINT64_MAX);
    *ret_history = history;
    history = (struct wal_history){ 0 };
    return 0;
}

void
wal_history_free(struct wal_history *history)
{
    free(history->entries);
    *history = (struct wal_history){ 0 };
}

void
cleanup_wal_history(struct wal_history *history)
{
    wal_history_free(history);
}

/* The newest first, as PostgreSQL looks: one that was left before it began has nothing. */
uint32_t
wal_history_at(const struct wal_history *history, uint64_t lsn)
{
    for (size_t i = history->len; i-- > 0;) {
        uint64_t begin = i > 0 ? history->entries[i - 1].end_lsn : 0;

        if (lsn >= begin && (lsn < history->entries[i].end_lsn || i + 1 == history->len))
            return history->entries[i].timeline;
    }
    return 0;
}
