/* SPDX-License-Identifier: PostgreSQL
 *
 * The segments come into a private directory a few at a time, pg_waldump reads them there, and they go again: what a search
 * takes of the disk does not grow with what it looks through.
 */
#include "config.h"

#include "pipeline/wal-search-private.h"

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg/recovery.h"
#include "pg/wal-header.h"
#include "pg/waldump.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCH_BYTES = 256 * 1024 * 1024,
    CLOCKS_US = 60 * 1000000, /* transactions do not end in the order of their times; servers' clocks differ */
};

static int
hunt_history(struct hunt *hunt)
{
    struct recovery_target target = { 0 };
    int rc = hunt->options->timeline != NULL ? recovery_set_timeline(&target, hunt->options->timeline) : 0;

    if (rc < 0)
        return error_context(ERROR_USAGE, "--timeline");
    if (target.timeline == 0)
        target.timeline = hunt->status.all.newest.timeline;
    hunt->search->timeline = target.timeline;
    for (size_t i = 0; i < hunt->status.history_len; i++) {
        hunt->history = &hunt->status.histories[i];
        if (hunt->history->entries[hunt->history->len - 1].timeline == target.timeline)
            return 0;
    }
    if (target.timeline == 0)
        return error_set(PGCASK_NOT_FOUND, "there is no WAL of cluster '%s' in its stores",
                         hunt->status.repo.cluster->name);
    return error_set(PGCASK_NOT_FOUND, "there is no WAL of timeline %" PRIu32, target.timeline);
}

/* Has that timeline, at this place of the history, something of the segment? */
static bool
hunt_entry_has(const struct hunt *hunt, size_t entry, uint64_t number)
{
    const struct wal_history_entry *entries = hunt->history->entries;
    uint64_t begin = entry > 0 ? entries[entry - 1].end_lsn : 0;

    return begin / hunt->status.segment_bytes <= number && number * hunt->status.segment_bytes < entries[entry].end_lsn;
}

/* The rows of the newest timeline that has it; NULL: no store does. */
static const struct wal_row *
hunt_rows(const struct hunt *hunt, uint64_t number, size_t *ret_count)
{
    for (size_t i = hunt->history->len; i-- > 0;) {
        struct wal_name name = wal_segment_at(hunt->history->entries[i].timeline, number, hunt->status.segment_bytes);
        const struct wal_row *rows = NULL;

        if (hunt_entry_has(hunt, i, number))
            rows = wal_list_find(&hunt->status.list, &name, ret_count);
        if (rows != NULL)
            return rows;
    }
    return NULL;
}

/* In --wal-dir; owned by the caller, NULL: not there. */
static char *
hunt_local(const struct hunt *hunt, uint64_t number)
{
    for (size_t i = hunt->history->len; hunt->options->wal_dir != NULL && i-- > 0;) {
        struct wal_name name = wal_segment_at(hunt->history->entries[i].timeline, number, hunt->status.segment_bytes);
        CLEANUP_FREE char *text = wal_name_text(&name), *path = mem_printf("%s/%s", hunt->options->wal_dir, text);

        if (hunt_entry_has(hunt, i, number) && access(path, R_OK) == 0)
            return STEAL(path);
    }
    return NULL;
}

static void
hunt_add_number(struct hunt *hunt, const struct wal_name *name)
{
    CLEANUP_FREE char *local = NULL;
    uint64_t number;
    size_t count;

    if (name->file != WAL_SEGMENT || wal_segment_check(name, hunt->status.segment_bytes) < 0) {
        error_clear();
        return;
    }
    number = wal_segment_number(name, hunt->status.segment_bytes);
    local = hunt_local(hunt, number);
    if (local == NULL && hunt_rows(hunt, number, &count) == NULL)
        return;
    MEM_GROW(hunt->numbers, hunt->len, hunt->cap);
    hunt->numbers[hunt->len++] = number;
}

static int
number_compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static int
hunt_local_numbers(struct hunt *hunt)
{
    DIR *dir = opendir(hunt->options->wal_dir);

    if (dir == NULL)
        return error_errno(ERROR_USAGE, "--wal-dir: could not open '%s'", hunt->options->wal_dir);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct wal_name name;

        if (wal_name_parse(entry->d_name, &name) == 0)
            hunt_add_number(hunt, &name);
    }
    error_clear(); /* of other names */
    (void)closedir(dir);
    return 0;
}

static int
hunt_numbers(struct hunt *hunt)
{
    size_t kept = 0;
    int rc = 0;

    for (size_t i = 0; i < hunt->status.list.len; i++)
        hunt_add_number(hunt, &hunt->status.list.rows[i].name);
    if (hunt->options->wal_dir != NULL)
        rc = hunt_local_numbers(hunt);
    if (hunt->len > 0)
        qsort(hunt->numbers, hunt->len, sizeof *hunt->numbers, number_compare);
    for (size_t i = 0; i < hunt->len; i++)
        if (i == 0 || hunt->numbers[i] != hunt->numbers[kept - 1])
            hunt->numbers[kept++] = hunt->numbers[i];
    hunt->len = kept;
    return rc;
}

