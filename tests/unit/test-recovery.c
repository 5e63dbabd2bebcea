/* SPDX-License-Identifier: PostgreSQL
 *
 * Recovery targets as people write them, and the settings that come of them.
 */
#include "config.h"

#include "pg/recovery.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

static const struct {
    const char *text, *told;
} time_rows[] = {
    { "2026-11-22 13:22:11+00", "2026-11-22 13:22:11+00" },
    { "2026-11-22T13:22:11Z", "2026-11-22 13:22:11+00" },
    { "2026-11-22 13:22:11 UTC", "2026-11-22 13:22:11+00" },
    { "2026-11-22 13:22:11gmt", "2026-11-22 13:22:11+00" },
    { "2026-11-22 13:22:11.25+01", "2026-11-22 12:22:11.25+00" },
    { "2026-11-22 13:22:11.000001+00", "2026-11-22 13:22:11.000001+00" },
    { "2026-11-22 13:22:11.100000 +00", "2026-11-22 13:22:11.1+00" },
    { "2026-11-22 00:10:00+05:45", "2026-11-21 18:25:00+00" },
    { "2026-11-22 23:10:00-0330", "2026-11-23 02:40:00+00" },
    { "2028-02-29 00:00:00+00", "2028-02-29 00:00:00+00" },
    { "1970-01-01 00:00:00+00", "1970-01-01 00:00:00+00" },
};

START_TEST(times_are_told_in_utc)
{
    struct recovery_target target = { 0 };
    CLEANUP_FREE char *told = NULL;

    ck_assert_int_eq(recovery_set_time(&target, time_rows[_i].text), 0);
    ck_assert_int_eq(target.kind, RECOVERY_TIME);
    told = recovery_time_text(target.time_us);
    ck_assert_str_eq(told, time_rows[_i].told);
}
END_TEST

static const struct {
    const char *text, *part;
} bad_times[] = {
    { "2026-11-22 13:22:11", "has no zone" },
    { "2026-11-22 13:22:11.5", "has no zone" },
    { "2026-11-22 13:22:11 Europe/Vienna", "means the same everywhere" },
    { "2026-11-22 13:22:11 CET", "means the same everywhere" },
    { "2026-11-22 13:22:11+1", "means the same everywhere" },
    { "2026-11-22 13:22:11+01:3", "means the same everywhere" },
    { "2026-11-22 13:22:11+01:60", "means the same everywhere" },
    { "2026-11-22 13:22:11+16", "means the same everywhere" },
    { "2026-11-22 13:22:11+00x", "means the same everywhere" },
    { "2026-02-30 13:22:11+00", "is not a time" },
    { "2027-02-29 13:22:11+00", "is not a time" },
    { "2026-13-22 13:22:11+00", "is not a time" },
    { "2026-11-22 24:00:00+00", "is not a time" },
    { "2026-11-22 13:60:11+00", "is not a time" },
    { "2026-11-22 13:22:60+00", "is not a time" },
    { "2026-11-22 13:22:11.+00", "is not a time" },
    { "2026-11-22 13:22:11.1234567+00", "is not a time" },
    { "2026-11-22 13:22+00", "is not a time" },
    { "2026-11-22", "is not a time" },
    { "1969-12-31 23:59:59+00", "is not a time" },
    { "yesterday", "is not a time" },
    { "", "is not a time" },
};

START_TEST(other_times_are_refused)
{
    struct recovery_target target = { 0 };

    ck_assert_int_eq(recovery_set_time(&target, bad_times[_i].text), ERROR_USAGE);
    ck_assert_error_has(bad_times[_i].part);
    ck_assert_int_eq(target.kind, RECOVERY_END);
}
END_TEST

