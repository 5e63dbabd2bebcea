/* SPDX-License-Identifier: PostgreSQL
 *
 * From the words of the user to tables of the archive, with their partitions.
 * What belongs to those is found by rescue-belong.c.
 */
#include "config.h"

#include "pg/rescue-select.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/parse.h"
#include "pg/sql.h"

#include <stdlib.h>
#include <string.h>

/* `word`: where in a definition the table is named */
static const struct rescue_rule {
    const char *desc;
    enum rescue_class class;
    const char *word;
} rescue_rules[] = {
    { "TABLE", RESCUE_TABLE, NULL },
    { "FOREIGN TABLE", RESCUE_TABLE, NULL },
    { "TABLE DATA", RESCUE_ROWS, NULL },
    { "TABLE ATTACH", RESCUE_ATTACH, NULL },
    { "SEQUENCE", RESCUE_SEQUENCE, NULL },
    { "SEQUENCE OWNED BY", RESCUE_OWNED_BY, NULL },
    { "SEQUENCE SET", RESCUE_SEQUENCE_SET, NULL },
    { "DEFAULT", RESCUE_PART, "table" },
    { "CONSTRAINT", RESCUE_PART, "table" },
    { "CHECK CONSTRAINT", RESCUE_PART, "table" },
    { "FK CONSTRAINT", RESCUE_PART, "table" },
    { "ROW SECURITY", RESCUE_PART, "table" },
    { "INDEX", RESCUE_PART, "on" },
    { "TRIGGER", RESCUE_PART, "on" },
    { "POLICY", RESCUE_PART, "on" },
    { "RULE", RESCUE_PART, "to" },
    { "STATISTICS", RESCUE_PART, "from" },
    { "INDEX ATTACH", RESCUE_INDEX_ATTACH, NULL },
    { "COMMENT", RESCUE_ADDED, NULL },
    { "ACL", RESCUE_ADDED, NULL },
    { "SECURITY LABEL", RESCUE_ADDED, NULL },
};

enum rescue_class
rescue_class_of(const struct archive_entry *entry, const char **ret_word)
{
    for (size_t i = 0; entry->desc != NULL && i < ARRAY_LEN(rescue_rules); i++)
        if (strcmp(entry->desc, rescue_rules[i].desc) == 0) {
            if (ret_word != NULL)
                *ret_word = rescue_rules[i].word;
            return rescue_rules[i].class;
        }
    return RESCUE_OTHER;
}

bool
rescue_is_chosen(const struct rescue_selection *selection, const struct rescue_name *table)
{
    const struct rescue_name *found = rescue_names_find(&selection->all, table->schema, table->name);

    return found != NULL && selection->chosen[found->entry];
}

/* Names of the tables of one class that are not among `known`. */
static void
rescue_index_class(const struct archive *archive, enum rescue_class class, const struct rescue_names *known,
                   struct rescue_names *names)
{
    for (size_t i = 0; i < archive->len; i++) {
        const struct archive_entry *entry = &archive->entries[i];

        if (rescue_class_of(entry, NULL) == class && entry->schema != NULL && entry->tag != NULL &&
            rescue_names_find(known, entry->schema, entry->tag) == NULL)
            rescue_names_add(names, entry->schema, entry->tag, i);
    }
    rescue_names_sort(names);
}

static void
rescue_index_tables(const struct archive *archive, struct rescue_selection *s)
{
    struct rescue_names none = { 0 }, rows = { 0 };

    rescue_index_class(archive, RESCUE_TABLE, &none, &s->all);
    s->data_only = s->all.len == 0;
    rescue_index_class(archive, RESCUE_ROWS, &s->all, &rows);
    for (size_t i = 0; i < rows.len; i++)
        rescue_names_add(&s->all, rows.items[i].schema, rows.items[i].name, rows.items[i].entry);
    rescue_names_sort(&s->all);
    rescue_names_free(&rows);
}

static int
rescue_unknown_table(const struct rescue_selection *s, const char *word, const struct rescue_name *wanted)
{
    CLEANUP_STRV struct strv shown = { 0 };
    CLEANUP_FREE char *plain = rescue_name_show(wanted->schema, wanted->name);
    const char *nearest;

    for (size_t i = 0; i < s->all.len; i++)
        strv_take(&shown, rescue_name_show(s->all.items[i].schema, s->all.items[i].name));
    nearest = parse_nearest(plain, (const char *const *)shown.items, shown.len);
    (void)error_set(ERROR_USAGE, "no table '%s' in this backup", word);
    if (nearest != NULL)
        return error_hint(ERROR_USAGE, "did you mean '%s'?", nearest);
    return ERROR_USAGE;
}

/* No SCHEMA.TABLE, but perhaps a table's name alone. */
static int
rescue_unreadable(const struct rescue_selection *s, const char *word, int rc)
{
    for (size_t i = 0; i < s->all.len; i++)
        if (strcmp(s->all.items[i].name, word) == 0) {
            CLEANUP_FREE char *shown = rescue_name_show(s->all.items[i].schema, word);

            return error_hint(rc, "did you mean '%s'?", shown);
        }
    return rc;
}

