/* SPDX-License-Identifier: PostgreSQL
 *
 * Archived WAL comes to the stores that lack it, object by object and as it is; what
 * is rotten or in dispute does not spread. Backups: test-sync.c.
 */
#include "config.h"

#include "pipeline/sync.h"

#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "pipeline/segment-push.h"
#include "unit-archive-wal.h"
#include "unit-talk.h"

#define ONE "000000010000000000000001"
#define TWO "000000010000000000000002"
#define THREE "000000010000000000000003"

static struct sync_options options;
static struct sync_result result;

static void
setup(void)
{
    archive_setup();
    log_set_level(LOG_LEVEL_WARN);
    options = (struct sync_options){ 0 };
}

static void
teardown(void)
{
    sync_result_free(&result);
    archive_teardown();
}

/* Into all stores that can be opened; then they can be again. */
static void
push(const char *name, uint32_t seed)
{
    CLEANUP_FREE char *path = archive_file(name, seed);
    CLEANUP_SEGMENT_FILE struct segment_file file = { .fd = -1 };
    CLEANUP(pusher_close) struct pusher *pusher = NULL;
    CLEANUP(blob_tools_free) struct blob_tools *tools = blob_tools_new(1);
    bool sent;

    log_set_level(LOG_LEVEL_ERROR);
    ck_assert_int_eq(pusher_open(config, cluster, &pusher), 0);
    ck_assert_int_eq(segment_file_open(path, SEGMENT_SYSTEM, &file), 0);
    (void)pusher_send(pusher, tools, &file, &sent); /* a required store may be away */
    error_clear();
    log_set_level(LOG_LEVEL_WARN);
    memset(broken, 0, sizeof broken);
}

/* Only into the stores of that mask. */
static void
push_to(const char *name, uint32_t seed, unsigned mask)
{
    for (size_t i = 0; i < STORES; i++)
        broken[i] = (mask & (1U << i)) == 0;
    push(name, seed);
}

/* What is said meanwhile, owned by the caller. */
static char *
run(int code)
{
    struct talk talk = talk_begin(STDERR_FILENO);
    char *said;
    int rc;

    sync_result_free(&result);
    rc = sync_run(config, cluster, &options, &result);
    said = talk_end(&talk);
    ck_assert_msg(rc == code, "%d, wanted %d: %s\n%s", rc, code, error_text(), said);
    return said;
}

static void
run_quietly(void)
{
    CLEANUP_FREE char *said = run(0);

    ck_assert_str_eq(said, "");
    ck_assert_uint_eq(result.wal_failed_required + result.wal_failed_optional + result.wal_disputed, 0);
}

static struct fake_object *
object(struct fake *fake, const char *name)
{
    CLEANUP_FREE char *begin = mem_printf("/%s-", name);

    for (size_t i = 0; i < fake->len; i++)
        if (strstr(fake->objects[i].key, begin) != NULL)
            return &fake->objects[i];
    return NULL;
}

