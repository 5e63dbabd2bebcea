/* SPDX-License-Identifier: PostgreSQL
 *
 * The local plugin from the inside: that it never leaves its root, what an upload that was cut off leaves, modes, and
 * the race between making a directory and removing it. What all stores must do is in the conformance suite.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../plugins/local/local-put.c"
#include "../../plugins/local/local-tree.c"
#include "../../plugins/local/local-walk.c"
#include "../../plugins/local/local.c"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "plugin/opaque.h"
#include "unit.h"

static char dir[] = "/tmp/pgcask-test-local.XXXXXX";
static char *root;
static void *store;

static int
open_store(const char *path, int create, void **ret_store)
{
    struct local_settings settings = { .path = path, .create = create };

    return local_open(&settings, 0, ret_store);
}

static void
setup(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 7); /* without forks the tests share it */
    ck_assert_ptr_nonnull(mkdtemp(dir));
    root = mem_printf("%s/root", dir);
    ck_assert_int_eq(mkdir(root, 0700), 0);
    ck_assert_int_eq(open_store(root, 0, &store), 0);
}

static void
teardown(void)
{
    CLEANUP_FREE char *command = mem_printf("rm -rf '%s'", dir);

    local_close(store);
    ck_assert_int_eq(system(command), 0);
    free(root);
}

static int
begin(const char *key, void **ret_upload)
{
    struct pgcask_put put = { .key = key };

    return local_put_begin(store, &put, ret_upload);
}

static int
put(const char *key, const char *text)
{
    void *upload;
    int rc = begin(key, &upload);

    if (rc == 0)
        rc = local_put_part(store, upload, 1, 0, text, strlen(text));
    if (rc < 0)
        return rc;
    rc = local_put_commit(store, upload, strlen(text));
    if (rc < 0)
        (void)local_put_abort(store, upload); /* the first error is the one asked for */
    return rc;
}

static char *
below(const char *name)
{
    return mem_printf("%s/%s", root, name);
}

