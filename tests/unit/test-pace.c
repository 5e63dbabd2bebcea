/* SPDX-License-Identifier: PostgreSQL
 *
 * A store's bandwidth: the arithmetic with a clock made here, and what a call that moved bytes takes of it.
 */
#include "config.h"

#include "plugin/pace.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/mem.h"
#include "plugin/instance.h"
#include "unit.h"

enum { RATE = 1000000 /* bytes a second: 1000 in a millisecond; the bucket holds 250000 */ };

static struct pace pace;

static void
setup(void)
{
    pace_init(&pace, RATE, 5000);
}

static void
teardown(void)
{
    pace_end(&pace);
}

static const struct {
    struct {
        int64_t now_ms;
        uint64_t bytes;
        int64_t wait_ms;
    } takes[4];
} take_rows[] = {
    { { { 5000, 250000, 0 }, { 5000, 1, 1 } } },                                /* what is in it is free, no more */
    { { { 5000, 1250000, 1000 } } },                                            /* a large one owes the rest */
    { { { 5000, 250000, 0 }, { 5100, 100000, 0 }, { 5100, 100000, 100 } } },    /* time fills it */
    { { { 5000, 250000, 0 }, { 9000, 250000, 0 }, { 9000, 50000, 50 } } },      /* but only up to the brim */
    { { { 5000, 1250000, 1000 }, { 5400, 1000, 601 } } },                       /* debts are paid off by time, too */
    { { { 5000, 650000, 400 }, { 5000, 600000, 1000 }, { 5000, 500, 1001 } } }, /* threads stand in a line */
    { { { 5000, 250000, 0 }, { 4000, 1000, 1 }, { 5001, 0, 0 } } },             /* an earlier clock changes nothing */
    { { { 5000, 250000, 0 }, { 5000, 1500, 2 }, { 5001, 0, 1 } } },             /* half a millisecond counts */
    { { { 5000, 0, 0 } } },                                                     /* nothing is free */
};

START_TEST(bytes_cost_time)
{
    for (size_t i = 0; i < ARRAY_LEN(take_rows[_i].takes) && take_rows[_i].takes[i].now_ms != 0; i++)
        ck_assert_int_eq(pace_take(&pace, take_rows[_i].takes[i].bytes, take_rows[_i].takes[i].now_ms),
                         take_rows[_i].takes[i].wait_ms);
}
END_TEST

/* Whatever the size of the pieces: what went through in the end is the rate. */
static const uint64_t piece_rows[] = { 1, 333, 16384, 99999 };

START_TEST(small_pieces_keep_the_rate)
{
    uint64_t sent = 0;
    int64_t now_ms = 5000;

    for (int i = 0; i < 5000; i++) {
        now_ms += pace_take(&pace, piece_rows[_i], now_ms);
        sent += piece_rows[_i];
    }
    if (sent <= 250000)
        ck_assert_int_eq(now_ms, 5000);
    else
        ck_assert_int_eq(now_ms, 5000 + ((int64_t)sent - 250000 + 999) / 1000);
}
END_TEST

static const struct {
    int64_t rate;
    uint64_t bytes;
    int64_t now_ms;
} edge_rows[] = {
    { 1, UINT64_MAX, 5000 },                   /* the slowest, and more than there is */
    { PACE_RATE_MAX, UINT64_MAX, 5000 },       /* the fastest */
    { PACE_RATE_MAX, 1, INT64_MAX },           /* a long time later */
    { 1, 1, INT64_MAX },
};

START_TEST(nothing_overflows)
{
    int64_t waited_ms = 0;

    teardown();
    pace_init(&pace, edge_rows[_i].rate, 5000);
    for (int i = 0; i < 100; i++) {
        int64_t wait_ms = pace_take(&pace, edge_rows[_i].bytes, edge_rows[_i].now_ms);

        ck_assert_int_ge(wait_ms, waited_ms);
        waited_ms = wait_ms;
    }
}
END_TEST

START_TEST(without_a_rate_nothing_waits)
{
    teardown();
    pace_init(&pace, 0, 5000);
    ck_assert_int_eq(pace_take(&pace, UINT64_MAX, 5000), 0);
    pace_wait(&pace, UINT64_MAX);
}
END_TEST

START_TEST(waiting_ends_when_we_are_stopped_and_leaves_the_error_alone)
{
    (void)error_set(PGCASK_FAILED, "what went wrong");
    cancel_request();
    pace_wait(&pace, UINT64_C(1) << 40); /* twelve days */
    ck_assert_str_eq(error_text(), "what went wrong");
}
END_TEST

/* ---- what a call takes ---- */

static const struct {
    uint64_t paced[3]; /* by the plugin */
    uint64_t moved;
    int64_t level;     /* bytes left of 250000 */
} moved_rows[] = {
    { { 0 }, 1000, 249000 },             /* the plugin does not pace: all of it afterwards */
    { { 400, 600 }, 1000, 249000 },      /* it paces all: nothing afterwards */
    { { 100, 200 }, 1000, 249000 },      /* some: the rest afterwards */
    { { 1000, 1000 }, 1000, 248000 },    /* more than it moved, for what it sent again */
    { { 0 }, 0, 250000 },                /* nothing moved */
};

START_TEST(what_the_plugin_paced_is_not_paced_again)
{
    static const struct plugin plugin = { .thread_model = PGCASK_THREADS_PARALLEL };
    struct instance instance;
    const char *before;

    instance_init(&instance, "store", "test", &plugin, 0, 0);
    instance_set_bandwidth(&instance, RATE);
    pace_end(&instance.pace);
    pace_init(&instance.pace, RATE, INT64_MAX); /* a clock that stands still */
    pgcask_pace(70000);                         /* in no call: nobody's */
    before = instance_enter(&instance);
    pgcask_pace(1000);
    ck_assert_int_eq(instance_leave(&instance, before, "put_part", 0), 0);
    instance.pace.level = INT64_C(250000) * 1000;
    before = instance_enter(&instance); /* another try: the one before does not count */
    for (size_t i = 0; i < ARRAY_LEN(moved_rows[_i].paced); i++)
        pgcask_pace(moved_rows[_i].paced[i]);
    ck_assert_int_eq(instance_leave(&instance, before, "put_part", 0), 0);
    instance_moved(&instance, moved_rows[_i].moved);
    ck_assert_int_eq(instance.pace.level, moved_rows[_i].level * 1000);
    instance_free(&instance);
}
END_TEST

static Suite *
pace_suite(void)
{
    Suite *suite = suite_create("pace");
    TCase *tcase = tcase_create("pace");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, bytes_cost_time, 0, ARRAY_LEN(take_rows));
    tcase_add_loop_test(tcase, small_pieces_keep_the_rate, 0, ARRAY_LEN(piece_rows));
    tcase_add_loop_test(tcase, nothing_overflows, 0, ARRAY_LEN(edge_rows));
    tcase_add_test(tcase, without_a_rate_nothing_waits);
    tcase_add_test(tcase, waiting_ends_when_we_are_stopped_and_leaves_the_error_alone);
    tcase_add_loop_test(tcase, what_the_plugin_paced_is_not_paced_again, 0, ARRAY_LEN(moved_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(pace_suite)
