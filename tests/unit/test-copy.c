/* SPDX-License-Identifier: PostgreSQL
 *
 * One backup from store to store: what is read, what is written and in which order,
 * and what happens when a source is bad, cold or silent, when the target has some of
 * it, and when somebody else is at it, too.
 */
#include "config.h"

#include "pipeline/copy.h"

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "pipeline/stores.h"
#include "unit-copy.h"
#include "unit-talk.h"
#include "unit.h"

#define ID "20261122T020000Z-daily"
#define DIR "chain/backup/" ID "/"
#define MANIFEST DIR "manifest.json"

static struct fake *near, *far, *target;
static struct copy_source sources[2];
static struct copy_spec spec;
static struct copy_result result;

static void
setup(void)
{
    near = fake_opened("near");
    far = fake_opened("far");
    target = fake_opened("target");
    copy_put(near, ID);
    copy_put(far, ID);
    sources[0] = (struct copy_source){ .storage = near->storage };
    sources[1] = (struct copy_source){ .storage = far->storage };
    spec = (struct copy_spec){
        .repository = REPOSITORY,
        .cluster = "chain",
        .id = ID,
        .target = target->storage,
        .sources = sources,
        .source_count = 2,
    };
}

static void
teardown(void)
{
    fake_free(near);
    fake_free(far);
    fake_free(target);
}

/* What is said meanwhile, owned by the caller. */
static char *
copy(int code)
{
    struct talk talk = talk_begin(STDERR_FILENO);
    int rc = copy_backup(&spec, &result);
    char *said = talk_end(&talk);

    ck_assert_msg(rc == code, "%d, wanted %d: %s\n%s", rc, code, error_text(), said);
    return said;
}

static void
copy_quietly(void)
{
    CLEANUP_FREE char *said = copy(0);

    ck_assert_str_eq(said, "");
    ck_assert(copy_has(target, ID));
}

static size_t
key_at(const char *part)
{
    for (size_t i = 0; i < target->len; i++)
        if (strstr(target->objects[i].key, part) != NULL)
            return i;
    ck_abort_msg("'%s' is not there", part);
}

/* ---- as it should be ---- */

START_TEST(all_comes_the_manifest_last_and_the_lease_goes)
{
    copy_quietly();
    ck_assert_uint_eq(target->len, COPY_MEMBERS + 2);
    ck_assert_uint_eq(key_at("/manifest.json"), 0); /* the last one takes the place of one that goes: the lease's */
    ck_assert_uint_eq(copy_count(target, "-good.json"), 1);
    ck_assert_uint_eq(copy_count(target, "/lease/"), 0);
    ck_assert_uint_eq(result.size, 700 + 100000 + 5000);
    ck_assert_uint_eq(result.bytes, result.size);
    ck_assert_uint_eq(result.members, COPY_MEMBERS);
    ck_assert_uint_eq(result.copied, COPY_MEMBERS);
    ck_assert(!result.there && !result.target_failed);
    ck_assert_uint_eq(far->gets + far->stats + far->lists, 0); /* the nearest has all of it */
    ck_assert_uint_eq(near->lists, 0);
    ck_assert_uint_eq(near->gets, COPY_MEMBERS + 1); /* each member in one piece, and the manifest */
    ck_assert_uint_eq(near->len, COPY_MEMBERS + 1);  /* nothing is written there */
}
END_TEST

/* While it is copied no sweep of any host takes it for rubbish. */
static struct storage *of_sweeper;

static void
sweep_meanwhile(struct fake *fake, const char *key)
{
    if (strstr(key, "shop.dump") == NULL)
        return;
    fake->stated = NULL;
    ck_assert_uint_eq(copy_count(fake, "/lease/"), 1);
    stores_sweep(of_sweeper, "chain");
}

START_TEST(a_sweep_leaves_it_alone_meanwhile)
{
    static const struct config_store policy = { .required = 1, .parallel = 1 };

    fake_next = target;
    ck_assert_int_eq(storage_open_plugin("target", &fake_plugin, NULL, &policy, 0, &of_sweeper), 0);
    target->stated = sweep_meanwhile; /* at the confirmation of that member */
    copy_quietly();
    ck_assert_uint_eq(target->sweeps, 1);
    storage_close(of_sweeper);
}
END_TEST

