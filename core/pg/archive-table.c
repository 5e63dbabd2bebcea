/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/archive-table.h"

#include "base/error.h"
#include "pg/rescue-names.h"

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

bool
archive_table_make(const struct archive *archive, struct archive_table *ret_table)
{
    static const char end[] = " FROM stdin;\n";
    CLEANUP_STRV struct strv after = { 0 };
    const struct archive_entry *entry = table_entry(archive, &after);
    CLEANUP_RESCUE_NAME struct rescue_name name = { 0 };
    CLEANUP_FREE char *quoted = NULL;
    const char *rest;
    size_t len;

    if (archive->compressed != 0 || entry == NULL || entry->copy_stmt == NULL || entry->schema == NULL || entry->tag == NULL)
        return false;
    if (rescue_name_after(entry->copy_stmt, "copy", &name, &rest) < 0) {
        error_clear();
        return false;
    }
    len = strlen(rest);
    if (strcmp(name.schema, entry->schema) != 0 || strcmp(name.name, entry->tag) != 0 || len < strlen(end) ||
        strcmp(rest + len - strlen(end), end) != 0)
        return false;
    quoted = rescue_name_quote(name.schema, name.name);
    *ret_table = (struct archive_table){
        .dump_id = entry->dump_id,
        .truncate_sql = mem_printf("TRUNCATE ONLY %s", quoted),
        .copy_sql = mem_printf("COPY %s%.*s WITH (FREEZE)", quoted, (int)(len - strlen(";\n")), rest),
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
