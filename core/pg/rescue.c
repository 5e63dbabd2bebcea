/* SPDX-License-Identifier: PostgreSQL
 *
 * Puts what was selected into the order of a plan, with the session around it, as
 * pg_restore does.
 */
#include "config.h"

#include "pg/rescue.h"

#include "base/error.h"
#include "base/mem.h"
#include "pg/rescue-define.h"
#include "pg/sql.h"

#include <stdlib.h>
#include <string.h>

struct rescue_planner {
    const struct archive *archive;
    struct rescue_selection s;
    struct rescue_plan plan;
    const char *tablespace, *tableam; /* what the session has by now; NULL: not set yet */
};

static void
cleanup_rescue_planner(struct rescue_planner *p)
{
    rescue_selection_free(&p->s);
    rescue_plan_free(&p->plan);
}

static void
rescue_add_step(struct rescue_planner *p, struct rescue_step step)
{
    struct rescue_plan *plan = &p->plan;

    MEM_GROW(plan->steps, plan->len, plan->cap);
    plan->steps[plan->len++] = step;
}

/* Takes the text; pg_dump puts blank lines around its own. */
static void
rescue_add_sql(struct rescue_planner *p, char *sql, bool foreign_key)
{
    size_t blank = strspn(sql, " \n"), len = strlen(sql + blank);

    memmove(sql, sql + blank, len + 1);
    while (len > 0 && (sql[len - 1] == '\n' || sql[len - 1] == ' '))
        sql[--len] = '\0';
    if (len > 0)
        rescue_add_step(p, (struct rescue_step){ .kind = RESCUE_SQL, .sql = sql, .dump_id = -1,
                                                 .foreign_key = foreign_key });
    else
        free(sql);
}

/* The archive's own settings stand behind ours. */
static void
rescue_add_session(struct rescue_planner *p)
{
    static const char *const own[] = { "ENCODING", "STDSTRINGS", "SEARCHPATH" };
    static const char *const ours[] = {
        "SET statement_timeout = 0;",
        "SET idle_in_transaction_session_timeout = 0;",
        "SET standard_conforming_strings = on;",
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "SET check_function_bodies = false;",
        "SET xmloption = content;",
        "SET client_min_messages = warning;",
        "SET row_security = off;",
    };

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        rescue_add_sql(p, mem_strdup(ours[i]), false);
    for (size_t k = 0; k < ARRAY_LEN(own); k++)
        for (size_t i = 0; i < p->archive->len; i++) {
            const struct archive_entry *entry = &p->archive->entries[i];

            if (entry->desc != NULL && entry->defn != NULL && strcmp(entry->desc, own[k]) == 0)
                rescue_add_sql(p, mem_strdup(entry->defn), false);
        }
}

static void
rescue_add_schema(struct rescue_planner *p)
{
    CLEANUP_FREE char *schema = NULL;

    if (p->s.moves.target == NULL)
        return;
    schema = sql_quote_ident(p->s.moves.target);
    rescue_add_sql(p, mem_printf("CREATE SCHEMA IF NOT EXISTS %s;", schema), false);
}

static void
rescue_set_tablespace(struct rescue_planner *p, const char *tablespace)
{
    CLEANUP_FREE char *name = NULL;

    if (tablespace == NULL || (p->tablespace != NULL && strcmp(p->tablespace, tablespace) == 0))
        return;
    name = *tablespace != '\0' ? sql_quote_ident(tablespace) : mem_strdup("''");
    rescue_add_sql(p, mem_printf("SET default_tablespace = %s;", name), false);
    p->tablespace = tablespace;
}

static void
rescue_set_tableam(struct rescue_planner *p, const struct archive_entry *entry)
{
    CLEANUP_FREE char *name = NULL;

    if (entry->tableam == NULL || *entry->tableam == '\0' || entry->relkind == 'p' ||
        (p->tableam != NULL && strcmp(p->tableam, entry->tableam) == 0))
        return;
    name = sql_quote_ident(entry->tableam);
    rescue_add_sql(p, mem_printf("SET default_table_access_method = %s;", name), false);
    p->tableam = entry->tableam;
}

static int
rescue_add_entry(struct rescue_planner *p, size_t i)
{
    const struct archive_entry *entry = &p->archive->entries[i];
    char *sql = NULL, *owner;
    int rc;

    if (entry->defn == NULL || *entry->defn == '\0')
        return 0;
    rc = rescue_define(&p->s, entry, &sql);
    if (rc < 0)
        return rc;
    rescue_set_tablespace(p, entry->tablespace);
    rescue_set_tableam(p, entry);
    rescue_add_sql(p, sql, p->s.fragile[i]);
    owner = rescue_define_owner(&p->s, entry);
    if (owner != NULL)
        rescue_add_sql(p, owner, false);
    return 0;
}

static bool
rescue_is_foreign(const struct rescue_planner *p, const struct archive_entry *rows)
{
    const struct rescue_name *table = rescue_names_find(&p->s.all, rows->schema, rows->tag);

    return table != NULL && strcmp(p->archive->entries[table->entry].desc, "FOREIGN TABLE") == 0;
}

