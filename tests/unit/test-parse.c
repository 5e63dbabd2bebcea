/* SPDX-License-Identifier: PostgreSQL
 *
 * Text to numbers and back: the whole text or nothing.
 */
#include "config.h"

#include "base/parse.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

enum { UNTOUCHED = 4711 };

struct number_row {
    const char *text;
    int64_t value; /* UNTOUCHED: refused */
};

static void
check_number(int (*parse)(const char *text, int64_t *ret_value), const struct number_row *row)
{
    int64_t value = UNTOUCHED;
    int rc = parse(row->text, &value);

    ck_assert_msg(value == row->value, "'%s' gave %" PRId64 ", wanted %" PRId64, row->text, value, row->value);
    ck_assert_int_eq(rc, row->value == UNTOUCHED ? PGCASK_FAILED : 0);
    if (rc < 0)
        ck_assert_error_has(row->text); /* names the value seen */
}

static const struct number_row int_rows[] = {
    { "0", 0 },
    { "-1", -1 },
    { "42", 42 },
    { "9223372036854775807", INT64_MAX },
    { "-9223372036854775808", INT64_MIN },
    { "9223372036854775808", UNTOUCHED },  /* one too many */
    { "-9223372036854775809", UNTOUCHED },
    { "", UNTOUCHED },
    { "-", UNTOUCHED },
    { " 1", UNTOUCHED },                   /* strtoll would take the blank */
    { "1 ", UNTOUCHED },
    { "1.0", UNTOUCHED },
    { "0x10", UNTOUCHED },
    { "1k", UNTOUCHED },
    { "one", UNTOUCHED },
};

START_TEST(whole_numbers)
{
    check_number(parse_int64, &int_rows[_i]);
}
END_TEST

static const struct number_row size_rows[] = {
    { "0", 0 },
    { "512", 512 },
    { "512B", 512 },
    { "64KiB", 65536 },
    { "16MiB", 16777216 },
    { "1GiB", 1073741824 },
    { "2TiB", INT64_C(2199023255552) },
    { "10kB", 10000 },
    { "10MB", 10000000 },
    { "1GB", 1000000000 },
    { "1TB", INT64_C(1000000000000) },
    { "1.5GiB", 1610612736 },
    { "16 MiB", 16777216 },                /* a blank in between is how people write */
    { "8000000TiB", INT64_C(8796093022208000000) },
    { "9000000TiB", UNTOUCHED },           /* more than 63 bits */
    { "99999999999999999999", UNTOUCHED },
    { "", UNTOUCHED },
    { "MiB", UNTOUCHED },
    { "-1", UNTOUCHED },
    { "+1", UNTOUCHED },
    { " 1", UNTOUCHED },
    { "1mib", UNTOUCHED },                 /* units are written as they are */
    { "1KB", UNTOUCHED },
    { "1M", UNTOUCHED },
    { "1MiBx", UNTOUCHED },
    { "1 MiB ", UNTOUCHED },
    { "0x10", UNTOUCHED },                 /* what strtod would take as well */
    { "1e3", UNTOUCHED },
    { "1E3", UNTOUCHED },
    { "0x1p4", UNTOUCHED },
    { "inf", UNTOUCHED },
    { "nan", UNTOUCHED },
};

START_TEST(sizes)
{
    check_number(parse_size, &size_rows[_i]);
}
END_TEST

static const struct number_row duration_rows[] = {
    { "0", 0 },
    { "500ms", 500 },
    { "30s", 30000 },
    { "1.5s", 1500 },
    { "15min", 900000 },
    { "12h", 43200000 },
    { "30d", INT64_C(2592000000) },
    { "2w", 1209600000 },
    { "0s", 0 },
    { "30", UNTOUCHED },                   /* a number without a unit means nothing */
    { "30m", UNTOUCHED },                  /* minutes or months? */
    { "-1s", UNTOUCHED },
    { "1S", UNTOUCHED },
    { "", UNTOUCHED },
    { "s", UNTOUCHED },
    { "99999999999999w", UNTOUCHED },
};

START_TEST(durations)
{
    check_number(parse_duration, &duration_rows[_i]);
}
END_TEST

static const struct {
    const char *text;
    int value; /* -1: refused */
} bool_rows[] = {
    { "yes", 1 }, { "true", 1 }, { "on", 1 }, { "1", 1 },
    { "no", 0 }, { "false", 0 }, { "off", 0 }, { "0", 0 },
    { "YES", 1 }, { "False", 0 },          /* in any case */
    { "", -1 }, { "y", -1 }, { "2", -1 }, { "yes ", -1 }, { "nono", -1 },
};

START_TEST(truth)
{
    bool value;

    for (int before = 0; before < 2; before++) {
        value = before != 0;
        ck_assert_int_eq(parse_bool(bool_rows[_i].text, &value), bool_rows[_i].value < 0 ? PGCASK_FAILED : 0);
        ck_assert_int_eq(value, bool_rows[_i].value < 0 ? before : bool_rows[_i].value);
    }
}
END_TEST

