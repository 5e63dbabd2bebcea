/* SPDX-License-Identifier: PostgreSQL
 *
 * What belongs to the chosen tables: their rows and sequences, then what names one
 * of them in its SQL (indexes, constraints, triggers, …), last what hangs on any of
 * those (comments, grants, labels). Collects the names that move on the way.
 */
#include "config.h"

#include "pg/rescue-select.h"

#include "base/error.h"
#include "base/mem.h"
#include "pg/sql.h"

#include <stdlib.h>
#include <string.h>

static void
rescue_choose_rows(const struct archive *archive, struct rescue_selection *s)
{
    for (size_t i = 0; i < archive->len; i++) {
        const struct archive_entry *entry = &archive->entries[i];
        struct rescue_name table = { entry->schema, entry->tag, 0 };
        enum rescue_class class = rescue_class_of(entry, NULL);

        if (class == RESCUE_ROWS)
            s->chosen[i] = rescue_is_chosen(s, &table);
        if (class == RESCUE_TABLE && s->chosen[i])
            rescue_names_add(&s->moves.tables, entry->schema, entry->tag, i);
    }
    rescue_names_sort(&s->moves.tables);
}

/* Does the entry's SQL name a chosen table behind `word`? */
static bool
rescue_names_chosen(const struct rescue_selection *s, const struct archive_entry *entry, const char *word)
{
    CLEANUP_RESCUE_NAME struct rescue_name table = { 0 };

    return entry->defn != NULL && rescue_name_after(entry->defn, word, &table, NULL) == 0 &&
           rescue_is_chosen(s, &table);
}

/* ALTER TABLE … DISABLE TRIGGER, a TRIGGER entry of its own: the partition has that trigger from its table. */
static bool
rescue_is_trigger_state(const struct rescue_selection *s, const struct archive_entry *entry)
{
    CLEANUP_RESCUE_NAME struct rescue_name table = { 0 };
    const struct rescue_name *found;
    const char *sql = entry->defn;
    struct sql_token token;

    if (strcmp(entry->desc, "TRIGGER") != 0 || sql == NULL || sql_next_word(&sql, &token) < 0 ||
        !sql_is(&token, "alter") || rescue_name_after(sql, "table", &table, NULL) < 0)
        return false;
    found = rescue_names_find(&s->all, table.schema, table.name);
    return found != NULL && s->attached[found->entry];
}

/* ALTER SEQUENCE sequence OWNED BY table.column */
static bool
rescue_is_owned(const struct rescue_selection *s, const struct archive_entry *entry, struct rescue_name *ret_sequence)
{
    return rescue_names_chosen(s, entry, "by") &&
           rescue_name_after(entry->defn, "sequence", ret_sequence, NULL) == 0;
}

/* Sequences of identity columns and owned ones; one that a default merely uses stays where it is. */
static void
rescue_choose_sequences(const struct archive *archive, struct rescue_selection *s)
{
    struct rescue_names *others = &s->moves.others;

    for (size_t i = 0; i < archive->len; i++) {
        const struct archive_entry *entry = &archive->entries[i];
        enum rescue_class class = rescue_class_of(entry, NULL);
        CLEANUP_RESCUE_NAME struct rescue_name sequence = { 0 };

        if (class == RESCUE_OWNED_BY && rescue_is_owned(s, entry, &sequence)) {
            s->chosen[i] = true;
            rescue_names_add(others, sequence.schema, sequence.name, i);
        } else if (class == RESCUE_SEQUENCE && entry->schema != NULL && entry->tag != NULL &&
                   rescue_names_chosen(s, entry, "table")) {
            rescue_names_add(others, entry->schema, entry->tag, i);
        }
    }
    rescue_names_sort(others);
    for (size_t i = 0; i < archive->len; i++) {
        const struct archive_entry *entry = &archive->entries[i];
        enum rescue_class class = rescue_class_of(entry, NULL);

        if (class == RESCUE_SEQUENCE || class == RESCUE_SEQUENCE_SET)
            s->chosen[i] = rescue_names_find(others, entry->schema, entry->tag) != NULL;
    }
}

/* The name of the index that CREATE INDEX or ADD CONSTRAINT makes; NULL when it makes none. */
static char *
rescue_index_name(const struct archive_entry *entry)
{
    bool constraint = strcmp(entry->desc, "CONSTRAINT") == 0;
    const char *sql = entry->defn;
    struct sql_token token, name;

    if (!constraint && strcmp(entry->desc, "INDEX") != 0)
        return NULL;
    do {
        if (sql_next_word(&sql, &token) < 0 || token.kind == SQL_END)
            return NULL;
    } while (!sql_is(&token, constraint ? "constraint" : "index"));
    if (sql_next_word(&sql, &name) < 0 || name.kind != SQL_IDENT || sql_next_word(&sql, &token) < 0)
        return NULL;
    if (constraint && !sql_is(&token, "primary") && !sql_is(&token, "unique") && !sql_is(&token, "exclude"))
        return NULL;
    return sql_name(&name);
}

static void
rescue_add_part(const struct archive_entry *entry, size_t i, struct rescue_selection *s)
{
    CLEANUP_FREE char *index = rescue_index_name(entry);

    s->chosen[i] = true;
    s->fragile[i] = strcmp(entry->desc, "FK CONSTRAINT") == 0;
    if (entry->schema != NULL && index != NULL)
        rescue_names_add(&s->moves.others, entry->schema, index, i);
    if (entry->schema != NULL && entry->tag != NULL && strcmp(entry->desc, "STATISTICS") == 0)
        rescue_names_add(&s->moves.statistics, entry->schema, entry->tag, i);
}

