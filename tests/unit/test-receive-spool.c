/* SPDX-License-Identifier: PostgreSQL
 *
 * The spool of `wal receive`: what is in it, in which order, and a segment that grows; also over bytes that are there
 * already.
 */
#include "config.h"

#include "pipeline/receive-spool.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "unit-dir.h"

enum { SEGMENT = 1 << 20 };

static unsigned char bytes[SEGMENT + 1]; /* what the server sends */

static void
setup(void)
{
    dir_make();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 31 % 251 + 1); /* never 0 */
}

static void
put_file(const char *name, size_t size)
{
    CLEANUP_FREE char *path = mem_printf("%s/spool/%s", unit_dir, name),
                      *parent = mem_strndup(path, (size_t)(strrchr(path, '/') - path));

    ck_assert_int_eq(file_mkdirs(parent), 0);
    ck_assert_int_eq(file_write(path, bytes, size), 0);
}

static char *
spool(void)
{
    return dir_path("spool");
}

START_TEST(a_spool_that_is_not_there_is_empty)
{
    CLEANUP_FREE char *dir = spool();
    CLEANUP_SPOOL_ITEMS struct spool_items items = { 0 };

    ck_assert_int_eq(spool_list(dir, &items), 0);
    ck_assert_uint_eq(items.len, 0);
}
END_TEST

START_TEST(files_come_in_the_order_in_which_they_are_archived)
{
    /* written in another order; what is none of ours is passed over */
    static const char *const names[] = {
        "77/000000020000000000000005.partial",
        "77/000000010000000000000004",
        "77/00000002.history",
        "9/000000010000000000000001",
        "77/000000010000000000000003",
        "77/000000010000000100000000",
        "77/000000010000000000000005.partial",
        "77/notes",
        "lock",
        "77/000000010000000000000003.00000028.backup",
        "12x/000000010000000000000001",
        "77/000000010000000000000004.tmp-1-00",
    };
    static const char *const wanted[] = {
        "77/000000010000000000000003", "77/000000010000000000000004", "77/000000010000000000000005.partial",
        "77/000000010000000100000000", "77/00000002.history",         "77/000000020000000000000005.partial",
        "9/000000010000000000000001",
    };
    CLEANUP_FREE char *dir = spool();
    CLEANUP_SPOOL_ITEMS struct spool_items items = { 0 };
    const struct spool_item *open;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        put_file(names[i], i);
    ck_assert_int_eq(spool_list(dir, &items), 0);
    ck_assert_uint_eq(items.len, ARRAY_LEN(wanted));
    for (size_t i = 0; i < items.len; i++) {
        CLEANUP_FREE char *path = spool_path(dir, items.items[i].system, &items.items[i].name);

        ck_assert_str_eq(path + strlen(dir) + 1, wanted[i]);
    }
    ck_assert_uint_eq(items.items[5].size, 0);
    ck_assert_uint_eq(items.items[4].size, 2);
    open = spool_items_open(&items, "77");
    ck_assert_ptr_nonnull(open);
    ck_assert_uint_eq(open->name.timeline, 2);
    ck_assert_ptr_null(spool_items_open(&items, "9"));
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    CLEANUP_FREE char *dir = spool(), *path = mem_printf("%s/77/000000010000000000000003", dir);
    CLEANUP_SPOOL_ITEMS struct spool_items items = { 0 };

    ck_assert_int_eq(file_mkdirs(path), 0);
    ck_assert_int_eq(spool_list(dir, &items), PGCASK_FAILED);
    ck_assert_error_has("is no file");
}
END_TEST

static struct spool_writer *
open_writer(void)
{
    CLEANUP_FREE char *dir = spool();
    struct spool_writer *writer;

    ck_assert_int_eq(spool_writer_open(dir, "77", 1, 7, SEGMENT, &writer), 0);
    return writer;
}

static void
put_pieces(struct spool_writer *writer, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece)
        ck_assert_int_eq(spool_writer_put(writer, bytes + at, len - at < piece ? len - at : piece), 0);
}

static void
holds(const char *name, size_t len)
{
    CLEANUP_FREE char *path = mem_printf("%s/spool/77/%s", unit_dir, name);
    CLEANUP_BUF struct buf data = BUF_INIT(SEGMENT + 10);

    ck_assert_int_eq(file_read(path, &data), 0);
    ck_assert_uint_eq(data.len, len);
    ck_assert_mem_eq(data.data, bytes, len);
}

static const size_t pieces[] = { 1, 100, 4096, 8192, 100000, SEGMENT };

START_TEST(a_segment_is_whole_when_it_is_full)
{
    CLEANUP(spool_writer_close) struct spool_writer *writer = open_writer();

    put_pieces(writer, SEGMENT, pieces[_i] == 1 ? 333 : pieces[_i]);
    holds("000000010000000000000007.partial", SEGMENT);
    ck_assert_uint_eq(spool_writer_synced(writer), 0);
    ck_assert_int_eq(spool_writer_finish(writer), 0);
    ck_assert_uint_eq(spool_writer_synced(writer), SEGMENT);
    ck_assert_int_eq(spool_writer_name(writer)->file, WAL_SEGMENT);
    holds("000000010000000000000007", SEGMENT);
}
END_TEST

START_TEST(synced_is_only_what_was_put_before)
{
    CLEANUP(spool_writer_close) struct spool_writer *writer = open_writer();

    put_pieces(writer, 10000, 1000);
    ck_assert_int_eq(spool_writer_sync(writer), 0);
    put_pieces(writer, 0, 1);
    ck_assert_int_eq(spool_writer_put(writer, bytes + 10000, 5), 0);
    ck_assert_uint_eq(spool_writer_len(writer), 10005);
    ck_assert_uint_eq(spool_writer_synced(writer), 10000);
}
END_TEST

