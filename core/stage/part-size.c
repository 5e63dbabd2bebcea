/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/part-size.h"

enum { PART_STEPS = 10, PART_UNIT = 1 << 20 /* enlarged ones are multiples of this */ };
static const uint64_t part_ceiling = UINT64_C(1) << 30; /* it is held in memory */

/* One being filled for each object, one for each sender, and one between. Many senders are for a far line: they are all
 * busy when something has been filled for each of them, so there they have to share. */
unsigned
part_count(unsigned objects, unsigned widest)
{
    if (widest < 4)
        return objects + widest + 1;
    return objects + 2 > widest + 1 ? objects + 2 : widest + 1;
}

uint64_t
part_size_base(uint64_t preferred, uint64_t most, uint32_t limit, uint64_t size_hint)
{
    uint64_t size = size_hint / 4 / (limit - limit / PART_STEPS);

    if (most > part_ceiling)
        most = part_ceiling;
    if (size <= preferred)
        return preferred;
    size += PART_UNIT - size % PART_UNIT;
    return size < most ? size : most;
}

uint64_t
part_size_at(uint64_t base, uint64_t most, uint32_t limit, uint32_t number)
{
    uint32_t step = limit < PART_STEPS ? 1 : limit / PART_STEPS;
    uint64_t size = base;

    for (uint32_t used = step > 1 ? limit / 2 : 1; number > used && size <= most / 2; used += step)
        size *= 2;
    return size;
}