/* ALTER INDEX parent ATTACH PARTITION child: when both are made. */
static bool
rescue_attaches_chosen(const struct rescue_selection *s, const char *defn)
{
    CLEANUP_RESCUE_NAME struct rescue_name parent = { 0 };
    CLEANUP_RESCUE_NAME struct rescue_name child = { 0 };

    return defn != NULL && rescue_name_after(defn, "index", &parent, NULL) == 0 &&
           rescue_name_after(defn, "partition", &child, NULL) == 0 &&
           rescue_names_find(&s->moves.others, parent.schema, parent.name) != NULL &&
           rescue_names_find(&s->moves.others, child.schema, child.name) != NULL;
}

static void
rescue_choose_parts(const struct archive *archive, struct rescue_selection *s)
{
    for (size_t i = 0; i < archive->len; i++) {
        const char *word = NULL;

        if (rescue_class_of(&archive->entries[i], &word) == RESCUE_PART &&
            (rescue_names_chosen(s, &archive->entries[i], word) ||
             rescue_is_trigger_state(s, &archive->entries[i])))
            rescue_add_part(&archive->entries[i], i, s);
    }
    rescue_names_sort(&s->moves.others);
    rescue_names_sort(&s->moves.statistics);
    for (size_t i = 0; i < archive->len; i++) {
        const struct archive_entry *entry = &archive->entries[i];
        enum rescue_class class = rescue_class_of(entry, NULL);
        CLEANUP_RESCUE_NAME struct rescue_name parent = { 0 };
        CLEANUP_RESCUE_NAME struct rescue_name child = { 0 };

        if (class == RESCUE_INDEX_ATTACH)
            s->chosen[i] = rescue_attaches_chosen(s, entry->defn);
        else if (class == RESCUE_ATTACH && entry->defn != NULL)
            s->chosen[i] = rescue_attach_parse(entry->defn, &parent, &child) == 0 && rescue_is_chosen(s, &parent) &&
                           rescue_is_chosen(s, &child);
    }
}

struct rescue_id {
    int dump_id;
    size_t entry;
};

static int
rescue_id_compare(const void *a, const void *b)
{
    const struct rescue_id *left = a, *right = b;

    return (left->dump_id > right->dump_id) - (left->dump_id < right->dump_id);
}

/* Comments, grants and labels depend on what they are about. */
static void
rescue_choose_added(const struct archive *archive, struct rescue_selection *s)
{
    CLEANUP_FREE struct rescue_id *ids = mem_realloc_array(NULL, archive->len, sizeof *ids);

    for (size_t i = 0; i < archive->len; i++)
        ids[i] = (struct rescue_id){ archive->entries[i].dump_id, i };
    qsort(ids, archive->len, sizeof *ids, rescue_id_compare);
    for (size_t i = 0; i < archive->len; i++) {
        const struct archive_entry *entry = &archive->entries[i];

        if (rescue_class_of(entry, NULL) != RESCUE_ADDED)
            continue;
        for (size_t k = 0; k < entry->dep_count; k++) {
            struct rescue_id key = { entry->deps[k], 0 };
            const struct rescue_id *about = bsearch(&key, ids, archive->len, sizeof key, rescue_id_compare);

            if (about != NULL && s->chosen[about->entry] && about->entry != i) {
                s->chosen[i] = true;
                s->fragile[i] = s->fragile[about->entry];
            }
        }
    }
}

/* Things of several schemas end up in one. */
static int
rescue_check_clash(const struct rescue_selection *s, const struct rescue_names *names)
{
    for (size_t i = 1; i < names->len; i++) {
        const struct rescue_name *a = &names->items[i - 1], *b = &names->items[i];
        CLEANUP_FREE char *left = NULL;
        CLEANUP_FREE char *right = NULL;

        if (strcmp(a->name, b->name) != 0)
            continue;
        left = rescue_name_show(a->schema, a->name);
        right = rescue_name_show(b->schema, b->name);
        (void)error_set(ERROR_USAGE, "'%s' and '%s' would have one name in schema '%s'", left, right,
                        s->moves.target);
        return error_hint(ERROR_USAGE, "rescue the tables one after the other, into schemas of their own");
    }
    return 0;
}

/* Tables, indexes and sequences share a name space; statistics have their own. */
static int
rescue_check_clashes(const struct rescue_selection *s)
{
    const struct rescue_names *const sets[] = { &s->moves.tables, &s->moves.others };
    struct rescue_names relations = { 0 };
    int rc;

    if (s->moves.target == NULL)
        return 0;
    for (size_t k = 0; k < ARRAY_LEN(sets); k++)
        for (size_t i = 0; i < sets[k]->len; i++)
            rescue_names_add(&relations, sets[k]->items[i].schema, sets[k]->items[i].name, 0);
    rescue_names_sort(&relations);
    rc = rescue_check_clash(s, &relations);
    rescue_names_free(&relations);
    return rc < 0 ? rc : rescue_check_clash(s, &s->moves.statistics);
}

int
rescue_choose_belongings(const struct archive *archive, struct rescue_selection *selection)
{
    rescue_choose_rows(archive, selection);
    rescue_choose_sequences(archive, selection);
    rescue_choose_parts(archive, selection);
    rescue_choose_added(archive, selection);
    return rescue_check_clashes(selection);
}
