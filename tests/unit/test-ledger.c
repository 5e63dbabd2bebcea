/* SPDX-License-Identifier: PostgreSQL
 *
 * The run ledger: a run that died is told once, whatever else stands in the file,
 * and the file does not grow for ever.
 */
#include "config.h"

#include "pipeline/ledger.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "unit-dir.h"
#include "unit-talk.h"
#include "unit.h"

enum { TURN_BYTES = 4 * 1024 * 1024, LEDGER_TEXT_LIMIT_BYTES = 64 * 1024 * 1024 };

static char *path;

static void
setup(void)
{
    dir_make();
    path = dir_path("ledger.jsonl");
}

static void
teardown(void)
{
    free(path);
    dir_remove();
}

static void
begin(const char *job, const char *id)
{
    ck_assert_msg(ledger_begin(unit_dir, "chain", job, id) == 0, "%s", error_text());
}

static void
end(const char *job, const char *id, const char *outcome)
{
    ledger_end(unit_dir, "chain", job, id, outcome, NULL);
}

/* What is said of that job, owned by the caller. */
static char *
report_of(const char *cluster, const char *job)
{
    struct talk talk = talk_begin(STDERR_FILENO);
    int rc = ledger_report_dead(unit_dir, cluster, job);
    char *said = talk_end(&talk);

    ck_assert_msg(rc == 0, "%s", error_text());
    return said;
}

static char *
report(const char *job)
{
    return report_of("chain", job);
}

static void
append(const char *text)
{
    ck_assert_int_eq(file_append(path, text, strlen(text)), 0);
}

/* Two texts joined, in a file of that name. */
static char *
read_ledger(const char *name)
{
    CLEANUP_FREE char *file = dir_path(name);
    struct buf text = BUF_INIT(LEDGER_TEXT_LIMIT_BYTES);

    ck_assert_msg(file_read(file, &text) == 0, "%s", error_text());
    return buf_take(&text);
}

/* ---- records ---- */

START_TEST(each_line_is_one_record)
{
    CLEANUP_FREE char *text = NULL;
    CLEANUP_STRV struct strv lines = { 0 };
    CLEANUP_JSON json_t *first = NULL, *second = NULL;
    const char *value;
    int64_t pid;

    begin("daily", "20261122T020000Z-daily");
    ledger_end(unit_dir, "chain", "daily", "20261122T020000Z-daily", "failed", "disk\nfull");
    text = read_ledger("ledger.jsonl");
    ck_assert_int_eq(text[strlen(text) - 1], '\n');
    strv_split(&lines, text, "\n");
    ck_assert_uint_eq(lines.len, 2);
    ck_assert_int_eq(json_read("1", lines.items[0], strlen(lines.items[0]), &first), 0);
    ck_assert_int_eq(json_read("2", lines.items[1], strlen(lines.items[1]), &second), 0);
    ck_assert_int_eq(json_need_string(first, "event", &value), 0);
    ck_assert_str_eq(value, "begin");
    ck_assert_int_eq(json_need_string(first, "cluster", &value), 0);
    ck_assert_str_eq(value, "chain");
    ck_assert_int_eq(json_need_string(first, "job", &value), 0);
    ck_assert_str_eq(value, "daily");
    ck_assert_int_eq(json_need_string(first, "run", &value), 0);
    ck_assert_str_eq(value, "20261122T020000Z-daily");
    ck_assert_int_eq(json_need_int(first, "pid", 1, INT32_MAX, &pid), 0);
    ck_assert_int_eq(pid, getpid());
    ck_assert_int_eq(json_need_string(second, "event", &value), 0);
    ck_assert_str_eq(value, "end");
    ck_assert_int_eq(json_need_string(second, "outcome", &value), 0);
    ck_assert_str_eq(value, "failed");
    ck_assert_int_eq(json_need_string(second, "detail", &value), 0);
    ck_assert_str_eq(value, "disk\nfull");
}
END_TEST

START_TEST(the_ledger_is_private)
{
    begin("daily", "a");
    ck_assert_uint_eq(dir_mode(path), 0600);
}
END_TEST

START_TEST(without_its_directory_a_run_does_not_begin_but_ends)
{
    CLEANUP_FREE char *missing = dir_path("missing"), *said = NULL;
    struct talk talk;

    ck_assert_int_eq(ledger_begin(missing, "chain", "daily", "a"), PGCASK_FAILED);
    error_clear();
    talk = talk_begin(STDERR_FILENO);
    ledger_end(missing, "chain", "daily", "a", "done", NULL);
    said = talk_end(&talk);
    ck_assert_has(said, "the end of this run is not recorded");
    ck_assert_str_eq(error_text(), "");
}
END_TEST