static int
rescue_add_rows(struct rescue_planner *p, const struct archive_entry *entry)
{
    char *sql = NULL;
    int rc;

    if (rescue_is_foreign(p, entry))
        return 0;
    rc = rescue_define_copy(&p->s, entry, &sql);
    if (rc < 0)
        return rc;
    rescue_add_step(p, (struct rescue_step){ .kind = RESCUE_DATA, .sql = sql, .schema = mem_strdup(entry->schema),
                                             .table = mem_strdup(entry->tag), .dump_id = entry->dump_id });
    return 0;
}

/* Tables that have rows, but not in this archive. */
static void
rescue_add_missing_rows(struct rescue_planner *p, const struct rescue_names *there)
{
    for (size_t i = 0; i < p->archive->len; i++) {
        const struct archive_entry *entry = &p->archive->entries[i];
        CLEANUP_FREE char *name = NULL;

        if (!p->s.chosen[i] || strcmp(entry->desc, "TABLE") != 0 || rescue_is_partitioned(entry) ||
            rescue_names_find(there, entry->schema, entry->tag) != NULL)
            continue;
        name = rescue_define_name(&p->s, entry->schema, entry->tag);
        rescue_add_step(p, (struct rescue_step){ .kind = RESCUE_DATA, .sql = mem_printf("COPY %s FROM stdin;\n", name),
                                                 .schema = mem_strdup(entry->schema),
                                                 .table = mem_strdup(entry->tag), .dump_id = -1 });
    }
}

static int
rescue_add_all_rows(struct rescue_planner *p)
{
    struct rescue_names there = { 0 };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < p->archive->len; i++) {
        const struct archive_entry *entry = &p->archive->entries[i];

        if (!p->s.chosen[i] || rescue_class_of(entry, NULL) != RESCUE_ROWS)
            continue;
        rescue_names_add(&there, entry->schema, entry->tag, i);
        rc = rescue_add_rows(p, entry);
    }
    rescue_names_sort(&there);
    if (rc == 0 && !p->s.data_only)
        rescue_add_missing_rows(p, &there);
    rescue_names_free(&there);
    return rc;
}

/* In a plan's order. Comments and labels have no section of their own: they go where the thing they are about
 * went, which pg_dump wrote before them. Grants come last, as rights might hinder what is still to be done. */
enum rescue_phase { RESCUE_BEFORE, RESCUE_VALUES, RESCUE_BEHIND, RESCUE_RIGHTS, RESCUE_PHASES };

static enum rescue_phase
rescue_phase_of(const struct archive_entry *entry, enum rescue_phase last)
{
    if (strcmp(entry->desc, "ACL") == 0)
        return RESCUE_RIGHTS;
    if (entry->section == ARCHIVE_NONE)
        return last;
    if (entry->section == ARCHIVE_PRE_DATA)
        return RESCUE_BEFORE;
    return entry->section == ARCHIVE_DATA ? RESCUE_VALUES : RESCUE_BEHIND;
}

static int
rescue_add_phase(struct rescue_planner *p, enum rescue_phase phase)
{
    enum rescue_phase last = RESCUE_BEFORE;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < p->archive->len; i++) {
        const struct archive_entry *entry = &p->archive->entries[i];
        enum rescue_phase own = entry->desc != NULL ? rescue_phase_of(entry, last) : last;

        if (own != RESCUE_RIGHTS)
            last = own;
        if (p->s.chosen[i] && own == phase && rescue_class_of(entry, NULL) != RESCUE_ROWS)
            rc = rescue_add_entry(p, i);
    }
    return rc;
}

int
rescue_plan_make(const struct archive *archive, const struct strv *tables, const char *target_schema,
                 struct rescue_plan *ret_plan)
{
    __attribute__((cleanup(cleanup_rescue_planner))) struct rescue_planner p = { .archive = archive };
    int rc = rescue_select(archive, tables, target_schema, &p.s);

    if (rc == 0 && !p.s.data_only) {
        rescue_add_schema(&p);
        rescue_add_session(&p);
        rc = rescue_add_phase(&p, RESCUE_BEFORE);
    }
    if (rc == 0)
        rc = rescue_add_all_rows(&p);
    for (enum rescue_phase phase = RESCUE_VALUES; rc == 0 && !p.s.data_only && phase < RESCUE_PHASES; phase++)
        rc = rescue_add_phase(&p, phase);
    if (rc < 0)
        return rc;
    *ret_plan = p.plan;
    memset(&p.plan, 0, sizeof p.plan);
    return 0;
}

void
rescue_plan_free(struct rescue_plan *plan)
{
    for (size_t i = 0; i < plan->len; i++) {
        free(plan->steps[i].sql);
        free(plan->steps[i].schema);
        free(plan->steps[i].table);
    }
    free(plan->steps);
    memset(plan, 0, sizeof *plan);
}
