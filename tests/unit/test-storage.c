/* SPDX-License-Identifier: PostgreSQL
 *
 * What the host does around a storage plugin's callbacks, against a plugin made here that answers as told: retry,
 * lies, locks, cancellation, and what is refused before the plugin ever sees it.
 */
#include "config.h"

#include "plugin/storage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

/* The plugin's whole state; each test starts with it zeroed. One object at most. */
static struct {
    /* what to answer */
    int answers[8]; /* of the callback under test, in turn; 0 from then on */
    bool silent;    /* errors without a text */
    int listed_times;         /* how often stat adds the object; 0: once */
    int64_t stat_size_off;    /* added to the true size */
    const char *list_keys[8]; /* what list adds */
    uint64_t list_sizes[8];
    uint64_t limits[4];
    /* what was seen */
    unsigned calls, begins, aborts, commits, removes, closes;
    bool there; /* the object is visible */
    uint64_t size, written;
    atomic_int inside, inside_most;
} fake;

static int
fake_answer(void)
{
    int code = fake.calls < ARRAY_LEN(fake.answers) ? fake.answers[fake.calls] : 0;

    fake.calls++;
    if (code < 0 && !fake.silent)
        pgcask_error("answer %u", fake.calls);
    return code;
}

static int
fake_open(const void *settings, unsigned flags, void **ret_handle)
{
    (void)settings;
    (void)flags;
    *ret_handle = &fake;
    return 0;
}

static void
fake_close(void *handle)
{
    (void)handle;
    fake.closes++;
}

static int
fake_part_limits(void *handle, struct pgcask_limits *limits)
{
    (void)handle;
    pgcask_limits_set(limits, fake.limits[0], fake.limits[1], fake.limits[2], (uint32_t)fake.limits[3]);
    return 0;
}

static int
fake_put_begin(void *handle, const struct pgcask_put *put, void **ret_upload)
{
    (void)handle;
    (void)put;
    fake.begins++;
    fake.written = 0;
    *ret_upload = &fake;
    return 0;
}

static int
fake_put_part(void *handle, void *upload, uint32_t number, uint64_t offset, const void *data, size_t size)
{
    int code = fake_answer();

    (void)handle;
    (void)upload;
    (void)number;
    (void)data;
    if (code == 0 && offset + size > fake.written)
        fake.written = offset + size;
    return code;
}

static int
fake_put_commit(void *handle, void *upload, uint64_t size)
{
    (void)handle;
    (void)upload;
    fake.commits++;
    fake.there = true;
    fake.size = size;
    return 0;
}

static int
fake_put_abort(void *handle, void *upload)
{
    (void)handle;
    (void)upload;
    fake.aborts++;
    return 0;
}

/* Stays inside for a while, and remembers how many were inside at once. */
static int
fake_get(void *handle, const char *key, uint64_t offset, void *data, size_t size)
{
    int now = atomic_fetch_add(&fake.inside, 1) + 1, most = atomic_load(&fake.inside_most);

    (void)handle;
    (void)key;
    (void)offset;
    while (now > most && !atomic_compare_exchange_weak(&fake.inside_most, &most, now))
        ;
    for (int i = 0; i < 200 && atomic_load(&fake.inside_most) < 2; i++)
        (void)usleep(1000); /* until somebody else is here, too, or surely never comes */
    memset(data, 'x', size);
    atomic_fetch_sub(&fake.inside, 1);
    return 0;
}

static int
fake_stat(void *handle, const char *key, struct pgcask_listing *listing)
{
    int code = fake_answer();

    (void)handle;
    if (code < 0)
        return code;
    if (!fake.there) {
        pgcask_error("nothing here");
        return PGCASK_NOT_FOUND;
    }
    for (int i = 0; i < (fake.listed_times != 0 ? fake.listed_times : 1); i++) {
        code = pgcask_listing_add(listing, key, fake.size + (uint64_t)fake.stat_size_off, 1000);
        if (code < 0)
            return code;
    }
    return 0;
}

