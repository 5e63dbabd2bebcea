/* SPDX-License-Identifier: PostgreSQL
 *
 * Option tables: stepped through whatever header they were compiled against, and
 * refused when their author got them wrong.
 */
#include "config.h"

#include "config/option.h"

#include <string.h>

#include "base/error.h"
#include "config/settings.h"
#include "unit.h"

static const struct pgcask_option one_option[] = { { "one", PGCASK_OPTION_INT, 0, "1", NULL, 0 } };

/* Rows of a header older and newer than ours. */
struct newer_option {
    struct pgcask_option option;
    const char *future;
};
static const struct newer_option newer_options[] = {
    { { "one", PGCASK_OPTION_INT, 0, "1", NULL, 0 }, "f" },
    { { "two", PGCASK_OPTION_INT, 0, "2", NULL, sizeof(int64_t) }, "f" },
};

START_TEST(stride_of_a_newer_header_is_stepped_through)
{
    const struct option_table table = { &newer_options[0].option, sizeof newer_options[0], 2, 2 * sizeof(int64_t) };
    CLEANUP(option_set_free) struct option_set *set = NULL;
    const int64_t *settings;

    ck_assert_msg(option_table_check(&table) == 0, "%s", error_text());
    ck_assert_str_eq(option_at(&table, 1).name, "two");
    ck_assert_int_eq(option_fill_words(&table, NULL, 0, &set), 0);
    settings = option_settings(set);
    ck_assert_int_eq(settings[0], 1);
    ck_assert_int_eq(settings[1], 2);
}
END_TEST

START_TEST(row_shorter_than_ours_reads_as_zero_behind_its_end)
{
    enum { SHORT = offsetof(struct pgcask_option, min) };
    unsigned char raw[2 * SHORT];
    const struct pgcask_option row = { "one", PGCASK_OPTION_INT, 0, NULL, NULL, 8, .min = 5, .max = 6 };
    const struct option_table table = { (const struct pgcask_option *)(const void *)raw, SHORT, 2, 8 };

    memcpy(raw, &row, SHORT);
    memcpy(raw + SHORT, &row, SHORT);
    ck_assert_str_eq(option_at(&table, 1).name, "one");
    ck_assert_uint_eq(option_at(&table, 1).offset, 8);
    ck_assert_int_eq(option_at(&table, 1).max, 0);
}
END_TEST

static const struct table_row {
    struct pgcask_option options[2];
    const char *error; /* NULL: good */
} table_rows[] = {
    { { { "a", PGCASK_OPTION_INT, 0, NULL, NULL, 0 }, { "b", PGCASK_OPTION_INT, 0, NULL, NULL, 8 } }, NULL },
    { { { "a", PGCASK_OPTION_PATH, 0, "~/x", NULL, 0 }, { "b", PGCASK_OPTION_LIST, 0, "x y", NULL, 8 } }, NULL },
    { { { "a", PGCASK_OPTION_INT }, { NULL } }, "option 2 has no name" },
    { { { "", PGCASK_OPTION_INT } }, "option 1: '' is a bad name (wanted: a-z, 0-9 and '_', at most 32 bytes)" },
    { { { "9a", PGCASK_OPTION_INT } }, "option 1: '9a' is a bad name (wanted: a-z, 0-9 and '_', at most 32 bytes)" },
    { { { "a-b", PGCASK_OPTION_INT } }, "option 1: 'a-b' is a bad name (wanted: a-z, 0-9 and '_', at most 32 bytes)" },
    { { { "a12345678901234567890123456789012", PGCASK_OPTION_INT } },
      "option 1: 'a12345678901234567890123456789012' is a bad name (wanted: a-z, 0-9 and '_', at most 32 bytes)" },
    { { { "a", PGCASK_OPTION_INT }, { "a", PGCASK_OPTION_INT } }, "option 'a' is there twice" },
    { { { "a", 0 } }, "option 'a': type 0 is unknown" },
    { { { "a", 10 } }, "option 'a': type 10 is unknown" },
    { { { "a", -1 } }, "option 'a': type -1 is unknown" },
    { { { "a", PGCASK_OPTION_INT, 0, NULL, NULL, 16 } },
      "option 'a': offset 16 with 8 bytes is outside of the settings' 16 bytes" },
    { { { "a", PGCASK_OPTION_INT, 0, NULL, NULL, 12 } },
      "option 'a': offset 12 with 8 bytes is outside of the settings' 16 bytes" },
    { { { "a", PGCASK_OPTION_BOOL, 0, NULL, NULL, SIZE_MAX } },
      "option 'a': offset 18446744073709551615 with 4 bytes is outside of the settings' 16 bytes" },
    { { { "a", PGCASK_OPTION_INT, 0, "x", NULL, 0 } }, "option 'a': the default: 'x' is not a whole number" },
    { { { "a", PGCASK_OPTION_INT, 0, "9", NULL, 0, 1, 5 } },
      "option 'a': the default: '9' is out of range (wanted: 1 to 5)" },
    { { { "a", PGCASK_OPTION_PATH, 0, "x", NULL, 0 } }, "option 'a': the default: 'x' is not an absolute path" },
    { { { "a", PGCASK_OPTION_SECRET, 0, "x", NULL, 0 } }, "option 'a': a secret cannot have a default" },
    { { { "a", PGCASK_OPTION_INT, 0, NULL, NULL, 0, 5, 1 } }, "option 'a': min 5 is above max 1" },
    { { { "a", PGCASK_OPTION_ENUM, 0, NULL, NULL, 0 } }, "option 'a': an enum without choices" },
    { { { "a", PGCASK_OPTION_ENUM, 0, NULL, NULL, 0, 0, 0, "|" } }, "option 'a': an enum without choices" },
    { { { "a", PGCASK_OPTION_ENUM, 0, "z", NULL, 0, 0, 0, "x|y" } },
      "option 'a': the default: 'z' is not a choice (wanted: x, y)" },
    { { { "a", PGCASK_OPTION_INT, 0, NULL, "two\nlines", 0 } },
      "option 'a': a control character in help, default or choices" },
    { { { "a", PGCASK_OPTION_SECRET, 0, NULL, NULL, 0 }, { "a_file", PGCASK_OPTION_PATH, 0, NULL, NULL, 8 } },
      "option 'a_file' clashes with the sources of the secret 'a'" },
    { { { "a_command", PGCASK_OPTION_STRING, 0, NULL, NULL, 0 }, { "a", PGCASK_OPTION_SECRET, 0, NULL, NULL, 8 } },
      "option 'a_command' clashes with the sources of the secret 'a'" }, /* in either order */
};

