/* SPDX-License-Identifier: PostgreSQL
 *
 * How large the parts of an object are, and how many there may be in memory: pure arithmetic. All sizes in bytes.
 */
#ifndef PGCASK_STAGE_PART_SIZE_H
#define PGCASK_STAGE_PART_SIZE_H

#include <stdint.h>

/* Parts for `objects` written at the same time to stores of which the widest has so many senders. */
unsigned part_count(unsigned objects, unsigned widest);
/* Of an object's first parts: `preferred`, or more when a quarter of the hint would not fit into nine tenths of `limit`
 * parts. What compresses badly has the growth. */
uint64_t part_size_base(uint64_t preferred, uint64_t most, uint32_t limit, uint64_t size_hint);
/* Of part `number` (from 1): behind half of `limit` the size doubles with each tenth of it, up to `most`. */
uint64_t part_size_at(uint64_t base, uint64_t most, uint32_t limit, uint32_t number);

#endif