/* What a segment holds is older than the segment in its store: all before the first that came there at that time can be
 * left out, and one more is taken for clocks that differ. */
static size_t
hunt_first(const struct hunt *hunt)
{
    int64_t from_s = hunt->from.time_us / 1000000;
    size_t first = 0;

    if (hunt->from.lsn != 0) {
        while (first + 1 < hunt->len && hunt->numbers[first + 1] * hunt->status.segment_bytes <= hunt->from.lsn)
            first++;
        return first;
    }
    for (size_t count; first < hunt->len; first++) {
        const struct wal_row *rows = hunt_rows(hunt, hunt->numbers[first], &count);

        if (rows == NULL || rows[0].mtime_s == 0 || rows[0].mtime_s >= from_s)
            break;
    }
    return first > 0 ? first - 1 : 0;
}

/* ---- the private directory ---- */

static int
hunt_make_dir(struct hunt *hunt)
{
    const char *base = getenv("TMPDIR");
    CLEANUP_FREE char *dir = mem_printf("%s/pgcask-search.XXXXXX", base != NULL && *base == '/' ? base : "/tmp");

    if (mkdtemp(dir) == NULL)
        return error_errno(PGCASK_FAILED, "could not make a directory '%s'", dir);
    hunt->dir = STEAL(dir);
    return 0;
}

/* Those of segments below `number`. */
static void
hunt_remove(struct hunt *hunt, uint64_t number)
{
    struct strv left = { 0 };

    for (size_t i = 0; i < hunt->files.len; i++) {
        CLEANUP_FREE char *path = mem_printf("%s/%s", hunt->dir, hunt->files.items[i]);
        struct wal_name name;

        if (wal_name_parse(hunt->files.items[i], &name) == 0 &&
            wal_segment_number(&name, hunt->status.segment_bytes) >= number)
            strv_add(&left, hunt->files.items[i]);
        else
            (void)unlink(path); /* what stays behind is seen when the directory is removed */
    }
    strv_free(&hunt->files);
    hunt->files = left;
}

/* pg_waldump wants one timeline's names; which one a segment is of, its pages say. */
static int
hunt_bring(struct hunt *hunt, uint64_t number)
{
    struct wal_name name = wal_segment_at(hunt->search->timeline, number, hunt->status.segment_bytes);
    CLEANUP_FREE char *file = wal_name_text(&name), *path = mem_printf("%s/%s", hunt->dir, file), *local = NULL;
    const struct wal_row *rows;
    size_t count = 0;

    if (strv_has(&hunt->files, file))
        return 0;
    strv_add(&hunt->files, file);
    rows = hunt_rows(hunt, number, &count);
    if (rows != NULL)
        return wal_read_file(&hunt->reader, rows, count, hunt->status.segment_bytes, path);
    local = hunt_local(hunt, number);
    if (local == NULL || symlink(local, path) < 0)
        return error_errno(PGCASK_FAILED, "could not get segment '%s'", file);
    return 0;
}

/* Whose WAL it is, by the first segment's header. */
static int
hunt_program(struct hunt *hunt)
{
    CLEANUP_FREE char *path = mem_printf("%s/%s", hunt->dir, hunt->files.items[0]);
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *bindir = hunt->options->bindir;
    char data[WAL_HEADER_BYTES];
    struct wal_header header;
    ssize_t len;
    int rc;

    if (fd < 0)
        return error_errno(PGCASK_FAILED, "could not open '%s'", path);
    len = file_read_up_to(fd, data, sizeof data, path);
    rc = len < 0 ? (int)len : wal_header_read(data, (size_t)len, &header);
    if (rc < 0)
        return rc;
    if (header.major == 0)
        return error_set(PGCASK_UNSUPPORTED, "segment '%s' is of a PostgreSQL that is not known here",
                         hunt->files.items[0]);
    hunt->search->table.server_major = header.major;
    if (bindir == NULL && hunt->status.repo.cluster->cluster->exec == NULL)
        bindir = hunt->status.repo.cluster->cluster->bindir;
    return waldump_find(bindir, header.major, &hunt->program);
}

/* ---- reading ---- */

static void
hunt_line(void *ctx, const char *line)
{
    struct hunt *hunt = ctx;

    wal_trace_line(hunt->trace, line);
}

static void
hunt_commit(void *ctx, struct wal_trace_commit *commit)
{
    struct hunt *hunt = ctx;

    if (!wal_search_wants(&hunt->search->table, commit))
        return;
    MEM_GROW(hunt->commits, hunt->commit_len, hunt->commit_cap);
    hunt->commits[hunt->commit_len++] = *commit;
    *commit = (struct wal_trace_commit){ 0 };
}