START_TEST(what_has_come_by_now_is_left_alone)
{
    copy_put(target, ID);
    copy_flip(target, ID, 1, 500); /* nobody knows */
    free(copy(0));
    ck_assert(result.there);
    ck_assert_uint_eq(target->gets, 0);
    ck_assert_uint_eq(copy_count(target, "/lease/"), 0);
}
END_TEST

/* ---- what the target has of it already ---- */

static const struct half_row {
    int member; /* of which the target has something; -1: all of them */
    int flip;   /* this byte of it; -1: none */
    int cut;    /* bytes that are missing */
    size_t copied;
} half_rows[] = {
    { 0, -1, 0, COPY_MEMBERS - 1 },
    { 1, -1, 0, COPY_MEMBERS - 1 },
    { -1, -1, 0, 0 },
    { 1, 0, 0, COPY_MEMBERS },       /* in the age header */
    { 1, 99999, 0, COPY_MEMBERS },
    { 2, -1, 1, COPY_MEMBERS },
    { 2, -1, 5000, COPY_MEMBERS },   /* empty */
};

START_TEST(what_is_good_there_is_kept_and_the_rest_replaced)
{
    const struct half_row *row = &half_rows[_i];
    CLEANUP_FREE char *said = NULL;

    for (size_t i = 0; i < COPY_MEMBERS; i++) {
        CLEANUP_FREE unsigned char *data = copy_bytes(ID, i);
        CLEANUP_FREE char *key = copy_key(ID, i);

        if (row->member >= 0 && (size_t)row->member != i)
            continue;
        if (row->flip >= 0)
            data[row->flip] ^= 1;
        (void)fake_put(target, key, data, copy_members_of[i].size - (size_t)row->cut);
    }
    copy_quietly(); /* a run that was cut short is no reason for a warning */
    ck_assert_uint_eq(result.copied, row->copied);
    ck_assert_uint_eq(target->removed.len, (row->flip >= 0 || row->cut > 0) + 1U); /* and the lease */
}
END_TEST

START_TEST(a_proof_that_the_target_cannot_give_ends_it)
{
    CLEANUP_FREE unsigned char *data = copy_bytes(ID, 1);
    CLEANUP_FREE char *said = NULL;

    (void)fake_put(target, DIR "shop.dump.zst.age", data, copy_members_of[1].size);
    target->refuse = "shop.dump";
    said = copy(PGCASK_FAILED);
    ck_assert_error_has("store 'target': no answer for");
    ck_assert(result.target_failed);
    ck_assert_uint_eq(copy_count(target, "/lease/"), 0);
    ck_assert_ptr_null(fake_find(target, MANIFEST));
    ck_assert_ptr_nonnull(fake_find(target, DIR "shop.dump.zst.age"));
}
END_TEST

/* It became visible only after its digest was compared. */
START_TEST(what_lies_cold_in_the_target_is_believed)
{
    CLEANUP_FREE unsigned char *data = copy_bytes(ID, 1);

    fake_put(target, DIR "shop.dump.zst.age", data, copy_members_of[1].size)->tier = PGCASK_TIER_COLD;
    copy_quietly();
    ck_assert_uint_eq(result.copied, COPY_MEMBERS - 1);
    ck_assert_uint_eq(copy_count(target, "-good.json"), 1);
}
END_TEST

/* ---- sources in trouble ---- */

enum trouble { FLIPPED, HEADER_FLIPPED, CUT, GONE, SILENT, COLD };

static const struct source_row {
    enum trouble trouble;
    bool bad;          /* its copy is */
    int code;          /* when nobody else has it */
    const char *error;
} source_rows[] = {
    { FLIPPED, true, ERROR_CORRUPT, "the digest of the stored bytes is " },
    { HEADER_FLIPPED, true, ERROR_CORRUPT, "the digest of the stored bytes is " },
    { CUT, true, ERROR_CORRUPT, "has 99999 bytes, the manifest says 100000" },
    { GONE, true, PGCASK_NOT_FOUND, "is missing" },
    { SILENT, false, PGCASK_FAILED, "no answer for" },
    { COLD, false, PGCASK_COLD, "is in cold storage" },
};

