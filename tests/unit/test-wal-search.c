/* SPDX-License-Identifier: PostgreSQL
 *
 * From lines of pg_waldump to what became of a table.
 */
#include "config.h"

#include "pipeline/wal-search.h"

#include "unit.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

#define REC(rmgr, tx, lsn, desc)                                                                                       \
    "rmgr: " rmgr "  len (rec/tot):     54/    54, tx: " tx ", lsn: 0/" lsn ", prev 0/01000000, desc: " desc "\n"
#define LOCK(tx, lsn, oid) REC("Standby    ", tx, lsn, "LOCK xid " tx " db 5 rel " oid " ")
#define MAKE(tx, lsn, node) REC("Storage    ", tx, lsn, "CREATE base/5/" node)
#define COMMIT(tx, lsn, more) REC("Transaction", tx, lsn, "COMMIT 2026-11-22 23:26:11.388960 UTC" more)
#define DELETE(tx, lsn, node) REC("Heap       ", tx, lsn, "DELETE off 1 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/" node " blk 0")
#define DELETE16(tx, lsn, node)                                                                                        \
    REC("Heap       ", tx, lsn,                                                                                        \
        "DELETE xmax: " tx ", off: 1, infobits: [KEYS_UPDATED], flags: 0x00, blkref #0: rel 1663/5/" node " blk 0 FPW")
#define UPDATE(tx, lsn, node)                                                                                          \
    REC("Heap       ", tx, lsn, "HOT_UPDATE off 1 xmax 731 flags 0x00 ; new off 3 xmax 0, blkref #0: rel 1663/5/" node " blk 0")
#define INSERT(tx, lsn, node) REC("Heap       ", tx, lsn, "INSERT off 1 flags 0x08, blkref #0: rel 1663/5/" node " blk 0")
#define PAGE(tx, lsn, node) REC("XLOG       ", tx, lsn, "FPI , blkref #0: rel 1663/5/" node " blk 0 FPW")
#define CLASS(tx, lsn) DELETE(tx, lsn, "1259")

