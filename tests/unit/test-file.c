/* SPDX-License-Identifier: PostgreSQL
 *
 * Whole reads with a limit, and writes that are there completely or not at all.
 */
#include "config.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit-dir.h"
#include "unit.h"

static char *path; /* of a file that is not there at first */

static void
setup(void)
{
    dir_make();
    path = dir_path("file");
}

static void
teardown(void)
{
    free(path);
    dir_remove();
}

static void
expect_content(const char *file, const char *text)
{
    CLEANUP_BUF struct buf data = BUF_INIT(1 << 20);

    ck_assert_msg(file_read(file, &data) == 0, "%s", error_text());
    ck_assert_str_eq(data.data, text);
}

/* ---- reading ---- */

static const struct {
    size_t size, limit;
    bool fits;
} limit_rows[] = {
    { 0, 0, true },
    { 1, 0, false },
    { 10, 10, true },             /* exactly as much as is allowed */
    { 11, 10, false },
    { 65536, 65536, true },       /* around one read */
    { 65537, 65536, false },
    { 65535, 65536, true },
    { 200000, 200000, true },
    { 200001, 200000, false },
    { 10, SIZE_MAX, true },
};

START_TEST(a_file_is_read_up_to_the_limit)
{
    CLEANUP_BUF struct buf data = BUF_INIT(limit_rows[_i].limit);
    CLEANUP_FREE char *text = mem_zalloc(limit_rows[_i].size + 1);

    memset(text, 'x', limit_rows[_i].size);
    dir_put(path, text, 0600);
    ck_assert_int_eq(file_read(path, &data), limit_rows[_i].fits ? 0 : PGCASK_FAILED);
    if (limit_rows[_i].fits) {
        ck_assert_uint_eq(data.len, limit_rows[_i].size);
        ck_assert_str_eq(data.data, text);
    } else
        ck_assert_error_has(path);
}
END_TEST

START_TEST(reading_goes_on_behind_what_is_there)
{
    CLEANUP_BUF struct buf data = BUF_INIT(10);

    dir_put(path, "12345", 0600);
    ck_assert_int_eq(buf_adds(&data, "abcde"), 0);
    ck_assert_int_eq(file_read(path, &data), 0);
    ck_assert_str_eq(data.data, "abcde12345");
    ck_assert_int_eq(file_read(path, &data), PGCASK_FAILED); /* the limit is the buffer's */
}
END_TEST

START_TEST(a_missing_file_has_a_code_of_its_own)
{
    CLEANUP_BUF struct buf data = BUF_INIT(10);

    ck_assert_int_eq(file_read(path, &data), PGCASK_NOT_FOUND);
    ck_assert_error_has("No such file or directory");
    ck_assert_int_eq(file_read(unit_dir, &data), PGCASK_FAILED); /* there, but a directory */
    ck_assert_error_has("Is a directory");
    ck_assert(!file_exists(path));
    ck_assert(file_exists(unit_dir));
}
END_TEST

/* Writes more than a pipe takes at once, in pieces. */
static void *
feed(void *arg)
{
    int fd = open(arg, O_WRONLY | O_CLOEXEC);
    char piece[1000];

    memset(piece, 'p', sizeof piece);
    for (int i = 0; fd >= 0 && i < 300; i++)
        if (write(fd, piece, sizeof piece) != (ssize_t)sizeof piece)
            break;
    (void)close(fd);
    return NULL;
}

START_TEST(a_fifo_is_read_to_its_end)
{
    CLEANUP_BUF struct buf data = BUF_INIT(300000);
    pthread_t thread;

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, feed, path), 0);
    ck_assert_msg(file_read(path, &data) == 0, "%s", error_text());
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(data.len, 300000);
}
END_TEST