static const struct {
    const char *text;
    bool good;
} hex_rows[] = {
    { "00ff7f10", true },
    { "00ff7f1", false },      /* one digit short */
    { "00ff7f100", false },
    { "", false },
    { "00FF7f10", false },     /* lower case only: there is one way to write it */
    { "00fg7f10", false },
    { "00ff7f1 ", false },
};

START_TEST(hex)
{
    static const unsigned char wanted[4] = { 0x00, 0xff, 0x7f, 0x10 };
    unsigned char data[4] = { 1, 2, 3, 4 };

    ck_assert_int_eq(parse_hex(hex_rows[_i].text, data, sizeof data), hex_rows[_i].good ? 0 : PGCASK_FAILED);
    if (hex_rows[_i].good) {
        CLEANUP_FREE char *again = format_hex(data, sizeof data);

        ck_assert_mem_eq(data, wanted, sizeof wanted);
        ck_assert_str_eq(again, hex_rows[_i].text);
    } else
        ck_assert_error_has("is not 8 hex digits");
}
END_TEST

static const struct {
    uint64_t bytes;
    const char *text;
} format_size_rows[] = {
    { 0, "0 B" },
    { 1023, "1023 B" },
    { 1024, "1.0 KiB" },
    { 8388608, "8.0 MiB" },
    { 1610612736, "1.5 GiB" },
    { UINT64_C(1) << 40, "1.0 TiB" },
    { UINT64_MAX, "16384.0 PiB" },         /* the largest unit takes the rest */
};

START_TEST(sizes_as_talk)
{
    CLEANUP_FREE char *text = format_size(format_size_rows[_i].bytes);

    ck_assert_str_eq(text, format_size_rows[_i].text);
}
END_TEST

static const struct {
    int64_t ms;
    const char *text;
} format_duration_rows[] = {
    { 0, "0.0 s" },
    { 3400, "3.4 s" },
    { 60000, "1 min 00 s" },
    { 65999, "1 min 05 s" },
    { 3600000, "1 h 00 min" },
    { 3720000, "1 h 02 min" },
    { 360000000, "100 h 00 min" },
};

START_TEST(durations_as_talk)
{
    CLEANUP_FREE char *text = format_duration(format_duration_rows[_i].ms);

    ck_assert_str_eq(text, format_duration_rows[_i].text);
}
END_TEST

static const struct {
    const char *word, *nearest;
} nearest_rows[] = {
    { "stores", "stores" },                /* itself */
    { "store", "stores" },                 /* a letter missing */
    { "storess", "stores" },               /* one too many */
    { "keeppp", "keep" },                  /* two too many */
    { "stroes", "stores" },                /* two swapped */
    { "shedule", "schedule" },
    { "kep", "keep" },
    { "clustre", "cluster" },
    { "banana", NULL },                    /* nothing near */
    { "xyz", NULL },
    { "", NULL },
};

START_TEST(the_nearest_word_is_meant)
{
    static const char *const words[] = { "cluster", "stores", "schedule", "keep" };
    const char *nearest = parse_nearest(nearest_rows[_i].word, words, ARRAY_LEN(words));

    if (nearest_rows[_i].nearest == NULL)
        ck_assert_msg(nearest == NULL, "'%s' gave '%s'", nearest_rows[_i].word, nearest);
    else
        ck_assert_str_eq(nearest, nearest_rows[_i].nearest);
}
END_TEST

START_TEST(a_very_long_word_is_near_to_nothing)
{
    const char *words[1];
    char word[200];

    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    words[0] = word;
    ck_assert_ptr_null(parse_nearest(word, words, 1));
    ck_assert_ptr_null(parse_nearest("a", NULL, 0));
}
END_TEST

static Suite *
parse_suite(void)
{
    Suite *suite = suite_create("parse");
    TCase *tcase = tcase_create("parse");

    tcase_add_loop_test(tcase, whole_numbers, 0, ARRAY_LEN(int_rows));
    tcase_add_loop_test(tcase, sizes, 0, ARRAY_LEN(size_rows));
    tcase_add_loop_test(tcase, durations, 0, ARRAY_LEN(duration_rows));
    tcase_add_loop_test(tcase, truth, 0, ARRAY_LEN(bool_rows));
    tcase_add_loop_test(tcase, hex, 0, ARRAY_LEN(hex_rows));
    tcase_add_loop_test(tcase, sizes_as_talk, 0, ARRAY_LEN(format_size_rows));
    tcase_add_loop_test(tcase, durations_as_talk, 0, ARRAY_LEN(format_duration_rows));
    tcase_add_loop_test(tcase, the_nearest_word_is_meant, 0, ARRAY_LEN(nearest_rows));
    tcase_add_test(tcase, a_very_long_word_is_near_to_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(parse_suite)
