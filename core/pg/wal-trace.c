/* SPDX-License-Identifier: PostgreSQL
 *
 *   rmgr: Heap  len (rec/tot): 54/ 54, tx: 731, lsn: 0/01BE2A40, prev …, desc: DELETE …, blkref #0: rel 1663/5/16385 blk 0
 *   rmgr: Standby  …  desc: LOCK xid 733 db 5 rel 16395
 *   rmgr: Storage  …  desc: CREATE base/5/16402
 *   rmgr: Transaction  …  desc: COMMIT 2026-11-22 23:26:11.388960 UTC; rels: base/5/16399 …; dropped stats: 2/5/16400 …; …
 *
 * Source: pg_waldump.c and the *_desc functions of PostgreSQL, 13 to 18.
 */
#include "config.h"

#include "pg/wal-trace.h"

#include "base/error.h"
#include "pg/recovery.h"
#include "pg/wal-line.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 1024,     /* of transactions under way: seldom more than there are connections */
    NODE_FIRST = 16384, /* files of system catalogs that were never rewritten are below */
    CLASS_NODE = 1259,  /* pg_class, until VACUUM FULL of it gives it another file */
    TIME_CHARS = 63,
};

struct xact {
    struct wal_trace_commit commit; /* as far as it has come */
    struct xact *next;
};

struct wal_trace {
    uint32_t database;
    void (*commit)(void *ctx, struct wal_trace_commit *commit);
    void *ctx;
    struct xact *buckets[BUCKETS];
    uint64_t lsn, records;
    int64_t first_us, last_us;
};

/* ---- transactions under way ---- */

bool
wal_trace_has(const struct wal_trace_oids *oids, uint32_t oid)
{
    for (size_t i = 0; i < oids->len; i++)
        if (oids->items[i] == oid)
            return true;
    return false;
}

static void
oids_add(struct wal_trace_oids *oids, uint32_t oid)
{
    if (oids->len == WAL_TRACE_LIST_MAX)
        return;
    MEM_GROW(oids->items, oids->len, oids->cap);
    oids->items[oids->len++] = oid;
}

static struct xact **
xact_place(struct wal_trace *trace, uint32_t xid)
{
    struct xact **place = &trace->buckets[xid % BUCKETS];

    while (*place != NULL && (*place)->commit.xid != xid)
        place = &(*place)->next;
    return place;
}

static struct wal_trace_commit *
xact_of(struct wal_trace *trace, uint32_t xid)
{
    struct xact **place = xact_place(trace, xid);

    if (*place == NULL) {
        *place = mem_zalloc(sizeof **place);
        (*place)->commit.xid = xid;
    }
    return &(*place)->commit;
}

void
wal_trace_commit_free(struct wal_trace_commit *commit)
{
    free(commit->locks.items);
    free(commit->drops.items);
    free(commit->gone.items);
    free(commit->truncated.items);
    free(commit->files);
    free(commit->rows);
    *commit = (struct wal_trace_commit){ 0 };
}

/* Out of the table; its part is the caller's. False: it did nothing of interest. */
static bool
xact_end(struct wal_trace *trace, uint32_t xid, struct wal_trace_commit *ret_commit)
{
    struct xact **place = xact_place(trace, xid), *xact = *place;

    if (xact == NULL)
        return false;
    *place = xact->next;
    *ret_commit = xact->commit;
    free(xact);
    return true;
}

static void
xact_forget(struct wal_trace *trace, uint32_t xid)
{
    struct wal_trace_commit commit;

    if (xact_end(trace, xid, &commit))
        wal_trace_commit_free(&commit);
}

static struct wal_trace_file *
commit_file(struct wal_trace_commit *commit, uint32_t node)
{
    for (size_t i = commit->file_len; i-- > 0;)
        if (commit->files[i].node == node)
            return &commit->files[i];
    return NULL;
}

