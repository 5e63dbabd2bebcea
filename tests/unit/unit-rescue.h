/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of rescues have in common: an archive made of a few entries, and
 * its plan as text.
 */
#ifndef PGCASK_TESTS_UNIT_RESCUE_H
#define PGCASK_TESTS_UNIT_RESCUE_H

#include "pg/rescue.h"

#include "unit-archive.h"

/* The session is the same for every plan: the steps behind the schema that are not shown. */
enum { SESSION_STEPS = 8 };

static inline void
show_step(const struct rescue_step *step, struct buf *text)
{
    if (step->kind == RESCUE_DATA)
        ck_assert_int_eq(buf_addf(text, "<%s.%s %d> ", step->schema, step->table, step->dump_id), 0);
    else
        ck_assert(step->schema == NULL && step->table == NULL && step->dump_id == -1);
    ck_assert_int_eq(buf_addf(text, "%s%s\n", step->foreign_key ? "FK " : "", step->sql), 0);
    if (step->kind == RESCUE_DATA)
        text->len--; /* COPY brings a newline */
}

/* Plan the rescue of `tables` (separated by blanks) and show its steps, one a line. */
static inline int
plan_archive(const struct archive *archive, const char *tables, const char *target, struct buf *text)
{
    CLEANUP_STRV struct strv words = { 0 };
    struct rescue_plan plan = { 0 };
    int rc;

    strv_split(&words, tables, " ");
    rc = rescue_plan_make(archive, &words, target, &plan);
    for (size_t i = 0; i < plan.len; i++) {
        size_t session = target != NULL ? 1 : 0;

        if (plan.steps[0].kind == RESCUE_DATA || i < session || i >= session + SESSION_STEPS)
            show_step(&plan.steps[i], text);
    }
    if (rc < 0)
        ck_assert_uint_eq(plan.len, 0); /* untouched */
    ck_assert_int_eq(buf_add(text, "", 0), 0);
    text->data[text->len] = '\0';
    rescue_plan_free(&plan);
    return rc;
}

static inline struct archive *
make_archive(const struct made_entry *entries, size_t count)
{
    CLEANUP_BUF struct buf made = BUF_INIT(MADE_LIMIT_BYTES);

    made_toc(&made, 16, entries, count);
    return load_made(&made);
}

#define PRE .section = ARCHIVE_PRE_DATA, .schema = "s"
#define DATA .section = ARCHIVE_DATA, .schema = "s"
#define POST .section = ARCHIVE_POST_DATA, .schema = "s"
#define NONE .section = ARCHIVE_NONE, .schema = "s"

#endif
