/* SPDX-License-Identifier: PostgreSQL
 *
 * What somebody should look at: each alarm is a sentence with its numbers, and says the cure where there is one.
 */
#include "config.h"

#include "pipeline/wal-status-private.h"

#include "base/mem.h"
#include "base/parse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* "12 min", owned by the caller */
static char *
alarm_age(const struct wal_status *status, int64_t since_s)
{
    return format_duration(since_s < status->now_s ? (status->now_s - since_s) * 1000 : 0);
}

static bool
alarm_is_old(const struct wal_status *status, int64_t since_s)
{
    return (status->now_s - since_s) * 1000 > status->max_lag_ms;
}

static uint64_t
alarm_gap_count(const struct wal_view *view, enum wal_gap_kind kind, const struct wal_gap **ret_first)
{
    uint64_t count = 0;

    for (size_t i = 0; i < view->len; i++)
        if (view->gaps[i].kind == kind) {
            if (count == 0)
                *ret_first = &view->gaps[i];
            count += wal_status_count(&view->gaps[i].range);
        }
    return count;
}

static void
alarm_lost(struct wal_status *status)
{
    const struct wal_gap *gap;
    uint64_t lost = alarm_gap_count(&status->all, WAL_GAP_LOST, &gap);

    if (lost > 0) {
        CLEANUP_FREE char *text = wal_status_range_text(status, &gap->range);

        strv_addf(&status->alarms,
                  "%" PRIu64 " segment%s lost, the first: %s; a base backup begins a new window behind them", lost,
                  lost == 1 ? " is" : "s are", text);
    }
    lost = alarm_gap_count(&status->all, WAL_GAP_DISPUTED, &gap);
    if (lost > 0) {
        CLEANUP_FREE char *text = wal_status_range_text(status, &gap->range);

        strv_addf(&status->alarms,
                  "%" PRIu64 " segment%s two contents, the first: %s; did two servers archive to one place?", lost,
                  lost == 1 ? " has" : "s have", text);
    }
}

/* An optional store may lag; a required one that has what PostgreSQL was told to be archived may not. */
static void
alarm_store(struct wal_status *status, const struct wal_view *view)
{
    const struct wal_gap *gap;
    uint64_t lacking = alarm_gap_count(view, WAL_GAP_ELSEWHERE, &gap);

    if (!view->required || !view->wanted)
        return;
    if (lacking > 0) {
        CLEANUP_FREE char *text = wal_status_range_text(status, &gap->range);
        CLEANUP_FREE char *where = strv_join(&gap->where, "', '");

        strv_addf(&status->alarms, "store '%s' is without %" PRIu64 " segment%s that '%s' has, the first: %s; 'pgcask sync' copies what is "
                  "missing",
                  view->name, lacking, lacking == 1 ? "" : "s", where, text);
    }
    if (view->behind > 0 && alarm_is_old(status, view->behind_s)) {
        CLEANUP_FREE char *age = alarm_age(status, view->behind_s);

        strv_addf(&status->alarms, "store '%s' is %" PRIu64 " segment%s behind another one, for %s", view->name,
                  view->behind, view->behind == 1 ? "" : "s", age);
    }
}

/* A required store that was never used, beside others that are. */
static void
alarm_empty(struct wal_status *status)
{
    const struct strv *empty = &status->repo.stores.empty;
    CLEANUP_STRV struct strv wanted = { 0 };
    const char *wal_stores = status->repo.cluster->cluster->wal_stores;

    if (wal_stores != NULL)
        option_words(wal_stores, &wanted);
    for (size_t i = 0; status->all.files > 0 && i < empty->len; i++) {
        const struct config_item *store;

        if (config_find(&status->repo.config->stores, "store", empty->items[i], &store) == 0 && store->store->required &&
            (wal_stores == NULL || strv_has(&wanted, store->name)))
            strv_addf(&status->alarms, "store '%s' is empty", store->name);
    }
}

