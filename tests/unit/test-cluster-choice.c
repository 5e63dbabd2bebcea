/* SPDX-License-Identifier: PostgreSQL
 *
 * Which base backup a target leads to, over archives with holes, branches and backups of all ages.
 */
#include "config.h"

#include "pipeline/cluster-choice.h"

#include <string.h>

#include "base/error.h"
#include "unit.h"

enum { MIB16 = 16 * 1024 * 1024 };
#define LSN(segment) ((uint64_t)(segment)*MIB16)

/* "1:2-9 2:6-12", segments of timelines; each came in at 1000 * its number. "p" in front: a part of one. */
static void
add_segments(struct choice *choice, const char *text)
{
    CLEANUP_STRV struct strv words = { 0 };

    strv_split(&words, text, " ");
    wal_ranges_begin(&choice->ranges, MIB16);
    for (size_t i = 0; i < words.len; i++) {
        bool partial = words.items[i][0] == 'p';
        char *at = words.items[i] + partial;
        uint32_t timeline = (uint32_t)strtoul(at, &at, 10);
        uint64_t first = strtoull(at + 1, &at, 10), last = *at == '-' ? strtoull(at + 1, NULL, 10) : first;

        for (uint64_t number = first; number <= last; number++) {
            struct wal_row row = { .name = wal_segment_at(timeline, number, MIB16),
                                   .digest = "d",
                                   .mtime_s = (int64_t)number * 1000 };

            row.name.file = partial ? WAL_PARTIAL : WAL_SEGMENT;
            ck_assert_int_eq(wal_ranges_add(&choice->ranges, &row.name, row.digest), 0);
            MEM_GROW(choice->list.rows, choice->list.len, choice->list.cap);
            choice->list.rows[choice->list.len++] = row;
        }
    }
    wal_ranges_end(&choice->ranges);
}

static void
add_history(struct choice *choice, uint32_t timeline, const char *text)
{
    struct wal_history history = { 0 };

    ck_assert_int_eq(wal_history_read(timeline, text, text != NULL ? strlen(text) : 0, &history), 0);
    MEM_GROW(choice->histories, choice->history_len, choice->history_cap);
    choice->histories[choice->history_len++] = history;
}

/* Begins and ends within that segment, in the second 1000 * its number and 10 later. */
static void
add_base(struct choice *choice, const char *id, uint32_t timeline, uint64_t segment, bool included)
{
    MEM_GROW(choice->bases, choice->len, choice->cap);
    choice->bases[choice->len++] = (struct choice_base){
        .id = id,
        .started_s = (int64_t)segment * 1000,
        .finished_s = (int64_t)segment * 1000 + 10,
        .wal = { .timeline = timeline,
                 .start_lsn = LSN(segment) + 40,
                 .stop_lsn = LSN(segment) + 256,
                 .finished_s = (int64_t)segment * 1000 + 10,
                 .wal_included = included },
    };
}

/* Backups a (segment 2), b (5), c (9) of timeline 1; "i" in front of the segments: with their own WAL. */
static void
make_choice(struct choice *choice, const char *segments)
{
    bool included = segments[0] == 'i';

    add_base(choice, "a", 1, 2, included);
    add_base(choice, "b", 1, 5, included);
    add_base(choice, "c", 1, 9, included);
    add_segments(choice, segments + included);
    add_history(choice, 1, NULL);
}

struct row {
    const char *segments, *id;
    struct recovery_target target;
    const char *base; /* NULL: none */
    const char *part; /* of the error, or of a doubt; NULL: no doubts */
};

#define TIME(s) .kind = RECOVERY_TIME, .time_us = INT64_C(1000000) * (s)

