/* SPDX-License-Identifier: PostgreSQL
 *
 * The archiver of `wal receive` over stores that are made up: order, what is told to be stored, what is removed, and
 * trouble.
 */
#include "config.h"

#include "pipeline/receive-archive.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "unit-dir.h"

enum { SEGMENT = 1 << 20, LONG_MS = 20000, HOUR_MS = 3600 * 1000 };

/* The stores: a diary of what was asked of them, and what they answer. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t open;
    struct strv diary;
    int answer;
    bool shut; /* store waits */
} stores = { .lock = PTHREAD_MUTEX_INITIALIZER, .open = PTHREAD_COND_INITIALIZER };

static int
fake_store(void *ctx, const struct spool_item *item, uint64_t len, char *ret_digest)
{
    CLEANUP_FREE char *name = wal_name_text(&item->name);
    int rc;

    (void)ctx;
    (void)pthread_mutex_lock(&stores.lock);
    while (stores.shut)
        (void)pthread_cond_wait(&stores.open, &stores.lock);
    rc = stores.answer;
    strv_addf(&stores.diary, "%s %s %llu", rc == 0 ? "store" : "fail", name, (unsigned long long)len);
    (void)pthread_mutex_unlock(&stores.lock);
    (void)snprintf(ret_digest, LABEL_DIGEST_CHARS + 1, "%032llx", (unsigned long long)len);
    return rc == 0 ? 0 : error_set(rc, "no room");
}

static void
fake_forget(void *ctx, const struct spool_item *item, const char *digest, const char *shorter)
{
    CLEANUP_FREE char *name = wal_name_text(&item->name);

    (void)ctx;
    (void)pthread_mutex_lock(&stores.lock);
    if (shorter != NULL)
        strv_addf(&stores.diary, "forget %s %llu for %llu", name, strtoull(shorter, NULL, 16),
                  strtoull(digest, NULL, 16));
    else
        strv_addf(&stores.diary, "forget all of %s", name);
    (void)pthread_mutex_unlock(&stores.lock);
}

static void
fake_moved(void *ctx)
{
    (void)ctx;
}

static const struct archiver_ops ops = { fake_store, fake_forget, fake_moved };
static char *dir;

static void
setup(void)
{
    dir_make();
    dir = dir_path("spool");
    stores.answer = 0;
    stores.shut = false;
    log_set_level(LOG_LEVEL_ERROR);
}

static void
teardown(void)
{
    strv_free(&stores.diary);
    free(dir);
    dir_remove();
}

static void
set_shut(bool shut)
{
    (void)pthread_mutex_lock(&stores.lock);
    stores.shut = shut;
    (void)pthread_cond_broadcast(&stores.open);
    (void)pthread_mutex_unlock(&stores.lock);
}

static void
set_answer(int answer)
{
    (void)pthread_mutex_lock(&stores.lock);
    stores.answer = answer;
    (void)pthread_mutex_unlock(&stores.lock);
}

/* A file of the spool, which is there. */
static struct spool_item
item(enum wal_file file, uint64_t number, uint64_t size)
{
    static char system[] = "77";
    struct spool_item made = { system, wal_segment_at(1, number, SEGMENT), size };
    CLEANUP_FREE char *path = NULL, *parent = mem_printf("%s/77", dir);

    made.name.file = file;
    if (file == WAL_HISTORY)
        made.name = (struct wal_name){ .file = file, .timeline = (uint32_t)number };
    path = spool_path(dir, system, &made.name);
    ck_assert_int_eq(file_mkdirs(parent), 0);
    ck_assert_int_eq(file_write_lazily(path, "", 0), 0);
    return made;
}

static bool
is_there(const struct spool_item *which)
{
    CLEANUP_FREE char *path = spool_path(dir, which->system, &which->name);

    return file_exists(path);
}

static struct archiver *
begin(int64_t interval_ms)
{
    struct archiver *archiver;

    ck_assert_int_eq(archiver_start(dir, interval_ms, &ops, NULL, &archiver), 0);
    return archiver;
}

