/* SPDX-License-Identifier: PostgreSQL
 *
 * The WAL that a base backup needs, in the stores where WAL is archived: without
 * it the backup cannot become consistent, so there is no success without it.
 */
#include "config.h"

#include "pipeline/base.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "catalog/wal-list.h"
#include "catalog/wal-range.h"
#include "pipeline/progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_FIRST_MS = 500, LOOK_LONGEST_MS = 10000 };

/* A store that WAL is archived to. */
struct wal_place {
    struct storage *storage;
    bool whole;
    struct wal_reach reach; /* how far it was at the last look */
    uint64_t missing;       /* segments */
    struct error why;       /* the last look failed */
};

struct wal_wait {
    struct base_run *run;
    struct stores others; /* where WAL is archived, but no backup of the job is */
    struct wal_place *places;
    size_t len;
    struct wal_history history;
    uint32_t timeline;
    uint64_t start_lsn, stop_lsn;
};

static void
wait_free(struct wal_wait *wait)
{
    for (size_t i = 0; i < wait->len; i++)
        error_free(&wait->places[i].why);
    free(wait->places);
    wal_history_free(&wait->history);
    stores_close(&wait->others);
}

/* ---- where to look ---- */

static struct storage *
find_open(const struct stores *stores, const char *name)
{
    for (size_t i = 0; i < stores->len; i++)
        if (strcmp(storage_name(stores->items[i]), name) == 0)
            return stores->items[i];
    return NULL;
}

/* The stores of wal_stores: those of the job are open already. One that cannot be opened was told of, and left out. */
static int
wait_open(struct wal_wait *wait)
{
    const struct base_run *run = wait->run;
    CLEANUP_STRV struct strv names = { 0 }, others = { 0 };

    if (run->cluster->cluster->wal_stores != NULL)
        option_words(run->cluster->cluster->wal_stores, &names);
    else
        for (size_t i = 0; i < run->config->stores.len; i++)
            strv_add(&names, run->config->stores.items[i].name);
    for (size_t i = 0; i < names.len; i++)
        if (find_open(run->stores, names.items[i]) == NULL)
            strv_add(&others, names.items[i]);
    if (others.len > 0 && stores_open(run->config, &others, PGCASK_OPEN_READONLY | STORES_EXISTING, &wait->others) < 0)
        log_slot_warn("the WAL is looked for in the other stores");
    wait->places = mem_zalloc((names.len + 1) * sizeof *wait->places);
    for (size_t i = 0; i < names.len; i++) {
        struct storage *storage = find_open(run->stores, names.items[i]);

        if (storage == NULL)
            storage = find_open(&wait->others, names.items[i]);
        if (storage != NULL)
            wait->places[wait->len++].storage = storage;
    }
    return cancel_check();
}

/* Of a standby that follows another server the timeline may change while it is read. */
static int
wait_history(struct wal_wait *wait)
{
    CLEANUP_BUF struct buf text = BUF_INIT(WAL_HISTORY_LIMIT_BYTES);
    uint32_t timeline = wait->run->stop_timeline;
    int rc =
        timeline == wait->timeline ? PGCASK_NOT_FOUND : replication_history(wait->run->replication, timeline, &text);

    if (rc == PGCASK_NOT_FOUND)
        return wal_history_read(timeline, NULL, 0, &wait->history);
    return rc < 0 ? rc : wal_history_read(timeline, text.data, text.len, &wait->history);
}

/* ---- a look ---- */

/* The segments from `start_lsn` up to and without `stop_lsn` that are not in `ranges`. */
static uint64_t
count_missing(const struct wal_wait *wait, const struct wal_ranges *ranges)
{
    uint32_t segment_bytes = wait->run->segment_bytes;
    uint64_t count = 0;

    for (uint64_t n = wait->start_lsn / segment_bytes; n <= (wait->stop_lsn - 1) / segment_bytes; n++) {
        uint64_t end = (n + 1) * segment_bytes;
        uint32_t timeline = wal_history_at(&wait->history, (end < wait->stop_lsn ? end : wait->stop_lsn) - 1);

        count += wal_range_find(&ranges->whole, timeline, n) == NULL;
    }
    return count;
}

