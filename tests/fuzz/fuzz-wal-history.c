/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as the history of timeline 9: what is taken ascends, ends with that
 * timeline, and every position is on one of them.
 */
#include "config.h"

#include "base/error.h"
#include "pg/wal-history.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TIMELINE = 9 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static bool
is_one_of(const struct wal_history *history, uint32_t timeline)
{
    for (size_t i = 0; i < history->len; i++)
        if (history->entries[i].timeline == timeline)
            return true;
    return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_WAL_HISTORY struct wal_history history = { .cap = 0 };
    int rc = wal_history_read(TIMELINE, (const char *)data, size, &history);

    must(rc == 0 || (rc == ERROR_CORRUPT && history.len == 0 && error_text()[0] != '\0'));
    if (rc == 0) {
        must(history.len >= 2 && history.entries[history.len - 1].timeline == TIMELINE);
        for (size_t i = 1; i < history.len; i++) {
            must(history.entries[i - 1].timeline < history.entries[i].timeline);
            must(is_one_of(&history, wal_history_at(&history, history.entries[i - 1].end_lsn)));
        }
        must(wal_history_at(&history, UINT64_MAX) == TIMELINE);
    }
    error_clear();
    return 0;
}
