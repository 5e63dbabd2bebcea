/* SPDX-License-Identifier: PostgreSQL
 *
 * A WAL file into stores: what counts as there, what is refused, what a store that
 * fails means, and what another host does at the same moment.
 */
#include "config.h"

#include "pipeline/segment-push.h"

#include "unit-archive-wal.h"

#define ONE "000000010000000000000001"
#define RIVAL "ffffffffffffffffffffffffffffffff"

static struct pusher *pusher;
static struct blob_tools *tools;

static void
setup(void)
{
    archive_setup();
    tools = blob_tools_new(1);
    ck_assert_msg(pusher_open(config, cluster, &pusher) == 0, "%s", error_text());
}

static void
teardown(void)
{
    pusher_close(pusher);
    blob_tools_free(tools);
    archive_teardown();
}

static int
push(const char *name, uint32_t seed, bool *ret_sent)
{
    CLEANUP_FREE char *path = archive_file(name, seed);
    CLEANUP_SEGMENT_FILE struct segment_file file = { .fd = -1 };

    ck_assert_msg(segment_file_open(path, SEGMENT_SYSTEM, &file) == 0, "%s", error_text());
    return pusher_send(pusher, tools, &file, ret_sent);
}

START_TEST(every_store_gets_it_once)
{
    bool sent = false;

    ck_assert_msg(push(ONE, 1, &sent) == 0, "%s", error_text());
    ck_assert(sent);
    ck_assert_int_eq(push(ONE, 1, &sent), 0);
    ck_assert(!sent);
    for (size_t i = 0; i < STORES; i++)
        ck_assert_uint_eq(archive_count(fakes[i], ONE), 1);
}
END_TEST

START_TEST(only_who_lacks_it_gets_it)
{
    char before[MIB];
    size_t len;
    bool sent;

    ck_assert_int_eq(push(ONE, 1, &sent), 0);
    len = fakes[0]->objects[1].len;
    memcpy(before, fakes[0]->objects[1].data, len);
    fake_drop(fakes[1], fakes[1]->objects[1].key);
    ck_assert_int_eq(push(ONE, 1, &sent), 0);
    ck_assert(sent);
    ck_assert_uint_eq(archive_count(fakes[1], ONE), 1);
    ck_assert_uint_eq(fakes[0]->objects[1].len, len);
    ck_assert_mem_eq(fakes[0]->objects[1].data, before, len); /* sealed anew, it would differ */
}
END_TEST

START_TEST(one_that_is_not_encrypted_is_there_too)
{
    CLEANUP_FREE char *key = NULL;
    bool sent;

    ck_assert_int_eq(push(ONE, 1, &sent), 0);
    key = mem_strndup(fakes[0]->objects[1].key, strlen(fakes[0]->objects[1].key) - strlen(".age"));
    for (size_t i = 0; i < STORES; i++) {
        fake_drop(fakes[i], fakes[i]->objects[1].key);
        (void)fake_text(fakes[i], key, "whatever");
    }
    ck_assert_int_eq(push(ONE, 1, &sent), 0);
    ck_assert(!sent);
}
END_TEST

START_TEST(another_content_is_refused_and_written_nowhere)
{
    bool sent;

    ck_assert_int_eq(push(ONE, 1, &sent), 0);
    fake_drop(fakes[0], fakes[0]->objects[1].key);
    ck_assert_int_eq(push(ONE, 2, &sent), ERROR_CORRUPT);
    ck_assert_error_has("store 'two' has another '" ONE "' already");
    ck_assert_uint_eq(archive_count(fakes[0], ONE), 0);
    ck_assert_uint_eq(archive_count(fakes[1], ONE), 1);
}
END_TEST

START_TEST(of_a_partial_every_content_is_kept)
{
    bool sent;

    ck_assert_int_eq(push(ONE ".partial", 1, &sent), 0);
    ck_assert_int_eq(push(ONE ".partial", 2, &sent), 0);
    ck_assert(sent);
    ck_assert_int_eq(push(ONE ".partial", 1, &sent), 0);
    ck_assert(!sent);
    ck_assert_uint_eq(archive_count(fakes[0], ONE ".partial"), 2);
}
END_TEST

/* ---- others at the same moment ---- */

static void
rival_writes(struct fake *fake, const char *prefix)
{
    CLEANUP_FREE char *key = mem_printf("%s" RIVAL ".zst", prefix);

    if (strstr(prefix, ONE) != NULL)
        (void)fake_text(fake, key, "theirs");
}

START_TEST(another_host_that_writes_in_between_is_noticed)
{
    bool sent;

    fakes[1]->listed = rival_writes; /* behind our look, before we write */
    ck_assert_int_eq(push(ONE, 1, &sent), ERROR_CORRUPT);
    ck_assert_error_has("store 'two' has another '" ONE "' already: its digest is " RIVAL);
    ck_assert_uint_eq(archive_count(fakes[1], ONE), 2); /* nobody's is taken away */
}
END_TEST

static char *twin; /* the key of the same content */

static void
twin_writes(struct fake *fake, const char *prefix)
{
    if (strstr(prefix, ONE) != NULL && fake_find(fake, twin) == NULL)
        (void)fake_text(fake, twin, "the same, sealed by somebody else");
}

