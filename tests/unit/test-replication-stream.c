/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "unit-walsender.h"

/* What the server says behind START_REPLICATION, and when the client has ended the stream. */
static void (*begin)(struct buf *out);
static void (*end)(struct buf *out);

static bool
scripted(const char *sql, struct buf *out)
{
    if (*sql != '\0') {
        (void)pthread_mutex_lock(&twin.lock);
        strv_add(&twin.log, sql);
        (void)pthread_mutex_unlock(&twin.lock);
    }
    if (strncmp(sql, "START_REPLICATION", 17) == 0)
        begin(out);
    else if (*sql == '\0')
        end(out);
    else
        say_done(out);
    return true;
}

static void
setup(void)
{
    double_start(NULL);
    twin.script = scripted;
    begin = end = say_done;
}

static void
say_wal(struct buf *out, uint64_t lsn, const char *bytes)
{
    CLEANUP_BUF struct buf body = BUF_INIT(1024);

    ck_assert_int_eq(buf_adds(&body, "w"), 0);
    put_wide(&body, lsn);
    put_wide(&body, lsn + strlen(bytes));
    put_wide(&body, 1000000); /* one second after 2000-01-01 */
    ck_assert_int_eq(buf_adds(&body, bytes), 0);
    say_data(out, body.data, body.len);
}

static void
say_keepalive(struct buf *out, uint64_t lsn, bool reply)
{
    CLEANUP_BUF struct buf body = BUF_INIT(1024);

    ck_assert_int_eq(buf_adds(&body, "k"), 0);
    put_wide(&body, lsn);
    put_wide(&body, 0);
    ck_assert_int_eq(buf_add(&body, reply ? "\1" : "\0", 1), 0);
    say_data(out, body.data, body.len);
}

static struct replication *
streaming(void)
{
    struct replication *replication = walsender_connect();

    ck_assert_msg(replication_stream_begin(replication, "s", 2, 0x3000000) == 0, "%s", error_text());
    return replication;
}

/* ---- messages ---- */

static void
begin_some(struct buf *out)
{
    say_copy(out, 'W');
    say_wal(out, 0x3000000, "abc");
    say_wal(out, 0x3000003, "");
    say_keepalive(out, 0x3000003, true);
}

START_TEST(wal_and_keepalives_come_in_order)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message;
    CLEANUP_FREE char *log = NULL;

    begin = begin_some;
    replication = streaming();
    ck_assert_int_eq(replication_next(replication, -1, &message), 0);
    ck_assert_int_eq(message.kind, REPLICATION_WAL);
    ck_assert_uint_eq(message.lsn, 0x3000000);
    ck_assert_uint_eq(message.server_lsn, 0x3000003);
    ck_assert_int_eq(message.server_time_us, INT64_C(946684801) * 1000000);
    ck_assert_uint_eq(message.len, 3);
    ck_assert_int_eq(memcmp(message.data, "abc", 3), 0);
    ck_assert_int_eq(replication_next(replication, 10000, &message), 0);
    ck_assert_int_eq(message.kind, REPLICATION_WAL);
    ck_assert_uint_eq(message.len, 0);
    ck_assert_int_eq(replication_next(replication, 10000, &message), 0);
    ck_assert_int_eq(message.kind, REPLICATION_KEEPALIVE);
    ck_assert(message.reply);
    ck_assert_int_eq(replication_next(replication, 0, &message), 0);
    ck_assert_int_eq(message.kind, REPLICATION_NOTHING);
    log = double_log();
    ck_assert_ptr_nonnull(strstr(log, "START_REPLICATION SLOT \"s\" PHYSICAL 0/3000000 TIMELINE 2"));
}
END_TEST