START_TEST(read_up_to_is_short_at_the_end_only)
{
    CLEANUP_FD int fd = -1;
    pthread_t thread;
    char data[100001];

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, feed, path), 0);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(file_read_up_to(fd, data, 100000, path), 100000);
    ck_assert_int_eq(file_read_up_to(fd, data, 100000, path), 100000);
    ck_assert_int_eq(file_read_up_to(fd, data, 100001, path), 100000);
    ck_assert_int_eq(file_read_up_to(fd, data, 1, path), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(file_read_up_to(-1, data, 1, "nothing"), PGCASK_FAILED);
    ck_assert_error_has("'nothing': Bad file descriptor");
}
END_TEST

static const struct {
    unsigned mode;
    bool good;
} mode_rows[] = {
    { 0600, true }, { 0400, true }, { 0700, true },
    { 0640, false }, { 0604, false }, { 0620, false }, { 0602, false }, { 0610, false }, { 0601, false }, { 0666, false },
};

START_TEST(only_a_private_file_is_private)
{
    dir_put(path, "x", mode_rows[_i].mode);
    ck_assert_int_eq(file_check_private(path, "key file"), mode_rows[_i].good ? 0 : ERROR_USAGE);
    if (!mode_rows[_i].good) {
        ck_assert_error_has("key file '");
        ck_assert_error_has("wanted 0600");
        ck_assert_ptr_nonnull(strstr(error_cure(), "chmod 600 '"));
    }
}
END_TEST

START_TEST(a_file_of_somebody_else_is_not_private)
{
    ck_assert_int_eq(file_check_private(path, "key file"), ERROR_USAGE); /* missing */
    ck_assert_error_has("No such file or directory");
    if (geteuid() != 0)
        return; /* only root can give a file away */
    dir_put(path, "x", 0600);
    ck_assert_int_eq(chown(path, 12345, (gid_t)-1), 0);
    ck_assert_int_eq(file_check_private(path, "key file"), ERROR_USAGE);
    ck_assert_error_has("belongs to user 12345");
}
END_TEST

/* ---- writing ---- */

START_TEST(writing_makes_and_replaces)
{
    ck_assert_int_eq(file_write(path, "first, longer", 13), 0);
    expect_content(path, "first, longer");
    ck_assert_uint_eq(dir_mode(path), 0600);
    ck_assert_int_eq(file_write(path, "second", 6), 0);
    expect_content(path, "second");
    ck_assert_int_eq(file_write(path, NULL, 0), 0);
    expect_content(path, "");
    ck_assert_uint_eq(dir_count(), 1); /* nothing temporary is left */
}
END_TEST

START_TEST(who_reads_the_old_file_keeps_it)
{
    CLEANUP_FD int fd = -1;
    char data[4];

    dir_put(path, "old", 0644);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(file_write(path, "new", 3), 0);
    ck_assert_int_eq(read(fd, data, 3), 3);
    ck_assert_mem_eq(data, "old", 3);
    expect_content(path, "new");
    ck_assert_uint_eq(dir_mode(path), 0600);
}
END_TEST

enum { VERSION_BYTES = 100000 };
static atomic_bool enough;

static void *
rewrite(void *arg)
{
    CLEANUP_FREE char *text = mem_alloc(VERSION_BYTES);
    int rc = 0;

    (void)arg;
    for (int i = 0; rc == 0 && i < 200; i++) {
        memset(text, 'a' + i % 26, VERSION_BYTES);
        rc = file_write(path, text, VERSION_BYTES);
    }
    atomic_store(&enough, true);
    return rc == 0 ? path : NULL;
}

START_TEST(readers_see_one_version_or_the_other)
{
    pthread_t thread;
    void *good;

    atomic_store(&enough, false);
    ck_assert_int_eq(file_write(path, "", 0), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, rewrite, NULL), 0);
    while (!atomic_load(&enough)) {
        CLEANUP_BUF struct buf data = BUF_INIT(VERSION_BYTES);

        ck_assert_msg(file_read(path, &data) == 0, "%s", error_text());
        if (data.len == 0)
            continue; /* the very first */
        ck_assert_uint_eq(data.len, VERSION_BYTES);
        ck_assert_int_eq(data.data[0], data.data[VERSION_BYTES - 1]);
    }
    ck_assert_int_eq(pthread_join(thread, &good), 0);
    ck_assert_ptr_nonnull(good);
}
END_TEST

