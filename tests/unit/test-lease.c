/* SPDX-License-Identifier: PostgreSQL
 *
 * Leases and the broom: what a dead run left goes, what a living run writes stays,
 * and nothing that was ever committed is touched, whatever happens meanwhile.
 */
#include "config.h"

#include "pipeline/stores.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
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
static void
put_aged(const char *key, int64_t age_s)
{
    fake_text(fake, key, "bytes")->mtime_s = age_s == -1 ? 0 : clock_now_s() - age_s;
}

static void
setup(void)
{
    fake = fake_opened("one");
    put_aged(ORPHAN, 2 * DAY_S);
}

static void
teardown(void)
{
    fake_free(fake);
}

/* Our own lease for RUN. */
static json_t *
own_lease(void)
{
    CLEANUP_FREE char *key = NULL, *text = NULL;
    json_t *json = NULL;

    ck_assert_int_eq(stores_lease("chain", RUN, &key, &text), 0);
    ck_assert_int_eq(json_read("lease", text, strlen(text), &json), 0);
    return json;
}

static void
put_lease(json_t *json, int64_t age_s)
{
    CLEANUP_FREE char *text = json_pretty(json);
    struct fake_object *object = fake_text(fake, LEASE, text);

    object->mtime_s = age_s < 0 ? 0 : clock_now_s() - age_s;
}

static bool
has(const char *key)
{
    return fake_find(fake, key) != NULL;
}

/* What is said, owned by the caller. */
static char *
sweep(void)
{
    struct talk talk = talk_begin(STDERR_FILENO);

    stores_sweep(fake->storage, "chain");
    return talk_end(&talk);
}

static void
sweep_quietly(void)
{
    CLEANUP_FREE char *said = sweep();

    ck_assert_str_eq(said, "");
}

/* ---- leases ---- */

START_TEST(a_lease_says_who_writes_what)
{
    CLEANUP_FREE char *key = NULL, *text = NULL, *start = NULL;
    CLEANUP_JSON json_t *json = NULL;
    char host[256] = "";
    const char *value;
    int64_t pid;

    ck_assert_int_eq(stores_lease("chain", RUN, &key, &text), 0);
    ck_assert_int_eq(gethostname(host, sizeof host - 1), 0);
    start = mem_printf("chain/lease/%s-%d-", host, (int)getpid());
    ck_assert_has(key, start);
    ck_assert_uint_eq(strlen(key), strlen(start) + 16 + strlen(".json"));
    ck_assert_int_eq(storage_key_check(key), 0);
    ck_assert_int_eq(json_read("lease", text, strlen(text), &json), 0);
    ck_assert_int_eq(json_need_string(json, "backup", &value), 0);
    ck_assert_str_eq(value, RUN);
    ck_assert_int_eq(json_need_string(json, "host", &value), 0);
    ck_assert_str_eq(value, host);
    ck_assert_int_eq(json_need_int(json, "pid", 1, INT32_MAX, &pid), 0);
    ck_assert_int_eq(pid, getpid());
    ck_assert_int_eq(json_need_string(json, "start", &value), 0);
    ck_assert(*value != '\0' && value[strspn(value, "0123456789")] == '\0');
    ck_assert_int_eq(json_need_string(json, "boot", &value), 0);
    ck_assert_int_eq(json_need_string(json, "begun", &value), 0);
}
END_TEST

START_TEST(no_two_leases_have_one_key)
{
    CLEANUP_FREE char *one = NULL, *two = NULL, *text_one = NULL, *text_two = NULL;

    ck_assert_int_eq(stores_lease("chain", RUN, &one, &text_one), 0);
    ck_assert_int_eq(stores_lease("chain", RUN, &two, &text_two), 0);
    ck_assert_str_ne(one, two);
}
END_TEST

/* A pid that was, and is no more. */
static int
dead_pid(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return pid;
}

enum { SELF = 0, GONE = -1, FIRST = 1 };