static const struct {
    const char *bytes;
    size_t len;
} strange[] = {
    { "x", 1 },                                                /* a kind that is not known */
    { "w", 1 },                                                /* cut in its head */
    { "w\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24 }, /* one byte too short */
    { "k\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 19 },           /* one byte too long */
    { "w\377\377\377\377\377\377\377\377\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0ab",
      27 }, /* it ends behind the last LSN there is */
};
static int strange_row;

static void
begin_strange(struct buf *out)
{
    say_copy(out, 'W');
    say_data(out, strange[strange_row].bytes, strange[strange_row].len);
}

START_TEST(what_is_no_message_is_refused)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message = { .lsn = 7 };

    begin = begin_strange;
    strange_row = _i;
    replication = streaming();
    ck_assert_int_eq(replication_next(replication, -1, &message), ERROR_CORRUPT);
    ck_assert_uint_eq(message.lsn, 7);
}
END_TEST

/* ---- how a stream ends ---- */

static void
begin_old_timeline(struct buf *out)
{
    say_copy(out, 'W');
    say_wal(out, 0x3000000, "a");
    say_copied(out);
}

static void
end_old_timeline(struct buf *out)
{
    say_rows(out, "3\t0/3000001\n");
    put_message(out, 'C', "SELECT", 7);
    say_done(out);
}

START_TEST(the_end_of_a_timeline_names_the_next)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message;
    uint32_t bytes;

    begin = begin_old_timeline;
    end = end_old_timeline;
    replication = streaming();
    ck_assert_int_eq(replication_next(replication, -1, &message), 0);
    ck_assert_int_eq(replication_next(replication, -1, &message), 0);
    ck_assert_int_eq(message.kind, REPLICATION_TIMELINE_END);
    ck_assert_uint_eq(message.next_timeline, 3);
    ck_assert_uint_eq(message.next_lsn, 0x3000001);
    ck_assert_int_eq(replication_segment_bytes(replication, &bytes),
                     ERROR_CORRUPT); /* asked, and answered without a row */
}
END_TEST

static void
begin_left_exactly_there(struct buf *out)
{
    say_rows(out, "3\t0/3000000\n");
    put_message(out, 'C', "SELECT", 7);
    say_done(out);
}

START_TEST(a_timeline_that_was_left_right_there_ends_at_once)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message;

    begin = begin_left_exactly_there;
    replication = streaming();
    ck_assert_int_eq(replication_next(replication, -1, &message), 0);
    ck_assert_int_eq(message.kind, REPLICATION_TIMELINE_END);
    ck_assert_uint_eq(message.next_timeline, 3);
}
END_TEST

static void
begin_shutdown(struct buf *out)
{
    say_copy(out, 'W');
    say_copied(out);
}

START_TEST(a_server_that_shuts_down_closes_the_stream)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message;

    begin = begin_shutdown;
    replication = streaming();
    ck_assert_int_eq(replication_next(replication, -1, &message), 0);
    ck_assert_int_eq(message.kind, REPLICATION_CLOSED);
}
END_TEST

static void
begin_removed(struct buf *out)
{
    say_copy(out, 'W');
    say_refusal(out, "58P01", "requested WAL segment 000000020000000000000003 has already been removed");
}

START_TEST(wal_that_was_removed_is_not_found)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message;

    begin = begin_removed;
    replication = streaming();
    ck_assert_int_eq(replication_next(replication, -1, &message), PGCASK_NOT_FOUND);
    ck_assert_error_has("has already been removed");
}
END_TEST

static void
begin_refused(struct buf *out)
{
    say_refusal(out, "XX000", "requested starting point 0/3000000 is ahead");
}

START_TEST(a_refused_start_says_where)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();

    begin = begin_refused;
    ck_assert_int_eq(replication_stream_begin(replication, NULL, 2, 0x3000000), PGCASK_FAILED);
    ck_assert_error_has("streaming timeline 2 from 0/3000000: PostgreSQL refused: requested starting point");
}
END_TEST

static bool
hang_up(const char *sql, struct buf *out)
{
    if (strncmp(sql, "START_REPLICATION", 17) == 0) {
        say_copy(out, 'W');
        return true;
    }
    (void)shutdown(twin.sessions[0].fd, SHUT_RDWR);
    return true;
}

START_TEST(a_connection_that_breaks_may_be_tried_again)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message;

    twin.script = hang_up;
    replication = streaming();
    (void)shutdown(twin.sessions[0].fd, SHUT_RDWR);
    ck_assert_int_eq(replication_next(replication, -1, &message), PGCASK_RETRY);
    ck_assert_error_has("the connection to PostgreSQL broke");
}
END_TEST

