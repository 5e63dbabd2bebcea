/* SPDX-License-Identifier: PostgreSQL
 *
 * WAL files out of stores: from the nearest good copy, and "there is none" only when
 * every store was asked.
 */
#include "config.h"

#include "pipeline/segment-fetch.h"

#include <fcntl.h>
#include <unistd.h>

#include "pipeline/segment-push.h"
#include "unit-archive-wal.h"

#define ONE "000000010000000000000001"
#define TWO "000000010000000000000002"

static struct fetcher *fetcher;
static struct blob_tools *tools;
static char *target;
static int fd;
static char digest[BLOB_DIGEST_CHARS + 1];

static void
setup(void)
{
    archive_setup();
    tools = blob_tools_new(1);
    fetcher = NULL;
    target = dir_path("RECOVERYXLOG");
    fd = open(target, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
}

static void
teardown(void)
{
    fetcher_close(fetcher);
    blob_tools_free(tools);
    free(target);
    (void)close(fd);
    archive_teardown();
}

/* Into all stores. */
static void
push(const char *name, uint32_t seed)
{
    CLEANUP_FREE char *path = archive_file(name, seed);
    CLEANUP_SEGMENT_FILE struct segment_file file = { .fd = -1 };
    CLEANUP(pusher_close) struct pusher *pusher = NULL;
    bool sent;

    ck_assert_int_eq(pusher_open(config, cluster, &pusher), 0);
    ck_assert_int_eq(segment_file_open(path, SEGMENT_SYSTEM, &file), 0);
    ck_assert_msg(pusher_send(pusher, tools, &file, &sent) == 0, "%s", error_text());
}

static int
get(const char *name)
{
    struct wal_name parsed;

    if (fetcher == NULL)
        ck_assert_msg(fetcher_open(config, cluster, NULL, SEGMENT_SYSTEM, &fetcher) == 0, "%s", error_text());
    ck_assert_int_eq(wal_name_parse(name, &parsed), 0);
    return fetcher_get(fetcher, tools, &parsed, fd, "RECOVERYXLOG", digest);
}

static void
check_target(const char *name)
{
    CLEANUP_BUF struct buf got = BUF_INIT(2 * MIB), wanted = BUF_INIT(2 * MIB);
    CLEANUP_FREE char *path = dir_path(name);

    ck_assert_int_eq(file_read(target, &got), 0);
    ck_assert_int_eq(file_read(path, &wanted), 0);
    ck_assert_uint_eq(got.len, wanted.len);
    ck_assert(memcmp(got.data, wanted.data, got.len) == 0);
    ck_assert_uint_eq(strlen(digest), BLOB_DIGEST_CHARS);
}

static void
spoil(struct fake *fake)
{
    fake->objects[1].data[fake->objects[1].len / 2] ^= 1;
}

START_TEST(it_comes_from_the_first_store)
{
    size_t gets;

    push(ONE, 1);
    gets = fakes[1]->gets;
    ck_assert_msg(get(ONE) == 0, "%s", error_text());
    check_target(ONE);
    ck_assert_uint_eq(fakes[1]->gets, gets + 1); /* its pgcask.json */
}
END_TEST

START_TEST(a_bad_copy_is_passed_over)
{
    push(ONE, 1);
    spoil(fakes[0]);
    spoil(fakes[1]);
    ck_assert_msg(get(ONE) == 0, "%s", error_text());
    check_target(ONE);
}
END_TEST

START_TEST(only_bad_copies_are_trouble)
{
    push(ONE, 1);
    for (size_t i = 0; i < STORES; i++)
        spoil(fakes[i]);
    ck_assert_int_eq(get(ONE), ERROR_CORRUPT);
    ck_assert_error_has("store 'three'");
}
END_TEST

START_TEST(what_no_store_has_is_not_there)
{
    push(ONE, 1);
    ck_assert_int_eq(get(TWO), PGCASK_NOT_FOUND);
    ck_assert_error_has("'" TWO "' is not in the archive");
    ck_assert_int_eq(get("00000002.history"), PGCASK_NOT_FOUND);
}
END_TEST

START_TEST(a_store_that_does_not_answer_leaves_it_open)
{
    push(ONE, 1);
    fakes[2]->refuse = "/wal/"; /* not even a required one */
    ck_assert_int_eq(get(ONE), 0);
    check_target(ONE);
    ck_assert_int_eq(get(TWO), PGCASK_FAILED);
    ck_assert_error_has("is in none of the stores that answer, but store 'three'");
}
END_TEST

START_TEST(a_store_that_is_not_opened_leaves_it_open)
{
    push(ONE, 1);
    broken[2] = true;
    ck_assert_int_eq(get(ONE), 0);
    ck_assert_int_eq(get(TWO), PGCASK_FAILED);
    ck_assert_error_has("1 of the stores cannot be read");
}
END_TEST

START_TEST(a_store_without_a_repository_leaves_it_open)
{
    CLEANUP_FREE char *mark = dir_path("state/store-two");

    push(ONE, 1);
    while (fakes[1]->len > 0)
        fake_drop(fakes[1], fakes[1]->objects[0].key);
    ck_assert_int_eq(unlink(mark), 0); /* this host has never seen it */
    ck_assert_int_eq(get(ONE), 0);
    ck_assert_int_eq(get(TWO), PGCASK_FAILED);
    ck_assert_error_has("store 'two' holds no repository");
}
END_TEST

START_TEST(an_object_that_is_gone_since_it_was_listed_is_trouble)
{
    struct wal_name name;

    push(ONE, 1);
    ck_assert_int_eq(fetcher_open(config, cluster, NULL, SEGMENT_SYSTEM, &fetcher), 0);
    ck_assert_int_eq(wal_name_parse(ONE, &name), 0);
    ck_assert(fetcher_has(fetcher, &name, false));
    for (size_t i = 0; i < STORES; i++)
        fake_drop(fakes[i], fakes[i]->objects[1].key);
    ck_assert_int_eq(get(ONE), PGCASK_FAILED);
    ck_assert(fetcher_has(fetcher, &name, false));
    ck_assert(!fetcher_has(fetcher, &name, true));
}
END_TEST

START_TEST(cold_copies_are_trouble)
{
    push(ONE, 1);
    for (size_t i = 0; i < STORES; i++)
        fakes[i]->objects[1].tier = PGCASK_TIER_COLD;
    ck_assert_int_eq(get(ONE), PGCASK_COLD);
}
END_TEST

START_TEST(two_contents_are_trouble)
{
    CLEANUP_FREE char *key = NULL;

    push(ONE, 1);
    key = mem_strdup(fakes[1]->objects[1].key);
    memset(strrchr(key, '-') + 1, 'f', BLOB_DIGEST_CHARS);
    (void)fake_text(fakes[1], key, "another");
    ck_assert_int_eq(get(ONE), ERROR_CORRUPT);
    ck_assert_error_has("there are two different '" ONE "'");
    ck_assert_error_has("ffffffffffffffffffffffffffffffff in store 'two'");
}
END_TEST

START_TEST(what_is_another_segment_inside_is_trouble)
{
    CLEANUP_FREE char *key = NULL;

    push(TWO, 1);
    key = mem_strdup(fakes[0]->objects[1].key);
    strstr(key, TWO)[23] = '1';
    (void)fake_put(fakes[0], key, fakes[0]->objects[1].data, fakes[0]->objects[1].len);
    ck_assert_int_eq(get(ONE), ERROR_CORRUPT);
    ck_assert_error_has("holds what its header calls '" TWO "'");
}
END_TEST

/* ---- what follows ---- */

/* An object of that name, whatever is in it. */
static void
list_one(const char *name)
{
    struct wal_name parsed;
    CLEANUP_FREE char *key = NULL, *system = mem_printf("%" PRIu64, SEGMENT_SYSTEM);

    ck_assert_int_eq(wal_name_parse(name, &parsed), 0);
    key = label_wal("main", system, &parsed, REPOSITORY, false);
    (void)fake_text(fakes[1], key, "?");
}

static const struct next_row {
    const char *name, *there, *next; /* next NULL: none */
} next_rows[] = {
    { ONE, TWO, TWO },
    { "0000000100000000000000FF", "000000010000000100000000", "000000010000000100000000" }, /* 16 MiB */
    { "000000010000000000000003", "000000010000000100000000", "000000010000000100000000" }, /* 1 GiB */
    { "000000010000000000000FFF", "000000010000000100000000", "000000010000000100000000" }, /* 1 MiB */
    { "000000010000000000000003", "000000010000000000000004", "000000010000000000000004" }, /* of smaller ones */
    { ONE, "000000010000000000000003", NULL },
    { "0000000100000000000000FE", "000000010000000100000000", NULL },
    { ONE, "000000020000000000000002", NULL },         /* another timeline */
    { ONE, "000000010000000000000002.partial", NULL }, /* not whole */
    { ONE, ONE, NULL },
};

START_TEST(what_follows_is_known_without_the_size_of_segments)
{
    const struct next_row *row = &next_rows[_i];
    struct wal_name name, next;
    CLEANUP_FREE char *text = NULL;

    list_one(row->there);
    ck_assert_int_eq(fetcher_open(config, cluster, NULL, SEGMENT_SYSTEM, &fetcher), 0);
    ck_assert_int_eq(wal_name_parse(row->name, &name), 0);
    ck_assert_int_eq(fetcher_next(fetcher, &name, &next), row->next != NULL);
    if (row->next == NULL)
        return;
    text = wal_name_text(&next);
    ck_assert_str_eq(text, row->next);
}
END_TEST

START_TEST(neighbours_are_listed_once)
{
    size_t lists;

    push(ONE, 1);
    push(TWO, 1);
    lists = fakes[0]->lists;
    ck_assert_int_eq(get(ONE), 0);
    ck_assert_int_eq(get(TWO), 0);
    ck_assert_uint_eq(fakes[0]->lists, lists + 1);
}
END_TEST

/* ---- whose ---- */

START_TEST(the_newest_system_is_taken_when_none_is_known)
{
    (void)fake_text(fakes[0], "main/wal/999/00000002.history-" REPOSITORY ".zst", "?");
    (void)fake_text(fakes[1], "main/wal/7301234567890123456/00000002.history-" REPOSITORY ".zst", "?");
    (void)fake_text(fakes[2], "main/wal/7201234567890123456/00000002.history-" REPOSITORY ".zst", "?");
    ck_assert_int_eq(fetcher_open(config, cluster, NULL, 0, &fetcher), 0);
    ck_assert_str_eq(fetcher_system(fetcher), "7301234567890123456");
}
END_TEST

START_TEST(an_archive_without_wal_is_not_the_end_of_one)
{
    ck_assert_int_eq(fetcher_open(config, cluster, NULL, 0, &fetcher), PGCASK_FAILED);
    ck_assert_error_has("no store has WAL of cluster 'main'");
}
END_TEST

static Suite *
fetch_suite(void)
{
    Suite *suite = suite_create("segment-fetch");
    TCase *getting = tcase_create("getting"), *next = tcase_create("next"), *whose = tcase_create("whose");

    tcase_add_checked_fixture(getting, setup, teardown);
    tcase_add_test(getting, it_comes_from_the_first_store);
    tcase_add_test(getting, a_bad_copy_is_passed_over);
    tcase_add_test(getting, only_bad_copies_are_trouble);
    tcase_add_test(getting, what_no_store_has_is_not_there);
    tcase_add_test(getting, a_store_that_does_not_answer_leaves_it_open);
    tcase_add_test(getting, a_store_that_is_not_opened_leaves_it_open);
    tcase_add_test(getting, a_store_without_a_repository_leaves_it_open);
    tcase_add_test(getting, an_object_that_is_gone_since_it_was_listed_is_trouble);
    tcase_add_test(getting, cold_copies_are_trouble);
    tcase_add_test(getting, two_contents_are_trouble);
    tcase_add_test(getting, what_is_another_segment_inside_is_trouble);
    suite_add_tcase(suite, getting);
    tcase_add_checked_fixture(next, setup, teardown);
    tcase_add_loop_test(next, what_follows_is_known_without_the_size_of_segments, 0, ARRAY_LEN(next_rows));
    tcase_add_test(next, neighbours_are_listed_once);
    suite_add_tcase(suite, next);
    tcase_add_checked_fixture(whose, setup, teardown);
    tcase_add_test(whose, the_newest_system_is_taken_when_none_is_known);
    tcase_add_test(whose, an_archive_without_wal_is_not_the_end_of_one);
    suite_add_tcase(suite, whose);
    return suite;
}

UNIT_MAIN(fetch_suite)