static const struct lease_row {
    const char *key, *value; /* changed in our own lease; NULL: nothing is */
    const char *more;        /* another field, set to "another"; NULL: none */
    int pid;
    int64_t age_s; /* -1: the store does not know */
    bool living;
} lease_rows[] = {
    { NULL, NULL, NULL, SELF, 0, true },
    { NULL, NULL, NULL, SELF, 30 * DAY_S, true },       /* a long backup: we know that it lives */
    { NULL, NULL, NULL, SELF, -1, true },
    { NULL, NULL, NULL, GONE, 0, false },               /* no such process */
    { NULL, NULL, NULL, FIRST, 0, false },              /* another process has its number now */
    { "start", "1", NULL, SELF, 0, false },
    { "start", "", NULL, SELF, 0, false },
    { "boot", "another", NULL, SELF, 0, false },        /* this machine was started anew */
    { "boot", "another", NULL, GONE, 0, false },
    { "boot", "another", "machine", GONE, 0, true },    /* a machine that has only our name */
    { "boot", "another", "machine", GONE, 7 * DAY_S + 600, false },
    { "boot", "another", "host", GONE, 0, true },       /* a clone of ours, as its machine id says nothing */
    { "host", "elsewhere", NULL, SELF, 0, true },       /* another host: we cannot know */
    { "host", "elsewhere", NULL, GONE, 0, true },
    { "host", "elsewhere", NULL, GONE, 7 * DAY_S - 600, true },
    { "host", "elsewhere", NULL, GONE, 7 * DAY_S + 600, false },
    { "host", "elsewhere", NULL, SELF, 7 * DAY_S + 600, false },
    { "host", "elsewhere", NULL, GONE, -1, true },      /* of unknown age: never */
    { "space", "pid:[1]", NULL, GONE, 0, true },        /* another container on this host: its pids are not ours */
    { "space", "pid:[1]", NULL, GONE, 7 * DAY_S + 600, false },
};

/* Where a machine has no id, one that was started anew cannot be told from another. */
static bool
is_living(const struct lease_row *row, const json_t *lease)
{
    bool known = json_string_length(json_object_get(lease, "machine")) > 0;

    return row->living || (!known && row->key != NULL && strcmp(row->key, "boot") == 0 && row->age_s == 0);
}

START_TEST(a_lease_counts_as_long_as_its_run_may_live)
{
    const struct lease_row *row = &lease_rows[_i];
    CLEANUP_JSON json_t *json = own_lease();
    bool living = is_living(row, json);

    if (row->key != NULL)
        (void)json_object_set_new(json, row->key, json_string(row->value));
    if (row->more != NULL)
        (void)json_object_set_new(json, row->more, json_string("another"));
    if (row->pid != SELF)
        (void)json_object_set_new(json, "pid", json_integer(row->pid == GONE ? dead_pid() : FIRST));
    put_lease(json, row->age_s);
    put_aged(ORPHAN, living ? 30 * DAY_S : 0); /* its age does not matter where there is a lease */
    sweep_quietly();
    ck_assert_int_eq(has(LEASE), living);
    ck_assert_int_eq(has(ORPHAN), living);
}
END_TEST

START_TEST(a_lease_without_its_words_is_somebody_elses)
{
    CLEANUP_JSON json_t *json = json_pack("{s:s}", "backup", RUN);

    put_lease(json, 0);
    sweep_quietly();
    ck_assert(has(LEASE) && has(ORPHAN));
    put_lease(json, 8 * DAY_S);
    sweep_quietly();
    ck_assert(!has(LEASE) && !has(ORPHAN));
}
END_TEST

/* ---- rivals ---- */

static const struct rival_row {
    const char *key, *text; /* of another lease; text NULL: RUN's */
    const char *refuse;
    int code;
    bool rival;
} rival_rows[] = {
    { "chain/lease/elsewhere-1-00.json", NULL, NULL, 0, true },
    { "chain/lease/zzz-1-00.json", NULL, NULL, 0, true },
    { "chain/lease/elsewhere-1-00.json", "{\"backup\": \"20261122T020001Z-daily\"}", NULL, 0, false }, /* of another backup */
    { "shop/lease/elsewhere-1-00.json", NULL, NULL, 0, false },                                        /* of another cluster */
    { "chain/lease/elsewhere-1-00.json", NULL, "elsewhere", PGCASK_NOT_FOUND, false },                 /* it just ended */
    { "chain/lease/elsewhere-1-00.json", NULL, "elsewhere", PGCASK_FAILED, false },
    { "chain/lease/elsewhere-1-00.json", "rubbish", NULL, ERROR_CORRUPT, false },
};

