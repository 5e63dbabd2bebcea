/* SPDX-License-Identifier: PostgreSQL
 *
 * Writing an object, against a plugin that answers as told: what a commit takes for granted and what not, parts, and
 * whole objects where the plugin has put_object.
 */
#include "config.h"

#include "plugin/storage.h"

#include <pthread.h>

#include "base/error.h"
#include "base/mem.h"
#include "plugin/storage-private.h"
#include "unit-told.h"

/* What put_object was given. */
static struct {
    unsigned calls;
    char key[40];
    size_t size;
    bool hot;
} whole;

static int
fake_put_object(void *handle, const struct pgcask_put *put, const void *data, size_t size)
{
    int code = fake_answer();

    (void)handle;
    (void)data;
    whole.calls++;
    ck_assert_uint_lt(strlen(pgcask_put_key(put)), sizeof whole.key);
    memcpy(whole.key, pgcask_put_key(put), strlen(pgcask_put_key(put)) + 1);
    whole.size = size;
    whole.hot = pgcask_put_is_hot(put) == 1;
    if (code < 0)
        return code;
    fake.there = true;
    fake.size = size;
    return 0;
}

static void
setup_whole(void)
{
    memset(&whole, 0, sizeof whole);
    fake = (__typeof__(fake)){ .limits = { 1, 50, 100, 10 } };
    open_fake(PGCASK_THREADS_PARALLEL, 0);
    fake_plugin.storage.put_object = fake_put_object;
}

/* ---- commit ---- */

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

/* ---- whole objects ---- */

static const char bytes[200] = "all of it";

static const struct {
    size_t size;
    unsigned wholes, begins, calls; /* calls: of put_object, put_part and stat */
} small_rows[] = {
    { 0, 1, 0, 2 },   /* nothing at all */
    { 1, 1, 0, 2 },   /* a byte */
    { 50, 1, 0, 2 },  /* the preferred part */
    { 51, 0, 1, 3 },  /* a byte more: two parts */
};

START_TEST(what_fits_one_part_is_one_call)
{
    ck_assert_int_eq(storage_put_object(storage, "a/key", bytes, small_rows[_i].size, true), 0);
    ck_assert_uint_eq(whole.calls, small_rows[_i].wholes);
    ck_assert_uint_eq(fake.begins, small_rows[_i].begins);
    ck_assert_uint_eq(fake.commits, small_rows[_i].begins);
    ck_assert_uint_eq(fake.calls, small_rows[_i].calls);
    ck_assert_uint_eq(fake.aborts, 0);
    if (small_rows[_i].wholes > 0) {
        ck_assert_str_eq(whole.key, "a/key");
        ck_assert_uint_eq(whole.size, small_rows[_i].size);
        ck_assert(whole.hot);
    }
}
END_TEST

START_TEST(an_object_without_parts_is_one_call_at_its_commit)
{
    struct storage_put *put;

    ck_assert_int_eq(storage_put_begin(storage, "key", 0, false, &put), 0);
    ck_assert_int_eq(storage_put_commit(put, 0), 0);
    ck_assert_uint_eq(whole.calls, 1);
    ck_assert_uint_eq(fake.begins, 0);
    ck_assert(fake.there);
    ck_assert_uint_eq(fake.size, 0);
}
END_TEST

START_TEST(put_begin_waits_for_the_first_part)
{
    struct storage_put *put;

    ck_assert_int_eq(storage_put_begin(storage, "key", 100, false, &put), 0);
    ck_assert_uint_eq(fake.begins, 0);
    ck_assert_int_eq(storage_put_part(put, 2, 50, bytes, 10), 0);
    ck_assert_int_eq(storage_put_part(put, 1, 0, bytes, 50), 0);
    ck_assert_uint_eq(fake.begins, 1);
    ck_assert_int_eq(storage_put_commit(put, 60), 0);
    ck_assert_uint_eq(fake.commits, 1);
    ck_assert_uint_eq(whole.calls, 0);
}
END_TEST

START_TEST(what_was_put_off_is_not_aborted)
{
    struct storage_put *put;

    ck_assert_int_eq(storage_put_begin(storage, "key", 100, false, &put), 0);
    storage_put_abort(put);
    ck_assert_uint_eq(fake.begins + fake.aborts + fake.removes + whole.calls, 0);
}
END_TEST

START_TEST(a_whole_object_is_taken_back)
{
    struct storage_put *put;

    ck_assert_int_eq(storage_put_begin(storage, "key", 5, false, &put), 0);
    ck_assert_int_eq(storage_put_whole(put, bytes, 5), 0);
    ck_assert(fake.there);
    (void)error_set(PGCASK_FAILED, "why it is taken back");
    storage_put_abort(put);
    ck_assert(!fake.there);
    ck_assert_uint_eq(fake.removes, 1);
    ck_assert_uint_eq(fake.aborts, 0);
    ck_assert_str_eq(error_text(), "why it is taken back");
}
END_TEST