static struct wal_trace_rows *
commit_rows(struct wal_trace_commit *commit, uint32_t node)
{
    for (size_t i = commit->row_len; i-- > 0;)
        if (commit->rows[i].node == node)
            return &commit->rows[i];
    if (commit->row_len == WAL_TRACE_LIST_MAX)
        return &commit->rows[0];
    MEM_GROW(commit->rows, commit->row_len, commit->row_cap);
    commit->rows[commit->row_len] = (struct wal_trace_rows){ .node = node };
    return &commit->rows[commit->row_len++];
}

static void
commit_add_file(struct wal_trace_commit *commit, const struct wal_trace_file *file)
{
    if (commit->file_len == WAL_TRACE_LIST_MAX)
        return;
    MEM_GROW(commit->files, commit->file_len, commit->file_cap);
    commit->files[commit->file_len++] = *file;
}

/* A subtransaction's part becomes the whole's. */
static void
commit_join(struct wal_trace_commit *commit, struct wal_trace_commit *part)
{
    for (size_t i = 0; i < part->file_len; i++) {
        part->files[i].locks += commit->locks.len;
        commit_add_file(commit, &part->files[i]);
    }
    for (size_t i = 0; i < part->locks.len; i++)
        oids_add(&commit->locks, part->locks.items[i]);
    for (size_t i = 0; i < part->truncated.len; i++)
        oids_add(&commit->truncated, part->truncated.items[i]);
    for (size_t i = 0; i < part->row_len; i++) {
        struct wal_trace_rows *rows = commit_rows(commit, part->rows[i].node);

        rows->deleted += part->rows[i].deleted;
        rows->updated += part->rows[i].updated;
    }
    commit->class_deletes += part->class_deletes;
    if (part->dropped_database != 0) {
        commit->dropped_database = part->dropped_database;
        commit->dropped_lsn = part->dropped_lsn;
    }
    wal_trace_commit_free(part);
}

/* ---- records ---- */

/* The file of that database that the record is about. */
static bool
record_node(const struct wal_trace *trace, const struct wal_line *record, uint32_t *ret_node)
{
    uint32_t database;

    return line_node(record->desc, &database, ret_node) && database == trace->database;
}

static void
record_heap(struct wal_trace *trace, const struct wal_line *record)
{
    const char *at = record->desc;
    bool deleted = line_take(&at, "DELETE"),
         updated = !deleted && (line_take(&at, "UPDATE") || line_take(&at, "HOT_UPDATE"));
    bool inserted = !deleted && !updated && (line_take(&at, "INSERT") || line_take(&at, "MULTI_INSERT"));
    struct wal_trace_file *file;
    uint32_t node;

    if ((!deleted && !updated && !inserted) || !record_node(trace, record, &node))
        return;
    if (deleted && node == CLASS_NODE)
        xact_of(trace, record->xid)->class_deletes++;
    if (node < NODE_FIRST)
        return;
    if (inserted) {
        file = *xact_place(trace, record->xid) != NULL ? commit_file(xact_of(trace, record->xid), node) : NULL;
        if (file != NULL)
            file->rows++;
        return;
    }
    if (deleted)
        commit_rows(xact_of(trace, record->xid), node)->deleted++;
    else
        commit_rows(xact_of(trace, record->xid), node)->updated++;
}

/* "TRUNCATE … nrelids 1 relids: 16395" until 15, "nrelids: 1, relids: [16395]" from then on */
static void
record_truncate(struct wal_trace *trace, const struct wal_line *record)
{
    const char *at = line_behind(record->desc, " relids:");
    uint32_t oid;

    if (at == NULL)
        return;
    at += strspn(at, " [");
    while (line_take_number(&at, &oid)) {
        oids_add(&xact_of(trace, record->xid)->truncated, oid);
        at += strspn(at, " ,");
    }
}

static void
record_rows(struct wal_trace *trace, const struct wal_line *record)
{
    if (strncmp(record->desc, "TRUNCATE ", 9) == 0)
        record_truncate(trace, record);
    else
        record_heap(trace, record);
}