static bool
same(const char *name, size_t one, size_t other)
{
    const struct fake_object *a = object(fakes[one], name), *b = object(fakes[other], name);

    return a != NULL && b != NULL && strcmp(a->key, b->key) == 0 && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* This host can only read what was written for somebody else. */
static void
change_identity(void)
{
    CLEANUP_FREE char *path = dir_path("identity.txt"), *recipient = NULL;
    CLEANUP(secret_free) struct secret *identity = NULL;

    ck_assert_int_eq(age_key_generate(&identity, &recipient), 0);
    dir_put(path, secret_text(identity), 0600);
}

/* ---- who gets what ---- */

static const struct place_row {
    unsigned have;       /* stores that have it, a bit each */
    const char *from, *to;
    unsigned get;        /* that have it afterwards */
} place_rows[] = {
    { 7, NULL, NULL, 7 },
    { 1, NULL, NULL, 7 },
    { 2, NULL, NULL, 7 },
    { 4, NULL, NULL, 7 }, /* an optional one has it */
    { 3, NULL, NULL, 7 },
    { 1, NULL, "two", 3 },
    { 1, "one", NULL, 7 },
    { 1, "two", NULL, 1 },
    { 1, "one", "three", 5 },
    { 1, "two", "three", 1 },
};

START_TEST(stores_that_lack_it_get_it_as_it_is)
{
    const struct place_row *row = &place_rows[_i];
    size_t first = row->have & 1 ? 0 : row->have & 2 ? 1 : 2;

    push_to(ONE, 1, row->have);
    options.from = row->from;
    options.to = row->to;
    run_quietly();
    for (size_t i = 0; i < STORES; i++)
        ck_assert_int_eq(same(ONE, first, i), (row->get >> i) & 1);
    run_quietly();
    ck_assert_uint_eq(result.wal_len, 0);
}
END_TEST

START_TEST(a_dry_run_sums_up_and_changes_nothing)
{
    size_t before;

    push_to(ONE, 1, 5);
    push_to(TWO, 2, 5);
    push_to(THREE, 3, 5);
    push_to("000000020000000000000003", 3, 5);
    before = fakes[1]->len;
    options.dry_run = true;
    run_quietly();
    ck_assert_uint_eq(fakes[1]->len, before);
    ck_assert_uint_eq(result.wal_len, 2);
    ck_assert_uint_eq(result.wals[0].timeline, 1);
    ck_assert_uint_eq(result.wals[0].files, 3);
    ck_assert_str_eq(result.wals[0].first, ONE);
    ck_assert_str_eq(result.wals[0].last, THREE);
    ck_assert_str_eq(result.wals[0].store, "two");
    ck_assert_int_eq(result.wals[0].outcome, SYNC_PLANNED);
    ck_assert_uint_eq(result.wals[0].size, object(fakes[0], ONE)->len + object(fakes[0], TWO)->len + object(fakes[0], THREE)->len);
    ck_assert_uint_eq(result.wals[1].timeline, 2);
}
END_TEST

START_TEST(only_backups_are_meant_by_a_job)
{
    push_to(ONE, 1, 1);
    options.id = "20261122T020000Z-daily";
    options.to = "two";
    free(run(ERROR_USAGE)); /* there is no such backup */
    ck_assert_ptr_null(object(fakes[1], ONE));
}
END_TEST

/* wal_stores says who should have it, not who may be asked by name. */
START_TEST(other_stores_are_left_alone)
{
    CLEANUP_FREE char *path = dir_path("pgcask.ini");
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 16);
    char *at;

    push_to(ONE, 1, 1);
    ck_assert_int_eq(file_read(path, &text), 0);
    at = strstr(text.data, "[store one]");
    *at = '\0';
    {
        CLEANUP_FREE char *changed = mem_printf("%swal_stores = one three\n[%s", text.data, at + 1);

        dir_put(path, changed, 0600);
    }
    config_free(config);
    ck_assert_int_eq(config_load(path, &config), 0);
    cluster = &config->clusters.items[0];
    run_quietly();
    ck_assert_ptr_null(object(fakes[1], ONE));
    ck_assert(same(ONE, 0, 2));
    ck_assert_uint_eq(fakes[1]->opens, fakes[1]->closes);
    options.from = "one";
    options.to = "two";
    run_quietly();
    ck_assert(same(ONE, 0, 1));
}
END_TEST

static struct strv order; /* keys that store two was asked for by stat, behind each commit */

static void
note_stat(struct fake *fake, const char *key)
{
    (void)fake;
    if (strstr(key, "/wal/") != NULL && !strv_has(&order, key))
        strv_add(&order, key);
}

START_TEST(histories_come_first_and_then_the_oldest)
{
    static const char *const names[] = { "/00000002.history-", "/" ONE "-", "/" TWO "-", "/000000020000000000000002-" };
    static const char history[] = "1\t0/2000000\tno recovery target specified\n";
    CLEANUP_FREE char *path = dir_path("00000002.history");
    CLEANUP_SEGMENT_FILE struct segment_file file = { .fd = -1 };
    CLEANUP(pusher_close) struct pusher *pusher = NULL;
    CLEANUP(blob_tools_free) struct blob_tools *tools = blob_tools_new(1);
    bool sent;

    push_to("000000020000000000000002", 2, 5);
    push_to(TWO, 2, 5);
    push_to(ONE, 1, 5);
    ck_assert_int_eq(file_write(path, history, strlen(history)), 0);
    log_set_level(LOG_LEVEL_ERROR);
    broken[1] = true;
    ck_assert_int_eq(pusher_open(config, cluster, &pusher), 0);
    broken[1] = false;
    ck_assert_int_eq(segment_file_open(path, SEGMENT_SYSTEM, &file), 0);
    (void)pusher_send(pusher, tools, &file, &sent); /* two is away */
    error_clear();
    log_set_level(LOG_LEVEL_WARN);
    ((struct config_store *)(uintptr_t)config->stores.items[1].store)->parallel = 1;
    fakes[1]->stated = note_stat;
    run_quietly();
    ck_assert_uint_eq(order.len, ARRAY_LEN(names));
    for (size_t i = 0; i < order.len; i++)
        ck_assert_msg(strstr(order.items[i], names[i]) != NULL, "%zu: %s", i, order.items[i]);
    strv_free(&order);
}
END_TEST

/* ---- what does not spread ---- */

