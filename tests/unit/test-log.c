/* SPDX-License-Identifier: PostgreSQL
 *
 * What is shown at which level, and that foreign text cannot steer the terminal or fake a line.
 */
#include "config.h"

#include "base/log.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "unit.h"

static int saved_stderr, read_end;
static char said[8192];

/* From here to capture_end stderr is a pipe, which takes 64 KiB before anybody reads. */
static void
capture(void)
{
    int pair[2];

    ck_assert_int_eq(pipe(pair), 0);
    saved_stderr = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(pair[1], STDERR_FILENO), 0);
    ck_assert_int_eq(close(pair[1]), 0);
    read_end = pair[0];
}

static const char *
captured(void)
{
    size_t len = 0;
    ssize_t got;

    ck_assert_int_ge(dup2(saved_stderr, STDERR_FILENO), 0);
    ck_assert_int_eq(close(saved_stderr), 0);
    while (len < sizeof said - 1 && (got = read(read_end, said + len, sizeof said - 1 - len)) > 0)
        len += (size_t)got;
    said[len] = '\0';
    ck_assert_int_eq(close(read_end), 0);
    return said;
}

static void
setup(void)
{
    log_set_level(LOG_LEVEL_WARN);
    (void)log_prefix(NULL);
    error_clear();
}

static const struct {
    int level; /* -1: as at start */
    const char *said;
} level_rows[] = {
    { LOG_LEVEL_ERROR, "ERROR: e\n" },
    { LOG_LEVEL_WARN, "ERROR: e\nWARN: w\n" },
    { -1, "ERROR: e\nWARN: w\n" },
    { LOG_LEVEL_INFO, "ERROR: e\nWARN: w\nINFO: i\n" },
    { LOG_LEVEL_DEBUG, "ERROR: e\nWARN: w\nINFO: i\nDEBUG: d\n" },
};

START_TEST(a_level_shows_itself_and_what_is_graver)
{
    if (level_rows[_i].level >= 0)
        log_set_level((enum log_level)level_rows[_i].level);
    capture();
    log_error("e");
    log_warn("%s", "w");
    log_info("i");
    log_debug("d");
    ck_assert_str_eq(captured(), level_rows[_i].said);
    ck_assert_int_eq(log_shows(LOG_LEVEL_DEBUG), level_rows[_i].level == LOG_LEVEL_DEBUG);
}
END_TEST

static const struct {
    const char *text, *line;
} foreign_rows[] = {
    { "plain text", "ERROR: plain text\n" },
    { "\033[2J\033]0;title\a", "ERROR: ?[2J?]0;title?\n" },    /* clear the screen, set the title */
    { "ok\rERROR: fake", "ERROR: ok?ERROR: fake\n" },           /* overwrite the line */
    { "del\x7f" "bs\b", "ERROR: del?bs?\n" },
    { "\x01\x1f", "ERROR: ??\n" },
    { "tab\there", "ERROR: tab\there\n" },
    { "umlaut \xc3\xa4 kept", "ERROR: umlaut \xc3\xa4 kept\n" },
    { "csi \xc2\x9b" "2J", "ERROR: csi ?2J\n" },                /* the same in eight bits, as UTF-8 */
    { "nbsp \xc2\xa0 kept", "ERROR: nbsp \xc2\xa0 kept\n" },
    { "cut \xc2", "ERROR: cut \xc2\n" },
    { "one\nWARN: two", "ERROR: one\n\tWARN: two\n" },           /* a second line is seen to belong to the first */
    { "%s%n", "ERROR: %s%n\n" },                                /* text, not a format */
};

START_TEST(foreign_text_is_defused)
{
    capture();
    log_error("%s", foreign_rows[_i].text);
    ck_assert_str_eq(captured(), foreign_rows[_i].line);
}
END_TEST

START_TEST(foreign_text_in_the_slot_is_defused)
{
    (void)error_set(PGCASK_FAILED, "bad \033[1m");
    (void)error_hint(PGCASK_FAILED, "cure \a\nERROR: x");
    capture();
    log_slot_error();
    ck_assert_str_eq(captured(), "ERROR: bad ?[1m\nHINT: cure ?\n\tERROR: x\n");
}
END_TEST