/* Whole pages: an index that is built, a table that is copied. */
static void
record_page(struct wal_trace *trace, const struct wal_line *record)
{
    struct wal_trace_file *file;
    uint32_t node;

    if (strncmp(record->desc, "FPI ", 4) != 0 || *xact_place(trace, record->xid) == NULL ||
        !record_node(trace, record, &node))
        return;
    file = commit_file(xact_of(trace, record->xid), node);
    if (file != NULL)
        file->pages++;
}

static void
record_create(struct wal_trace *trace, const struct wal_line *record)
{
    const char *at = record->desc;
    struct wal_trace_file file = { 0 };
    struct wal_trace_commit *commit;
    uint32_t database;

    if (!line_take(&at, "CREATE ") || !line_take_path(&at, &database, &file.node) || database != trace->database ||
        record->xid == 0)
        return;
    commit = xact_of(trace, record->xid);
    file.locks = commit->locks.len;
    commit_add_file(commit, &file);
}

/* Those that are held are told of again at each checkpoint. */
static void
record_lock(struct wal_trace *trace, const struct wal_line *record)
{
    const char *at = record->desc;
    uint32_t xid, database, oid;

    if (!line_take(&at, "LOCK "))
        return;
    while (line_take(&at, "xid ") && line_take_number(&at, &xid) && line_take(&at, " db ") &&
           line_take_number(&at, &database) && line_take(&at, " rel ") && line_take_number(&at, &oid)) {
        if (xid != 0 && database == trace->database && !wal_trace_has(&xact_of(trace, xid)->locks, oid))
            oids_add(&xact_of(trace, xid)->locks, oid);
        at += strspn(at, " ");
    }
}

/* "DROP dir 1663/16384" */
static void
record_database(struct wal_trace *trace, const struct wal_line *record)
{
    const char *at = record->desc;
    uint32_t space, database;

    if (!line_take(&at, "DROP dir ") || !line_take_number(&at, &space) || !line_take(&at, "/") ||
        !line_take_number(&at, &database))
        return;
    xact_of(trace, record->xid)->dropped_database = database;
    xact_of(trace, record->xid)->dropped_lsn = record->lsn;
}

/* The time that "COMMIT …" or "COMMIT_PREPARED 735: …" begins with. */
static bool
end_time(struct wal_trace *trace, const char *text, int64_t *ret_time_us)
{
    char time[TIME_CHARS + 1];
    struct recovery_target target;
    size_t len = strcspn(text, ";");

    if (len > TIME_CHARS)
        return false;
    memcpy(time, text, len);
    while (len > 0 && time[len - 1] == ' ')
        len--;
    time[len] = '\0';
    if (recovery_set_time(&target, time) < 0) {
        error_clear();
        return false;
    }
    if (trace->first_us == 0)
        trace->first_us = target.time_us;
    trace->last_us = target.time_us;
    *ret_time_us = target.time_us;
    return true;
}

static void
commit_drops(const struct wal_trace *trace, const char *desc, struct wal_trace_commit *commit)
{
    const char *at = line_behind(desc, "; rels:");

    while (at != NULL && *at == ' ') {
        uint32_t database, node;

        at++;
        if (line_take_path(&at, &database, &node) && database == trace->database)
            oids_add(&commit->drops, node);
    }
}

/* "; dropped stats: 2/5/16400 …": kind (2: of a relation), database, OID */
static void
commit_gone(const struct wal_trace *trace, const char *desc, struct wal_trace_commit *commit)
{
    const char *at = line_behind(desc, "; dropped stats:");

    while (at != NULL && *at == ' ') {
        uint32_t kind, database, oid;

        at++;
        if (line_take_number(&at, &kind) && line_take(&at, "/") && line_take_number(&at, &database) &&
            line_take(&at, "/") && line_take_number(&at, &oid) && kind == 2 && database == trace->database)
            oids_add(&commit->gone, oid);
        at += strcspn(at, " ;");
    }
}

static bool
commit_subxact(const char **at, uint32_t *ret_xid)
{
    return line_take(at, " ") && line_take_number(at, ret_xid);
}