static const struct row rows[] = {
    { "1:1-12", "latest", { .kind = RECOVERY_END }, "c", NULL },
    { "1:1-12", "b", { .kind = RECOVERY_END }, "b", NULL },
    { "1:1-12", "latest", { .kind = RECOVERY_IMMEDIATE }, "c", NULL },
    /* a hole behind a, before b: b and c do not mind */
    { "1:1-3 1:5-12", "latest", { .kind = RECOVERY_END }, "c", NULL },
    { "1:1-3 1:5-12",
      "a",
      { .kind = RECOVERY_END },
      NULL,
      "'000000010000000000000004' is missing, so the chain ends at 0/4000000" },
    { "1:1-3 1:5-12", "a", { .kind = RECOVERY_IMMEDIATE }, "a", NULL },
    /* a hole behind all of them */
    { "1:1-10 1:12", "latest", { .kind = RECOVERY_END }, NULL, "'00000001000000000000000B' is missing" },
    { "1:1-10 1:12", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(10) }, "c", NULL },
    { "1:1-10 1:12",
      "latest",
      { .kind = RECOVERY_LSN, .lsn = LSN(12) },
      NULL,
      "LSN 0/C000000 is not reached: WAL segment" },
    { "1:1-10 1:12", "latest", { .kind = RECOVERY_XID, .xid = 9 }, "c", "some is archived behind that" },
    /* consistent only with the WAL of its own time */
    { "1:1-8 1:10-12",
      "latest",
      { .kind = RECOVERY_END },
      NULL,
      "from backup 'c' the point where it is consistent is not" },
    { "1:1-8 1:10-12", "c", { .kind = RECOVERY_IMMEDIATE }, NULL, "the point where it is consistent is not reached" },
    { "1:1-8", "latest", { .kind = RECOVERY_END }, "b", NULL }, /* c has nothing */
    /* LSNs */
    { "1:1-12", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(9) + 255 }, "b", NULL },
    { "1:1-12", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(9) + 256 }, "c", NULL },
    { "1:1-12", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(13) - 1 }, "c", NULL },
    { "1:1-12",
      "latest",
      { .kind = RECOVERY_LSN, .lsn = LSN(13) },
      NULL,
      "lies behind the end of what is archived, 0/D000000" },
    { "1:1-12 p1:13", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(13) + 5 }, "c", "only a part was archived" },
    { "1:1-12 p1:13", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(14) }, NULL, "lies behind the end" },
    { "1:1-12", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(1) }, NULL, "lies before backup" },
    { "1:1-12",
      "c",
      { .kind = RECOVERY_LSN, .lsn = LSN(9) },
      NULL,
      "lies before backup 'c' is consistent, at 0/9000100" },
    /* times: something must have come in behind it */
    { "1:1-12", "latest", { TIME(9010) }, "c", NULL },
    { "1:1-12", "latest", { TIME(9009) }, "b", NULL },
    { "1:1-12", "c", { TIME(9009) }, "c", "whether it was consistent by then" },
    { "1:1-12", "c", { TIME(8999) }, NULL, "lies before backup 'c' was finished, at 1970-01-01T02:30:10Z" },
    { "1:1-12", "latest", { TIME(1500) }, NULL, "lies before backup" },
    { "1:1-12", "latest", { TIME(11999) }, "c", NULL },
    { "1:1-12", "latest", { TIME(12000) }, NULL, "the newest WAL came in at 1970-01-01T03:20:00Z" },
    { "1:1-12 p1:13", "latest", { TIME(12500) }, "c", "a part of a segment" },
    { "1:1-10 1:12", "latest", { TIME(9500) }, "c", NULL },
    { "1:1-10 1:12", "latest", { TIME(10500) }, NULL, "'00000001000000000000000B' is missing" },
    { "1:1-3 1:5-12", "a", { TIME(2500) }, "a", NULL }, /* before the hole */
    /* where a transaction or a name is, nobody knows before */
    { "1:1-12",
      "latest",
      { .kind = RECOVERY_XID, .xid = 9 },
      "c",
      "transaction 9 has to lie behind the end of backup 'c'" },
    { "1:1-12", "b", { .kind = RECOVERY_XID, .xid = 9 }, "b", NULL },
    { "1:1-12", "latest", { .kind = RECOVERY_NAME, .name = "n" }, "c", "restore point 'n' has to" },
    /* with their own WAL they need no archive */
    { "i", "latest", { .kind = RECOVERY_END }, "c", NULL },
    { "i", "b", { .kind = RECOVERY_IMMEDIATE }, "b", NULL },
    { "i", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(20) }, NULL, "lies behind the end" },
    { "i1:10-12", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(12) }, "c", NULL }, /* the archive goes on behind it */
    { "i1:11-12", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(12) }, NULL, "'00000001000000000000000A' is missing" },
    { "i1:9-12", "latest", { .kind = RECOVERY_LSN, .lsn = LSN(12) }, "c", NULL },
    /* not there */
    { "1:1-12", "latest", { .kind = RECOVERY_END, .timeline = 7 }, NULL, "no base backup lies on that timeline" },
};

