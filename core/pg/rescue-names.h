/* SPDX-License-Identifier: PostgreSQL
 *
 * Qualified names: sets of them, and finding them in SQL. For rescue*.c and archive-table.c.
 */
#ifndef PGCASK_PG_RESCUE_NAMES_H
#define PGCASK_PG_RESCUE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct rescue_name {
    char *schema, *name;
    size_t entry; /* place in the archive's entries, where that matters */
};
void rescue_name_free(struct rescue_name *name);
void cleanup_rescue_name(struct rescue_name *name);
#define CLEANUP_RESCUE_NAME __attribute__((cleanup(cleanup_rescue_name)))

/* Move *sql behind the first `word` that is bare and outside parentheses. PGCASK_NOT_FOUND when there is none. */
int rescue_find_word(const char **sql, const char *word);
/* The qualified name at *sql, which then moves behind it; ONLY before it is passed over. PGCASK_NOT_FOUND likewise. */
int rescue_name_read(const char **sql, struct rescue_name *ret_name);
/* The qualified name behind the first `word`, as both do. `ret_rest` (may be NULL): what follows the name. */
int rescue_name_after(const char *sql, const char *word, struct rescue_name *ret_name, const char **ret_rest);
/* SCHEMA.TABLE as a user writes it: bare parts are taken exactly, quoted ones as in SQL. */
int rescue_name_parse(const char *text, struct rescue_name *ret_name);
/* The same the other way: quoted only where needed. Owned by the caller. */
char *rescue_name_show(const char *schema, const char *name);
/* "schema"."name", owned by the caller. */
char *rescue_name_quote(const char *schema, const char *name);

/* Add, then sort, then find. */
struct rescue_names {
    struct rescue_name *items;
    size_t len, cap;
};
void rescue_names_add(struct rescue_names *names, const char *schema, const char *name, size_t entry);
void rescue_names_sort(struct rescue_names *names);
const struct rescue_name *rescue_names_find(const struct rescue_names *names, const char *schema, const char *name);
void rescue_names_free(struct rescue_names *names);

#endif
