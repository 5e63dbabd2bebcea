/* SPDX-License-Identifier: PostgreSQL
 *
 * Buffers grow up to their limit and not a byte further; vectors can be used as argv at any time.
 */
#include "config.h"

#include "base/buf.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

static const struct {
    size_t limit, first, second;
    bool fits;
} limit_rows[] = {
    { 10, 4, 6, true },              /* exactly full */
    { 10, 4, 7, false },             /* one more */
    { 10, 0, 10, true },
    { 10, 0, 11, false },
    { 10, 10, 0, true },             /* nothing more always fits */
    { 10, 3, SIZE_MAX, false },      /* no overflow */
    { 10, 3, SIZE_MAX - 2, false },  /* 3 + len wraps to exactly 0 */
    { 0, 0, 0, true },
    { 0, 0, 1, false },
    { 1 << 20, 255, 1, true },       /* where the first memory ends */
    { 1 << 20, 256, 1 << 19, true },
};

START_TEST(the_limit_is_kept)
{
    CLEANUP_BUF struct buf buf = BUF_INIT(limit_rows[_i].limit);
    CLEANUP_FREE char *data = mem_zalloc(1 << 20);
    size_t first = limit_rows[_i].first, second = limit_rows[_i].second;

    memset(data, 'x', 1 << 20);
    ck_assert_int_eq(buf_add(&buf, data, first), 0);
    if (limit_rows[_i].fits) {
        ck_assert_int_eq(buf_add(&buf, data, second), 0);
        ck_assert_uint_eq(buf.len, first + second);
        ck_assert_mem_eq(buf.data, data, buf.len);
    } else {
        ck_assert_int_eq(buf_add(&buf, data, second), PGCASK_FAILED);
        ck_assert_error_has(limit_rows[_i].limit == 0 ? "the 0 bytes" : "the 10 bytes");
        ck_assert_uint_eq(buf.len, first);
    }
    ck_assert_uint_eq(strlen(buf.data ? buf.data : ""), buf.len); /* terminated just behind */
}
END_TEST

START_TEST(text_and_formats_are_appended)
{
    CLEANUP_BUF struct buf buf = BUF_INIT(100);

    ck_assert_int_eq(buf_adds(&buf, "one"), 0);
    ck_assert_int_eq(buf_addf(&buf, ", %s and %d", "two", 3), 0);
    ck_assert_str_eq(buf.data, "one, two and 3");
    ck_assert_uint_eq(buf.len, 14);
    ck_assert_int_eq(buf_addf(&buf, "%100d", 1), PGCASK_FAILED);
    ck_assert_str_eq(buf.data, "one, two and 3");
}
END_TEST

START_TEST(zero_bytes_are_bytes)
{
    CLEANUP_BUF struct buf buf = BUF_INIT(100);

    ck_assert_int_eq(buf_add(&buf, "a\0b", 3), 0);
    ck_assert_int_eq(buf_adds(&buf, "c"), 0);
    ck_assert_uint_eq(buf.len, 4);
    ck_assert_mem_eq(buf.data, "a\0bc", 5);
}
END_TEST

START_TEST(reserved_room_can_be_filled)
{
    CLEANUP_BUF struct buf buf = BUF_INIT(5000);

    ck_assert_int_eq(buf_adds(&buf, "head"), 0);
    ck_assert_int_eq(buf_reserve(&buf, 4996), 0);
    memset(buf.data + buf.len, 'y', 4996);
    buf.len += 4996;
    ck_assert_int_eq(buf_reserve(&buf, 1), PGCASK_FAILED);
    ck_assert_int_eq(buf_reserve(&buf, 0), 0);
    ck_assert_mem_eq(buf.data, "heady", 5);
}
END_TEST

START_TEST(taking_empties)
{
    struct buf buf = BUF_INIT(100);
    CLEANUP_FREE char *nothing = buf_take(&buf), *text = NULL, *again = NULL;

    ck_assert_str_eq(nothing, "");
    ck_assert_int_eq(buf_adds(&buf, "text"), 0);
    text = buf_take(&buf);
    ck_assert_str_eq(text, "text");
    ck_assert_uint_eq(buf.len, 0);
    ck_assert_int_eq(buf_adds(&buf, "more"), 0); /* and can be used again */
    again = buf_take(&buf);
    ck_assert_str_eq(again, "more");
    buf_free(&buf);
}
END_TEST

