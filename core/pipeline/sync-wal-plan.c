/* SPDX-License-Identifier: PostgreSQL
 *
 * Which WAL file is to go where: from the listings, wal_stores and what was asked
 * for. A name that has two contents goes nowhere: which of them is right, only people
 * can tell. Of a .partial each content is as good as the others.
 */
#include "config.h"

#include "pipeline/sync-private.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* ---- stores ---- */

/* Dumps need no WAL: where a cluster has jobs for nothing else, and nobody says that it archives, no store is opened for
 * it. */
static bool
wal_is_expected(const struct sync *sync)
{
    size_t dumps = 0;

    if (sync->cluster->cluster->wal_stores != NULL || sync->cluster->cluster->slot != NULL)
        return true;
    for (size_t i = 0; i < sync->config->jobs.len; i++) {
        const struct config_job *job = sync->config->jobs.items[i].job;

        if (strcmp(job->cluster, sync->cluster->name) != 0)
            continue;
        if (strcmp(job->kind, "dump") != 0)
            return true;
        dumps++;
    }
    return dumps == 0;
}

static bool
wal_is_meant(const struct sync_options *options)
{
    return options->job == NULL && options->id == NULL;
}

/* Is that one of the cluster's wal_stores? */
static bool
wal_is_wanted(const struct sync *sync, const char *name)
{
    const char *wal_stores = sync->cluster->cluster->wal_stores;
    CLEANUP_STRV struct strv wanted = { 0 };

    if (wal_stores == NULL)
        return true;
    option_words(wal_stores, &wanted);
    return strv_has(&wanted, name);
}

void
sync_wal_names(const struct sync *sync, struct strv *names)
{
    if (!wal_is_meant(sync->options) || sync_is_explicit(sync->options) || !wal_is_expected(sync))
        return;
    for (size_t i = 0; i < sync->config->stores.len; i++) {
        const char *name = sync->config->stores.items[i].name;

        if (wal_is_wanted(sync, name) && !strv_has(names, name))
            strv_add(names, name);
    }
}

static bool
wal_place(const struct sync *sync, const struct config_item *item, struct wal_place *ret_place)
{
    const struct sync_options *options = sync->options;
    bool wanted = sync_is_explicit(options) || wal_is_wanted(sync, item->name), open = false;
    struct storage *storage = NULL;

    for (size_t i = 0; i < sync->stores.len; i++)
        if (strcmp(storage_name(sync->stores.items[i]), item->name) == 0)
            storage = sync->stores.items[i];
    open = storage != NULL || (options->dry_run && strv_has(&sync->stores.empty, item->name));
    *ret_place = (struct wal_place){
        .item = item,
        .storage = storage,
        .source = options->from != NULL ? strcmp(options->from, item->name) == 0 : wanted,
        .target = wanted && (options->to == NULL || strcmp(options->to, item->name) == 0),
    };
    for (size_t i = 0; storage != NULL && i < sync->count; i++)
        if (sync->places[i].storage == storage)
            ret_place->full = sync->places[i].full;
    return open && (ret_place->source || wanted);
}

size_t
sync_wal_places(const struct sync *sync, struct wal_place **ret_places)
{
    struct wal_place *places = mem_zalloc((sync->config->stores.len + 1) * sizeof *places);
    size_t count = 0;

    for (size_t i = 0; wal_is_meant(sync->options) && i < sync->config->stores.len; i++)
        count += wal_place(sync, &sync->config->stores.items[i], &places[count]);
    *ret_places = places;
    return count;
}

/* The error in the slot: that one is left out. */
static int
wal_deafen(struct sync *sync, struct wal_place *place)
{
    if (cancel_requested())
        return cancel_check();
    log_slot_warn("no WAL is copied from or to that store");
    place->deaf = true;
    sync->result->stores_failed_required += place->item->store->required != 0;
    return 0;
}

int
sync_wal_systems(struct sync *sync, struct wal_plan *plan, struct strv *systems)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        struct wal_place *place = &plan->places[i];

        if (place->storage != NULL && wal_list_systems(place->storage, sync->cluster->name, systems) < 0)
            rc = wal_deafen(sync, place);
    }
    return rc;
}

int
sync_wal_list(struct sync *sync, struct wal_plan *plan, const char *system_identifier)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < plan->count; i++) {
        struct wal_place *place = &plan->places[i];

        if (place->storage != NULL && !place->deaf &&
            wal_list_add(place->storage, i, sync->cluster->name, system_identifier, &plan->list) < 0)
            rc = wal_deafen(sync, place);
    }
    return rc;
}