static void
end_ours(struct buf *out)
{
    say_wal(out, 0x3000003, "late");
    say_copied(out);
    put_message(out, 'C', "COPY", 5);
    say_done(out);
}

START_TEST(ending_a_stream_throws_away_what_is_left_and_keeps_the_connection)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message;

    begin = begin_some;
    end = end_ours;
    replication = streaming();
    ck_assert_int_eq(replication_next(replication, -1, &message), 0);
    ck_assert_msg(replication_stream_end(replication) == 0, "%s", error_text());
    ck_assert_int_eq(replication_slot_drop(replication, "s"), 0);
}
END_TEST

/* ---- from our side ---- */

static bool
copied_bytes(size_t len)
{
    bool there;

    (void)pthread_mutex_lock(&twin.lock);
    while (twin.copied.len < len)
        (void)pthread_cond_wait(&twin.change, &twin.lock);
    there = twin.copied.len == len;
    (void)pthread_mutex_unlock(&twin.lock);
    return there;
}

START_TEST(a_status_says_how_far_we_are)
{
    static const unsigned char wanted[] = {
        'r', 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0
    };
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message;

    begin = begin_some;
    replication = streaming();
    ck_assert_int_eq(replication_next(replication, -1, &message), 0);
    ck_assert_int_eq(replication_status(replication, UINT64_C(0x100000003), UINT64_C(0x100000002), 0, true), 0);
    ck_assert(copied_bytes(34));
    ck_assert_mem_eq(twin.copied.data, wanted, sizeof wanted);
    ck_assert_int_eq(twin.copied.data[33], 1);
}
END_TEST

static void *
wake_later(void *replication)
{
    replication_wake(replication);
    return NULL;
}

static void *
cancel_later(void *unused)
{
    cancel_request();
    return unused;
}

static void
begin_silence(struct buf *out)
{
    say_copy(out, 'W');
}

START_TEST(a_wait_ends_when_somebody_wakes_us)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message;
    pthread_t thread;

    begin = begin_silence;
    replication = streaming();
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, replication), 0);
        ck_assert_int_eq(replication_next(replication, -1, &message), 0);
        ck_assert_int_eq(message.kind, REPLICATION_NOTHING);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
    ck_assert_int_eq(replication_next(replication, 1, &message), 0);
    ck_assert_int_eq(message.kind, REPLICATION_NOTHING);
}
END_TEST

START_TEST(a_wait_ends_when_the_run_is_cancelled)
{
    CLEANUP(replication_close) struct replication *replication = NULL;
    struct replication_message message;
    pthread_t thread;

    begin = begin_silence;
    replication = streaming();
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_later, NULL), 0);
    ck_assert_int_eq(replication_next(replication, -1, &message), ERROR_CANCELLED);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("replication-stream");
    TCase *tcase = tcase_create("stream");

    tcase_add_checked_fixture(tcase, setup, double_stop);
    tcase_add_test(tcase, wal_and_keepalives_come_in_order);
    tcase_add_loop_test(tcase, what_is_no_message_is_refused, 0, ARRAY_LEN(strange));
    tcase_add_test(tcase, the_end_of_a_timeline_names_the_next);
    tcase_add_test(tcase, a_timeline_that_was_left_right_there_ends_at_once);
    tcase_add_test(tcase, a_server_that_shuts_down_closes_the_stream);
    tcase_add_test(tcase, wal_that_was_removed_is_not_found);
    tcase_add_test(tcase, a_refused_start_says_where);
    tcase_add_test(tcase, a_connection_that_breaks_may_be_tried_again);
    tcase_add_test(tcase, ending_a_stream_throws_away_what_is_left_and_keeps_the_connection);
    tcase_add_test(tcase, a_status_says_how_far_we_are);
    tcase_add_test(tcase, a_wait_ends_when_somebody_wakes_us);
    tcase_add_test(tcase, a_wait_ends_when_the_run_is_cancelled);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
