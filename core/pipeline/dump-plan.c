/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/dump-plan.h"

#include "base/error.h"
#include "base/mem.h"
#include "config/option.h"
#include "pg/encoding.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    TABLE_SIZE_LEAST = 8 * 1024 * 1024, /* smaller tables are not worth a pg_dump of their own */
    TABLE_SHARE = 200,                  /* so there are never more than 200 of them */
};

char *
dump_pattern(const char *schema, const char *name)
{
    const char *const parts[] = { schema, name };
    struct buf pattern = BUF_INIT(1024);

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        (void)buf_adds(&pattern, i == 0 ? "\"" : ".\""); /* names have at most 63 bytes: below the limit */
        for (const char *p = parts[i]; *p != '\0'; p++)
            (void)buf_addf(&pattern, "%s%c", *p == '"' ? "\"" : "", *p);
        (void)buf_adds(&pattern, "\"");
    }
    return buf_take(&pattern);
}

/* 'SCHEMA.TABLE' with * and ? as a LIKE pattern over schema || '.' || table; without a '.' in any schema. */
static char *
plan_like(const char *pattern)
{
    struct buf like = BUF_INIT(64 * 1024);
    int rc = strchr(pattern, '.') == NULL ? buf_adds(&like, "%.") : 0;

    for (const char *p = pattern; *p != '\0' && rc == 0; p++) {
        if (*p == '*' || *p == '?')
            rc = buf_adds(&like, *p == '*' ? "%" : "_");
        else
            rc = buf_addf(&like, "%s%c", strchr("%_\\", *p) ? "\\" : "", *p);
    }
    return buf_take(&like);
}

/* All tables (and what is like them) that a pattern means, with the partitions and children below those. */
static const char match_sql[] =
    "WITH RECURSIVE hit AS ("
    " SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    "  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
    "   AND n.nspname || '.' || c.relname LIKE $1"
    " UNION SELECT i.inhrelid FROM pg_inherits i JOIN hit ON i.inhparent = hit.oid)"
    "SELECT n.nspname, c.relname, c.oid FROM hit JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace"
    " ORDER BY 1, 2";

/* A pattern for exactly that table, as pg_dump reads it: in the encoding of the database. */
static int
plan_pattern(const struct dump_plan *plan, const char *schema, const char *name, char **ret_pattern)
{
    CLEANUP_FREE char *pattern = dump_pattern(schema, name);
    const char *p = pattern;

    while (*p != '\0' && (unsigned char)*p < 0x80)
        p++;
    if (*p == '\0') {
        *ret_pattern = STEAL(pattern);
        return 0;
    }
    return encoding_convert(pattern, "UTF8", plan->encoding, ret_pattern);
}

/* Add `option`=pattern for each match of each word of `list` to the arguments, and the oids to `oids`. */
static int
plan_match(struct pg_conn *conn, const char *list, const char *option, bool needed, struct dump_plan *plan,
           struct strv *oids)
{
    CLEANUP_STRV struct strv words = { 0 };

    if (list == NULL)
        return 0;
    option_words(list, &words);
    for (size_t i = 0; i < words.len; i++) {
        CLEANUP(pg_clear) PGresult *result = NULL;
        CLEANUP_FREE char *like = plan_like(words.items[i]);
        const char *params[] = { like };
        int rc = pg_query(conn, match_sql, params, 1, &result);

        if (rc < 0)
            return rc;
        if (PQntuples(result) == 0 && needed) {
            (void)error_set(ERROR_USAGE, "no table matches '%s'", words.items[i]);
            return error_hint(ERROR_USAGE, "write SCHEMA.TABLE as it is in the catalog, with * and ? as wildcards");
        }
        for (int row = 0; row < PQntuples(result); row++) {
            CLEANUP_FREE char *pattern = NULL;

            rc = plan_pattern(plan, PQgetvalue(result, row, 0), PQgetvalue(result, row, 1), &pattern);
            if (rc < 0)
                return rc;
            strv_addf(&plan->arguments, "%s=%s", option, pattern);
            strv_add(oids, PQgetvalue(result, row, 2));
        }
    }
    return 0;
}

static const char big_sql[] =
    "SELECT n.nspname, c.relname, pg_table_size(c.oid), c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence IN ('p', 'u')"
    " AND pg_table_size(c.oid) >= $1::bigint"
    /* rows of an extension's tables are dumped or not as the extension says: pg_dump knows, in the main member */
    " AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"
    " ORDER BY 3 DESC, 1, 2";

