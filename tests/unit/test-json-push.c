/* SPDX-License-Identifier: PostgreSQL
 *
 * JSON in pieces: the same events wherever it is cut, and nothing else than JSON.
 */
#include "config.h"

#include "base/json-push.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "unit.h"

static int
write_event(void *ctx, enum json_event event, const char *text)
{
    static const char marks[] = "{}[]k:#w";
    struct buf *told = ctx;
    char mark = marks[event];

    (void)buf_add(told, &mark, 1);
    if (text != NULL)
        (void)buf_addf(told, "%s;", text);
    return text != NULL && strcmp(text, "stop") == 0 ? PGCASK_EXISTS : 0;
}

/* As it comes when `step` bytes are given at once; on an error only its code matters. */
static int
read_in_steps(const char *text, size_t len, size_t step, struct buf *told)
{
    CLEANUP(json_push_free) struct json_push *push = json_push_new(write_event, told);
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < len; at += step)
        rc = json_push_add(push, text + at, len - at < step ? len - at : step);
    return rc < 0 ? rc : json_push_end(push);
}

static const struct {
    const char *text, *events;
} good_rows[] = {
    { "{}", "{}" },
    { " [ ] ", "[]" },
    { "{\"a\":1}", "{ka;#1;}" },
    { "{\"a\":[1,2,{\"b\":\"c\"}],\"d\":null}", "{ka;[#1;#2;{kb;:c;}]kd;wnull;}" },
    { "\"\"", ":;" },
    { "17", "#17;" },
    { "-0.5e+10", "#-0.5e+10;" },
    { "[true,false]", "[wtrue;wfalse;]" },
    { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", ":\"\\/\b\f\n\r\t;" },
    { "\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", ":A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80;" },
    { "\"\xc3\xa9\"", ":\xc3\xa9;" },
    { "{\"a\\u0062\":\"\"}", "{kab;:;}" },
};

START_TEST(events_are_the_same_wherever_it_is_cut)
{
    const char *text = good_rows[_i].text;
    size_t len = strlen(text);

    for (size_t step = 1; step <= len; step++) {
        CLEANUP_BUF struct buf told = BUF_INIT(1000);

        ck_assert_int_eq(read_in_steps(text, len, step, &told), 0);
        ck_assert_str_eq(told.data, good_rows[_i].events);
    }
}
END_TEST

static const struct {
    const char *text;
} bad_rows[] = {
    { "" },
    { "   " },
    { "{" },
    { "[1" },
    { "[1,]" },
    { "[,1]" },
    { "[1 2]" },
    { "{\"a\"}" },
    { "{\"a\":}" },
    { "{\"a\":1,}" },
    { "{1:2}" },
    { "{\"a\":1 \"b\":2}" },
    { "[}" },
    { "{]" },
    { "]" },
    { "{} {}" }, /* two values */
    { "1 2" },
    { "{}x" },
    { "tru" },
    { "True" },
    { "01" },
    { "-" },
    { "1." },
    { ".5" },
    { "1e" },
    { "+1" },
    { "'a'" },
    { "\"a" },
    { "\"\\x\"" },
    { "\"\\u12g4\"" },
    { "\"\\u0000\"" }, /* texts end with a NUL */
    { "\"\\ud83d\"" }, /* half of a pair */
    { "\"\\ud83dx\"" },
    { "\"\\ud83d\\n\"" },
    { "\"\\ude00\"" },
    { "\"\\ud83d\\u0041\"" },
    { "\"a\nb\"" },                            /* control character */
    { "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]" }, /* one too deep */
};

START_TEST(other_texts_are_corrupt)
{
    const char *text = bad_rows[_i].text;

    for (size_t step = 1; step <= strlen(text) + 1; step++) {
        CLEANUP_BUF struct buf told = BUF_INIT(1000);

        ck_assert_msg(read_in_steps(text, strlen(text), step, &told) == ERROR_CORRUPT, "'%s' was taken", text);
    }
}
END_TEST

START_TEST(a_nul_is_no_json)
{
    CLEANUP_BUF struct buf told = BUF_INIT(1000);

    ck_assert_int_eq(read_in_steps("[1,\0]", 5, 5, &told), ERROR_CORRUPT);
    ck_assert_int_eq(read_in_steps("\"\0\"", 3, 3, &told), ERROR_CORRUPT);
}
END_TEST

START_TEST(texts_have_a_limit)
{
    static char text[JSON_PUSH_TEXT_MAX + 3];
    CLEANUP_BUF struct buf told = BUF_INIT(JSON_PUSH_TEXT_MAX * 2);

    memset(text, 'a', sizeof text);
    text[0] = text[JSON_PUSH_TEXT_MAX + 1] = '"';
    ck_assert_int_eq(read_in_steps(text, JSON_PUSH_TEXT_MAX + 2, 1000, &told), 0);
    text[JSON_PUSH_TEXT_MAX + 1] = 'a';
    text[JSON_PUSH_TEXT_MAX + 2] = '"';
    ck_assert_int_eq(read_in_steps(text, sizeof text, 1000, &told), ERROR_CORRUPT);
    ck_assert_error_has("too long");
}
END_TEST

START_TEST(what_an_event_answers_ends_it)
{
    CLEANUP_BUF struct buf told = BUF_INIT(1000);

    ck_assert_int_eq(read_in_steps("[\"stop\",1]", 10, 10, &told), PGCASK_EXISTS);
    ck_assert_str_eq(told.data, "[:stop;");
}
END_TEST

static Suite *
json_push_suite(void)
{
    Suite *suite = suite_create("json-push");
    TCase *tcase = tcase_create("json-push");

    tcase_add_loop_test(tcase, events_are_the_same_wherever_it_is_cut, 0, ARRAY_LEN(good_rows));
    tcase_add_loop_test(tcase, other_texts_are_corrupt, 0, ARRAY_LEN(bad_rows));
    tcase_add_test(tcase, a_nul_is_no_json);
    tcase_add_test(tcase, texts_have_a_limit);
    tcase_add_test(tcase, what_an_event_answers_ends_it);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(json_push_suite)
