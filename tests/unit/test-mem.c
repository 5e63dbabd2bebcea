/* SPDX-License-Identifier: PostgreSQL
 *
 * Memory that is there or ends the process, pages, and what leaving a scope does.
 */
#include "config.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

/* The sanitizers' allocators shall answer as the real one does. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

START_TEST(nothing_at_all_is_memory_too)
{
    CLEANUP_FREE void *plain = mem_alloc(0);
    CLEANUP_FREE void *zeroed = mem_zalloc(0);
    CLEANUP_FREE void *array = mem_realloc_array(NULL, 0, 8);

    ck_assert_ptr_nonnull(plain);
    ck_assert_ptr_nonnull(zeroed);
    ck_assert_ptr_nonnull(array);
}
END_TEST

START_TEST(zalloc_gives_zeros)
{
    static const char zeros[500];
    CLEANUP_FREE void *first = mem_alloc(sizeof zeros);
    CLEANUP_FREE void *second = NULL;

    memset(first, 'x', sizeof zeros);
    free(STEAL(first)); /* what comes next may be the same place */
    second = mem_zalloc(sizeof zeros);
    ck_assert_mem_eq(second, zeros, sizeof zeros);
}
END_TEST

START_TEST(copies_are_copies)
{
    char text[] = "abcdef";
    CLEANUP_FREE char *whole = mem_strdup(text), *part = mem_strndup(text, 3), *none = mem_strndup(text, 0);
    CLEANUP_FREE char *made = mem_printf("%s-%d", text, 7);

    memset(text, 'x', sizeof text - 1);
    ck_assert_str_eq(whole, "abcdef");
    ck_assert_str_eq(part, "abc");
    ck_assert_str_eq(none, "");
    ck_assert_str_eq(made, "abcdef-7");
}
END_TEST

START_TEST(printf_has_no_limit_of_its_own)
{
    CLEANUP_FREE char *text = mem_printf("%*d", 100000, 1);

    ck_assert_uint_eq(strlen(text), 100000);
}
END_TEST

static void
exhaust_product(void)
{
    free(mem_realloc_array(NULL, SIZE_MAX / 4 + 2, 4)); /* wraps around to 4 */
}

static void
exhaust_alloc(void)
{
    free(mem_alloc(SIZE_MAX / 4));
}

static void
exhaust_pages(void)
{
    mem_pages_free(mem_pages_alloc(SIZE_MAX / 4), SIZE_MAX / 4);
}

static void (*const exhaust_rows[])(void) = { exhaust_product, exhaust_alloc, exhaust_pages };

START_TEST(what_cannot_be_had_ends_the_process)
{
    static const char wanted[] = "ERROR: out of memory\n";
    char said[4096];
    size_t len = 0;
    ssize_t got;
    int pair[2], status;
    pid_t pid;

    ck_assert_int_eq(pipe(pair), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)dup2(pair[1], STDERR_FILENO);
        exhaust_rows[_i]();
        _exit(0);
    }
    ck_assert_int_eq(close(pair[1]), 0);
    while (len < sizeof said && (got = read(pair[0], said + len, sizeof said - len)) > 0)
        len += (size_t)got;
    ck_assert_int_eq(close(pair[0]), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    ck_assert_uint_ge(len, strlen(wanted)); /* a sanitizer may have its own words in front */
    ck_assert_mem_eq(said + len - strlen(wanted), wanted, strlen(wanted));
}
END_TEST

START_TEST(pages_are_aligned_zero_and_writable)
{
    static const char zeros[100000];
    unsigned char *pages = mem_pages_alloc(sizeof zeros);

    ck_assert_uint_eq((uintptr_t)pages % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
    ck_assert_mem_eq(pages, zeros, sizeof zeros);
    memset(pages, 1, sizeof zeros);
    mem_pages_free(pages, sizeof zeros);
    mem_pages_free(NULL, 4096);
}
END_TEST

START_TEST(growing_keeps_what_is_there)
{
    CLEANUP_FREE int *items = NULL;
    size_t len = 0, cap = 0;

    for (int i = 0; i < 1000; i++) {
        MEM_GROW(items, len, cap);
        ck_assert_uint_gt(cap, len);
        items[len++] = i;
    }
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(items[i], i);
}
END_TEST

static bool
is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(scopes_close_what_was_not_stolen)
{
    int seen, kept;

    {
        CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CLEANUP_FD int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CLEANUP_FD int none = -1;

        (void)none;
        seen = fd;
        kept = steal_fd(&other);
        ck_assert(is_open(seen));
        ck_assert_int_eq(other, -1);
    }
    ck_assert(!is_open(seen));
    ck_assert(is_open(kept));
    ck_assert_int_eq(close(kept), 0);
}
END_TEST

START_TEST(scopes_close_streams)
{
    int fd;

    {
        CLEANUP_FILE FILE *file = fopen("/dev/null", "re");
        CLEANUP_FILE FILE *none = NULL;

        (void)none;
        fd = fileno(file);
        ck_assert(is_open(fd));
    }
    ck_assert(!is_open(fd));
}
END_TEST

static unsigned freed;

struct thing {
    int unused;
};

static void
thing_free(struct thing *thing)
{
    freed += thing != NULL;
}
CLEANUP_DEFINE(struct thing, thing_free)

START_TEST(stealing_hands_the_duty_on)
{
    struct thing a, b, *kept;

    freed = 0;
    {
        CLEANUP(thing_free) struct thing *first = &a;
        CLEANUP(thing_free) struct thing *second = &b;

        kept = STEAL(second);
        ck_assert_ptr_null(second);
        ck_assert_ptr_eq(first, &a);
    }
    ck_assert_uint_eq(freed, 1);
    ck_assert_ptr_eq(kept, &b);
}
END_TEST

static Suite *
mem_suite(void)
{
    Suite *suite = suite_create("mem");
    TCase *tcase = tcase_create("mem");

    tcase_add_test(tcase, nothing_at_all_is_memory_too);
    tcase_add_test(tcase, zalloc_gives_zeros);
    tcase_add_test(tcase, copies_are_copies);
    tcase_add_test(tcase, printf_has_no_limit_of_its_own);
    tcase_add_loop_test(tcase, what_cannot_be_had_ends_the_process, 0, ARRAY_LEN(exhaust_rows));
    tcase_add_test(tcase, pages_are_aligned_zero_and_writable);
    tcase_add_test(tcase, growing_keeps_what_is_there);
    tcase_add_test(tcase, scopes_close_what_was_not_stolen);
    tcase_add_test(tcase, scopes_close_streams);
    tcase_add_test(tcase, stealing_hands_the_duty_on);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(mem_suite)
