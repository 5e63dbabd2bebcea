/* SPDX-License-Identifier: PostgreSQL
 *
 * A store: an object is written, read back, listed, written again (which must be
 * refused) and removed, at a key that no catalog looks at; then the plugin is
 * asked what it finds. A store that no job writes to is only read.
 */
#include "config.h"

#include "pipeline/inspect.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog/label.h"
#include "pipeline/stores.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROBE_BYTES = 1000,
    CLOCK_TOLERANCE_S = 5 * 60, /* more, and leases and sweeps begin to take the living for the dead */
    LITTER_AGE_S = 24 * 3600,   /* what a check that died has left */
};

/* A store that is looked at. */
struct probe {
    const struct inspect *inspect;
    const char *name;
    const char *cluster; /* of the first job that writes to it; NULL: none does */
    int64_t keep_s;      /* the shortest of its jobs; 0: not said */
    struct storage *storage;
    bool unreachable; /* which was told; all else would fail as well, each time after all tries */
    char *key;
    unsigned char data[PROBE_BYTES];
    struct storage_object object;
};

static int
probe_slot(const struct probe *probe, int rc, const char *doing)
{
    return inspect_slot(probe->inspect, "store", probe->name, rc, PGCASK_CHECK_BAD, doing);
}

/* Which jobs write here, and how long they keep their backups. */
static void
probe_jobs(struct probe *probe)
{
    for (size_t i = 0; i < probe->inspect->config->jobs.len; i++) {
        const struct config_job *job = probe->inspect->config->jobs.items[i].job;
        CLEANUP_STRV struct strv stores = { 0 };

        option_words(job->stores, &stores);
        if (!strv_has(&stores, probe->name))
            continue;
        if (probe->cluster == NULL)
            probe->cluster = job->cluster;
        if (job->keep > 0 && (probe->keep_s == 0 || job->keep / 1000 < probe->keep_s))
            probe->keep_s = job->keep / 1000;
    }
}

/* ---- one object, from its beginning to its end ---- */

static int
probe_write(struct probe *probe)
{
    return storage_put_object(probe->storage, probe->key, probe->data, sizeof probe->data, true);
}

static int
probe_stat(struct probe *probe)
{
    int rc = storage_stat_object(probe->storage, probe->key, &probe->object);

    if (rc == 0 && probe->object.size != sizeof probe->data)
        rc = error_set(PGCASK_FAILED, "it has %" PRIu64 " bytes, wanted %zu", probe->object.size, sizeof probe->data);
    if (rc == 0 && probe->object.tier != PGCASK_TIER_HOT)
        rc = error_set(PGCASK_FAILED, "it is in cold storage at once, and so would be the manifests");
    return rc;
}

static int
probe_read(struct probe *probe)
{
    unsigned char data[PROBE_BYTES];
    int rc = storage_get(probe->storage, probe->key, 0, data, sizeof data);

    if (rc == 0 && memcmp(data, probe->data, sizeof data) != 0)
        rc = error_set(PGCASK_FAILED, "it holds other bytes than were written");
    return rc;
}

static int
probe_list(struct probe *probe)
{
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    int rc = storage_list(probe->storage, probe->key, &list);

    if (rc == 0 && list.len != 1)
        rc = error_set(PGCASK_FAILED, "%zu objects are listed, wanted 1", list.len);
    return rc;
}

static int
probe_write_again(struct probe *probe)
{
    static const char other[] = "another object";
    int rc = storage_put_object(probe->storage, probe->key, other, sizeof other, true);

    if (rc == 0)
        return error_set(PGCASK_FAILED, "it was replaced, wanted a refusal: backups could be overwritten");
    if (rc != PGCASK_EXISTS)
        return rc;
    error_clear();
    return probe_read(probe);
}

static int
probe_remove(struct probe *probe)
{
    int rc = storage_remove(probe->storage, probe->key);

    if (rc < 0)
        return rc;
    rc = storage_stat(probe->storage, probe->key, NULL, NULL);
    if (rc == 0)
        return error_set(PGCASK_FAILED, "it is still there");
    if (rc != PGCASK_NOT_FOUND)
        return rc;
    error_clear();
    return 0;
}

