/* SPDX-License-Identifier: PostgreSQL
 *
 * Sets of segments, and what the files of an archive make of them.
 */
#include "config.h"

#include "catalog/wal-range.h"

#include "base/error.h"
#include "base/mem.h"
#include "catalog/label.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct wal_ranges_row {
    uint32_t timeline;
    uint64_t number;
    bool partial;
    char digest[LABEL_DIGEST_CHARS + 1];
};

void
wal_range_put(struct wal_range_set *set, uint32_t timeline, uint64_t first, uint64_t last)
{
    assert(first <= last);
    MEM_GROW(set->items, set->len, set->cap);
    set->items[set->len++] = (struct wal_range){ timeline, first, last };
}

static int
range_compare(const void *a, const void *b)
{
    const struct wal_range *x = a, *y = b;

    if (x->timeline != y->timeline)
        return x->timeline < y->timeline ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

void
wal_range_set_join(struct wal_range_set *set)
{
    size_t kept = 0;

    if (set->len == 0)
        return;
    qsort(set->items, set->len, sizeof *set->items, range_compare);
    for (size_t i = 1; i < set->len; i++) {
        struct wal_range *last = &set->items[kept], *next = &set->items[i];

        if (last->timeline == next->timeline && (next->first <= last->last || next->first - last->last == 1))
            last->last = next->last > last->last ? next->last : last->last;
        else
            set->items[++kept] = *next;
    }
    set->len = kept + 1;
}

const struct wal_range *
wal_range_from(const struct wal_range_set *set, uint32_t timeline, uint64_t number)
{
    size_t low = 0, high = set->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct wal_range *range = &set->items[middle];

        if (range->timeline < timeline || (range->timeline == timeline && range->last < number))
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->len && set->items[low].timeline == timeline ? &set->items[low] : NULL;
}

const struct wal_range *
wal_range_find(const struct wal_range_set *set, uint32_t timeline, uint64_t number)
{
    const struct wal_range *range = wal_range_from(set, timeline, number);

    return range != NULL && range->first <= number ? range : NULL;
}

void
wal_range_set_free(struct wal_range_set *set)
{
    free(set->items);
    *set = (struct wal_range_set){ 0 };
}

void
cleanup_wal_range_set(struct wal_range_set *set)
{
    wal_range_set_free(set);
}

/* From files to ranges. */

void
wal_ranges_begin(struct wal_ranges *ranges, uint32_t segment_bytes)
{
    assert(wal_segment_size_is_valid(segment_bytes));
    *ranges = (struct wal_ranges){ .segment_bytes = segment_bytes };
}

int
wal_ranges_add(struct wal_ranges *ranges, const struct wal_name *name, const char *digest)
{
    struct wal_ranges_row *row;
    int rc;

    if (name->file != WAL_SEGMENT && name->file != WAL_PARTIAL)
        return 0;
    rc = wal_segment_check(name, ranges->segment_bytes);
    if (rc < 0)
        return rc;
    MEM_GROW(ranges->rows, ranges->len, ranges->cap);
    row = &ranges->rows[ranges->len++];
    *row = (struct wal_ranges_row){ .timeline = name->timeline, .partial = name->file == WAL_PARTIAL };
    row->number = wal_segment_number(name, ranges->segment_bytes);
    memcpy(row->digest, digest, strnlen(digest, LABEL_DIGEST_CHARS));
    return 0;
}

/* Whole ones before the .partial of the same segment. */
static int
row_compare(const void *a, const void *b)
{
    const struct wal_ranges_row *x = a, *y = b;

    if (x->timeline != y->timeline)
        return x->timeline < y->timeline ? -1 : 1;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    if (x->partial != y->partial)
        return x->partial ? 1 : -1;
    return strcmp(x->digest, y->digest);
}

void
wal_ranges_end(struct wal_ranges *ranges)
{
    const struct wal_ranges_row *rows = ranges->rows;
    size_t next;

    if (ranges->len > 0)
        qsort(ranges->rows, ranges->len, sizeof *rows, row_compare);
    for (size_t i = 0; i < ranges->len; i = next) {
        struct wal_range_set *set = rows[i].partial ? &ranges->partial : &ranges->whole;

        for (next = i + 1;
             next < ranges->len && rows[next].timeline == rows[i].timeline && rows[next].number == rows[i].number;
             next++)
            if (!rows[next].partial && strcmp(rows[next].digest, rows[i].digest) != 0)
                set = &ranges->disputed;
        wal_range_put(set, rows[i].timeline, rows[i].number, rows[i].number);
    }
    wal_range_set_join(&ranges->whole);
    wal_range_set_join(&ranges->disputed);
    wal_range_set_join(&ranges->partial);
    free(ranges->rows);
    ranges->rows = NULL;
    ranges->len = ranges->cap = 0;
}

void
wal_ranges_free(struct wal_ranges *ranges)
{
    free(ranges->rows);
    wal_range_set_free(&ranges->whole);
    wal_range_set_free(&ranges->disputed);
    wal_range_set_free(&ranges->partial);
    *ranges = (struct wal_ranges){ 0 };
}

void
cleanup_wal_ranges(struct wal_ranges *ranges)
{
    wal_ranges_free(ranges);
}