START_TEST(targets_of_other_kinds)
{
    struct recovery_target target = { 0 };

    ck_assert_int_eq(recovery_set_lsn(&target, "1A/FF000028"), 0);
    ck_assert(target.kind == RECOVERY_LSN && target.lsn == UINT64_C(0x1AFF000028));
    ck_assert_int_eq(recovery_set_lsn(&target, "1AFF000028"), ERROR_USAGE);
    ck_assert_int_eq(recovery_set_xid(&target, "4294967295"), 0);
    ck_assert(target.kind == RECOVERY_XID && target.xid == UINT32_MAX);
    ck_assert_int_eq(recovery_set_xid(&target, "4294968032"), 0); /* epoch 1 */
    ck_assert_uint_eq(target.xid, 736);
    ck_assert_int_eq(recovery_set_xid(&target, "2"), ERROR_USAGE); /* none of a user */
    ck_assert_int_eq(recovery_set_xid(&target, "-5"), ERROR_USAGE);
    ck_assert_int_eq(recovery_set_xid(&target, "0x2e0"), ERROR_USAGE);
    ck_assert_int_eq(recovery_set_xid(&target, " 736"), ERROR_USAGE);
    ck_assert_int_eq(recovery_set_name(&target, "before the release"), 0);
    ck_assert(target.kind == RECOVERY_NAME);
    ck_assert_int_eq(recovery_set_name(&target, ""), ERROR_USAGE);
    ck_assert_int_eq(recovery_set_name(&target, "a\nb"), ERROR_USAGE);
    ck_assert_int_eq(recovery_set_name(&target, "1234567890123456789012345678901234567890123456789012345678901234"),
                     ERROR_USAGE);
    ck_assert_int_eq(recovery_set_immediate(&target, "immediate"), 0);
    ck_assert(target.kind == RECOVERY_IMMEDIATE);
    ck_assert_int_eq(recovery_set_immediate(&target, "now"), ERROR_USAGE);
    ck_assert_int_eq(recovery_set_timeline(&target, "3"), 0);
    ck_assert_uint_eq(target.timeline, 3);
    ck_assert_int_eq(recovery_set_timeline(&target, "0x1F"), 0);
    ck_assert_uint_eq(target.timeline, 31);
    ck_assert_int_eq(recovery_set_timeline(&target, "latest"), 0);
    ck_assert_uint_eq(target.timeline, 0);
    ck_assert_int_eq(recovery_set_timeline(&target, "0"), ERROR_USAGE);
    ck_assert_int_eq(recovery_set_timeline(&target, "current"), ERROR_USAGE);
    ck_assert_int_eq(recovery_set_timeline(&target, "4294967296"), ERROR_USAGE);
    ck_assert_int_eq(recovery_set_action(&target, "promote"), 0);
    ck_assert_int_eq(target.action, RECOVERY_PROMOTE);
    ck_assert_int_eq(recovery_set_action(&target, "stop"), ERROR_USAGE);
}
END_TEST

START_TEST(what_does_not_go_together)
{
    struct recovery_target target = { .exclusive = true };

    ck_assert_int_eq(recovery_check(&target, false), ERROR_USAGE);
    target.kind = RECOVERY_XID;
    ck_assert_int_eq(recovery_check(&target, false), 0);
    ck_assert_int_eq(recovery_check(&target, true), ERROR_USAGE);
    target.kind = RECOVERY_NAME;
    ck_assert_int_eq(recovery_check(&target, false), ERROR_USAGE);
    target = (struct recovery_target){ .action = RECOVERY_PROMOTE };
    ck_assert_int_eq(recovery_check(&target, false), ERROR_USAGE);
    target.action = RECOVERY_PAUSE;
    ck_assert_int_eq(recovery_check(&target, true), 0);
}
END_TEST

/* What the settings of some target hold, and what they do not. */
static const struct {
    struct recovery_target target;
    bool standby;
    int version;
    const char *has, *lacks;
} setting_rows[] = {
    { { .kind = RECOVERY_END }, false, 150020, "recovery_target_timeline = 'latest'\n", "recovery_target_action" },
    { { .kind = RECOVERY_END, .timeline = 3 },
      false,
      150020,
      "recovery_target_timeline = '3'\n",
      "recovery_target_xid" },
    { { .kind = RECOVERY_IMMEDIATE }, false, 150020, "recovery_target = 'immediate'\n", "recovery_target_inclusive" },
    { { .kind = RECOVERY_TIME, .time_us = 1500000 },
      false,
      150020,
      "recovery_target_time = '1970-01-01 00:00:01.5+00'\n",
      "inclusive" },
    { { .kind = RECOVERY_LSN, .lsn = 0x2000028 }, false, 150020, "recovery_target_lsn = '0/2000028'\n", "inclusive" },
    { { .kind = RECOVERY_XID, .xid = 736, .exclusive = true },
      false,
      150020,
      "recovery_target_xid = '736'\nrecovery_target_inclusive = 'off'\n",
      "recovery_target_lsn" },
    { { .kind = RECOVERY_NAME, .name = "it's \\ here" },
      false,
      150020,
      "recovery_target_name = 'it''s \\\\ here'\n",
      "inclusive" },
    { { .kind = RECOVERY_LSN, .action = RECOVERY_SHUTDOWN },
      false,
      150020,
      "recovery_target_action = 'shutdown'\n",
      "pause" },
    { { .kind = RECOVERY_END }, false, 150020, "promote_trigger_file = ''\n", "recovery_target_action" },
    { { .kind = RECOVERY_END },
      false,
      160004,
      "archive_mode = 'off'\n",
      "promote_trigger_file" }, /* 16 refuses to start with it */
    { { .kind = RECOVERY_END }, true, 180000, "primary_conninfo = 'host=a'\n", "recovery_min_apply_delay" },
    { { .kind = RECOVERY_END }, false, 180000, "primary_conninfo = ''\n", "host=a" },
};