START_TEST(another_lease_for_the_same_backup_is_a_rival)
{
    const struct rival_row *row = &rival_rows[_i];
    CLEANUP_JSON json_t *json = own_lease();
    bool rival = true;
    int rc, wanted = row->code == PGCASK_NOT_FOUND ? 0 : row->code;

    put_lease(json, 0);
    ck_assert_int_eq(stores_rival(fake->storage, "chain", RUN, LEASE, &rival), 0); /* our own is none */
    ck_assert(!rival);
    (void)fake_text(fake, row->key, row->text ? row->text : "{\"backup\": \"" RUN "\"}");
    fake->refuse = row->refuse;
    fake->refuse_code = row->code;
    rival = wanted < 0;
    rc = stores_rival(fake->storage, "chain", RUN, LEASE, &rival);
    ck_assert_int_eq(rc, wanted);
    ck_assert_int_eq(rival, wanted < 0 || row->rival); /* untouched by an error */
}
END_TEST

/* ---- the broom ---- */

START_TEST(an_old_orphan_without_a_lease_is_swept)
{
    put_aged("chain/backup/" RUN "/globals.sql.zst.age", DAY_S + 600);
    (void)fake_text(fake, "pgcask.json", "{}");
    sweep_quietly();
    ck_assert_uint_eq(fake->len, 1);
    ck_assert(has("pgcask.json"));
    ck_assert_str_eq(error_text(), "");
}
END_TEST

/* It may be on its way here from another store, by hands that know no leases. */
static const int64_t young_s[] = { 0, DAY_S - 600, -1, -3600 /* by its store's clock */ };

START_TEST(a_young_orphan_stays)
{
    put_aged("chain/backup/" RUN "/globals.sql.zst.age", young_s[_i]);
    sweep_quietly();
    ck_assert_uint_eq(fake->len, 2); /* not even its old half goes */
    put_aged("chain/backup/" RUN "/globals.sql.zst.age", DAY_S + 600);
    sweep_quietly();
    ck_assert_uint_eq(fake->len, 0);
}
END_TEST

START_TEST(a_lease_protects_its_own_backup_only)
{
    CLEANUP_JSON json_t *json = own_lease();

    put_aged("chain/backup/20261121T020000Z-daily/shop.dump.zst.age", 2 * DAY_S);
    put_lease(json, 0);
    sweep_quietly();
    ck_assert(has(LEASE) && has(ORPHAN));
    ck_assert_uint_eq(fake->len, 2);
}
END_TEST

START_TEST(one_living_lease_among_dead_ones_is_enough)
{
    CLEANUP_JSON json_t *json = own_lease();
    CLEANUP_FREE char *dead = NULL;

    put_lease(json, 0);
    (void)json_object_set_new(json, "pid", json_integer(dead_pid()));
    dead = json_pretty(json);
    (void)fake_text(fake, "chain/lease/aaa-1-00.json", dead);
    (void)fake_text(fake, "chain/lease/zzz-1-00.json", dead);
    sweep_quietly();
    ck_assert(has(LEASE) && has(ORPHAN));
    ck_assert_uint_eq(fake->len, 2);
}
END_TEST

START_TEST(what_was_committed_is_never_touched)
{
    CLEANUP_JSON json_t *json = own_lease();

    (void)json_object_set_new(json, "pid", json_integer(dead_pid()));
    (void)fake_text(fake, MANIFEST, "rubbish"); /* bad ones are for verify to find */
    put_lease(json, 30 * DAY_S);
    sweep_quietly();
    ck_assert(!has(LEASE));
    ck_assert(has(ORPHAN) && has(MANIFEST));
    ck_assert_uint_eq(fake->removed.len, 1);
}
END_TEST

START_TEST(other_clusters_and_strangers_are_left_alone)
{
    static const char *const keys[] = {
        "shop/backup/" RUN "/shop.dump.zst.age", "shop/lease/host-1-00.json", "chain/backup/notes.txt",
        "chain/backups/" RUN "/shop.dump.zst.age", "chain/wal/00000001", "else",
    };
    CLEANUP_FREE char *said = NULL;

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        (void)fake_text(fake, keys[i], "bytes");
    said = sweep();
    ck_assert_has(said, "'chain/backup/notes.txt' is not part of a backup");
    ck_assert(!has(ORPHAN));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        ck_assert_msg(has(keys[i]), "%s is gone", keys[i]);
}
END_TEST