static bool
commit_is_empty(const struct wal_trace *trace, const struct wal_trace_commit *commit)
{
    if (commit->dropped_database != 0)
        return false;
    return trace->database == 0 || (commit->locks.len == 0 && commit->drops.len == 0 && commit->gone.len == 0 &&
                                    commit->truncated.len == 0 && commit->file_len == 0 && commit->row_len == 0);
}

static void
record_commit(struct wal_trace *trace, const struct wal_line *record, uint32_t xid, const char *text)
{
    const char *at = line_behind(text, "; subxacts:");
    struct wal_trace_commit commit = { 0 }, part;
    int64_t time_us = 0;
    uint32_t sub;

    (void)end_time(trace, text, &time_us);
    (void)xact_end(trace, xid, &commit);
    while (at != NULL && commit_subxact(&at, &sub))
        if (xact_end(trace, sub, &part))
            commit_join(&commit, &part);
    commit.xid = xid;
    commit.lsn = record->lsn;
    commit.time_us = time_us;
    commit_drops(trace, text, &commit);
    commit_gone(trace, text, &commit);
    if (!commit_is_empty(trace, &commit))
        trace->commit(trace->ctx, &commit);
    wal_trace_commit_free(&commit);
}

static void
record_abort(struct wal_trace *trace, uint32_t xid, const char *text)
{
    const char *at = line_behind(text, "; subxacts:");
    int64_t time_us;
    uint32_t sub;

    (void)end_time(trace, text, &time_us);
    xact_forget(trace, xid);
    while (at != NULL && commit_subxact(&at, &sub))
        xact_forget(trace, sub);
}

/* One that was prepared ends in another's name. */
static void
record_end(struct wal_trace *trace, const struct wal_line *record)
{
    const char *at = record->desc;
    uint32_t xid = record->xid;

    if (line_take(&at, "COMMIT_PREPARED ") && line_take_number(&at, &xid) && line_take(&at, ": "))
        record_commit(trace, record, xid, at);
    else if (line_take(&at, "COMMIT "))
        record_commit(trace, record, xid, at);
    else if (line_take(&at, "ABORT_PREPARED ") && line_take_number(&at, &xid) && line_take(&at, ": "))
        record_abort(trace, xid, at);
    else if (line_take(&at, "ABORT "))
        record_abort(trace, xid, at);
}

static const struct {
    const char *rmgr;
    void (*read)(struct wal_trace *trace, const struct wal_line *record);
} readers[] = {
    { "Heap", record_rows },       { "Heap2", record_heap },   { "XLOG", record_page },
    { "Storage", record_create },  { "Standby", record_lock }, { "Database", record_database },
    { "Transaction", record_end },
};

void
wal_trace_line(struct wal_trace *trace, const char *line)
{
    struct wal_line record;

    if (!wal_line_read(line, &record) || record.lsn <= trace->lsn)
        return;
    trace->lsn = record.lsn;
    trace->records++;
    for (size_t i = 0; i < ARRAY_LEN(readers); i++)
        if (strlen(readers[i].rmgr) == record.rmgr_len && strncmp(readers[i].rmgr, record.rmgr, record.rmgr_len) == 0)
            readers[i].read(trace, &record);
}

struct wal_trace *
wal_trace_new(uint32_t database, void (*commit)(void *ctx, struct wal_trace_commit *commit), void *ctx)
{
    struct wal_trace *trace = mem_zalloc(sizeof *trace);

    trace->database = database;
    trace->commit = commit;
    trace->ctx = ctx;
    return trace;
}

void
wal_trace_free(struct wal_trace *trace)
{
    if (trace == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (trace->buckets[i] != NULL)
            xact_forget(trace, trace->buckets[i]->commit.xid);
    free(trace);
}

uint64_t
wal_trace_lsn(const struct wal_trace *trace)
{
    return trace->lsn;
}

uint64_t
wal_trace_records(const struct wal_trace *trace)
{
    return trace->records;
}

int64_t
wal_trace_first_us(const struct wal_trace *trace)
{
    return trace->first_us;
}

int64_t
wal_trace_last_us(const struct wal_trace *trace)
{
    return trace->last_us;
}