START_TEST(settings_say_the_target)
{
    CLEANUP_BUF struct buf text = BUF_INIT(100000);
    struct recovery_spec spec = { .target = &setting_rows[_i].target,
                                  .standby = setting_rows[_i].standby,
                                  .primary_conninfo = "host=a",
                                  .restore_command = "pgcask %f %p",
                                  .server_version = setting_rows[_i].version };

    ck_assert_int_eq(recovery_settings(&spec, NULL, &text), 0);
    ck_assert_ptr_nonnull(strstr(text.data, setting_rows[_i].has));
    ck_assert_ptr_null(strstr(text.data, setting_rows[_i].lacks));
    ck_assert_ptr_nonnull(strstr(text.data, "\narchive_mode = 'off'\n"));
    ck_assert_ptr_nonnull(strstr(text.data, "\nrestore_command = 'pgcask %f %p'\n"));
    ck_assert_str_eq(recovery_signal(&spec), spec.standby ? "standby.signal" : "recovery.signal");
}
END_TEST

static const char old_settings[] = "# Do not edit this file manually!\n"
                                   "work_mem = '8MB'\n"
                                   "restore_command = 'old'\n"
                                   "  Recovery_Target_XID='5'\n"
                                   "recovery_target_name 'x'\n"
                                   "archive_mode = 'always'\n"
                                   "archive_command = 'keep'\n"
                                   "archive_cleanup_command = 'rm'\n"
                                   "primary_conninfo = 'host=old'\n"
                                   "restore_commander = 'no such key'";

START_TEST(old_settings_stay_but_for_recovery)
{
    struct recovery_target target = { .kind = RECOVERY_END };
    CLEANUP_BUF struct buf text = BUF_INIT(100000), standby = BUF_INIT(100000);
    struct recovery_spec spec = { .target = &target, .restore_command = "new", .server_version = 150000 };

    ck_assert_int_eq(recovery_settings(&spec, old_settings, &text), 0);
    ck_assert_int_eq(strncmp(text.data,
                             "# Do not edit this file manually!\nwork_mem = '8MB'\narchive_command = 'keep'\n"
                             "restore_commander = 'no such key'\n# Written by",
                             100),
                     0);
    ck_assert_ptr_null(strstr(text.data, "old"));
    ck_assert_ptr_null(strstr(text.data, "recovery_target_name"));
    ck_assert_ptr_null(strcasestr(text.data, "recovery_target_xid"));
    ck_assert_ptr_null(strstr(text.data, "'rm'"));
    spec.standby = true; /* keeps whom it follows, when no other is named */
    ck_assert_int_eq(recovery_settings(&spec, old_settings, &standby), 0);
    ck_assert_ptr_nonnull(strstr(standby.data, "primary_conninfo = 'host=old'\n"));
    ck_assert_ptr_null(strstr(standby.data, "primary_conninfo = ''"));
}
END_TEST

START_TEST(twice_the_same_settings)
{
    struct recovery_target target = { .kind = RECOVERY_XID, .xid = 9 };
    CLEANUP_BUF struct buf once = BUF_INIT(100000), twice = BUF_INIT(100000);
    struct recovery_spec spec = { .target = &target, .restore_command = "new", .server_version = 150000 };

    ck_assert_int_eq(recovery_settings(&spec, NULL, &once), 0);
    target = (struct recovery_target){ .kind = RECOVERY_LSN, .lsn = 5 };
    ck_assert_int_eq(recovery_settings(&spec, once.data, &twice), 0);
    ck_assert_ptr_null(strstr(twice.data, "recovery_target_xid")); /* two targets would keep it from starting */
    ck_assert_ptr_nonnull(strstr(twice.data, "recovery_target_lsn"));
}
END_TEST

START_TEST(a_command_is_quoted_for_the_shell)
{
    static const char *const words[] = { "/usr/bin/pgcask", "--config", "/etc/a b/it's.ini", "100%", "" };
    CLEANUP_STRV struct strv v = { 0 };
    CLEANUP_FREE char *command = NULL;

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        strv_add(&v, words[i]);
    ck_assert_int_eq(recovery_command(&v, &command), 0);
    ck_assert_str_eq(command, "/usr/bin/pgcask --config '/etc/a b/it'\\''s.ini' 100%% '' %f \"%p\"");
    strv_add(&v, "a\nb");
    ck_assert_int_eq(recovery_command(&v, &command), ERROR_USAGE);
}
END_TEST

static Suite *
recovery_suite(void)
{
    Suite *suite = suite_create("recovery");
    TCase *tcase = tcase_create("recovery");

    tcase_add_loop_test(tcase, times_are_told_in_utc, 0, ARRAY_LEN(time_rows));
    tcase_add_loop_test(tcase, other_times_are_refused, 0, ARRAY_LEN(bad_times));
    tcase_add_test(tcase, targets_of_other_kinds);
    tcase_add_test(tcase, what_does_not_go_together);
    tcase_add_loop_test(tcase, settings_say_the_target, 0, ARRAY_LEN(setting_rows));
    tcase_add_test(tcase, old_settings_stay_but_for_recovery);
    tcase_add_test(tcase, twice_the_same_settings);
    tcase_add_test(tcase, a_command_is_quoted_for_the_shell);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(recovery_suite)