static bool
alarm_slot_is_ours(const struct wal_status *status, const struct wal_server_slot *slot)
{
    const char *own = status->repo.cluster->cluster->slot;

    return own != NULL && strcmp(own, slot->name) == 0;
}

static void
alarm_slots(struct wal_status *status)
{
    for (size_t i = 0; i < status->server.len; i++) {
        const struct wal_server_slot *slot = &status->server.slots[i];

        if (!alarm_slot_is_ours(status, slot))
            continue;
        if (slot->state != NULL && strcmp(slot->state, "lost") == 0)
            strv_addf(&status->alarms, "slot '%s' is lost: the server has removed WAL that was not received",
                      slot->name);
        else if (slot->state != NULL && strcmp(slot->state, "unreserved") == 0)
            strv_addf(&status->alarms, "slot '%s' is about to be lost: 'pgcask wal receive' is behind", slot->name);
        else if (!slot->active)
            strv_addf(&status->alarms, "nobody receives from slot '%s': is 'pgcask wal receive' running?", slot->name);
    }
}

static void
alarm_archiver(struct wal_status *status)
{
    const struct wal_server *server = &status->server;

    if (!server->archiver_known)
        return;
    if (!server->archives && !server->standby && status->repo.cluster->cluster->slot == NULL)
        strv_add(&status->alarms,
                 "no WAL leaves the server: archive_mode is off, and no slot is set; see 'pgcask wal setup'");
    if (server->last_failed != NULL && server->last_failed_s > server->last_archived_s) {
        CLEANUP_FREE char *age = alarm_age(status, server->last_failed_s);

        strv_addf(&status->alarms, "archiving fails: file '%s', last tried %s ago; the server's log says why",
                  server->last_failed, age);
    }
}

static void
alarm_server(struct wal_status *status)
{
    const struct wal_server *server = &status->server;

    alarm_archiver(status);
    alarm_slots(status);
    if (server->ready_count > 0 && alarm_is_old(status, server->ready_oldest_s)) {
        CLEANUP_FREE char *age = alarm_age(status, server->ready_oldest_s);

        strv_addf(&status->alarms, "%" PRIu64 " file%s to be archived, the first for %s", server->ready_count,
                  server->ready_count == 1 ? " waits" : "s wait", age);
    } else if (!server->ready_known && status->server_behind > 1 && alarm_is_old(status, status->all.newest_s)) {
        strv_addf(&status->alarms, "the stores are %" PRIu64 " segments behind the server", status->server_behind);
    }
}

/* What the newest timeline comes from has to be known, or nothing is said of what leads to it. */
static void
alarm_history(struct wal_status *status)
{
    for (size_t i = 0; i < status->history_len; i++) {
        const struct wal_history *history = &status->histories[i];

        if (history->len == 1 && history->entries[0].timeline != 1 &&
            history->entries[0].timeline == status->all.newest.timeline)
            strv_addf(&status->alarms,
                      "where timeline %" PRIu32 " comes from is not known: what can be restored along it is not, "
                      "either",
                      history->entries[0].timeline);
    }
}

/* Each store that could not be asked was warned of by repo_open. */
void
wal_alarms_make(struct wal_status *status)
{
    if (status->repo.stores.failed_required > 0)
        strv_addf(&status->alarms, "required stores that do not answer: %zu", status->repo.stores.failed_required);
    if (status->base_len == 0)
        strv_add(&status->alarms, "there is no base backup: nothing can be restored from this WAL");
    else if (status->all.windows.len == 0)
        strv_add(&status->alarms, "no base backup has the WAL that it needs: nothing can be restored");
    alarm_history(status);
    alarm_lost(status);
    for (size_t i = 0; i < status->view_len; i++)
        alarm_store(status, &status->views[i]);
    alarm_empty(status);
    if (status->server_answers)
        alarm_server(status);
}
