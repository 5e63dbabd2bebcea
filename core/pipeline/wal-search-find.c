/* SPDX-License-Identifier: PostgreSQL
 *
 * From what transactions did to files and OIDs to what became of one table.
 *
 * A table's rows are in a file, which changes when it is truncated or rewritten. The search goes backwards: today's file was
 * made by the last such transaction, which dropped the one before, and so on. Which of the dropped ones it was is told by
 * who made it; where nobody did in the WAL at hand, by the OID (a table's first file has its number) or by the order in
 * which PostgreSQL lists them. A dropped table's own file is the first of the list, for its indexes went before it and the
 * list is read from its end; that of one that is truncated is the last, for it went first.
 */
#include "config.h"

#include "pipeline/wal-search.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION_TELLS_GONE = 15 };

struct trail {
    const struct wal_search_table *table;
    const struct wal_trace_commit *commits;
    size_t count;
    struct wal_search *search;
    uint32_t node; /* the table's file at this point, on the way back; 0: not known */
};

static struct wal_finding *
find_add(struct wal_search *search, enum wal_finding_kind kind, const struct wal_trace_commit *commit)
{
    struct wal_finding *finding;

    MEM_GROW(search->findings, search->len, search->cap);
    finding = &search->findings[search->len++];
    *finding = (struct wal_finding){
        .kind = kind,
        .sure = true,
        .xid = commit->xid,
        .lsn = commit->lsn,
        .time_us = commit->time_us,
    };
    return finding;
}

static const struct wal_trace_file *
commit_made(const struct wal_trace_commit *commit, uint32_t node)
{
    for (size_t i = 0; i < commit->file_len; i++)
        if (commit->files[i].node == node)
            return &commit->files[i];
    return NULL;
}

/* The first file that was made when the table was locked: where several are, those of its indexes follow. */
static const struct wal_trace_file *
commit_made_for(const struct wal_trace_commit *commit, uint32_t oid)
{
    size_t place = 0;

    while (place < commit->locks.len && commit->locks.items[place] != oid)
        place++;
    for (size_t i = 0; i < commit->file_len; i++)
        if (commit->files[i].locks > place)
            return &commit->files[i];
    return commit->file_len > 0 ? &commit->files[0] : NULL;
}

static bool
commit_touches(const struct wal_trace_commit *commit, uint32_t oid)
{
    return oid != 0 && (wal_trace_has(&commit->locks, oid) || wal_trace_has(&commit->gone, oid) ||
                        wal_trace_has(&commit->truncated, oid));
}

bool
wal_search_wants(const struct wal_search_table *table, const struct wal_trace_commit *commit)
{
    if (commit->dropped_database != 0)
        return table->database == 0 || commit->dropped_database == table->database;
    if (commit_touches(commit, table->oid) || commit->drops.len > 0)
        return true;
    for (size_t i = 0; i < commit->file_len; i++)
        if (table->oid != 0 && commit->files[i].node == table->oid)
            return true;
    for (size_t i = 0; i < commit->row_len; i++)
        if (table->oid != 0 &&
            (commit->rows[i].deleted >= table->min_rows || commit->rows[i].updated >= table->min_rows))
            return true;
    return false;
}

/* The file that it had before this transaction. */
static uint32_t
trail_before(const struct trail *trail, size_t at, bool dropped)
{
    const struct wal_trace_oids *drops = &trail->commits[at].drops;

    if (wal_trace_has(drops, trail->table->oid))
        return trail->table->oid;
    for (size_t i = at; i-- > 0;) {
        const struct wal_trace_commit *older = &trail->commits[i];
        const struct wal_trace_file *made;

        if (!wal_trace_has(&older->locks, trail->table->oid) || older->file_len == 0)
            continue;
        made = commit_made_for(older, trail->table->oid);
        for (; made < older->files + older->file_len; made++)
            if (wal_trace_has(drops, made->node))
                return made->node;
    }
    if (drops->len == 0)
        return 0;
    return dropped ? drops->items[0] : drops->items[drops->len - 1];
}

static void
trail_rows(const struct trail *trail, const struct wal_trace_commit *commit)
{
    uint32_t node = trail->node != 0 ? trail->node : trail->table->oid;

    for (size_t i = 0; i < commit->row_len; i++) {
        const struct wal_trace_rows *rows = &commit->rows[i];

        if (rows->node != node)
            continue;
        if (rows->deleted >= trail->table->min_rows)
            find_add(trail->search, WAL_FINDING_DELETED, commit)->rows = rows->deleted;
        if (rows->updated >= trail->table->min_rows)
            find_add(trail->search, WAL_FINDING_UPDATED, commit)->rows = rows->updated;
    }
}

/* From 15 on the commit record names the OID. Before, it must be the table's file that goes: an index is dropped with the
 * table locked just the same. */
static bool
trail_is_drop(const struct trail *trail, const struct wal_trace_commit *commit, bool *ret_sure)
{
    *ret_sure = true;
    if (trail->table->server_major >= VERSION_TELLS_GONE)
        return wal_trace_has(&commit->gone, trail->table->oid);
    if (commit->class_deletes == 0 || commit->drops.len == 0 || commit->file_len > 0)
        return false;
    if (wal_trace_has(&commit->drops, trail->table->oid) || wal_trace_has(&commit->drops, trail->node))
        return true;
    *ret_sure = false;
    return trail->node == 0;
}