START_TEST(a_failed_write_leaves_what_was_there)
{
    CLEANUP_FREE char *inside = dir_path("file/inside"), *nowhere = dir_path("gone/file");

    ck_assert_int_eq(mkdir(path, 0700), 0);
    dir_put(inside, "old", 0600);
    ck_assert_int_eq(file_write(path, "new", 3), PGCASK_FAILED); /* cannot be renamed over a directory */
    ck_assert_error_has("could not rename");
    expect_content(inside, "old");
    ck_assert_uint_eq(dir_count(), 1);
    ck_assert_int_eq(file_write(nowhere, "new", 3), PGCASK_FAILED);
    ck_assert_error_has("No such file or directory");
}
END_TEST

START_TEST(a_full_disk_is_told)
{
    CLEANUP_FD int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(file_write_all(fd, "data", 4, "disk"), PGCASK_FAILED);
    ck_assert_error_has("'disk': No space left on device");
}
END_TEST

START_TEST(creating_refuses_what_is_there)
{
    ck_assert_int_eq(file_create(path, "mine", 4), 0);
    ck_assert_uint_eq(dir_mode(path), 0600);
    ck_assert_int_eq(file_create(path, "other", 5), PGCASK_EXISTS);
    ck_assert_error_has(path);
    expect_content(path, "mine");
    ck_assert_uint_eq(dir_count(), 1);
}
END_TEST

START_TEST(creating_refuses_a_dangling_link)
{
    ck_assert_int_eq(symlink("nowhere", path), 0);
    ck_assert_int_eq(file_create(path, "mine", 4), PGCASK_EXISTS);
    ck_assert_uint_eq(dir_count(), 1);
}
END_TEST

START_TEST(of_many_creators_one_wins)
{
    enum { CREATORS = 8 };
    pid_t pids[CREATORS];
    int won = 0, beaten = 0, gate[2];
    char byte;

    ck_assert_int_eq(pipe(gate), 0);
    for (int i = 0; i < CREATORS; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0) {
            char text[2] = { (char)('0' + i), '\0' };
            int rc;

            (void)close(gate[1]);
            (void)!read(gate[0], &byte, 1); /* all start at once, when the gate is closed */
            rc = file_create(path, text, 1);
            _exit(rc == 0 ? 0 : rc == PGCASK_EXISTS ? 1 : 2);
        }
    }
    ck_assert_int_eq(close(gate[1]), 0);
    for (int i = 0; i < CREATORS; i++) {
        int status;

        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            CLEANUP_BUF struct buf data = BUF_INIT(10);

            won++;
            ck_assert_int_eq(file_read(path, &data), 0);
            ck_assert_int_eq(data.data[0], '0' + i);
        } else if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
            beaten++;
    }
    ck_assert_int_eq(close(gate[0]), 0);
    ck_assert_int_eq(won, 1);
    ck_assert_int_eq(beaten, CREATORS - 1);
    ck_assert_uint_eq(dir_count(), 1);
}
END_TEST

static void *
write_often(void *text)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < 100; i++)
        rc = file_write(path, text, 4);
    return rc == 0 ? text : NULL;
}

START_TEST(writers_of_one_file_do_not_meet)
{
    static char texts[2][5] = { "aaaa", "bbbb" };
    pthread_t threads[2];
    CLEANUP_BUF struct buf data = BUF_INIT(100);

    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_often, texts[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *good;

        ck_assert_int_eq(pthread_join(threads[i], &good), 0);
        ck_assert_ptr_nonnull(good);
    }
    ck_assert_int_eq(file_read(path, &data), 0);
    ck_assert(strcmp(data.data, "aaaa") == 0 || strcmp(data.data, "bbbb") == 0);
    ck_assert_uint_eq(dir_count(), 1);
}
END_TEST