static const struct {
    const char *doing;
    int (*step)(struct probe *probe);
} steps[] = {
    { "writing an object", probe_write },      /* nothing is left behind when this one fails */
    { "looking at it", probe_stat },
    { "reading it back", probe_read },
    { "listing it", probe_list },
    { "writing it again", probe_write_again },
    { "removing it", probe_remove },
};

/* The step before failed: its error stays. What cannot be removed either, a check of tomorrow will tell of. */
static void
probe_take_back(struct probe *probe, int code)
{
    struct error why;

    error_take(code, &why);
    (void)storage_remove(probe->storage, probe->key);
    (void)error_put(&why);
}

static void
probe_clock(const struct probe *probe)
{
    int64_t ahead_s = probe->object.mtime_s - clock_now_s();

    if (probe->object.mtime_s != 0 && (ahead_s > CLOCK_TOLERANCE_S || ahead_s < -CLOCK_TOLERANCE_S))
        inspect_say(probe->inspect, "store", probe->name, PGCASK_CHECK_WARN, "set both clocks by NTP",
                    "its clock is %" PRId64 " s %s ours", ahead_s > 0 ? ahead_s : -ahead_s,
                    ahead_s > 0 ? "ahead of" : "behind");
}

static int
probe_object(struct probe *probe)
{
    int rc = stores_check_key(probe->cluster, &probe->key);

    if (rc == 0 && RAND_bytes(probe->data, sizeof probe->data) != 1)
        rc = error_set(PGCASK_FAILED, "libcrypto has no random bytes");
    if (rc < 0)
        return probe_slot(probe, rc, NULL);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        bool last = i + 1 == ARRAY_LEN(steps);

        rc = steps[i].step(probe);
        if (rc == 0)
            continue;
        if (i > 0 && !last)
            probe_take_back(probe, rc);
        /* a host that may write and not remove is safer than one that may: its backups are whole */
        return inspect_slot(probe->inspect, "store", probe->name, rc, last ? PGCASK_CHECK_WARN : PGCASK_CHECK_BAD,
                            steps[i].doing);
    }
    probe_clock(probe);
    inspect_say(probe->inspect, "store", probe->name, PGCASK_CHECK_OK, NULL,
                "an object was written, read, listed, kept from being overwritten, and removed");
    return 0;
}

/* ---- what else there is ---- */

/* Objects of checks that died. */
static int
probe_litter(const struct probe *probe)
{
    CLEANUP_FREE char *prefix = label_checks(probe->cluster);
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    CLEANUP_STRV struct strv old = { 0 };
    bool fix = probe->inspect->fix;
    int rc = storage_list(probe->storage, prefix, &list);

    for (size_t i = 0; i < list.len; i++)
        if (list.objects[i].mtime_s > 0 && list.objects[i].mtime_s < clock_now_s() - LITTER_AGE_S)
            strv_add(&old, list.objects[i].key);
    if (rc == 0 && fix)
        rc = storage_remove_many(probe->storage, &old);
    if (rc < 0)
        return probe_slot(probe, rc, "looking for what checks have left behind");
    if (old.len > 0)
        inspect_say(probe->inspect, "store", probe->name, fix ? PGCASK_CHECK_FIXED : PGCASK_CHECK_WARN,
                    fix ? NULL : "'pgcask check --fix' removes them", "%zu object%s of earlier checks %s", old.len,
                    old.len == 1 ? "" : "s", fix ? "removed" : "left behind");
    return 0;
}

static int
probe_lost_label(const struct probe *probe, const char *id)
{
    bool fix = probe->inspect->fix && probe->cluster != NULL;
    int rc = fix ? catalog_repository_make(probe->storage, id) : 0;

    if (rc < 0)
        return probe_slot(probe, rc, "writing '" LABEL_REPOSITORY "' again");
    inspect_say(probe->inspect, "store", probe->name, fix ? PGCASK_CHECK_FIXED : PGCASK_CHECK_WARN,
                fix ? NULL : "the next backup or 'pgcask check --fix' writes it again",
                "'%s' was lost; the manifests say that it is repository %s", LABEL_REPOSITORY, id);
    return 0;
}