/* ---- files ---- */

/* The rows of one name begin at `at`: where they end. */
static size_t
wal_name_end(const struct wal_list *list, size_t at)
{
    size_t count;

    (void)wal_list_find(list, &list->rows[at].name, &count);
    return at + count;
}

static bool
wal_is_disputed(const struct wal_list *list, size_t at, size_t end)
{
    return list->rows[at].name.file != WAL_PARTIAL && strcmp(list->rows[at].digest, list->rows[end - 1].digest) != 0;
}

size_t
sync_wal_disputed(const struct wal_plan *plan)
{
    const struct wal_list *list = &plan->list;
    size_t count = 0;

    for (size_t at = 0, end; at < list->len; at = end) {
        const struct wal_row *one = &list->rows[at], *two;

        end = wal_name_end(list, at);
        if (!wal_is_disputed(list, at, end))
            continue;
        two = &list->rows[end - 1];
        if (count++ == 0) {
            CLEANUP_FREE char *file = wal_name_text(&one->name);

            (void)error_set(ERROR_CORRUPT, "there are two different '%s': digest %s in store '%s', %s in store '%s'",
                            file, one->digest, plan->places[one->store].item->name, two->digest,
                            plan->places[two->store].item->name);
        }
    }
    return count;
}

/* A .partial is of no use beside the whole segment. */
static bool
wal_is_whole(const struct wal_list *list, const struct wal_name *name)
{
    struct wal_name whole = *name;
    size_t count;

    whole.file = WAL_SEGMENT;
    return name->file == WAL_PARTIAL && wal_list_find(list, &whole, &count) != NULL;
}

/* The rows are all of one content. */
static bool
wal_is_lacking(const struct wal_plan *plan, size_t at, size_t end, size_t target)
{
    bool source = false;

    for (size_t i = at; i < end; i++) {
        const struct wal_place *place = &plan->places[plan->list.rows[i].store];

        if (plan->list.rows[i].store == target)
            return false;
        source |= place->source && !place->deaf;
    }
    return source;
}

/* The step for that timeline and place: the last one, or a new one. */
static size_t
wal_step(struct sync *sync, const struct wal_plan *plan, const struct wal_place *target, uint32_t timeline, size_t from)
{
    struct sync_result *result = sync->result;

    for (size_t i = from; i < result->wal_len; i++)
        if (result->wals[i].timeline == timeline)
            return i;
    MEM_GROW(result->wals, result->wal_len, result->wal_cap);
    result->wals[result->wal_len] = (struct sync_wal){
        .cluster = mem_strdup(sync->cluster->name),
        .system_identifier = mem_strdup(plan->list.system_identifier),
        .store = mem_strdup(target->item->name),
        .timeline = timeline,
        .required = target->item->store->required != 0,
        .outcome = SYNC_PLANNED,
    };
    return result->wal_len++;
}

static void
wal_step_add(struct sync_wal *step, const struct wal_row *row)
{
    CLEANUP_FREE char *name = wal_name_text(&row->name);

    if (step->first == NULL)
        step->first = mem_strdup(name);
    free(step->last);
    step->last = STEAL(name);
    step->files++;
    step->size += row->size;
}

size_t
sync_wal_errands(struct sync *sync, const struct wal_plan *plan, size_t target, struct wal_errand **ret_errands)
{
    const struct wal_list *list = &plan->list;
    struct wal_errand *errands = NULL;
    size_t len = 0, cap = 0, from = sync->result->wal_len;

    for (int history = 1; history >= 0; history--)
        for (size_t at = 0, end; at < list->len; at = end) {
            const struct wal_row *row = &list->rows[at];
            size_t name_end = wal_name_end(list, at);

            for (end = at + 1; end < name_end && strcmp(list->rows[end].digest, row->digest) == 0;)
                end++;
            if (wal_is_disputed(list, at, name_end)) {
                end = name_end;
                continue;
            }
            if ((row->name.file == WAL_HISTORY) != history || wal_is_whole(list, &row->name) ||
                !wal_is_lacking(plan, at, end, target))
                continue;
            MEM_GROW(errands, len, cap);
            errands[len] = (struct wal_errand){ row, end - at, 0 };
            errands[len].step = wal_step(sync, plan, &plan->places[target], row->name.timeline, from);
            wal_step_add(&sync->result->wals[errands[len++].step], row);
        }
    *ret_errands = errands;
    return len;
}