START_TEST(the_newest_that_serves)
{
    const struct row *row = &rows[_i];
    CLEANUP_CHOICE struct choice choice = { 0 };
    CLEANUP_CHOICE_MADE struct choice_made made = { 0 };
    int rc;

    make_choice(&choice, row->segments);
    rc = choice_make(&choice, row->id, &row->target, &made);
    if (row->base == NULL) {
        ck_assert_int_eq(rc, ERROR_USAGE);
        ck_assert_error_has(row->part);
        return;
    }
    ck_assert_msg(rc == 0, "row %d: %s", _i, error_text());
    ck_assert_str_eq(choice.bases[made.base].id, row->base);
    ck_assert_uint_eq(made.timeline, 1);
    ck_assert_msg((made.passed.len > 0) == (strcmp(row->segments, "1:1-8") == 0), "row %d", _i);
    ck_assert_msg((made.doubts.len > 0) == (row->part != NULL), "row %d: %zu doubts", _i, made.doubts.len);
    if (row->part != NULL) {
        CLEANUP_FREE char *doubts = strv_join(&made.doubts, "; ");

        ck_assert_msg(strstr(doubts, row->part) != NULL, "row %d: '%s'", _i, doubts);
    }
}
END_TEST

/* Timeline 2 leaves 1 in segment 7, timeline 3 leaves 1 in segment 4. */
static void
make_branches(struct choice *choice)
{
    add_base(choice, "a", 1, 2, false);
    add_base(choice, "b", 1, 5, false);
    add_base(choice, "c", 1, 9, false);
    add_base(choice, "d", 2, 10, false);
    add_segments(choice, "1:1-12 2:7-13 3:4-6");
    add_history(choice, 1, NULL);
    add_history(choice, 2, "1\t0/7000100\tno recovery target specified\n");
    add_history(choice, 3, "1\t0/4000100\tbefore LSN 0/4000100\n");
}

static const struct {
    const char *id;
    struct recovery_target target;
    const char *base;
    uint32_t timeline;
} branch_rows[] = {
    { "latest", { .kind = RECOVERY_END }, "a", 3 }, /* the newest timeline leaves before b */
    { "latest", { .kind = RECOVERY_END, .timeline = 2 }, "d", 2 },
    { "latest", { .kind = RECOVERY_END, .timeline = 1 }, "c", 1 },
    { "b", { .kind = RECOVERY_END }, "b", 2 }, /* b is on 1 and 2 */
    { "c", { .kind = RECOVERY_END }, "c", 1 }, /* behind where 2 left */
    { "c", { .kind = RECOVERY_END, .timeline = 2 }, NULL, 0 },
    { "latest", { .kind = RECOVERY_LSN, .lsn = LSN(8) }, "b", 2 },
    { "latest", { .kind = RECOVERY_LSN, .lsn = LSN(8), .timeline = 1 }, "b", 1 },
    { "latest", { .kind = RECOVERY_LSN, .lsn = LSN(5) }, "a", 3 },
    { "latest", { TIME(10500) }, "d", 2 },
    { "latest", { TIME(10500), .timeline = 1 }, "c", 1 },
};

START_TEST(along_the_newest_timeline_that_gets_there)
{
    CLEANUP_CHOICE struct choice choice = { 0 };
    CLEANUP_CHOICE_MADE struct choice_made made = { 0 };
    int rc;

    make_branches(&choice);
    rc = choice_make(&choice, branch_rows[_i].id, &branch_rows[_i].target, &made);
    if (branch_rows[_i].base == NULL) {
        ck_assert_int_eq(rc, ERROR_USAGE);
        return;
    }
    ck_assert_msg(rc == 0, "row %d: %s", _i, error_text());
    ck_assert_msg(strcmp(choice.bases[made.base].id, branch_rows[_i].base) == 0 &&
                      made.timeline == branch_rows[_i].timeline,
                  "row %d: backup %s on timeline %u", _i, choice.bases[made.base].id, made.timeline);
}
END_TEST

