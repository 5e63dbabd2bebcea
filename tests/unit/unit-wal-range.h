/* SPDX-License-Identifier: PostgreSQL
 *
 * Files of an archive by their state, for the tests of wal-range.
 */
#ifndef PGCASK_TESTS_UNIT_WAL_RANGE_H
#define PGCASK_TESTS_UNIT_WAL_RANGE_H

#include "catalog/wal-range.h"

#include "unit.h"

enum {
    SEGMENT = 1 << 20,
    UNIT = SEGMENT / 4,
};

enum state { ABSENT, WHOLE, DISPUTED, PARTIAL };

#define DIGEST_A "0123456789abcdef0123456789abcdef"
#define DIGEST_B "0123456789abcdef0123456789abcde0"

static void
add(struct wal_ranges *ranges, enum wal_file file, uint32_t timeline, uint64_t number, const char *digest)
{
    struct wal_name name = wal_segment_at(timeline, number, SEGMENT);

    name.file = file;
    ck_assert_int_eq(wal_ranges_add(ranges, &name, digest), 0);
}

static void
add_state(struct wal_ranges *ranges, enum state state, uint32_t timeline, uint64_t number)
{
    if (state == WHOLE || state == DISPUTED)
        add(ranges, WAL_SEGMENT, timeline, number, DIGEST_A);
    if (state == DISPUTED)
        add(ranges, WAL_SEGMENT, timeline, number, DIGEST_B);
    if (state == PARTIAL) {
        add(ranges, WAL_PARTIAL, timeline, number, DIGEST_A);
        add(ranges, WAL_PARTIAL, timeline, number, DIGEST_B);
    }
}

#endif
