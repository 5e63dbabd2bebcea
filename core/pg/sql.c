/* SPDX-License-Identifier: PostgreSQL
 *
 * The tokens and statements of what pg_dump and pg_dumpall write. Knows quoting,
 * comments and psql's own lines, and nothing of what a statement means.
 */
#include "config.h"

#include "pg/sql.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Not isalpha and its kin: those ask the locale, SQL does not. */
static bool
sql_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
sql_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
sql_starts_ident(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool
sql_goes_on_ident(char c)
{
    return sql_starts_ident(c) || sql_is_digit(c) || c == '$';
}

/* The text itself is not shown: it may be a password. */
static int
sql_unclosed(const char *what, const char *start)
{
    return error_set(ERROR_CORRUPT, "unclosed %s in SQL, begun %zu bytes before the end", what, strlen(start));
}

/* Behind the closing quote, NULL when there is none. `p` is the opening one; a doubled quote stands for itself. */
static const char *
sql_skip_quoted(const char *p, bool backslash)
{
    char quote = *p++;

    for (; *p != '\0'; p++) {
        if (backslash && *p == '\\' && p[1] != '\0')
            p++;
        else if (*p == quote && p[1] == quote)
            p++;
        else if (*p == quote)
            return p + 1;
    }
    return NULL;
}

/* Bytes of the $tag$ at p, 0 when it is none ($1 is a parameter). */
static size_t
sql_dollar_tag(const char *p)
{
    size_t len = 1;

    if (p[1] != '$' && !sql_starts_ident(p[1]))
        return 0;
    while (p[len] != '$' && sql_goes_on_ident(p[len]))
        len++;
    return p[len] == '$' ? len + 1 : 0;
}

static const char *
sql_skip_dollar(const char *p, size_t tag_len)
{
    const char *tag = p;

    for (p += tag_len; *p != '\0'; p++)
        if (*p == '$' && strncmp(p, tag, tag_len) == 0)
            return p + tag_len;
    return NULL;
}

/* Block comments nest in PostgreSQL. */
static const char *
sql_skip_comment(const char *p)
{
    size_t depth = 0;

    while (*p != '\0') {
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            p += 2;
        } else if (p[0] == '*' && p[1] == '/') {
            depth--;
            p += 2;
            if (depth == 0)
                return p;
        } else {
            p++;
        }
    }
    return NULL;
}

/* Blanks and comments from p on; `ret_end` is p itself when there are none. */
static int
sql_skip_space(const char *p, const char **ret_end)
{
    for (;;) {
        if (sql_is_space(*p)) {
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = sql_skip_comment(p);

            if (end == NULL)
                return sql_unclosed("comment", p);
            p = end;
        } else {
            *ret_end = p;
            return 0;
        }
    }
}

static const char *
sql_skip_number(const char *p)
{
    while (sql_is_digit(*p) || *p == '.')
        p++;
    if ((*p == 'e' || *p == 'E') && (sql_is_digit(p[1]) || ((p[1] == '-' || p[1] == '+') && sql_is_digit(p[2]))))
        for (p += 2; sql_is_digit(*p);)
            p++;
    return p;
}

/* What can stay open: strings and quoted identifiers. `ret_end` is NULL when p begins neither. */
static int
sql_scan_quoted(const char *p, enum sql_kind *ret_kind, const char **ret_end)
{
    bool escapes = (*p == 'E' || *p == 'e') && p[1] == '\'';
    size_t tag_len = *p == '$' ? sql_dollar_tag(p) : 0;
    const char *end = NULL;

    if (*p == '\'' || escapes)
        end = sql_skip_quoted(escapes ? p + 1 : p, escapes);
    else if (*p == '"')
        end = sql_skip_quoted(p, false);
    else if (tag_len > 0)
        end = sql_skip_dollar(p, tag_len);
    if (end == NULL && (*p == '\'' || *p == '"' || escapes || tag_len > 0))
        return sql_unclosed("quote", p);
    *ret_kind = *p == '"' ? SQL_IDENT : SQL_STRING;
    *ret_end = end;
    return 0;
}

/* What ends by itself. */
static enum sql_kind
sql_scan_plain(const char *p, const char **ret_end)
{
    enum sql_kind kind = SQL_OTHER;
    const char *end = p + 1;

    if (*p == '\0') {
        kind = SQL_END;
        end = p;
    } else if (*p == '\\') {
        kind = SQL_META;
        end = p + strcspn(p, "\n");
    } else if (sql_starts_ident(*p)) {
        kind = SQL_IDENT;
        while (sql_goes_on_ident(*end))
            end++;
    } else if (sql_is_digit(*p) || (*p == '.' && sql_is_digit(p[1]))) {
        kind = SQL_NUMBER;
        end = sql_skip_number(p);
    }
    *ret_end = end;
    return kind;
}

