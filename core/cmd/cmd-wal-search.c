/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask wal search: which transaction dropped, truncated or mass-deleted from a table, as a recovery target.
 */
#include "config.h"

#include "cmd/cmd-wal.h"

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "pg/recovery.h"
#include "pg/wal-name.h"
#include "pipeline/wal-search.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Words of --json, and text; %s: a number of rows. */
static const struct {
    const char *word, *text;
} kinds[] = {
    [WAL_FINDING_DROPPED] = { "dropped", "dropped" },
    [WAL_FINDING_TRUNCATED] = { "truncated", "truncated" },
    [WAL_FINDING_DELETED] = { "deleted", "deleted rows" },
    [WAL_FINDING_UPDATED] = { "updated", "updated rows" },
    [WAL_FINDING_REWRITTEN] = { "rewritten", "rewritten, all rows kept" },
    [WAL_FINDING_DATABASE] = { "database", "the whole database was dropped" },
};

/* Takes `line`; foreign words cannot steer the terminal. */
static void
search_line(char *line)
{
    CLEANUP_FREE char *safe = log_defuse(line);

    (void)printf("%s\n", safe);
    free(line);
}

/* What a restore to just before it is told. A database's files go before its transaction commits. */
static char *
search_target(const struct wal_finding *finding)
{
    CLEANUP_FREE char *lsn = wal_lsn_text(finding->lsn);

    if (finding->kind == WAL_FINDING_DATABASE)
        return mem_printf("--target-lsn %s --exclusive", lsn);
    return mem_printf("--target-xid %" PRIu32 " --exclusive", finding->xid);
}

/* " 120000" behind what counts rows. */
static char *
search_what(const struct wal_finding *finding)
{
    CLEANUP_BUF struct buf text = BUF_INIT(4096);

    (void)buf_adds(&text, kinds[finding->kind].text);
    if (finding->kind == WAL_FINDING_DELETED || finding->kind == WAL_FINDING_UPDATED)
        (void)buf_addf(&text, ": %" PRIu64, finding->rows);
    if (finding->kind == WAL_FINDING_TRUNCATED && finding->rows > 0)
        (void)buf_adds(&text, ", and filled again");
    if (finding->oids.len > 0)
        (void)buf_adds(&text, ": OID");
    for (size_t i = 0; i < finding->oids.len; i++)
        (void)buf_addf(&text, "%s %" PRIu32, i > 0 ? "," : "", finding->oids.items[i]);
    if (!finding->sure)
        (void)buf_adds(&text,
                       finding->oids.len > 0 ? " (perhaps only an index)" : " (or another table of this transaction)");
    return buf_take(&text);
}

static void
search_text_finding(const struct wal_finding *finding)
{
    CLEANUP_FREE char *time = recovery_time_text(finding->time_us), *lsn = wal_lsn_text(finding->lsn);
    CLEANUP_FREE char *what = search_what(finding);

    search_line(mem_printf("%-29s %10" PRIu32 "  %-14s %s", time, finding->xid, lsn, what));
}

/* The last that lost something; one that surely did, if there is one. */
static const struct wal_finding *
search_last(const struct wal_search *search)
{
    const struct wal_finding *last = NULL;

    for (size_t i = 0; i < search->len; i++) {
        const struct wal_finding *finding = &search->findings[i];

        if (finding->kind != WAL_FINDING_REWRITTEN && (last == NULL || finding->sure || !last->sure))
            last = finding;
    }
    return last;
}

static bool
search_lists_drops(const struct wal_search *search)
{
    for (size_t i = 0; i < search->len; i++)
        if (search->findings[i].oids.len > 0)
            return true;
    return false;
}

static void
search_text_table(const struct wal_search *search)
{
    if (search->table.oid == 0)
        search_line(mem_printf("the server has no table '%s': these transactions dropped some", search->name));
    else
        search_line(mem_printf("table %s, OID %" PRIu32 ", database OID %" PRIu32, search->name, search->table.oid,
                               search->table.database));
    if (search->exists && search->created_xid != 0) {
        CLEANUP_FREE char *time = recovery_time_text(search->created_us);

        search_line(mem_printf(
            "it was created at %s by transaction %" PRIu32 "%s", time, search->created_xid,
            search_lists_drops(search) ? ": an earlier one of that name may be among those dropped before" : ""));
    }
}

static void
search_text_advice(const struct wal_search *search)
{
    const struct wal_finding *last = search_last(search);
    CLEANUP_FREE char *target = last != NULL ? search_target(last) : NULL;

    if (last == NULL && search->len == 0)
        search_line(mem_strdup("nothing was found"));
    if (last == NULL)
        return;
    (void)printf("\nthe state just before transaction %" PRIu32 ":\n", last->xid);
    search_line(
        mem_printf("    pgcask restore latest --data-dir DIR %s --target-timeline %" PRIu32, target, search->timeline));
    if (search->table.oid == 0)
        search_line(mem_strdup("to see more of one table, name it: --oid OID"));
}

