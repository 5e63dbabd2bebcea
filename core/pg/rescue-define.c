/* SPDX-License-Identifier: PostgreSQL
 *
 * The SQL that makes an entry in its new place. Mostly its definition with the
 * names moved; what would reach out to things that are not rescued is taken off,
 * what entries hold beside their SQL is put to it.
 */
#include "config.h"

#include "pg/rescue-define.h"

#include "base/error.h"
#include "base/mem.h"
#include "pg/sql.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

char *
rescue_define_name(const struct rescue_selection *s, const char *schema, const char *name)
{
    return rescue_name_quote(s->moves.target != NULL ? s->moves.target : schema, name);
}

bool
rescue_is_partitioned(const struct archive_entry *entry)
{
    const char *sql = entry->defn;
    struct sql_token token;

    if (entry->relkind != 0 || sql == NULL)
        return entry->relkind == 'p';
    return rescue_find_word(&sql, "partition") == 0 && sql_next_word(&sql, &token) == 0 && sql_is(&token, "by");
}

/* Drop from a table's statements those that attach it to something that is not rescued. */
static int
rescue_detach(const struct rescue_selection *s, const char *defn, struct buf *sql)
{
    CLEANUP_STRV struct strv statements = { 0 };
    int rc;

    if (strstr(defn, "ATTACH PARTITION") == NULL)
        return buf_adds(sql, defn);
    rc = sql_split(defn, &statements);
    for (size_t i = 0; rc == 0 && i < statements.len; i++) {
        CLEANUP_RESCUE_NAME struct rescue_name parent = { 0 };
        CLEANUP_RESCUE_NAME struct rescue_name child = { 0 };

        if (rescue_attach_parse(statements.items[i], &parent, &child) < 0 || rescue_is_chosen(s, &parent))
            rc = buf_addf(sql, "%s;\n", statements.items[i]);
    }
    return rc;
}

/* Behind CREATE TABLE … INHERITS (a, b): let go of the parents that are not rescued, or those that are there would
 * show the rescued rows, too. The columns stay. */
static int
rescue_disinherit(const struct rescue_selection *s, const struct archive_entry *entry, struct buf *sql)
{
    CLEANUP_FREE char *child = rescue_name_quote(entry->schema, entry->tag);
    const char *at = entry->defn;
    struct sql_token token;
    int rc;

    if (s->moves.target == NULL || rescue_find_word(&at, "inherits") < 0)
        return 0;
    rc = sql_next_word(&at, &token);
    while (rc == 0 && (sql_is(&token, "(") || sql_is(&token, ","))) {
        CLEANUP_RESCUE_NAME struct rescue_name parent = { 0 };
        CLEANUP_FREE char *name = NULL;

        rc = rescue_name_read(&at, &parent);
        if (rc < 0)
            return error_context(ERROR_CORRUPT, "parents of table '%s'", entry->tag);
        name = rescue_name_quote(parent.schema, parent.name);
        if (!rescue_is_chosen(s, &parent))
            rc = buf_addf(sql, "\nALTER TABLE ONLY %s NO INHERIT %s;", child, name);
        if (rc == 0)
            rc = sql_next_word(&at, &token);
    }
    return rc;
}

/* PostgreSQL 17: a partitioned table has no storage, its access method is one for partitions to come. */
static int
rescue_add_tableam(const struct archive_entry *entry, struct buf *sql)
{
    CLEANUP_FREE char *table = rescue_name_quote(entry->schema, entry->tag);
    CLEANUP_FREE char *method = NULL;

    if (entry->tableam == NULL || *entry->tableam == '\0' || entry->relkind != 'p')
        return 0;
    method = sql_quote_ident(entry->tableam);
    return buf_addf(sql, "\nALTER TABLE %s SET ACCESS METHOD %s;", table, method);
}

static int
rescue_define_table(const struct rescue_selection *s, const struct archive_entry *entry, struct buf *sql)
{
    int rc = rescue_detach(s, entry->defn, sql);

    if (rc == 0)
        rc = rescue_disinherit(s, entry, sql);
    return rc < 0 ? rc : rescue_add_tableam(entry, sql);
}

/* SET SESSION AUTHORIZATION "role" in the statement: the role, else NULL. */
static char *
rescue_grantor(const char *statement)
{
    static const char *const words[] = { "set", "session", "authorization" };
    struct sql_token token;

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (sql_next_word(&statement, &token) < 0 || !sql_is(&token, words[i]))
            return NULL;
    return sql_next_word(&statement, &token) == 0 && token.kind == SQL_IDENT ? sql_name(&token) : NULL;
}

