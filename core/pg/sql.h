/* SPDX-License-Identifier: PostgreSQL
 *
 * As much SQL as is needed to handle what pg_dump and pg_dumpall write: tokens,
 * statements, and moving qualified names from one schema to another. Not a
 * parser of SQL at large. standard_conforming_strings is on in such files.
 */
#ifndef PGCASK_PG_SQL_H
#define PGCASK_PG_SQL_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum sql_kind {
    SQL_END,
    SQL_SPACE,   /* blanks and comments */
    SQL_IDENT,   /* bare or "quoted"; includes key words */
    SQL_STRING,  /* '…', E'…', $tag$…$tag$ */
    SQL_NUMBER,
    SQL_OTHER,   /* one operator or punctuation character */
    SQL_META,    /* a psql \command line (pg_dump of August 2025 on writes \restrict) */
};
struct sql_token {
    enum sql_kind kind;
    const char *start; /* into the text */
    size_t len;
};
/* The token at *text; *text moves behind it. ERROR_CORRUPT for an unclosed quote or comment. */
int sql_next(const char **text, struct sql_token *ret_token);
/* The same, passing over SQL_SPACE. */
int sql_next_word(const char **text, struct sql_token *ret_token);
bool sql_is(const struct sql_token *token, const char *word);  /* bare identifier, any case, or punctuation */
/* The name an identifier stands for: unquoted, bare ones folded to lower case. Owned by the caller. */
char *sql_name(const struct sql_token *token);
char *sql_quote_ident(const char *name);                       /* always quoted; owned by the caller */
char *sql_quote_literal(const char *text);                     /* '…' or E'…'; owned by the caller */

/* Split a script into statements without their ';' (comments and psql meta lines dropped at the start of each), added
 * to `ret_statements`. ERROR_CORRUPT as for sql_next, and for a psql meta line within a statement. */
int sql_split(const char *script, struct strv *ret_statements);

#endif