static unsigned
mode_of(const char *name)
{
    CLEANUP_FREE char *path = below(name);
    struct stat st;

    ck_assert_int_eq(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static int
add_one(void *count, const struct listed *listed)
{
    (void)listed;
    ++*(unsigned *)count;
    return 0;
}

static unsigned
listed(const char *prefix)
{
    unsigned count = 0;
    struct pgcask_listing listing = { .prefix = prefix, .add = add_one, .ctx = &count };

    ck_assert_msg(local_list(store, prefix, &listing) == 0, "%s", error_text());
    return count;
}

/* Files and directories in the root, whatever they are. */
static unsigned
entries(void)
{
    DIR *handle = opendir(root);
    unsigned count = 0;

    ck_assert_ptr_nonnull(handle);
    while (readdir(handle) != NULL)
        count++;
    (void)closedir(handle);
    return count - 2;
}

START_TEST(objects_and_directories_are_for_their_owner_only)
{
    mode_t before = umask(0);

    ck_assert_int_eq(put("a/b", "text"), 0);
    (void)umask(before);
    ck_assert_uint_eq(mode_of("a/b"), 0600);
    ck_assert_uint_eq(mode_of("a"), 0700);
}
END_TEST

static const char *const escapes[] = {
    "link/secret",     /* through a link to a directory */
    "file",            /* a link to a file */
    "../secret",       /* up; pgcask never gives such keys, and they are checked again */
    "a/../../secret",
    "/etc/passwd",
    "loop/x",          /* a link to itself */
};

START_TEST(nothing_outside_of_the_root_can_be_reached)
{
    CLEANUP_FREE char *outside = mem_printf("%s/outside", dir), *secret = mem_printf("%s/outside/secret", dir);
    CLEANUP_FREE char *link = below("link"), *file = below("file"), *loop = below("loop");
    CLEANUP_BUF struct buf text = BUF_INIT(100);
    unsigned count = 0;
    struct pgcask_listing listing = { .prefix = "", .add = add_one, .ctx = &count };
    char byte;

    ck_assert_int_eq(mkdir(outside, 0700), 0);
    ck_assert_int_eq(file_write(secret, "s", 1), 0);
    ck_assert_int_eq(symlink(outside, link), 0);
    ck_assert_int_eq(symlink(secret, file), 0);
    ck_assert_int_eq(symlink("loop", loop), 0);
    ck_assert_int_lt(local_get(store, escapes[_i], 0, &byte, 1), 0);
    ck_assert_int_lt(local_stat(store, escapes[_i], &listing), 0);
    ck_assert_int_lt(put(escapes[_i], "text"), 0);
    (void)local_remove(store, escapes[_i]); /* a link may go, what it points to not */
    ck_assert_uint_eq(count, 0);
    ck_assert_uint_eq(listed(""), 0);
    ck_assert_int_eq(file_read(secret, &text), 0);
    ck_assert_str_eq(text.data, "s");
}
END_TEST

static const char *const reserved[] = {
    ".pgcask-tmp-1-2",
    "a/.pgcask-tmp-x",
    "lost+found/x",
};

START_TEST(names_of_our_own_are_refused)
{
    void *upload;

    ck_assert_int_eq(begin(reserved[_i], &upload), PGCASK_FAILED);
    ck_assert_error_has("reserved here");
}
END_TEST

START_TEST(an_upload_has_no_name_until_it_is_committed)
{
    void *upload;

    ck_assert_int_eq(begin("key", &upload), 0);
    ck_assert_int_eq(local_put_part(store, upload, 1, 0, "x", 1), 0);
    ck_assert_uint_eq(listed(""), 0);
#ifndef LOCAL_WITHOUT_TMPFILE
    ck_assert_uint_eq(entries(), 0); /* kill -9 here would leave nothing; wants a file system with O_TMPFILE */
#endif
    ck_assert_int_eq(local_put_commit(store, upload, 1), 0);
    ck_assert_uint_eq(entries(), 1);
}
END_TEST

START_TEST(abort_removes_the_directories_it_made)
{
    void *upload;

    ck_assert_int_eq(begin("a/b/c/key", &upload), 0);
    ck_assert_int_eq(local_put_abort(store, upload), 0);
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(commit_refuses_another_size)
{
    void *upload;

    ck_assert_int_eq(begin("key", &upload), 0);
    ck_assert_int_eq(local_put_part(store, upload, 1, 0, "12345", 5), 0);
    ck_assert_int_eq(local_put_commit(store, upload, 6), PGCASK_FAILED);
    ck_assert_error_has("'key' has 5 bytes, wanted 6");
    ck_assert_int_eq(local_put_abort(store, upload), 0);
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(remove_takes_empty_directories_along_and_no_others)
{
    ck_assert_int_eq(put("a/b/c", "1"), 0);
    ck_assert_int_eq(put("a/d", "1"), 0);
    ck_assert_int_eq(local_remove(store, "a/b/c"), 0);
    ck_assert_uint_eq(mode_of("a/d"), 0600);
    ck_assert_int_eq(listed("a/b"), 0);
    ck_assert_int_eq(local_remove(store, "a/d"), 0);
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(a_directory_is_no_object)
{
    unsigned count = 0;
    struct pgcask_listing listing = { .prefix = "a", .add = add_one, .ctx = &count };
    char byte;

    ck_assert_int_eq(put("a/b", "1"), 0);
    ck_assert_int_eq(local_stat(store, "a", &listing), PGCASK_NOT_FOUND);
    ck_assert_int_eq(local_get(store, "a", 0, &byte, 1), PGCASK_NOT_FOUND);
    ck_assert_int_eq(local_get(store, "a/b/c", 0, &byte, 1), PGCASK_NOT_FOUND); /* nor an object a directory */
    ck_assert_int_eq(local_remove(store, "a"), 0);
    ck_assert_int_eq(put("a", "1"), PGCASK_EXISTS);
    ck_assert_uint_eq(listed(""), 1);
}
END_TEST

START_TEST(a_fifo_does_not_stop_us)
{
    CLEANUP_FREE char *fifo = below("fifo");
    char byte;

    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    ck_assert_int_eq(local_get(store, "fifo", 0, &byte, 1), PGCASK_NOT_FOUND);
    ck_assert_uint_eq(listed(""), 0);
}
END_TEST

START_TEST(sweep_takes_old_unfinished_files_and_nothing_else)
{
    CLEANUP_FREE char *old = below("a/.pgcask-tmp-1-old"), *fresh = below(".pgcask-tmp-1-fresh");
    static const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    uint64_t count;

    ck_assert_int_eq(put("a/object", "1"), 0);
    ck_assert_int_eq(file_write(old, "", 0), 0);
    ck_assert_int_eq(file_write(fresh, "", 0), 0);
    ck_assert_int_eq(utimensat(AT_FDCWD, old, times, 0), 0);
    ck_assert_uint_eq(listed(""), 1);
    ck_assert_int_eq(local_sweep(store, 2000, &count), 0);
    ck_assert_uint_eq(count, 1);
    ck_assert(!file_exists(old));
    ck_assert(file_exists(fresh));
    ck_assert_uint_eq(listed(""), 1);
}
END_TEST

START_TEST(the_root_must_be_there_unless_it_may_be_made)
{
    CLEANUP_FREE char *missing = mem_printf("%s/not/there", dir);
    struct stat st;
    void *other = NULL;

    ck_assert_int_eq(open_store(missing, 0, &other), PGCASK_FAILED);
    ck_assert_error_has("could not open directory '");
    ck_assert_ptr_nonnull(strstr(error_cure(), "create = yes"));
    ck_assert_int_eq(open_store(missing, 1, &other), 0);
    ck_assert_int_eq(stat(missing, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    local_close(other);
}
END_TEST

static const struct {
    mode_t mode;
    int code;
} root_rows[] = {
    { 0700, 0 },
    { 0775, 0 },              /* the group is the administrator's choice */
    { 0777, PGCASK_FAILED },
    { 01777, PGCASK_FAILED }, /* like /tmp: anybody could put objects there */
};

START_TEST(a_root_that_everybody_may_write_is_refused)
{
    void *other = NULL;

    ck_assert_int_eq(chmod(root, root_rows[_i].mode), 0);
    ck_assert_int_eq(open_store(root, 0, &other), root_rows[_i].code);
    if (other != NULL)
        local_close(other);
    else
        ck_assert_error_has("can be written by everybody");
}
END_TEST

/* All threads use one directory, which comes and goes with its last object. */
static void *
come_and_go(void *number)
{
    CLEANUP_FREE char *key = mem_printf("shared/deep/%d", *(int *)number);
    static char bad[] = "bad";

    for (int i = 0; i < 100; i++)
        if (put(key, "text") < 0 || local_remove(store, key) < 0)
            return bad;
    return NULL;
}

START_TEST(a_directory_that_others_remove_is_made_again)
{
    pthread_t threads[4];
    int numbers[ARRAY_LEN(threads)];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        numbers[i] = (int)i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, &numbers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *answer;

        ck_assert_int_eq(pthread_join(threads[i], &answer), 0);
        ck_assert_ptr_null(answer);
    }
    ck_assert_uint_eq(entries(), 0);
}
END_TEST

static Suite *
local_suite(void)
{
    Suite *suite = suite_create("local");
    TCase *tcase = tcase_create("local");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, objects_and_directories_are_for_their_owner_only);
    tcase_add_loop_test(tcase, nothing_outside_of_the_root_can_be_reached, 0, ARRAY_LEN(escapes));
    tcase_add_loop_test(tcase, names_of_our_own_are_refused, 0, ARRAY_LEN(reserved));
    tcase_add_test(tcase, an_upload_has_no_name_until_it_is_committed);
    tcase_add_test(tcase, abort_removes_the_directories_it_made);
    tcase_add_test(tcase, commit_refuses_another_size);
    tcase_add_test(tcase, remove_takes_empty_directories_along_and_no_others);
    tcase_add_test(tcase, a_directory_is_no_object);
    tcase_add_test(tcase, a_fifo_does_not_stop_us);
    tcase_add_test(tcase, sweep_takes_old_unfinished_files_and_nothing_else);
    tcase_add_test(tcase, the_root_must_be_there_unless_it_may_be_made);
    tcase_add_loop_test(tcase, a_root_that_everybody_may_write_is_refused, 0, ARRAY_LEN(root_rows));
    tcase_add_test(tcase, a_directory_that_others_remove_is_made_again);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(local_suite)