int
sql_next(const char **text, struct sql_token *ret_token)
{
    const char *start = *text, *end;
    enum sql_kind kind = SQL_SPACE;
    int rc = sql_skip_space(start, &end);

    if (rc < 0)
        return rc;
    if (end == start) {
        rc = sql_scan_quoted(start, &kind, &end);
        if (rc < 0)
            return rc;
        if (end == NULL)
            kind = sql_scan_plain(start, &end);
    }
    *ret_token = (struct sql_token){ .kind = kind, .start = start, .len = (size_t)(end - start) };
    *text = end;
    return 0;
}

int
sql_next_word(const char **text, struct sql_token *ret_token)
{
    struct sql_token token;

    do {
        int rc = sql_next(text, &token);

        if (rc < 0)
            return rc;
    } while (token.kind == SQL_SPACE);
    *ret_token = token;
    return 0;
}

bool
sql_is(const struct sql_token *token, const char *word)
{
    if (token->kind != SQL_IDENT && token->kind != SQL_OTHER)
        return false;
    return strlen(word) == token->len && strncasecmp(token->start, word, token->len) == 0;
}

char *
sql_name(const struct sql_token *token)
{
    char *name = mem_alloc(token->len + 1);
    size_t len = 0;

    if (token->len > 0 && *token->start == '"') {
        for (size_t i = 1; i + 1 < token->len; i++) {
            name[len++] = token->start[i];
            if (token->start[i] == '"')
                i++; /* the second of two */
        }
    } else {
        for (; len < token->len; len++) {
            char c = token->start[len];

            name[len] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
    }
    name[len] = '\0';
    return name;
}

/* `text` between two `quote`, each byte that is in `doubled` written twice. */
static char *
sql_quote(const char *prefix, char quote, const char *doubled, const char *text)
{
    size_t len = strlen(prefix);
    char *quoted = mem_realloc_array(NULL, 2 * strlen(text) + len + 3, 1);

    memcpy(quoted, prefix, len);
    quoted[len++] = quote;
    for (; *text != '\0'; text++) {
        if (strchr(doubled, *text) != NULL)
            quoted[len++] = *text;
        quoted[len++] = *text;
    }
    quoted[len++] = quote;
    quoted[len] = '\0';
    return quoted;
}

char *
sql_quote_ident(const char *name)
{
    return sql_quote("", '"', "\"", name);
}

char *
sql_quote_literal(const char *text)
{
    return strchr(text, '\\') != NULL ? sql_quote("E", '\'', "'\\", text) : sql_quote("", '\'', "'", text);
}

/* Where sql_split is in a statement. A ';' within parentheses (the actions of a rule) or within BEGIN ATOMIC … END
 * (the body of a routine) ends nothing. */
struct sql_splitter {
    const char *start; /* of the statement, NULL before its first token */
    const char *end;   /* of its last token so far */
    size_t words;      /* identifiers seen */
    size_t parens, begins;
    bool routine;      /* CREATE [OR REPLACE] FUNCTION or PROCEDURE */
};

static void
sql_split_track(struct sql_splitter *s, const struct sql_token *token)
{
    if (s->start == NULL)
        s->start = token->start;
    s->end = token->start + token->len;
    if (sql_is(token, "("))
        s->parens++;
    else if (sql_is(token, ")") && s->parens > 0)
        s->parens--;
    if (token->kind != SQL_IDENT)
        return;
    s->words++;
    if ((s->words == 2 || s->words == 4) && (sql_is(token, "function") || sql_is(token, "procedure")))
        s->routine = strncasecmp(s->start, "create", 6) == 0;
    if (s->routine && (sql_is(token, "begin") || (s->begins > 0 && sql_is(token, "case"))))
        s->begins++;
    else if (s->begins > 0 && sql_is(token, "end"))
        s->begins--;
}

static void
sql_split_finish(struct sql_splitter *s, struct strv *statements)
{
    if (s->start != NULL)
        strv_take(statements, mem_strndup(s->start, (size_t)(s->end - s->start)));
    memset(s, 0, sizeof *s);
}

int
sql_split(const char *script, struct strv *ret_statements)
{
    CLEANUP_STRV struct strv statements = { 0 };
    struct sql_splitter s = { 0 };
    struct sql_token token;

    do {
        int rc = sql_next(&script, &token);

        if (rc < 0)
            return rc;
        if (token.kind == SQL_META && s.start != NULL)
            return error_set(ERROR_CORRUPT, "psql command '%.*s' within an SQL statement",
                             (int)(token.len < 40 ? token.len : 40), token.start);
        if (token.kind == SQL_SPACE || token.kind == SQL_META)
            continue;
        if (token.kind == SQL_END || (sql_is(&token, ";") && s.parens == 0 && s.begins == 0)) {
            sql_split_finish(&s, &statements);
            continue;
        }
        sql_split_track(&s, &token);
    } while (token.kind != SQL_END);

    for (size_t i = 0; i < statements.len; i++)
        strv_take(ret_statements, STEAL(statements.items[i]));
    return 0;
}
