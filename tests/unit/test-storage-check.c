/* SPDX-License-Identifier: PostgreSQL
 *
 * Looking after a store, against a plugin that answers as told: findings of a check, cold objects, what was counted.
 */
#include "config.h"

#include "plugin/storage.h"

#include <pthread.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "plugin/opaque.h"
#include "unit-talk.h"
#include "unit-told.h"

/* ---- check ---- */

static struct {
    /* what check says */
    struct {
        int outcome;
        const char *text, *cure;
    } says[3];
    unsigned endless; /* further findings */
    /* what came of it */
    struct buf heard;
    bool fix;
    int64_t keep_s;
} told;

static int
fake_check(void *handle, struct pgcask_check *check)
{
    (void)handle;
    told.fix = pgcask_check_fix(check) == 1;
    told.keep_s = pgcask_check_keep_s(check);
    for (size_t i = 0; i < ARRAY_LEN(told.says) && told.says[i].text != NULL; i++)
        pgcask_check_say(check, told.says[i].outcome, told.says[i].cure, "%s", told.says[i].text);
    for (unsigned i = 0; i < told.endless; i++)
        pgcask_check_say(check, PGCASK_CHECK_OK, NULL, "and %u", i);
    return fake_answer();
}

static void
hear(void *ctx, int outcome, const char *text, const char *cure)
{
    (void)ctx;
    (void)error_set(PGCASK_FAILED, "said meanwhile");
    ck_assert_int_eq(buf_addf(&told.heard, "%d %s|%s;", outcome, text, cure != NULL ? cure : ""), 0);
}

static void
setup_check(void)
{
    memset(&told, 0, sizeof told);
    told.heard = (struct buf)BUF_INIT(100000);
    setup();
    fake_plugin.storage.check = fake_check;
}

static void
teardown_check(void)
{
    buf_free(&told.heard);
    teardown();
}

static int
check(bool fix)
{
    struct storage_check asked = { .fix = fix, .keep_s = 86400, .say = hear };

    return storage_check(storage, &asked);
}

START_TEST(findings_are_handed_on)
{
    told.says[0].text = "versions are kept", told.says[0].outcome = PGCASK_CHECK_OK;
    told.says[1].text = "a rule\nwas missing", told.says[1].outcome = PGCASK_CHECK_FIXED,
    told.says[1].cure = "look\nat it";
    told.says[2].text = "no right to list", told.says[2].outcome = PGCASK_CHECK_BAD;
    ck_assert_int_eq(check(true), 0);
    ck_assert_str_eq(told.heard.data, "0 versions are kept|;1 a rule was missing|look at it;3 no right to list|;");
    ck_assert(told.fix);
    ck_assert_int_eq(told.keep_s, 86400);
}
END_TEST

START_TEST(findings_before_passing_trouble_are_not_told_twice)
{
    told.says[0].text = "once";
    fake.answers[0] = PGCASK_RETRY;
    ck_assert_int_eq(check(false), 0);
    ck_assert_uint_eq(fake.calls, 2);
    ck_assert_str_eq(told.heard.data, "0 once|;");
    ck_assert(!told.fix);
}
END_TEST

START_TEST(findings_before_an_error_are_told_and_the_error_stays)
{
    told.says[0].text = "this much is known";
    fake.answers[0] = PGCASK_FAILED;
    ck_assert_int_eq(check(false), PGCASK_FAILED);
    ck_assert_str_eq(told.heard.data, "0 this much is known|;");
    ck_assert_str_eq(error_text(), "store 'test': answer 1");
}
END_TEST

static const struct {
    int outcome;
    const char *text;
    bool fix;
    const char *error;
} wrong_rows[] = {
    { 4, "x", false, "store 'test': check says an outcome that is none of those in pgcask-plugin.h (4, 'x')" },
    { -1, "x", true, "check says an outcome that is none" },
    { PGCASK_CHECK_FIXED, "x", false, "check says that it mended something, but was only asked to look (1, 'x')" },
    { PGCASK_CHECK_WARN, "", true, "check says nothing, in a finding without a text" },
};

START_TEST(findings_that_make_no_sense_fail_the_check)
{
    told.says[0].text = "fine";
    told.says[1].outcome = wrong_rows[_i].outcome, told.says[1].text = wrong_rows[_i].text;
    ck_assert_int_eq(check(wrong_rows[_i].fix), PGCASK_FAILED);
    ck_assert_error_has(wrong_rows[_i].error);
    ck_assert_str_eq(told.heard.data, "0 fine|;");
}
END_TEST

