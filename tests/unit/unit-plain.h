/* SPDX-License-Identifier: PostgreSQL
 *
 * For tests of plugins/common, which has the core's names for scoped cleanup: from here on they mean plain.h's.
 */
#ifndef PGCASK_TESTS_UNIT_PLAIN_H
#define PGCASK_TESTS_UNIT_PLAIN_H

#include "base/error.h"
#include "base/mem.h"
#include "unit-dir.h"
#include "unit-talk.h"
#include "unit.h"

#undef CLEANUP_FREE
#undef CLEANUP_FD
#undef CLEANUP_DEFINE
#undef CLEANUP
#undef STEAL
#undef ARRAY_LEN

#include "common/plain.h"

#endif