static void
trouble(struct fake *fake, enum trouble kind)
{
    struct fake_object *object = fake_find(fake, DIR "shop.dump.zst.age");

    switch (kind) {
    case FLIPPED:
        object->data[70000] ^= 1;
        break;
    case HEADER_FLIPPED:
        object->data[7] ^= 1;
        break;
    case CUT:
        object->len--;
        break;
    case GONE:
        fake_drop(fake, object->key);
        break;
    case SILENT:
        fake->refuse = "shop.dump";
        break;
    case COLD:
        object->tier = PGCASK_TIER_COLD;
        break;
    }
}

START_TEST(the_next_store_helps_out)
{
    const struct source_row *row = &source_rows[_i];
    CLEANUP_FREE char *said = NULL;

    trouble(near, row->trouble);
    said = copy(0);
    ck_assert(copy_has(target, ID));
    ck_assert_has(said, "WARN: store 'near': ");
    ck_assert_has(said, row->error);
    ck_assert_has(said, "trying the next store");
    ck_assert_int_eq(sources[0].bad, row->bad);
    ck_assert_int_eq(sources[0].failed, row->trouble == SILENT);
    ck_assert(!sources[1].bad && !sources[1].failed);
    ck_assert_uint_eq(copy_count(near, "-bad.json"), row->bad); /* so that the next sync heals it */
    ck_assert_uint_eq(copy_count(near, "-good.json") + copy_count(far, "verdict"), 0);
}
END_TEST

START_TEST(without_a_good_source_nothing_bad_comes_and_what_is_good_stays)
{
    const struct source_row *row = &source_rows[_i];
    CLEANUP_FREE char *said = NULL;

    spec.source_count = 1;
    trouble(near, row->trouble);
    said = copy(row->code);
    ck_assert_error_has("store 'near': ");
    ck_assert_error_has(row->error);
    ck_assert_ptr_null(fake_find(target, MANIFEST));
    ck_assert_ptr_null(fake_find(target, DIR "shop.dump.zst.age"));
    ck_assert_uint_eq(copy_count(target, "verdict"), 0);
    ck_assert_uint_eq(copy_count(target, "/lease/"), 0);
    ck_assert_uint_eq(target->removed.len, 1); /* the lease: nothing bad was ever committed */
    ck_assert(!result.target_failed);
    ck_assert(copy_has_member(target, ID, 0)); /* for the next try */
    ck_assert_uint_eq(copy_count(near, "-bad.json"), row->bad);
}
END_TEST

/* One cannot be read now, the other never: thawing helps. */
START_TEST(cold_is_what_is_told_when_it_would_help)
{
    CLEANUP_FREE char *said = NULL;

    trouble(near, COLD);
    trouble(far, FLIPPED);
    said = copy(PGCASK_COLD);
    ck_assert_has(said, "store 'near': 'chain/backup/");
    ck_assert_has(said, "store 'far': object");
    ck_assert_error_has("store 'near': ");
}
END_TEST

START_TEST(a_spoilt_manifest_is_taken_from_the_next_store)
{
    CLEANUP_FREE char *said = NULL;

    (void)fake_text(near, MANIFEST, "rubbish");
    said = copy(0);
    ck_assert_has(said, "store 'near': object '" MANIFEST "' is not valid JSON");
    ck_assert(copy_has(target, ID));
    ck_assert(sources[0].bad);
    ck_assert_uint_eq(copy_count(near, "-bad.json"), 1);
}
END_TEST

/* Somebody removes it there: that is no bad copy. */
static void
expire(struct fake *fake, const char *key)
{
    if (strstr(key, "shop.dump") == NULL)
        return;
    fake_drop(fake, MANIFEST);
    fake_drop(fake, DIR "shop.dump.zst.age");
    fake->stated = NULL;
}

START_TEST(what_is_removed_meanwhile_gets_no_verdict)
{
    near->stated = expire;
    free(copy(0));
    ck_assert(copy_has(target, ID));
    ck_assert_uint_eq(copy_count(near, "verdict"), 0);
}
END_TEST

/* ---- healing ---- */

START_TEST(only_what_is_bad_is_replaced)
{
    CLEANUP_FREE char *said = NULL;

    copy_put(target, ID);
    copy_flip(target, ID, 1, 500);
    spec.heal = true;
    said = copy(0);
    ck_assert(copy_has(target, ID));
    ck_assert_uint_eq(result.copied, 1);
    ck_assert_has(said, "store 'target': object '" DIR "shop.dump.zst.age'");
    ck_assert_has(said, "it is replaced");
    ck_assert_uint_eq(copy_count(target, "-good.json"), 1);
}
END_TEST