START_TEST(records_are_appended)
{
    CLEANUP_FREE char *link = dir_path("link");

    ck_assert_int_eq(file_append(path, "one\n", 4), 0);
    ck_assert_uint_eq(dir_mode(path), 0600);
    ck_assert_int_eq(file_append(path, "two\n", 4), 0);
    expect_content(path, "one\ntwo\n");
    ck_assert_int_eq(symlink(path, link), 0);
    ck_assert_int_eq(file_append(link, "three\n", 6), PGCASK_FAILED); /* nobody leads us elsewhere */
    expect_content(path, "one\ntwo\n");
}
END_TEST

/* ---- directories ---- */

START_TEST(directories_are_made_with_their_parents)
{
    CLEANUP_FREE char *deep = dir_path("a/b//c/"), *b = dir_path("a/b"), *c = dir_path("a/b/c");

    ck_assert_msg(file_mkdirs(deep) == 0, "%s", error_text());
    ck_assert_uint_eq(dir_mode(b), 0700);
    ck_assert_uint_eq(dir_mode(c), 0700);
    ck_assert_int_eq(file_mkdirs(deep), 0); /* again */
    ck_assert_int_eq(file_mkdirs("/"), 0);
    ck_assert_int_eq(file_sync_dir(c), 0);
}
END_TEST

START_TEST(what_is_no_directory_is_not_taken_for_one)
{
    CLEANUP_FREE char *below = dir_path("file/below");

    dir_put(path, "x", 0600);
    ck_assert_int_eq(file_mkdirs(below), PGCASK_FAILED);
    ck_assert_error_has("Not a directory");
    ck_assert_int_eq(file_mkdirs(path), PGCASK_FAILED);
    ck_assert_error_has("could not create directory");
    ck_assert_int_eq(file_sync_dir(path), PGCASK_FAILED);
    ck_assert_int_eq(file_mkdirs(""), PGCASK_FAILED);
}
END_TEST

static Suite *
file_suite(void)
{
    Suite *suite = suite_create("file");
    TCase *tcase = tcase_create("file");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60); /* fsync may be slow */
    tcase_add_loop_test(tcase, a_file_is_read_up_to_the_limit, 0, ARRAY_LEN(limit_rows));
    tcase_add_test(tcase, reading_goes_on_behind_what_is_there);
    tcase_add_test(tcase, a_missing_file_has_a_code_of_its_own);
    tcase_add_test(tcase, a_fifo_is_read_to_its_end);
    tcase_add_test(tcase, read_up_to_is_short_at_the_end_only);
    tcase_add_loop_test(tcase, only_a_private_file_is_private, 0, ARRAY_LEN(mode_rows));
    tcase_add_test(tcase, a_file_of_somebody_else_is_not_private);
    tcase_add_test(tcase, writing_makes_and_replaces);
    tcase_add_test(tcase, who_reads_the_old_file_keeps_it);
    tcase_add_test(tcase, readers_see_one_version_or_the_other);
    tcase_add_test(tcase, a_failed_write_leaves_what_was_there);
    tcase_add_test(tcase, a_full_disk_is_told);
    tcase_add_test(tcase, creating_refuses_what_is_there);
    tcase_add_test(tcase, creating_refuses_a_dangling_link);
    tcase_add_test(tcase, of_many_creators_one_wins);
    tcase_add_test(tcase, writers_of_one_file_do_not_meet);
    tcase_add_test(tcase, records_are_appended);
    tcase_add_test(tcase, directories_are_made_with_their_parents);
    tcase_add_test(tcase, what_is_no_directory_is_not_taken_for_one);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(file_suite)
