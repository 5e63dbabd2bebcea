/* SPDX-License-Identifier: PostgreSQL
 *
 * The INI file as written: sections, keys, values, each with its line. inih finds
 * sections, keys and comments; values never pass through it, because its packaged
 * build cuts lines at 200 bytes and everything behind a blank and ';'.
 *
 *   [kind name]            or [kind]; both [a-z0-9_-], at most 40 bytes
 *   key = value            blanks around key and value do not count
 *   key = "a value"        taken as it is between the quotes; \" and \\ inside
 *   ; comment  # comment   whole lines; also behind a value, see below
 *
 * A ';' or '#' behind a blank in an unquoted value may be a comment or part of the value. The entry says so
 * (`comment`), and the reader of the option decides (config/option.h): types
 * that cannot hold such a character take `value`, free text is refused with the advice to quote.
 */
#ifndef PGCASK_CONFIG_INI_H
#define PGCASK_CONFIG_INI_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* libinih exports an ini_parse of its own: ours goes by another name in the object files. */
#define ini_parse ini_parse_memory

struct ini_entry {
    char *key;
    char *value;  /* unquoted, without a comment */
    bool quoted;
    bool comment; /* unquoted, and something that may be a comment was left off */
    char mark;    /* then ';' or '#', whichever began it */
    unsigned line;
};

struct ini_section {
    const struct ini *ini;
    char *kind;
    char *name; /* "" for [kind] */
    unsigned line;
    struct ini_entry *entries;
    size_t len, cap;
};

struct ini {
    char *path;  /* as given, for messages */
    mode_t mode; /* of the file; 0600 when it came from memory */
    uid_t owner; /* of the file; ourselves when it came from memory */
    struct ini_section *sections;
    size_t len, cap;
};

/* ERROR_USAGE with "path:line: …" for anything that is not as above: a line without '=', a key before the first
 * section, a section or key given twice, control characters or a NUL byte, invalid UTF-8, a bad name, an unclosed
 * quote, a file over 1 MiB, more than 1000 sections, more than 1000 keys in one. ERROR_USAGE, too, when the file cannot
 * be read. A byte order mark at the start and line ends of CR LF are accepted; a tab counts as a blank. */
int ini_load(const char *path, struct ini **ret_ini);
/* The same from memory, NUL-terminated or not. `path` is only for messages. */
int ini_parse(const char *path, const char *text, size_t len, struct ini **ret_ini);
void ini_free(struct ini *ini); /* wipes the values: some are secrets */
CLEANUP_DEFINE(struct ini, ini_free)

const struct ini_section *ini_section(const struct ini *ini, const char *kind, const char *name); /* NULL: none */
const struct ini_entry *ini_entry(const struct ini_section *section, const char *key);           /* NULL: none */

#endif