START_TEST(a_bad_backup_serves_only_by_its_name)
{
    CLEANUP_CHOICE struct choice choice = { 0 };
    CLEANUP_CHOICE_MADE struct choice_made made = { 0 }, named = { 0 };
    const struct recovery_target target = { .kind = RECOVERY_END };

    make_choice(&choice, "1:1-12");
    choice.bases[2].bad = true;
    ck_assert_int_eq(choice_make(&choice, "latest", &target, &made), 0);
    ck_assert_str_eq(choice.bases[made.base].id, "b");
    ck_assert_int_eq(choice_make(&choice, "c", &target, &named), 0);
    ck_assert_str_eq(choice.bases[named.base].id, "c");
}
END_TEST

START_TEST(a_refusal_says_what_can_be_had)
{
    CLEANUP_CHOICE struct choice choice = { 0 };
    CLEANUP_CHOICE_MADE struct choice_made made = { 0 };
    const struct recovery_target target = { .kind = RECOVERY_LSN, .lsn = LSN(100) };

    make_choice(&choice, "1:1-3 1:5-12");
    strv_add(&choice.unknown, "timeline 4: it is gone");
    ck_assert_int_eq(choice_make(&choice, "latest", &target, &made), ERROR_USAGE);
    ck_assert_ptr_nonnull(strstr(error_cure(),
                                 "timeline 1 from 0/2000100 (1970-01-01T00:33:30Z, backup 'a') to 0/4000000 "
                                 "(archived 1970-01-01T00:50:00Z)"));
    ck_assert_ptr_nonnull(strstr(error_cure(),
                                 "timeline 1 from 0/5000100 (1970-01-01T01:23:30Z, backup 'b') to 0/D000000 "
                                 "(archived 1970-01-01T03:20:00Z)"));
    ck_assert_ptr_nonnull(strstr(error_cure(), "histories that cannot be read: timeline 4: it is gone"));
}
END_TEST

/* A copy of a segment that sync brought later into another store says nothing of when it was written. */
START_TEST(the_first_copy_tells_the_time)
{
    CLEANUP_CHOICE struct choice choice = { 0 };
    CLEANUP_CHOICE_MADE struct choice_made made = { 0 };
    const struct recovery_target target = { TIME(12500) };

    make_choice(&choice, "1:1-12");
    MEM_GROW(choice.list.rows, choice.list.len, choice.list.cap);
    choice.list.rows[choice.list.len] = choice.list.rows[choice.list.len - 1];
    choice.list.rows[choice.list.len].store = 1;
    choice.list.rows[choice.list.len++].mtime_s = 99999;
    ck_assert_int_eq(choice_make(&choice, "latest", &target, &made), ERROR_USAGE);
    for (size_t i = 0; i < choice.list.len; i++)
        choice.list.rows[i].mtime_s = 0; /* a store that does not tell */
    ck_assert_int_eq(choice_make(&choice, "latest", &target, &made), 0);
    ck_assert_uint_eq(made.doubts.len, 1);
}
END_TEST

static Suite *
cluster_choice_suite(void)
{
    Suite *suite = suite_create("cluster-choice");
    TCase *tcase = tcase_create("cluster-choice");

    tcase_add_loop_test(tcase, the_newest_that_serves, 0, ARRAY_LEN(rows));
    tcase_add_loop_test(tcase, along_the_newest_timeline_that_gets_there, 0, ARRAY_LEN(branch_rows));
    tcase_add_test(tcase, a_bad_backup_serves_only_by_its_name);
    tcase_add_test(tcase, a_refusal_says_what_can_be_had);
    tcase_add_test(tcase, the_first_copy_tells_the_time);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(cluster_choice_suite)
