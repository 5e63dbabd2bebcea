/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/thaw.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "catalog/label.h"
#include "pipeline/progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREADS_MAX = 16,
    DAYS_MAX = 365,
    POLL_FAILURES = 10, /* in a row; waiting takes hours, and a store may be out of reach for minutes */
};

/* ---- options ---- */

int
thaw_set_tier(struct thaw_options *options, const char *text)
{
    static const char *const tiers[] = { "expedited", "standard", "bulk" };
    const char *nearest;

    if (text == NULL)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(tiers); i++)
        if (strcmp(text, tiers[i]) == 0) {
            options->tier = tiers[i];
            return 0;
        }
    (void)error_set(ERROR_USAGE, "'%s' is no tier (wanted: expedited, standard or bulk)", text);
    nearest = parse_nearest(text, tiers, ARRAY_LEN(tiers));
    return nearest ? error_hint(ERROR_USAGE, "did you mean '%s'?", nearest) : ERROR_USAGE;
}

int
thaw_set_days(struct thaw_options *options, const char *text)
{
    int64_t days = options->days;

    if (text != NULL && parse_int64(text, &days) < 0)
        return ERROR_USAGE;
    if (days < 1 || days > DAYS_MAX)
        return error_set(ERROR_USAGE, "'%s' is out of range (wanted: 1 to %d days)", text, DAYS_MAX);
    options->days = (int)days;
    return 0;
}

int
thaw_set_poll(struct thaw_options *options, const char *text)
{
    int64_t poll_ms = options->poll_ms;

    if (text != NULL && parse_duration(text, &poll_ms) < 0)
        return ERROR_USAGE;
    if (poll_ms < 1)
        return error_set(ERROR_USAGE, "'%s' is too short", text);
    options->poll_ms = poll_ms;
    return 0;
}

/* ---- the objects ---- */

void
thaw_free(struct thaw *thaw)
{
    for (size_t i = 0; i < thaw->len; i++)
        free(thaw->objects[i].key);
    free(thaw->objects);
    free(thaw->expected);
    *thaw = (struct thaw){ 0 };
}

void
cleanup_thaw(struct thaw *thaw)
{
    thaw_free(thaw);
}

/* What is cold in a listing may have been thawed since, as some listings do not tell. */
void
thaw_add(struct thaw *thaw, const char *key, uint64_t size, const struct catalog_object *listed)
{
    struct thaw_object object = { .key = mem_strdup(key), .size = size };

    if (!storage_thaws(thaw->storage) || (listed != NULL && listed->tier == PGCASK_TIER_HOT))
        object.known = true;
    MEM_GROW(thaw->objects, thaw->len, thaw->cap);
    thaw->objects[thaw->len++] = object;
}

void
thaw_add_members(struct thaw *thaw, const struct catalog *catalog, const struct catalog_copy *copy,
                 const struct manifest *manifest)
{
    bool tells = catalog_tells_tiers(catalog, copy->store);

    for (size_t i = 0; i < manifest->member_count; i++) {
        const struct manifest_member *member = &manifest->members[i];
        CLEANUP_FREE char *key = label_object(manifest->cluster, manifest->id, member->object);

        thaw_add(thaw, key, member->stored_size, tells ? catalog_object(copy, key) : NULL);
    }
}

bool
thaw_is_readable(const struct thaw_object *object)
{
    return !object->lost && (object->tier == PGCASK_TIER_HOT || object->tier == PGCASK_TIER_THAWED);
}

bool
thaw_all_readable(const struct thaw *thaw)
{
    for (size_t i = 0; i < thaw->len; i++)
        if (!thaw_is_readable(&thaw->objects[i]))
            return false;
    return true;
}

int
thaw_tier(const struct thaw *thaw, int64_t *ret_until_s)
{
    struct catalog_tiers tiers = { 0 };

    for (size_t i = 0; i < thaw->len; i++)
        catalog_tiers_add(&tiers, thaw->objects[i].tier, thaw->objects[i].until_s);
    return catalog_tiers_worst(&tiers, ret_until_s);
}

const char *
thaw_word(int tier)
{
    static const char *const words[] = {
        [PGCASK_TIER_HOT] = "hot",
        [PGCASK_TIER_COLD] = "cold",
        [PGCASK_TIER_THAWING] = "thawing",
        [PGCASK_TIER_THAWED] = "thawed",
    };

    return words[tier];
}

/* ---- several at a time ---- */

struct crowd {
    struct thaw *thaw;
    int (*one)(struct crowd *crowd, struct thaw_object *object); /* without the lock */
    const struct thaw_options *options;
    pthread_mutex_t lock; /* of what follows and of thaw->expected */
    size_t next;
    struct error error;
};

static void *
crowd_thread(void *arg)
{
    struct crowd *crowd = arg;

    (void)pthread_mutex_lock(&crowd->lock);
    while (crowd->error.code == 0 && crowd->next < crowd->thaw->len) {
        struct thaw_object *object = &crowd->thaw->objects[crowd->next++];
        int rc;

        (void)pthread_mutex_unlock(&crowd->lock);
        rc = cancel_check();
        if (rc == 0)
            rc = crowd->one(crowd, object);
        (void)pthread_mutex_lock(&crowd->lock);
        if (rc < 0 && crowd->error.code == 0)
            error_take(rc, &crowd->error);
    }
    (void)pthread_mutex_unlock(&crowd->lock);
    return NULL;
}