START_TEST(uploads_older_than_a_day_are_swept)
{
    int64_t before_s = clock_now_s() - DAY_S;

    sweep_quietly();
    ck_assert_uint_eq(fake->sweeps, 1);
    ck_assert(fake->sweep_before_s >= before_s && fake->sweep_before_s <= clock_now_s() - DAY_S);
}
END_TEST

/* ---- what happens meanwhile ---- */

static void
commit_meanwhile(struct fake *store, const char *prefix)
{
    if (strcmp(prefix, "chain/lease/") == 0) {
        fake_drop(store, LEASE); /* in this order: the lease outlives the commit */
        (void)fake_text(store, MANIFEST, "{}");
    }
}

START_TEST(a_backup_committed_between_the_two_looks_stays)
{
    fake->listed = commit_meanwhile;
    sweep_quietly();
    ck_assert(has(ORPHAN) && has(MANIFEST));
    ck_assert_uint_eq(fake->removed.len, 0);
    ck_assert_str_eq(error_text(), "");
}
END_TEST

static void
end_meanwhile(struct fake *store, const char *prefix)
{
    if (strcmp(prefix, "chain/lease/") == 0) {
        (void)fake_text(store, MANIFEST, "{}");
        fake_drop(store, LEASE);
    }
}

START_TEST(a_lease_that_goes_between_list_and_read_is_no_trouble)
{
    CLEANUP_JSON json_t *json = own_lease();

    put_lease(json, 0);
    fake->listed = end_meanwhile; /* behind the listing: it still shows the lease */
    sweep_quietly();
    ck_assert(has(ORPHAN) && has(MANIFEST));
}
END_TEST

static void
begin_meanwhile(struct fake *store, const char *prefix)
{
    CLEANUP_JSON json_t *json = NULL;
    CLEANUP_FREE char *text = NULL;

    if (strcmp(prefix, "chain/lease/") != 0 || fake_find(store, LEASE) != NULL)
        return;
    json = own_lease();
    text = json_pretty(json);
    (void)fake_text(store, LEASE, text);
    put_aged(ORPHAN, 2 * DAY_S); /* as if the clocks differed */
}

/* The backups are listed before the leases: a run that begins in between is not seen at all. */
START_TEST(a_run_that_begins_meanwhile_keeps_its_objects)
{
    fake_drop(fake, ORPHAN);
    fake->listed = begin_meanwhile;
    sweep_quietly();
    ck_assert(has(ORPHAN) && has(LEASE));
}
END_TEST

/* ---- trouble ---- */

static const struct trouble_row {
    const char *refuse;
    int code;
    const char *said; /* NULL: nothing */
    bool lease;       /* there is a dead one */
} trouble_rows[] = {
    { "chain/backup/", PGCASK_FAILED, "nothing is swept there", true },                 /* backups cannot be listed */
    { "chain/lease/", PGCASK_FAILED, "nothing is swept there", true },                  /* leases cannot be listed */
    { LEASE, PGCASK_FAILED, "no answer for '" LEASE "', nothing is swept there", true }, /* one cannot be read */
    { LEASE, PGCASK_COLD, "nothing is swept there", true },
    { MANIFEST, PGCASK_FAILED, NULL, true },                                            /* is it committed? not known */
    { MANIFEST, PGCASK_FAILED, NULL, false },
    { "chain/backup/" RUN "/", PGCASK_FAILED, NULL, false },                            /* is it old? not known */
};

START_TEST(in_doubt_nothing_is_swept)
{
    const struct trouble_row *row = &trouble_rows[_i];
    CLEANUP_JSON json_t *json = own_lease();
    CLEANUP_FREE char *said = NULL;

    (void)json_object_set_new(json, "pid", json_integer(dead_pid())); /* dead, if only it could be read */
    if (row->lease)
        put_lease(json, 0);
    fake->refuse = row->refuse;
    fake->refuse_code = row->code;
    said = sweep();
    if (row->said != NULL)
        ck_assert_has(said, row->said);
    ck_assert(has(ORPHAN));
}
END_TEST

static const char *const bad_leases[] = { "", "rubbish", "[]", "{}", "{\"backup\": 5}" };

