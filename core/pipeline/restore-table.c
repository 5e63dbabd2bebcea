/* SPDX-License-Identifier: PostgreSQL
 *
 * Single tables: only the members they need are read, and of the main member no
 * more than its table of contents (and the rows, for a table that was too small
 * for a member of its own). Declared in restore.h.
 */
#include "config.h"

#include "pipeline/restore.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "catalog/label.h"
#include "pg/encoding.h"
#include "pg/rescue-names.h"
#include "pg/rescue.h"
#include "pg/sql.h"
#include "pipeline/progress.h"
#include "pipeline/verify.h"
#include "stage/member-reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TOC_LIMIT_BYTES (UINT64_C(4) << 30)

/* Where statements and rows go: a connection in a transaction, or a script. */
struct sink {
    struct restore *restore;
    const char *database;
    const struct manifest_member *main_member;
    const char *encoding; /* of the archive, and of the plan made from it */
    char *schema;         /* the target, in that encoding; NULL keeps the names */
    struct pg_conn *conn; /* NULL: a script */
    int fd;
    uint64_t fetched;
};

static int
sink_script(void *ctx, const void *data, size_t len)
{
    const struct sink *sink = ctx;

    return file_write_all(sink->fd, data, len, "the SQL script");
}

static int
sink_row_bytes(void *ctx, const void *data, size_t len)
{
    struct sink *sink = ctx;

    progress_add(NULL, len);
    return sink->conn ? pg_copy_bytes(sink->conn, data, len) : sink_script(sink, data, len);
}

static int
sink_text(struct sink *sink, const char *text)
{
    return sink_script(sink, text, strlen(text));
}

/* One statement that may fail without the rest: 0, 1 when it was undone (the reason was told), or an error. */
static int
sink_try(struct sink *sink, const char *sql, const char *consequence)
{
    int rc = pg_run(sink->conn, "SAVEPOINT pgcask_try");

    if (rc < 0)
        return rc;
    if (pg_run(sink->conn, sql) == 0)
        return pg_run(sink->conn, "RELEASE SAVEPOINT pgcask_try");
    if (cancel_requested())
        return cancel_check();
    log_slot_warn(consequence);
    rc = pg_run(sink->conn, "ROLLBACK TO SAVEPOINT pgcask_try");
    return rc < 0 ? rc : 1;
}

/* A foreign key whose other side has changed since is better there and not valid than not there. */
static int
sink_foreign_key(struct sink *sink, const struct rescue_step *step)
{
    static const char left_out[] = "it is left out";
    bool key = strstr(step->sql, " ADD CONSTRAINT ") != NULL; /* else a comment on one */
    size_t len = strlen(step->sql);
    CLEANUP_FREE char *lax = NULL;
    int rc = sink_try(sink, step->sql, key ? "making the foreign key NOT VALID: rows are not compared with the other table" : left_out);

    if (rc <= 0 || !key)
        return rc < 0 ? rc : 0;
    while (len > 0 && strchr("; \n", step->sql[len - 1]) != NULL)
        len--;
    lax = mem_printf("%.*s NOT VALID", (int)len, step->sql);
    rc = sink_try(sink, lax, left_out);
    return rc < 0 ? rc : 0;
}

static int
sink_sql(struct sink *sink, const struct rescue_step *step)
{
    int rc;

    if (sink->conn != NULL)
        return step->foreign_key ? sink_foreign_key(sink, step) : pg_run(sink->conn, step->sql);
    rc = sink_text(sink, step->sql);
    if (rc == 0 && strchr(";\n", step->sql[strlen(step->sql) - (*step->sql != '\0')]) == NULL)
        rc = sink_text(sink, ";");
    return rc < 0 ? rc : sink_text(sink, "\n");
}

/* The rows of one table: its COPY statement, the data block of `dump_id` behind the table of contents that was just
 * read, the end. */
static int
sink_copy(struct sink *sink, struct member_prefix *prefix, const struct archive *archive, const char *copy, int dump_id)
{
    int rc = sink->conn ? pg_copy_begin(sink->conn, copy) : sink_text(sink, copy);

    if (rc == 0)
        rc = archive_data(archive, member_prefix_read, prefix, dump_id, sink_row_bytes, sink);
    sink->fetched += member_prefix_fetched(prefix);
    if (rc < 0)
        return rc;
    return sink->conn ? pg_copy_end(sink->conn) : sink_text(sink, "\\.\n\n");
}