static int
rescue_choose_asked(const struct strv *tables, struct rescue_selection *s)
{
    for (size_t i = 0; i < tables->len; i++) {
        CLEANUP_RESCUE_NAME struct rescue_name wanted = { 0 };
        const struct rescue_name *found;
        int rc = rescue_name_parse(tables->items[i], &wanted);

        if (rc < 0)
            return rescue_unreadable(s, tables->items[i], rc);
        found = rescue_names_find(&s->all, wanted.schema, wanted.name);
        if (found == NULL)
            return rescue_unknown_table(s, tables->items[i], &wanted);
        s->chosen[found->entry] = true;
    }
    return 0;
}

struct rescue_edge {
    size_t parent, child; /* places of TABLE entries */
};
struct rescue_edges {
    struct rescue_edge *items;
    size_t len, cap;
};

static void
cleanup_rescue_edges(struct rescue_edges *edges)
{
    free(edges->items);
}

int
rescue_attach_parse(const char *statement, struct rescue_name *ret_parent, struct rescue_name *ret_child)
{
    CLEANUP_RESCUE_NAME struct rescue_name parent = { 0 };
    struct sql_token token;
    const char *rest = "";
    int rc = rescue_name_after(statement, "table", &parent, &rest);

    if (rc == 0)
        rc = sql_next_word(&rest, &token);
    if (rc < 0)
        return rc;
    if (!sql_is(&token, "attach"))
        return error_set(PGCASK_NOT_FOUND, "attaches no partition: '%.30s…'", statement);
    rc = rescue_name_after(rest, "partition", ret_child, NULL);
    if (rc == 0)
        *ret_parent = (struct rescue_name){ STEAL(parent.schema), STEAL(parent.name), 0 };
    return rc;
}

static void
rescue_add_edge(const struct rescue_selection *s, const char *statement, struct rescue_edges *edges)
{
    CLEANUP_RESCUE_NAME struct rescue_name parent = { 0 };
    CLEANUP_RESCUE_NAME struct rescue_name child = { 0 };
    const struct rescue_name *above, *below;

    if (rescue_attach_parse(statement, &parent, &child) < 0)
        return; /* some other statement */
    above = rescue_names_find(&s->all, parent.schema, parent.name);
    below = rescue_names_find(&s->all, child.schema, child.name);
    if (above == NULL || below == NULL)
        return;
    MEM_GROW(edges->items, edges->len, edges->cap);
    edges->items[edges->len++] = (struct rescue_edge){ above->entry, below->entry };
}

/* pg_dump of PostgreSQL 13 attaches a partition behind its CREATE TABLE, later ones in an entry of its own. */
static int
rescue_collect_edges(const struct archive *archive, const struct rescue_selection *s, struct rescue_edges *edges)
{
    for (size_t i = 0; i < archive->len; i++) {
        const struct archive_entry *entry = &archive->entries[i];
        enum rescue_class class = rescue_class_of(entry, NULL);
        CLEANUP_STRV struct strv statements = { 0 };
        int rc;

        if ((class != RESCUE_TABLE && class != RESCUE_ATTACH) || entry->defn == NULL ||
            strstr(entry->defn, "ATTACH PARTITION") == NULL)
            continue;
        rc = sql_split(entry->defn, &statements);
        if (rc < 0)
            return error_context(rc, "entry %d of the archive", entry->dump_id);
        for (size_t k = 0; k < statements.len; k++)
            rescue_add_edge(s, statements.items[k], edges);
    }
    return 0;
}

/* Partitions of chosen tables, and theirs. */
static int
rescue_choose_partitions(const struct archive *archive, struct rescue_selection *s)
{
    __attribute__((cleanup(cleanup_rescue_edges))) struct rescue_edges edges = { 0 };
    bool again = true;
    int rc = rescue_collect_edges(archive, s, &edges);

    while (rc == 0 && again) {
        again = false;
        for (size_t i = 0; i < edges.len; i++) {
            if (!s->chosen[edges.items[i].parent] || s->attached[edges.items[i].child])
                continue;
            s->attached[edges.items[i].child] = true;
            s->chosen[edges.items[i].child] = true;
            again = true;
        }
    }
    return rc;
}


static bool *
rescue_flags(const struct archive *archive)
{
    return mem_zalloc(archive->len * sizeof(bool)); /* of entries that are in memory: no overflow */
}

int
rescue_select(const struct archive *archive, const struct strv *tables, const char *target_schema,
              struct rescue_selection *ret_selection)
{
    __attribute__((cleanup(rescue_selection_free))) struct rescue_selection s = { .moves.target = target_schema };
    int rc;

    s.chosen = rescue_flags(archive);
    s.attached = rescue_flags(archive);
    s.fragile = rescue_flags(archive);
    rescue_index_tables(archive, &s);
    rc = rescue_choose_asked(tables, &s);
    if (rc == 0)
        rc = rescue_choose_partitions(archive, &s);
    if (rc == 0)
        rc = rescue_choose_belongings(archive, &s);
    if (rc < 0)
        return rc;
    *ret_selection = s;
    memset(&s, 0, sizeof s);
    return 0;
}

void
rescue_selection_free(struct rescue_selection *selection)
{
    free(selection->chosen);
    free(selection->attached);
    free(selection->fragile);
    rescue_names_free(&selection->all);
    rescue_moves_free(&selection->moves);
    memset(selection, 0, sizeof *selection);
}
