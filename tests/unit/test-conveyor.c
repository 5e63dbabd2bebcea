/* SPDX-License-Identifier: PostgreSQL
 *
 * The belt itself, with work of random length: order, bounds, and every way to end.
 */
#include "config.h"

#include "stage/conveyor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/error.h"
#include "unit.h"

enum step { STEP_NONE, STEP_FILL, STEP_WORK, STEP_DRAIN };

/* One belt. What goes wrong in a thread is noted and looked at afterwards. */
struct belt {
    uint64_t count;        /* pieces to fill */
    unsigned pieces;       /* of the ring */
    enum step fails;
    uint64_t fails_at;     /* this piece, and all behind it */
    unsigned work_us;      /* at most, at random */
    unsigned drain_us;
    void (*before_drain)(struct belt *belt, uint64_t number); /* may be NULL */
    struct belt *other;
    /* seen */
    uint64_t filled;       /* touched by fill only */
    atomic_uint_fast64_t drained;
    atomic_uint_fast64_t most_ahead;
    atomic_bool wrong;     /* order, content or buffers */
    atomic_bool ended;
    int rc;
    struct error error;    /* when rc is not 0 */
    struct crew *crew;
};

static void
nap(struct belt *belt, uint64_t number, unsigned us)
{
    uint64_t random = (number + (uintptr_t)belt) * UINT64_C(6364136223846793005);

    if (us > 0)
        (void)usleep((unsigned)((random >> 33) % us));
}

static int
belt_fails(const struct belt *belt, enum step step, uint64_t number)
{
    static const char *const names[] = { "none", "fill", "work", "drain" };

    if (belt->fails != step || number < belt->fails_at)
        return 0;
    (void)error_set(-(int)step, "%s failed at %llu", names[step], (unsigned long long)number);
    return error_hint(-(int)step, "the cure");
}

static int
belt_fill(void *ctx, struct piece *piece)
{
    struct belt *belt = ctx;
    uint64_t ahead = belt->filled - atomic_load(&belt->drained);

    if (piece->number != belt->filled || piece->in_len != 0 || piece->out_len != 0)
        atomic_store(&belt->wrong, true);
    if (ahead > atomic_load(&belt->most_ahead))
        atomic_store(&belt->most_ahead, ahead);
    if (belt_fails(belt, STEP_FILL, piece->number) < 0)
        return -(int)STEP_FILL;
    if (belt->filled == belt->count)
        return 0;
    belt->filled++;
    memcpy(piece->in, &piece->number, sizeof piece->number);
    piece->in_len = sizeof piece->number;
    return 1;
}

static int
belt_work(void *ctx, struct frame_tools *tools, struct piece *piece)
{
    struct belt *belt = ctx;
    uint64_t value;

    nap(belt, piece->number, belt->work_us);
    if (belt_fails(belt, STEP_WORK, piece->number) < 0)
        return -(int)STEP_WORK;
    memcpy(&value, piece->in, sizeof value);
    if (tools == NULL || piece->in_len != sizeof value || value != piece->number)
        atomic_store(&belt->wrong, true);
    value = ~value;
    memcpy(piece->out, &value, sizeof value);
    piece->out_len = sizeof value;
    return 0;
}

static int
belt_drain(void *ctx, struct piece *piece)
{
    struct belt *belt = ctx;
    uint64_t value;

    if (belt->before_drain != NULL)
        belt->before_drain(belt, piece->number);
    nap(belt, piece->number, belt->drain_us);
    memcpy(&value, piece->out, sizeof value);
    if (piece->number != atomic_load(&belt->drained) || piece->out_len != sizeof value || value != ~piece->number)
        atomic_store(&belt->wrong, true);
    if (belt_fails(belt, STEP_DRAIN, piece->number) < 0)
        return -(int)STEP_DRAIN;
    (void)atomic_fetch_add(&belt->drained, 1);
    return 0;
}

static const struct conveyor_ops ops = { 8192, 4096, belt_fill, belt_work, belt_drain };

static void *
belt_run(void *arg)
{
    struct belt *belt = arg;

    belt->rc = conveyor_run(belt->crew, &ops, belt, belt->pieces);
    error_take(belt->rc, &belt->error);
    atomic_store(&belt->ended, true);
    return NULL;
}