static int
thaw_each(struct thaw *thaw, int (*one)(struct crowd *, struct thaw_object *), const struct thaw_options *options)
{
    struct crowd crowd = { .thaw = thaw, .one = one, .options = options };
    pthread_t threads[THREADS_MAX];
    unsigned wanted = storage_parallel(thaw->storage), started = 0;

    if (wanted > THREADS_MAX)
        wanted = THREADS_MAX;
    (void)pthread_mutex_init(&crowd.lock, NULL);
    while (started + 1 < wanted && started + 1 < thaw->len &&
           pthread_create(&threads[started], NULL, crowd_thread, &crowd) == 0)
        started++;
    (void)crowd_thread(&crowd); /* this thread is one of them */
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_mutex_destroy(&crowd.lock);
    return error_put(&crowd.error);
}

/* ---- looking ---- */

static int
look_at(struct crowd *crowd, struct thaw_object *object)
{
    struct storage_object seen = { 0 };
    int rc;

    if (object->known)
        return 0;
    rc = storage_stat_object(crowd->thaw->storage, object->key, &seen);
    if (rc < 0 && rc != PGCASK_NOT_FOUND)
        return rc;
    error_clear();
    object->known = true;
    object->lost = rc < 0;
    object->tier = seen.tier;
    object->until_s = seen.until_s;
    return 0;
}

int
thaw_look(struct thaw *thaw)
{
    return thaw_each(thaw, look_at, NULL);
}

int
thaw_look_quickly(struct thaw *thaw)
{
    struct crowd crowd = { .thaw = thaw };
    struct thaw_object *largest = NULL;
    int rc;

    for (size_t i = 0; i < thaw->len; i++)
        if (!thaw->objects[i].known && (largest == NULL || thaw->objects[i].size > largest->size))
            largest = &thaw->objects[i];
    if (largest == NULL)
        return 0;
    rc = look_at(&crowd, largest);
    if (rc < 0 || largest->lost || largest->tier != PGCASK_TIER_HOT)
        return rc < 0 ? rc : thaw_look(thaw);
    for (size_t i = 0; i < thaw->len; i++)
        thaw->objects[i].known = true;
    return 0;
}

/* ---- bringing ---- */

static int
ask_for(struct crowd *crowd, struct thaw_object *object)
{
    struct thaw *thaw = crowd->thaw;
    int rc;

    if (object->lost || thaw_is_readable(object))
        return 0;
    rc = storage_thaw(thaw->storage, object->key, crowd->options->days, crowd->options->tier);
    if (rc < 0 && rc != PGCASK_COLD)
        return rc;
    object->tier = rc == 0 ? PGCASK_TIER_THAWED : PGCASK_TIER_THAWING;
    if (rc == PGCASK_COLD) {
        (void)pthread_mutex_lock(&crowd->lock);
        thaw->asked++;
        if (thaw->expected == NULL)
            thaw->expected = mem_strdup(error_text());
        (void)pthread_mutex_unlock(&crowd->lock);
    }
    error_clear();
    return 0;
}

/* Of those that were asked for, one that is cold again was forgotten by its store, or thawed for too short a time. */
static int
ask_for_cold(struct crowd *crowd, struct thaw_object *object)
{
    return object->tier == PGCASK_TIER_COLD ? ask_for(crowd, object) : 0;
}

/* How many are still missing; those are to be looked at again. */
static size_t
thaw_missing(struct thaw *thaw)
{
    size_t missing = 0;

    for (size_t i = 0; i < thaw->len; i++)
        if (!thaw->objects[i].lost && !thaw_is_readable(&thaw->objects[i])) {
            thaw->objects[i].known = false;
            missing++;
        }
    return missing;
}

static void
thaw_show_progress(const struct thaw *thaw)
{
    uint64_t there = 0;

    for (size_t i = 0; i < thaw->len; i++)
        if (thaw_is_readable(&thaw->objects[i]))
            there += thaw->objects[i].size;
    if (there > progress_done())
        progress_add(NULL, (size_t)(there - progress_done()));
}

static int
thaw_poll(struct thaw *thaw, const struct thaw_options *options)
{
    int rc = thaw_look(thaw);

    return rc < 0 ? rc : thaw_each(thaw, ask_for_cold, options);
}

static int
thaw_wait(struct thaw *thaw, const struct thaw_options *options)
{
    uint64_t total = 0;
    unsigned failures = 0;
    int rc = 0;

    for (size_t i = 0; i < thaw->len; i++)
        total += thaw->objects[i].size;
    progress_begin("thawing", total);
    while (rc == 0 && thaw_missing(thaw) > 0) {
        thaw_show_progress(thaw);
        rc = cancel_sleep_ms(options->poll_ms);
        if (rc == 0)
            rc = thaw_poll(thaw, options);
        failures = rc < 0 ? failures + 1 : 0;
        if (rc == PGCASK_FAILED && failures < POLL_FAILURES) {
            log_slot_warn("going on waiting");
            rc = 0;
        }
    }
    progress_end();
    return rc;
}

int
thaw_bring(struct thaw *thaw, const struct thaw_options *options)
{
    int rc;

    thaw->asked = 0;
    free(STEAL(thaw->expected));
    rc = thaw_each(thaw, ask_for, options);
    if (rc < 0 || thaw->asked == 0)
        return rc;
    if (thaw->asked > 1)
        (void)error_set(PGCASK_COLD, "%s (and %zu more)", thaw->expected, thaw->asked - 1);
    else
        (void)error_set(PGCASK_COLD, "%s", thaw->expected);
    if (!options->wait)
        return error_hint(PGCASK_COLD, "run the same command again later, or with --wait");
    log_slot_warn("waiting for it");
    return thaw_wait(thaw, options);
}