START_TEST(freeing_twice_is_harmless)
{
    struct buf buf = BUF_SECRET_INIT(100);

    buf_free(&buf);
    ck_assert_int_eq(buf_adds(&buf, "text"), 0);
    buf_free(&buf);
    buf_free(&buf);
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.len, 0);
}
END_TEST

START_TEST(a_secret_survives_growing)
{
    CLEANUP_BUF struct buf buf = BUF_SECRET_INIT(100000);

    for (int i = 0; i < 5000; i++)
        ck_assert_int_eq(buf_addf(&buf, "%04d", i), 0);
    ck_assert_uint_eq(buf.len, 20000);
    ck_assert_mem_eq(buf.data + 4 * 1234, "12341235", 8);
}
END_TEST

START_TEST(a_vector_is_an_argv_at_any_time)
{
    CLEANUP_STRV struct strv v = { 0 };

    for (int i = 0; i < 100; i++) {
        strv_addf(&v, "word %d", i);
        ck_assert_uint_eq(v.len, (size_t)i + 1);
        ck_assert_ptr_null(v.items[v.len]);
    }
    strv_add(&v, "copied");
    strv_take(&v, mem_strdup("taken"));
    ck_assert_str_eq(v.items[0], "word 0");
    ck_assert_str_eq(v.items[99], "word 99");
    ck_assert_str_eq(v.items[100], "copied");
    ck_assert_str_eq(v.items[101], "taken");
    ck_assert_ptr_null(v.items[102]);
    ck_assert(strv_has(&v, "copied"));
    ck_assert(!strv_has(&v, "copie"));
    ck_assert(!strv_has(&v, "copiedx"));
}
END_TEST

static const struct {
    const char *text, *separators, *joined;
} split_rows[] = {
    { "a b c", " ", "a|b|c" },
    { "  a  b ", " ", "a|b" },        /* no empty words */
    { "a,b\tc", ", \t", "a|b|c" },    /* any of several */
    { "one", " ", "one" },
    { "", " ", "" },
    { "   ", " ", "" },
    { "a b", ",", "a b" },            /* none of them there */
};

START_TEST(texts_are_split_into_words)
{
    CLEANUP_STRV struct strv v = { 0 };
    CLEANUP_FREE char *joined = NULL;

    strv_split(&v, split_rows[_i].text, split_rows[_i].separators);
    joined = strv_join(&v, "|");
    ck_assert_str_eq(joined, split_rows[_i].joined);
}
END_TEST

START_TEST(sorting_is_by_bytes)
{
    CLEANUP_STRV struct strv v = { 0 };
    CLEANUP_FREE char *joined = NULL;

    strv_sort(&v); /* nothing to do */
    strv_split(&v, "b \xc3\xa4 a B aa Z", " ");
    strv_sort(&v);
    joined = strv_join(&v, " ");
    ck_assert_str_eq(joined, "B Z a aa b \xc3\xa4");
    ck_assert_ptr_null(v.items[v.len]);
}
END_TEST

START_TEST(a_freed_vector_can_be_used_again)
{
    struct strv v = { 0 };

    strv_free(&v);
    strv_add(&v, "a");
    strv_free(&v);
    ck_assert_uint_eq(v.len, 0);
    strv_add(&v, "b");
    ck_assert_str_eq(v.items[0], "b");
    strv_free(&v);
}
END_TEST

static Suite *
buf_suite(void)
{
    Suite *suite = suite_create("buf");
    TCase *tcase = tcase_create("buf");

    tcase_add_loop_test(tcase, the_limit_is_kept, 0, ARRAY_LEN(limit_rows));
    tcase_add_test(tcase, text_and_formats_are_appended);
    tcase_add_test(tcase, zero_bytes_are_bytes);
    tcase_add_test(tcase, reserved_room_can_be_filled);
    tcase_add_test(tcase, taking_empties);
    tcase_add_test(tcase, freeing_twice_is_harmless);
    tcase_add_test(tcase, a_secret_survives_growing);
    tcase_add_test(tcase, a_vector_is_an_argv_at_any_time);
    tcase_add_loop_test(tcase, texts_are_split_into_words, 0, ARRAY_LEN(split_rows));
    tcase_add_test(tcase, sorting_is_by_bytes);
    tcase_add_test(tcase, a_freed_vector_can_be_used_again);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(buf_suite)
