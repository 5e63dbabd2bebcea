/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/cancel.h"
#include "pg/wal-history.h"
#include "unit-walsender.h"

/* ---- a scripted server: one answer for everything ---- */

static struct {
    const char *rows, *state, *text; /* rows, or a refusal */
} answer;

static bool
scripted(const char *sql, struct buf *out)
{
    if (strncmp(sql, "SET ", 4) == 0)
        return false;
    (void)pthread_mutex_lock(&twin.lock);
    strv_add(&twin.log, sql);
    (void)pthread_mutex_unlock(&twin.lock);
    if (answer.state != NULL) {
        say_refusal(out, answer.state, answer.text);
        return true;
    }
    if (answer.rows != NULL)
        say_rows(out, answer.rows);
    say_done(out);
    return true;
}

static void
setup(void)
{
    double_start(NULL);
    twin.script = scripted;
    answer.rows = answer.state = answer.text = NULL;
}

START_TEST(the_connection_is_one_for_replication_and_errors_bring_their_cure)
{
    const struct pg_server nowhere = { "host=/nonexistent user=me", NULL };
    CLEANUP(replication_close) struct replication *replication = walsender_connect(), *none = NULL;
    CLEANUP_FREE char *log = double_log();

    ck_assert_str_eq(log, "connect replication");
    ck_assert_int_eq(replication_server_version(replication), 150020);
    ck_assert_str_eq(replication_server_text(replication), "15.20");
    ck_assert_int_eq(replication_connect(&nowhere, NULL, &none), PGCASK_FAILED);
    ck_assert_error_has("could not connect to PostgreSQL");
    ck_assert_ptr_nonnull(error_cure());
}
END_TEST

START_TEST(a_server_before_13_is_refused)
{
    const struct pg_server server = { twin.conninfo, NULL };
    CLEANUP(replication_close) struct replication *replication = NULL;

    twin.version = "12.9";
    ck_assert_int_eq(replication_connect(&server, NULL, &replication), PGCASK_UNSUPPORTED);
    ck_assert_error_has("PostgreSQL 12.9 (wanted: 13 or later)");
}
END_TEST

/* ---- who the server is ---- */

static const struct {
    const char *rows;
    int code;
} systems[] = {
    { "7711143954573258689\t3\t1A/FF000028\t\\N\n", 0 },
    { "18446744073709551615\t1\t0/0\t\\N\n", 0 }, /* the largest identifier */
    { "\t3\t0/1\t\\N\n", ERROR_CORRUPT },         /* no identifier */
    { "7a\t3\t0/1\t\\N\n", ERROR_CORRUPT },       /* no number */
    { "777777777777777777777777\t3\t0/1\t\\N\n", ERROR_CORRUPT }, /* too long for one */
    { "7\t-1\t0/1\t\\N\n", ERROR_CORRUPT },       /* a timeline below zero */
    { "7\t4294967296\t0/1\t\\N\n", ERROR_CORRUPT }, /* a timeline beyond 32 bits */
    { "7\t1\tnowhere\t\\N\n", ERROR_CORRUPT },    /* no position */
    { "7\t1\n", ERROR_CORRUPT },                  /* a column is missing */
    { "7\t1\t\\N\n", ERROR_CORRUPT },             /* null */
    { "7\t1\t0/1\n7\t1\t0/1\n", ERROR_CORRUPT },  /* two rows */
    { "", ERROR_CORRUPT },                        /* none */
};

START_TEST(a_server_says_who_it_is_or_is_not_believed)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();
    struct replication_system system = { .timeline = 99 };

    answer.rows = systems[_i].rows;
    ck_assert_msg(replication_identify(replication, &system) == systems[_i].code, "%s", error_text());
    if (systems[_i].code == 0)
        ck_assert_int_eq(strncmp(systems[_i].rows, system.identifier, strlen(system.identifier)), 0);
    else
        ck_assert_int_eq(system.timeline, 99); /* untouched */
    if (_i == 0) {
        ck_assert_int_eq(system.timeline, 3);
        ck_assert_uint_eq(system.lsn, UINT64_C(0x1AFF000028));
    }
}
END_TEST

