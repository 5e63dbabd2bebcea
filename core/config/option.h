/* SPDX-License-Identifier: PostgreSQL
 *
 * One option table drives everything: a section of the INI file (or key=value
 * words of a command line) is checked against it and poured into a struct. Used
 * for pgcask's own sections and for those of the plugins alike.
 */
#ifndef PGCASK_CONFIG_OPTION_H
#define PGCASK_CONFIG_OPTION_H

#include "config/ini.h"

#include "base/buf.h"
#include "pgcask-plugin.h"

struct option_table {
    const struct pgcask_option *options; /* step through them with `stride` bytes */
    size_t stride;
    size_t count;
    size_t settings_size; /* bytes of the struct that the offsets point into */
};
#define OPTION_TABLE(array, type)                                                                                      \
    {                                                                                                                  \
        .options = (array), .stride = sizeof(array)[0], .count = sizeof(array) / sizeof(array)[0],                    \
        .settings_size = sizeof(type)                                                                                  \
    }

/* In `flags` of pgcask's own tables only: a STRING for libpq, checked as such and shown without its password. */
enum { OPTION_CONNINFO = 1 << 16 };

/* As `other` of option_fill: whoever else reads the section knows all the keys that `table` does not. */
extern const struct option_table option_table_any;

/* A filled struct, with the strings it points to and where each value came from. */
struct option_set;

/* The i-th row, whatever the stride; a copy with the fields that the writer of the table did not know zeroed. */
struct pgcask_option option_at(const struct option_table *table, size_t i);
/* Refuse (PGCASK_FAILED) a table that a plugin author got wrong: bad or repeated name, unknown type, offset outside of
 * settings_size, a fallback that does not parse, min over max, ENUM without choices, a name that ends in _file, _env
 * or _command and clashes with a secret. */
int option_table_check(const struct option_table *table);

/* Fill a new struct from `section`. Keys that `other` (may be NULL) knows are left alone: a [store] section holds
 * pgcask's keys and the plugin's. ERROR_USAGE with "path:line: [kind name]: …" for an unknown key (with the nearest
 * name suggested), a bad value, a missing required one, two sources of one secret, a secret written into a file that
 * others may read. A NULL section: only defaults (a required row is then missing). A value with something that may be
 * a comment behind it is taken for BOOL, INT, SIZE, DURATION, ENUM and LIST and refused for STRING, SECRET and PATH.
 * Secrets are loaded last (see base/secret.h for the sources). `section` may go before the set does. */
int option_fill(const struct option_table *table, const struct option_table *other, const struct ini_section *section,
                struct option_set **ret_set);
/* The same from "key=value" words; messages name the word. A secret itself is refused (argv is no secret): only
 * NAME_file, NAME_env and NAME_command are taken. */
int option_fill_words(const struct option_table *table, const char *const *words, size_t count,
                      struct option_set **ret_set);

const void *option_settings(const struct option_set *set); /* the struct, borrowed until option_set_free */
void option_set_free(struct option_set *set);
CLEANUP_DEFINE(struct option_set, option_set_free)

/* The words of a LIST value, which keeps the quotes of words that hold blanks: those are undone here. NULL: none. */
void option_words(const char *list, struct strv *ret_words);

/* Call `show` for each row: value as text (secrets as "***", NULL when not set), origin "path:line" or "default". */
void option_show(const struct option_set *set,
                 void (*show)(void *ctx, const char *key, const char *value, const char *origin), void *ctx);

/* "name", "type", "default", "required", "min", "max", "choices", "help" of each row as option.NAME.X=… lines. */
int option_describe(const struct option_table *table, struct buf *ret_text);
const char *option_type_name(int type); /* "string", "secret", …; "?" */

#endif