static const struct {
    int answers[4]; /* of put_object */
    int code;       /* of storage_put_object */
    unsigned wholes;
} whole_rows[] = {
    { { PGCASK_EXISTS }, PGCASK_EXISTS, 1 },                /* somebody else's */
    { { PGCASK_RETRY, PGCASK_EXISTS }, PGCASK_EXISTS, 2 },  /* whose it is, only the plugin can tell */
    { { PGCASK_FAILED }, PGCASK_FAILED, 1 },                /* none was made */
    { { PGCASK_RETRY, PGCASK_FAILED }, PGCASK_FAILED, 2 },  /* nor here */
};

START_TEST(an_object_that_we_did_not_write_is_left_alone)
{
    fake.there = true;
    fake.size = 77;
    memcpy(fake.answers, whole_rows[_i].answers, sizeof whole_rows[_i].answers);
    ck_assert_int_eq(storage_put_object(storage, "key", bytes, 5, false), whole_rows[_i].code);
    ck_assert_uint_eq(whole.calls, whole_rows[_i].wholes);
    ck_assert_uint_eq(fake.removes + fake.aborts + fake.begins, 0);
    ck_assert(fake.there);
    ck_assert_uint_eq(fake.size, 77);
}
END_TEST

START_TEST(a_whole_object_of_another_size_is_removed)
{
    fake.stat_size_off = 1;
    ck_assert_int_eq(storage_put_object(storage, "key", bytes, 5, false), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "store 'test': 'key' was written with 5 bytes, the store has 6");
    ck_assert_uint_eq(fake.removes, 1);
}
END_TEST

START_TEST(a_whole_object_is_all_there_is)
{
    struct storage_put *put;

    ck_assert_int_eq(storage_put_begin(storage, "key", 5, false, &put), 0);
    ck_assert_int_eq(storage_put_whole(put, bytes, 5), 0);
    ck_assert_int_eq(storage_put_part(put, 2, 5, bytes, 5), PGCASK_FAILED);
    ck_assert_error_has("'key': part 2 comes behind the whole object");
    ck_assert_int_eq(storage_put_whole(put, bytes, 5), PGCASK_FAILED);
    ck_assert_error_has("'key': a whole object comes behind a part of it");
    ck_assert_int_eq(storage_put_commit(put, 10), PGCASK_FAILED);
    ck_assert_error_has("'key': the parts have 5 bytes in all, the object 10");
    ck_assert(!fake.there);
}
END_TEST

START_TEST(a_whole_object_behind_a_part_is_refused)
{
    struct storage_put *put;

    ck_assert_int_eq(storage_put_begin(storage, "key", 5, false, &put), 0);
    ck_assert_int_eq(storage_put_part(put, 1, 0, bytes, 5), 0);
    ck_assert_int_eq(storage_put_whole(put, bytes, 5), PGCASK_FAILED);
    storage_put_abort(put);
    ck_assert_uint_eq(fake.aborts, 1);
    ck_assert_uint_eq(whole.calls, 0);
}
END_TEST

/* What the tries of a put answer, and whether the object may come after it has failed. */
static const struct {
    int answers[4], rc;
    bool may_come;
} lost_rows[] = {
    { { PGCASK_FAILED }, PGCASK_FAILED, false },
    { { PGCASK_EXISTS }, PGCASK_EXISTS, false },
    { { PGCASK_RETRY, PGCASK_FAILED }, PGCASK_FAILED, true }, /* the first of the two */
    { { PGCASK_RETRY, PGCASK_RETRY, PGCASK_RETRY, PGCASK_FAILED }, PGCASK_FAILED, true },
};

START_TEST(it_is_known_whether_a_lost_object_may_still_come)
{
    for (size_t i = 0; i < 4; i++)
        fake.answers[i] = lost_rows[_i].answers[i];
    ck_assert_int_eq(storage_put_object(storage, "key", bytes, 5, true), lost_rows[_i].rc);
    ck_assert_int_eq(storage_may_still_come(storage), lost_rows[_i].may_come);
    ck_assert_int_eq(storage_put_object(storage, "other", bytes, 5, true), 0);
    ck_assert(!storage_may_still_come(storage));
}
END_TEST

START_TEST(without_put_object_a_whole_object_is_its_first_part)
{
    struct storage_put *put;

    fake_plugin.storage.put_object = NULL;
    ck_assert_int_eq(storage_put_begin(storage, "key", 5, false, &put), 0);
    ck_assert_uint_eq(fake.begins, 1);
    ck_assert_int_eq(storage_put_whole(put, bytes, 5), 0);
    ck_assert_uint_eq(fake.written, 5);
    ck_assert(!fake.there);
    ck_assert_int_eq(storage_put_commit(put, 5), 0);
    ck_assert_uint_eq(fake.commits, 1);
}
END_TEST

static void *
put_part_once(void *put)
{
    return storage_put_part(put, 1, 0, bytes, 50) == 0 ? put : NULL;
}

