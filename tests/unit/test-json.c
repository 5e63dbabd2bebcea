/* SPDX-License-Identifier: PostgreSQL
 *
 * Strict reading of foreign JSON, and the two ways of writing it.
 */
#include "config.h"

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

static const struct {
    const char *text;
    bool good;
} read_rows[] = {
    { "{}", true },
    { " {\"a\": [1, 2, {\"b\": null}]}\n", true },
    { "", false },
    { "[]", false },                        /* not an object */
    { "1", false },
    { "null", false },
    { "{\"a\": 1", false },                 /* cut off */
    { "{\"a\": 1} x", false },              /* something behind */
    { "{\"a\": 1}{}", false },
    { "{\"a\": 1, \"a\": 2}", false },      /* which one? */
    { "{\"x\": {\"a\": 1, \"a\": 1}}", false },
    { "{\"a\": 1,}", false },
    { "{a: 1}", false },
    { "{\"a\": \"\\u0000\"}", false },      /* a C string would end there */
    { "{\"a\": \"\xff\"}", false },         /* not UTF-8 */
    { "{\"a\": 99999999999999999999}", false },
    { "{\"a\": NaN}", false },
};

START_TEST(only_one_whole_object_is_read)
{
    CLEANUP_JSON json_t *json = NULL;
    const char *text = read_rows[_i].text;

    ck_assert_int_eq(json_read("the manifest", text, strlen(text), &json), read_rows[_i].good ? 0 : ERROR_CORRUPT);
    ck_assert_int_eq(json != NULL, read_rows[_i].good);
    if (json == NULL)
        ck_assert_error_has("the manifest is not ");
}
END_TEST

START_TEST(reading_keeps_to_the_length)
{
    CLEANUP_JSON json_t *json = NULL;
    CLEANUP_JSON json_t *none = NULL;
    CLEANUP_FREE char *exact = mem_alloc(2); /* no byte behind it */

    memcpy(exact, "{}", 2);
    ck_assert_int_eq(json_read("it", exact, 2, &json), 0);
    ck_assert_int_eq(json_read("it", exact, 1, &none), ERROR_CORRUPT);
    ck_assert_int_eq(json_read("it", "{}\0", 3, &none), ERROR_CORRUPT);
    ck_assert_int_eq(json_read("it", NULL, 0, &none), ERROR_CORRUPT);
}
END_TEST

