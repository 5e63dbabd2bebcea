/* SPDX-License-Identifier: PostgreSQL
 *
 * What of a pg_dumpall --globals-only script is run where some of it exists.
 */
#include "config.h"

#include "pg/globals.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

/* There are the roles old, postgres and pg_monitor, and the tablespace fast. Joined by " | ". */
static const struct plan_row {
    const char *script, *run, *kept;
} plan_rows[] = {
    /* session */
    { "SET client_encoding = 'UTF8';", "SET client_encoding = 'UTF8'", "" },
    { "SELECT pg_catalog.set_config('search_path', '', false);",
      "SELECT pg_catalog.set_config('search_path', '', false)", "" },
    { "\\restrict x\nSET a = on;\n\\unrestrict x\n", "SET a = on", "" },
    /* roles */
    { "CREATE ROLE new; ALTER ROLE new WITH LOGIN; ALTER ROLE new SET a TO 'b'; COMMENT ON ROLE new IS 'c;d';",
      "CREATE ROLE new | ALTER ROLE new WITH LOGIN | ALTER ROLE new SET a TO 'b' | COMMENT ON ROLE new IS 'c;d'", "" },
    { "CREATE ROLE old; ALTER ROLE old WITH LOGIN; ALTER ROLE old SET a TO 'b'; COMMENT ON ROLE old IS 'c';"
      "ALTER ROLE old IN DATABASE d SET a TO 'b'; SECURITY LABEL FOR x ON ROLE old IS 'y';",
      "", "role 'old' exists, kept as it is" },
    /* another */
    { "CREATE USER \"Old\"; ALTER USER \"Old\" LOGIN;", "CREATE USER \"Old\" | ALTER USER \"Old\" LOGIN", "" },
    { "CREATE ROLE \"old\";", "", "role 'old' exists, kept as it is" },
    { "create role OLD", "", "role 'old' exists, kept as it is" },
    { "SECURITY LABEL FOR \"on\" ON ROLE new IS 'y'; CREATE ROLE new; SECURITY LABEL FOR \"on\" ON ROLE new IS 'y';",
      "CREATE ROLE new | SECURITY LABEL FOR \"on\" ON ROLE new IS 'y'",
        "left out: 'SECURITY LABEL FOR \"on\" ON ROLE new IS …'" },
    /* membership: either side new */
    { "CREATE ROLE new; GRANT old TO new GRANTED BY postgres; GRANT new TO old WITH ADMIN OPTION;",
      "CREATE ROLE new | GRANT old TO new GRANTED BY postgres | GRANT new TO old WITH ADMIN OPTION", "" },
    { "CREATE ROLE new; GRANT old, pg_monitor TO postgres, new;", "CREATE ROLE new | GRANT old, pg_monitor TO "
      "postgres, new", "" },
    { "GRANT pg_monitor TO old;", "", "membership of 'old' in 'pg_monitor' left as it is, both exist" },
    { "CREATE ROLE new; GRANT pg_monitor TO old GRANTED BY new;", "CREATE ROLE new",
      "membership of 'old' in 'pg_monitor' left as it is, both exist" },
    { "REVOKE pg_monitor FROM old;", "", "left out: 'REVOKE pg_monitor FROM old'" },
    /* tablespaces */
    { "CREATE TABLESPACE slow OWNER old LOCATION '/x'; ALTER TABLESPACE slow SET (a=1); GRANT ALL ON TABLESPACE "
      "slow TO old;"
      "REVOKE ALL ON TABLESPACE slow FROM PUBLIC; COMMENT ON TABLESPACE slow IS 'x';",
      "CREATE TABLESPACE slow OWNER old LOCATION '/x' | ALTER TABLESPACE slow SET (a=1) | GRANT ALL ON "
      "TABLESPACE slow TO old | "
      "REVOKE ALL ON TABLESPACE slow FROM PUBLIC | COMMENT ON TABLESPACE slow IS 'x'", "" },
    { "CREATE TABLESPACE fast LOCATION '/x'; ALTER TABLESPACE fast SET (a=1); GRANT ALL ON TABLESPACE fast TO old;"
      "REVOKE ALL ON TABLESPACE fast FROM PUBLIC;", "", "tablespace 'fast' exists, kept as it is" },
    { "CREATE ROLE new; GRANT CREATE ON TABLESPACE fast TO new;", "CREATE ROLE new | GRANT CREATE ON TABLESPACE "
      "fast TO new", "" },
    { "CREATE ROLE fast;", "CREATE ROLE fast", "" },                         /* the tablespace's name is no role's */
    { "CREATE TABLESPACE old LOCATION '';", "CREATE TABLESPACE old LOCATION ''", "" },
    /* parameters */
    { "GRANT SET ON PARAMETER log_statement TO old;", "", "left out: 'GRANT SET ON PARAMETER log_statement TO old'" },
    { "CREATE ROLE new; GRANT SET ON PARAMETER log_statement TO new;",
      "CREATE ROLE new | GRANT SET ON PARAMETER log_statement TO new", "" },
    /* never run */
    { "DROP ROLE old;", "", "left out: 'DROP ROLE old'" },
    { "ALTER ROLE ALL SET a TO 'b';", "", "left out: 'ALTER ROLE ALL SET a TO …'" },
    { "ALTER ROLE unknown PASSWORD 'secret';", "", "left out: 'ALTER ROLE unknown PASSWORD …'" },
    { "CREATE DATABASE x;", "", "left out: 'CREATE DATABASE x'" },
};

static void
add_existing(struct strv *roles, struct strv *tablespaces)
{
    strv_add(roles, "old");
    strv_add(roles, "postgres");
    strv_add(roles, "pg_monitor");
    strv_add(tablespaces, "fast");
}

START_TEST(only_what_is_missing_is_run)
{
    const struct plan_row *row = &plan_rows[_i];
    CLEANUP_STRV struct strv roles = { 0 };
    CLEANUP_STRV struct strv tablespaces = { 0 };
    CLEANUP_STRV struct strv run = { 0 };
    CLEANUP_STRV struct strv kept = { 0 };
    CLEANUP_FREE char *all_run = NULL;
    CLEANUP_FREE char *all_kept = NULL;

    add_existing(&roles, &tablespaces);
    ck_assert_int_eq(globals_plan(row->script, &roles, &tablespaces, &run, &kept), 0);
    all_run = strv_join(&run, " | ");
    all_kept = strv_join(&kept, " | ");
    ck_assert_str_eq(all_run, row->run);
    ck_assert_str_eq(all_kept, row->kept);
}
END_TEST

START_TEST(cut_script_is_refused_and_gives_nothing)
{
    struct strv none = { 0 }, run = { 0 }, kept = { 0 };

    ck_assert_int_eq(globals_plan("CREATE ROLE a; ALTER ROLE a PASSWORD 'SCRAM-SHA", &none, &none, &run, &kept),
                     ERROR_CORRUPT);
    ck_assert_error_has("globals: unclosed quote");
    ck_assert_ptr_null(strstr(error_text(), "SCRAM"));
    ck_assert_uint_eq(run.len, 0);
    ck_assert_uint_eq(kept.len, 0);
}
END_TEST

static Suite *
globals_suite(void)
{
    Suite *suite = suite_create("globals");
    TCase *tcase = tcase_create("globals");

    tcase_add_loop_test(tcase, only_what_is_missing_is_run, 0, ARRAY_LEN(plan_rows));
    tcase_add_test(tcase, cut_script_is_refused_and_gives_nothing);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(globals_suite)
