/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask wal status: what can be restored, what is missing, and how far the stores are behind the server.
 */
#include "config.h"

#include "cmd/cmd-wal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/parse.h"
#include "pipeline/wal-status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_LIMIT_BYTES = 64 * 1024 };

static const char *const gap_texts[] = {
    [WAL_GAP_LOST] = "in no store",
    [WAL_GAP_ELSEWHERE] = "in store",
    [WAL_GAP_WAITING] = "waiting on the server to be archived",
    [WAL_GAP_LATE] = "may still be on its way",
    [WAL_GAP_DISPUTED] = "there with two contents",
};

/* Foreign words (a server's, a store's) cannot steer the terminal. */
static void
status_line(char *line)
{
    CLEANUP_FREE char *safe = log_defuse(line);

    (void)printf("%s\n", safe);
    free(line);
}

/* "12 s old", "of unknown age"; owned by the caller */
static char *
status_age(const struct wal_status *status, int64_t when_s)
{
    CLEANUP_FREE char *age = NULL;

    if (when_s <= 0)
        return mem_strdup("of unknown age");
    age = format_duration(when_s < status->now_s ? (status->now_s - when_s) * 1000 : 0);
    return mem_printf("%s old", age);
}

static const char *
status_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void
status_text_archiver(const struct wal_status *status)
{
    const struct wal_server *server = &status->server;
    CLEANUP_FREE char *last = status_age(status, server->last_archived_s);
    CLEANUP_FREE char *failed = status_age(status, server->last_failed_s);
    CLEANUP_BUF struct buf line = BUF_INIT(LINE_LIMIT_BYTES);

    if (!server->archiver_known)
        return;
    (void)buf_addf(&line, "archiver: %s%" PRId64 " archived", server->archives ? "" : "archive_mode is off; ",
                   server->archived);
    if (server->last_archived != NULL)
        (void)buf_addf(&line, ", last %s, %s", server->last_archived, last);
    (void)buf_addf(&line, "; %" PRId64 " failed", server->failed);
    if (server->last_failed != NULL)
        (void)buf_addf(&line, ", last %s, %s", server->last_failed, failed);
    status_line(buf_take(&line));
}

static void
status_text_backlog(const struct wal_status *status)
{
    const struct wal_server *server = &status->server;
    CLEANUP_FREE char *oldest = status_age(status, server->ready_oldest_s), *room = format_size(status->free_bytes);
    CLEANUP_FREE char *files = format_size(server->files_bytes);
    CLEANUP_BUF struct buf line = BUF_INIT(LINE_LIMIT_BYTES);

    (void)buf_adds(&line, "backlog: ");
    if (!server->ready_known)
        (void)buf_adds(&line, "not known, the role is no member of pg_monitor");
    else
        (void)buf_addf(&line, "%" PRIu64 " file%s to be archived", server->ready_count,
                       server->ready_count == 1 ? " waits" : "s wait");
    if (server->ready_count > 0)
        (void)buf_addf(&line, ", the first %s", oldest);
    if (server->files_known)
        (void)buf_addf(&line, "; pg_wal has %s", files);
    if (status->free_bytes > 0)
        (void)buf_addf(&line, ", room for %s more", room);
    status_line(buf_take(&line));
}

static void
status_text_slot(const struct wal_server_slot *slot)
{
    CLEANUP_FREE char *kept = format_size(slot->retained_bytes);
    CLEANUP_BUF struct buf line = BUF_INIT(LINE_LIMIT_BYTES);

    (void)buf_addf(&line, "slot '%s': %s, %s, %s of WAL kept for it", slot->name,
                   slot->active ? "in use" : "not in use", slot->state != NULL ? slot->state : "nothing reserved",
                   kept);
    if (slot->safe_bytes >= 0) {
        CLEANUP_FREE char *safe = format_size((uint64_t)slot->safe_bytes);

        (void)buf_addf(&line, ", lost after further %s", safe);
    }
    status_line(buf_take(&line));
}

/* How far the stores are behind, when it is their WAL. */
static char *
status_text_lag(const struct wal_status *status)
{
    const struct wal_range *newest = &status->all.newest;
    uint64_t end = (newest->last + 1) * status->segment_bytes;
    CLEANUP_FREE char *bytes = format_size(status->server.lsn > end ? status->server.lsn - end : 0);

    if (newest->timeline == 0 || newest->timeline > status->server.timeline)
        return mem_strdup("");
    return mem_printf("; the stores are %" PRIu64 " full segment%s and %s behind", status->server_behind,
                      status_plural(status->server_behind), bytes);
}

static void
status_text_server(const struct wal_status *status)
{
    const struct wal_server *server = &status->server;
    CLEANUP_FREE char *lsn = wal_lsn_text(server->lsn), *lag = NULL;

    if (!status->server_answers) {
        if (status->server_error.text != NULL)
            status_line(mem_printf("server: %s", status->server_error.text));
        return;
    }
    lag = status_text_lag(status);
    status_line(mem_printf("server: PostgreSQL %s, %s, at %s on timeline %" PRIu32 "%s", server->version,
                           server->standby ? "a standby" : "primary", lsn, server->timeline, lag));
    status_text_archiver(status);
    status_text_backlog(status);
    for (size_t i = 0; i < server->len; i++)
        status_text_slot(&server->slots[i]);
}