static void
search_text(const struct wal_search *search)
{
    CLEANUP_FREE char *from = wal_lsn_text(search->from_lsn), *to = wal_lsn_text(search->to_lsn);
    CLEANUP_FREE char *first = recovery_time_text(search->first_us), *last = recovery_time_text(search->last_us);

    search_text_table(search);
    if (search->last_us != 0)
        search_line(mem_printf("looked through %s to %s on timeline %" PRIu32 ": transactions from %s to %s", from, to,
                               search->timeline, first, last));
    else
        search_line(mem_printf("looked through %s to %s on timeline %" PRIu32 ": no transaction ended there", from, to,
                               search->timeline));
    for (size_t i = 0; i < search->doubts.len; i++)
        search_line(mem_printf("note: %s", search->doubts.items[i]));
    if (search->len > 0)
        (void)printf("\n%-29s %10s  %-14s %s\n", "TIME", "XID", "LSN", "WHAT");
    for (size_t i = 0; i < search->len; i++)
        search_text_finding(&search->findings[i]);
    search_text_advice(search);
}

static json_t *
search_json_finding(const struct wal_finding *finding)
{
    CLEANUP_FREE char *time = recovery_time_text(finding->time_us), *lsn = wal_lsn_text(finding->lsn);
    CLEANUP_FREE char *target = search_target(finding);
    json_t *row = json_object(), *oids = json_array();

    (void)json_object_set_new(row, "kind", json_text(kinds[finding->kind].word));
    (void)json_object_set_new(row, "sure", json_boolean(finding->sure));
    (void)json_object_set_new(row, "xid", json_integer(finding->xid));
    (void)json_object_set_new(row, "lsn", json_text(lsn));
    (void)json_object_set_new(row, "time", json_text(time));
    (void)json_object_set_new(row, "rows", json_integer((json_int_t)finding->rows));
    for (size_t i = 0; i < finding->oids.len; i++)
        (void)json_array_append_new(oids, json_integer(finding->oids.items[i]));
    (void)json_object_set_new(row, "oids", oids);
    (void)json_object_set_new(row, "target", json_text(target));
    return row;
}

static void
search_json(const struct wal_search *search)
{
    CLEANUP_JSON json_t *root = json_object();
    CLEANUP_FREE char *from = wal_lsn_text(search->from_lsn), *to = wal_lsn_text(search->to_lsn), *text = NULL;
    json_t *findings = json_array(), *notes = json_array();

    (void)json_object_set_new(root, "table", json_text(search->name));
    (void)json_object_set_new(root, "exists", json_boolean(search->exists));
    (void)json_object_set_new(root, "oid", json_integer(search->table.oid));
    (void)json_object_set_new(root, "database_oid", json_integer(search->table.database));
    (void)json_object_set_new(root, "created_xid", json_integer(search->created_xid));
    (void)json_object_set_new(root, "timeline", json_integer(search->timeline));
    (void)json_object_set_new(root, "from_lsn", json_text(from));
    (void)json_object_set_new(root, "to_lsn", json_text(to));
    for (size_t i = 0; i < search->len; i++)
        (void)json_array_append_new(findings, search_json_finding(&search->findings[i]));
    for (size_t i = 0; i < search->doubts.len; i++)
        (void)json_array_append_new(notes, json_text(search->doubts.items[i]));
    (void)json_object_set_new(root, "findings", findings);
    (void)json_object_set_new(root, "notes", notes);
    text = json_pretty(root);
    (void)fputs(text, stdout);
}

static int
search_options(const struct cmd_args *args, struct wal_search_options *options)
{
    const char *rows = cmd_arg(args, "min-rows");
    int64_t count = WAL_SEARCH_ROWS;
    int rc = cmd_words(args, 0, 0);

    *options = (struct wal_search_options){
        .cluster = cmd_arg(args, "cluster"),
        .store = cmd_arg(args, "store"),
        .database = cmd_arg(args, "database"),
        .table = cmd_arg(args, "table"),
        .oid = cmd_arg(args, "oid"),
        .database_oid = cmd_arg(args, "database-oid"),
        .from = cmd_arg(args, "from"),
        .to = cmd_arg(args, "to"),
        .timeline = cmd_arg(args, "timeline"),
        .wal_dir = cmd_arg(args, "wal-dir"),
        .bindir = cmd_arg(args, "bindir"),
    };
    if (rc == 0 && options->table == NULL)
        return error_set(ERROR_USAGE, "which table? (wanted: --table SCHEMA.TABLE)");
    if (rc == 0 && rows != NULL && (parse_int64(rows, &count) < 0 || count < 1))
        return error_set(ERROR_USAGE, "--min-rows: '%s' is no number of rows (wanted: 1 or more)", rows);
    options->min_rows = (uint64_t)count;
    return rc;
}

int
cmd_wal_search(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_WAL_SEARCH struct wal_search search = { 0 };
    struct wal_search_options options;
    int rc = search_options(args, &options);

    if (rc == 0)
        rc = cmd_config(args, &config);
    options.config = config;
    if (rc == 0)
        rc = wal_search_run(&options, &search);
    if (rc < 0)
        return rc;
    if (cmd_flag(args, "json"))
        search_json(&search);
    else
        search_text(&search);
    return 0;
}