static const struct {
    unsigned workers, pieces;
    uint64_t count;
    unsigned work_us, drain_us;
} order_rows[] = {
    { 1, 2, 0, 0, 0 },          /* nothing at all */
    { 1, 2, 1, 0, 0 },
    { 1, 2, 100, 100, 0 },
    { 4, 2, 100, 500, 0 },      /* more workers than pieces */
    { 4, 8, 300, 500, 0 },      /* the work overtakes itself */
    { 4, 8, 300, 500, 200 },
    { 2, 16, 100, 0, 300 },     /* the drain is what is slow */
    { 3, 5, 2000, 0, 0 },       /* as fast as it goes */
};

START_TEST(pieces_come_out_in_order)
{
    CLEANUP(crew_free) struct crew *crew = crew_new(order_rows[_i].workers, 1);
    struct belt belt = { .count = order_rows[_i].count, .pieces = order_rows[_i].pieces, .work_us = order_rows[_i].work_us,
                         .drain_us = order_rows[_i].drain_us, .crew = crew };

    belt_run(&belt);
    ck_assert_msg(belt.rc == 0, "%s", belt.error.text);
    ck_assert_uint_eq(atomic_load(&belt.drained), belt.count);
    ck_assert(!atomic_load(&belt.wrong));
    ck_assert_uint_lt(atomic_load(&belt.most_ahead), belt.pieces); /* the ring is all there is */
}
END_TEST

static const struct {
    enum step fails;
    uint64_t at;
    const char *text;
} error_rows[] = {
    { STEP_FILL, 0, "fill failed at 0" },
    { STEP_FILL, 20, "fill failed at 20" },
    { STEP_WORK, 0, NULL },      /* workers race: which of them comes first is open */
    { STEP_WORK, 20, NULL },
    { STEP_DRAIN, 0, "drain failed at 0" },
    { STEP_DRAIN, 20, "drain failed at 20" },
};

START_TEST(an_error_ends_it_and_is_the_one_reported)
{
    CLEANUP(crew_free) struct crew *crew = crew_new(4, 1);

    for (unsigned pieces = 2; pieces < 20; pieces += 6) {
        struct belt belt = { .count = 200, .pieces = pieces, .fails = error_rows[_i].fails, .fails_at = error_rows[_i].at,
                             .work_us = 200, .crew = crew };

        belt_run(&belt);
        ck_assert_int_eq(belt.rc, -(int)error_rows[_i].fails);
        if (error_rows[_i].text != NULL)
            ck_assert_str_eq(belt.error.text, error_rows[_i].text);
        else
            ck_assert_int_eq(strncmp(belt.error.text, "work failed at ", 15), 0);
        ck_assert_str_eq(belt.error.hint, "the cure");
        ck_assert_uint_le(atomic_load(&belt.drained), error_rows[_i].at); /* nothing from there on */
        ck_assert(!atomic_load(&belt.wrong));
        error_free(&belt.error);
    }
}
END_TEST

START_TEST(a_crew_survives_the_failure_of_a_conveyor)
{
    CLEANUP(crew_free) struct crew *crew = crew_new(2, 1);
    struct belt bad = { .count = 50, .pieces = 4, .fails = STEP_WORK, .fails_at = 3, .crew = crew };
    struct belt good = { .count = 50, .pieces = 4, .crew = crew };

    belt_run(&bad);
    belt_run(&good);
    ck_assert_int_eq(bad.rc, -(int)STEP_WORK);
    ck_assert_int_eq(good.rc, 0);
    ck_assert_uint_eq(atomic_load(&good.drained), 50);
    error_free(&bad.error);
}
END_TEST

/* Drains nothing until the other belt has come to its end. */
static void
wait_for_the_other(struct belt *belt, uint64_t number)
{
    (void)number;
    while (!atomic_load(&belt->other->ended))
        (void)usleep(1000);
}

