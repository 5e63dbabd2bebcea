/* SPDX-License-Identifier: PostgreSQL
 *
 * Where `wal receive` goes on: never behind anything that is not archived, never anew what is.
 */
#include "config.h"

#include "pipeline/receive-plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "unit.h"

enum { SEGMENT = 1 << 20, NONE = 0 };

/* "T:N T:N! T:N~": segments, those with two contents, partial ones. */
static void
make_archive(const char *files, struct wal_ranges *ret_archive)
{
    CLEANUP_STRV struct strv words = { 0 };

    wal_ranges_begin(ret_archive, SEGMENT);
    strv_split(&words, files, " ");
    for (size_t i = 0; i < words.len; i++) {
        unsigned timeline = (unsigned)strtoul(words.items[i], NULL, 10);
        unsigned number = (unsigned)strtoul(strchr(words.items[i], ':') + 1, NULL, 10);
        char last = words.items[i][strlen(words.items[i]) - 1];
        struct wal_name name = wal_segment_at(timeline, number, SEGMENT);

        name.file = last == '~' ? WAL_PARTIAL : WAL_SEGMENT;
        ck_assert_int_eq(wal_ranges_add(ret_archive, &name, "0123456789abcdef0123456789abcdef"), 0);
        if (last == '!')
            ck_assert_int_eq(wal_ranges_add(ret_archive, &name, "fedcba9876543210fedcba9876543210"), 0);
    }
    wal_ranges_end(ret_archive);
}

/* Timeline 2 left timeline 1 in the middle of segment 5, timeline 3 left that one at the beginning of segment 8. */
static const char *const histories[] = { NULL, NULL, "1\t0/580000\tx\n", "1\t0/580000\tx\n2\t0/800000\tx\n" };

static const struct plan_row {
    uint32_t timeline;   /* of the server */
    const char *spool;   /* "T:N"; NULL: empty */
    const char *archive; /* NULL: not looked at */
    uint64_t slot;       /* in quarters of a segment */
    uint32_t to_timeline;
    uint64_t to_segment;
    enum receive_origin origin;
    uint32_t forked;
} plans[] = {
    /* the very first start: the server's segment, which is 9 */
    { 1, NULL, "", NONE, 1, 9, RECEIVE_FROM_NOW, 0 },
    /* the very first start with a slot that has kept some */
    { 1, NULL, "", 4 * 6 + 1, 1, 6, RECEIVE_FROM_NOW, 0 },
    /* what a slot has kept from before the timeline began is of the one before */
    { 2, NULL, "", 4 * 5, 1, 5, RECEIVE_FROM_NOW, 0 },
    { 2, NULL, "", 4 * 6, 2, 6, RECEIVE_FROM_NOW, 0 },
    /* the spool says it all */
    { 1, "1:4", NULL, NONE, 1, 4, RECEIVE_FROM_SPOOL, 0 },
    /* and the slot is not asked: it may be behind what the spool has brought into the archive, or before it */
    { 1, "1:4", NULL, 4 * 2, 1, 4, RECEIVE_FROM_SPOOL, 0 },
    { 1, "1:4", NULL, 4 * 6, 1, 4, RECEIVE_FROM_SPOOL, 0 },
    /* what others have archived behind it is passed */
    { 1, "1:4", "1:4 1:5 1:6 1:8", NONE, 1, 7, RECEIVE_FROM_SPOOL, 0 },
    /* also with two contents: which one is right is not for us to say */
    { 1, "1:4", "1:4 1:5! 1:6", NONE, 1, 7, RECEIVE_FROM_SPOOL, 0 },
    /* but not what is there in parts only */
    { 1, "1:4", "1:4~", NONE, 1, 4, RECEIVE_FROM_SPOOL, 0 },
    /* the archive's end */
    { 1, NULL, "1:1 1:2 1:3", NONE, 1, 4, RECEIVE_FROM_ARCHIVE, 0 },
    /* an old hole in it is not mended by waiting */
    { 1, NULL, "1:1 1:3", NONE, 1, 4, RECEIVE_FROM_ARCHIVE, 0 },
    /* only part of a segment: that one anew */
    { 1, NULL, "1:3~", NONE, 1, 3, RECEIVE_FROM_ARCHIVE, 0 },
    { 1, NULL, "1:2 1:3~", NONE, 1, 3, RECEIVE_FROM_ARCHIVE, 0 },
    { 1, NULL, "1:2~ 1:3", NONE, 1, 4, RECEIVE_FROM_ARCHIVE, 0 },
    /* a slot that has not been told so much: not every store has it */
    { 1, NULL, "1:1 1:2 1:3", 4 * 2 + 3, 1, 2, RECEIVE_FROM_SLOT, 0 },
    /* a slot that has been told more, by whomever: the archive counts */
    { 1, NULL, "1:1 1:2 1:3", 4 * 7, 1, 4, RECEIVE_FROM_ARCHIVE, 0 },
    /* the spool is before a switch of timelines: up to it on the old one */
    { 2, "1:5", NULL, NONE, 1, 5, RECEIVE_FROM_SPOOL, 0 },
    /* behind it: nothing of the old one is to be had any more */
    { 2, "1:6", NULL, NONE, 2, 5, RECEIVE_FROM_SPOOL, 1 },
    /* the switch was at a border: there is nothing behind it */
    { 3, "2:8", NULL, NONE, 3, 8, RECEIVE_FROM_SPOOL, 0 },
    /* two switches at once */
    { 3, "1:7", NULL, NONE, 2, 5, RECEIVE_FROM_SPOOL, 1 },
    { 3, "2:9", NULL, NONE, 3, 8, RECEIVE_FROM_SPOOL, 2 },
    /* the archive goes across a switch */
    { 2, "1:4", "1:4 1:5 2:5 2:6", NONE, 2, 7, RECEIVE_FROM_SPOOL, 1 },
    { 2, "1:4", "1:4 2:5 2:6", NONE, 2, 7, RECEIVE_FROM_SPOOL, 0 },
    { 2, "1:3", "1:3 2:5 2:6", NONE, 1, 4, RECEIVE_FROM_SPOOL, 0 },
    { 2, NULL, "1:4 2:5 2:6", NONE, 2, 7, RECEIVE_FROM_ARCHIVE, 0 },
    { 2, NULL, "1:3 1:4", NONE, 1, 5, RECEIVE_FROM_ARCHIVE, 0 },
    { 2, NULL, "1:4 1:5 1:6", NONE, 2, 5, RECEIVE_FROM_ARCHIVE, 1 },
    /* a timeline that is none of the server's: what both have in common */
    { 3, NULL, "1:4 4:5 4:6", NONE, 1, 5, RECEIVE_FROM_ARCHIVE, 0 },
    { 3, "4:6", "1:4 4:5", NONE, 1, 5, RECEIVE_FROM_ARCHIVE, 0 },
};

