/* SPDX-License-Identifier: PostgreSQL
 *
 * Which files are taken for plugins, and which are refused before a byte of them is run. What needs a real shared
 * object is in tests/abi.
 */
#include "config.h"

#include "plugin/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "unit.h"

static char dir[] = "/tmp/pgcask-test-host.XXXXXX";
static char *path; /* of a file in dir that is named like a plugin and holds none */

static void
setup(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 7); /* without forks the tests share it */
    ck_assert_ptr_nonnull(mkdtemp(dir));
    path = mem_printf("%s/pgcask-near-storage.so", dir);
    ck_assert_int_eq(file_write(path, "no library\n", 11), 0);
    ck_assert_int_eq(setenv("PGCASK_PLUGIN_PATH", dir, 1), 0);
}

static void
teardown(void)
{
    CLEANUP_FREE char *command = mem_printf("chmod -R u+rwx '%s' && rm -rf '%s'", dir, dir);

    ck_assert_int_eq(system(command), 0);
    free(path);
}

static void
refused(const char *name, const char *part)
{
    const struct plugin *plugin = NULL;

    ck_assert_int_eq(plugin_load(PLUGIN_STORAGE, name, &plugin), ERROR_USAGE);
    ck_assert_ptr_null(plugin);
    ck_assert_error_has(part);
}

START_TEST(a_missing_plugin_names_the_directories_and_the_nearest)
{
    refused("nearr", "there is no storage plugin 'nearr'");
    ck_assert_error_has(dir);
    ck_assert_str_eq(error_cure(), "did you mean 'near'?");
    refused("something-else", "there is no storage plugin");
    ck_assert_ptr_null(strstr(error_cure(), "did you mean"));
}
END_TEST

static const char *const bad_names[] = {
    "",                     /* nothing */
    "../near",              /* a way out of the directory */
    "near/../near",
    "Near",                 /* capitals */
    "9near",                /* begins with a digit */
    "pgcask near",
};

START_TEST(a_name_that_is_none_is_refused)
{
    refused(bad_names[_i], "is neither the name of a plugin");
}
END_TEST

START_TEST(a_file_that_is_no_library_is_refused_in_one_line)
{
    CLEANUP_FREE char *start = mem_printf("plugin file '%s' cannot be loaded: ", path);

    refused("near", start);
    ck_assert_ptr_null(strchr(error_text(), '\n'));
    ck_assert_ptr_null(strstr(error_text() + strlen(start), path)); /* the path is told once */
}
END_TEST

static const struct {
    mode_t mode;
    bool refused;
} file_rows[] = {
    { 0644, false }, /* as installed */
    { 0755, false },
    { 0664, true },  /* the group may write */
    { 0646, true },  /* others may write */
    { 01646, true }, /* the sticky bit means nothing on a file */
};

START_TEST(a_file_that_others_may_write_is_not_loaded)
{
    ck_assert_int_eq(chmod(path, file_rows[_i].mode), 0);
    refused("near", file_rows[_i].refused ? "can be written by others than its owner" : "cannot be loaded: ");
}
END_TEST

static const struct {
    mode_t mode;
    bool refused;
} dir_rows[] = {
    { 0755, false },
    { 0775, true },
    { 0757, true },
    { 01777, false }, /* like /tmp: others cannot replace what is ours */
};

START_TEST(a_file_below_a_directory_that_others_may_write_is_not_loaded)
{
    ck_assert_int_eq(chmod(dir, dir_rows[_i].mode), 0);
    refused("near", dir_rows[_i].refused ? "plugin directory '" : "cannot be loaded: ");
}
END_TEST

START_TEST(a_link_is_followed_and_its_own_directory_counts)
{
    CLEANUP_FREE char *open_dir = mem_printf("%s/open", dir);
    CLEANUP_FREE char *link = mem_printf("%s/pgcask-linked-storage.so", open_dir);

    ck_assert_int_eq(mkdir(open_dir, 0755), 0);
    ck_assert_int_eq(symlink(path, link), 0);
    refused(link, "cannot be loaded: ");
    ck_assert_int_eq(chmod(open_dir, 0777), 0);
    refused(link, "/open' can be written by others");
}
END_TEST

START_TEST(a_file_of_somebody_else_is_not_loaded)
{
    ck_assert_int_eq(chown(path, 65534, (gid_t)-1), 0);
    refused("near", "belongs to user 65534, wanted root or 0");
}
END_TEST

