/* SPDX-License-Identifier: PostgreSQL
 *
 * What the rows of stores, base backups and a server's words make of a cluster's archive: gaps and why, who is behind,
 * what is alarming.
 */
#include "config.h"

#include "pipeline/wal-status-private.h"

#include "unit.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>
#include <string.h>

enum { SEGMENT = 1 << 20, NOW_S = 1000000, STORES = 2 };

static const struct status_row {
    const char *files;   /* "STORE:TIMELINE:NUMBER[!]", ascending by timeline and number; '!': with another content */
    int64_t age_s;       /* of all of them */
    const char *bases;   /* "STORES:TIMELINE:START-STOP[+]", in segments; '+': with its WAL */
    const char *history; /* of timeline 2 */
    const char *ready;   /* what the server has yet to archive; NULL: it does not answer */
    const char *all, *one, *two; /* gaps: "TIMELINE:FIRST-LAST=kind" */
    const char *windows;         /* of all: "TIMELINE:FROM-TO", in segments */
    unsigned behind_one, behind_two;
    const char *alarms; /* a word of each, in order */
} rows[] = {
    /* nothing */
    { "", 0, "", NULL, NULL, "", "", "", "", 0, 0, "no-base" },
    /* all is well */
    { "0:1:3 1:1:3 0:1:4 1:1:4", 9, "01:1:3-4", NULL, "", "", "", "", "1:4-5", 0, 0, "" },
    /* one store lacks a segment: the other heals it */
    { "0:1:3 1:1:3 0:1:4 0:1:5 1:1:5", 900, "01:1:3-4", NULL, "", "", "", "1:4-4=elsewhere", "1:4-6", 0, 0, "lacks" },
    /* as long as it is young it may be under way, when the server cannot be asked */
    { "0:1:3 1:1:3 0:1:4 0:1:5 1:1:5", 9, "01:1:3-4", NULL, NULL, "", "", "1:4-4=late", "1:4-6", 0, 0, "" },
    /* nobody has it */
    { "0:1:3 0:1:5", 900, "0:1:3-4", NULL, "", "1:4-4=lost", "1:4-4=lost", "", "1:4-4", 0, 2, "lost behind" },
    /* the server still has it */
    { "0:1:3 0:1:5 1:1:3 1:1:5", 900, "0:1:3-4", NULL, "000000010000000000000004", "1:4-4=waiting", "1:4-4=waiting",
      "1:4-4=waiting", "1:4-4", 0, 0, "" },
    /* one gap, two reasons */
    { "0:1:3 1:1:4 0:1:6 1:1:3 1:1:6", 900, "0:1:3-4", NULL, "", "1:5-5=lost", "1:4-4=elsewhere 1:5-5=lost",
      "1:5-5=lost", "1:4-5", 0, 0, "lost lacks" },
    /* what is older than every base backup is not missed */
    { "0:1:1 0:1:3 1:1:3 0:1:4 1:1:4", 9, "0:1:3-4", NULL, "", "", "", "", "1:4-5", 0, 0, "" },
    /* an archive that began after a backup which took its WAL along */
    { "0:1:6 1:1:6", 9, "01:1:2-3+", NULL, "", "", "", "", "1:3-3", 0, 0, "" },
    /* two contents of one segment: each store knows only of one */
    { "0:1:3 1:1:3! 0:1:4 1:1:4", 9, "0:1:3-4", NULL, "", "1:3-3=disputed", "", "", "", 0, 0, "unusable disputed" },
    { "0:1:3 0:1:3! 0:1:4 1:1:4", 9, "0:1:3-4", NULL, "", "1:3-3=disputed", "1:3-3=disputed", "1:3-3=disputed", "", 0,
      0, "unusable disputed" },
    /* a store is behind: at first that is nothing */
    { "0:1:3 1:1:3 0:1:4 0:1:5", 9, "01:1:3-4", NULL, "", "", "", "", "1:4-6", 0, 2, "" },
    { "0:1:3 1:1:3 0:1:4 0:1:5", 900, "01:1:3-4", NULL, "", "", "", "", "1:4-6", 0, 2, "behind" },
    /* over a change of timelines in the middle of a segment; what the old one wrote behind that is its own affair */
    { "0:1:3 1:1:3 0:1:4 0:1:7 0:2:4 1:2:4 0:2:5 1:2:5", 9, "01:1:3-4", "1\t0/480000\tx\n", "", "", "", "",
      "1:4-5 2:4-6", 0, 0, "" },
    { "0:1:3 1:1:3 0:2:5 1:2:5", 900, "01:1:3-4", "1\t0/480000\tx\n", "", "2:4-4=lost", "2:4-4=lost", "2:4-4=lost",
      "1:4-4", 0, 0, "lost" },
};

static const char *const alarm_words[][2] = {
    { "no-base", "there is no base backup" },
    { "unusable", "no base backup has the WAL" },
    { "lost", "lost, the first" },
    { "disputed", "two contents" },
    { "lacks", "is without" },
    { "behind", "behind another one" },
    { "waits", "to be archived" },
    { "failing", "archiving fails" },
    { "off", "no WAL leaves the server" },
    { "slot-lost", "is lost: the server" },
    { "slot-idle", "nobody receives" },
};