static const struct rot_row {
    unsigned rotten, have; /* stores, a bit each */
    bool key;              /* is the right identity at hand? */
    bool arrives;          /* a good one in store three */
} rot_rows[] = {
    { 0, 3, true, true },
    { 1, 3, true, true },  /* the next source is asked */
    { 3, 3, true, false }, /* none is left */
    { 0, 3, false, true }, /* no key is needed */
};

START_TEST(a_rotten_source_is_passed_over)
{
    const struct rot_row *row = &rot_rows[_i];
    CLEANUP_FREE char *said = NULL;

    push_to(ONE, 1, row->have);
    for (size_t i = 0; i < STORES; i++)
        if ((row->rotten >> i) & 1)
            object(fakes[i], ONE)->data[object(fakes[i], ONE)->len / 2] ^= 1;
    if (!row->key)
        change_identity();
    said = run(0);
    ck_assert_int_eq(object(fakes[2], ONE) != NULL, row->arrives);
    if (row->arrives)
        ck_assert(same(ONE, row->rotten & 1 ? 1 : 0, 2));
    ck_assert_uint_eq(result.wal_failed_optional, row->arrives ? 0 : 1);
    if (row->rotten == 1)
        ck_assert_has(said, "does not authenticate: it was changed, or the file was cut here, trying the next store");
    if (row->rotten == 3)
        ck_assert_has(said, "that WAL is not copied");
}
END_TEST

START_TEST(a_source_that_was_cut_is_passed_over)
{
    push_to(ONE, 1, 3);
    object(fakes[0], ONE)->len -= _i == 0 ? 1 : object(fakes[0], ONE)->len;
    free(run(0));
    ck_assert(same(ONE, 1, 2));
}
END_TEST

START_TEST(a_name_with_two_contents_is_told_and_not_copied)
{
    CLEANUP_FREE char *said = NULL;

    push_to(ONE, 1, 1);
    if (_i == 0)
        push_to(ONE, 2, 2);
    else { /* both in one store */
        CLEANUP_FREE char *key = mem_strdup(object(fakes[0], ONE)->key);

        memset(strstr(key, ONE "-") + strlen(ONE "-"), '0', LABEL_DIGEST_CHARS);
        (void)fake_put(fakes[0], key, "x", 1);
    }
    push_to(TWO, 3, 1);
    said = run(0);
    ck_assert_has(said, "there are two different '" ONE "': digest ");
    ck_assert_has(said, "neither is copied");
    ck_assert_has(said, "HINT: two servers have archived as cluster 'main'");
    ck_assert_uint_eq(result.wal_disputed, 1);
    ck_assert_ptr_null(object(fakes[2], ONE));
    ck_assert(same(TWO, 0, 2)); /* the others go on */
}
END_TEST

START_TEST(of_a_partial_each_is_copied_until_the_whole_is_there)
{
    push_to(ONE ".partial", 1, 1);
    push_to(ONE ".partial", 2, 2);
    push_to(TWO ".partial", 3, 1);
    push_to(TWO, 4, 4);
    run_quietly();
    for (size_t i = 0; i < STORES; i++)
        ck_assert_uint_eq(archive_count(fakes[i], ONE ".partial"), 2);
    ck_assert_uint_eq(archive_count(fakes[1], TWO ".partial"), 0);
    ck_assert(same(TWO, 2, 0));
}
END_TEST

/* ---- trouble ---- */

START_TEST(a_target_that_fails_is_told_once)
{
    CLEANUP_FREE char *said = NULL;

    push_to(ONE, 1, 1);
    push_to(TWO, 2, 1);
    ((struct config_store *)(uintptr_t)config->stores.items[1].store)->parallel = 1;
    fakes[1]->refuse = ONE;
    said = run(0);
    ck_assert_uint_eq(result.wal_failed_required, 2);
    ck_assert_uint_eq(result.wal_good, 2); /* in three */
    ck_assert_ptr_nonnull(strstr(said, "that WAL is not copied"));
    ck_assert_ptr_null(strstr(strstr(said, "that WAL is not copied") + 1, "that WAL is not copied"));
    ck_assert_ptr_null(object(fakes[1], TWO));
    fakes[1]->refuse = NULL;
    run_quietly();
    ck_assert(same(ONE, 0, 1) && same(TWO, 0, 1));
}
END_TEST

START_TEST(a_source_that_fails_is_replaced_by_another)
{
    CLEANUP_FREE char *said = NULL;

    push_to(ONE, 1, 3);
    fakes[0]->refuse = ONE;
    said = run(0);
    ck_assert_has(said, "trying the next store");
    ck_assert(same(ONE, 1, 2));
    ck_assert_uint_eq(result.wal_good, 1);
}
END_TEST