static const struct {
    const char *text;
    uint32_t bytes; /* 0: refused */
} segments[] = {
    { "16MB\n", 16 << 20 }, { "1MB\n", 1 << 20 }, { "1GB\n", 1 << 30 }, /* the usual one, and both ends */
    { "2GB\n", 0 },       /* too large */
    { "3MB\n", 0 },       /* no power of two */
    { "512kB\n", 0 },     /* too small */
    { "MB\n", 0 },        /* no number */
    { "\n", 0 },          /* nothing */
    { "99999999999999999999MB\n", 0 },
};

START_TEST(the_size_of_a_segment_is_one_that_servers_have)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();
    uint32_t bytes = 0;

    answer.rows = segments[_i].text;
    ck_assert_int_eq(replication_segment_bytes(replication, &bytes), segments[_i].bytes > 0 ? 0 : ERROR_CORRUPT);
    ck_assert_uint_eq(bytes, segments[_i].bytes);
}
END_TEST

START_TEST(a_history_comes_whole_or_is_not_there)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();
    CLEANUP_BUF struct buf text = BUF_INIT(WAL_HISTORY_LIMIT_BYTES);

    answer.rows = "00000002.history\t1 0/3000000 no recovery target specified\n";
    ck_assert_int_eq(replication_history(replication, 2, &text), 0);
    ck_assert_str_eq(text.data, "1 0/3000000 no recovery target specified");
    answer.state = "58P01";
    answer.text = "could not open file \"pg_wal/00000001.history\"";
    ck_assert_int_eq(replication_history(replication, 1, &text), PGCASK_NOT_FOUND);
    ck_assert_error_has("the history of timeline 1");
    answer.state = NULL;
    ck_assert_int_eq(replication_history(replication, 2, &text), 0); /* the connection is good after a refusal */
}
END_TEST

/* ---- slots ---- */

static const struct {
    const char *name;
    bool good;
} slot_names[] = {
    { "pgcask", true }, { "a_1", true },
    { "", false }, { "Upper", false }, { "with blank", false }, { "x\"; DROP", false },
    { "a23456789012345678901234567890123456789012345678901234567890123", true }, /* 63 */
    { "a234567890123456789012345678901234567890123456789012345678901234", false }, /* 64 */
};

START_TEST(only_names_that_servers_take_are_asked_for)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();
    CLEANUP_FREE char *log = NULL;
    int wanted = slot_names[_i].good ? 0 : ERROR_USAGE;

    ck_assert_int_eq(replication_slot_check(slot_names[_i].name), wanted);
    ck_assert_int_eq(replication_slot_create(replication, slot_names[_i].name, true), wanted);
    ck_assert_int_eq(replication_slot_drop(replication, slot_names[_i].name), wanted);
    log = double_log();
    ck_assert((strstr(log, "SLOT") != NULL) == slot_names[_i].good);
}
END_TEST

START_TEST(slots_are_made_as_asked)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();
    CLEANUP_FREE char *log = NULL;

    ck_assert_int_eq(replication_slot_create(replication, "s", false), 0);
    ck_assert_int_eq(replication_slot_create(replication, "s", true), 0);
    ck_assert_int_eq(replication_slot_create_temporary(replication, "s"), 0);
    ck_assert_int_eq(replication_slot_drop(replication, "s"), 0);
    log = double_log();
    ck_assert_str_eq(log, "connect replication\n"
                          "CREATE_REPLICATION_SLOT \"s\" PHYSICAL\n"
                          "CREATE_REPLICATION_SLOT \"s\" PHYSICAL RESERVE_WAL\n"
                          "CREATE_REPLICATION_SLOT \"s\" TEMPORARY PHYSICAL RESERVE_WAL\n"
                          "DROP_REPLICATION_SLOT \"s\"");
}
END_TEST

static const struct {
    const char *state;
    int create, drop;
} slot_refusals[] = {
    { "42710", PGCASK_EXISTS, PGCASK_FAILED },    /* duplicate_object */
    { "42704", PGCASK_FAILED, PGCASK_NOT_FOUND }, /* undefined_object */
    { "53400", PGCASK_FAILED, PGCASK_FAILED },    /* all slots are taken */
    { "55006", PGCASK_FAILED, PGCASK_FAILED },    /* somebody streams from it */
};