START_TEST(findings_have_an_end)
{
    told.endless = 1001;
    ck_assert_int_eq(check(false), PGCASK_FAILED);
    ck_assert_error_has("check says more than a thousand things");
}
END_TEST

START_TEST(a_plugin_without_a_check_finds_nothing)
{
    fake_plugin.storage.check = NULL;
    ck_assert_int_eq(check(true), 0);
    ck_assert_uint_eq(told.heard.len, 0);
}
END_TEST

START_TEST(a_store_opened_for_reading_is_looked_at_but_not_mended)
{
    teardown();
    open_fake(PGCASK_THREADS_PARALLEL, PGCASK_OPEN_READONLY);
    fake_plugin.storage.check = fake_check;
    ck_assert_int_eq(check(true), PGCASK_FAILED);
    ck_assert_error_has("opened for reading only");
    ck_assert_int_eq(check(false), 0);
    ck_assert_uint_eq(fake.calls, 1);
}
END_TEST

/* ---- cold objects ---- */

static struct {
    unsigned calls;
    int days;
    char tier[20];
} thawed;

static int
fake_thaw(void *handle, const char *key, int days, const char *tier)
{
    (void)handle;
    (void)key;
    thawed.calls++;
    thawed.days = days;
    (void)snprintf(thawed.tier, sizeof thawed.tier, "%s", tier);
    return fake_answer();
}

static const struct {
    const char *key;
    int days;
    const char *tier;
    int answer;
    int code;
    unsigned calls;
} thaw_rows[] = {
    { "key", 7, "bulk", 0, 0, 1 },                          /* readable now */
    { "key", 1, "standard", PGCASK_COLD, PGCASK_COLD, 1 },  /* on its way */
    { "key", 1, "expedited", PGCASK_FAILED, PGCASK_FAILED, 1 },
    { "key", 0, "bulk", 0, PGCASK_FAILED, 0 },              /* for no time */
    { "key", 1, "quick", 0, PGCASK_FAILED, 0 },             /* no such way */
    { "a//b", 1, "bulk", 0, PGCASK_FAILED, 0 },             /* no such key */
};

START_TEST(thaw_asks_and_tells_the_answer)
{
    memset(&thawed, 0, sizeof thawed);
    fake_plugin.storage.thaw = fake_thaw;
    fake.answers[0] = thaw_rows[_i].answer;
    ck_assert_int_eq(storage_thaw(storage, thaw_rows[_i].key, thaw_rows[_i].days, thaw_rows[_i].tier),
                     thaw_rows[_i].code);
    ck_assert_uint_eq(thawed.calls, thaw_rows[_i].calls);
    if (thawed.calls > 0) {
        ck_assert_int_eq(thawed.days, thaw_rows[_i].days);
        ck_assert_str_eq(thawed.tier, thaw_rows[_i].tier);
    }
    if (thaw_rows[_i].code < 0)
        ck_assert_error_has("store 'test': ");
}
END_TEST

START_TEST(a_plugin_without_thaw_says_so)
{
    ck_assert_int_eq(storage_thaw(storage, "key", 1, "bulk"), PGCASK_UNSUPPORTED);
    ck_assert_error_has("store 'test': 'key' cannot be thawed: plugin 'fake' knows no cold objects");
}
END_TEST

static const struct {
    int tier;
    int64_t until_s;
    int code;
    int64_t wanted_until_s;
} tier_rows[] = {
    { PGCASK_TIER_HOT, 0, 0, 0 },
    { PGCASK_TIER_COLD, 99, 0, 0 },       /* only a thawed object has an end */
    { PGCASK_TIER_THAWING, 0, 0, 0 },
    { PGCASK_TIER_THAWED, 99, 0, 99 },
    { PGCASK_TIER_THAWED, -5, 0, 0 },     /* no time: not known */
    { 4, 0, PGCASK_FAILED, 0 },           /* no tier */
    { -1, 0, PGCASK_FAILED, 0 },
};

START_TEST(stat_and_list_tell_the_tier)
{
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    struct storage_object object;

    fake.there = true;
    fake.size = 12;
    fake.tier = tier_rows[_i].tier;
    fake.until_s = tier_rows[_i].until_s;
    fake.list_keys[0] = "key";
    ck_assert_int_eq(storage_stat_object(storage, "key", &object), tier_rows[_i].code);
    ck_assert_int_eq(storage_list(storage, "", &list), tier_rows[_i].code);
    if (tier_rows[_i].code < 0) {
        ck_assert_error_has("the plugin listed 'key' with the tier ");
        return;
    }
    ck_assert_ptr_null(object.key);
    ck_assert_uint_eq(object.size, 12);
    ck_assert_int_eq(object.mtime_s, 1000);
    ck_assert_int_eq(object.tier, tier_rows[_i].tier);
    ck_assert_int_eq(object.until_s, tier_rows[_i].wanted_until_s);
    ck_assert_int_eq(list.objects[0].tier, tier_rows[_i].tier);
    ck_assert_int_eq(list.objects[0].until_s, tier_rows[_i].wanted_until_s);
}
END_TEST

