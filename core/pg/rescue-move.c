/* SPDX-License-Identifier: PostgreSQL
 *
 * Replaces the schema of every rescued name in a piece of SQL that pg_dump wrote
 * (so every name that matters is qualified). What is meant by a name follows from
 * the word before it and the parenthesis behind it; anything in doubt stays.
 */
#include "config.h"

#include "pg/rescue-move.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "pg/sql.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The tokens of one piece of SQL; the last one is SQL_END. */
struct rescue_tokens {
    struct sql_token *items;
    size_t len, cap;
};

static int
rescue_tokens_read(const char *sql, struct rescue_tokens *tokens)
{
    struct sql_token token;

    do {
        int rc = sql_next(&sql, &token);

        if (rc < 0)
            return rc;
        MEM_GROW(tokens->items, tokens->len, tokens->cap);
        tokens->items[tokens->len++] = token;
    } while (token.kind != SQL_END);
    return 0;
}

static void
cleanup_rescue_tokens(struct rescue_tokens *tokens)
{
    free(tokens->items);
}

static const struct sql_token rescue_no_token = { .kind = SQL_END, .start = "" };

/* The nearest token before / behind place i that is no space. */
static const struct sql_token *
rescue_token_before(const struct rescue_tokens *tokens, size_t i)
{
    while (i > 0)
        if (tokens->items[--i].kind != SQL_SPACE)
            return &tokens->items[i];
    return &rescue_no_token;
}

static const struct sql_token *
rescue_token_behind(const struct rescue_tokens *tokens, size_t i)
{
    while (i + 1 < tokens->len)
        if (tokens->items[++i].kind != SQL_SPACE)
            return &tokens->items[i];
    return &rescue_no_token;
}

static bool
rescue_token_among(const struct sql_token *token, const char *const *words)
{
    for (; *words != NULL; words++)
        if (sql_is(token, *words))
            return true;
    return false;
}

/* Is `schema`.`name`, standing behind `before` and in front of `behind`, something that moves? */
static bool
rescue_moves_name(const struct rescue_moves *moves, const char *schema, const char *name,
                  const struct sql_token *before, const struct sql_token *behind)
{
    /* a table with a parenthesis behind it; else that is a call */
    static const char *const lists[] = { "table", "only", "into", "references", "copy", "exists", NULL };
    static const char *const others[] = { "index", "sequence", "name", "partition", "exists", NULL };

    if (sql_is(before, ".") || sql_is(before, "collate"))
        return false;
    if (sql_is(before, "statistics"))
        return rescue_names_find(&moves->statistics, schema, name) != NULL;
    if (sql_is(behind, "(") && !rescue_token_among(before, lists) && !rescue_token_among(before, others))
        return false;
    if (rescue_names_find(&moves->tables, schema, name) != NULL)
        return true;
    return rescue_token_among(before, others) && rescue_names_find(&moves->others, schema, name) != NULL;
}

/* tokens i, i+1, i+2 are IDENT . IDENT of something that moves */
static bool
rescue_moves_at(const struct rescue_moves *moves, const struct rescue_tokens *tokens, size_t i)
{
    const struct sql_token *token = &tokens->items[i];
    CLEANUP_FREE char *schema = NULL;
    CLEANUP_FREE char *name = NULL;

    if (i + 2 >= tokens->len || token[0].kind != SQL_IDENT || !sql_is(&token[1], ".") || token[2].kind != SQL_IDENT)
        return false;
    schema = sql_name(&token[0]);
    name = sql_name(&token[2]);
    return rescue_moves_name(moves, schema, name, rescue_token_before(tokens, i), rescue_token_behind(tokens, i + 2));
}