START_TEST(a_store_that_cannot_be_listed_is_left_out)
{
    push_to(ONE, 1, 1);
    fakes[1]->refuse = "main/wal/";
    free(run(0));
    ck_assert(same(ONE, 0, 2));
    ck_assert_uint_eq(result.stores_failed_required, 1);
}
END_TEST

/* Bytes change on their way into the store. */
static void
spoil_stored(struct fake *fake, const char *key)
{
    struct fake_object *stored = fake_find(fake, key);

    if (stored != NULL && strstr(key, "/wal/") != NULL)
        stored->data[stored->len / 2] ^= 1;
}

START_TEST(what_comes_back_otherwise_is_taken_away)
{
    CLEANUP_FREE char *said = NULL;

    push_to(ONE, 1, 5);
    fakes[1]->stated = spoil_stored;
    said = run(0);
    ck_assert_has(said, "came back as other bytes than were sent");
    ck_assert_ptr_null(object(fakes[1], ONE));
    ck_assert_uint_eq(result.wal_failed_required, 1);
    fakes[1]->stated = NULL;
    run_quietly();
    ck_assert(same(ONE, 0, 1));
}
END_TEST

START_TEST(what_is_cold_is_told_as_such)
{
    push_to(ONE, 1, 1);
    object(fakes[0], ONE)->tier = PGCASK_TIER_COLD;
    options.to = "two";
    free(run(0));
    ck_assert_int_eq(result.wals[0].outcome, SYNC_COLD);
    ck_assert_uint_eq(result.cold, 1);
}
END_TEST

/* Another host brings it at the same moment: when the listing is over. */
static void
bring_it(struct fake *fake, const char *prefix)
{
    const struct fake_object *there = object(fakes[0], ONE);

    if (strstr(prefix, "/wal/73") != NULL && object(fake, ONE) == NULL)
        (void)fake_put(fake, there->key, there->data, there->len);
}

/* Or another file of that name. */
static void
bring_another(struct fake *fake, const char *prefix)
{
    CLEANUP_FREE char *key = mem_strdup(object(fakes[0], ONE)->key);

    if (strstr(prefix, "/wal/73") == NULL || object(fake, ONE) != NULL)
        return;
    memset(strstr(key, ONE "-") + strlen(ONE "-"), '0', LABEL_DIGEST_CHARS);
    (void)fake_put(fake, key, "x", 1);
}

START_TEST(who_is_faster_is_no_trouble)
{
    push_to(ONE, 1, 5);
    fakes[1]->listed = bring_it;
    run_quietly();
    ck_assert_uint_eq(result.wal_good, 1);
    ck_assert_uint_eq(result.wals[0].copied, 0);
}
END_TEST

START_TEST(a_dispute_that_arises_meanwhile_is_told)
{
    push_to(ONE, 1, 5);
    fakes[1]->listed = bring_another;
    free(run(0));
    ck_assert_uint_eq(result.wal_disputed, 1);
}
END_TEST

static Suite *
sync_wal_suite(void)
{
    Suite *suite = suite_create("sync-wal");
    TCase *wal = tcase_create("wal");

    tcase_add_checked_fixture(wal, setup, teardown);
    tcase_set_timeout(wal, 60);
    tcase_add_loop_test(wal, stores_that_lack_it_get_it_as_it_is, 0, ARRAY_LEN(place_rows));
    tcase_add_test(wal, a_dry_run_sums_up_and_changes_nothing);
    tcase_add_test(wal, only_backups_are_meant_by_a_job);
    tcase_add_test(wal, other_stores_are_left_alone);
    tcase_add_test(wal, histories_come_first_and_then_the_oldest);
    tcase_add_loop_test(wal, a_rotten_source_is_passed_over, 0, ARRAY_LEN(rot_rows));
    tcase_add_loop_test(wal, a_source_that_was_cut_is_passed_over, 0, 2);
    tcase_add_loop_test(wal, a_name_with_two_contents_is_told_and_not_copied, 0, 2);
    tcase_add_test(wal, of_a_partial_each_is_copied_until_the_whole_is_there);
    tcase_add_test(wal, a_target_that_fails_is_told_once);
    tcase_add_test(wal, a_source_that_fails_is_replaced_by_another);
    tcase_add_test(wal, a_store_that_cannot_be_listed_is_left_out);
    tcase_add_test(wal, what_comes_back_otherwise_is_taken_away);
    tcase_add_test(wal, what_is_cold_is_told_as_such);
    tcase_add_test(wal, who_is_faster_is_no_trouble);
    tcase_add_test(wal, a_dispute_that_arises_meanwhile_is_told);
    suite_add_tcase(suite, wal);
    return suite;
}

UNIT_MAIN(sync_wal_suite)