static int
fake_list(void *handle, const char *prefix, struct pgcask_listing *listing)
{
    (void)handle;
    (void)prefix;
    for (size_t i = 0; i < ARRAY_LEN(fake.list_keys) && fake.list_keys[i] != NULL; i++) {
        int code = pgcask_listing_add(listing, fake.list_keys[i], fake.list_sizes[i], 0);

        if (code < 0)
            return code;
    }
    fake.list_keys[1] = NULL; /* gone before the next try */
    return fake_answer();
}

static int
fake_remove(void *handle, const char *key)
{
    (void)handle;
    (void)key;
    fake.removes++;
    fake.there = false;
    return fake_answer();
}

static const struct pgcask_storage_plugin fake_calls = {
    PGCASK_STORAGE_INIT,
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .part_limits = fake_part_limits,
    .put_begin = fake_put_begin,
    .put_part = fake_put_part,
    .put_commit = fake_put_commit,
    .put_abort = fake_put_abort,
    .get = fake_get,
    .stat = fake_stat,
    .list = fake_list,
    .remove = fake_remove,
};
static struct plugin fake_plugin;
static struct storage *storage;

static void
open_fake(int thread_model, unsigned flags)
{
    static const struct config_store policy = { .required = 1, .retries = 3, .retry_max = 1, .parallel = 4 };

    fake_plugin = (struct plugin){ .kind = PLUGIN_STORAGE, .name = "fake", .thread_model = thread_model };
    fake_plugin.storage = fake_calls;
    ck_assert_msg(storage_open_plugin("test", &fake_plugin, NULL, &policy, flags, &storage) == 0, "%s", error_text());
}

static void
setup(void)
{
    memset(&fake, 0, sizeof fake);
    open_fake(PGCASK_THREADS_PARALLEL, 0);
}

static void
teardown(void)
{
    storage_close(storage);
    storage = NULL;
}

/* ---- retry ---- */

static const struct {
    int answers[5];
    int code;       /* what the caller gets */
    unsigned calls; /* how often the plugin was asked; 3 retries are allowed */
} retry_rows[] = {
    { { 0 }, 0, 1 },                                                                      /* at once */
    { { PGCASK_RETRY, 0 }, 0, 2 },                                                        /* after one pause */
    { { PGCASK_RETRY, PGCASK_RETRY, PGCASK_RETRY, 0 }, 0, 4 },                            /* with the last try */
    { { PGCASK_RETRY, PGCASK_RETRY, PGCASK_RETRY, PGCASK_RETRY, 0 }, PGCASK_FAILED, 4 },  /* given up */
    { { PGCASK_FAILED, 0 }, PGCASK_FAILED, 1 },                                           /* final means final */
    { { PGCASK_RETRY, PGCASK_NOT_FOUND, 0 }, PGCASK_NOT_FOUND, 2 },                       /* an answer after trouble */
    { { PGCASK_COLD, 0 }, PGCASK_COLD, 1 },                                               /* not for retry to solve */
    { { 7, 0 }, PGCASK_FAILED, 1 },                                                       /* no answer at all */
    { { -99, 0 }, PGCASK_FAILED, 1 },                                                     /* nor this */
};

START_TEST(passing_trouble_is_tried_again_and_the_rest_is_not)
{
    memcpy(fake.answers, retry_rows[_i].answers, sizeof retry_rows[_i].answers);
    ck_assert_int_eq(storage_remove(storage, "key"), retry_rows[_i].code);
    ck_assert_uint_eq(fake.calls, retry_rows[_i].calls);
    if (retry_rows[_i].code < 0)
        ck_assert_error_has("store 'test': ");
}
END_TEST

