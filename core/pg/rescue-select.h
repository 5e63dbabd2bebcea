/* SPDX-License-Identifier: PostgreSQL
 *
 * Which entries of an archive belong to the tables that are asked for, and which
 * names move with them. For rescue*.c only.
 */
#ifndef PGCASK_PG_RESCUE_SELECT_H
#define PGCASK_PG_RESCUE_SELECT_H

#include "pg/archive.h"
#include "pg/rescue-move.h"

#include "base/buf.h"

#include <stdbool.h>

enum rescue_class {
    RESCUE_OTHER,        /* nothing of a table */
    RESCUE_TABLE,
    RESCUE_ROWS,         /* TABLE DATA */
    RESCUE_ATTACH,       /* a partition to its table */
    RESCUE_SEQUENCE,
    RESCUE_OWNED_BY,     /* a sequence to its column */
    RESCUE_SEQUENCE_SET,
    RESCUE_PART,         /* names its table in its SQL */
    RESCUE_INDEX_ATTACH,
    RESCUE_ADDED,        /* comment, grant, label: of what it depends on */
};
/* `ret_word` (may be NULL): for RESCUE_PART, the word behind which the SQL names the table. */
enum rescue_class rescue_class_of(const struct archive_entry *entry, const char **ret_word);

struct rescue_selection {
    bool *chosen;             /* for each entry */
    bool *attached;           /* for each entry: a chosen partition whose table is chosen, too */
    bool *fragile;            /* for each entry: a foreign key, or a comment on one */
    struct rescue_names all;  /* tables; `entry` is the TABLE, or TABLE DATA where that is all there is */
    struct rescue_moves moves;
    bool data_only;           /* no definition of any table */
};

/* ERROR_USAGE for a table that is not there, and for two things that would get the same name in `target_schema`. */
int rescue_select(const struct archive *archive, const struct strv *tables, const char *target_schema,
                  struct rescue_selection *ret_selection);
void rescue_selection_free(struct rescue_selection *selection);

/* rescue-belong.c: from the chosen tables to all that belongs to them, and the names that move. */
int rescue_choose_belongings(const struct archive *archive, struct rescue_selection *selection);

/* Is the table among those that are rescued? */
bool rescue_is_chosen(const struct rescue_selection *selection, const struct rescue_name *table);
/* Of ALTER TABLE parent ATTACH PARTITION child. PGCASK_NOT_FOUND when the statement is another one. */
int rescue_attach_parse(const char *statement, struct rescue_name *ret_parent, struct rescue_name *ret_child);

#endif
