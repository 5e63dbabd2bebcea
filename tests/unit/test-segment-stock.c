/* SPDX-License-Identifier: PostgreSQL
 *
 * Segments in stock: taken once, only when they are what their digest says, waited
 * for while they are under way, and thrown away when they are of no use.
 */
#include "config.h"

#include "pipeline/segment-stock.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "unit-dir.h"
#include "unit.h"

#define ONE "000000010000000000000001"
#define TWO "000000010000000000000002"

static char *stock, *dest;

static void
setup(void)
{
    CLEANUP(lock_release) struct lock *lock = NULL;
    CLEANUP_FREE char *state = NULL;

    dir_make();
    state = dir_path("state");
    dest = dir_path("RECOVERYXLOG");
    stock = stock_dir(state, "main", 7301234567890123456);
    ck_assert_int_eq(stock_lock(stock, &lock), 0);
    log_set_level(LOG_LEVEL_ERROR);
}

static void
teardown(void)
{
    free(stock);
    free(dest);
    dir_remove();
}

/* Its digest, which begins at 9 of "xxh3-128:…". */
static void
put(const char *name, const char *text)
{
    CLEANUP_FREE char *digest = digest_of(DIGEST_XXH3, text, strlen(text));
    CLEANUP_FD int fd = -1;

    ck_assert_msg(stock_begin(stock, name, &fd) == 0, "%s", error_text());
    ck_assert_int_eq(file_write_all(fd, text, strlen(text), name), 0);
    ck_assert_msg(stock_end(stock, name, strchr(digest, ':') + 1) == 0, "%s", error_text());
}

static void
check_dest(const char *text)
{
    CLEANUP_BUF struct buf data = BUF_INIT(1 << 20);

    ck_assert_int_eq(file_read(dest, &data), 0);
    ck_assert_str_eq(data.data, text);
}

static size_t
count(void)
{
    size_t files;
    uint64_t bytes;

    stock_count(stock, &files, &bytes);
    return files;
}

START_TEST(what_is_there_is_taken_once)
{
    put(ONE, "segment one");
    put(TWO, "segment two");
    ck_assert_uint_eq(count(), 2);
    ck_assert_msg(stock_take(stock, ONE, dest) == 0, "%s", error_text());
    check_dest("segment one");
    ck_assert_uint_eq(count(), 1);
    ck_assert_int_eq(stock_take(stock, ONE, dest), PGCASK_NOT_FOUND);
    check_dest("segment one");
    ck_assert_int_eq(stock_take(stock, TWO, dest), 0); /* in place of the other */
    check_dest("segment two");
}
END_TEST

START_TEST(a_spoilt_one_is_thrown_away)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FREE char *digest = digest_of(DIGEST_XXH3, "segment one", 11);

    put(ONE, "segment one");
    path = mem_printf("%s/" ONE "-%s", stock, strchr(digest, ':') + 1);
    ck_assert_int_eq(file_append(path, "!", 1), 0);
    ck_assert_int_eq(stock_take(stock, ONE, dest), PGCASK_NOT_FOUND);
    ck_assert(!file_exists(dest));
    ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(without_a_stock_nothing_is_there)
{
    CLEANUP_FREE char *none = dir_path("none");

    ck_assert_int_eq(stock_take(none, ONE, dest), PGCASK_NOT_FOUND);
    stock_ask(none, ONE);
    ck_assert(!file_exists(none));
}
END_TEST

START_TEST(other_files_are_no_segments)
{
    static const char *const names[] = {
        ONE,
        ONE "-",
        ONE "-abc",
        "x-0123456789abcdef0123456789abcdef",
        "00000002.history-0123456789abcdef0123456789abcdef",
        ONE ".partial-0123456789abcdef0123456789abcdef",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *path = mem_printf("%s/%s", stock, names[i]);

        dir_put(path, "x", 0600);
    }
    ck_assert_uint_eq(count(), 0);
    ck_assert_int_eq(stock_take(stock, ONE, dest), PGCASK_NOT_FOUND);
}
END_TEST

START_TEST(what_a_dead_process_left_under_way_is_not_waited_for)
{
    CLEANUP_FD int fd = -1;

    ck_assert_int_eq(stock_begin(stock, ONE, &fd), 0);
    ck_assert_int_eq(stock_take(stock, ONE, dest), PGCASK_NOT_FOUND);
    ck_assert_int_lt(stock_begin(stock, ONE, &fd), 0);
    stock_tidy(stock, NULL, true);
    ck_assert_int_eq(stock_begin(stock, TWO, &fd), 0);
}
END_TEST

