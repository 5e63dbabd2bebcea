/* SPDX-License-Identifier: PostgreSQL
 *
 * Where `wal receive` goes on with a server. A gap is never passed over in silence.
 */
#include "config.h"

#include "pipeline/receive-private.h"

#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>

/* ---- gaps ---- */

int
receive_gap_error(const struct receive *receive, const char *reason)
{
    struct wal_name name = wal_segment_at(receive->point.timeline, receive->point.segment, receive->segment_bytes);
    CLEANUP_FREE char *lsn = wal_lsn_text(receive_point_lsn(&receive->point, receive->segment_bytes));
    CLEANUP_FREE char *file = wal_name_text(&name);

    (void)error_set(PGCASK_NOT_FOUND, "there is a gap in the WAL: from %s ('%s') on it can no more be received: %s",
                    lsn, file, reason);
    return error_hint(PGCASK_NOT_FOUND,
                      "what the server still has is received from its current segment on with 'pgcask wal "
                      "receive --accept-gap'; take a new base backup then: older ones reach up to the gap only");
}

/* Begin at what is there now, loudly, when that was asked for; else the error that is in the slot. */
static int
gap_accept(struct receive *receive, int code)
{
    struct receive_point now = { receive->timeline, receive->server_lsn / receive->segment_bytes };
    CLEANUP_FREE char *lsn = NULL;

    if (!receive->options->accept_gap || receive->gap_accepted)
        return code;
    if (receive->slot_lsn != 0 && receive->slot_lsn / receive->segment_bytes > receive->point.segment)
        now.segment = receive->slot_lsn / receive->segment_bytes;
    now.timeline = wal_history_at(&receive->history, receive_point_lsn(&now, receive->segment_bytes));
    lsn = wal_lsn_text(receive_point_lsn(&now, receive->segment_bytes));
    receive->point = now;
    receive->gap_accepted = true;
    log_slot_warn("which is accepted");
    log_warn("going on at %s of timeline %" PRIu32 ": take a new base backup now, older ones reach up to the gap only",
             lsn, now.timeline);
    return 0;
}

/* Let the spool say where to go on, from now on. */
static int
point_keep(struct receive *receive)
{
    CLEANUP(spool_writer_close) struct spool_writer *writer = NULL;

    return spool_writer_open(receive->dir, receive->system, receive->point.timeline, receive->point.segment,
                             receive->segment_bytes, &writer);
}

int
receive_gap(struct receive *receive)
{
    struct wal_ranges archive;
    struct receive_facts facts = { .segment_bytes = receive->segment_bytes,
                                   .history = &receive->history,
                                   .archive = &archive };
    CLEANUP_FREE char *reason = mem_strdup(error_text()), *lsn = NULL;
    struct receive_point point = receive->point;
    int rc = receive_archive_load(receive->config, receive->cluster, receive->system, receive->segment_bytes, &archive,
                                  NULL);

    if (rc < 0)
        return rc;
    if (receive_plan_pass(&facts, &point)) {
        lsn = wal_lsn_text(receive_point_lsn(&point, receive->segment_bytes));
        log_warn("the server has removed WAL that was not received, but it is archived by now up to %s: going on there",
                 lsn);
        receive->point = point;
    } else
        rc = gap_accept(receive, receive_gap_error(receive, reason));
    wal_ranges_free(&archive);
    return rc < 0 ? rc : point_keep(receive);
}

/* ---- where to go on ---- */

static bool
point_is_behind(const struct receive_point *a, const struct receive_point *b)
{
    return a->timeline != b->timeline ? a->timeline > b->timeline : a->segment > b->segment;
}

/* Where the spool ends; false: it has nothing of this system. */
static bool
spool_end(const struct receive *receive, const struct spool_items *items, struct receive_point *ret_end)
{
    bool found = false;

    for (size_t i = 0; i < items->len; i++) {
        const struct spool_item *item = &items->items[i];
        struct receive_point end = { item->name.timeline, wal_segment_number(&item->name, receive->segment_bytes) };

        if (strcmp(item->system, receive->system) != 0 || item->name.file == WAL_HISTORY)
            continue;
        end.segment += item->name.file == WAL_SEGMENT;
        if (!found || point_is_behind(&end, ret_end))
            *ret_end = end;
        found = true;
    }
    return found;
}