START_TEST(nesting_has_a_limit)
{
    CLEANUP_JSON json_t *json = NULL;
    CLEANUP_FREE char *text = mem_alloc(2000000);

    for (size_t i = 0; i + 5 <= 2000000; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    ck_assert_int_eq(json_read("it", text, 2000000, &json), ERROR_CORRUPT); /* and the stack is whole */
}
END_TEST

static json_t *object;

static void
setup(void)
{
    static const char text[] = "{\"text\": \"word\", \"empty\": \"\", \"null\": null, \"int\": 7, \"min\": -9223372036854775808,"
                               " \"max\": 9223372036854775807, \"real\": 7.0, \"true\": true, \"false\": false,"
                               " \"list\": [1], \"none\": [], \"object\": {}}";

    ck_assert_int_eq(json_read("it", text, strlen(text), &object), 0);
}

static void
teardown(void)
{
    json_decref(object);
}

static const struct {
    const char *key, *text, *error;
    bool wanted; /* the same for json_want_string */
} string_rows[] = {
    { "text", "word", NULL, true },
    { "empty", "", NULL, true },
    { "null", NULL, "'null' is not a string", true },   /* needed: refused; wanted: NULL */
    { "gone", NULL, "'gone' is missing", true },
    { "int", NULL, "'int' is not a string", false },
    { "true", NULL, "'true' is not a string", false },
    { "object", NULL, "'object' is not a string", false },
};

START_TEST(strings)
{
    static const char untouched[] = "untouched";
    const char *text = untouched;

    ck_assert_int_eq(json_need_string(object, string_rows[_i].key, &text), string_rows[_i].error ? ERROR_CORRUPT : 0);
    if (string_rows[_i].error != NULL) {
        ck_assert_str_eq(error_text(), string_rows[_i].error);
        ck_assert_ptr_eq(text, untouched);
    } else
        ck_assert_str_eq(text, string_rows[_i].text);
    text = untouched;
    ck_assert_int_eq(json_want_string(object, string_rows[_i].key, &text), string_rows[_i].wanted ? 0 : ERROR_CORRUPT);
    if (!string_rows[_i].wanted)
        ck_assert_ptr_eq(text, untouched);
    else if (string_rows[_i].text == NULL)
        ck_assert_ptr_null(text);
    else
        ck_assert_str_eq(text, string_rows[_i].text);
}
END_TEST

static const struct {
    const char *key;
    int64_t min, max, value;
    bool good;
} int_rows[] = {
    { "int", 7, 7, 7, true },                          /* both ends belong to it */
    { "int", 8, 100, 0, false },
    { "int", 0, 6, 0, false },
    { "min", INT64_MIN, INT64_MAX, INT64_MIN, true },
    { "max", INT64_MIN, INT64_MAX, INT64_MAX, true },
    { "max", 0, INT64_MAX - 1, 0, false },
    { "min", 0, INT64_MAX, 0, false },
    { "real", 0, 100, 0, false },                      /* 7.0 is not written as a whole number */
    { "text", 0, 100, 0, false },
    { "true", 0, 100, 0, false },
    { "null", 0, 100, 0, false },
    { "gone", 0, 100, 0, false },
};

START_TEST(whole_numbers_within_limits)
{
    int64_t value = 4711;
    int rc = json_need_int(object, int_rows[_i].key, int_rows[_i].min, int_rows[_i].max, &value);

    ck_assert_int_eq(rc, int_rows[_i].good ? 0 : ERROR_CORRUPT);
    ck_assert_int_eq(value, int_rows[_i].good ? int_rows[_i].value : 4711);
    if (rc < 0)
        ck_assert_error_has(int_rows[_i].key);
}
END_TEST

static const struct {
    const char *key;
    int truth, array; /* value, or length; -1: refused */
} other_rows[] = {
    { "true", 1, -1 },
    { "false", 0, -1 },
    { "int", -1, -1 },
    { "null", -1, -1 },
    { "gone", -1, -1 },
    { "list", -1, 1 },
    { "none", -1, 0 },
    { "object", -1, -1 },
};

START_TEST(truth_and_arrays)
{
    const char *key = other_rows[_i].key;
    bool truth = other_rows[_i].truth == 0;
    json_t *array = NULL;

    ck_assert_int_eq(json_need_bool(object, key, &truth), other_rows[_i].truth < 0 ? ERROR_CORRUPT : 0);
    if (other_rows[_i].truth >= 0)
        ck_assert_int_eq(truth, other_rows[_i].truth);
    ck_assert_int_eq(json_need_array(object, key, &array), other_rows[_i].array < 0 ? ERROR_CORRUPT : 0);
    if (other_rows[_i].array >= 0)
        ck_assert_uint_eq(json_array_size(array), (size_t)other_rows[_i].array);
    else
        ck_assert_ptr_null(array);
}
END_TEST

START_TEST(the_canonical_form_is_one)
{
    static const char *const texts[] = { "{\"b\": [1, 2],\n \"a\": {\"y\": \"\\u00e4\", \"x\": null}}",
                                         "{\"a\":{\"x\":null,\"y\":\"\xc3\xa4\"},\"b\":[1,2]}" };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        CLEANUP_JSON json_t *json = NULL;
        CLEANUP_FREE char *text = NULL;

        ck_assert_int_eq(json_read("it", texts[i], strlen(texts[i]), &json), 0);
        text = json_canonical(json);
        ck_assert_str_eq(text, "{\"a\":{\"x\":null,\"y\":\"\xc3\xa4\"},\"b\":[1,2]}");
    }
}
END_TEST

START_TEST(the_pretty_form_keeps_the_order)
{
    CLEANUP_JSON json_t *json = json_pack("{s:i, s:s}", "b", 1, "a", "x");
    CLEANUP_FREE char *text = json_pretty(json);

    ck_assert_str_eq(text, "{\n  \"b\": 1,\n  \"a\": \"x\"\n}\n");
}
END_TEST

static const struct {
    const char *text, *value;
} text_rows[] = {
    { "", "" },
    { "plain", "plain" },
    { "\xc3\xa4 \xe2\x82\xac", "\xc3\xa4 \xe2\x82\xac" },        /* valid UTF-8 stays */
    { "a\xff" "b", "a\xef\xbf\xbd" "b" },
    { "cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd" },
    { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },  /* half of a surrogate pair */
};

START_TEST(any_text_can_be_written)
{
    CLEANUP_JSON json_t *json = json_text(text_rows[_i].text);

    ck_assert_str_eq(json_string_value(json), text_rows[_i].value);
}
END_TEST

static Suite *
json_suite(void)
{
    Suite *suite = suite_create("json");
    TCase *reading = tcase_create("reading"), *getting = tcase_create("getting"), *writing = tcase_create("writing");

    tcase_add_loop_test(reading, only_one_whole_object_is_read, 0, ARRAY_LEN(read_rows));
    tcase_add_test(reading, reading_keeps_to_the_length);
    tcase_add_test(reading, nesting_has_a_limit);
    suite_add_tcase(suite, reading);
    tcase_add_checked_fixture(getting, setup, teardown);
    tcase_add_loop_test(getting, strings, 0, ARRAY_LEN(string_rows));
    tcase_add_loop_test(getting, whole_numbers_within_limits, 0, ARRAY_LEN(int_rows));
    tcase_add_loop_test(getting, truth_and_arrays, 0, ARRAY_LEN(other_rows));
    suite_add_tcase(suite, getting);
    tcase_add_test(writing, the_canonical_form_is_one);
    tcase_add_test(writing, the_pretty_form_keeps_the_order);
    tcase_add_loop_test(writing, any_text_can_be_written, 0, ARRAY_LEN(text_rows));
    suite_add_tcase(suite, writing);
    return suite;
}

UNIT_MAIN(json_suite)