START_TEST(wrong_table_is_refused)
{
    const struct table_row *row = &table_rows[_i];
    bool two = row->options[1].name != NULL || strstr(row->error ? row->error : "", "option 2") != NULL;
    const struct option_table table = { row->options, sizeof row->options[0], two ? 2 : 1, 16 };
    int rc = option_table_check(&table);

    ck_assert_int_eq(rc, row->error ? PGCASK_FAILED : 0);
    if (row->error != NULL)
        ck_assert_str_eq(error_text(), row->error);
}
END_TEST

START_TEST(wrong_size_of_a_table_is_refused)
{
    const struct option_table empty = { NULL, 0, 0, 0 }, missing = { NULL, sizeof(struct pgcask_option), 1, 8 };
    const struct option_table narrow = { one_option, sizeof(struct pgcask_option) - 8, 1, 8 };
    const struct option_table many = { one_option, sizeof(struct pgcask_option), 501, 8 };
    const struct option_table huge = { one_option, sizeof(struct pgcask_option), 1, (size_t)1 << 40 };

    ck_assert_int_eq(option_table_check(&empty), 0);
    ck_assert_int_eq(option_table_check(&missing), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "1 options, but no table");
    ck_assert_int_eq(option_table_check(&narrow), PGCASK_FAILED);
    ck_assert_error_has("wanted: at least");
    ck_assert_int_eq(option_table_check(&many), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "501 options (wanted: at most 500)");
    ck_assert_int_eq(option_table_check(&huge), PGCASK_FAILED);
    ck_assert_str_eq(error_text(), "settings of 1099511627776 bytes (wanted: at most 1048576)");
}
END_TEST

START_TEST(table_describes_itself)
{
    static const struct pgcask_option options[] = {
        { "a", PGCASK_OPTION_INT, 0, "3", "a number", 0, .min = 1, .max = 9 },
        { "b", PGCASK_OPTION_ENUM, PGCASK_OPTION_REQUIRED, NULL, "a choice", 8, .choices = "x|y" },
    };
    const struct option_table table = { options, sizeof options[0], 2, 16 };
    struct buf text = BUF_INIT(4096);

    ck_assert_int_eq(option_describe(&table, &text), 0);
    ck_assert_str_eq(text.data,
                     "option.a.type=int\noption.a.default=3\noption.a.required=no\noption.a.min=1\noption.a.max=9\n"
                     "option.a.help=a number\noption.b.type=enum\noption.b.required=yes\noption.b.choices=x|y\n"
                     "option.b.help=a choice\n");
    ck_assert_str_eq(option_type_name(PGCASK_OPTION_LIST), "list");
    ck_assert_str_eq(option_type_name(0), "?");
    ck_assert_str_eq(option_type_name(99), "?");
    buf_free(&text);
}
END_TEST

START_TEST(own_tables_are_good)
{
    ck_assert_uint_ge(config_kind_count, 5);
    for (size_t i = 0; i < config_kind_count; i++)
        ck_assert_msg(option_table_check(&config_kinds[i].table) == 0, "%s: %s", config_kinds[i].kind, error_text());
}
END_TEST

static Suite *
option_table_suite(void)
{
    Suite *suite = suite_create("option-table");
    TCase *tcase = tcase_create("option-table");

    tcase_add_test(tcase, stride_of_a_newer_header_is_stepped_through);
    tcase_add_test(tcase, row_shorter_than_ours_reads_as_zero_behind_its_end);
    tcase_add_loop_test(tcase, wrong_table_is_refused, 0, ARRAY_LEN(table_rows));
    tcase_add_test(tcase, wrong_size_of_a_table_is_refused);
    tcase_add_test(tcase, table_describes_itself);
    tcase_add_test(tcase, own_tables_are_good);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(option_table_suite)