/* A table with a member of its own: only that one's archive has the COPY statement with its columns. */
static int
sink_own_member(struct sink *sink, struct member_prefix *prefix, const struct archive *archive, const struct rescue_step *step)
{
    CLEANUP_STRV struct strv words = { 0 };
    CLEANUP_FREE char *schema = sql_quote_ident(step->schema), *table = sql_quote_ident(step->table);
    struct rescue_plan plan = { 0 };
    int rc;

    strv_addf(&words, "%s.%s", schema, table);
    rc = rescue_plan_make(archive, &words, sink->schema, &plan);
    if (rc == 0)
        rc = error_set(ERROR_CORRUPT, "it holds no rows of %s", words.items[0]);
    for (size_t i = 0; i < plan.len; i++)
        if (plan.steps[i].kind == RESCUE_DATA && plan.steps[i].dump_id >= 0) {
            rc = sink_copy(sink, prefix, archive, plan.steps[i].sql, plan.steps[i].dump_id);
            break;
        }
    rescue_plan_free(&plan);
    return rc;
}

static int
sink_rows(struct sink *sink, const struct manifest_member *member, const struct rescue_step *step)
{
    CLEANUP_FREE char *key = label_object(sink->restore->manifest->cluster, sink->restore->manifest->id, member->object);
    struct member_ref ref = verify_ref(member, key);
    CLEANUP(member_prefix_close) struct member_prefix *prefix = NULL;
    CLEANUP(archive_free) struct archive *archive = NULL;
    bool whole = step->dump_id < 0; /* its own member holds nothing else */
    int rc = member_prefix_open(sink->restore->copies, &ref, sink->restore->identities, whole, &prefix);

    if (rc == 0)
        rc = archive_load(member_prefix_read, prefix, TOC_LIMIT_BYTES, &archive);
    if (rc == 0 && step->dump_id >= 0)
        rc = sink_copy(sink, prefix, archive, step->sql, step->dump_id);
    else if (rc == 0)
        rc = sink_own_member(sink, prefix, archive, step);
    return rc < 0 ? error_context(rc, "member '%s'", member->name) : 0;
}

/* Where the rows of that step are; NULL when they were left out by exclude_table_data, which is told if `tell`. */
static int
sink_member(const struct sink *sink, const struct rescue_step *step, bool tell, const struct manifest_member **ret_member)
{
    CLEANUP_FREE char *schema = NULL, *table = NULL; /* as in the manifest, which is UTF-8 */
    int rc = encoding_convert(step->schema, sink->encoding, "UTF8", &schema);

    if (rc == 0)
        rc = encoding_convert(step->table, sink->encoding, "UTF8", &table);
    if (rc < 0)
        return rc;
    *ret_member = sink->main_member;
    if (step->dump_id < 0)
        *ret_member = manifest_find(sink->restore->manifest, ROLE_TABLE, sink->database, schema, table);
    if (*ret_member == NULL && tell)
        log_warn("the backup has no rows of %s.%s", schema, table);
    return 0;
}

static int
sink_data(struct sink *sink, const struct rescue_step *step)
{
    const struct manifest_member *member = NULL;
    int rc = sink_member(sink, step, true, &member);

    return rc < 0 || member == NULL ? rc : sink_rows(sink, member, step);
}

/* All members that the plan needs. */
static int
sink_ready(const struct sink *sink, const struct rescue_plan *plan)
{
    CLEANUP_FREE const struct manifest_member **members = mem_realloc_array(NULL, plan->len + 1, sizeof *members);
    size_t count = 0;

    members[count++] = sink->main_member;
    for (size_t i = 0; i < plan->len; i++) {
        const struct manifest_member *member = NULL;
        int rc = 0;

        if (plan->steps[i].kind == RESCUE_DATA)
            rc = sink_member(sink, &plan->steps[i], false, &member);
        if (rc < 0)
            return rc;
        if (member != NULL && member != sink->main_member)
            members[count++] = member;
    }
    return restore_ready(sink->restore, members, count);
}

static int
sink_run(struct sink *sink, const struct rescue_plan *plan)
{
    int rc = sink->conn ? pg_run(sink->conn, "BEGIN") : 0;

    progress_begin("table", 0);
    for (size_t i = 0; rc == 0 && i < plan->len; i++)
        rc = plan->steps[i].kind == RESCUE_DATA ? sink_data(sink, &plan->steps[i]) : sink_sql(sink, &plan->steps[i]);
    progress_end();
    if (rc == 0 && sink->conn != NULL)
        rc = pg_run(sink->conn, "COMMIT");
    return rc; /* on an error the connection is closed, and with it the transaction gone */
}

/* What was asked for, in the archive's encoding. */
static int
plan_make(struct sink *sink, const struct archive *archive, const struct strv *tables, const char *schema,
          struct rescue_plan *ret_plan)
{
    CLEANUP_STRV struct strv words = { 0 };
    int rc = schema ? encoding_convert(schema, "UTF8", sink->encoding, &sink->schema) : 0;

    for (size_t i = 0; rc == 0 && i < tables->len; i++) {
        char *word;

        rc = encoding_convert(tables->items[i], "UTF8", sink->encoding, &word);
        if (rc == 0)
            strv_take(&words, word);
    }
    return rc < 0 ? rc : rescue_plan_make(archive, &words, sink->schema, ret_plan);
}