START_TEST(a_directory_of_somebody_else_is_not_trusted)
{
    ck_assert_int_eq(chown(dir, 65534, (gid_t)-1), 0);
    refused("near", "belongs to user 65534, wanted root or 0");
}
END_TEST

START_TEST(what_is_no_regular_file_is_refused)
{
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    refused("near", "is not a regular file");
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refused("near", "is not a regular file");
}
END_TEST

START_TEST(a_dangling_link_and_a_missing_path_are_told)
{
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("/nowhere/at/all", path), 0);
    refused("near", "could not find plugin file");
    ck_assert_error_has("No such file or directory");
    refused("/nowhere/pgcask-x-storage.so", "could not find plugin file '/nowhere/pgcask-x-storage.so': No such file or directory");
}
END_TEST

START_TEST(all_files_are_found_sorted_and_the_first_of_a_name_wins)
{
    static const char *const files[] = { "pgcask-zebra-storage.so", "pgcask-ant-notifier.so", "pgcask-near-notifier.so",
                                         "pgcask--storage.so", "libother.so", "pgcask-x-storage.so.1" };
    CLEANUP_FREE char *second = mem_printf("%s/second", dir), *both = mem_printf("%s:%s:relative", dir, second);
    CLEANUP_FREE char *again = mem_printf("%s/pgcask-near-storage.so", second);
    CLEANUP_STRV struct strv paths = { 0 };

    ck_assert_int_eq(mkdir(second, 0755), 0);
    ck_assert_int_eq(file_write(again, "", 0), 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP_FREE char *file = mem_printf("%s/%s", i % 2 == 0 ? dir : second, files[i]);

        ck_assert_int_eq(file_write(file, "", 0), 0);
    }
    ck_assert_int_eq(setenv("PGCASK_PLUGIN_PATH", both, 1), 0);
    ck_assert_int_eq(plugin_find_all(&paths), 0);
    for (size_t i = 0; i < paths.len; i++) /* those of the built-in directory are none of this test's business */
        if (strncmp(paths.items[i], dir, strlen(dir)) != 0) {
            free(paths.items[i]);
            memmove(&paths.items[i], &paths.items[i + 1], (paths.len-- - i) * sizeof *paths.items);
            i--;
        }
    ck_assert_uint_eq(paths.len, 4);
    ck_assert_ptr_nonnull(strstr(paths.items[0], "/second/pgcask-ant-notifier.so"));
    ck_assert_ptr_nonnull(strstr(paths.items[1], "/pgcask-near-notifier.so"));
    ck_assert_str_eq(paths.items[2], path);
    ck_assert_ptr_nonnull(strstr(paths.items[3], "/pgcask-zebra-storage.so"));
}
END_TEST

START_TEST(the_directory_of_the_config_is_searched_too)
{
    ck_assert_int_eq(unsetenv("PGCASK_PLUGIN_PATH"), 0);
    refused("near", "there is no storage plugin 'near'");
    plugin_set_dir(dir);
    refused("near", "cannot be loaded: ");
    plugin_set_dir(NULL);
    refused("near", "there is no storage plugin 'near'");
}
END_TEST

static Suite *
host_suite(void)
{
    Suite *suite = suite_create("host");
    TCase *tcase = tcase_create("host");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_missing_plugin_names_the_directories_and_the_nearest);
    tcase_add_loop_test(tcase, a_name_that_is_none_is_refused, 0, ARRAY_LEN(bad_names));
    tcase_add_test(tcase, a_file_that_is_no_library_is_refused_in_one_line);
    tcase_add_loop_test(tcase, a_file_that_others_may_write_is_not_loaded, 0, ARRAY_LEN(file_rows));
    tcase_add_loop_test(tcase, a_file_below_a_directory_that_others_may_write_is_not_loaded, 0, ARRAY_LEN(dir_rows));
    tcase_add_test(tcase, a_link_is_followed_and_its_own_directory_counts);
    if (geteuid() == 0) { /* only root can give files away */
        tcase_add_test(tcase, a_file_of_somebody_else_is_not_loaded);
        tcase_add_test(tcase, a_directory_of_somebody_else_is_not_trusted);
    }
    tcase_add_test(tcase, what_is_no_regular_file_is_refused);
    tcase_add_test(tcase, a_dangling_link_and_a_missing_path_are_told);
    tcase_add_test(tcase, all_files_are_found_sorted_and_the_first_of_a_name_wins);
    tcase_add_test(tcase, the_directory_of_the_config_is_searched_too);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(host_suite)