static void
status_text_window(const struct wal_status *status, const struct wal_window *window, const char *indent)
{
    int64_t to_s = wal_status_time(status, &window->reach);
    CLEANUP_FREE char *from = clock_iso(window->from_s),
                      *to = to_s > 0 ? clock_iso(to_s) : mem_strdup("a time not known");
    CLEANUP_FREE char *from_lsn = wal_lsn_text(window->from_lsn), *to_lsn = wal_lsn_text(window->reach.lsn);

    status_line(mem_printf("%srestorable: %s (%s) to %s (%s) on timeline %" PRIu32 ", %zu base backup%s, the newest %s",
                           indent, from, from_lsn, to, to_lsn, window->timeline, window->len,
                           status_plural(window->len), status->base_facts[window->bases[window->len - 1]].id));
}

static void
status_text_gap(const struct wal_status *status, const struct wal_gap *gap, bool wanted)
{
    CLEANUP_FREE char *text = wal_status_range_text(status, &gap->range), *where = strv_join(&gap->where, "', '");
    uint64_t count = wal_status_count(&gap->range);
    CLEANUP_BUF struct buf line = BUF_INIT(LINE_LIMIT_BYTES);

    (void)buf_addf(&line, "  gap: %s, %" PRIu64 " segment%s: %s", text, count, status_plural(count),
                   gap_texts[gap->kind]);
    if (gap->kind == WAL_GAP_ELSEWHERE)
        (void)buf_addf(&line, " '%s'%s", where, wanted ? ", 'pgcask sync' copies it" : "");
    status_line(buf_take(&line));
}

static bool
status_same_windows(const struct wal_windows *a, const struct wal_windows *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (a->items[i].timeline != b->items[i].timeline || a->items[i].from_lsn != b->items[i].from_lsn ||
            a->items[i].reach.lsn != b->items[i].reach.lsn || a->items[i].len != b->items[i].len)
            return false;
    return true;
}

static void
status_text_store(const struct wal_status *status, const struct wal_view *view)
{
    CLEANUP_FREE char *stored = format_size(view->stored_bytes), *age = status_age(status, view->newest_s);
    CLEANUP_FREE char *newest = wal_status_range_text(status, &view->newest);

    if (!view->wanted && view->files == 0 && view->windows.len == 0)
        return;
    if (view->newest.timeline == 0)
        status_line(mem_printf("store '%s': no WAL of this cluster", view->name));
    else
        status_line(mem_printf("store '%s': %" PRIu64 " file%s, %s, the newest segment %s, %s", view->name, view->files,
                               status_plural(view->files), stored, newest, age));
    if (view->behind > 0)
        status_line(mem_printf("  behind: %" PRIu64 " segment%s that another store has", view->behind,
                               status_plural(view->behind)));
    if (!status_same_windows(&view->windows, &status->all.windows))
        for (size_t i = 0; i < view->windows.len; i++)
            status_text_window(status, &view->windows.items[i], "  ");
    if (view->windows.len == 0 && status->all.windows.len > 0)
        status_line(mem_strdup("  restorable: nothing from this store alone"));
    for (size_t i = 0; i < view->len; i++)
        status_text_gap(status, &view->gaps[i], view->wanted);
}

static void
status_text(const struct wal_status *status)
{
    CLEANUP_FREE char *others = strv_join(&status->others, ", ");
    CLEANUP_FREE char *segment = format_size(status->segment_bytes);

    if (status->system_identifier != NULL)
        status_line(mem_printf("cluster '%s': system %s, segments of %s%s", status->repo.cluster->name,
                               status->system_identifier, segment, status->segment_guessed ? " (supposed)" : ""));
    else
        status_line(mem_printf("cluster '%s': there is no WAL of it", status->repo.cluster->name));
    if (status->others.len > 0)
        status_line(mem_printf("other systems of that name: %s (see --system-identifier)", others));
    status_text_server(status);
    for (size_t i = 0; i < status->all.windows.len; i++)
        status_text_window(status, &status->all.windows.items[i], "");
    for (size_t i = 0; i < status->view_len; i++)
        status_text_store(status, &status->views[i]);
    for (size_t i = 0; i < status->unknown.len; i++)
        status_line(mem_printf("note: %s", status->unknown.items[i]));
    for (size_t i = 0; i < status->alarms.len; i++)
        status_line(mem_printf("ALARM: %s", status->alarms.items[i]));
}

static int
status_options(struct cmd_args *args, struct wal_status_options *options)
{
    const char *max_lag = cmd_arg(args, "max-lag");
    int rc = cmd_words(args, 0, 0);

    options->cluster = cmd_arg(args, "cluster");
    options->store = cmd_arg(args, "store");
    options->system_identifier = cmd_arg(args, "system-identifier");
    options->offline = cmd_flag(args, "offline");
    options->max_lag_ms = WAL_STATUS_LAG_MS;
    if (rc == 0 && max_lag != NULL && parse_duration(max_lag, &options->max_lag_ms) < 0)
        return error_context(ERROR_USAGE, "--max-lag");
    return rc;
}

int
cmd_wal_status(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP_WAL_STATUS struct wal_status status = { 0 };
    struct wal_status_options options;
    int rc = status_options(args, &options);

    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = wal_status_load(config, &options, &status);
    if (rc < 0)
        return rc;
    if (cmd_flag(args, "json"))
        cmd_wal_status_json(&status);
    else
        status_text(&status);
    return status.alarms.len > 0 ? CMD_DEGRADED : 0;
}
