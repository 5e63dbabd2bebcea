/* SPDX-License-Identifier: PostgreSQL
 *
 * What each type of option takes: texts one by one, lists and their words.
 */
#include "config.h"

#include "config/option-value.h"

#include <string.h>

#include "base/error.h"
#include "config/option.h"
#include "unit.h"

static const struct value_row {
    int type;
    const char *text;
    const char *shown; /* NULL: refused */
    int64_t number;
    const char *error;
} value_rows[] = {
    { PGCASK_OPTION_STRING, " x ", " x ", 0, NULL },
    { PGCASK_OPTION_BOOL, "On", "yes", 1, NULL },
    { PGCASK_OPTION_BOOL, "0", "no", 0, NULL },
    { PGCASK_OPTION_BOOL, "2", NULL, 0, "'2' is neither yes nor no" },
    { PGCASK_OPTION_INT, "9223372036854775807", "9223372036854775807", INT64_MAX, NULL },
    { PGCASK_OPTION_INT, "9223372036854775808", NULL, 0, "'9223372036854775808' is not a whole number" },
    { PGCASK_OPTION_INT, "-1", NULL, 0, "'-1' is below 0" }, /* no limits given */
    { PGCASK_OPTION_SIZE, "64KiB", "64KiB", 65536, NULL },
    { PGCASK_OPTION_DURATION, "2d", "2d", 172800000, NULL },
    { PGCASK_OPTION_PATH, "/", "/", 0, NULL },
    { PGCASK_OPTION_PATH, "", NULL, 0, "'' is not an absolute path" },
    { PGCASK_OPTION_PATH, "~", NULL, 0, "'~' is not an absolute path" },
    { PGCASK_OPTION_ENUM, "two", "two", 0, NULL },
    { PGCASK_OPTION_ENUM, "Two", NULL, 0, "'Two' is not a choice (wanted: one, two)" },
    { PGCASK_OPTION_ENUM, "", NULL, 0, "'' is not a choice (wanted: one, two)" },
    { PGCASK_OPTION_LIST, ",a,\t'b  c' ", "a 'b  c'", 0, NULL },
    { PGCASK_OPTION_LIST, "''''", "''''", 0, NULL }, /* one quote */
    { PGCASK_OPTION_LIST, "'''", NULL, 0, "a word's quote (') is not closed" },
    { PGCASK_OPTION_LIST, "a ''", NULL, 0, "'' is no word" },
    { PGCASK_OPTION_LIST, "public.\"Odd\" '\"'", "public.\"Odd\" '\"'", 0, NULL },
    { PGCASK_OPTION_LIST, "shop \"My Data\"", NULL, 0, "in the word \"My a double quote is not closed" },
    { 0, "x", NULL, 0, "type 0 is unknown" },
    { 99, "x", NULL, 0, "type 99 is unknown" },
};

START_TEST(value_is_taken_or_refused)
{
    const struct value_row *row = &value_rows[_i];
    const struct pgcask_option option = { "x", row->type, .choices = "one|two" };
    struct option_value value = { 0 };
    int rc = option_value_parse(&option, row->text, &value);

    ck_assert_int_eq(rc, row->shown ? 0 : PGCASK_FAILED);
    if (row->shown != NULL) {
        ck_assert_str_eq(value.text, row->shown);
        ck_assert_int_eq(value.number, row->number);
        free(value.text);
        return;
    }
    ck_assert_str_eq(error_text(), row->error);
    ck_assert_ptr_null(value.text);
}
END_TEST

