/* SPDX-License-Identifier: PostgreSQL
 *
 * The rows, several members at a time: those of one table straight into it, all others through pg_restore. Declared in
 * restore.h.
 */
#include "config.h"

#include "pipeline/restore.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "catalog/label.h"
#include "pg/archive-merge.h"
#include "pg/archive-table.h"
#include "pg/encoding.h"
#include "pipeline/progress.h"
#include "pipeline/restore-tool.h"
#include "pipeline/verify.h"
#include "stage/member-reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rows {
    struct restore *restore;
    const struct pg_tools *tools;
    const char *target;
    const struct strv *arguments;
    bool lenient;
    pthread_mutex_t lock;
    const struct manifest_member **members; /* the main one, then the largest first */
    size_t len, next;
    const struct manifest_member **refused; /* to be tried again */
    size_t refused_len;
    struct error refusal; /* of the last of them */
    struct error error;
    atomic_bool failed; /* there is an error: who loads rows stops */
};

/* One member being read. */
struct feed {
    struct rows *rows;
    struct archive_merge *merge;
};

static int
feed_take(void *ctx, const void *data, size_t len)
{
    struct feed *feed = ctx;

    if (atomic_load(&feed->rows->failed))
        return error_set(PGCASK_FAILED, "another member could not be restored");
    progress_add(NULL, len);
    return archive_merge_add(feed->merge, data, len);
}

/* The whole member, its rows in large blocks. Takes `merge`. */
static int
rows_feed(struct rows *rows, const struct manifest_member *member, struct archive_merge *merge)
{
    struct restore *restore = rows->restore;
    CLEANUP(archive_merge_free) struct archive_merge *own = merge;
    CLEANUP_FREE char *key = label_object(restore->manifest->cluster, restore->manifest->id, member->object);
    struct member_ref ref = verify_ref(member, key);
    struct feed feed = { rows, merge };
    int rc = member_read_all(restore->crew, restore->streams + 1, restore->copies, &ref, restore->identities, feed_take, &feed);

    return rc < 0 ? rc : archive_merge_end(own);
}

/* ---- straight into the table ---- */

/* A session as pg_restore makes it, for statements and rows of this archive: what pg_connect sets for reading would be
 * another time zone to the CHECK constraints. */
static int
copy_connect(struct rows *rows, const struct archive *archive, struct pg_conn **ret_conn)
{
    struct pg_server server = { rows->restore->conninfo, rows->restore->password };
    CLEANUP_FREE char *encoding = encoding_of_archive(archive), *quoted = NULL;
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    int rc = pg_connect(&server, rows->target, &conn);

    if (rc == 0 && archive_has_backslashes(archive)) /* in string constants, as those of setval */
        rc = pg_run(conn, "SET standard_conforming_strings = off");
    if (rc < 0)
        return rc;
    quoted = pg_literal(conn, encoding);
    rc = pg_runf(conn, "SET synchronous_commit = off; SET row_security = off; SET xmloption = content; "
                       "RESET timezone; RESET datestyle; RESET intervalstyle; SET client_encoding = %s", quoted);
    if (rc == 0)
        *ret_conn = STEAL(conn);
    return rc;
}

/* Rows that were refused for what they are, or for others that were in the way: classes of SQLSTATE. */
static bool
copy_may_work_later(const char *state)
{
    static const char *const classes[] = {
        "21", "22", "23", "2F", "38", "39", "40", "42", "44", "55", "P0", /* a CHECK and its functions; deadlocks and locks */
    };

    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (strncmp(state, classes[i], 2) == 0)
            return true;
    return false;
}

/* In a transaction that emptied the table before, COPY can write rows as VACUUM FREEZE would leave them: indexes are built
 * faster, no vacuum has to rewrite the table later, and with wal_level = minimal nothing goes to the WAL. pg_restore
 * cannot do that. Nobody else sees the database yet. `ret_emptied`: false, and nothing was done, when the table cannot be
 * emptied, as by an owner without that right. `ret_refused`: the server did not want the rows, and undid all. */