/* A bad member may be better than none. */
START_TEST(a_bad_member_stays_until_there_is_a_good_one)
{
    const struct source_row *row = &source_rows[_i];

    copy_put(target, ID);
    copy_flip(target, ID, 1, 500);
    trouble(near, row->trouble);
    spec.source_count = 1;
    spec.heal = true;
    free(copy(row->code));
    ck_assert_ptr_nonnull(fake_find(target, DIR "shop.dump.zst.age"));
    ck_assert_ptr_nonnull(fake_find(target, MANIFEST));
    ck_assert_uint_eq(target->removed.len, 1); /* the lease */
}
END_TEST

START_TEST(a_spoilt_manifest_is_replaced_behind_the_members)
{
    copy_put(target, ID);
    (void)fake_text(target, MANIFEST, "rubbish");
    copy_flip(target, ID, 0, 500);
    spec.heal = true;
    free(copy(0));
    ck_assert(copy_has(target, ID));
    ck_assert_str_eq(target->removed.items[0], DIR "globals.sql.zst.age");
    ck_assert_str_eq(target->removed.items[1], MANIFEST);
}
END_TEST

/* The same id, and good in itself: it is not for us to say which one is the right one. */
START_TEST(another_backup_of_that_id_is_left_alone)
{
    CLEANUP(manifest_free) struct manifest *manifest = copy_manifest(ID);
    CLEANUP_FREE char *text = NULL;

    copy_put(target, ID);
    copy_flip(target, ID, 1, 500);
    manifest->server_version++;
    text = manifest_encode(manifest);
    (void)fake_text(target, MANIFEST, text);
    spec.heal = true;
    free(copy(ERROR_CORRUPT));
    ck_assert_error_has("store 'target' has another backup '" ID "' than the others: it is left alone");
    ck_assert_uint_eq(target->removed.len, 1); /* the lease */
    ck_assert_uint_eq(copy_count(target, "verdict"), 0);
}
END_TEST

/* ---- somebody else ---- */

static bool rival_is_good;

/* Another run commits the member right behind our first look. */
static void
rival_writes(struct fake *fake, const char *prefix)
{
    CLEANUP_FREE unsigned char *data = copy_bytes(ID, 1);

    if (strcmp(prefix, DIR) != 0)
        return;
    if (!rival_is_good)
        data[3] ^= 1;
    (void)fake_put(fake, DIR "shop.dump.zst.age", data, copy_members_of[1].size);
    fake->listed = NULL;
}

START_TEST(what_another_run_writes_at_the_same_time_is_looked_at)
{
    rival_is_good = _i == 1;
    target->listed = rival_writes;
    copy_quietly();
    ck_assert_uint_eq(result.copied, rival_is_good ? COPY_MEMBERS - 1 : COPY_MEMBERS);
}
END_TEST

static void
put_lease(bool alive)
{
    CLEANUP_FREE char *key = NULL, *text = NULL, *other = NULL;
    CLEANUP_JSON json_t *row = NULL;

    ck_assert_int_eq(stores_lease("chain", ID, &key, &text), 0);
    ck_assert_int_eq(json_read("lease", text, strlen(text), &row), 0);
    if (!alive)
        (void)json_object_set_new(row, "start", json_string("0")); /* our pid, but of another process */
    other = json_pretty(row);
    (void)fake_text(target, key, other);
}

START_TEST(another_run_that_is_at_it_is_left_to_it)
{
    put_lease(true);
    free(copy(ERROR_LOCKED));
    ck_assert_error_has("store 'target': another run is writing backup '" ID "' there");
    ck_assert_uint_eq(target->len, 1); /* the other's lease */
    ck_assert(!result.target_failed);
}
END_TEST

START_TEST(a_run_that_died_is_not_waited_for)
{
    put_lease(false);
    copy_quietly();
}
END_TEST

/* ---- the target in trouble ---- */

static const char *const refusals[] = { "/lease/", "globals", "manifest.json", "verdict" };