static bool
diary_has(const char *line)
{
    bool has;

    (void)pthread_mutex_lock(&stores.lock);
    has = strv_has(&stores.diary, line);
    (void)pthread_mutex_unlock(&stores.lock);
    return has;
}

static void
wait_for(const char *line)
{
    int64_t until_ms = clock_mono_ms() + LONG_MS;

    while (!diary_has(line)) {
        ck_assert_msg(clock_mono_ms() < until_ms, "never came: %s", line);
        (void)usleep(1000);
    }
}

static void
wait_stored(struct archiver *archiver, uint64_t lsn)
{
    int64_t until_ms = clock_mono_ms() + LONG_MS;

    while (archiver_stored_lsn(archiver) < lsn) {
        ck_assert(clock_mono_ms() < until_ms);
        archiver_wait(archiver, 10);
    }
    ck_assert_uint_eq(archiver_stored_lsn(archiver), lsn);
}

static void
diary_is(const char *wanted)
{
    CLEANUP_FREE char *seen = NULL;

    (void)pthread_mutex_lock(&stores.lock);
    seen = stores.diary.len > 0 ? strv_join(&stores.diary, "\n") : mem_strdup("");
    (void)pthread_mutex_unlock(&stores.lock);
    ck_assert_str_eq(seen, wanted);
}

START_TEST(the_queue_goes_in_order_and_out_of_the_spool)
{
    CLEANUP(archiver_free) struct archiver *archiver = NULL;
    struct spool_item history = item(WAL_HISTORY, 2, 10), one = item(WAL_SEGMENT, 1, SEGMENT),
                      two = item(WAL_SEGMENT, 2, SEGMENT);
    struct spool_item open = item(WAL_PARTIAL, 3, 0);

    set_shut(true);
    archiver = begin(0);
    archiver_add(archiver, &history, 0, false);
    archiver_add(archiver, &one, SEGMENT, false);
    archiver_add(archiver, &two, 2 * SEGMENT, false);
    archiver_add(archiver, &one, SEGMENT, false); /* is there already */
    archiver_current(archiver, &open, 3 * SEGMENT, 0);
    ck_assert_uint_eq(archiver_backlog_bytes(archiver), 2 * SEGMENT + 10);
    ck_assert_uint_eq(archiver_stored_lsn(archiver), 0);
    ck_assert(is_there(&history) && is_there(&one) && is_there(&two));
    set_shut(false);
    wait_stored(archiver, 3 * SEGMENT);
    diary_is("store 00000002.history 10\n"
             "store 000000010000000000000001 1048576\nforget all of 000000010000000000000001\n"
             "store 000000010000000000000002 1048576\nforget all of 000000010000000000000002");
    ck_assert(!is_there(&history) && !is_there(&one) && !is_there(&two) && is_there(&open));
    ck_assert_uint_eq(archiver_backlog_bytes(archiver), 0);
}
END_TEST

START_TEST(a_longer_partial_replaces_the_shorter_one)
{
    CLEANUP(archiver_free) struct archiver *archiver = begin(1);
    struct spool_item open = item(WAL_PARTIAL, 1, 0), whole;

    archiver_current(archiver, &open, SEGMENT, 100);
    wait_stored(archiver, SEGMENT + 100);
    archiver_current(archiver, &open, SEGMENT, 300);
    wait_stored(archiver, SEGMENT + 300);
    whole = item(WAL_SEGMENT, 1, SEGMENT);
    archiver_add(archiver, &whole, SEGMENT, false);
    open = item(WAL_PARTIAL, 2, 0);
    archiver_current(archiver, &open, 2 * SEGMENT, 0);
    wait_stored(archiver, 2 * SEGMENT);
    diary_is("store 000000010000000000000001.partial 100\nstore 000000010000000000000001.partial 300\n"
             "forget 000000010000000000000001.partial 100 for 300\n"
             "store 000000010000000000000001 1048576\nforget all of 000000010000000000000001");
}
END_TEST

