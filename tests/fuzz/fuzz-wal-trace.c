/* SPDX-License-Identifier: PostgreSQL
 *
 * Any lines as those of pg_waldump, and what a search makes of them: for a table that is known, one that is dropped, and
 * one that only has a name; told by servers that name dropped tables, and by older ones.
 */
#include "config.h"

#include "base/mem.h"
#include "pipeline/wal-search.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    const struct wal_search_table *table;
    struct wal_trace_commit *commits;
    size_t len, cap;
};

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
take(void *ctx, struct wal_trace_commit *commit)
{
    struct seen *seen = ctx;

    must(seen->len == 0 || seen->commits[seen->len - 1].lsn < commit->lsn);
    if (!wal_search_wants(seen->table, commit))
        return;
    MEM_GROW(seen->commits, seen->len, seen->cap);
    seen->commits[seen->len++] = *commit;
    *commit = (struct wal_trace_commit){ 0 };
}

static void
search(const struct wal_search_table *table, const char *text)
{
    struct seen seen = { .table = table };
    CLEANUP(wal_trace_free) struct wal_trace *trace = wal_trace_new(table->database, take, &seen);
    CLEANUP_WAL_SEARCH struct wal_search found = { .table = *table, .exists = table->node != 0 };

    while (*text != '\0') {
        CLEANUP_FREE char *line = mem_strndup(text, strcspn(text, "\n"));

        wal_trace_line(trace, line);
        text += strlen(line);
        text += *text == '\n';
    }
    wal_search_find(table, seen.commits, seen.len, &found);
    for (size_t i = 1; i < found.len; i++)
        must(found.findings[i - 1].lsn <= found.findings[i].lsn);
    for (size_t i = 0; i < found.len; i++)
        must(found.findings[i].oids.len <= WAL_SEARCH_OIDS_MAX);
    for (size_t i = 0; i < seen.len; i++)
        wal_trace_commit_free(&seen.commits[i]);
    free(seen.commits);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct wal_search_table tables[] = {
        { 5, 16395, 16402, 15, 1 }, { 5, 16395, 0, 15, 1 }, { 5, 16395, 0, 13, 1 },
        { 5, 0, 0, 15, 1 },         { 5, 0, 0, 13, 1 },     { 0, 0, 0, 15, 1 },
    };
    CLEANUP_FREE char *text = mem_strndup((const char *)data, size);

    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        search(&tables[i], text);
    return 0;
}
