/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/wal-status.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/option-value.h"
#include "pg/replication.h"
#include "pipeline/keys.h"
#include "pipeline/wal-read.h"
#include "pipeline/wal-status-private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

enum { SEGMENT_DEFAULT_BYTES = 16 << 20 /* what initdb chooses */ };

uint64_t
wal_status_count(const struct wal_range *range)
{
    return range->last - range->first + 1;
}

char *
wal_status_range_text(const struct wal_status *status, const struct wal_range *range)
{
    struct wal_name first = wal_segment_at(range->timeline, range->first, status->segment_bytes);
    struct wal_name last = wal_segment_at(range->timeline, range->last, status->segment_bytes);
    CLEANUP_FREE char *first_text = wal_name_text(&first), *last_text = wal_name_text(&last);

    return range->first == range->last ? STEAL(first_text) : mem_printf("%s to %s", first_text, last_text);
}

int64_t
wal_status_time(const struct wal_status *status, const struct wal_reach *reach)
{
    struct wal_name name =
        wal_segment_at(reach->timeline, (reach->lsn - 1) / status->segment_bytes, status->segment_bytes);
    size_t count;
    const struct wal_row *rows = wal_list_find(&status->list, &name, &count);
    int64_t time_s = 0;

    for (size_t i = 0; i < count; i++)
        if (rows[i].mtime_s > 0 && (time_s == 0 || rows[i].mtime_s < time_s))
            time_s = rows[i].mtime_s;
    return time_s;
}

/* ---- the server ---- */

/* Room where its WAL is, when that is on this host: asked of the kernel, without being let in. */
static uint64_t
status_free_bytes(const struct wal_status *status, struct pg_conn *conn)
{
    const char *host = PQhost(pg_raw(conn)), *dir = status->server.wal_dir;
    struct statvfs fs;

    if (dir == NULL || host == NULL || *host != '/' || status->repo.cluster->cluster->exec != NULL ||
        statvfs(dir, &fs) < 0)
        return 0;
    return (uint64_t)fs.f_bavail * fs.f_frsize;
}

/* One that does not answer is what this report may be wanted for. */
static int
status_ask_server(struct wal_status *status)
{
    const struct config_cluster *cluster = status->repo.cluster->cluster;
    const struct pg_server server = { cluster->conninfo, cluster->password };
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    int rc = pg_connect(&server, NULL, &conn);

    if (rc == 0)
        rc = wal_server_ask(conn, &status->server);
    if (cancel_requested())
        return cancel_or(rc);
    if (rc < 0) {
        error_take(rc, &status->server_error);
        return 0;
    }
    status->server_answers = true;
    status->free_bytes = status_free_bytes(status, conn);
    return 0;
}

/* ---- whose WAL ---- */

static void
status_add_system(struct strv *systems, const char *system)
{
    if (system != NULL && !strv_has(systems, system))
        strv_add(systems, system);
}

static int64_t
status_newest_s(const struct wal_list *list)
{
    int64_t newest_s = 0;

    for (size_t i = 0; i < list->len; i++)
        newest_s = list->rows[i].mtime_s > newest_s ? list->rows[i].mtime_s : newest_s;
    return newest_s;
}

static int
status_list(const struct wal_status *status, const char *system, struct wal_list *ret_list)
{
    const struct stores *stores = &status->repo.stores;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < stores->len; i++)
        rc = wal_list_add(stores->items[i], i, status->repo.cluster->name, system, ret_list);
    return rc;
}

/* The one that wrote last. */
static int
status_choose_system(struct wal_status *status, const struct strv *systems)
{
    int64_t best_s = -1;

    for (size_t i = 0; i < systems->len; i++) {
        CLEANUP_WAL_LIST struct wal_list list = { 0 };
        int rc = systems->len > 1 ? status_list(status, systems->items[i], &list) : 0;

        if (rc < 0)
            return rc;
        if (status_newest_s(&list) > best_s) {
            best_s = status_newest_s(&list);
            free(status->system_identifier);
            status->system_identifier = mem_strdup(systems->items[i]);
        }
    }
    return 0;
}

/* The server's, where it answers; else what the stores know. */
static int
status_find_system(struct wal_status *status, const char *wanted)
{
    CLEANUP_STRV struct strv systems = { 0 };
    const struct stores *stores = &status->repo.stores;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < stores->len; i++)
        rc = wal_list_systems(stores->items[i], status->repo.cluster->name, &systems);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < status->repo.catalog->len; i++) {
        const struct manifest *manifest = status->repo.catalog->backups[i].loaded;

        if (manifest != NULL && manifest->base != NULL)
            status_add_system(&systems, manifest->system_identifier);
    }
    if (wanted != NULL)
        status->system_identifier = mem_strdup(wanted);
    else if (status->server_answers)
        status->system_identifier = mem_strdup(status->server.system_identifier);
    else
        rc = status_choose_system(status, &systems);
    for (size_t i = 0; i < systems.len; i++)
        if (status->system_identifier == NULL || strcmp(systems.items[i], status->system_identifier) != 0)
            strv_add(&status->others, systems.items[i]);
    return rc;
}