static const struct range_row {
    int type;
    int64_t min, max;
    const char *text;
    const char *error; /* NULL: good */
} range_rows[] = {
    { PGCASK_OPTION_INT, 1, 19, "1", NULL },
    { PGCASK_OPTION_INT, 1, 19, "19", NULL },
    { PGCASK_OPTION_INT, 1, 19, "20", "'20' is out of range (wanted: 1 to 19)" },
    { PGCASK_OPTION_INT, -5, 5, "-6", "'-6' is out of range (wanted: -5 to 5)" },
    { PGCASK_OPTION_INT, -5, 5, "-5", NULL }, /* below 0 where the limits say so */
    { PGCASK_OPTION_SIZE, 1024, 1 << 30, "1023", "'1023' is out of range (wanted: 1.0 KiB to 1.0 GiB)" },
    { PGCASK_OPTION_DURATION, 100, 3600000, "2h", "'2h' is out of range (wanted: 0.1 s to 1 h 00 min)" },
};

START_TEST(limits_hold)
{
    const struct range_row *row = &range_rows[_i];
    const struct pgcask_option option = { "x", row->type, .min = row->min, .max = row->max };
    struct option_value value = { 0 };

    ck_assert_int_eq(option_value_parse(&option, row->text, &value), row->error ? PGCASK_FAILED : 0);
    if (row->error != NULL)
        ck_assert_str_eq(error_text(), row->error);
    free(value.text);
}
END_TEST

START_TEST(home_stands_for_the_tilde)
{
    static const struct pgcask_option option = { "x", PGCASK_OPTION_PATH };
    struct option_value value = { 0 };

    (void)setenv("HOME", "/home/u", 1);
    ck_assert_msg(option_value_parse(&option, "~/x/y", &value) == 0, "%s", error_text());
    ck_assert_str_eq(value.text, "/home/u/x/y");
    free(value.text);
    ck_assert_int_eq(option_value_parse(&option, "~x/y", &value), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "'~x/y' is not an absolute path");
    (void)unsetenv("HOME");
    ck_assert_int_eq(option_value_parse(&option, "~/x/y", &value), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "'~/x/y': the environment has no HOME to put in the place of '~'");
}
END_TEST

START_TEST(overlong_word_is_refused_by_its_length)
{
    static const struct pgcask_option option = { "x", PGCASK_OPTION_INT };
    struct option_value value = { 0 };
    char word[301];

    memset(word, '1', 300);
    word[300] = '\0';
    ck_assert_int_eq(option_value_parse(&option, word, &value), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "300 bytes are too long for a value of this type (int)");
}
END_TEST

static const struct list_row {
    const char *list;
    const char *words[4];
} list_rows[] = {
    { NULL, { NULL } },
    { "a", { "a" } },
    { "a b c", { "a", "b", "c" } },
    { "'a b' c", { "a b", "c" } },
    { "'it''s' 'a''''b'", { "it's", "a''b" } },
    { "'''' ' '", { "'", " " } },
    { "o'brien \"x\"", { "o'brien", "\"x\"" } }, /* a quote counts at the start of a word only */
    { "'a,b' 'all'", { "a,b", "all" } },
};

START_TEST(list_is_split_into_words)
{
    const struct list_row *row = &list_rows[_i];
    CLEANUP_STRV struct strv words = { 0 };
    size_t count = 0;

    option_words(row->list, &words);
    for (; count < ARRAY_LEN(row->words) && row->words[count] != NULL; count++) {
        ck_assert_uint_gt(words.len, count);
        ck_assert_str_eq(words.items[count], row->words[count]);
    }
    ck_assert_uint_eq(words.len, count);
}
END_TEST

static Suite *
option_value_suite(void)
{
    Suite *suite = suite_create("option-value");
    TCase *tcase = tcase_create("option-value");

    tcase_add_loop_test(tcase, value_is_taken_or_refused, 0, ARRAY_LEN(value_rows));
    tcase_add_loop_test(tcase, limits_hold, 0, ARRAY_LEN(range_rows));
    tcase_add_test(tcase, home_stands_for_the_tilde);
    tcase_add_test(tcase, overlong_word_is_refused_by_its_length);
    tcase_add_loop_test(tcase, list_is_split_into_words, 0, ARRAY_LEN(list_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(option_value_suite)