static const struct config_cluster plain_cluster = { 0 }, slot_cluster = { .slot = "pgcask" };
static const struct config_item plain_item = { .name = "main", .cluster = &plain_cluster };
static const struct config_item slot_item = { .name = "main", .cluster = &slot_cluster };

static void
add_file(struct wal_status *status, const char *word, int64_t age_s)
{
    struct wal_row *row;

    MEM_GROW(status->list.rows, status->list.len, status->list.cap);
    row = &status->list.rows[status->list.len++];
    *row = (struct wal_row){ .store = (size_t)(word[0] - '0'), .size = 100, .mtime_s = NOW_S - age_s };
    row->name = wal_segment_at((uint32_t)(word[2] - '0'), (uint64_t)(word[4] - '0'), SEGMENT);
    memset(row->digest, word[5] == '!' ? 'b' : 'a', LABEL_DIGEST_CHARS);
}

/* "01:1:3-4+" */
static void
add_base(struct wal_status *status, const char *word)
{
    struct wal_status_base *facts;
    const char *rest = strchr(word, ':');
    size_t stores = (size_t)(rest - word);

    MEM_GROW(status->bases, status->base_len, status->base_cap);
    MEM_GROW(status->base_facts, status->base_len, status->base_fact_cap);
    facts = &status->base_facts[status->base_len];
    *facts = (struct wal_status_base){ .id = "20261122T020000Z-base", .in_store = mem_zalloc(STORES * sizeof(bool)) };
    for (size_t i = 0; i < stores; i++)
        facts->in_store[word[i] - '0'] = true;
    status->bases[status->base_len++] = (struct wal_base){
        .timeline = (uint32_t)(rest[1] - '0'),
        .start_lsn = (uint64_t)(rest[3] - '0') * SEGMENT,
        .stop_lsn = (uint64_t)(rest[5] - '0') * SEGMENT,
        .wal_included = rest[6] == '+',
    };
}

static void
add_history(struct wal_status *status, uint32_t timeline, const char *text)
{
    MEM_GROW(status->histories, status->history_len, status->history_cap);
    ck_assert_int_eq(
        wal_history_read(timeline, text, text != NULL ? strlen(text) : 0, &status->histories[status->history_len++]),
        0);
}

static void
make_status(struct wal_status *status, const struct status_row *row)
{
    CLEANUP_STRV struct strv files = { 0 }, bases = { 0 };

    *status = (struct wal_status){ .segment_bytes = SEGMENT, .now_s = NOW_S, .max_lag_ms = 300 * 1000 };
    status->repo.cluster = &plain_item;
    strv_split(&files, row->files, " ");
    strv_split(&bases, row->bases, " ");
    for (size_t i = 0; i < files.len; i++)
        add_file(status, files.items[i], row->age_s);
    for (size_t i = 0; i < bases.len; i++)
        add_base(status, bases.items[i]);
    add_history(status, 1, NULL);
    if (row->history != NULL)
        add_history(status, 2, row->history);
    status->view_len = STORES;
    status->views = mem_zalloc(STORES * sizeof *status->views);
    for (size_t i = 0; i < STORES; i++)
        status->views[i] = (struct wal_view){ .name = i == 0 ? "one" : "two", .required = true, .wanted = true };
    status->server_answers = row->ready != NULL;
    status->server = (struct wal_server){ .archives = true, .archiver_known = true, .ready_known = true };
    if (row->ready != NULL)
        strv_split(&status->server.ready, row->ready, " ");
}

static char *
gaps_text(const struct wal_view *view)
{
    static const char *const kinds[] = { "lost", "elsewhere", "waiting", "late", "disputed" };
    CLEANUP_STRV struct strv words = { 0 };

    for (size_t i = 0; i < view->len; i++)
        strv_addf(&words, "%" PRIu32 ":%" PRIu64 "-%" PRIu64 "=%s", view->gaps[i].range.timeline,
                  view->gaps[i].range.first, view->gaps[i].range.last, kinds[view->gaps[i].kind]);
    return strv_join(&words, " ");
}

static char *
windows_text(const struct wal_view *view)
{
    CLEANUP_STRV struct strv words = { 0 };

    for (size_t i = 0; i < view->windows.len; i++)
        strv_addf(&words, "%" PRIu32 ":%" PRIu64 "-%" PRIu64, view->windows.items[i].timeline,
                  view->windows.items[i].from_lsn / SEGMENT, view->windows.items[i].reach.lsn / SEGMENT);
    return strv_join(&words, " ");
}

static char *
alarms_text(const struct wal_status *status)
{
    CLEANUP_STRV struct strv words = { 0 };

    for (size_t i = 0; i < status->alarms.len; i++)
        for (size_t j = 0; j < ARRAY_LEN(alarm_words); j++)
            if (strstr(status->alarms.items[i], alarm_words[j][1]) != NULL)
                strv_add(&words, alarm_words[j][0]);
    ck_assert_uint_eq(words.len, status->alarms.len);
    return strv_join(&words, " ");
}