/* ---- base backups ---- */

static void
status_add_base(struct wal_status *status, const struct catalog_backup *backup, const struct manifest *manifest)
{
    const struct manifest_base *base = manifest->base;
    struct wal_status_base *facts;

    MEM_GROW(status->bases, status->base_len, status->base_cap);
    MEM_GROW(status->base_facts, status->base_len, status->base_fact_cap);
    status->bases[status->base_len] = (struct wal_base){
        .timeline = base->timeline,
        .start_lsn = base->start_lsn,
        .stop_lsn = base->stop_lsn,
        .finished_s = manifest->finished_s,
        .wal_included = base->wal_included,
    };
    facts = &status->base_facts[status->base_len++];
    facts->id = backup->id;
    facts->parent = base->parent;
    facts->in_store = mem_zalloc((status->repo.stores.len + 1) * sizeof *facts->in_store);
    for (size_t i = 0; i < backup->len; i++)
        facts->in_store[backup->copies[i].store] = backup->copies[i].manifest && backup->copies[i].state != CATALOG_BAD;
}

/* One whose manifest cannot be read is no evidence. */
static int
status_read_manifests(struct wal_status *status)
{
    const struct catalog *catalog = status->repo.catalog;

    catalog_prefetch(catalog, NULL);
    for (size_t i = 0; i < catalog->len; i++) {
        const struct manifest *manifest;

        if (catalog_exists(&catalog->backups[i]) && catalog_manifest(catalog, &catalog->backups[i], &manifest) < 0) {
            if (cancel_requested())
                return cancel_or(PGCASK_FAILED);
            log_slot_warn("that backup is left out");
        }
    }
    return 0;
}

static void
status_take_bases(struct wal_status *status)
{
    const struct catalog *catalog = status->repo.catalog;

    for (size_t i = 0; i < catalog->len; i++) {
        const struct manifest *manifest = catalog->backups[i].loaded;

        if (manifest != NULL && manifest->base != NULL && manifest->system_identifier != NULL &&
            status->system_identifier != NULL && strcmp(manifest->system_identifier, status->system_identifier) == 0)
            status_add_base(status, &catalog->backups[i], manifest);
    }
}

static void
status_segment_bytes(struct wal_status *status)
{
    const struct catalog *catalog = status->repo.catalog;

    if (status->server_answers && strcmp(status->server.system_identifier, status->system_identifier) == 0)
        status->segment_bytes = status->server.segment_bytes;
    for (size_t i = 0; status->segment_bytes == 0 && i < status->base_len; i++)
        status->segment_bytes = catalog_get(catalog, status->base_facts[i].id)->loaded->base->segment_bytes;
    status->segment_guessed = status->segment_bytes == 0;
    if (status->segment_guessed)
        status->segment_bytes = SEGMENT_DEFAULT_BYTES;
}

/* ---- timelines ---- */

static void
status_add_timeline(struct strv *timelines, uint32_t timeline)
{
    CLEANUP_FREE char *text = mem_printf("%08" PRIX32, timeline);

    if (!strv_has(timelines, text))
        strv_add(timelines, text);
}

/* A host that cannot read its own backups may ask the server. */
static int
status_ask_history(const struct wal_status *status, uint32_t timeline, struct wal_history *ret_history)
{
    const struct config_cluster *cluster = status->repo.cluster->cluster;
    const struct pg_server server = { cluster->conninfo, cluster->password };
    CLEANUP(replication_close) struct replication *replication = NULL;
    CLEANUP_BUF struct buf text = BUF_INIT(WAL_HISTORY_LIMIT_BYTES);
    int rc = replication_connect(&server, NULL, &replication);

    if (rc == 0)
        rc = replication_history(replication, timeline, &text);
    if (rc == 0)
        rc = wal_history_read(timeline, text.data != NULL ? text.data : "", text.len, ret_history);
    return rc;
}

/* Without its history, a timeline stands for itself. */
static int
status_add_history(struct wal_status *status, const struct wal_reader *reader, uint32_t timeline)
{
    struct wal_history history = { 0 };
    struct error why;
    int rc = wal_read_history(reader, &status->list, timeline, &history);

    if (rc < 0 && cancel_requested())
        return cancel_or(rc);
    if (rc < 0) {
        error_take(rc, &why);
        rc = status->server_answers ? status_ask_history(status, timeline, &history) : rc;
        if (rc < 0) {
            strv_addf(&status->unknown, "where timeline %" PRIu32 " comes from is not known: %s", timeline, why.text);
            rc = wal_history_read(timeline, NULL, 0, &history);
        }
        error_free(&why);
        error_clear();
    }
    if (rc == 0) {
        MEM_GROW(status->histories, status->history_len, status->history_cap);
        status->histories[status->history_len++] = history;
    }
    return rc;
}

