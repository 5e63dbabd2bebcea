/* SPDX-License-Identifier: PostgreSQL
 *
 * The progress line: counted everywhere, shown on a terminal only, gone at the end.
 */
#include "config.h"

#include "pipeline/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "unit-talk.h"
#include "unit.h"

enum { THREADS = 4, ADDS = 10000 };

START_TEST(bytes_are_counted_from_the_beginning)
{
    progress_begin("one", 0);
    ck_assert_uint_eq(progress_done(), 0);
    progress_add(NULL, 100);
    progress_add(NULL, 23);
    ck_assert_uint_eq(progress_done(), 123);
    progress_end();
    ck_assert_uint_eq(progress_done(), 123); /* until the next one */
    progress_begin("two", 1000);
    ck_assert_uint_eq(progress_done(), 0);
    progress_end();
}
END_TEST

static void *
add_many(void *arg)
{
    for (int i = 0; i < ADDS; i++)
        progress_add(arg, 3);
    return NULL;
}

START_TEST(no_byte_is_lost_between_threads)
{
    pthread_t threads[THREADS];

    progress_begin("threads", 0);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(progress_done(), 3 * THREADS * ADDS);
    progress_end();
}
END_TEST

START_TEST(nothing_is_shown_where_nobody_looks)
{
    struct talk talk = talk_begin(STDERR_FILENO);
    CLEANUP_FREE char *said = NULL;

    progress_begin("quiet", 1000);
    progress_add(NULL, 500);
    (void)usleep(50000); /* a thread that should not be there would speak meanwhile */
    progress_end();
    progress_end(); /* once more is no harm */
    said = talk_end(&talk);
    ck_assert_str_eq(said, "");
}
END_TEST

/* ---- on a terminal ---- */

static int terminal, before; /* our end of it; the stderr of before */

static void
terminal_begin(void)
{
    CLEANUP_FD int theirs = -1;

    terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(terminal, 0);
    ck_assert_int_eq(grantpt(terminal), 0);
    ck_assert_int_eq(unlockpt(terminal), 0);
    theirs = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    ck_assert_int_ge(theirs, 0);
    before = dup(STDERR_FILENO);
    ck_assert_int_eq(dup2(theirs, STDERR_FILENO), STDERR_FILENO);
}

static void
terminal_end(void)
{
    ck_assert_int_eq(dup2(before, STDERR_FILENO), STDERR_FILENO);
    ck_assert_int_eq(close(before), 0);
    ck_assert_int_eq(close(terminal), 0);
}

/* Read on until `part` came; all that did, in `seen`. Waits for as long as the test may take. */
static void
see(struct buf *seen, const char *part)
{
    while (seen->len == 0 || strstr(seen->data, part) == NULL) {
        char piece[256];
        ssize_t got = read(terminal, piece, sizeof piece);

        ck_assert_msg(got > 0, "the terminal is closed; it has '%s'", seen->len > 0 ? seen->data : "");
        ck_assert_int_eq(buf_add(seen, piece, (size_t)got), 0);
    }
}

START_TEST(a_terminal_shows_the_line_and_loses_it_again)
{
    CLEANUP_BUF struct buf seen = BUF_INIT(1024 * 1024);
    size_t shown;

    progress_begin("dump", 4000);
    see(&seen, "\r\033[Kdump: ");
    progress_add(NULL, 1000);
    see(&seen, " of about "); /* in one of the next lines: done and rate are not 0 any more */
    see(&seen, "(25 %)");
    see(&seen, " left");
    shown = seen.len;
    progress_end();
    ck_assert_int_eq(write(STDERR_FILENO, "END", 3), 3);
    see(&seen, "END");
    ck_assert_str_eq(seen.data + seen.len - strlen("\r\033[KEND"), "\r\033[KEND");
    ck_assert_uint_gt(seen.len, shown);
}
END_TEST

static const struct total_row {
    uint64_t total;
    size_t done;
} total_rows[] = {
    { 0, 5000 },    /* not known */
    { 1000, 5000 }, /* the estimate was too small */
    { 5000, 5000 },
};

START_TEST(without_a_known_rest_none_is_promised)
{
    CLEANUP_BUF struct buf seen = BUF_INIT(1024 * 1024);

    progress_begin("dump", total_rows[_i].total);
    progress_add(NULL, total_rows[_i].done);
    see(&seen, "dump: 4.9 KiB, ");
    progress_end();
    ck_assert_int_eq(write(STDERR_FILENO, "END", 3), 3);
    see(&seen, "END");
    ck_assert_lacks(seen.data, " left");
    ck_assert_lacks(seen.data, "%");
}
END_TEST

/* A chroot may have no /dev/pts. */
static bool
terminals_there(void)
{
    CLEANUP_FD int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    return fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0 && ptsname(fd) != NULL && access(ptsname(fd), R_OK | W_OK) == 0;
}

static TCase *
showing_case(void)
{
    TCase *showing = tcase_create("showing");

    tcase_add_checked_fixture(showing, terminal_begin, terminal_end);
    tcase_set_timeout(showing, 30);
    tcase_add_test(showing, a_terminal_shows_the_line_and_loses_it_again);
    tcase_add_loop_test(showing, without_a_known_rest_none_is_promised, 0, ARRAY_LEN(total_rows));
    return showing;
}

static Suite *
progress_suite(void)
{
    Suite *suite = suite_create("progress");
    TCase *counting = tcase_create("counting");

    tcase_add_test(counting, bytes_are_counted_from_the_beginning);
    tcase_add_test(counting, no_byte_is_lost_between_threads);
    tcase_add_test(counting, nothing_is_shown_where_nobody_looks);
    suite_add_tcase(suite, counting);
    if (terminals_there())
        suite_add_tcase(suite, showing_case());
    else
        (void)fprintf(stderr, "skip: there are no pseudo-terminals here\n");
    return suite;
}

UNIT_MAIN(progress_suite)