static int
plan_big(struct pg_conn *conn, uint64_t least, const struct strv *in, const struct strv *out, struct dump_plan *plan)
{
    CLEANUP(pg_clear) PGresult *result = NULL;
    CLEANUP_FREE char *least_text = mem_printf("%" PRIu64, least);
    const char *params[] = { least_text };
    int rc = pg_query(conn, big_sql, params, 1, &result);

    for (int row = 0; rc == 0 && row < PQntuples(result); row++) {
        const char *oid = PQgetvalue(result, row, 3);
        struct dump_table *table;

        if ((in->len > 0 && !strv_has(in, oid)) || strv_has(out, oid))
            continue;
        MEM_GROW(plan->tables, plan->len, plan->cap);
        table = &plan->tables[plan->len++];
        table->schema = mem_strdup(PQgetvalue(result, row, 0));
        table->name = mem_strdup(PQgetvalue(result, row, 1));
        table->size = strtoull(PQgetvalue(result, row, 2), NULL, 10);
        rc = plan_pattern(plan, table->schema, table->name, &table->pattern);
        if (rc == 0)
            strv_addf(&plan->arguments, "--exclude-table-data=%s", table->pattern);
        plan->main_size -= table->size < plan->main_size ? table->size : plan->main_size;
    }
    return rc;
}

/* Nobody may drop, truncate or rewrite a table between the snapshot and the moment its own pg_dump gets there. */
static int
plan_lock(struct pg_conn *conn, const struct dump_plan *plan)
{
    for (size_t i = 0; i < plan->len; i++) {
        CLEANUP_FREE char *schema = pg_ident(conn, plan->tables[i].schema);
        CLEANUP_FREE char *name = pg_ident(conn, plan->tables[i].name);
        int rc = pg_runf(conn, "LOCK TABLE ONLY %s.%s IN ACCESS SHARE MODE", schema, name);

        if (rc < 0)
            return error_context(rc, "table %s.%s", schema, name);
    }
    return 0;
}

static int
plan_size(struct pg_conn *conn, struct dump_plan *plan)
{
    CLEANUP_FREE char *text = NULL;
    int rc = pg_value(conn, "SELECT pg_database_size(current_database())", NULL, 0, &text);

    if (rc == 0)
        plan->size = plan->main_size = strtoull(text ? text : "0", NULL, 10);
    return rc;
}

int
dump_plan_make(struct pg_conn *conn, const struct dump_selection *selection, struct dump_plan *ret_plan)
{
    struct dump_plan plan = { 0 };
    CLEANUP_STRV struct strv in = { 0 }, out = { 0 };
    uint64_t least = (uint64_t)selection->table_size;
    int rc = plan_size(conn, &plan);

    if (rc == 0)
        rc = pg_value(conn, "SELECT getdatabaseencoding()", NULL, 0, &plan.encoding);
    if (rc == 0)
        rc = plan_match(conn, selection->tables, "--table", true, &plan, &in);
    if (rc == 0)
        rc = plan_match(conn, selection->exclude_tables, "--exclude-table", false, &plan, &out);
    if (rc == 0)
        rc = plan_match(conn, selection->exclude_table_data, "--exclude-table-data", false, &plan, &out);
    if (least == 0)
        least = plan.size / TABLE_SHARE > TABLE_SIZE_LEAST ? plan.size / TABLE_SHARE : TABLE_SIZE_LEAST;
    if (rc == 0 && strcmp(selection->content, "schema") != 0)
        rc = plan_big(conn, least, &in, &out, &plan);
    if (rc == 0)
        rc = plan_lock(conn, &plan);
    if (rc < 0) {
        dump_plan_free(&plan);
        return rc;
    }
    if (strcmp(selection->content, "schema") == 0)
        plan.main_size = 0;
    *ret_plan = plan;
    return 0;
}

void
dump_plan_free(struct dump_plan *plan)
{
    for (size_t i = 0; i < plan->len; i++) {
        free(plan->tables[i].schema);
        free(plan->tables[i].name);
        free(plan->tables[i].pattern);
    }
    free(plan->tables);
    free(plan->encoding);
    strv_free(&plan->arguments);
    *plan = (struct dump_plan){ 0 };
}