/* Tables are named as PostgreSQL does: the first file has the OID for its name. */
static const struct search_row {
    const char *lines;
    struct wal_search_table table; /* database, OID, file today, version, rows that matter */
    const char *found;             /* kind:xid, with the number of rows; '?' when it is not sure */
} searches[] = {
    /* nothing at all, and lines that are no records */
    { "", { 5, 16385, 16385, 15, 1 }, "" },
    { "pg_waldump: first record is after 0/3000000\nrmgr: Heap\nrmgr: Heap len, tx: x, lsn: 0/1\n\n", { 5, 16385, 16385, 15, 1 }, "" },
    /* DROP TABLE: from 15 on the commit says so */
    { LOCK("734", "01", "16395") COMMIT("734", "02", "; rels: base/5/16395 base/5/16398; dropped stats: 2/5/16398 2/5/16395; "
                                                     "inval msgs: catcache 32"),
      { 5, 16395, 0, 15, 1 }, "dropped:734" },
    /* until 14 by what goes from pg_class, and the table's file with it */
    { LOCK("734", "01", "16395") CLASS("734", "02") COMMIT("734", "03", "; rels: base/5/16395; inval msgs: catcache 32"),
      { 5, 16395, 0, 13, 1 }, "dropped:734" },
    /* DROP INDEX locks the table, too */
    { LOCK("734", "01", "16395") CLASS("734", "02") COMMIT("734", "03", "; rels: base/5/16399"), { 5, 16395, 16395, 13, 1 }, "" },
    { LOCK("734", "01", "16395") LOCK("734", "02", "16399") COMMIT("734", "03", "; rels: base/5/16399; dropped stats: 2/5/16399"),
      { 5, 16395, 16395, 15, 1 }, "" },
    /* one that was rolled back did nothing */
    { LOCK("734", "01", "16395") CLASS("734", "02") REC("Transaction", "734", "03", "ABORT 2026-11-22 23:26:11 UTC"),
      { 5, 16395, 16395, 13, 1 }, "" },
    /* the same OID in another database */
    { REC("Standby    ", "734", "01", "LOCK xid 734 db 6 rel 16395 ") COMMIT("734", "02", "; rels: base/6/16395; dropped stats: "
                                                                                          "2/6/16395"),
      { 5, 16395, 16395, 15, 1 }, "" },
    /* TRUNCATE: a new file with nothing in it but the index's first page */
    { LOCK("733", "01", "16395") MAKE("733", "02", "16402") LOCK("733", "03", "16399") MAKE("733", "04", "16405") PAGE(
          "733", "05", "16405") COMMIT("733", "06", "; rels: base/5/16399 base/5/16395"),
      { 5, 16395, 16402, 15, 1 }, "truncated:733" },
    /* the same of a table that is not there any more */
    { LOCK("733", "01", "16395") MAKE("733", "02", "16402") COMMIT("733", "03", "; rels: base/5/16395") LOCK("734", "04", "16395")
          COMMIT("734", "05", "; rels: base/5/16402; dropped stats: 2/5/16395"),
      { 5, 16395, 0, 15, 1 }, "truncated:733 dropped:734" },
    /* emptied and filled again */
    { LOCK("733", "01", "16395") MAKE("733", "02", "16402") INSERT("733", "03", "16402") INSERT("733", "04", "16402")
          COMMIT("733", "05", "; rels: base/5/16395"),
      { 5, 16395, 16402, 15, 1 }, "truncated:733(2)" },
    /* TRUNCATE of another table by a transaction that only locked ours */
    { LOCK("733", "01", "16395") LOCK("733", "02", "16500") MAKE("733", "03", "16402") COMMIT("733", "04", "; rels: base/5/16500"),
      { 5, 16395, 16395, 15, 1 }, "" },
    /* in so many words, with wal_level = logical: of a partitioned table, too */
    { REC("Heap       ", "733", "01", "TRUNCATE nrelids 2 relids: 16390 16395") COMMIT("733", "02", ""),
      { 5, 16395, 16395, 15, 1 }, "truncated:733" },
    { REC("Heap       ", "733", "01", "TRUNCATE flags: [CASCADE], nrelids: 1, relids: [16395]") COMMIT("733", "02", ""),
      { 5, 16395, 16395, 16, 1 }, "truncated:733" },
    /* VACUUM FULL: a table of its own is filled, swapped and dropped */
    { LOCK("735", "01", "16395") MAKE("735", "02", "16413") PAGE("735", "03", "16413") COMMIT("735", "04", "; rels: base/5/16395; "
                                                                                              "dropped stats: 2/5/16413"),
      { 5, 16395, 16413, 15, 1 }, "rewritten:735" },
    { LOCK("735", "01", "16395") MAKE("735", "02", "16413") INSERT("735", "03", "16413") CLASS("735", "04") COMMIT(
          "735", "05", "; rels: base/5/16395"),
      { 5, 16395, 16413, 13, 1 }, "rewritten:735(1)" },
    /* SET TABLESPACE copies pages */
    { LOCK("735", "01", "16395") REC("Storage    ", "735", "02", "CREATE pg_tblspc/16500/PG_15_202209061/5/16413") PAGE(
          "735", "03", "16413") COMMIT("735", "04", "; rels: base/5/16395"),
      { 5, 16395, 16413, 15, 1 }, "rewritten:735" },
    /* rows: as many as matter */
    { DELETE("731", "01", "16395") DELETE("731", "02", "16395") UPDATE("731", "03", "16395") COMMIT("731", "04", ""),
      { 5, 16395, 16395, 15, 2 }, "deleted:731(2)" },
    { DELETE16("731", "01", "16395") UPDATE("731", "02", "16395") COMMIT("731", "04", ""),
      { 5, 16395, 16395, 16, 1 }, "deleted:731(1) updated:731(1)" },
    { DELETE("731", "01", "16396") COMMIT("731", "04", ""), { 5, 16395, 16395, 15, 1 }, "" },
    /* read again where the last run ended: counted once */
    { DELETE("731", "01", "16395") DELETE("731", "02", "16395") DELETE("731", "02", "16395") COMMIT("731", "04", ""),
      { 5, 16395, 16395, 15, 1 }, "deleted:731(2)" },
    /* of subtransactions, those that were not rolled back */
    { DELETE("732", "01", "16395") DELETE("733", "02", "16395") REC("Transaction", "733", "03", "ABORT 2026-11-22 23:26:11 UTC")
          DELETE("734", "04", "16395") COMMIT("731", "05", "; subxacts: 732 734"),
      { 5, 16395, 16395, 15, 1 }, "deleted:731(2)" },
    /* prepared, and committed by somebody else */
    { DELETE("731", "01", "16395") REC("Transaction", "731", "02", "PREPARE gid x: 2026-11-22 23:26:11 UTC") REC(
          "Transaction", "0", "03", "COMMIT_PREPARED 731: 2026-11-22 23:26:12.5 UTC"),
      { 5, 16395, 16395, 15, 1 }, "deleted:731(1)" },
    { DELETE("731", "01", "16395") REC("Transaction", "0", "03", "ABORT_PREPARED 731: 2026-11-22 23:26:12.5 UTC"),
      { 5, 16395, 16395, 15, 1 }, "" },
    /* in the file that it had then: through two rewritings, by who made what */
    { DELETE("730", "01", "16395") COMMIT("730", "02", "") LOCK("731", "03", "16395") MAKE("731", "04", "16410")
          MAKE("731", "05", "16411") COMMIT("731", "06", "; rels: base/5/16399 base/5/16395") DELETE("732", "07", "16410")
              DELETE("732", "08", "16411") COMMIT("732", "09", "") LOCK("733", "0A", "16395") MAKE("733", "0B", "16420")
                  MAKE("733", "0C", "16421") COMMIT("733", "0D", "; rels: base/5/16411 base/5/16410") DELETE(
                      "734", "0E", "16420") COMMIT("734", "0F", ""),
      { 5, 16395, 16420, 15, 1 }, "deleted:730(1) truncated:731 deleted:732(1) truncated:733 deleted:734(1)" },
    /* the whole database */
    { REC("Database   ", "740", "01", "DROP dir 1663/5") COMMIT("740", "02", ""), { 5, 16395, 0, 15, 1 }, "database:740@1" },
    { REC("Database   ", "740", "01", "DROP dir 1663/6") COMMIT("740", "02", ""), { 5, 16395, 0, 15, 1 }, "" },
    /* without an OID: what was dropped, by the order in which it was locked */
    { LOCK("734", "01", "16395") LOCK("734", "02", "16398") COMMIT(
          "734", "03", "; rels: base/5/16395; dropped stats: 2/5/16398 2/5/16395"),
      { 5, 0, 0, 15, 1 }, "dropped:734[16395,16398]" },
    /* perhaps only an index */
    { LOCK("734", "01", "16395") LOCK("734", "02", "16398") COMMIT("734", "03", "; rels: base/5/16398; dropped stats: 2/5/16398"),
      { 5, 0, 0, 15, 1 }, "dropped:734?[16398]" },
    { LOCK("734", "01", "16395") CLASS("734", "02") COMMIT("734", "03", "; rels: base/5/16395"),
      { 5, 0, 0, 14, 1 }, "dropped:734?[16395]" },
    /* numbers that are none */
    { LOCK("99999999999", "01", "16395") REC("Standby    ", "734", "02", "LOCK xid 734 db 5 rel x ") COMMIT(
          "734", "03", "; rels: base/5/ base/x/1 nothing; dropped stats: 2/5 /; subxacts: x"),
      { 5, 16395, 16395, 15, 1 }, "" },
};