static void
hunt_doubt_gap(struct hunt *hunt, uint64_t first, uint64_t last)
{
    struct wal_range range = { hunt->search->timeline, first, last };
    CLEANUP_FREE char *text = wal_status_range_text(&hunt->status, &range);

    strv_addf(&hunt->search->doubts, "not looked through, for it is in no store: %s", text);
}

/* The segments from `first` to `last`, which follow each other. */
static int
hunt_batch(struct hunt *hunt, size_t first, size_t last, bool joined)
{
    uint64_t bytes = hunt->status.segment_bytes, begin = hunt->numbers[first] * bytes;
    CLEANUP_FREE char *stop = NULL;
    struct waldump_run run = {
        .dir = hunt->dir,
        .timeline = hunt->search->timeline,
        .line = hunt_line,
        .ctx = hunt,
    };
    int rc = 0;

    for (size_t i = first; rc == 0 && i <= last; i++)
        rc = hunt_bring(hunt, hunt->numbers[i]);
    if (rc == 0 && hunt->program == NULL)
        rc = hunt_program(hunt);
    if (rc < 0)
        return rc;
    run.program = hunt->program;
    run.from_lsn = joined ? wal_trace_lsn(hunt->trace) : begin;
    run.to_lsn = (hunt->numbers[last] + 1) * bytes;
    rc = waldump_run(&run, &stop);
    if (rc == 0 && stop != NULL && last + 1 < hunt->len)
        strv_addf(&hunt->search->doubts, "pg_waldump could not read on: %s", stop);
    /* the next batch begins with the last record that was seen, which may go on there */
    hunt_remove(hunt,
                stop != NULL || wal_trace_lsn(hunt->trace) < begin ? UINT64_MAX : wal_trace_lsn(hunt->trace) / bytes);
    hunt->search->segments += last - first + 1;
    hunt->search->to_lsn = stop != NULL ? wal_trace_lsn(hunt->trace) : run.to_lsn;
    log_info("looked through %" PRIu64 " segments and %" PRIu64 " records", hunt->search->segments,
             wal_trace_records(hunt->trace));
    return rc;
}

static bool
hunt_is_over(const struct hunt *hunt)
{
    if (hunt->to.lsn != 0)
        return wal_trace_lsn(hunt->trace) > hunt->to.lsn;
    return hunt->to.given && wal_trace_last_us(hunt->trace) > hunt->to.time_us + CLOCKS_US;
}

static int
hunt_all(struct hunt *hunt)
{
    size_t next;
    int rc = 0;

    for (size_t i = hunt_first(hunt); rc == 0 && i < hunt->len && !hunt_is_over(hunt); i = next) {
        bool joined = hunt->files.len > 0 && hunt->numbers[i] == hunt->numbers[i - 1] + 1;
        uint64_t bytes = hunt->status.segment_bytes;

        if (hunt->search->segments > 0 && hunt->numbers[i] != hunt->numbers[i - 1] + 1) {
            hunt_doubt_gap(hunt, hunt->numbers[i - 1] + 1, hunt->numbers[i] - 1);
            hunt_remove(hunt, UINT64_MAX);
        }
        if (hunt->search->segments == 0)
            hunt->search->from_lsn = hunt->numbers[i] * bytes;
        for (next = i + 1;
             next < hunt->len && hunt->numbers[next] == hunt->numbers[next - 1] + 1 && bytes * (next - i) < BATCH_BYTES;
             next++)
            ;
        rc = hunt_batch(hunt, i, next - 1, joined);
    }
    return rc;
}

int
hunt_run(struct hunt *hunt)
{
    int rc = hunt_history(hunt);

    if (rc == 0)
        rc = hunt_numbers(hunt);
    if (rc == 0 && hunt->len == 0)
        rc = error_set(PGCASK_NOT_FOUND, "there is no segment of timeline %" PRIu32 " to look through",
                       hunt->search->timeline);
    if (rc == 0)
        rc = hunt_make_dir(hunt);
    if (rc < 0)
        return rc;
    hunt->trace = wal_trace_new(hunt->search->table.database, hunt_commit, hunt);
    rc = hunt_all(hunt);
    hunt->search->records = wal_trace_records(hunt->trace);
    hunt->search->first_us = wal_trace_first_us(hunt->trace);
    hunt->search->last_us = wal_trace_last_us(hunt->trace);
    return rc;
}

void
hunt_free(struct hunt *hunt)
{
    if (hunt->dir != NULL) {
        hunt_remove(hunt, UINT64_MAX);
        if (rmdir(hunt->dir) < 0)
            log_warn("could not remove directory '%s': %s", hunt->dir, strerror(errno));
    }
    for (size_t i = 0; i < hunt->commit_len; i++)
        wal_trace_commit_free(&hunt->commits[i]);
    free(hunt->commits);
    free(hunt->numbers);
    free(hunt->dir);
    free(hunt->program);
    strv_free(&hunt->files);
    wal_trace_free(hunt->trace);
    wal_status_free(&hunt->status);
}