START_TEST(a_shorter_one_never_replaces_a_longer_one)
{
    CLEANUP(archiver_free) struct archiver *archiver = begin(1);
    struct spool_item old = item(WAL_PARTIAL, 1, 500), open = item(WAL_PARTIAL, 1, 0);

    archiver_add(archiver, &old, 0, true); /* what was left by the process before */
    wait_for("store 000000010000000000000001.partial 500");
    archiver_current(archiver, &open, SEGMENT, 100);
    wait_stored(archiver, SEGMENT + 100);
    archiver_current(archiver, &open, SEGMENT, 600);
    wait_stored(archiver, SEGMENT + 600);
    diary_is("store 000000010000000000000001.partial 500\nstore 000000010000000000000001.partial 100\n"
             "store 000000010000000000000001.partial 600\n"
             "forget 000000010000000000000001.partial 500 for 600\n"
             "forget 000000010000000000000001.partial 100 for 600");
    ck_assert(is_there(&open));
}
END_TEST

START_TEST(the_current_one_is_stored_when_it_is_due)
{
    CLEANUP(archiver_free) struct archiver *archiver = begin(_i == 0 ? 0 : HOUR_MS);
    struct spool_item open = item(WAL_PARTIAL, 1, 0);

    archiver_current(archiver, &open, SEGMENT, 0);
    archiver_hasten(archiver); /* there is nothing: not even later */
    archiver_current(archiver, &open, SEGMENT, 100);
    if (_i == 1)
        wait_stored(archiver, SEGMENT + 100); /* the first of an interval */
    archiver_current(archiver, &open, SEGMENT, 200);
    archiver_wait(archiver, 100);
    ck_assert_uint_eq(archiver_stored_lsn(archiver), _i == 0 ? SEGMENT : SEGMENT + 100);
    archiver_hasten(archiver);
    wait_stored(archiver, SEGMENT + 200);
}
END_TEST

START_TEST(nothing_behind_what_failed_is_told_to_be_stored)
{
    CLEANUP(archiver_free) struct archiver *archiver = NULL;
    struct spool_item one = item(WAL_SEGMENT, 1, SEGMENT), open = item(WAL_PARTIAL, 2, 0);

    set_answer(PGCASK_FAILED);
    archiver = begin(1);
    archiver_add(archiver, &one, SEGMENT, false);
    archiver_current(archiver, &open, 2 * SEGMENT, 100);
    wait_for("fail 000000010000000000000001 1048576");
    ck_assert_uint_eq(archiver_stored_lsn(archiver), SEGMENT);
    ck_assert_int_eq(archiver_check(archiver), 0);
    ck_assert(is_there(&one));
    set_answer(0);
    wait_stored(archiver, 2 * SEGMENT + 100); /* it is tried again by itself */
    ck_assert(!is_there(&one));
}
END_TEST

static const int fatal_codes[] = { PGCASK_EXISTS, ERROR_CORRUPT, ERROR_USAGE, PGCASK_NOT_FOUND };

START_TEST(what_no_second_try_can_mend_is_told)
{
    CLEANUP(archiver_free) struct archiver *archiver = NULL;
    struct spool_item one = item(WAL_SEGMENT, 1, SEGMENT), open = item(WAL_PARTIAL, 2, 0);
    int64_t until_ms = clock_mono_ms() + LONG_MS;

    set_answer(fatal_codes[_i]);
    archiver = begin(1);
    archiver_add(archiver, &one, SEGMENT, false);
    archiver_current(archiver, &open, 2 * SEGMENT, 100);
    while (archiver_check(archiver) == 0 && clock_mono_ms() < until_ms)
        archiver_wait(archiver, 10);
    ck_assert_int_eq(archiver_check(archiver), fatal_codes[_i]);
    ck_assert_error_has("no room");
    ck_assert(is_there(&one));
    ck_assert_uint_eq(archiver_stored_lsn(archiver), SEGMENT);
    ck_assert_uint_eq(archiver_drain(archiver, LONG_MS), 2);
}
END_TEST

