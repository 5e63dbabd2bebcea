/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as SQL: tokens that lose nothing, statements, the plan for globals,
 * and names moved. What was moved must still be readable.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "pg/globals.h"
#include "pg/rescue-move.h"
#include "pg/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_tokens(const char *text)
{
    const char *at = text;
    struct sql_token token;

    do {
        const char *start = at;

        if (sql_next(&at, &token) < 0)
            return;
        if (token.start != start || token.start + token.len != at || (token.len == 0 && token.kind != SQL_END))
            abort();
        if (token.kind == SQL_IDENT)
            free(sql_name(&token));
    } while (token.kind != SQL_END);
    if (at != text + strlen(text))
        abort();
}

/* What is quoted must be one token of its kind. */
static void
fuzz_quote(const char *text)
{
    CLEANUP_FREE char *ident = sql_quote_ident(text);
    CLEANUP_FREE char *literal = sql_quote_literal(text);
    CLEANUP_FREE char *name = NULL;
    const char *at = ident;
    struct sql_token token;

    if (sql_next(&at, &token) < 0 || token.kind != SQL_IDENT || *at != '\0')
        abort();
    name = sql_name(&token);
    if (strcmp(name, text) != 0)
        abort();
    at = literal;
    if (sql_next(&at, &token) < 0 || token.kind != SQL_STRING || *at != '\0')
        abort();
}

static void
fuzz_move(const char *text)
{
    struct rescue_moves moves = { .target = "r'\"\\" };
    CLEANUP_FREE char *moved = NULL;

    rescue_names_add(&moves.tables, "s", "t", 0);
    rescue_names_add(&moves.others, "s", "q", 0);
    rescue_names_add(&moves.statistics, "s", "x", 0);
    if (rescue_move(&moves, text, &moved) == 0)
        fuzz_tokens(moved);
    rescue_moves_free(&moves);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = mem_alloc(size + 1);
    CLEANUP_STRV struct strv statements = { 0 };
    CLEANUP_STRV struct strv roles = { 0 };
    CLEANUP_STRV struct strv run = { 0 };
    CLEANUP_STRV struct strv kept = { 0 };

    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    strv_add(&roles, "old");
    fuzz_tokens(text);
    fuzz_quote(text);
    fuzz_move(text);
    (void)sql_split(text, &statements);
    (void)globals_plan(text, &roles, &roles, &run, &kept);
    error_clear();
    return 0;
}