/* ---- dead runs ---- */

START_TEST(without_a_ledger_nobody_died)
{
    CLEANUP_FREE char *said = report("daily");

    ck_assert_str_eq(said, "");
    ck_assert(!file_exists(path));
}
END_TEST

START_TEST(a_dead_run_is_told_once)
{
    CLEANUP_FREE char *pid = mem_printf("(pid %d)", (int)getpid());
    CLEANUP_FREE char *first = NULL, *second = NULL, *text = NULL;

    begin("daily", "20261121T020000Z-daily");
    first = report("daily");
    ck_assert_has(first, "run '20261121T020000Z-daily' of job 'daily'");
    ck_assert_has(first, pid);
    ck_assert_has(first, "died");
    second = report("daily");
    ck_assert_str_eq(second, "");
    text = read_ledger("ledger.jsonl");
    ck_assert_has(text, "\"outcome\":\"died\"");
}
END_TEST

static const char *const outcomes[] = { "done", "degraded", "failed" };

START_TEST(a_run_that_ended_did_not_die)
{
    CLEANUP_FREE char *said = NULL;

    begin("daily", "a");
    end("daily", "a", outcomes[_i]);
    said = report("daily");
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(every_dead_run_is_told)
{
    CLEANUP_FREE char *said = NULL;

    begin("daily", "first");
    begin("daily", "second");
    begin("daily", "third");
    end("daily", "second", "done");
    said = report("daily");
    ck_assert_has(said, "run 'first'");
    ck_assert_has(said, "run 'third'");
    ck_assert_lacks(said, "run 'second'");
}
END_TEST

START_TEST(other_jobs_and_clusters_are_left_alone)
{
    CLEANUP_FREE char *daily = NULL, *other = NULL, *weekly = NULL;

    begin("weekly", "w"); /* it may be running at this moment */
    daily = report("daily");
    ck_assert_str_eq(daily, "");
    other = report_of("shop", "weekly"); /* a job of that name in another cluster */
    ck_assert_str_eq(other, "");
    weekly = report("weekly");
    ck_assert_has(weekly, "run 'w' of job 'weekly'");
}
END_TEST

START_TEST(the_end_of_another_jobs_run_closes_nothing)
{
    CLEANUP_FREE char *said = NULL;

    begin("daily", "same");
    end("weekly", "same", "done");
    said = report("daily");
    ck_assert_has(said, "run 'same' of job 'daily'");
}
END_TEST

/* ---- what may stand in the file ---- */

static const char *const garbage[] = {
    "",
    "\n",
    "garbage\n",
    "{\n",
    "{}\n",
    "[]\n",
    "5\n",
    "null\n",
    "\"begin\"\n",
    "{\"event\":\"begin\"}\n",
    "{\"event\":\"begin\",\"cluster\":\"chain\",\"job\":\"daily\",\"run\":5}\n",  /* of wrong types */
    "{\"event\":5,\"cluster\":\"chain\",\"job\":\"daily\",\"run\":\"x\"}\n",
    "{\"event\":\"begin\",\"cluster\":[],\"job\":\"daily\",\"run\":\"x\"}\n",
    "\xff\xfe\n",
    "{\"event\":\"end\",\"cluster\":\"chain\",\"job\":\"daily\",\"run\":\"unknown\"}\n", /* an end without a begin */
};

START_TEST(lines_that_are_no_records_are_passed_over)
{
    CLEANUP_FREE char *said = NULL;

    append(garbage[_i]);
    begin("daily", "dead");
    append(garbage[_i]);
    begin("daily", "well");
    end("daily", "well", "done");
    append(garbage[_i]);
    said = report("daily");
    ck_assert_has(said, "run 'dead' of job 'daily'");
    ck_assert_lacks(said, "run 'well'");
    ck_assert_lacks(said, "run 'x'");
    ck_assert_ptr_eq(strstr(said, "WARN: "), strrchr(said, 'W')); /* one warning */
}
END_TEST

START_TEST(a_record_of_few_words_is_told_all_the_same)
{
    CLEANUP_FREE char *said = NULL;

    append("{\"event\":\"begin\",\"cluster\":\"chain\",\"job\":\"daily\",\"run\":\"x\",\"pid\":\"none\",\"time\":7}\n");
    said = report("daily");
    ck_assert_has(said, "run 'x' of job 'daily', begun ? (pid 0), died");
}
END_TEST

/* The disk was full in the middle of a line. What comes next must not be lost with it. */
START_TEST(half_a_line_spoils_no_other)
{
    CLEANUP_FREE char *first = NULL, *second = NULL;

    begin("daily", "full");
    append("{\"cluster\":\"chain\",\"ev");
    begin("daily", "next");
    append("{\"cluster\":\"chain\",\"ev");
    end("daily", "full", "done");
    first = report("daily");
    ck_assert_has(first, "run 'next' of job 'daily'");
    ck_assert_lacks(first, "run 'full'");
    second = report("daily");
    ck_assert_str_eq(second, "");
}
END_TEST

/* ---- turning over ---- */

/* Lines of a job nobody asks about, until the file has more than `bytes`. */
static void
grow(size_t bytes)
{
    CLEANUP_BUF struct buf text = BUF_INIT(LEDGER_TEXT_LIMIT_BYTES);

    while (text.len <= bytes)
        ck_assert_int_eq(buf_addf(&text, "{\"cluster\":\"old\",\"event\":\"end\",\"job\":\"old\",\"run\":\"%0999d\"}\n", 1),
                         0);
    ck_assert_int_eq(file_append(path, text.data, text.len), 0);
}

START_TEST(a_short_ledger_is_kept)
{
    CLEANUP_FREE char *old = dir_path("ledger.jsonl.1"), *said = NULL;

    grow(TURN_BYTES / 2);
    said = report("daily");
    ck_assert_str_eq(said, "");
    ck_assert(file_exists(path) && !file_exists(old));
}
END_TEST

START_TEST(a_long_ledger_is_turned_over)
{
    CLEANUP_FREE char *before = NULL, *after = NULL, *said = NULL;

    grow(TURN_BYTES);
    before = read_ledger("ledger.jsonl");
    said = report("daily");
    ck_assert_str_eq(said, "");
    ck_assert(!file_exists(path));
    after = read_ledger("ledger.jsonl.1");
    ck_assert_str_eq(before, after);
    begin("daily", "a"); /* life goes on */
    end("daily", "a", "done");
    free(said);
    said = report("daily");
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(who_is_told_of_when_it_turns_is_not_told_of_again)
{
    CLEANUP_FREE char *first = NULL, *second = NULL;

    begin("daily", "dead");
    grow(TURN_BYTES);
    first = report("daily");
    ck_assert_has(first, "run 'dead'");
    second = report("daily");
    ck_assert_str_eq(second, "");
}
END_TEST

START_TEST(a_dead_run_of_another_job_is_not_forgotten_when_it_turns)
{
    CLEANUP_FREE char *daily = NULL, *weekly = NULL, *again = NULL;

    begin("weekly", "dead");
    begin("weekly", "well");
    end("weekly", "well", "done");
    grow(TURN_BYTES);
    daily = report("daily");
    ck_assert_str_eq(daily, "");
    weekly = report("weekly");
    ck_assert_has(weekly, "run 'dead' of job 'weekly'");
    ck_assert_lacks(weekly, "run 'well'");
    again = report("weekly");
    ck_assert_str_eq(again, "");
}
END_TEST

static Suite *
ledger_suite(void)
{
    Suite *suite = suite_create("ledger");
    TCase *records = tcase_create("records"), *dead = tcase_create("dead"), *file = tcase_create("file");
    TCase *cases[] = { records, dead, file };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        tcase_add_checked_fixture(cases[i], setup, teardown);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_set_timeout(file, 60);
    tcase_add_test(records, each_line_is_one_record);
    tcase_add_test(records, the_ledger_is_private);
    tcase_add_test(records, without_its_directory_a_run_does_not_begin_but_ends);
    tcase_add_test(dead, without_a_ledger_nobody_died);
    tcase_add_test(dead, a_dead_run_is_told_once);
    tcase_add_loop_test(dead, a_run_that_ended_did_not_die, 0, ARRAY_LEN(outcomes));
    tcase_add_test(dead, every_dead_run_is_told);
    tcase_add_test(dead, other_jobs_and_clusters_are_left_alone);
    tcase_add_test(dead, the_end_of_another_jobs_run_closes_nothing);
    tcase_add_loop_test(file, lines_that_are_no_records_are_passed_over, 0, ARRAY_LEN(garbage));
    tcase_add_test(file, a_record_of_few_words_is_told_all_the_same);
    tcase_add_test(file, half_a_line_spoils_no_other);
    tcase_add_test(file, a_short_ledger_is_kept);
    tcase_add_test(file, a_long_ledger_is_turned_over);
    tcase_add_test(file, who_is_told_of_when_it_turns_is_not_told_of_again);
    tcase_add_test(file, a_dead_run_of_another_job_is_not_forgotten_when_it_turns);
    return suite;
}

UNIT_MAIN(ledger_suite)