/* The main member and those of the tables by name: what else belongs to them, such as partitions, the main member tells. */
static int
plan_ready(const struct sink *sink, const struct strv *tables)
{
    CLEANUP_FREE const struct manifest_member **members = mem_realloc_array(NULL, tables->len + 1, sizeof *members);
    size_t count = 0;

    members[count++] = sink->main_member;
    for (size_t i = 0; i < tables->len; i++) {
        CLEANUP_RESCUE_NAME struct rescue_name name = { 0 };
        int rc = rescue_name_parse(tables->items[i], &name);

        if (rc < 0)
            return rc;
        members[count] = manifest_find(sink->restore->manifest, ROLE_TABLE, sink->database, name.schema, name.name);
        count += members[count] != NULL;
    }
    return restore_ready(sink->restore, members, count);
}

/* ---- where they go ---- */

static int
table_database(const struct restore *restore, const char *source, const char *name, struct pg_conn **ret_conn)
{
    struct pg_server server = { restore->conninfo, restore->password };
    CLEANUP(pg_close) struct pg_conn *elsewhere = NULL;
    bool exists = true;
    struct error why;
    int rc = pg_connect(&server, name, ret_conn);

    if (rc != PGCASK_FAILED)
        return rc;
    error_take(rc, &why);
    if (restore_connect(restore, &elsewhere) < 0 || restore_exists(elsewhere, name, &exists) < 0 || exists)
        return error_put(&why);
    error_free(&why);
    if (strcmp(source, name) != 0)
        return error_set(ERROR_USAGE, "database '%s' does not exist (--into)", name);
    (void)error_set(ERROR_USAGE, "database '%s' does not exist", name);
    return error_hint(ERROR_USAGE, "name one that does with --into, or bring back all of '%s' without --table", name);
}

/* What is there already would fail on the way, too, but in fewer words. */
static int
table_refuse_existing(struct pg_conn *conn, const char *database, const struct strv *tables, const char *schema)
{
    for (size_t i = 0; i < tables->len; i++) {
        CLEANUP_RESCUE_NAME struct rescue_name table = { 0 };
        CLEANUP_FREE char *count = NULL;
        const char *params[] = { NULL, NULL };
        int rc = rescue_name_parse(tables->items[i], &table);

        params[0] = schema ? schema : table.schema;
        params[1] = table.name;
        if (rc == 0)
            rc = pg_value(conn, "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                                " WHERE n.nspname = $1 AND c.relname = $2", params, 2, &count);
        if (rc < 0)
            return rc;
        if (strcmp(count, "0") == 0)
            continue;
        (void)error_set(ERROR_USAGE, "schema '%s' of database '%s' has a '%s' already", params[0], database,
                        table.name);
        return error_hint(ERROR_USAGE, "nothing is overwritten: name another schema with --schema, or none for "
                                       "a new one");
    }
    return 0;
}

static int
table_connect(const struct restore *restore, const char *database, const char *target_database, const struct strv *tables,
              const char *schema, struct pg_conn **ret_conn)
{
    bool data = strcmp(restore->manifest->content, "data") == 0; /* into tables that are there */
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    int rc = table_database(restore, database, target_database, &conn);

    if (rc == 0 && !data)
        rc = table_refuse_existing(conn, target_database, tables, schema);
    if (rc == 0)
        *ret_conn = STEAL(conn);
    return rc;
}

int
restore_tables(struct restore *restore, const char *database, const char *target_database, const struct strv *tables,
               const char *schema, int out_fd)
{
    CLEANUP(archive_free) struct archive *archive = NULL;
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    CLEANUP_FREE char *encoding = NULL;
    int64_t begun_ms;
    struct sink sink = { .restore = restore, .database = database, .fd = out_fd };
    struct rescue_plan plan = { 0 };
    int rc = restore_member(restore, ROLE_MAIN, database, &sink.main_member);

    if (rc == 0)
        rc = plan_ready(&sink, tables);
    if (rc == 0)
        rc = restore_archive(restore, sink.main_member, -1, &archive);
    if (rc == 0) {
        sink.encoding = encoding = encoding_of_archive(archive);
        rc = plan_make(&sink, archive, tables, schema, &plan);
    }
    if (rc == 0 && out_fd < 0)
        rc = table_connect(restore, database, target_database, tables, schema, &conn);
    begun_ms = clock_mono_ms();
    if (rc == 0)
        rc = sink_ready(&sink, &plan);
    if (rc == 0 && conn != NULL && clock_mono_ms() - begun_ms > RESTORE_STALE_MS) {
        pg_close(STEAL(conn));
        rc = table_connect(restore, database, target_database, tables, schema, &conn);
    }
    sink.conn = conn;
    if (rc == 0)
        rc = sink_run(&sink, &plan);
    if (rc == 0)
        log_info("%" PRIu64 " bytes fetched for the rows", sink.fetched);
    rescue_plan_free(&plan);
    free(sink.schema);
    return rc;
}
