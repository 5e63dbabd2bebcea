/* SPDX-License-Identifier: PostgreSQL
 *
 * The ceiling of the pauses, and where a notifier's tries end.
 */
#include "config.h"

#include "plugin/notifier.h"
#include "plugin/retry.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

static const struct {
    unsigned try;
    int64_t max_ms, wanted_ms;
} ceiling_rows[] = {
    { 1, 30000, 100 },                 /* the first pause */
    { 2, 30000, 200 },                 /* doubled */
    { 5, 30000, 1600 },
    { 9, 30000, 25600 },
    { 10, 30000, 30000 },              /* the longest */
    { 4000000000u, 30000, 30000 },     /* no overflow, however often */
    { 1, 50, 50 },                     /* a longest pause below the first */
    { 7, 0, 0 },                       /* no pauses at all */
    { 4000000000u, INT64_MAX, INT64_MAX },
};

START_TEST(the_ceiling_doubles_up_to_the_longest_pause)
{
    ck_assert_int_eq(retry_ceiling_ms(ceiling_rows[_i].try, ceiling_rows[_i].max_ms), ceiling_rows[_i].wanted_ms);
}
END_TEST

static struct {
    unsigned calls, failures;
    char seen[100];
} fake;

static int
fake_open(const void *settings, unsigned flags, void **ret_handle)
{
    (void)settings;
    (void)flags;
    *ret_handle = NULL;
    return 0;
}

static int
fake_notify(void *handle, const struct pgcask_event *event)
{
    const char *job = pgcask_event_get(event, "job");

    (void)handle;
    ck_assert_ptr_null(pgcask_event_get(event, "unknown"));
    (void)snprintf(fake.seen, sizeof fake.seen, "%s", job != NULL ? job : "");
    if (fake.calls++ >= fake.failures)
        return 0;
    pgcask_error("busy");
    pgcask_hint("wait");
    return PGCASK_RETRY;
}

static const struct {
    unsigned failures, calls;
    int code;
} notify_rows[] = {
    { 0, 1, 0 },             /* told at once */
    { 2, 3, 0 },             /* told in the end */
    { 9, 3, PGCASK_FAILED }, /* two tries after the first, no more */
};

START_TEST(an_event_is_told_with_retry)
{
    static const struct notifier_policy policy = { .retries = 2, .retry_max_ms = 1 };
    static const struct event_field fields[] = { { "event", "backup" }, { "job", "daily" }, { "none", NULL } };
    struct plugin plugin = { .kind = PLUGIN_NOTIFIER, .name = "fake", .thread_model = PGCASK_THREADS_ONE };
    struct notifier *notifier;

    memset(&fake, 0, sizeof fake);
    fake.failures = notify_rows[_i].failures;
    plugin.notifier = (struct pgcask_notifier_plugin){ PGCASK_NOTIFIER_INIT, .open = fake_open, .notify = fake_notify };
    ck_assert_int_eq(notifier_open_plugin("ops", &plugin, NULL, &policy, &notifier), 0);
    ck_assert_int_eq(notifier_notify(notifier, fields, ARRAY_LEN(fields)), notify_rows[_i].code);
    ck_assert_uint_eq(fake.calls, notify_rows[_i].calls);
    ck_assert_str_eq(fake.seen, "daily");
    if (notify_rows[_i].code < 0) {
        ck_assert_str_eq(error_text(), "notifier 'ops': given up after 3 tries: busy");
        ck_assert_str_eq(error_cure(), "wait");
    }
    notifier_close(notifier);
}
END_TEST

static Suite *
retry_suite(void)
{
    Suite *suite = suite_create("retry");
    TCase *tcase = tcase_create("retry");

    tcase_add_loop_test(tcase, the_ceiling_doubles_up_to_the_longest_pause, 0, ARRAY_LEN(ceiling_rows));
    tcase_add_loop_test(tcase, an_event_is_told_with_retry, 0, ARRAY_LEN(notify_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(retry_suite)