START_TEST(the_slot_is_printed_and_emptied)
{
    (void)error_set(PGCASK_FAILED, "it failed");
    (void)error_hint(PGCASK_FAILED, "do this");
    capture();
    log_slot_error();
    ck_assert_str_eq(captured(), "ERROR: it failed\nHINT: do this\n");
    ck_assert_str_eq(error_text(), "");
    ck_assert_ptr_null(error_cure());
}
END_TEST

START_TEST(a_warning_from_the_slot_tells_the_consequence)
{
    (void)error_set(PGCASK_FAILED, "store is full");
    (void)error_hint(PGCASK_FAILED, "make room");
    capture();
    log_slot_warn("going on without it");
    ck_assert_str_eq(captured(), "WARN: store is full, going on without it\nHINT: make room\n");
    ck_assert_str_eq(error_text(), "");
}
END_TEST

START_TEST(a_hidden_warning_hides_its_cure_too)
{
    log_set_level(LOG_LEVEL_ERROR);
    (void)error_set(PGCASK_FAILED, "store is full");
    (void)error_hint(PGCASK_FAILED, "make room");
    capture();
    log_slot_warn("going on");
    ck_assert_str_eq(captured(), "");
    ck_assert_str_eq(error_text(), "");
}
END_TEST

static void *
other_thread(void *arg)
{
    (void)arg;
    log_warn("other");
    return NULL;
}

START_TEST(the_prefix_is_this_threads)
{
    pthread_t thread;

    capture();
    ck_assert_ptr_null(log_prefix("store 'a'"));
    log_warn("one");
    ck_assert_str_eq(log_prefix("store 'b'"), "store 'a'");
    log_warn("two");
    (void)pthread_create(&thread, NULL, other_thread, NULL);
    (void)pthread_join(thread, NULL);
    ck_assert_str_eq(log_prefix(NULL), "store 'b'");
    log_warn("three");
    ck_assert_str_eq(captured(), "WARN: store 'a': one\nWARN: store 'b': two\nWARN: other\nWARN: three\n");
}
END_TEST

START_TEST(a_line_takes_the_transient_one_away)
{
    capture();
    log_transient("");      /* nothing to take away */
    log_transient("10 %");
    log_transient("20 %");
    log_warn("trouble");
    log_warn("more");       /* it is away already */
    log_transient("30 %");
    log_transient("");
    log_transient("");
    ck_assert_str_eq(captured(), "\r\033[K10 %\r\033[K20 %\r\033[KWARN: trouble\nWARN: more\n\r\033[K30 %\r\033[K");
}
END_TEST

static void *
chatter(void *word)
{
    for (int i = 0; i < 50; i++)
        log_warn("%s %s %s", (const char *)word, (const char *)word, (const char *)word);
    return NULL;
}

START_TEST(lines_of_two_threads_do_not_mix)
{
    pthread_t a, b;
    unsigned lines = 0;

    capture();
    (void)pthread_create(&a, NULL, chatter, (char[]){ "aaaa" });
    (void)pthread_create(&b, NULL, chatter, (char[]){ "bbbb" });
    (void)pthread_join(a, NULL);
    (void)pthread_join(b, NULL);
    (void)captured();
    for (char *at = said, *end; (end = strchr(at, '\n')) != NULL; at = end + 1, lines++) {
        *end = '\0';
        ck_assert_msg(strcmp(at, "WARN: aaaa aaaa aaaa") == 0 || strcmp(at, "WARN: bbbb bbbb bbbb") == 0, "'%s'", at);
    }
    ck_assert_uint_eq(lines, 100);
}
END_TEST

static Suite *
log_suite(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");

    tcase_add_checked_fixture(tcase, setup, setup);
    tcase_add_loop_test(tcase, a_level_shows_itself_and_what_is_graver, 0, ARRAY_LEN(level_rows));
    tcase_add_loop_test(tcase, foreign_text_is_defused, 0, ARRAY_LEN(foreign_rows));
    tcase_add_test(tcase, foreign_text_in_the_slot_is_defused);
    tcase_add_test(tcase, the_slot_is_printed_and_emptied);
    tcase_add_test(tcase, a_warning_from_the_slot_tells_the_consequence);
    tcase_add_test(tcase, a_hidden_warning_hides_its_cure_too);
    tcase_add_test(tcase, the_prefix_is_this_threads);
    tcase_add_test(tcase, a_line_takes_the_transient_one_away);
    tcase_add_test(tcase, lines_of_two_threads_do_not_mix);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(log_suite)