/* Whatever else is in the spool is to be archived and taken away. */
void
receive_adopt_spool(struct receive *receive, const struct spool_items *items)
{
    for (size_t i = 0; i < items->len; i++) {
        const struct spool_item *item = &items->items[i];
        bool own = strcmp(item->system, receive->system) == 0;
        uint64_t number = wal_segment_number(&item->name, receive->segment_bytes);

        if (own && item->name.file == WAL_PARTIAL && item->name.timeline == receive->point.timeline &&
            number == receive->point.segment)
            continue;
        if (item->name.file == WAL_PARTIAL && item->size == 0)
            (void)spool_remove(receive->dir, item->system, &item->name); /* nothing is in it; next time, else */
        else if (item->name.file == WAL_PARTIAL)
            archiver_add(receive->archiver, item, own ? number * receive->segment_bytes : 0, false);
    }
}

static void
plan_tell(const struct receive *receive, const struct receive_plan *plan, bool others)
{
    static const char *const origins[] = {
        [RECEIVE_FROM_SPOOL] = "spool", [RECEIVE_FROM_ARCHIVE] = "archive", [RECEIVE_FROM_SLOT] = "slot's mark"
    };
    CLEANUP_FREE char *lsn = wal_lsn_text(receive_point_lsn(&plan->point, receive->segment_bytes));

    if (plan->forked != 0)
        log_warn("the server has left timeline %" PRIu32 " before the end of what was received of that one: what is "
                 "behind that place stays in the archive, but is not on the server",
                 plan->forked);
    if (plan->origin == RECEIVE_FROM_NOW)
        log_warn("there is no WAL of the server with the system identifier %s in the archive yet%s: beginning at %s of "
                 "timeline %" PRIu32 "; base backups from now on can be restored with it",
                 receive->system, others ? " (but of other servers: was it upgraded or made anew?)" : "", lsn,
                 plan->point.timeline);
    else
        log_info("going on at %s of timeline %" PRIu32 ", where the %s ends", lsn, plan->point.timeline,
                 origins[plan->origin]);
}

/* A primary that has less WAL than it has sent was set back: what it writes from now on is another history under the
 * same names. A standby may only be behind. */
static int
resume_check_behind(struct receive *receive, const struct spool_items *items)
{
    uint64_t have = receive_point_lsn(&receive->point, receive->segment_bytes);
    const struct spool_item *open = spool_items_open(items, receive->system);
    CLEANUP_FREE char *read_only = NULL, *server = wal_lsn_text(receive->server_lsn), *ours = NULL;
    int rc;

    if (receive->point.timeline != receive->timeline)
        return 0;
    if (open != NULL && wal_segment_number(&open->name, receive->segment_bytes) == receive->point.segment &&
        open->name.timeline == receive->timeline)
        have += open->size;
    if (have <= receive->server_lsn)
        return 0;
    ours = wal_lsn_text(have);
    rc = replication_show(receive->conn, "transaction_read_only", &read_only);
    if (rc < 0)
        return rc;
    if (strcmp(read_only, "on") == 0)
        return error_set(PGCASK_RETRY,
                         "the server has WAL up to %s only, it was received up to %s: is the standby behind?", server,
                         ours);
    (void)error_set(ERROR_CORRUPT,
                    "the server has WAL up to %s only, but had sent it up to %s: it was set back to an "
                    "earlier state",
                    server, ours);
    return error_hint(ERROR_CORRUPT,
                      "what it writes now is another history under the same names, and is not archived; restore "
                      "it with point-in-time recovery instead, which begins a new timeline");
}

int
receive_resume(struct receive *receive, const struct spool_items *items)
{
    struct wal_ranges archive = { 0 };
    struct receive_facts facts = {
        .segment_bytes = receive->segment_bytes,
        .history = &receive->history,
        .server_lsn = receive->server_lsn,
        .slot_lsn = receive->slot_lsn,
    };
    struct receive_plan plan;
    bool others = false;
    int rc = 0;

    facts.spooled = spool_end(receive, items, &facts.spool);
    if (!receive_plan_is_spooled(&facts)) {
        rc = receive_archive_load(receive->config, receive->cluster, receive->system, receive->segment_bytes, &archive,
                                  &others);
        facts.archive = &archive;
    }
    if (rc == 0) {
        rc = receive_plan_make(&facts, &plan);
        if (rc == 0) {
            receive->point = plan.point;
            rc = resume_check_behind(receive, items);
            if (rc == 0)
                plan_tell(receive, &plan, others);
        } else
            rc = gap_accept(receive, rc);
        wal_ranges_free(&archive);
    }
    return rc;
}
