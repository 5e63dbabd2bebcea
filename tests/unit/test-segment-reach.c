/* SPDX-License-Identifier: PostgreSQL
 *
 * How far the WAL in a segment reaches that is not whole.
 */
#include "config.h"

#include "pipeline/segment-fetch.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "unit-dir.h"
#include "unit-segment.h"
#include "unit.h"

enum { MIB = 1 << 20, PAGE = 8192, PAGES = MIB / PAGE };

static unsigned char data[MIB];

static void
put_page(unsigned page, uint64_t address)
{
    struct segment_page header = segment_page(1, 0, MIB);

    memset(data + page * PAGE, 0x55, PAGE);
    header.address = address;
    memcpy(data + page * PAGE, &header, page == 0 ? sizeof header : 24);
}

/* The first `pages` of segment 7. */
static void
put_pages(unsigned pages)
{
    memset(data, 0, sizeof data);
    for (unsigned i = 0; i < pages; i++)
        put_page(i, 7 * MIB + i * PAGE);
}

static uint64_t
reach_of(size_t len)
{
    CLEANUP_FREE char *path = dir_path("segment");
    CLEANUP_FD int fd = -1;

    ck_assert_int_eq(file_write(path, data, len), 0);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return segment_reach(fd);
}

START_TEST(it_reaches_to_the_last_page_that_belongs_there)
{
    for (unsigned pages = 1; pages <= PAGES; pages += pages == 1 ? 1 : 63) {
        put_pages(pages);
        ck_assert_uint_eq(reach_of(MIB), (uint64_t)pages * PAGE);
    }
}
END_TEST

START_TEST(of_the_last_page_zeros_do_not_count)
{
    put_pages(3);
    memset(data + 2 * PAGE + 100, 0, PAGE - 100);
    ck_assert_uint_eq(reach_of(MIB), 2 * PAGE + 100);
}
END_TEST

START_TEST(pages_of_the_past_do_not_count)
{
    put_pages(PAGES);
    for (unsigned i = 5; i < PAGES; i++)
        put_page(i, 2 * MIB + i * PAGE); /* the file was used before */
    ck_assert_uint_eq(reach_of(MIB), 5 * PAGE);
}
END_TEST

START_TEST(pages_of_another_release_do_not_count)
{
    put_pages(PAGES);
    data[9 * PAGE] ^= 1;
    ck_assert_uint_eq(reach_of(MIB), 9 * PAGE);
}
END_TEST

START_TEST(what_was_cut_off_does_not_count)
{
    put_pages(PAGES);
    ck_assert_uint_eq(reach_of(4 * PAGE), 4 * PAGE);
    ck_assert_uint_eq(reach_of(4 * PAGE + 10), 4 * PAGE);
    ck_assert_uint_eq(reach_of(4 * PAGE + 23), 4 * PAGE); /* not even the header of a page */
    ck_assert_uint_gt(reach_of(4 * PAGE + 24), 4 * PAGE);
    ck_assert_uint_eq(reach_of(100), 100);
}
END_TEST

START_TEST(what_is_no_segment_reaches_nowhere)
{
    put_pages(0);
    ck_assert_uint_eq(reach_of(MIB), 0);
    ck_assert_uint_eq(reach_of(0), 0);
    ck_assert_str_eq(error_text(), "");
}
END_TEST

static Suite *
reach_suite(void)
{
    Suite *suite = suite_create("segment-reach");
    TCase *reach = tcase_create("reach");

    tcase_add_checked_fixture(reach, dir_make, dir_remove);
    tcase_add_test(reach, it_reaches_to_the_last_page_that_belongs_there);
    tcase_add_test(reach, of_the_last_page_zeros_do_not_count);
    tcase_add_test(reach, pages_of_the_past_do_not_count);
    tcase_add_test(reach, pages_of_another_release_do_not_count);
    tcase_add_test(reach, what_was_cut_off_does_not_count);
    tcase_add_test(reach, what_is_no_segment_reaches_nowhere);
    suite_add_tcase(suite, reach);
    return suite;
}

UNIT_MAIN(reach_suite)