START_TEST(a_target_that_fails_is_told_apart)
{
    target->refuse = refusals[_i];
    free(copy(PGCASK_FAILED));
    ck_assert_error_has("store 'target': no answer for");
    ck_assert_int_eq(result.target_failed, strcmp(refusals[_i], "verdict") != 0);
    ck_assert(!sources[0].bad && !sources[0].failed);
    ck_assert_uint_eq(copy_count(near, "verdict"), 0);
    if (strcmp(refusals[_i], "verdict") != 0)
        ck_assert_ptr_null(fake_find(target, MANIFEST));
}
END_TEST

static void
spoil(struct fake *fake, const char *key)
{
    if (strcmp(key, MANIFEST) != 0)
        return;
    copy_flip(fake, ID, 1, 12);
    fake->stated = NULL;
}

/* It says that it has it, and has not. */
START_TEST(what_is_read_back_is_what_counts)
{
    target->stated = spoil;
    free(copy(ERROR_CORRUPT));
    ck_assert_error_has("it was copied, but could not be verified: store 'target'");
    ck_assert_uint_eq(copy_count(target, "-bad.json"), 1);
    ck_assert_uint_eq(copy_count(target, "-good.json"), 0);
}
END_TEST

/* Of two verdicts in one second the bad one counts. */
START_TEST(a_good_verdict_waits_until_it_counts)
{
    CLEANUP(catalog_free) struct catalog *catalog = NULL;
    struct storage *const one[] = { target->storage };
    CLEANUP_FREE char *key = NULL;

    spec.verdict_s = clock_now_s();
    key = label_verdict("chain", ID, spec.verdict_s, false);
    copy_put(target, ID);
    copy_flip(target, ID, 2, 12);
    (void)fake_text(target, key, "{}");
    spec.heal = true;
    free(copy(0));
    ck_assert_int_eq(catalog_load(one, 1, "chain", NULL, &catalog), 0);
    ck_assert_int_eq(catalog->backups[0].copies[0].state, CATALOG_GOOD);
}
END_TEST

static Suite *
copy_suite(void)
{
    Suite *suite = suite_create("copy");
    TCase *whole = tcase_create("whole"), *half = tcase_create("half"), *source = tcase_create("source");
    TCase *heal = tcase_create("heal"), *rival = tcase_create("rival");
    TCase *cases[] = { whole, half, source, heal, rival };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        tcase_add_checked_fixture(cases[i], setup, teardown);
        tcase_set_timeout(cases[i], 60);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_test(whole, all_comes_the_manifest_last_and_the_lease_goes);
    tcase_add_test(whole, a_sweep_leaves_it_alone_meanwhile);
    tcase_add_test(whole, what_has_come_by_now_is_left_alone);
    tcase_add_loop_test(whole, a_target_that_fails_is_told_apart, 0, ARRAY_LEN(refusals));
    tcase_add_test(whole, what_is_read_back_is_what_counts);
    tcase_add_loop_test(half, what_is_good_there_is_kept_and_the_rest_replaced, 0, ARRAY_LEN(half_rows));
    tcase_add_test(half, a_proof_that_the_target_cannot_give_ends_it);
    tcase_add_test(half, what_lies_cold_in_the_target_is_believed);
    tcase_add_loop_test(source, the_next_store_helps_out, 0, ARRAY_LEN(source_rows));
    tcase_add_loop_test(source, without_a_good_source_nothing_bad_comes_and_what_is_good_stays, 0, ARRAY_LEN(source_rows));
    tcase_add_test(source, cold_is_what_is_told_when_it_would_help);
    tcase_add_test(source, a_spoilt_manifest_is_taken_from_the_next_store);
    tcase_add_test(source, what_is_removed_meanwhile_gets_no_verdict);
    tcase_add_test(heal, only_what_is_bad_is_replaced);
    tcase_add_loop_test(heal, a_bad_member_stays_until_there_is_a_good_one, 0, ARRAY_LEN(source_rows));
    tcase_add_test(heal, a_spoilt_manifest_is_replaced_behind_the_members);
    tcase_add_test(heal, another_backup_of_that_id_is_left_alone);
    tcase_add_test(heal, a_good_verdict_waits_until_it_counts);
    tcase_add_loop_test(rival, what_another_run_writes_at_the_same_time_is_looked_at, 0, 2);
    tcase_add_test(rival, another_run_that_is_at_it_is_left_to_it);
    tcase_add_test(rival, a_run_that_died_is_not_waited_for);
    return suite;
}

UNIT_MAIN(copy_suite)