START_TEST(giving_up_tells_the_last_reason_and_the_tries)
{
    for (size_t i = 0; i < 4; i++)
        fake.answers[i] = PGCASK_RETRY;
    ck_assert_int_eq(storage_remove(storage, "key"), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'test': given up after 4 tries: answer 4");
}
END_TEST

START_TEST(an_error_without_a_text_gets_one)
{
    fake.silent = true;
    fake.answers[0] = PGCASK_FAILED;
    ck_assert_int_eq(storage_remove(storage, "key"), PGCASK_FAILED);
    ck_assert_error_has("store 'test': remove failed (-1), the plugin gave no reason");
}
END_TEST

START_TEST(cancelling_ends_the_tries)
{
    fake.answers[0] = fake.answers[1] = PGCASK_RETRY;
    cancel_request();
    ck_assert_int_eq(storage_remove(storage, "key"), ERROR_CANCELLED);
    ck_assert_uint_eq(fake.calls, 1);
    ck_assert_str_eq(error_text(), "stopped by a signal");
}
END_TEST

START_TEST(a_failure_while_cancelled_is_the_cancellation)
{
    fake.answers[0] = PGCASK_FAILED;
    cancel_request();
    ck_assert_int_eq(storage_remove(storage, "key"), ERROR_CANCELLED);
}
END_TEST

/* ---- what is believed ---- */

START_TEST(a_commit_is_confirmed_by_stat)
{
    ck_assert_int_eq(storage_put_object(storage, "key", "12345", 5, false), 0);
    ck_assert(fake.there);
    ck_assert_uint_eq(fake.size, 5);
    ck_assert_uint_eq(fake.aborts, 0);
}
END_TEST

START_TEST(an_object_that_came_out_short_is_removed)
{
    fake.stat_size_off = -1;
    ck_assert_int_eq(storage_put_object(storage, "key", "12345", 5, false), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'test': 'key' was written with 5 bytes, the store has 4");
    ck_assert(!fake.there);
    ck_assert_uint_eq(fake.removes, 1);
}
END_TEST

static const struct {
    int times;
    int code;
} stat_rows[] = {
    { 1, 0 },              /* as it should be */
    { 2, PGCASK_FAILED },  /* two objects of one key */
    { -1, PGCASK_FAILED }, /* success, and none */
};

START_TEST(stat_must_give_exactly_one_object)
{
    uint64_t size;

    fake.there = true;
    fake.listed_times = stat_rows[_i].times;
    ck_assert_int_eq(storage_stat(storage, "key", &size, NULL), stat_rows[_i].code);
}
END_TEST

START_TEST(list_is_sorted_filtered_and_each_key_once)
{
    static const char *const keys[] = { "p/b", "p/a", "other/x", "p/b", "p/bad//key", "p/", "p/c\n" };
    struct storage_list list = { 0 };

    memcpy(fake.list_keys, keys, sizeof keys);
    ck_assert_int_eq(storage_list(storage, "p/", &list), 0);
    ck_assert_uint_eq(list.len, 2);
    ck_assert_str_eq(list.objects[0].key, "p/a");
    ck_assert_str_eq(list.objects[1].key, "p/b");
    storage_list_free(&list);
}
END_TEST

START_TEST(list_starts_afresh_after_trouble)
{
    struct storage_list list = { 0 };

    fake.list_keys[0] = "p/a";
    fake.list_keys[1] = "p/gone";
    fake.answers[0] = PGCASK_RETRY;
    ck_assert_int_eq(storage_list(storage, "p/", &list), 0);
    ck_assert_uint_eq(fake.calls, 2);
    ck_assert_uint_eq(list.len, 1);
    storage_list_free(&list);
}
END_TEST

START_TEST(one_key_with_two_sizes_is_not_believed)
{
    struct storage_list list = { 0 };

    fake.list_keys[0] = fake.list_keys[1] = "p/a";
    fake.list_sizes[1] = 5;
    ck_assert_int_eq(storage_list(storage, "p/", &list), PGCASK_FAILED);
    ck_assert_error_has("'p/a' is listed twice, with ");
    ck_assert_ptr_null(list.objects);
}
END_TEST

/* ---- parts ---- */

static const struct {
    uint32_t numbers[5]; /* parts sent, of 10 bytes each; 0 ends */
    uint64_t size;       /* of the commit */
    int code;
} part_rows[] = {
    { { 1, 2, 3 }, 30, 0 },                /* in order */
    { { 3, 1, 2 }, 30, 0 },                /* in any order */
    { { 1, 2, 2, 1 }, 20, 0 },             /* a part sent again counts once */
    { { 0 }, 0, 0 },                       /* an empty object has no parts */
    { { 1, 3 }, 20, PGCASK_FAILED },       /* the second was forgotten */
    { { 1, 2 }, 21, PGCASK_FAILED },       /* a byte is missing */
    { { 1, 2 }, 10, PGCASK_FAILED },       /* a part too many */
    { { 0 }, 1, PGCASK_FAILED },           /* nothing was sent */
};

START_TEST(commit_wants_every_part_and_their_sum)
{
    struct storage_put *put;

    ck_assert_int_eq(storage_put_begin(storage, "key", 0, false, &put), 0);
    for (const uint32_t *number = part_rows[_i].numbers; *number != 0; number++)
        ck_assert_int_eq(storage_put_part(put, *number, (*number - 1) * 10, "0123456789", 10), 0);
    ck_assert_int_eq(storage_put_commit(put, part_rows[_i].size), part_rows[_i].code);
    ck_assert_uint_eq(fake.commits, part_rows[_i].code == 0 ? 1 : 0);
    ck_assert_uint_eq(fake.aborts, part_rows[_i].code == 0 ? 0 : 1);
}
END_TEST

static const struct {
    uint32_t number;
    size_t size;
} bad_part_rows[] = {
    { 0, 10 },     /* numbers start at 1 */
    { 4, 10 },     /* the store takes 3 parts */
    { 1, 0 },      /* an empty part */
    { 1, 101 },    /* larger than the store takes */
};

START_TEST(a_part_the_store_cannot_take_is_refused)
{
    static const char data[200];
    struct storage_put *put;

    teardown();
    fake = (__typeof__(fake)){ .limits = { 1, 50, 100, 3 } };
    open_fake(PGCASK_THREADS_PARALLEL, 0);
    ck_assert_int_eq(storage_put_begin(storage, "key", 0, false, &put), 0);
    ck_assert_int_eq(storage_put_part(put, bad_part_rows[_i].number, 0, data, bad_part_rows[_i].size), PGCASK_FAILED);
    ck_assert_uint_eq(fake.calls, 0);
    storage_put_abort(put);
    ck_assert_uint_eq(fake.aborts, 1);
}
END_TEST

START_TEST(a_failed_part_aborts_a_small_object)
{
    fake.answers[0] = PGCASK_FAILED;
    ck_assert_int_eq(storage_put_object(storage, "key", "12345", 5, false), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'test': answer 1");
    ck_assert_uint_eq(fake.aborts, 1);
    ck_assert(!fake.there);
}
END_TEST

/* ---- limits ---- */

static const struct {
    uint64_t said[4]; /* min, preferred, max, parts; 0: not said */
    int code;
    struct storage_limits wanted;
} limit_rows[] = {
    { { 0, 0, 0, 0 }, 0, { 1, 16 << 20, UINT64_C(5) << 30, 10000 } },         /* nothing said */
    { { 5 << 20, 8 << 20, 0, 0 }, 0, { 5 << 20, 8 << 20, UINT64_C(5) << 30, 10000 } },
    { { 0, 0, 1 << 20, 7 }, 0, { 1, 1 << 20, 1 << 20, 7 } },                  /* preferred follows max */
    { { 20 << 20, 0, 0, 0 }, 0, { 20 << 20, 20 << 20, UINT64_C(5) << 30, 10000 } }, /* and min */
    { { 10, 5, 0, 0 }, PGCASK_FAILED, { 0 } },                                /* preferred below min */
    { { 0, 10, 5, 0 }, PGCASK_FAILED, { 0 } },                                /* preferred above max */
    { { 0, UINT64_C(2) << 30, 0, 0 }, PGCASK_FAILED, { 0 } },                 /* more than can be held */
};

START_TEST(part_limits_are_completed_and_checked)
{
    static const struct config_store policy = { .retries = 0 };
    struct storage *other = NULL;

    memcpy(fake.limits, limit_rows[_i].said, sizeof fake.limits);
    ck_assert_int_eq(storage_open_plugin("o", &fake_plugin, NULL, &policy, 0, &other), limit_rows[_i].code);
    if (other != NULL) {
        struct storage_limits got = storage_limits(other);

        ck_assert_uint_eq(got.part_min, limit_rows[_i].wanted.part_min);
        ck_assert_uint_eq(got.part_preferred, limit_rows[_i].wanted.part_preferred);
        ck_assert_uint_eq(got.part_max, limit_rows[_i].wanted.part_max);
        ck_assert_uint_eq(got.parts, limit_rows[_i].wanted.parts);
    }
    storage_close(other);
    ck_assert_uint_eq(fake.closes, 1); /* a handle that was opened is closed, refused limits or not */
}
END_TEST

/* ---- reading only, keys ---- */

START_TEST(a_store_opened_for_reading_is_not_written)
{
    struct storage_put *put;
    uint64_t count;

    teardown();
    open_fake(PGCASK_THREADS_PARALLEL, PGCASK_OPEN_READONLY);
    ck_assert_int_eq(storage_put_begin(storage, "key", 0, false, &put), PGCASK_FAILED);
    ck_assert_error_has("opened for reading only");
    ck_assert_int_eq(storage_remove(storage, "key"), PGCASK_FAILED);
    ck_assert_int_eq(storage_sweep(storage, 0, &count), PGCASK_FAILED);
    ck_assert_uint_eq(fake.begins + fake.removes, 0);
}
END_TEST

static const struct {
    const char *key;
    bool ok;
} key_rows[] = {
    { "a", true },
    { "a/b/c", true },
    { "a b/%41/\xc3\xbc", true },   /* odd, and allowed */
    { "...", true },                /* three dots are a name */
    { "", false },
    { "/a", false },                /* absolute */
    { "a/", false },                /* nothing behind the last '/' */
    { "a//b", false },              /* an empty component */
    { ".", false },
    { "a/../b", false },            /* up */
    { "a/..", false },
    { "a\nb", false },              /* control characters */
    { "a\x7f", false },
};

START_TEST(keys_are_checked)
{
    ck_assert_int_eq(storage_key_check(key_rows[_i].key), key_rows[_i].ok ? 0 : PGCASK_FAILED);
}
END_TEST

START_TEST(key_lengths_are_checked)
{
    char key[1002];

    memset(key, 'k', sizeof key);
    for (size_t i = 200; i < sizeof key; i += 200)
        key[i] = '/';
    key[1000] = '\0';
    key[999] = 'k';
    ck_assert_int_eq(storage_key_check(key), 0); /* 1000 bytes */
    key[1000] = 'k';
    key[1001] = '\0';
    ck_assert_int_eq(storage_key_check(key), PGCASK_FAILED);
    memset(key, 'k', 251);
    key[250] = '\0';
    ck_assert_int_eq(storage_key_check(key), 0); /* a component of 250 */
    key[250] = 'k';
    key[251] = '\0';
    ck_assert_int_eq(storage_key_check(key), PGCASK_FAILED);
}
END_TEST

/* ---- whole small objects ---- */

START_TEST(get_object_refuses_what_is_too_large)
{
    CLEANUP_BUF struct buf data = BUF_INIT(10);

    fake.there = true;
    fake.size = 11;
    ck_assert_int_eq(storage_get_object(storage, "key", &data), PGCASK_FAILED);
    ck_assert_error_has("'key' has 11 bytes, at most 10 are allowed here");
    fake.size = 10;
    ck_assert_int_eq(storage_get_object(storage, "key", &data), 0);
    ck_assert_str_eq(data.data, "xxxxxxxxxx");
}
END_TEST

/* ---- threads ---- */

static const struct {
    int model;
    bool alone;
    unsigned parallel;
} thread_rows[] = {
    { PGCASK_THREADS_ONE, true, 1 },
    { PGCASK_THREADS_PER_HANDLE, true, 1 },
    { PGCASK_THREADS_PARALLEL, false, 4 },
};

static void *
get_once(void *handle)
{
    char byte;

    return storage_get(handle, "key", 0, &byte, 1) == 0 ? handle : NULL;
}

static void
get_from_two(struct storage *a, struct storage *b)
{
    pthread_t other;
    void *answer;

    ck_assert_int_eq(pthread_create(&other, NULL, get_once, b), 0);
    ck_assert_ptr_nonnull(get_once(a));
    ck_assert_int_eq(pthread_join(other, &answer), 0);
    ck_assert_ptr_nonnull(answer);
}

START_TEST(the_thread_model_is_enforced_for_one_handle)
{
    teardown();
    open_fake(thread_rows[_i].model, 0);
    ck_assert_uint_eq(storage_parallel(storage), thread_rows[_i].parallel);
    get_from_two(storage, storage);
    ck_assert_int_eq(atomic_load(&fake.inside_most), thread_rows[_i].alone ? 1 : 2);
}
END_TEST

START_TEST(the_thread_model_is_enforced_between_handles)
{
    struct storage *first;

    teardown();
    open_fake(thread_rows[_i].model, 0);
    first = storage;
    open_fake(thread_rows[_i].model, 0);
    get_from_two(first, storage);
    ck_assert_int_eq(atomic_load(&fake.inside_most), thread_rows[_i].model == PGCASK_THREADS_ONE ? 1 : 2);
    storage_close(first);
}
END_TEST

static Suite *
storage_suite(void)
{
    Suite *suite = suite_create("storage");
    TCase *tcase = tcase_create("storage");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, passing_trouble_is_tried_again_and_the_rest_is_not, 0, ARRAY_LEN(retry_rows));
    tcase_add_test(tcase, giving_up_tells_the_last_reason_and_the_tries);
    tcase_add_test(tcase, an_error_without_a_text_gets_one);
    tcase_add_test(tcase, cancelling_ends_the_tries);
    tcase_add_test(tcase, a_failure_while_cancelled_is_the_cancellation);
    tcase_add_test(tcase, a_commit_is_confirmed_by_stat);
    tcase_add_test(tcase, an_object_that_came_out_short_is_removed);
    tcase_add_loop_test(tcase, stat_must_give_exactly_one_object, 0, ARRAY_LEN(stat_rows));
    tcase_add_test(tcase, list_is_sorted_filtered_and_each_key_once);
    tcase_add_test(tcase, list_starts_afresh_after_trouble);
    tcase_add_test(tcase, one_key_with_two_sizes_is_not_believed);
    tcase_add_loop_test(tcase, commit_wants_every_part_and_their_sum, 0, ARRAY_LEN(part_rows));
    tcase_add_loop_test(tcase, a_part_the_store_cannot_take_is_refused, 0, ARRAY_LEN(bad_part_rows));
    tcase_add_test(tcase, a_failed_part_aborts_a_small_object);
    tcase_add_loop_test(tcase, part_limits_are_completed_and_checked, 0, ARRAY_LEN(limit_rows));
    tcase_add_test(tcase, a_store_opened_for_reading_is_not_written);
    tcase_add_loop_test(tcase, keys_are_checked, 0, ARRAY_LEN(key_rows));
    tcase_add_test(tcase, key_lengths_are_checked);
    tcase_add_test(tcase, get_object_refuses_what_is_too_large);
    tcase_add_loop_test(tcase, the_thread_model_is_enforced_for_one_handle, 0, ARRAY_LEN(thread_rows));
    tcase_add_loop_test(tcase, the_thread_model_is_enforced_between_handles, 0, ARRAY_LEN(thread_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(storage_suite)