START_TEST(the_same_content_written_in_between_is_as_good)
{
    bool sent;

    ck_assert_int_eq(push(ONE, 1, &sent), 0);
    twin = mem_strdup(fakes[0]->objects[1].key);
    for (size_t i = 0; i < STORES; i++) {
        fake_drop(fakes[i], twin);
        fakes[i]->listed = twin_writes;
    }
    ck_assert_msg(push(ONE, 1, &sent) == 0, "%s", error_text());
    ck_assert(!sent);
    ck_assert_uint_eq(fake_find(fakes[0], twin)->len, strlen("the same, sealed by somebody else"));
    free(twin);
}
END_TEST

static void
store_forgets(struct fake *fake, const char *key)
{
    CLEANUP_FREE char *gone = mem_strdup(key);

    fake_drop(fake, gone);
}

START_TEST(a_store_that_forgets_what_it_took_is_not_believed)
{
    bool sent;

    fakes[0]->stated = store_forgets; /* behind the question whether it is there */
    ck_assert_int_eq(push(ONE, 1, &sent), PGCASK_FAILED);
    ck_assert_error_has("was stored and is not listed");
}
END_TEST

/* ---- stores that fail ---- */

static const struct fail_row {
    size_t store;
    int rc;
} fail_rows[] = { { 0, PGCASK_FAILED }, { 1, PGCASK_FAILED }, { 2, 0 } };

START_TEST(a_required_store_that_fails_fails_the_call_and_an_optional_one_does_not)
{
    const struct fail_row *row = &fail_rows[_i];
    bool sent;

    fakes[row->store]->refuse = ONE;
    ck_assert_int_eq(push(ONE, 1, &sent), row->rc);
    for (size_t i = 0; i < STORES; i++)
        ck_assert_uint_eq(archive_count(fakes[i], ONE), i != row->store);
    if (row->rc < 0)
        ck_assert_error_has("no answer for");
    ck_assert(pusher_alive(pusher));
}
END_TEST

START_TEST(a_store_that_failed_is_asked_no_more)
{
    bool sent;
    size_t lists;

    fakes[0]->refuse = ONE;
    ck_assert_int_eq(push(ONE, 1, &sent), PGCASK_FAILED);
    lists = fakes[0]->lists;
    ck_assert_int_eq(push("000000010000000000000002", 1, &sent), PGCASK_FAILED);
    ck_assert_error_has("store 'one' failed before");
    ck_assert_uint_eq(fakes[0]->lists, lists);
    ck_assert_uint_eq(archive_count(fakes[1], "000000010000000000000002"), 1);
}
END_TEST

START_TEST(when_all_have_failed_none_is_alive)
{
    bool sent;

    for (size_t i = 0; i < STORES; i++)
        fakes[i]->refuse = ONE;
    ck_assert_int_eq(push(ONE, 1, &sent), PGCASK_FAILED);
    ck_assert(!pusher_alive(pusher));
}
END_TEST

START_TEST(a_required_store_that_cannot_be_opened_fails_the_call)
{
    bool sent;

    pusher_close(pusher);
    broken[1] = true;
    ck_assert_int_eq(pusher_open(config, cluster, &pusher), 0);
    ck_assert_int_eq(push(ONE, 1, &sent), PGCASK_FAILED);
    ck_assert_error_has("1 of them could not be opened");
    ck_assert_uint_eq(archive_count(fakes[0], ONE), 1);
}
END_TEST

START_TEST(trouble_with_the_file_says_nothing_of_the_stores)
{
    CLEANUP_FREE char *path = archive_file(ONE, 1);
    CLEANUP_SEGMENT_FILE struct segment_file file = { .fd = -1 };
    bool sent;

    ck_assert_int_eq(segment_file_open(path, SEGMENT_SYSTEM, &file), 0);
    file.size++; /* as if it had been cut short since */
    ck_assert_int_eq(pusher_send(pusher, tools, &file, &sent), PGCASK_FAILED);
    ck_assert_error_has("was cut short");
    file.size--;
    ck_assert_int_eq(pusher_send(pusher, tools, &file, &sent), 0);
    ck_assert_uint_eq(archive_count(fakes[0], ONE), 1);
}
END_TEST

static Suite *
push_suite(void)
{
    Suite *suite = suite_create("segment-push");
    TCase *there = tcase_create("there"), *rivals = tcase_create("rivals"), *failures = tcase_create("failures");

    tcase_add_checked_fixture(there, setup, teardown);
    tcase_add_test(there, every_store_gets_it_once);
    tcase_add_test(there, only_who_lacks_it_gets_it);
    tcase_add_test(there, one_that_is_not_encrypted_is_there_too);
    tcase_add_test(there, another_content_is_refused_and_written_nowhere);
    tcase_add_test(there, of_a_partial_every_content_is_kept);
    suite_add_tcase(suite, there);
    tcase_add_checked_fixture(rivals, setup, teardown);
    tcase_add_test(rivals, another_host_that_writes_in_between_is_noticed);
    tcase_add_test(rivals, the_same_content_written_in_between_is_as_good);
    tcase_add_test(rivals, a_store_that_forgets_what_it_took_is_not_believed);
    suite_add_tcase(suite, rivals);
    tcase_add_checked_fixture(failures, setup, teardown);
    tcase_add_loop_test(failures, a_required_store_that_fails_fails_the_call_and_an_optional_one_does_not, 0,
                        ARRAY_LEN(fail_rows));
    tcase_add_test(failures, a_store_that_failed_is_asked_no_more);
    tcase_add_test(failures, when_all_have_failed_none_is_alive);
    tcase_add_test(failures, a_required_store_that_cannot_be_opened_fails_the_call);
    tcase_add_test(failures, trouble_with_the_file_says_nothing_of_the_stores);
    suite_add_tcase(suite, failures);
    return suite;
}

UNIT_MAIN(push_suite)