/* 'name'::regclass, or what nextval and its kin are given (old servers put a second parenthesis there). */
static bool
rescue_is_regclass(const struct rescue_tokens *tokens, size_t i)
{
    static const char *const callers[] = { "nextval", "setval", "currval", NULL };
    const struct sql_token *token = &tokens->items[i];

    if (i + 3 < tokens->len && sql_is(&token[1], ":") && sql_is(&token[2], ":")) {
        bool qualified = i + 5 < tokens->len && sql_is(&token[3], "pg_catalog") && sql_is(&token[4], ".");

        if (sql_is(&token[qualified ? 5 : 3], "regclass"))
            return true;
    }
    while (i > 0 && sql_is(&tokens->items[i - 1], "("))
        i--;
    return i > 0 && rescue_token_among(&tokens->items[i - 1], callers);
}

/* What '…' or E'…' stands for, as far as pg_dump writes them; NULL for anything else. */
static char *
rescue_literal_text(const struct sql_token *token)
{
    bool escapes = *token->start != '\'';
    char *text;
    size_t len = 0;

    if (*token->start == '$')
        return NULL;
    text = mem_alloc(token->len + 1);
    for (size_t i = escapes ? 2 : 1; i + 1 < token->len; i++) {
        text[len++] = token->start[i];
        if (token->start[i] == '\'' || (escapes && token->start[i] == '\\'))
            i++; /* the second of two */
    }
    text[len] = '\0';
    return text;
}

/* The literal with its name moved; NULL when it is none that moves. */
static char *
rescue_move_literal(const struct rescue_moves *moves, const struct sql_token *literal)
{
    CLEANUP_FREE char *text = rescue_literal_text(literal);
    CLEANUP_FREE char *moved = NULL;
    CLEANUP_FREE char *schema = NULL;
    CLEANUP_FREE char *name = NULL;
    const char *at = text;
    struct sql_token token[4];

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(token); i++)
        if (sql_next(&at, &token[i]) < 0)
            return NULL;
    if (token[0].kind != SQL_IDENT || !sql_is(&token[1], ".") || token[2].kind != SQL_IDENT || token[3].kind != SQL_END)
        return NULL;
    schema = sql_name(&token[0]);
    name = sql_name(&token[2]);
    if (rescue_names_find(&moves->tables, schema, name) == NULL &&
        rescue_names_find(&moves->others, schema, name) == NULL)
        return NULL;
    moved = rescue_name_quote(moves->target, name);
    return sql_quote_literal(moved);
}

/* What stands in the place of token i, NULL for the token itself. */
static char *
rescue_move_token(const struct rescue_moves *moves, const struct rescue_tokens *tokens, size_t i)
{
    if (rescue_moves_at(moves, tokens, i))
        return sql_quote_ident(moves->target);
    if (tokens->items[i].kind == SQL_STRING && rescue_is_regclass(tokens, i))
        return rescue_move_literal(moves, &tokens->items[i]);
    return NULL;
}

int
rescue_move(const struct rescue_moves *moves, const char *sql, char **ret_sql)
{
    __attribute__((cleanup(cleanup_rescue_tokens))) struct rescue_tokens tokens = { 0 };
    CLEANUP_BUF struct buf moved = BUF_INIT(SIZE_MAX / 4);
    int rc = 0;

    if (moves->target == NULL) {
        *ret_sql = mem_strdup(sql);
        return 0;
    }
    rc = rescue_tokens_read(sql, &tokens);
    for (size_t i = 0; rc == 0 && i < tokens.len; i++) {
        CLEANUP_FREE char *other = rescue_move_token(moves, &tokens, i);

        if (other != NULL)
            rc = buf_adds(&moved, other);
        else
            rc = buf_add(&moved, tokens.items[i].start, tokens.items[i].len);
    }
    if (rc < 0)
        return rc;
    *ret_sql = buf_take(&moved);
    return 0;
}

void
rescue_moves_free(struct rescue_moves *moves)
{
    rescue_names_free(&moves->tables);
    rescue_names_free(&moves->others);
    rescue_names_free(&moves->statistics);
}
