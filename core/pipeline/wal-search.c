/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/wal-search.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/parse.h"
#include "pg/recovery.h"
#include "pipeline/keys.h"
#include "pipeline/wal-search-private.h"

#include <stdlib.h>
#include <string.h>

static int
edge_read(const char *what, const char *text, struct hunt_edge *ret_edge)
{
    struct recovery_target target = { 0 };
    int64_t past_ms;
    int rc = 0;

    ret_edge->given = true;
    if (parse_duration(text, &past_ms) == 0) {
        ret_edge->time_us = clock_now_s() * 1000000 - past_ms * 1000;
        return 0;
    }
    error_clear();
    if (strchr(text, '/') != NULL) {
        rc = recovery_set_lsn(&target, text);
        ret_edge->lsn = target.lsn;
    } else {
        rc = recovery_set_time(&target, text);
        ret_edge->time_us = target.time_us;
    }
    return rc < 0 ? error_context(ERROR_USAGE, "%s", what) : 0;
}

static int
hunt_edges(struct hunt *hunt)
{
    const struct wal_search_options *options = hunt->options;
    int rc = 0;

    if (options->to != NULL)
        rc = edge_read("--to", options->to, &hunt->to);
    if (rc == 0 && options->from != NULL)
        rc = edge_read("--from", options->from, &hunt->from);
    if (rc < 0 || options->from != NULL)
        return rc;
    hunt->from.given = true;
    hunt->from.time_us = (hunt->to.given && hunt->to.lsn == 0 ? hunt->to.time_us : clock_now_s() * 1000000) -
                         (int64_t)WAL_SEARCH_PAST_S * 1000000;
    if (hunt->to.lsn != 0)
        return error_set(ERROR_USAGE, "--to is an LSN: from where on? (wanted: --from, too)");
    return 0;
}

static bool
hunt_is_asked_for(const struct hunt *hunt, const struct wal_finding *finding)
{
    if (hunt->from.lsn != 0 ? finding->lsn < hunt->from.lsn : finding->time_us < hunt->from.time_us)
        return false;
    if (!hunt->to.given)
        return true;
    return hunt->to.lsn != 0 ? finding->lsn <= hunt->to.lsn : finding->time_us <= hunt->to.time_us;
}

static void
search_keep_asked(const struct hunt *hunt, struct wal_search *search)
{
    size_t kept = 0;

    for (size_t i = 0; i < search->len; i++)
        if (hunt_is_asked_for(hunt, &search->findings[i]))
            search->findings[kept++] = search->findings[i];
        else
            free(search->findings[i].oids.items);
    search->len = kept;
}

static int
search_hunt(struct hunt *hunt)
{
    CLEANUP(age_identities_free) struct age_identities *identities = NULL;
    CLEANUP(blob_tools_free) struct blob_tools *tools = blob_tools_new(1);
    int rc = keys_identities(hunt->options->config, false, &identities);

    if (rc < 0)
        return rc;
    hunt->reader = (struct wal_reader){
        .stores = hunt->status.repo.stores.items,
        .cluster = hunt->status.repo.cluster->name,
        .system_identifier = hunt->status.system_identifier,
        .identities = identities,
        .tools = tools,
    };
    rc = hunt_run(hunt);
    if (rc == 0) {
        wal_search_find(&hunt->search->table, hunt->commits, hunt->commit_len, hunt->search);
        search_keep_asked(hunt, hunt->search);
    }
    return rc;
}

int
wal_search_run(const struct wal_search_options *options, struct wal_search *ret_search)
{
    CLEANUP_WAL_SEARCH struct wal_search search = { .table.min_rows = options->min_rows };
    const struct wal_status_options all = { .cluster = options->cluster, .store = options->store };
    struct hunt hunt = { .options = options, .search = &search };
    int rc = hunt_edges(&hunt);

    if (rc == 0)
        rc = wal_status_load(options->config, &all, &hunt.status);
    if (rc == 0)
        rc = wal_search_ask(options, hunt.status.repo.cluster, &search);
    if (rc == 0)
        rc = search_hunt(&hunt);
    hunt_free(&hunt);
    if (rc < 0)
        return rc;
    *ret_search = search;
    search = (struct wal_search){ 0 };
    return 0;
}

void
wal_search_free(struct wal_search *search)
{
    for (size_t i = 0; i < search->len; i++)
        free(search->findings[i].oids.items);
    free(search->findings);
    free(search->name);
    strv_free(&search->doubts);
    *search = (struct wal_search){ 0 };
}

void
cleanup_wal_search(struct wal_search *search)
{
    wal_search_free(search);
}
