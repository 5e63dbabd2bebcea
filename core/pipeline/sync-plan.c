/* SPDX-License-Identifier: PostgreSQL
 *
 * Who should have which backup, and who can give it: from the listings, the jobs and
 * what was asked for. Changes nothing, asks no store.
 */
#include "config.h"

#include "pipeline/sync-private.h"

#include "base/error.h"

#include <string.h>

static bool
sync_is(const char *wanted, const char *name)
{
    return wanted == NULL || strcmp(wanted, name) == 0;
}

bool
sync_is_explicit(const struct sync_options *options)
{
    return options->id != NULL || (options->from != NULL && options->to != NULL);
}

int
sync_check_options(const struct sync *sync)
{
    const struct sync_options *options = sync->options;
    const struct config_item *unused;
    int rc = 0;

    if (options->from != NULL)
        rc = config_find(&sync->config->stores, "store", options->from, &unused);
    if (rc == 0 && options->to != NULL)
        rc = config_find(&sync->config->stores, "store", options->to, &unused);
    if (rc == 0 && options->job != NULL && !sync_is_explicit(options))
        rc = config_find(&sync->config->jobs, "job", options->job, &unused);
    if (rc == 0 && options->from != NULL && options->to != NULL && strcmp(options->from, options->to) == 0)
        rc = error_set(ERROR_USAGE, "from store '%s' to itself there is nothing to copy", options->to);
    return rc;
}

void
sync_names(const struct sync *sync, struct strv *ret_names)
{
    const struct sync_options *options = sync->options;
    CLEANUP_STRV struct strv wanted = { 0 };

    for (size_t i = 0; i < sync->config->jobs.len && !sync_is_explicit(options); i++) {
        const struct config_item *job = &sync->config->jobs.items[i];

        if (strcmp(job->job->cluster, sync->cluster->name) == 0 && sync_is(options->job, job->name))
            option_words(job->job->stores, &wanted);
    }
    if (options->to != NULL)
        strv_add(&wanted, options->to);
    if (options->from != NULL)
        strv_add(&wanted, options->from);
    for (size_t i = 0; i < sync->config->stores.len; i++) {
        const char *name = sync->config->stores.items[i].name;

        if (strv_has(&wanted, name) || (options->id != NULL && options->from == NULL))
            strv_add(ret_names, name);
    }
}

struct catalog_copy *
sync_copy(const struct place *place, const char *id)
{
    const struct catalog_backup *backup = place->catalog ? catalog_get(place->catalog, id) : NULL;

    return backup != NULL && backup->copies[0].manifest ? &backup->copies[0] : NULL;
}

bool
sync_wants(const struct sync *sync, const char *id, const char *job_name, const struct place *place)
{
    const struct sync_options *options = sync->options;
    CLEANUP_STRV struct strv stores = { 0 };
    const struct config_item *job;

    if (!sync_is(options->id, id) || !sync_is(options->job, job_name) || !sync_is(options->to, place->item->name))
        return false;
    if (sync_is_explicit(options))
        return true;
    if (config_find(&sync->config->jobs, "job", job_name, &job) < 0) {
        error_clear(); /* that job is no more: nobody says where its backups are to be */
        return false;
    }
    option_words(job->job->stores, &stores);
    return strcmp(job->job->cluster, sync->cluster->name) == 0 && strv_has(&stores, place->item->name);
}

/* 0: to be asked first; 1: had trouble, or keeps it in cold storage; 2: its last verification failed; -1: none. */
static int
sync_rank(const struct sync *sync, const char *id, const struct place *place, const struct place *target)
{
    const struct catalog_copy *copy = place != target ? sync_copy(place, id) : NULL;
    int64_t unused_s;
    int tier;

    if (copy == NULL || !sync_is(sync->options->from, place->item->name))
        return -1;
    tier = catalog_tier(copy, &unused_s);
    if (copy->state == CATALOG_BAD)
        return 2;
    return place->weary || tier == PGCASK_TIER_COLD || tier == PGCASK_TIER_THAWING;
}

size_t
sync_sources(const struct sync *sync, const char *id, const struct place *target, struct copy_source *ret_sources,
             size_t *ret_good)
{
    size_t len = 0;

    for (int rank = 0; rank <= 2; rank++) {
        if (rank == 2)
            *ret_good = len;
        for (size_t i = 0; i < sync->count; i++)
            if (sync_rank(sync, id, &sync->places[i], target) == rank)
                ret_sources[len++] = (struct copy_source){ .storage = sync->places[i].storage };
    }
    return len;
}
