/* SPDX-License-Identifier: PostgreSQL
 *
 * Records of what was sent ahead: one counts for the very file it was made of, as
 * it was then, under the same config, once.
 */
#include "config.h"

#include "pipeline/segment-record.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "unit-dir.h"
#include "unit.h"

enum { SEGMENT_BYTES = 100000 };

#define NAME "000000010000000000000001"

static char *state, *config, *wal, *segment, *records;

static void
write_segment(const char *path, char seed)
{
    char data[SEGMENT_BYTES];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(seed + i / 100);
    ck_assert_int_eq(file_write(path, data, sizeof data), 0);
}

/* Write into the file as it is. */
static void
patch(const char *path, off_t offset, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, text, strlen(text), offset), (ssize_t)strlen(text));
    ck_assert_int_eq(close(fd), 0);
}

static char *
look(void)
{
    int fd = open(segment, O_RDONLY | O_CLOEXEC);
    char *text;

    ck_assert_int_ge(fd, 0);
    text = segment_record_text(config, fd, segment);
    ck_assert_msg(text != NULL, "%s", error_text());
    ck_assert_int_eq(close(fd), 0);
    return text;
}

static void
keep(void)
{
    CLEANUP_FREE char *text = look();

    ck_assert_msg(segment_record_keep(records, segment, text) == 0, "%s", error_text());
    ck_assert(segment_record_exists(records, NAME));
}

static void
setup(void)
{
    dir_make();
    state = dir_path("state");
    config = dir_path("pgcask.ini");
    wal = dir_path("pg_wal");
    segment = dir_path("pg_wal/" NAME);
    dir_put(config, "[pgcask]\n", 0600);
    ck_assert_int_eq(file_mkdirs(wal), 0);
    write_segment(segment, 1);
    records = segment_record_dir(state, "main", segment);
    ck_assert_ptr_nonnull(records);
    ck_assert_int_eq(file_mkdirs(records), 0);
    keep();
}

static void
teardown(void)
{
    free(state);
    free(config);
    free(wal);
    free(segment);
    free(records);
    dir_remove();
}

static bool
taken(void)
{
    bool fits = segment_record_take(state, "main", config, segment);

    ck_assert_msg(!segment_record_exists(records, NAME), "it is still there");
    return fits;
}

START_TEST(a_record_of_an_unchanged_file_counts_once)
{
    ck_assert(taken());
    ck_assert(!taken());
    ck_assert_str_eq(error_text(), "");
}
END_TEST

static void
change_first_page(void)
{
    patch(segment, 100, "x");
}

static void
change_last_page(void)
{
    patch(segment, SEGMENT_BYTES - 1, "x");
}

static void
change_size(void)
{
    ck_assert_int_eq(truncate(segment, SEGMENT_BYTES - 1), 0);
}

static void
change_file(void)
{
    CLEANUP_FREE char *other = dir_path("other");

    write_segment(other, 1); /* the same bytes */
    ck_assert_int_eq(rename(other, segment), 0);
}

static void
change_time(void)
{
    const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

    ck_assert_int_eq(utimensat(AT_FDCWD, segment, times, 0), 0);
}

static void
change_mode(void)
{
    struct stat before, after;

    ck_assert_int_eq(stat(segment, &before), 0);
    do { /* only ctime tells, once the kernel's clock has ticked */
        ck_assert_int_eq(chmod(segment, 0400), 0);
        ck_assert_int_eq(stat(segment, &after), 0);
    } while (memcmp(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim) == 0);
}

static void
remove_file(void)
{
    ck_assert_int_eq(unlink(segment), 0);
}

static void
change_config(void)
{
    dir_put(config, "[pgcask]\n; more\n", 0600);
}

static void
remove_config(void)
{
    ck_assert_int_eq(unlink(config), 0);
}

static void
cut_record(void)
{
    CLEANUP_FREE char *path = mem_printf("%s/" NAME, records);

    ck_assert_int_eq(truncate(path, 100), 0);
}

static void
empty_record(void)
{
    CLEANUP_FREE char *path = mem_printf("%s/" NAME, records);

    ck_assert_int_eq(truncate(path, 0), 0);
}

static void
lengthen_record(void)
{
    CLEANUP_FREE char *path = mem_printf("%s/" NAME, records);

    ck_assert_int_eq(file_append(path, "\n", 1), 0);
}

static void
swell_record(void)
{
    CLEANUP_FREE char *path = mem_printf("%s/" NAME, records);

    ck_assert_int_eq(truncate(path, 1 << 20), 0);
}

static const struct change_row {
    const char *what;
    void (*change)(void);
} change_rows[] = {
    { "first page", change_first_page }, { "last page", change_last_page }, { "size", change_size },
    { "another file", change_file },     { "time", change_time },           { "mode", change_mode },
    { "no file", remove_file },          { "config", change_config },       { "no config", remove_config },
    { "cut record", cut_record },        { "empty record", empty_record },  { "longer record", lengthen_record },
    { "large record", swell_record },
};

START_TEST(a_record_does_not_count_when_anything_has_changed)
{
    change_rows[_i].change();
    ck_assert_msg(!taken(), "%s", change_rows[_i].what);
}
END_TEST

START_TEST(bytes_between_the_ends_are_left_to_the_times)
{
    CLEANUP_FREE char *before = NULL, *after = NULL;

    change_time(); /* to one that is not now */
    before = look();
    patch(segment, SEGMENT_BYTES / 2, "x");
    after = look();
    ck_assert_str_ne(before, after);
}
END_TEST

START_TEST(records_of_another_directory_or_cluster_are_elsewhere)
{
    CLEANUP_FREE char *other = dir_path("other"), *path = dir_path("other/" NAME), *dir = NULL;

    ck_assert_int_eq(file_mkdirs(other), 0);
    write_segment(path, 1);
    dir = segment_record_dir(state, "main", path);
    ck_assert_str_ne(dir, records);
    ck_assert(!segment_record_take(state, "main", config, path));
    ck_assert(!segment_record_take(state, "second", config, segment));
    ck_assert(segment_record_exists(records, NAME));
    ck_assert_ptr_null(segment_record_dir(state, "main", "/no/such/directory/" NAME));
}
END_TEST

START_TEST(a_relative_path_means_the_same)
{
    CLEANUP_FREE char *dir = NULL, *here = NULL;

    ck_assert_int_eq(chdir(unit_dir), 0);
    dir = segment_record_dir(state, "main", "pg_wal/" NAME);
    ck_assert_str_eq(dir, records);
    ck_assert_int_eq(chdir(wal), 0);
    here = segment_record_dir(state, "main", NAME);
    ck_assert_str_eq(here, records);
    ck_assert(segment_record_take(state, "main", config, NAME));
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

static Suite *
record_suite(void)
{
    Suite *suite = suite_create("segment-record");
    TCase *records_case = tcase_create("records");

    tcase_add_checked_fixture(records_case, setup, teardown);
    tcase_add_test(records_case, a_record_of_an_unchanged_file_counts_once);
    tcase_add_loop_test(records_case, a_record_does_not_count_when_anything_has_changed, 0, ARRAY_LEN(change_rows));
    tcase_add_test(records_case, bytes_between_the_ends_are_left_to_the_times);
    tcase_add_test(records_case, records_of_another_directory_or_cluster_are_elsewhere);
    tcase_add_test(records_case, a_relative_path_means_the_same);
    suite_add_tcase(suite, records_case);
    return suite;
}

UNIT_MAIN(record_suite)