static int
rows_copy(struct rows *rows, const struct manifest_member *member, const struct archive *archive,
          const struct archive_table *table, bool *ret_emptied, bool *ret_refused)
{
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    int rc = copy_connect(rows, archive, &conn);

    if (rc == 0)
        rc = pg_run(conn, "BEGIN");
    if (rc < 0)
        return rc;
    rc = pg_run(conn, table->truncate_sql);
    if (rc < 0) {
        *ret_emptied = false;
        log_debug("member '%s': %s: loading it by pg_restore", member->name, error_text());
        error_clear();
        return cancel_check();
    }
    rc = pg_copy_begin(conn, table->copy_sql);
    if (rc == 0)
        rc = rows_feed(rows, member, archive_merge_rows_new(archive, table->dump_id, pg_copy_bytes, conn));
    if (rc == 0)
        rc = pg_copy_end(conn);
    for (size_t i = 0; rc == 0 && i < table->after.len; i++)
        rc = pg_run(conn, table->after.items[i]);
    if (rc == 0)
        rc = pg_commit(conn);
    *ret_refused = rc == PGCASK_FAILED && copy_may_work_later(pg_sqlstate(conn));
    return rc; /* closing the connection undoes what was begun */
}

/* ---- through pg_restore ---- */

/* A pg_restore that takes rows. */
struct rows_pipe {
    struct process process;
    bool broken; /* it takes no more: it knows why */
};

static int
pipe_give(void *ctx, const void *data, size_t len)
{
    struct rows_pipe *pipe = ctx;
    const char *p = data;

    while (len > 0) {
        ssize_t put = write(pipe->process.in_fd, p, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            pipe->broken = true;
            return error_errno(PGCASK_FAILED, "could not write to pg_restore");
        }
        p += put;
        len -= (size_t)put;
    }
    return 0;
}

static int
rows_pipe(struct rows *rows, const struct manifest_member *member, const struct archive *archive)
{
    /* rows that go into an existing database have to be durable by themselves */
    const char *options = strcmp(rows->restore->manifest->content, "data") == 0 ? RESTORE_DURABLE_OPTIONS
                                                                                 : RESTORE_SESSION_OPTIONS;
    CLEANUP_STRV struct strv argv = { 0 };
    struct rows_pipe pipe = { 0 };
    struct error read = { 0 };
    int rc = restore_tool_argv(rows->tools, "data", rows->target, rows->arguments, rows->lenient, &argv);

    if (rc == 0)
        rc = pg_tools_start(rows->tools, &argv, options, PROCESS_PIPE, PROCESS_NULL, -1, &pipe.process);
    if (rc < 0)
        return rc;
    rc = rows_feed(rows, member, archive_merge_new(archive, pipe_give, &pipe));
    if (rc == 0)
        return restore_tool_finish(&pipe.process, rows->lenient, "data");
    if (!pipe.broken) {
        process_kill(&pipe.process); /* it must not take what it has for all */
        return rc;
    }
    error_take(rc, &read);
    rc = restore_tool_finish(&pipe.process, rows->lenient, "data");
    if (rc == 0)
        rc = error_put(&read);
    error_free(&read);
    return rc;
}

/* ---- all of them ---- */

static int
rows_member(struct rows *rows, const struct manifest_member *member, bool *ret_refused)
{
    CLEANUP(archive_free) struct archive *archive = NULL;
    struct archive_table table = { 0 };
    bool straight = false;
    int rc = restore_archive(rows->restore, member, -1, &archive);

    if (rc < 0)
        return rc; /* it names the member */
    /* not into a table of an extension, which are in the main member: its own rows are there already; nor into tables of
     * somebody who restores rows alone */
    if (strcmp(member->role, ROLE_TABLE) == 0 && strcmp(rows->restore->manifest->content, "data") != 0)
        straight = archive_table_make(archive, &table);
    if (straight)
        rc = rows_copy(rows, member, archive, &table, &straight, ret_refused);
    if (rc == 0 && !straight)
        rc = rows_pipe(rows, member, archive);
    archive_table_free(&table);
    return rc < 0 ? error_context(rc, "member '%s'", member->name) : 0;
}

/* A CHECK that reads another table wants that one to be there first, and two of them may wait for each other. */
static void
rows_put_off(struct rows *rows, const struct manifest_member *member, int code)
{
    rows->refused[rows->refused_len++] = member;
    error_free(&rows->refusal);
    error_take(code, &rows->refusal);
    log_debug("%s: trying that again later", rows->refusal.text);
}