struct collected {
    const struct wal_search_table *table;
    struct wal_trace_commit commits[16];
    size_t len;
};

static void
collect(void *ctx, struct wal_trace_commit *commit)
{
    struct collected *collected = ctx;

    if (!wal_search_wants(collected->table, commit))
        return;
    ck_assert_uint_lt(collected->len, ARRAY_LEN(collected->commits));
    collected->commits[collected->len++] = *commit;
    *commit = (struct wal_trace_commit){ 0 };
}

static void
trace_lines(struct wal_trace *trace, const char *lines)
{
    CLEANUP_STRV struct strv split = { 0 };

    strv_split(&split, lines, "\n");
    for (size_t i = 0; i < split.len; i++)
        wal_trace_line(trace, split.items[i]);
}

static char *
finding_text(const struct wal_finding *finding)
{
    static const char *const kinds[] = { "dropped", "truncated", "deleted", "updated", "rewritten", "database" };
    CLEANUP_BUF struct buf text = BUF_INIT(4096);

    (void)buf_addf(&text, "%s:%" PRIu32, kinds[finding->kind], finding->xid);
    if (finding->rows > 0)
        (void)buf_addf(&text, "(%" PRIu64 ")", finding->rows);
    if (!finding->sure)
        (void)buf_adds(&text, "?");
    if (finding->kind == WAL_FINDING_DATABASE)
        (void)buf_addf(&text, "@%" PRIu64, finding->lsn);
    for (size_t i = 0; i < finding->oids.len; i++)
        (void)buf_addf(&text, "%s%" PRIu32, i == 0 ? "[" : ",", finding->oids.items[i]);
    if (finding->oids.len > 0)
        (void)buf_adds(&text, "]");
    return buf_take(&text);
}