START_TEST(refusals_of_slots_say_what_the_caller_may_do)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();

    answer.state = slot_refusals[_i].state;
    answer.text = "no";
    ck_assert_int_eq(replication_slot_create(replication, "s", true), slot_refusals[_i].create);
    ck_assert_int_eq(error_cure() != NULL, strcmp(answer.state, "53400") == 0);
    ck_assert_int_eq(replication_slot_drop(replication, "s"), slot_refusals[_i].drop);
}
END_TEST

static const struct {
    const char *row;
    enum replication_slot_state state;
    uint64_t restart_lsn;
} slot_rows[] = {
    { "", REPLICATION_SLOT_NONE, 0 },
    { "physical\t0\t0\t\\N\t\\N\t\\N\n", REPLICATION_SLOT_FREE, 0 },
    { "physical\t1\t77\t0/3000000\treserved\t\\N\n", REPLICATION_SLOT_GOOD, 0x3000000 },
    { "physical\t0\t0\t0/3000000\textended\t1000\n", REPLICATION_SLOT_GOOD, 0x3000000 },
    { "physical\t0\t0\t0/3000000\tunreserved\t-5\n", REPLICATION_SLOT_ENDING, 0x3000000 },
    { "physical\t0\t0\t0/3000000\tlost\t\\N\n", REPLICATION_SLOT_LOST, 0x3000000 },
    { "physical\t0\t0\t\\N\tlost\t\\N\n", REPLICATION_SLOT_LOST, 0 }, /* it has forgotten where it was */
    { "logical\t0\t0\t0/3000000\treserved\t\\N\n", REPLICATION_SLOT_FOREIGN, 0x3000000 },
};
static const char *slot_row;

static const char *
answer_slot(const char *sql)
{
    return strstr(sql, "pg_replication_slots") != NULL ? slot_row : NULL;
}

START_TEST(the_state_of_a_slot_is_told)
{
    CLEANUP(replication_close) struct replication *replication = walsender_connect();
    struct replication_slot slot = { 0 };

    twin.script = NULL; /* this one is asked with SQL */
    twin.answer = answer_slot;
    slot_row = slot_rows[_i].row;
    ck_assert_msg(replication_slot_read(replication, "s", &slot) == 0, "%s", error_text());
    ck_assert_int_eq(slot.state, slot_rows[_i].state);
    ck_assert_uint_eq(slot.restart_lsn, slot_rows[_i].restart_lsn);
    if (_i == 2) {
        ck_assert(slot.active);
        ck_assert_int_eq(slot.active_pid, 77);
        ck_assert_int_eq(slot.safe_bytes, -1);
    }
    if (_i == 3)
        ck_assert_int_eq(slot.safe_bytes, 1000);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *suite = suite_create("replication");
    TCase *tcase = tcase_create("commands");

    tcase_add_checked_fixture(tcase, setup, double_stop);
    tcase_add_test(tcase, the_connection_is_one_for_replication_and_errors_bring_their_cure);
    tcase_add_test(tcase, a_server_before_13_is_refused);
    tcase_add_loop_test(tcase, a_server_says_who_it_is_or_is_not_believed, 0, ARRAY_LEN(systems));
    tcase_add_loop_test(tcase, the_size_of_a_segment_is_one_that_servers_have, 0, ARRAY_LEN(segments));
    tcase_add_test(tcase, a_history_comes_whole_or_is_not_there);
    tcase_add_loop_test(tcase, only_names_that_servers_take_are_asked_for, 0, ARRAY_LEN(slot_names));
    tcase_add_test(tcase, slots_are_made_as_asked);
    tcase_add_loop_test(tcase, refusals_of_slots_say_what_the_caller_may_do, 0, ARRAY_LEN(slot_refusals));
    tcase_add_loop_test(tcase, the_state_of_a_slot_is_told, 0, ARRAY_LEN(slot_rows));
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(make_suite)