static int
status_histories(struct wal_status *status)
{
    CLEANUP_STRV struct strv timelines = { 0 };
    CLEANUP(age_identities_free) struct age_identities *identities = NULL;
    CLEANUP(blob_tools_free) struct blob_tools *tools = blob_tools_new(1);
    struct wal_reader reader = {
        .stores = status->repo.stores.items,
        .cluster = status->repo.cluster->name,
        .system_identifier = status->system_identifier,
        .tools = tools,
    };
    int rc = keys_identities(status->repo.config, true, &identities);

    reader.identities = identities;
    for (size_t i = 0; i < status->list.len; i++)
        status_add_timeline(&timelines, status->list.rows[i].name.timeline);
    for (size_t i = 0; i < status->base_len; i++)
        status_add_timeline(&timelines, status->bases[i].timeline);
    strv_sort(&timelines);
    for (size_t i = 0; rc == 0 && i < timelines.len; i++)
        rc = status_add_history(status, &reader, (uint32_t)strtoul(timelines.items[i], NULL, 16));
    return rc;
}

/* ---- all of it ---- */

static void
status_views(struct wal_status *status)
{
    CLEANUP_STRV struct strv wanted = { 0 };
    const char *wal_stores = status->repo.cluster->cluster->wal_stores;

    if (wal_stores != NULL)
        option_words(wal_stores, &wanted);
    status->view_len = status->repo.stores.len;
    status->views = mem_zalloc((status->view_len + 1) * sizeof *status->views);
    for (size_t i = 0; i < status->view_len; i++) {
        struct storage *storage = status->repo.stores.items[i];

        status->views[i].name = storage_name(storage);
        status->views[i].required = storage_is_required(storage);
        status->views[i].wanted = wal_stores == NULL || strv_has(&wanted, storage_name(storage));
    }
    wal_views_make(status);
}

/* Those that are full: the one at `lsn` is not. */
static void
status_server_behind(struct wal_status *status)
{
    const struct wal_range *newest = &status->all.newest;
    uint64_t full = status->server.lsn / status->segment_bytes;

    if (newest->timeline == 0 || newest->timeline > status->server.timeline || full <= newest->last + 1)
        return;
    status->server_behind = full - newest->last - 1;
}

static int
status_gather(struct wal_status *status, const struct wal_status_options *options)
{
    int rc = options->offline ? 0 : status_ask_server(status);

    if (rc == 0)
        rc = status_read_manifests(status);
    if (rc == 0)
        rc = status_find_system(status, options->system_identifier);
    if (rc < 0 || status->system_identifier == NULL)
        return rc;
    status_take_bases(status);
    status_segment_bytes(status);
    rc = status_list(status, status->system_identifier, &status->list);
    return rc < 0 ? rc : status_histories(status);
}

int
wal_status_load(const struct config *config, const struct wal_status_options *options, struct wal_status *ret_status)
{
    CLEANUP_WAL_STATUS struct wal_status status = { .max_lag_ms = options->max_lag_ms };
    int rc = repo_open(config, options->cluster, options->store, PGCASK_OPEN_READONLY, &status.repo);

    if (rc == 0)
        rc = status_gather(&status, options);
    if (rc < 0)
        return rc;
    status.now_s = clock_now_s();
    if (status.segment_bytes != 0) {
        status_views(&status);
        if (status.server_answers && strcmp(status.server.system_identifier, status.system_identifier) == 0)
            status_server_behind(&status);
    }
    wal_alarms_make(&status);
    *ret_status = status;
    status = (struct wal_status){ 0 };
    return 0;
}

void
wal_status_free(struct wal_status *status)
{
    wal_views_free(status);
    repo_close(&status->repo);
    free(status->system_identifier);
    strv_free(&status->others);
    wal_list_free(&status->list);
    for (size_t i = 0; i < status->history_len; i++)
        wal_history_free(&status->histories[i]);
    free(status->histories);
    strv_free(&status->unknown);
    for (size_t i = 0; i < status->base_len; i++)
        free(status->base_facts[i].in_store);
    free(status->bases);
    free(status->base_facts);
    error_free(&status->server_error);
    wal_server_free(&status->server);
    strv_free(&status->alarms);
    *status = (struct wal_status){ 0 };
}

void
cleanup_wal_status(struct wal_status *status)
{
    wal_status_free(status);
}
