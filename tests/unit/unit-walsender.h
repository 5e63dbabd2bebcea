/* SPDX-License-Identifier: PostgreSQL
 *
 * Messages of a server in the replication protocol, for scripts of the double in
 * unit-pg.h.
 */
#ifndef PGCASK_TESTS_UNIT_WALSENDER_H
#define PGCASK_TESTS_UNIT_WALSENDER_H

#include "pg/replication.h"
#include "unit-pg.h"

static inline void
say_rows(struct buf *out, const char *rows)
{
    put_columns(out, rows);
    put_rows(out, rows);
}

static inline void
say_done(struct buf *out)
{
    put_message(out, 'C', "OK", 3);
    put_message(out, 'Z', "I", 1);
}

/* `code`: SQLSTATE, 5 characters. */
static inline void
say_refusal(struct buf *out, const char *code, const char *text)
{
    CLEANUP_BUF struct buf body = BUF_INIT(DOUBLE_MESSAGE_BYTES);

    ck_assert_int_eq(buf_addf(&body, "SERROR%cVERROR%cC%s%cM%s%c", 0, 0, code, 0, text, 0), 0);
    ck_assert_int_eq(buf_add(&body, "", 1), 0);
    put_message(out, 'E', body.data, body.len);
    put_message(out, 'Z', "I", 1);
}

static inline void
say_warning(struct buf *out, const char *function, const char *text)
{
    CLEANUP_BUF struct buf body = BUF_INIT(DOUBLE_MESSAGE_BYTES);

    ck_assert_int_eq(buf_addf(&body, "SWARNUNG%cVWARNING%cC01000%cM%s%cR%s%c", 0, 0, 0, text, 0, function, 0), 0);
    ck_assert_int_eq(buf_add(&body, "", 1), 0);
    put_message(out, 'N', body.data, body.len);
}

/* 'H' copy out, 'W' copy both, 'G' copy in; binary or not does not matter to anybody */
static inline void
say_copy(struct buf *out, char kind)
{
    put_message(out, kind, "\0\0", 3);
}

static inline void
say_data(struct buf *out, const void *data, size_t len)
{
    put_message(out, 'd', data, len);
}

static inline void
say_copied(struct buf *out)
{
    put_message(out, 'c', "", 0);
}

static inline void
put_wide(struct buf *out, uint64_t number)
{
    put_number(out, (uint32_t)(number >> 32), 4);
    put_number(out, (uint32_t)number, 4);
}

static inline struct replication *
walsender_connect(void)
{
    static struct pg_server server;
    struct replication *replication = NULL;

    server = (struct pg_server){ twin.conninfo, NULL };
    ck_assert_msg(replication_connect(&server, NULL, &replication) == 0, "%s", error_text());
    return replication;
}

#endif
