/* SPDX-License-Identifier: PostgreSQL
 *
 * Leases: what they say, how long they count, and who is in whose way. What is swept
 * without them: test-sweep.c.
 */
#include "config.h"

#include "pipeline/stores.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "unit-lease.h"
#include "unit.h"

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
    { "chain/lease/elsewhere-1-00.json", "{\"backup\": \"20261122T020001Z-daily\"}", NULL, 0, false }, /* another id */
    { "shop/lease/elsewhere-1-00.json", NULL, NULL, 0, false },                        /* of another cluster */
    { "chain/lease/elsewhere-1-00.json", NULL, "elsewhere", PGCASK_NOT_FOUND, false }, /* it just ended */
    { "chain/lease/elsewhere-1-00.json", NULL, "elsewhere", PGCASK_FAILED, false },
    { "chain/lease/elsewhere-1-00.json", "rubbish", NULL, 0, false }, /* rot must not stop all backups */
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

static Suite *
lease_suite(void)
{
    Suite *suite = suite_create("lease");
    TCase *lease = tcase_create("lease");

    tcase_add_checked_fixture(lease, lease_setup, lease_teardown);
    tcase_add_test(lease, a_lease_says_who_writes_what);
    tcase_add_test(lease, no_two_leases_have_one_key);
    tcase_add_loop_test(lease, a_lease_counts_as_long_as_its_run_may_live, 0, ARRAY_LEN(lease_rows));
    tcase_add_test(lease, a_lease_without_its_words_is_somebody_elses);
    tcase_add_loop_test(lease, another_lease_for_the_same_backup_is_a_rival, 0, ARRAY_LEN(rival_rows));
    suite_add_tcase(suite, lease);
    return suite;
}

UNIT_MAIN(lease_suite)