static int
probe_repository(struct probe *probe, char **ret_repository)
{
    CLEANUP_FREE char *id = NULL;
    int rc = catalog_repository(probe->storage, &id);

    if (rc == PGCASK_NOT_FOUND) {
        rc = catalog_repository_by_manifests(probe->storage, &id);
        if (rc == 0)
            rc = probe_lost_label(probe, id);
    }
    probe->unreachable = rc < 0 && rc != PGCASK_NOT_FOUND;
    if (rc == PGCASK_NOT_FOUND)
        rc = stores_check_emptied(probe->inspect->config, probe->storage);
    if (rc < 0)
        return probe_slot(probe, rc, NULL);
    error_clear();
    if (id == NULL)
        inspect_say(probe->inspect, "store", probe->name, PGCASK_CHECK_OK, NULL, "no backups yet");
    else
        inspect_say(probe->inspect, "store", probe->name, PGCASK_CHECK_OK, NULL, "holds repository %s%s", id,
                    probe->cluster != NULL ? "" : "; no job writes to it, so writing was not tried");
    *ret_repository = STEAL(id);
    return 0;
}

static void
probe_say(void *ctx, int outcome, const char *text, const char *cure)
{
    const struct probe *probe = ctx;

    inspect_say(probe->inspect, "store", probe->name, outcome, cure, "%s", text);
}

static int
probe_ask_plugin(struct probe *probe)
{
    struct storage_check check = {
        .fix = probe->inspect->fix && probe->cluster != NULL,
        .keep_s = probe->keep_s,
        .say = probe_say,
        .ctx = probe,
    };
    int rc = storage_check(probe->storage, &check);

    return rc < 0 ? probe_slot(probe, rc, "it could not be asked what it finds") : 0;
}

static int
probe_all(struct probe *probe, char **ret_repository)
{
    int rc = probe_repository(probe, ret_repository);

    if (probe->unreachable)
        return rc;
    if (rc == 0 && probe->cluster != NULL)
        rc = probe_object(probe);
    if (rc == 0 && probe->cluster != NULL)
        rc = probe_litter(probe);
    return rc < 0 ? rc : probe_ask_plugin(probe);
}

int
inspect_store(const struct inspect *inspect, const struct config_item *store, char **ret_repository)
{
    struct probe probe = { .inspect = inspect, .name = store->name };
    int rc;

    probe_jobs(&probe);
    rc = storage_open(store, probe.cluster != NULL ? 0 : PGCASK_OPEN_READONLY, &probe.storage);
    if (rc < 0)
        return probe_slot(&probe, rc, NULL);
    rc = probe_all(&probe, ret_repository);
    storage_close(probe.storage);
    free(probe.key);
    return rc;
}

/* The index of a store in the config. */
static size_t
repository_index(const struct config *config, const char *store)
{
    size_t i = 0;

    while (i < config->stores.len && strcmp(config->stores.items[i].name, store) != 0)
        i++;
    return i;
}

int
inspect_repositories(const struct inspect *inspect, char *const *repositories)
{
    for (size_t i = 0; i < inspect->config->jobs.len; i++) {
        const struct config_item *job = &inspect->config->jobs.items[i];
        CLEANUP_STRV struct strv stores = { 0 };
        const char *first = NULL, *first_store = NULL;

        option_words(job->job->stores, &stores);
        for (size_t k = 0; k < stores.len; k++) {
            const char *id = repositories[repository_index(inspect->config, stores.items[k])];

            if (id == NULL)
                continue;
            if (first == NULL)
                first = id, first_store = stores.items[k];
            else if (strcmp(first, id) != 0)
                inspect_say(inspect, "job", job->name, PGCASK_CHECK_BAD,
                            "give the job an empty store, or one that was used together with the others",
                            "store '%s' holds repository %s, store '%s' holds %s", first_store, first, stores.items[k],
                            id);
        }
    }
    return cancel_check();
}
