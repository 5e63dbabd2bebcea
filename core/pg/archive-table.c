/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/archive-table.h"

#include "base/error.h"
#include "pg/rescue-names.h"
#include "pg/sql.h"

#include <stdlib.h>
#include <string.h>

/* The entry with rows, when there is exactly one, and besides it nothing but values of sequences, which pg_dump writes
 * with the table that owns them. */
static const struct archive_entry *
table_entry(const struct archive *archive, struct strv *after)
{
    const struct archive_entry *found = NULL;

    for (size_t i = 0; i < archive->len; i++) {
        const struct archive_entry *entry = &archive->entries[i];

        if (entry->section != ARCHIVE_DATA)
            continue;
        if (entry->desc != NULL && strcmp(entry->desc, "SEQUENCE SET") == 0 && entry->defn != NULL)
            strv_add(after, entry->defn);
        else if (found == NULL && entry->desc != NULL && strcmp(entry->desc, "TABLE DATA") == 0)
            found = entry;
        else
            return NULL;
    }
    return found;
}

/* `rest`, what follows the table's name, is "(columns) FROM stdin;" or the same without columns, and nothing else: the
 * archive does not get to say any other statement here. `ret_columns`: the columns as they are written there. */
static bool
table_columns(const char *rest, const char **ret_columns, size_t *ret_len)
{
    static const char *const end[] = { "FROM", "stdin", ";" };
    struct sql_token token;

    if (sql_next_word(&rest, &token) < 0)
        return false;
    *ret_columns = token.start;
    *ret_len = 0;
    if (sql_is(&token, "(")) {
        do {
            if (sql_next_word(&rest, &token) < 0 || token.kind != SQL_IDENT || sql_next_word(&rest, &token) < 0)
                return false;
        } while (sql_is(&token, ","));
        if (!sql_is(&token, ")"))
            return false;
        *ret_len = (size_t)(token.start + token.len - *ret_columns);
        if (sql_next_word(&rest, &token) < 0)
            return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(end); i++)
        if (!sql_is(&token, end[i]) || sql_next_word(&rest, &token) < 0)
            return false;
    return token.kind == SQL_END;
}

bool
archive_table_make(const struct archive *archive, struct archive_table *ret_table)
{
    CLEANUP_STRV struct strv after = { 0 };
    const struct archive_entry *entry = table_entry(archive, &after);
    CLEANUP_RESCUE_NAME struct rescue_name name = { 0 };
    CLEANUP_FREE char *quoted = NULL;
    const char *rest, *columns;
    size_t len;

    if (archive->compressed != 0 || entry == NULL || entry->copy_stmt == NULL || entry->schema == NULL || entry->tag == NULL)
        return false;
    if (rescue_name_after(entry->copy_stmt, "copy", &name, &rest) < 0 || !table_columns(rest, &columns, &len)) {
        error_clear();
        return false;
    }
    if (strcmp(name.schema, entry->schema) != 0 || strcmp(name.name, entry->tag) != 0)
        return false;
    quoted = rescue_name_quote(name.schema, name.name);
    *ret_table = (struct archive_table){
        .dump_id = entry->dump_id,
        .truncate_sql = mem_printf("TRUNCATE ONLY %s", quoted),
        .copy_sql = mem_printf("COPY %s%s%.*s FROM stdin WITH (FREEZE)", quoted, len > 0 ? " " : "", (int)len, columns),
        .after = after,
    };
    after = (struct strv){ 0 };
    return true;
}

void
archive_table_free(struct archive_table *table)
{
    free(table->truncate_sql);
    free(table->copy_sql);
    strv_free(&table->after);
    *table = (struct archive_table){ 0 };
}