/* Holds the lock, as only another process can, and finishes the segment after a while. */
static void
fill_slowly(int ready_fd)
{
    CLEANUP_FREE char *digest = digest_of(DIGEST_XXH3, "late", 4);
    struct lock *lock;
    int fd;

    if (stock_lock(stock, &lock) < 0 || stock_begin(stock, ONE, &fd) < 0 || write(ready_fd, "x", 1) != 1 ||
        file_write_all(fd, "late", 4, ONE) < 0)
        _exit(1);
    (void)usleep(300000);
    _exit(stock_end(stock, ONE, strchr(digest, ':') + 1) < 0);
}

START_TEST(what_is_under_way_is_waited_for)
{
    int pipes[2], status;
    char byte;
    pid_t pid;

    ck_assert_int_eq(pipe(pipes), 0);
    pid = fork();
    if (pid == 0)
        fill_slowly(pipes[1]);
    ck_assert_int_eq(close(pipes[1]), 0);
    ck_assert_int_eq(read(pipes[0], &byte, 1), 1);
    ck_assert_int_eq(stock_take(stock, ONE, dest), 0);
    check_dest("late");
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(close(pipes[0]), 0);
}
END_TEST

START_TEST(only_one_fills_it)
{
    CLEANUP(lock_release) struct lock *one = NULL, *two = NULL;

    ck_assert_int_eq(stock_lock(stock, &one), 0);
    ck_assert_int_eq(stock_lock(stock, &two), ERROR_LOCKED);
}
END_TEST

START_TEST(what_was_asked_for_is_remembered)
{
    struct wal_name name;

    ck_assert(!stock_asked(stock, &name));
    stock_ask(stock, ONE);
    ck_assert(stock_asked(stock, &name));
    ck_assert_uint_eq(name.piece, 1);
    stock_ask(stock, TWO);
    ck_assert(stock_asked(stock, &name));
    ck_assert_uint_eq(name.piece, 2);
    stock_ask(stock, "nonsense");
    ck_assert(!stock_asked(stock, &name));
    ck_assert_str_eq(error_text(), "");
}
END_TEST

START_TEST(what_is_behind_us_goes)
{
    struct wal_name name;

    ck_assert_int_eq(wal_name_parse("000000010000000100000002", &name), 0);
    put("000000010000000000000003", "a"); /* the first half counts more */
    put("000000010000000100000001", "b");
    put("000000010000000100000002", "c");
    put("000000010000000100000003", "d");
    put("000000010000000200000000", "e");
    put("000000020000000100000003", "f"); /* another timeline */
    stock_tidy(stock, &name, false);
    ck_assert_uint_eq(count(), 3);
    ck_assert_int_eq(stock_take(stock, "000000010000000100000002", dest), 0);
    stock_tidy(stock, NULL, false);
    ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(stocks_of_others_go_when_nobody_fills_them)
{
    CLEANUP_FREE char *state = dir_path("state"), *other = stock_dir(state, "main", 1);
    CLEANUP(lock_release) struct lock *lock = NULL;

    ck_assert_str_ne(stock, other);
    put(ONE, "x");
    ck_assert_int_eq(stock_lock(other, &lock), 0);
    stock_tidy_others(other);
    ck_assert_uint_eq(count(), 0);
    put(ONE, "x");
    stock_tidy_others(stock);
    ck_assert_uint_eq(count(), 1);
}
END_TEST

static Suite *
stock_suite(void)
{
    Suite *suite = suite_create("segment-stock");
    TCase *taking = tcase_create("taking"), *filling = tcase_create("filling");

    tcase_add_checked_fixture(taking, setup, teardown);
    tcase_add_test(taking, what_is_there_is_taken_once);
    tcase_add_test(taking, a_spoilt_one_is_thrown_away);
    tcase_add_test(taking, without_a_stock_nothing_is_there);
    tcase_add_test(taking, other_files_are_no_segments);
    tcase_add_test(taking, what_a_dead_process_left_under_way_is_not_waited_for);
    tcase_add_test(taking, what_is_under_way_is_waited_for);
    suite_add_tcase(suite, taking);
    tcase_add_checked_fixture(filling, setup, teardown);
    tcase_add_test(filling, only_one_fills_it);
    tcase_add_test(filling, what_was_asked_for_is_remembered);
    tcase_add_test(filling, what_is_behind_us_goes);
    tcase_add_test(filling, stocks_of_others_go_when_nobody_fills_them);
    suite_add_tcase(suite, filling);
    return suite;
}

UNIT_MAIN(stock_suite)