START_TEST(stores_are_seen_for_what_they_lack)
{
    const struct status_row *row = &rows[_i];
    CLEANUP_WAL_STATUS struct wal_status status;
    CLEANUP_FREE char *all = NULL, *one = NULL, *two = NULL, *windows = NULL, *alarms = NULL;

    make_status(&status, row);
    wal_views_make(&status);
    wal_alarms_make(&status);
    all = gaps_text(&status.all);
    one = gaps_text(&status.views[0]);
    two = gaps_text(&status.views[1]);
    windows = windows_text(&status.all);
    alarms = alarms_text(&status);
    ck_assert_str_eq(all, row->all);
    ck_assert_str_eq(one, row->one);
    ck_assert_str_eq(two, row->two);
    ck_assert_str_eq(windows, row->windows);
    ck_assert_uint_eq(status.views[0].behind, row->behind_one);
    ck_assert_uint_eq(status.views[1].behind, row->behind_two);
    ck_assert_str_eq(alarms, row->alarms);
}
END_TEST

static const struct server_row {
    struct wal_server server;
    const struct config_item *cluster;
    const char *alarms;
} servers[] = {
    /* archives, and nothing waits */
    { { .archives = true, .archiver_known = true, .ready_known = true }, &plain_item, "" },
    /* archives nothing, and nobody receives */
    { { .archiver_known = true, .ready_known = true }, &plain_item, "off" },
    /* a standby does not archive */
    { { .archiver_known = true, .standby = true }, &plain_item, "" },
    /* a file waits, for a short time and for long */
    { { .archives = true, .archiver_known = true, .ready_known = true, .ready_count = 1, .ready_oldest_s = NOW_S - 9 },
      &plain_item,
      "" },
    { { .archives = true,
        .archiver_known = true,
        .ready_known = true,
        .ready_count = 1,
        .ready_oldest_s = NOW_S - 900 },
      &plain_item,
      "waits" },
    /* the last try failed; one before the last did */
    { { .archives = true,
        .archiver_known = true,
        .last_failed = (char *)"x",
        .last_failed_s = 9,
        .last_archived_s = 8 },
      &plain_item,
      "failing" },
    { { .archives = true,
        .archiver_known = true,
        .last_failed = (char *)"x",
        .last_failed_s = 8,
        .last_archived_s = 9 },
      &plain_item,
      "" },
    /* the slot that the config names; others are not ours */
    { { .archiver_known = true,
        .slots = &(struct wal_server_slot){ .name = (char *)"pgcask", .state = (char *)"lost" },
        .len = 1 },
      &slot_item,
      "slot-lost" },
    { { .archiver_known = true,
        .slots = &(struct wal_server_slot){ .name = (char *)"pgcask", .state = (char *)"reserved" },
        .len = 1 },
      &slot_item,
      "slot-idle" },
    { { .archiver_known = true,
        .slots = &(struct wal_server_slot){ .name = (char *)"other", .state = (char *)"lost" },
        .len = 1 },
      &slot_item,
      "" },
};

START_TEST(a_server_is_heard)
{
    const struct server_row *row = &servers[_i];
    CLEANUP_WAL_STATUS struct wal_status status;
    CLEANUP_FREE char *alarms = NULL;

    make_status(&status, &rows[1]);
    status.server = row->server;
    status.repo.cluster = row->cluster;
    wal_views_make(&status);
    wal_alarms_make(&status);
    alarms = alarms_text(&status);
    status.server = (struct wal_server){ 0 }; /* the row's */
    ck_assert_str_eq(alarms, row->alarms);
}
END_TEST

/* A chain of incremental backups is as good as its weakest store. */
START_TEST(an_incremental_backup_needs_its_parent_in_the_same_store)
{
    CLEANUP_WAL_STATUS struct wal_status status;

    make_status(&status, &rows[1]);
    status.base_facts[0].id = "full";
    status.base_facts[0].in_store[1] = false;
    add_base(&status, "01:1:4-5");
    status.base_facts[1].id = "incremental";
    status.base_facts[1].parent = "full";
    wal_views_make(&status);
    ck_assert_uint_eq(status.views[0].windows.len, 1);
    ck_assert_uint_eq(status.views[0].windows.items[0].len, 2);
    ck_assert_uint_eq(status.views[1].windows.len, 0);
    ck_assert_uint_eq(status.all.windows.len, 1);
    status.base_facts[0].parent = "incremental"; /* a circle, which only a liar can write */
    wal_views_free(&status);
    status.views = mem_zalloc(STORES * sizeof *status.views);
    status.view_len = STORES;
    wal_views_make(&status);
    ck_assert_uint_eq(status.all.windows.len, 0);
}
END_TEST

static Suite *
wal_status_suite(void)
{
    Suite *suite = suite_create("wal-status");
    TCase *tcase = tcase_create("wal-status");

    tcase_add_loop_test(tcase, stores_are_seen_for_what_they_lack, 0, ARRAY_LEN(rows));
    tcase_add_loop_test(tcase, a_server_is_heard, 0, ARRAY_LEN(servers));
    tcase_add_test(tcase, an_incremental_backup_needs_its_parent_in_the_same_store);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(wal_status_suite)