/* ---- counts ---- */

static void *
count_outside(void *unused)
{
    pgcask_count(PGCASK_COUNT_WRITES, 1000);
    pgcask_pace(UINT64_C(1) << 60);
    return unused;
}

static int
counting_remove(void *handle, const char *key)
{
    pthread_t thread;

    (void)handle;
    (void)key;
    pgcask_count(PGCASK_COUNT_WRITES, 2);
    pgcask_count(PGCASK_COUNT_READS, 3);
    pgcask_count(PGCASK_COUNT_SENT, 400);
    pgcask_count(PGCASK_COUNT_RECEIVED, 5000);
    pgcask_count(0, 60000);
    pgcask_count(99, 60000);
    ck_assert_int_eq(pthread_create(&thread, NULL, count_outside, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    return fake_answer();
}

START_TEST(what_a_call_counts_is_the_stores)
{
    struct storage *first = storage;
    struct storage_counts counts;

    open_fake(PGCASK_THREADS_PARALLEL, 0);
    fake_plugin.storage.remove = counting_remove;
    fake.answers[0] = PGCASK_RETRY; /* tries cost, too */
    ck_assert_int_eq(storage_remove(storage, "key"), 0);
    (void)count_outside(NULL); /* in no call */
    counts = storage_counts(storage);
    ck_assert_uint_eq(counts.writes, 4);
    ck_assert_uint_eq(counts.reads, 6);
    ck_assert_uint_eq(counts.sent, 800);
    ck_assert_uint_eq(counts.received, 10000);
    counts = storage_counts(first);
    ck_assert_uint_eq(counts.writes + counts.reads + counts.sent + counts.received, 0);
    storage_close(first);
}
END_TEST

START_TEST(closing_tells_what_was_counted)
{
    CLEANUP_FREE char *said = NULL;
    struct talk talk = talk_begin(STDERR_FILENO);
    struct storage *quiet = storage;

    log_set_level(LOG_LEVEL_INFO);
    open_fake(PGCASK_THREADS_PARALLEL, 0);
    fake_plugin.storage.remove = counting_remove;
    ck_assert_int_eq(storage_remove(storage, "key"), 0);
    storage_close(storage);
    storage_close(quiet); /* nothing was counted, nothing is told */
    storage = NULL;
    said = talk_end(&talk);
    ck_assert_str_eq(said, "INFO: store 'test': 5 requests (2 writing, 3 reading), 400 B sent, 4.9 KiB received\n");
}
END_TEST

static Suite *
storage_check_suite(void)
{
    Suite *suite = suite_create("storage-check");
    TCase *checks = tcase_create("check"), *rest = tcase_create("cold and counts");

    tcase_add_checked_fixture(checks, setup_check, teardown_check);
    tcase_add_test(checks, findings_are_handed_on);
    tcase_add_test(checks, findings_before_passing_trouble_are_not_told_twice);
    tcase_add_test(checks, findings_before_an_error_are_told_and_the_error_stays);
    tcase_add_loop_test(checks, findings_that_make_no_sense_fail_the_check, 0, ARRAY_LEN(wrong_rows));
    tcase_add_test(checks, findings_have_an_end);
    tcase_add_test(checks, a_plugin_without_a_check_finds_nothing);
    tcase_add_test(checks, a_store_opened_for_reading_is_looked_at_but_not_mended);
    suite_add_tcase(suite, checks);
    tcase_add_checked_fixture(rest, setup, teardown);
    tcase_add_loop_test(rest, thaw_asks_and_tells_the_answer, 0, ARRAY_LEN(thaw_rows));
    tcase_add_test(rest, a_plugin_without_thaw_says_so);
    tcase_add_loop_test(rest, stat_and_list_tell_the_tier, 0, ARRAY_LEN(tier_rows));
    tcase_add_test(rest, what_a_call_counts_is_the_stores);
    tcase_add_test(rest, closing_tells_what_was_counted);
    suite_add_tcase(suite, rest);
    return suite;
}

UNIT_MAIN(storage_check_suite)