START_TEST(what_became_of_a_table_is_found)
{
    const struct search_row *row = &searches[_i];
    struct collected collected = { .table = &row->table };
    CLEANUP(wal_trace_free) struct wal_trace *trace = wal_trace_new(row->table.database, collect, &collected);
    CLEANUP_WAL_SEARCH struct wal_search search = { .table = row->table, .exists = row->table.node != 0 };
    CLEANUP_STRV struct strv words = { 0 };
    CLEANUP_FREE char *found = NULL;

    trace_lines(trace, row->lines);
    wal_search_find(&row->table, collected.commits, collected.len, &search);
    for (size_t i = 0; i < search.len; i++)
        strv_take(&words, finding_text(&search.findings[i]));
    found = strv_join(&words, " ");
    ck_assert_str_eq(found, row->found);
    for (size_t i = 0; i < collected.len; i++)
        wal_trace_commit_free(&collected.commits[i]);
}
END_TEST

/* A table of today that was made in the WAL at hand had no earlier life: one of its name was another. */
START_TEST(an_earlier_table_of_the_name_is_among_the_dropped)
{
    static const char lines[] = LOCK("734", "01", "16395") COMMIT("734", "02", "; rels: base/5/16395; dropped stats: 2/5/16395")
        LOCK("735", "03", "16500") MAKE("735", "04", "16500") COMMIT("735", "05", "");
    struct wal_search_table table = { 5, 16500, 16500, 15, 1 };
    struct collected collected = { .table = &table };
    CLEANUP(wal_trace_free) struct wal_trace *trace = wal_trace_new(5, collect, &collected);
    CLEANUP_WAL_SEARCH struct wal_search search = { .table = table, .exists = true };

    trace_lines(trace, lines);
    wal_search_find(&table, collected.commits, collected.len, &search);
    ck_assert_uint_eq(search.created_xid, 735);
    ck_assert_uint_eq(search.len, 1);
    ck_assert_uint_eq(search.findings[0].xid, 734);
    ck_assert_uint_eq(search.findings[0].oids.items[0], 16395);
    for (size_t i = 0; i < collected.len; i++)
        wal_trace_commit_free(&collected.commits[i]);
}
END_TEST

START_TEST(times_and_places_are_read)
{
    struct collected collected = { .table = &searches[0].table };
    CLEANUP(wal_trace_free) struct wal_trace *trace = wal_trace_new(5, collect, &collected);

    trace_lines(trace, DELETE("731", "01BE2A40", "16385") COMMIT("731", "01DC7168", "")
                           REC("Transaction", "732", "01DC7190", "ABORT 2026-11-22 23:26:12.5 UTC"));
    ck_assert_uint_eq(collected.len, 1);
    ck_assert_uint_eq(collected.commits[0].lsn, 0x1DC7168);
    ck_assert_int_eq(collected.commits[0].time_us, INT64_C(1795389971388960));
    ck_assert_int_eq(wal_trace_first_us(trace), INT64_C(1795389971388960));
    ck_assert_int_eq(wal_trace_last_us(trace), INT64_C(1795389972500000));
    ck_assert_uint_eq(wal_trace_lsn(trace), 0x1DC7190);
    ck_assert_uint_eq(wal_trace_records(trace), 3);
    wal_trace_commit_free(&collected.commits[0]);
}
END_TEST

static Suite *
wal_search_suite(void)
{
    Suite *suite = suite_create("wal-search");
    TCase *tcase = tcase_create("wal-search");

    tcase_add_loop_test(tcase, what_became_of_a_table_is_found, 0, ARRAY_LEN(searches));
    tcase_add_test(tcase, an_earlier_table_of_the_name_is_among_the_dropped);
    tcase_add_test(tcase, times_and_places_are_read);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(wal_search_suite)