/* One after the other, for as long as one more gets in. */
static void
rows_again(struct rows *rows)
{
    size_t tried = 0;

    while (rows->error.code == 0 && rows->refused_len > 0 && tried < rows->refused_len) {
        const struct manifest_member *member = rows->refused[0];
        bool refused = false;
        int rc;

        rows->refused_len--;
        memmove(rows->refused, rows->refused + 1, rows->refused_len * sizeof *rows->refused);
        rc = rows_member(rows, member, &refused);
        tried = rc == 0 ? 0 : tried + 1;
        if (rc < 0 && refused)
            rows_put_off(rows, member, rc);
        else if (rc < 0)
            error_take(rc, &rows->error);
    }
    if (rows->error.code == 0 && rows->refused_len > 0) {
        rows->error = rows->refusal;
        rows->refusal = (struct error){ 0 };
    }
    error_free(&rows->refusal);
}

static void *
rows_thread(void *arg)
{
    struct rows *rows = arg;

    (void)pthread_mutex_lock(&rows->lock);
    while (rows->error.code == 0 && rows->next < rows->len) {
        const struct manifest_member *member = rows->members[rows->next++];
        bool refused = false;
        int rc;

        (void)pthread_mutex_unlock(&rows->lock);
        rc = rows_member(rows, member, &refused);
        (void)pthread_mutex_lock(&rows->lock);
        if (rc < 0 && refused)
            rows_put_off(rows, member, rc);
        else if (rc < 0 && rows->error.code == 0) {
            error_take(rc, &rows->error);
            atomic_store(&rows->failed, true);
            process_kill_all();
        }
    }
    (void)pthread_mutex_unlock(&rows->lock);
    return NULL;
}

static int
rows_compare(const void *a, const void *b)
{
    const struct manifest_member *left = *(const struct manifest_member *const *)a;
    const struct manifest_member *right = *(const struct manifest_member *const *)b;
    bool left_main = strcmp(left->role, ROLE_MAIN) == 0, right_main = strcmp(right->role, ROLE_MAIN) == 0;

    if (left_main != right_main) /* small tables are what large ones refer to */
        return left_main ? -1 : 1;
    return left->plain_size < right->plain_size ? 1 : left->plain_size > right->plain_size ? -1 : 0;
}

int
restore_rows(struct restore *restore, const struct pg_tools *tools, const char *database, const char *target,
             const struct strv *arguments, int server_version)
{
    struct rows rows = { .restore = restore, .tools = tools, .target = target, .arguments = arguments };
    const struct manifest *manifest = restore->manifest;
    /* one more than that are loaded at a time, so that the last large one does not have the machine to itself */
    unsigned wanted = restore->streams > 1 ? restore->streams + 1 : 1, started = 0;
    pthread_t *threads = mem_realloc_array(NULL, wanted, sizeof *threads);
    uint64_t total = 0;
    int rc;

    rows.lenient = restore_tool_lenient(tools, server_version);
    rows.members = mem_realloc_array(NULL, manifest->member_count + 1, sizeof *rows.members);
    rows.refused = mem_realloc_array(NULL, manifest->member_count + 1, sizeof *rows.refused);
    for (size_t i = 0; i < manifest->member_count; i++) {
        const struct manifest_member *member = &manifest->members[i];

        if (member->database == NULL || strcmp(member->database, database) != 0 ||
            (strcmp(member->role, ROLE_MAIN) != 0 && strcmp(member->role, ROLE_TABLE) != 0))
            continue;
        rows.members[rows.len++] = member;
        total += member->plain_size;
    }
    qsort(rows.members, rows.len, sizeof *rows.members, rows_compare);
    (void)pthread_mutex_init(&rows.lock, NULL);
    progress_begin("restore", total);
    while (started + 1 < wanted && started + 1 < rows.len &&
           pthread_create(&threads[started], NULL, rows_thread, &rows) == 0)
        started++;
    (void)rows_thread(&rows); /* this thread is one of them */
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    rows_again(&rows);
    progress_end();
    (void)pthread_mutex_destroy(&rows.lock);
    free(rows.members);
    free(rows.refused);
    free(threads);
    rc = error_put(&rows.error);
    return rc < 0 ? cancel_or(rc) : 0;
}
