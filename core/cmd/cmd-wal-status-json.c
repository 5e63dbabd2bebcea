/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask wal status --json: all that the report knows. Names and words are an interface.
 */
#include "config.h"

#include "cmd/cmd-wal.h"

#include "base/clock.h"
#include "base/json.h"
#include "pipeline/wal-status.h"

#include <stdio.h>

static const char *const gap_words[] = {
    [WAL_GAP_LOST] = "lost", [WAL_GAP_ELSEWHERE] = "elsewhere", [WAL_GAP_WAITING] = "waiting",
    [WAL_GAP_LATE] = "late", [WAL_GAP_DISPUTED] = "disputed",
};
static const char *const end_words[] = {
    [WAL_REACH_ALL] = "all",
    [WAL_REACH_MISSING] = "missing",
    [WAL_REACH_DISPUTED] = "disputed",
    [WAL_REACH_ASTRAY] = "astray",
};

static void
put_text(json_t *object, const char *key, const char *text)
{
    (void)json_object_set_new(object, key, text != NULL ? json_text(text) : json_null());
}

/* Takes ownership. */
static void
put_taken(json_t *object, const char *key, char *text)
{
    CLEANUP_FREE char *owned = text;

    put_text(object, key, owned);
}

static void
put_number(json_t *object, const char *key, uint64_t number)
{
    (void)json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void
put_bool(json_t *object, const char *key, bool value)
{
    (void)json_object_set_new(object, key, json_boolean(value));
}

/* null for a time not known */
static void
put_time(json_t *object, const char *key, int64_t when_s)
{
    put_taken(object, key, when_s > 0 ? clock_iso(when_s) : NULL);
}

static void
put_words(json_t *object, const char *key, const struct strv *words)
{
    json_t *array = json_array();

    for (size_t i = 0; i < words->len; i++)
        (void)json_array_append_new(array, json_text(words->items[i]));
    (void)json_object_set_new(object, key, array);
}

static json_t *
status_slots(const struct wal_server *server)
{
    json_t *slots = json_array();

    for (size_t i = 0; i < server->len; i++) {
        const struct wal_server_slot *slot = &server->slots[i];
        json_t *row = json_object();

        put_text(row, "name", slot->name);
        put_bool(row, "active", slot->active);
        put_text(row, "state", slot->state);
        put_number(row, "retained_bytes", slot->retained_bytes);
        (void)json_object_set_new(row, "safe_bytes",
                                  slot->safe_bytes < 0 ? json_null() : json_integer((json_int_t)slot->safe_bytes));
        (void)json_array_append_new(slots, row);
    }
    return slots;
}

static json_t *
status_archiver(const struct wal_server *server)
{
    json_t *row = json_object();

    put_bool(row, "on", server->archives);
    put_number(row, "archived", (uint64_t)server->archived);
    put_text(row, "last_archived", server->last_archived);
    put_time(row, "last_archived_at", server->last_archived_s);
    put_number(row, "failed", (uint64_t)server->failed);
    put_text(row, "last_failed", server->last_failed);
    put_time(row, "last_failed_at", server->last_failed_s);
    return row;
}

static json_t *
status_backlog(const struct wal_status *status)
{
    const struct wal_server *server = &status->server;
    json_t *row = json_object();

    put_number(row, "files", server->ready_count);
    put_time(row, "oldest", server->ready_oldest_s);
    (void)json_object_set_new(row, "pg_wal_bytes",
                              server->files_known ? json_integer((json_int_t)server->files_bytes) : json_null());
    (void)json_object_set_new(row, "free_bytes",
                              status->free_bytes > 0 ? json_integer((json_int_t)status->free_bytes) : json_null());
    return row;
}

static json_t *
status_server(const struct wal_status *status)
{
    const struct wal_server *server = &status->server;
    const struct wal_range *newest = &status->all.newest;
    uint64_t end = (newest->last + 1) * status->segment_bytes;
    json_t *row = json_object();

    put_text(row, "version", server->version);
    put_text(row, "system_identifier", server->system_identifier);
    put_bool(row, "standby", server->standby);
    put_number(row, "timeline", server->timeline);
    put_taken(row, "lsn", wal_lsn_text(server->lsn));
    if (newest->timeline != 0 && newest->timeline <= server->timeline) {
        put_number(row, "lag_segments", status->server_behind);
        put_number(row, "lag_bytes", server->lsn > end ? server->lsn - end : 0);
    }
    (void)json_object_set_new(row, "archiver", server->archiver_known ? status_archiver(server) : json_null());
    (void)json_object_set_new(row, "backlog", server->ready_known ? status_backlog(status) : json_null());
    (void)json_object_set_new(row, "slots", status_slots(server));
    return row;
}

static json_t *
status_windows(const struct wal_status *status, const struct wal_view *view)
{
    json_t *windows = json_array();

    for (size_t i = 0; i < view->windows.len; i++) {
        const struct wal_window *window = &view->windows.items[i];
        json_t *row = json_object(), *bases = json_array();

        put_number(row, "timeline", window->timeline);
        put_taken(row, "from_lsn", wal_lsn_text(window->from_lsn));
        put_time(row, "from", window->from_s);
        put_taken(row, "to_lsn", wal_lsn_text(window->reach.lsn));
        put_time(row, "to", wal_status_time(status, &window->reach));
        put_text(row, "ends", end_words[window->reach.end]);
        put_taken(row, "ends_at", wal_status_range_text(status, &window->reach.missing));
        put_bool(row, "partial", window->reach.partial);
        for (size_t j = 0; j < window->len; j++)
            (void)json_array_append_new(bases, json_text(status->base_facts[window->bases[j]].id));
        (void)json_object_set_new(row, "base_backups", bases);
        (void)json_array_append_new(windows, row);
    }
    return windows;
}

static json_t *
status_gaps(const struct wal_status *status, const struct wal_view *view)
{
    json_t *gaps = json_array();

    for (size_t i = 0; i < view->len; i++) {
        const struct wal_gap *gap = &view->gaps[i];
        struct wal_name first = wal_segment_at(gap->range.timeline, gap->range.first, status->segment_bytes);
        struct wal_name last = wal_segment_at(gap->range.timeline, gap->range.last, status->segment_bytes);
        json_t *row = json_object();

        put_taken(row, "first", wal_name_text(&first));
        put_taken(row, "last", wal_name_text(&last));
        put_number(row, "segments", wal_status_count(&gap->range));
        put_text(row, "kind", gap_words[gap->kind]);
        put_words(row, "stores", &gap->where);
        (void)json_array_append_new(gaps, row);
    }
    return gaps;
}

static json_t *
status_store(const struct wal_status *status, const struct wal_view *view)
{
    json_t *row = json_object();

    put_text(row, "name", view->name);
    put_bool(row, "required", view->required);
    put_bool(row, "archives", view->wanted);
    put_number(row, "files", view->files);
    put_number(row, "stored_bytes", view->stored_bytes);
    put_taken(row, "newest", view->newest.timeline != 0 ? wal_status_range_text(status, &view->newest) : NULL);
    put_time(row, "newest_at", view->newest.timeline != 0 ? view->newest_s : 0);
    put_number(row, "behind", view->behind);
    put_time(row, "behind_since", view->behind_s);
    (void)json_object_set_new(row, "restorable", status_windows(status, view));
    (void)json_object_set_new(row, "gaps", status_gaps(status, view));
    return row;
}

void
cmd_wal_status_json(const struct wal_status *status)
{
    CLEANUP_JSON json_t *root = json_object();
    CLEANUP_FREE char *text = NULL;
    json_t *stores = json_array();

    put_text(root, "cluster", status->repo.cluster->name);
    put_text(root, "system_identifier", status->system_identifier);
    put_words(root, "other_systems", &status->others);
    put_number(root, "segment_bytes", status->segment_bytes);
    put_time(root, "at", status->now_s);
    (void)json_object_set_new(root, "server", status->server_answers ? status_server(status) : json_null());
    put_text(root, "server_error", status->server_error.text);
    (void)json_object_set_new(root, "restorable", status_windows(status, &status->all));
    (void)json_object_set_new(root, "gaps", status_gaps(status, &status->all));
    for (size_t i = 0; i < status->view_len; i++)
        (void)json_array_append_new(stores, status_store(status, &status->views[i]));
    (void)json_object_set_new(root, "stores", stores);
    put_words(root, "unknown", &status->unknown);
    put_words(root, "alarms", &status->alarms);
    text = json_pretty(root);
    (void)fputs(text, stdout);
}