/* Rewriting a table (VACUUM FULL, ALTER TABLE, …) makes another one, swaps their files, and drops it. */
static bool
commit_rewrites(const struct wal_search_table *table, const struct wal_trace_commit *commit)
{
    if (table->server_major < VERSION_TELLS_GONE)
        return commit->class_deletes > 0 && commit->file_len > 0;
    for (size_t i = 0; i < commit->gone.len; i++)
        if (commit_made(commit, commit->gone.items[i]) != NULL)
            return true;
    return false;
}

/* New storage for the table: emptied, or all of it written anew. */
static enum wal_finding_kind
trail_new_file(const struct trail *trail, const struct wal_trace_commit *commit, const struct wal_trace_file *made)
{
    if (wal_trace_has(&commit->truncated, trail->table->oid))
        return WAL_FINDING_TRUNCATED;
    if (commit_rewrites(trail->table, commit))
        return WAL_FINDING_REWRITTEN;
    /* moving it to another tablespace copies its pages as they are */
    return made->rows == 0 && made->pages > 0 ? WAL_FINDING_REWRITTEN : WAL_FINDING_TRUNCATED;
}

/* A partitioned table has no file of its own. */
static bool
trail_is_parent(const struct trail *trail)
{
    return trail->search->exists && trail->table->node == 0;
}

static void
trail_file(struct trail *trail, size_t at)
{
    const struct wal_trace_commit *commit = &trail->commits[at];
    const struct wal_trace_file *made;
    struct wal_finding *finding;

    if (commit->file_len == 0 || commit->drops.len == 0)
        return;
    made = trail->node != 0 ? commit_made(commit, trail->node) : commit_made_for(commit, trail->table->oid);
    if (made == NULL)
        return; /* the files of an index, or of another table */
    finding = find_add(trail->search, trail_new_file(trail, commit, made), commit);
    finding->rows = made->rows;
    finding->sure = trail->node != 0;
    if (!trail_is_parent(trail))
        trail->node = trail_before(trail, at, false);
}

static void
trail_step(struct trail *trail, size_t at)
{
    const struct wal_trace_commit *commit = &trail->commits[at];
    bool sure;

    if (commit->dropped_database != 0) {
        find_add(trail->search, WAL_FINDING_DATABASE, commit)->lsn = commit->dropped_lsn;
        return;
    }
    if (commit_made(commit, trail->table->oid) != NULL) {
        trail->search->created_xid = commit->xid;
        trail->search->created_us = commit->time_us;
    }
    trail_rows(trail, commit);
    if (!commit_touches(commit, trail->table->oid))
        return;
    if (trail_is_drop(trail, commit, &sure)) {
        find_add(trail->search, WAL_FINDING_DROPPED, commit)->sure = sure;
        trail->node = trail_before(trail, at, true);
    } else if (wal_trace_has(&commit->truncated, trail->table->oid) && commit->file_len == 0) {
        (void)find_add(trail->search, WAL_FINDING_TRUNCATED,
                       commit); /* of a partitioned table: its partitions' files */
    } else {
        trail_file(trail, at);
    }
}

/* In the order of locking: what was named comes first, and DROP INDEX locks the table that it leaves. */
static void
find_drop(const struct wal_search_table *table, const struct wal_trace_commit *commit, struct wal_search *search)
{
    bool told = table->server_major >= VERSION_TELLS_GONE;
    const struct wal_trace_oids *oids = told ? &commit->gone : &commit->locks;
    struct wal_trace_oids shown = { 0 };
    struct wal_finding *finding;

    if (commit->drops.len == 0 || (!told && (commit->class_deletes == 0 || commit->file_len > 0)))
        return;
    for (size_t i = 0; i < commit->locks.len && shown.len < WAL_SEARCH_OIDS_MAX; i++)
        if (wal_trace_has(oids, commit->locks.items[i]) && commit_made(commit, commit->locks.items[i]) == NULL) {
            MEM_GROW(shown.items, shown.len, shown.cap);
            shown.items[shown.len++] = commit->locks.items[i];
        }
    if (shown.len == 0) {
        free(shown.items);
        return;
    }
    finding = find_add(search, WAL_FINDING_DROPPED, commit);
    finding->oids = shown;
    finding->sure = told && shown.items[0] == commit->locks.items[0] && !commit_rewrites(table, commit);
}

static int
find_compare(const void *a, const void *b)
{
    const struct wal_finding *x = a, *y = b;

    if (x->lsn != y->lsn)
        return x->lsn < y->lsn ? -1 : 1;
    return (int)x->kind - (int)y->kind;
}

void
wal_search_find(const struct wal_search_table *table, const struct wal_trace_commit *commits, size_t count,
                struct wal_search *search)
{
    struct trail trail = { table, commits, count, search, table->node };

    for (size_t i = count; i-- > 0;) {
        if (table->oid != 0)
            trail_step(&trail, i);
        else if (commits[i].dropped_database != 0)
            find_add(search, WAL_FINDING_DATABASE, &commits[i])->lsn = commits[i].dropped_lsn;
        /* the table of today is younger: an earlier one may be among these */
        if (table->oid == 0 || (search->exists && search->created_xid != 0))
            find_drop(table, &commits[i], search);
    }
    if (search->len > 0)
        qsort(search->findings, search->len, sizeof *search->findings, find_compare);
}