START_TEST(a_lease_that_makes_no_sense_stops_the_broom)
{
    CLEANUP_FREE char *said = NULL;

    (void)fake_text(fake, LEASE, bad_leases[_i]);
    said = sweep();
    ck_assert_has(said, "nothing is swept there");
    ck_assert(has(ORPHAN) && has(LEASE));
}
END_TEST

START_TEST(an_orphan_that_cannot_be_removed_is_told)
{
    CLEANUP_FREE char *said = NULL;

    fake->refuse = "shop.dump";
    said = sweep();
    ck_assert_has(said, "no answer for '" ORPHAN "', objects of the unfinished backup stay");
}
END_TEST

/* ---- discard ---- */

START_TEST(the_manifest_goes_first)
{
    (void)fake_text(fake, "chain/backup/" RUN "/a.dump.zst.age", "bytes");
    (void)fake_text(fake, MANIFEST, "{}");
    (void)fake_text(fake, "chain/backup/" RUN "x/b.dump.zst.age", "bytes"); /* another id that begins so */
    stores_discard(fake->storage, "chain", RUN);
    ck_assert_uint_eq(fake->len, 1);
    ck_assert(has("chain/backup/" RUN "x/b.dump.zst.age"));
    ck_assert_str_eq(fake->removed.items[0], MANIFEST);
}
END_TEST

START_TEST(what_has_no_manifest_is_discarded_as_well)
{
    stores_discard(fake->storage, "chain", RUN);
    ck_assert_uint_eq(fake->len, 0);
    stores_discard(fake->storage, "chain", RUN); /* nothing there is no trouble */
    ck_assert_str_eq(error_text(), "");
}
END_TEST

START_TEST(while_the_manifest_stays_everything_stays)
{
    struct talk talk = talk_begin(STDERR_FILENO);
    CLEANUP_FREE char *said = NULL;

    (void)fake_text(fake, MANIFEST, "{}");
    fake->refuse = MANIFEST;
    stores_discard(fake->storage, "chain", RUN);
    said = talk_end(&talk);
    ck_assert(has(ORPHAN) && has(MANIFEST));
    ck_assert_has(said, "objects of the unfinished backup stay");
}
END_TEST

static Suite *
lease_suite(void)
{
    Suite *suite = suite_create("lease");
    TCase *lease = tcase_create("lease"), *broom = tcase_create("broom"), *discard = tcase_create("discard");
    TCase *cases[] = { lease, broom, discard };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        tcase_add_checked_fixture(cases[i], setup, teardown);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_test(lease, a_lease_says_who_writes_what);
    tcase_add_test(lease, no_two_leases_have_one_key);
    tcase_add_loop_test(lease, a_lease_counts_as_long_as_its_run_may_live, 0, ARRAY_LEN(lease_rows));
    tcase_add_test(lease, a_lease_without_its_words_is_somebody_elses);
    tcase_add_loop_test(lease, another_lease_for_the_same_backup_is_a_rival, 0, ARRAY_LEN(rival_rows));
    tcase_add_test(broom, an_old_orphan_without_a_lease_is_swept);
    tcase_add_loop_test(broom, a_young_orphan_stays, 0, ARRAY_LEN(young_s));
    tcase_add_test(broom, a_lease_protects_its_own_backup_only);
    tcase_add_test(broom, one_living_lease_among_dead_ones_is_enough);
    tcase_add_test(broom, what_was_committed_is_never_touched);
    tcase_add_test(broom, other_clusters_and_strangers_are_left_alone);
    tcase_add_test(broom, uploads_older_than_a_day_are_swept);
    tcase_add_test(broom, a_backup_committed_between_the_two_looks_stays);
    tcase_add_test(broom, a_lease_that_goes_between_list_and_read_is_no_trouble);
    tcase_add_test(broom, a_run_that_begins_meanwhile_keeps_its_objects);
    tcase_add_loop_test(broom, in_doubt_nothing_is_swept, 0, ARRAY_LEN(trouble_rows));
    tcase_add_loop_test(broom, a_lease_that_makes_no_sense_stops_the_broom, 0, ARRAY_LEN(bad_leases));
    tcase_add_test(broom, an_orphan_that_cannot_be_removed_is_told);
    tcase_add_test(discard, the_manifest_goes_first);
    tcase_add_test(discard, what_has_no_manifest_is_discarded_as_well);
    tcase_add_test(discard, while_the_manifest_stays_everything_stays);
    return suite;
}

UNIT_MAIN(lease_suite)
