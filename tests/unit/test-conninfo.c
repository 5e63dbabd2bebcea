/* SPDX-License-Identifier: PostgreSQL
 *
 * Connection strings: shown without their passwords, and refused without them.
 */
#include "config.h"

#include "config/settings.h"

#include <string.h>

#include "base/error.h"
#include "unit.h"

static const struct good_row {
    const char *conninfo;
    const char *shown;
    bool secret;
} good_rows[] = {
    { "host=h dbname=d", "dbname=d host=h", false },
    { "host=h password=hush", "password=*** host=h", true },
    { "password='my hush' host=h", "password=*** host=h", true },
    { "password=", "password=***", false },                            /* empty: none */
    { "host = '/a b/it\\'s\\\\x'", "host='/a b/it\\'s\\\\x'", false }, /* quoted as libpq reads it */
    { "dbname='' user=u", "user=u dbname=''", false },
    { "postgresql://u:hush@h:5433/d", "user=u password=*** dbname=d host=h port=5433", true },
    { "postgres://h/d?password=hush", "password=*** dbname=d host=h", true },
    { "postgres://h/d?pass%77ord=hush", "password=*** dbname=d host=h", true }, /* however it is written */
    { "postgresql://u@h/d?sslpassword=hush", "user=u dbname=d host=h sslpassword=***", true },
    { "postgresql:///d", "dbname=d", false },
    { "", "", false },
};

START_TEST(connection_string_is_shown_without_its_password)
{
    const struct good_row *row = &good_rows[_i];
    CLEANUP_FREE char *shown = NULL;
    bool secret = !row->secret;

    ck_assert_msg(config_redact_conninfo(row->conninfo, &shown) == 0, "%s", error_text());
    ck_assert_str_eq(shown, row->shown);
    ck_assert_int_eq(config_check_conninfo(row->conninfo, &secret), 0);
    ck_assert_int_eq(secret, row->secret);
}
END_TEST

#define HIDDEN "libpq cannot read this connection string (not shown: it may hold a password)"

static const struct bad_row {
    const char *conninfo;
    const char *error;
} bad_rows[] = {
    { "hots=h", "invalid connection option \"hots\"" },
    { "chaindb", "missing \"=\" after \"chaindb\" in connection info string" },
    { "host='h", "unterminated quoted string in connection info string" },
    { "password=my hush host=h", HIDDEN }, /* a forgotten quote */
    { "host=h password='hush", HIDDEN },
    { "PASSWORD=hush", HIDDEN },
    { "passwrod=hush hush", HIDDEN },
    { "pwd=my hush", HIDDEN },
    { "postgresql://u:hush@[::1/d", HIDDEN },
    { "postgresql://u:hu%sh@h/d", HIDDEN },
};

START_TEST(unreadable_string_is_refused_without_its_password)
{
    const struct bad_row *row = &bad_rows[_i];
    char *shown = NULL;
    bool secret = false;

    ck_assert_int_eq(config_redact_conninfo(row->conninfo, &shown), ERROR_USAGE);
    ck_assert_str_eq(error_text(), row->error);
    ck_assert_ptr_null(shown);
    error_clear();
    ck_assert_int_eq(config_check_conninfo(row->conninfo, &secret), ERROR_USAGE);
    ck_assert_str_eq(error_text(), row->error);
    ck_assert_str_eq(error_cure(),
                     "write host=… dbname=… user=…, with single quotes around a value that holds blanks, or a "
                     "postgresql:// URI with other characters than letters and digits as %XX");
}
END_TEST

static Suite *
conninfo_suite(void)
{
    Suite *suite = suite_create("conninfo");
    TCase *tcase = tcase_create("conninfo");

    tcase_add_loop_test(tcase, connection_string_is_shown_without_its_password, 0, ARRAY_LEN(good_rows));
    tcase_add_loop_test(tcase, unreadable_string_is_refused_without_its_password, 0, ARRAY_LEN(bad_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(conninfo_suite)
