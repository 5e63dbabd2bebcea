/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "stage/fetch.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What is known of the object in one store. */
struct place {
    bool sized;    /* its size was compared */
    bool lost;     /* it is not there, or is another one: never worth another try */
    int code;      /* of the last trouble, 0: none */
    char *trouble; /* the text of it */
};

struct fetch {
    struct copies *copies;
    const char *key;
    uint64_t size;
    atomic_uint_fast64_t bytes;
    pthread_mutex_t lock; /* of what follows; the lock of the copies comes behind it */
    size_t current;
    struct place places[COPIES_MAX];
};

struct fetch *
fetch_new(struct copies *copies, const char *key, uint64_t size)
{
    struct fetch *fetch = mem_zalloc(sizeof *fetch);

    fetch->copies = copies;
    fetch->key = key;
    fetch->size = size;
    fetch->current = copies_pick(copies, key, 0);
    (void)pthread_mutex_init(&fetch->lock, NULL);
    return fetch;
}

void
fetch_free(struct fetch *fetch)
{
    if (fetch == NULL)
        return;
    for (size_t i = 0; i < copies_count(fetch->copies); i++)
        free(fetch->places[i].trouble);
    (void)pthread_mutex_destroy(&fetch->lock);
    free(fetch);
}

struct attempt
fetch_attempt(struct fetch *fetch)
{
    struct attempt attempt = { 0 };

    (void)pthread_mutex_lock(&fetch->lock);
    attempt.at = fetch->current;
    (void)pthread_mutex_unlock(&fetch->lock);
    return attempt;
}

struct storage *
fetch_store(const struct fetch *fetch, const struct attempt *attempt)
{
    return copies_store(fetch->copies, attempt->at);
}

const char *
fetch_key(const struct fetch *fetch)
{
    return fetch->key;
}

int
fetch_blame(const struct fetch *fetch, const struct attempt *attempt, int code)
{
    return error_context(code, "store '%s': object '%s'", storage_name(fetch_store(fetch, attempt)), fetch->key);
}

/* ---- bytes ---- */

static int
fetch_compare_size(const struct fetch *fetch, const struct attempt *attempt)
{
    struct storage *storage = fetch_store(fetch, attempt);
    struct storage_object object;
    int rc = storage_stat_object(storage, fetch->key, &object);

    if (rc == PGCASK_NOT_FOUND)
        return error_set(rc, "store '%s': object '%s' is missing", storage_name(storage), fetch->key);
    if (rc < 0 || object.size == fetch->size || storage_object_hides_size(&object))
        return rc;
    return error_set(ERROR_CORRUPT, "store '%s': object '%s' has %llu bytes, the manifest says %llu", storage_name(storage),
                     fetch->key, (unsigned long long)object.size, (unsigned long long)fetch->size);
}

int
fetch_look(struct fetch *fetch, const struct attempt *attempt)
{
    struct place *place = &fetch->places[attempt->at];
    bool sized;
    int rc;

    (void)pthread_mutex_lock(&fetch->lock);
    sized = place->sized;
    (void)pthread_mutex_unlock(&fetch->lock);
    if (sized)
        return 0;
    rc = fetch_compare_size(fetch, attempt);
    (void)pthread_mutex_lock(&fetch->lock);
    place->sized = rc == 0;
    place->lost = rc == PGCASK_NOT_FOUND || rc == ERROR_CORRUPT;
    (void)pthread_mutex_unlock(&fetch->lock);
    return rc;
}

void
fetch_sized(struct fetch *fetch, const struct attempt *attempt)
{
    (void)pthread_mutex_lock(&fetch->lock);
    fetch->places[attempt->at].sized = true;
    (void)pthread_mutex_unlock(&fetch->lock);
}

int
fetch_get(struct fetch *fetch, const struct attempt *attempt, uint64_t offset, void *data, size_t len)
{
    int rc = cancel_check();

    if (rc == 0)
        rc = fetch_look(fetch, attempt);
    if (rc == 0)
        rc = storage_get(fetch_store(fetch, attempt), fetch->key, offset, data, len);
    if (rc == 0)
        fetch_count(fetch, attempt, len);
    return rc;
}

void
fetch_count(struct fetch *fetch, const struct attempt *attempt, size_t len)
{
    atomic_fetch_add_explicit(&fetch->bytes, len, memory_order_relaxed);
    copies_served(fetch->copies, attempt->at);
}

uint64_t
fetch_bytes(const struct fetch *fetch)
{
    return atomic_load(&fetch->bytes);
}

/* ---- going on elsewhere ---- */

bool
fetch_is_trouble(int code)
{
    return code < 0 && code != ERROR_CANCELLED && code != ERROR_USAGE && code != ERROR_LOCKED;
}

/* Caller holds fetch->lock. */
static bool
fetch_step(struct fetch *fetch, struct attempt *attempt)
{
    uint64_t passed;
    size_t next;

    attempt->tried |= UINT64_C(1) << attempt->at;
    passed = attempt->tried;
    for (size_t i = 0; i < copies_count(fetch->copies); i++)
        if (fetch->places[i].lost)
            passed |= UINT64_C(1) << i;
    next = copies_pick(fetch->copies, fetch->key, passed);
    if (next == copies_count(fetch->copies))
        return false;
    fetch->current = attempt->at = next;
    return true;
}

bool
fetch_move(struct fetch *fetch, struct attempt *attempt)
{
    bool moved;

    (void)pthread_mutex_lock(&fetch->lock);
    moved = fetch_step(fetch, attempt);
    (void)pthread_mutex_unlock(&fetch->lock);
    return moved;
}

/* Nobody has it: one error for all of them. When each would give it after a thaw, so would they all; else the first other
 * trouble says what this is. Caller holds fetch->lock. */
static int
fetch_all_failed(struct fetch *fetch)
{
    CLEANUP_STRV struct strv texts = { 0 };
    CLEANUP_FREE char *text = NULL, *cure = error_cure() ? mem_strdup(error_cure()) : NULL;
    int code = PGCASK_COLD;
    bool cold = false;

    for (size_t i = 0; i < copies_count(fetch->copies); i++) {
        const struct place *place = &fetch->places[i];

        if (place->code == 0)
            continue;
        strv_add(&texts, place->trouble);
        cold |= place->code == PGCASK_COLD;
        if (code == PGCASK_COLD)
            code = place->code;
    }
    text = strv_join(&texts, "; ");
    (void)error_set(code, "%s", text);
    if (cold)
        return error_hint(code, "'pgcask thaw' brings what is in cold storage");
    return cure != NULL ? error_hint(code, "%s", cure) : code;
}

bool
fetch_again(struct fetch *fetch, struct attempt *attempt, int *code)
{
    size_t failed = attempt->at;
    struct place *place = &fetch->places[failed];
    bool moved;

    if (!fetch_is_trouble(*code) || copies_count(fetch->copies) == 1)
        return false;
    (void)pthread_mutex_lock(&fetch->lock);
    free(place->trouble);
    place->trouble = mem_strdup(error_text());
    place->code = *code;
    moved = fetch_step(fetch, attempt);
    if (!moved)
        *code = fetch_all_failed(fetch);
    (void)pthread_mutex_unlock(&fetch->lock);
    if (!moved)
        return false;
    if (copies_note(fetch->copies, failed, fetch->key, *code)) {
        CLEANUP_FREE char *going_on = mem_printf("going on with store '%s'", storage_name(fetch_store(fetch, attempt)));

        log_slot_warn(going_on);
    }
    error_clear();
    return true;
}