/* All that the store has near the segments of the backup, whatever timeline it is of. */
static int
place_list(const struct wal_wait *wait, const struct wal_place *place, struct wal_list *list)
{
    const struct base_run *run = wait->run;
    CLEANUP_STRV struct strv prefixes = { 0 };
    int rc = 0;

    for (uint64_t n = wait->start_lsn / run->segment_bytes; n <= (wait->stop_lsn - 1) / run->segment_bytes; n++)
        for (size_t i = 0; i < wait->history.len; i++) {
            struct wal_name name = wal_segment_at(wait->history.entries[i].timeline, n, run->segment_bytes);
            CLEANUP_FREE char *prefix = label_wal_group(run->cluster->name, run->system.identifier, &name);

            if (wait->history.entries[i].timeline >= wait->timeline && !strv_has(&prefixes, prefix))
                strv_add(&prefixes, prefix);
        }
    for (size_t i = 0; rc == 0 && i < prefixes.len; i++)
        rc = wal_list_add_prefix(place->storage, 0, run->cluster->name, prefixes.items[i], list);
    return rc;
}

static int
place_look(const struct wal_wait *wait, struct wal_place *place)
{
    CLEANUP_WAL_LIST struct wal_list list = { 0 };
    CLEANUP_WAL_RANGES struct wal_ranges ranges = { 0 };
    int rc = place_list(wait, place, &list);

    if (rc < 0)
        return rc;
    wal_ranges_begin(&ranges, wait->run->segment_bytes);
    for (size_t i = 0; rc == 0 && i < list.len; i++)
        rc = wal_ranges_add(&ranges, &list.rows[i].name, list.rows[i].digest);
    wal_ranges_end(&ranges);
    if (rc < 0)
        return rc;
    wal_range_check(&ranges, &wait->history, wait->timeline, wait->start_lsn, wait->stop_lsn, &place->reach);
    place->whole = place->reach.end == WAL_REACH_ALL;
    place->missing = place->whole ? 0 : count_missing(wait, &ranges);
    return 0;
}

/* How many places still lack something. */
static size_t
wait_look(struct wal_wait *wait)
{
    size_t lacking = 0;

    for (size_t i = 0; i < wait->len; i++) {
        struct wal_place *place = &wait->places[i];
        int rc;

        if (place->whole)
            continue;
        error_free(&place->why);
        rc = place_look(wait, place);
        if (rc < 0)
            error_take(rc, &place->why);
        lacking += !place->whole;
    }
    return lacking;
}

/* ---- the verdict ---- */

static int
place_lacks(const struct wal_wait *wait, struct wal_place *place)
{
    const struct wal_reach *reach = &place->reach;
    CLEANUP_FREE char *file = NULL, *more = mem_strdup("");
    struct wal_name name;
    int rc;

    if (place->why.code != 0) {
        rc = error_put(&place->why);
        return error_context(rc, "whether it has the WAL of the backup is not known");
    }
    name = wal_segment_at(reach->missing.timeline, reach->missing.first, wait->run->segment_bytes);
    file = wal_name_text(&name);
    if (place->missing > 1) {
        free(more);
        more = mem_printf(" and %" PRIu64 " more", place->missing - 1);
    }
    return error_set(PGCASK_FAILED, "store '%s': WAL that the backup needs %s: segment %s%s",
                     storage_name(place->storage),
                     reach->end == WAL_REACH_DISPUTED ? "is there with two contents" : "is missing", file, more);
}

static int
wait_hint(const struct wal_wait *wait, int rc)
{
    if (wait->run->standby)
        return error_hint(rc, "a segment is archived when it is full: SELECT pg_switch_wal() on the primary, or set "
                              "archive_timeout there; the cluster's archive_command must be 'pgcask wal push %%p', or "
                              "'pgcask wal receive' must run; or take the WAL along: wal = include in the job");
    return error_hint(
        rc, "the server archives it with archive_command = 'pgcask wal push %%p' (see pg_stat_archiver and its "
            "log), or 'pgcask wal receive' must run; wal_timeout in the job says how long to wait; or take the "
            "WAL along: wal = include");
}

/* A store that lacks some is told of; it is an error when none has it all. */
static int
wait_judge(struct wal_wait *wait, size_t *ret_missing)
{
    size_t whole = 0, required = 0;
    struct wal_place *last = NULL;
    int rc;

    for (size_t i = 0; i < wait->len; i++)
        whole += wait->places[i].whole;
    for (size_t i = 0; i < wait->len; i++) {
        struct wal_place *place = &wait->places[i];

        if (place->whole)
            continue;
        required += storage_is_required(place->storage);
        if (last != NULL) {
            (void)place_lacks(wait, last);
            log_slot_warn("it is looked for in the other stores");
        }
        last = place;
    }
    if (last != NULL) {
        rc = wait_hint(wait, place_lacks(wait, last));
        if (whole == 0)
            return rc;
        log_slot_warn("the backup can be restored with the WAL of the other stores");
    }
    *ret_missing = required;
    return 0;
}