static const int excused_codes[] = { ERROR_CORRUPT, PGCASK_NOT_FOUND };

START_TEST(an_old_partial_that_is_of_no_use_holds_nothing_up)
{
    CLEANUP(archiver_free) struct archiver *archiver = NULL;
    struct spool_item old = item(WAL_PARTIAL, 1, 100), one = item(WAL_SEGMENT, 2, SEGMENT);

    set_answer(excused_codes[_i]);
    archiver = begin(1);
    archiver_add(archiver, &old, 0, true);
    wait_for("fail 000000010000000000000001.partial 100");
    set_answer(0);
    archiver_add(archiver, &one, 2 * SEGMENT, false);
    wait_for("store 000000010000000000000002 1048576");
    ck_assert_int_eq(archiver_check(archiver), 0);
    ck_assert(is_there(&old));
}
END_TEST

START_TEST(draining_stores_all_there_is)
{
    CLEANUP(archiver_free) struct archiver *archiver = begin(0);
    struct spool_item one = item(WAL_SEGMENT, 1, SEGMENT), open = item(WAL_PARTIAL, 2, 0);

    archiver_add(archiver, &one, SEGMENT, false);
    archiver_current(archiver, &open, 2 * SEGMENT, 100);
    ck_assert_uint_eq(archiver_drain(archiver, LONG_MS), 0);
    ck_assert(diary_has("store 000000010000000000000002.partial 100"));
    ck_assert_uint_eq(archiver_drain(archiver, LONG_MS), 0);
}
END_TEST

START_TEST(draining_ends_with_the_first_failure)
{
    CLEANUP(archiver_free) struct archiver *archiver = NULL;
    struct spool_item one = item(WAL_SEGMENT, 1, SEGMENT), open = item(WAL_PARTIAL, 2, 0);

    set_answer(PGCASK_FAILED);
    archiver = begin(0);
    archiver_add(archiver, &one, SEGMENT, false);
    archiver_current(archiver, &open, 2 * SEGMENT, 100);
    ck_assert_uint_eq(archiver_drain(archiver, HOUR_MS), 2);
    ck_assert(is_there(&one));
}
END_TEST

START_TEST(draining_ends_when_its_time_is_over)
{
    CLEANUP(archiver_free) struct archiver *archiver = NULL;
    struct spool_item one = item(WAL_SEGMENT, 1, SEGMENT);

    set_shut(true);
    archiver = begin(0);
    archiver_add(archiver, &one, SEGMENT, false);
    ck_assert_uint_eq(archiver_drain(archiver, 20), 1);
    set_shut(false);
}
END_TEST

static Suite *
archive_suite(void)
{
    Suite *suite = suite_create("receive-archive");
    TCase *tcase = tcase_create("receive-archive");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_queue_goes_in_order_and_out_of_the_spool);
    tcase_add_test(tcase, a_longer_partial_replaces_the_shorter_one);
    tcase_add_test(tcase, a_shorter_one_never_replaces_a_longer_one);
    tcase_add_loop_test(tcase, the_current_one_is_stored_when_it_is_due, 0, 2);
    tcase_add_test(tcase, nothing_behind_what_failed_is_told_to_be_stored);
    tcase_add_loop_test(tcase, what_no_second_try_can_mend_is_told, 0, ARRAY_LEN(fatal_codes));
    tcase_add_loop_test(tcase, an_old_partial_that_is_of_no_use_holds_nothing_up, 0, ARRAY_LEN(excused_codes));
    tcase_add_test(tcase, draining_stores_all_there_is);
    tcase_add_test(tcase, draining_ends_with_the_first_failure);
    tcase_add_test(tcase, draining_ends_when_its_time_is_over);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(archive_suite)