START_TEST(parts_from_two_threads_begin_once)
{
    struct storage_put *put;
    pthread_t other;
    void *answer;

    ck_assert_int_eq(storage_put_begin(storage, "key", 100, false, &put), 0);
    ck_assert_int_eq(pthread_create(&other, NULL, put_part_once, put), 0);
    ck_assert_int_eq(storage_put_part(put, 2, 50, bytes, 50), 0);
    ck_assert_int_eq(pthread_join(other, &answer), 0);
    ck_assert_ptr_nonnull(answer);
    ck_assert_uint_eq(fake.begins, 1);
    ck_assert_int_eq(storage_put_commit(put, 100), 0);
}
END_TEST

/* ---- bandwidth ---- */

enum { RATE = 1000000, BUCKET = RATE / 4 };

/* What was taken out of the store's bucket so far, with a clock that stands still. */
static int64_t
taken(void)
{
    return BUCKET - storage->base.pace.level / 1000;
}

static void
setup_paced(void)
{
    static const struct config_store policy = { .required = 1, .parallel = 1, .bandwidth = RATE };

    setup_whole();
    storage_close(storage);
    ck_assert_int_eq(storage_open_plugin("test", &fake_plugin, NULL, &policy, 0, &storage), 0);
    pace_end(&storage->base.pace);
    pace_init(&storage->base.pace, RATE, INT64_MAX);
}

START_TEST(what_is_moved_is_taken_from_the_bandwidth)
{
    struct storage_put *put;
    char data[30];

    ck_assert_int_eq(storage_put_object(storage, "whole", bytes, 40, false), 0);
    ck_assert_int_eq(taken(), 40);
    ck_assert_int_eq(storage_put_begin(storage, "parts", 0, false, &put), 0);
    ck_assert_int_eq(storage_put_part(put, 1, 0, bytes, 100), 0);
    ck_assert_int_eq(taken(), 140);
    storage_put_abort(put);
    ck_assert_int_eq(storage_get(storage, "whole", 0, data, sizeof data), 0);
    ck_assert_int_eq(taken(), 170);
    ck_assert_int_eq(storage_remove(storage, "whole"), 0);
    ck_assert_int_eq(taken(), 170);
}
END_TEST

START_TEST(what_failed_is_not)
{
    fake.answers[0] = PGCASK_FAILED;
    ck_assert_int_eq(storage_put_object(storage, "whole", bytes, 40, false), PGCASK_FAILED);
    ck_assert_int_eq(taken(), 0);
}
END_TEST

static Suite *
storage_put_suite(void)
{
    Suite *suite = suite_create("storage-put");
    TCase *parts = tcase_create("parts"), *wholes = tcase_create("whole objects"), *paced = tcase_create("bandwidth");

    tcase_add_checked_fixture(parts, setup, teardown);
    tcase_add_test(parts, a_commit_is_confirmed_by_stat);
    tcase_add_test(parts, an_object_that_came_out_short_is_removed);
    tcase_add_loop_test(parts, commit_wants_every_part_and_their_sum, 0, ARRAY_LEN(part_rows));
    tcase_add_loop_test(parts, a_part_the_store_cannot_take_is_refused, 0, ARRAY_LEN(bad_part_rows));
    tcase_add_test(parts, a_failed_part_aborts_a_small_object);
    suite_add_tcase(suite, parts);
    tcase_add_checked_fixture(wholes, setup_whole, teardown);
    tcase_add_loop_test(wholes, what_fits_one_part_is_one_call, 0, ARRAY_LEN(small_rows));
    tcase_add_test(wholes, an_object_without_parts_is_one_call_at_its_commit);
    tcase_add_test(wholes, put_begin_waits_for_the_first_part);
    tcase_add_test(wholes, what_was_put_off_is_not_aborted);
    tcase_add_test(wholes, a_whole_object_is_taken_back);
    tcase_add_loop_test(wholes, an_object_that_we_did_not_write_is_left_alone, 0, ARRAY_LEN(whole_rows));
    tcase_add_test(wholes, a_whole_object_of_another_size_is_removed);
    tcase_add_test(wholes, a_whole_object_is_all_there_is);
    tcase_add_test(wholes, a_whole_object_behind_a_part_is_refused);
    tcase_add_loop_test(wholes, it_is_known_whether_a_lost_object_may_still_come, 0, ARRAY_LEN(lost_rows));
    tcase_add_test(wholes, without_put_object_a_whole_object_is_its_first_part);
    tcase_add_test(wholes, parts_from_two_threads_begin_once);
    suite_add_tcase(suite, wholes);
    tcase_add_checked_fixture(paced, setup_paced, teardown);
    tcase_add_test(paced, what_is_moved_is_taken_from_the_bandwidth);
    tcase_add_test(paced, what_failed_is_not);
    suite_add_tcase(suite, paced);
    return suite;
}

UNIT_MAIN(storage_put_suite)