/* Required stores are waited for; one that is not gets its WAL when it can. */
static bool
wait_is_over(const struct wal_wait *wait)
{
    bool over = true, any = false;

    for (size_t i = 0; i < wait->len; i++) {
        any |= wait->places[i].whole;
        over &= wait->places[i].whole || !storage_is_required(wait->places[i].storage);
    }
    return over && any;
}

static int
wait_run(struct wal_wait *wait, size_t *ret_missing)
{
    int64_t begun_ms = clock_mono_ms(), limit_ms = wait->run->job->job->wal_timeout, pause_ms = LOOK_FIRST_MS;
    int rc = 0;

    if (wait->len == 0)
        return wait_hint(wait, error_set(PGCASK_FAILED, "none of the stores of the WAL can be read"));
    while (wait_look(wait) > 0 && !wait_is_over(wait) && rc == 0) {
        int64_t left_ms = limit_ms - (clock_mono_ms() - begun_ms);

        if (left_ms <= 0)
            break;
        rc = cancel_sleep_ms(pause_ms < left_ms ? pause_ms : left_ms);
        pause_ms = pause_ms * 2 < LOOK_LONGEST_MS ? pause_ms * 2 : LOOK_LONGEST_MS;
    }
    return rc < 0 ? rc : wait_judge(wait, ret_missing);
}

/* ---- before the backup ---- */

/* Is there WAL of this moment, or of up to 4 GiB before? */
static int
place_has_any(const struct wal_wait *wait, const struct wal_place *place, bool *ret_any)
{
    const struct base_run *run = wait->run;
    uint64_t now = run->system.lsn / run->segment_bytes, group = (UINT64_C(1) << 32) / run->segment_bytes;
    CLEANUP_WAL_LIST struct wal_list list = { 0 };
    int rc = 0;

    for (int back = 0; rc == 0 && back < 2; back++) {
        struct wal_name name =
            wal_segment_at(run->system.timeline, now >= group && back ? now - group : now, run->segment_bytes);
        CLEANUP_FREE char *prefix = label_wal_group(run->cluster->name, run->system.identifier, &name);

        rc = wal_list_add_prefix(place->storage, 0, run->cluster->name, prefix, &list);
    }
    *ret_any |= list.len > 0;
    return rc;
}

int
base_check_archive(struct base_run *run)
{
    struct wal_wait wait = { .run = run };
    CLEANUP_FREE char *mode = NULL;
    bool any = false;
    int rc;

    if (strcmp(run->job->job->wal, "archive") != 0 || run->standby)
        return 0;
    rc = replication_show(run->replication, "archive_mode", &mode);
    if (rc < 0 || strcmp(mode, "off") != 0)
        return rc;
    rc = wait_open(&wait);
    for (size_t i = 0; rc == 0 && i < wait.len; i++)
        rc = place_has_any(&wait, &wait.places[i], &any);
    wait_free(&wait);
    if (rc < 0 || any) /* then somebody else brings it: wal receive */
        return rc;
    (void)error_set(PGCASK_FAILED,
                    "the server archives no WAL (archive_mode = off), and without the WAL of its own time the "
                    "backup could not be restored");
    return error_hint(PGCASK_FAILED,
                      "'pgcask wal setup' shows the settings for an archive, 'pgcask wal receive' does without "
                      "any; or take that WAL along: wal = include in the job");
}

int
base_wal_wait(struct base_run *run, size_t *ret_missing)
{
    const struct manifest_base *base = run->writing->manifest->base;
    struct wal_wait wait = {
        .run = run, .timeline = base->timeline, .start_lsn = base->start_lsn, .stop_lsn = base->stop_lsn
    };
    CLEANUP_FREE char *from = wal_lsn_text(base->start_lsn), *to = wal_lsn_text(base->stop_lsn);
    int rc;

    if (base->wal_included || base->stop_lsn == base->start_lsn)
        return 0;
    rc = wait_history(&wait);
    if (rc == 0)
        rc = wait_open(&wait);
    if (rc == 0) {
        log_info("waiting for the WAL from %s to %s", from, to);
        progress_begin("waiting for WAL", 0);
        rc = wait_run(&wait, ret_missing);
        progress_end();
    }
    wait_free(&wait);
    return rc;
}