START_TEST(the_same_bytes_once_more_are_fine)
{
    struct spool_writer *writer = open_writer();

    put_pieces(writer, 50000, 7777);
    spool_writer_close(writer);
    writer = open_writer();
    ck_assert_uint_eq(spool_writer_len(writer), 0);
    ck_assert_uint_eq(spool_writer_synced(writer), 0); /* nothing of this connection */
    ck_assert_uint_eq(spool_writer_size(writer), 50000);
    put_pieces(writer, 20000, pieces[_i] == 1 ? 33 : pieces[_i]);
    holds("000000010000000000000007.partial", 50000); /* nothing gets lost meanwhile */
    ck_assert_int_eq(spool_writer_put(writer, bytes + 20000, 40000), 0);
    holds("000000010000000000000007.partial", 60000);
    spool_writer_close(writer);
}
END_TEST

static const size_t differs_at[] = { 0, 1, 4095, 4096, 30000, 49999 };

START_TEST(other_bytes_are_refused_and_change_nothing)
{
    struct spool_writer *writer = open_writer();
    CLEANUP_FREE unsigned char *other = mem_alloc(50000);

    put_pieces(writer, 50000, 7777);
    spool_writer_close(writer);
    writer = open_writer();
    memcpy(other, bytes, 50000);
    other[differs_at[_i]] ^= 1;
    ck_assert_int_eq(spool_writer_put(writer, other, 50000), ERROR_CORRUPT);
    ck_assert_error_has("is not what it was when it was received before");
    ck_assert_error_has("000000010000000000000007.partial");
    holds("000000010000000000000007.partial", 50000);
    spool_writer_close(writer);
}
END_TEST

/* What a crash of the machine leaves: zeros from there on, to the end of the page or further. */
static const struct {
    size_t from, to;
} lost[] = { { 0, 4096 }, { 100, 4096 }, { 100, 50000 }, { 8192, 12288 }, { 49999, 50000 }, { 4095, 4096 } };

START_TEST(zeros_of_a_crash_are_filled_in)
{
    CLEANUP_FREE char *path = mem_printf("%s/spool/77/000000010000000000000007.partial", unit_dir);
    CLEANUP_FREE unsigned char *torn = mem_alloc(50000);
    struct spool_writer *writer;

    memcpy(torn, bytes, 50000);
    memset(torn + lost[_i].from, 0, lost[_i].to - lost[_i].from);
    put_file("77/x", 1);
    ck_assert_int_eq(file_write(path, torn, 50000), 0);
    writer = open_writer();
    put_pieces(writer, 50000, 9000);
    holds("000000010000000000000007.partial", 50000);
    spool_writer_close(writer);
}
END_TEST

START_TEST(zeros_within_a_page_are_no_crash)
{
    CLEANUP_FREE char *path = mem_printf("%s/spool/77/000000010000000000000007.partial", unit_dir);
    CLEANUP_FREE unsigned char *torn = mem_alloc(50000);
    struct spool_writer *writer;

    memcpy(torn, bytes, 50000);
    memset(torn + 100, 0, 100);
    put_file("77/x", 1);
    ck_assert_int_eq(file_write(path, torn, 50000), 0);
    writer = open_writer();
    ck_assert_int_eq(spool_writer_put(writer, bytes, 50000), ERROR_CORRUPT);
    spool_writer_close(writer);
}
END_TEST

START_TEST(a_file_that_is_too_long_is_refused)
{
    CLEANUP_FREE char *dir = spool();
    struct spool_writer *writer;

    put_file("77/000000010000000000000007.partial", SEGMENT + 1);
    ck_assert_int_eq(spool_writer_open(dir, "77", 1, 7, SEGMENT, &writer), PGCASK_FAILED);
    ck_assert_error_has("at most 1048576");
}
END_TEST

START_TEST(histories_are_files_of_their_name)
{
    CLEANUP_FREE char *dir = spool(), *path = mem_printf("%s/77/00000003.history", dir);
    const struct wal_name name = { .file = WAL_HISTORY, .timeline = 3 };

    ck_assert_int_eq(spool_put_history(dir, "77", 3, "1\t0/1\tx\n", 8), 0);
    ck_assert(file_exists(path));
    ck_assert_int_eq(spool_remove(dir, "77", &name), 0);
    ck_assert(!file_exists(path));
    ck_assert_int_eq(spool_remove(dir, "77", &name), 0);
}
END_TEST

static Suite *
spool_suite(void)
{
    Suite *suite = suite_create("receive-spool");
    TCase *tcase = tcase_create("receive-spool");

    tcase_add_checked_fixture(tcase, setup, dir_remove);
    tcase_add_test(tcase, a_spool_that_is_not_there_is_empty);
    tcase_add_test(tcase, files_come_in_the_order_in_which_they_are_archived);
    tcase_add_test(tcase, what_is_no_file_is_refused);
    tcase_add_loop_test(tcase, a_segment_is_whole_when_it_is_full, 0, ARRAY_LEN(pieces));
    tcase_add_test(tcase, synced_is_only_what_was_put_before);
    tcase_add_loop_test(tcase, the_same_bytes_once_more_are_fine, 0, ARRAY_LEN(pieces));
    tcase_add_loop_test(tcase, other_bytes_are_refused_and_change_nothing, 0, ARRAY_LEN(differs_at));
    tcase_add_loop_test(tcase, zeros_of_a_crash_are_filled_in, 0, ARRAY_LEN(lost));
    tcase_add_test(tcase, zeros_within_a_page_are_no_crash);
    tcase_add_test(tcase, a_file_that_is_too_long_is_refused);
    tcase_add_test(tcase, histories_are_files_of_their_name);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(spool_suite)