START_TEST(a_stuck_drain_does_not_hold_another_conveyor)
{
    CLEANUP(crew_free) struct crew *crew = crew_new(1, 1); /* one worker, whom the stuck one must not keep */
    struct belt free_belt = { .count = 100, .pieces = 2, .crew = crew };
    struct belt stuck = { .count = 100, .pieces = 4, .before_drain = wait_for_the_other, .other = &free_belt, .crew = crew };
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, belt_run, &stuck), 0);
    (void)usleep(10000); /* most often it is stuck by then; the test is right without, too */
    belt_run(&free_belt);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(free_belt.rc, 0);
    ck_assert_int_eq(stuck.rc, 0);
    ck_assert_uint_eq(atomic_load(&stuck.drained), 100);
}
END_TEST

START_TEST(many_conveyors_share_a_crew)
{
    enum { BELTS = 6 };
    CLEANUP(crew_free) struct crew *crew = crew_new(2, 1);
    struct belt belts[BELTS] = { 0 };
    pthread_t threads[BELTS];

    for (unsigned i = 0; i < BELTS; i++) {
        belts[i] = (struct belt){ .count = 60, .pieces = 2 + i % 3, .work_us = 300, .drain_us = 100 * i, .crew = crew };
        if (i == 2)
            belts[i].fails = STEP_DRAIN;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, belt_run, &belts[i]), 0);
    }
    for (unsigned i = 0; i < BELTS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(belts[i].rc, i == 2 ? -(int)STEP_DRAIN : 0);
        ck_assert_uint_eq(atomic_load(&belts[i].drained), i == 2 ? 0 : 60);
        ck_assert(!atomic_load(&belts[i].wrong));
        error_free(&belts[i].error);
    }
}
END_TEST

static void
cancel_at_ten(struct belt *belt, uint64_t number)
{
    (void)belt;
    if (number == 10)
        cancel_request();
}

START_TEST(cancelling_ends_it)
{
    CLEANUP(crew_free) struct crew *crew = crew_new(2, 1);
    struct belt belt = { .count = UINT64_MAX, .pieces = 4, .before_drain = cancel_at_ten, .crew = crew };

    belt_run(&belt);
    ck_assert_int_eq(belt.rc, ERROR_CANCELLED);
    ck_assert_str_eq(belt.error.text, "stopped by a signal");
    ck_assert_uint_le(atomic_load(&belt.drained), 10 + belt.pieces + 1);
    error_free(&belt.error);
}
END_TEST

static int
whole_fill(void *ctx, struct piece *piece)
{
    unsigned *left = ctx;

    if (*left == 0)
        return 0;
    --*left;
    memset(piece->in, 'i', 8192);
    piece->in_len = 8192;
    return 1;
}

static int
whole_work(void *ctx, struct frame_tools *tools, struct piece *piece)
{
    (void)ctx;
    (void)tools;
    memset(piece->out, 'o', 4096);
    piece->out_len = 4096;
    return 0;
}

static int
whole_drain(void *ctx, struct piece *piece)
{
    (void)ctx;
    return piece->in[0] == 'i' && piece->in[8191] == 'i' && piece->out[0] == 'o' && piece->out[4095] == 'o'
               ? 0
               : error_set(PGCASK_FAILED, "the buffers overlap");
}

START_TEST(both_buffers_can_be_filled)
{
    static const struct conveyor_ops whole = { 8192, 4096, whole_fill, whole_work, whole_drain };
    CLEANUP(crew_free) struct crew *crew = crew_new(2, 1);
    unsigned left = 20;

    ck_assert_msg(conveyor_run(crew, &whole, &left, 3) == 0, "%s", error_text());
    crew_free(NULL);
}
END_TEST

static Suite *
conveyor_suite(void)
{
    Suite *suite = suite_create("conveyor");
    TCase *tcase = tcase_create("conveyor");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, pieces_come_out_in_order, 0, ARRAY_LEN(order_rows));
    tcase_add_loop_test(tcase, an_error_ends_it_and_is_the_one_reported, 0, ARRAY_LEN(error_rows));
    tcase_add_test(tcase, a_crew_survives_the_failure_of_a_conveyor);
    tcase_add_test(tcase, a_stuck_drain_does_not_hold_another_conveyor);
    tcase_add_test(tcase, many_conveyors_share_a_crew);
    tcase_add_test(tcase, both_buffers_can_be_filled);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("cancel"); /* last: without forks it cannot be taken back */
    tcase_add_test(tcase, cancelling_ends_it);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(conveyor_suite)