/* Whoever passed a right on must be able to look into the new schema while that is done again. */
static int
rescue_define_acl(const struct rescue_selection *s, const struct archive_entry *entry, struct buf *sql)
{
    CLEANUP_STRV struct strv statements = { 0 };
    CLEANUP_STRV struct strv grantors = { 0 };
    CLEANUP_FREE char *schema = s->moves.target != NULL ? sql_quote_ident(s->moves.target) : NULL;
    int rc = sql_split(entry->defn, &statements);

    for (size_t i = 0; schema != NULL && i < statements.len; i++) {
        CLEANUP_FREE char *name = rescue_grantor(statements.items[i]);
        CLEANUP_FREE char *role = name != NULL ? sql_quote_ident(name) : NULL;

        if (role != NULL && !strv_has(&grantors, role))
            strv_add(&grantors, role);
    }
    for (size_t i = 0; rc == 0 && i < grantors.len; i++)
        rc = buf_addf(sql, "GRANT USAGE ON SCHEMA %s TO %s;\n", schema, grantors.items[i]);
    if (rc == 0)
        rc = buf_adds(sql, entry->defn);
    for (size_t i = 0; rc == 0 && i < grantors.len; i++)
        rc = buf_addf(sql, "\nREVOKE USAGE ON SCHEMA %s FROM %s;", schema, grantors.items[i]);
    return rc;
}

int
rescue_define(const struct rescue_selection *s, const struct archive_entry *entry, char **ret_sql)
{
    CLEANUP_BUF struct buf sql = BUF_INIT(SIZE_MAX / 4);
    CLEANUP_FREE char *text = NULL;
    int rc;

    if (rescue_class_of(entry, NULL) == RESCUE_TABLE)
        rc = rescue_define_table(s, entry, &sql);
    else if (strcmp(entry->desc, "ACL") == 0)
        rc = rescue_define_acl(s, entry, &sql);
    else
        rc = buf_adds(&sql, entry->defn);
    text = buf_take(&sql);
    if (rc == 0)
        rc = rescue_move(&s->moves, text, ret_sql);
    if (rc < 0)
        return error_context(rc, "entry %d of the archive (%s)", entry->dump_id, entry->desc);
    return 0;
}

char *
rescue_define_owner(const struct rescue_selection *s, const struct archive_entry *entry)
{
    static const char *const kinds[] = { "TABLE", "FOREIGN TABLE", "SEQUENCE", "STATISTICS" };
    CLEANUP_FREE char *name = NULL;
    CLEANUP_FREE char *owner = NULL;
    size_t i = 0;

    if (entry->owner == NULL || *entry->owner == '\0' || entry->schema == NULL || entry->tag == NULL)
        return NULL;
    if (rescue_class_of(entry, NULL) == RESCUE_SEQUENCE && strncmp(entry->defn, "CREATE", 6) != 0)
        return NULL; /* of an identity column: its owner is always the table's */
    while (i < ARRAY_LEN(kinds) && strcmp(entry->desc, kinds[i]) != 0)
        i++;
    if (i == ARRAY_LEN(kinds))
        return NULL;
    name = rescue_define_name(s, entry->schema, entry->tag);
    owner = sql_quote_ident(entry->owner);
    return mem_printf("ALTER %s %s OWNER TO %s;", kinds[i], name, owner);
}

int
rescue_define_copy(const struct rescue_selection *s, const struct archive_entry *entry, char **ret_sql)
{
    CLEANUP_RESCUE_NAME struct rescue_name table = { 0 };
    CLEANUP_FREE char *name = NULL;
    const char *rest = "";

    if (entry->copy_stmt == NULL || *entry->copy_stmt == '\0')
        return error_set(PGCASK_UNSUPPORTED, "rows of table '%s' were dumped as INSERT statements, not for COPY",
                         entry->tag);
    if (rescue_name_after(entry->copy_stmt, "copy", &table, &rest) < 0)
        return error_context(ERROR_CORRUPT, "entry %d of the archive (%s)", entry->dump_id, entry->desc);
    /* pg_dump --load-via-partition-root names the root: only good when the root is rescued, too */
    name = rescue_is_chosen(s, &table) ? rescue_define_name(s, table.schema, table.name)
                                       : rescue_define_name(s, entry->schema, entry->tag);
    *ret_sql = mem_printf("COPY %s%s", name, rest);
    return 0;
}
