/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of leases and of the broom have in common: a store in memory with an
 * unfinished backup, and a lease for it.
 */
#ifndef PGCASK_TESTS_UNIT_LEASE_H
#define PGCASK_TESTS_UNIT_LEASE_H

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "pipeline/stores.h"
#include "unit-fake.h"
#include "unit-talk.h"
#include "unit.h"

#define RUN "20261122T020000Z-daily"
#define ORPHAN "chain/backup/" RUN "/shop.dump.zst.age"
#define MANIFEST "chain/backup/" RUN "/manifest.json"
#define LEASE "chain/lease/host-1-00.json"

enum { DAY_S = 86400 };

static struct fake *fake;

/* An object last changed so long ago; -1: the store does not know. */
static inline void
put_aged(const char *key, int64_t age_s)
{
    fake_text(fake, key, "bytes")->mtime_s = age_s == -1 ? 0 : clock_now_s() - age_s;
}

static inline void
lease_setup(void)
{
    fake = fake_opened("one");
    put_aged(ORPHAN, 2 * DAY_S);
}

static inline void
lease_teardown(void)
{
    fake_free(fake);
}

/* Our own lease for RUN. */
static inline json_t *
own_lease(void)
{
    CLEANUP_FREE char *key = NULL, *text = NULL;
    json_t *json = NULL;

    ck_assert_int_eq(stores_lease("chain", RUN, &key, &text), 0);
    ck_assert_int_eq(json_read("lease", text, strlen(text), &json), 0);
    return json;
}

static inline void
put_lease(json_t *json, int64_t age_s)
{
    CLEANUP_FREE char *text = json_pretty(json);
    struct fake_object *object = fake_text(fake, LEASE, text);

    object->mtime_s = age_s < 0 ? 0 : clock_now_s() - age_s;
}

static inline bool
has(const char *key)
{
    return fake_find(fake, key) != NULL;
}

/* What is said, owned by the caller. */
static inline char *
sweep(void)
{
    struct talk talk = talk_begin(STDERR_FILENO);

    stores_sweep(fake->storage, "chain");
    return talk_end(&talk);
}

static inline void
sweep_quietly(void)
{
    CLEANUP_FREE char *said = sweep();

    ck_assert_str_eq(said, "");
}

/* A pid that was, and is no more. */
static inline int
dead_pid(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return pid;
}

#endif