static struct receive_point
point_of(const char *text)
{
    return (struct receive_point){ (uint32_t)strtoul(text, NULL, 10), strtoul(strchr(text, ':') + 1, NULL, 10) };
}

static void
make_facts(uint32_t timeline, const char *spool, uint64_t slot, struct wal_history *history,
           struct receive_facts *ret_facts)
{
    const char *text = histories[timeline];

    ck_assert_int_eq(wal_history_read(timeline, text, text != NULL ? strlen(text) : 0, history), 0);
    *ret_facts = (struct receive_facts){ .segment_bytes = SEGMENT,
                                         .history = history,
                                         .server_lsn = 9 * (uint64_t)SEGMENT + 1000,
                                         .slot_lsn = slot * (SEGMENT / 4) };
    if (spool != NULL) {
        ret_facts->spooled = true;
        ret_facts->spool = point_of(spool);
    }
}

START_TEST(it_goes_on_where_all_is_archived)
{
    const struct plan_row *row = &plans[_i];
    CLEANUP_WAL_HISTORY struct wal_history history = { 0 };
    CLEANUP_WAL_RANGES struct wal_ranges archive;
    struct receive_facts facts;
    struct receive_plan plan;

    make_facts(row->timeline, row->spool, row->slot, &history, &facts);
    make_archive(row->archive != NULL ? row->archive : "", &archive);
    facts.archive = row->archive != NULL ? &archive : NULL;
    ck_assert(row->archive != NULL || receive_plan_is_spooled(&facts));
    ck_assert_int_eq(receive_plan_make(&facts, &plan), 0);
    ck_assert_uint_eq(plan.point.timeline, row->to_timeline);
    ck_assert_uint_eq(plan.point.segment, row->to_segment);
    ck_assert_int_eq(plan.origin, row->origin);
    ck_assert_uint_eq(plan.forked, row->forked);
}
END_TEST

static const struct {
    uint32_t timeline;
    const char *spool, *archive;
} astray[] = {
    /* an archive of another timeline */
    { 1, NULL, "2:5" },
    /* a spool of another timeline, and nothing else */
    { 1, "2:5", "" },
    { 2, "7:5", "8:5~" },
};

START_TEST(an_archive_of_another_history_is_a_gap)
{
    CLEANUP_WAL_HISTORY struct wal_history history = { 0 };
    CLEANUP_WAL_RANGES struct wal_ranges archive;
    struct receive_facts facts;
    struct receive_plan plan;

    make_facts(astray[_i].timeline, astray[_i].spool, NONE, &history, &facts);
    make_archive(astray[_i].archive, &archive);
    facts.archive = &archive;
    ck_assert(!receive_plan_is_spooled(&facts));
    ck_assert_int_eq(receive_plan_make(&facts, &plan), PGCASK_NOT_FOUND);
    ck_assert_error_has("is not of a timeline from which that server");
    ck_assert_ptr_nonnull(error_cure());
}
END_TEST

START_TEST(only_what_is_archived_from_there_on_is_passed)
{
    CLEANUP_WAL_HISTORY struct wal_history history = { 0 };
    CLEANUP_WAL_RANGES struct wal_ranges archive;
    struct receive_facts facts;
    struct receive_point point = { 1, 4 };

    make_facts(2, NULL, NONE, &history, &facts);
    make_archive("1:3 1:4 2:5 2:6 2:8", &archive);
    facts.archive = &archive;
    ck_assert(receive_plan_pass(&facts, &point));
    ck_assert_uint_eq(point.timeline, 2);
    ck_assert_uint_eq(point.segment, 7);
    ck_assert(!receive_plan_pass(&facts, &point));
    ck_assert_uint_eq(point.segment, 7);
}
END_TEST

static Suite *
plan_suite(void)
{
    Suite *suite = suite_create("receive-plan");
    TCase *tcase = tcase_create("receive-plan");

    tcase_add_loop_test(tcase, it_goes_on_where_all_is_archived, 0, ARRAY_LEN(plans));
    tcase_add_loop_test(tcase, an_archive_of_another_history_is_a_gap, 0, ARRAY_LEN(astray));
    tcase_add_test(tcase, only_what_is_archived_from_there_on_is_passed);
    suite_add_tcase(suite, tcase);
    return suite;
}

UNIT_MAIN(plan_suite)
