/* SPDX-License-Identifier: PostgreSQL
 *
 * Decides for every statement of a pg_dumpall --globals-only script whether it is
 * run: what is about a new role or tablespace is, what would change an existing
 * one is not. A statement of a kind that is not known is left out and named.
 */
#include "config.h"

#include "pg/globals.h"

#include "base/error.h"
#include "base/mem.h"
#include "pg/sql.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct globals {
    const struct strv *roles, *tablespaces;    /* there already */
    struct strv new_roles, new_tablespaces;    /* made by the script so far */
    struct strv run, kept;
};

static void
cleanup_globals(struct globals *g)
{
    strv_free(&g->new_roles);
    strv_free(&g->new_tablespaces);
    strv_free(&g->run);
    strv_free(&g->kept);
}

/* The next token of *sql when it is `word`; else *sql stays. sql_split has seen all quotes closed. */
static bool
globals_word(const char **sql, const char *word)
{
    const char *at = *sql;
    struct sql_token token;

    if (sql_next_word(&at, &token) < 0 || !sql_is(&token, word))
        return false;
    *sql = at;
    return true;
}

/* All of `words` (separated by blanks) in turn; else *sql stays. */
static bool
globals_words(const char **sql, const char *words)
{
    CLEANUP_STRV struct strv list = { 0 };
    const char *at = *sql;

    strv_split(&list, words, " ");
    for (size_t i = 0; i < list.len; i++)
        if (!globals_word(&at, list.items[i]))
            return false;
    *sql = at;
    return true;
}

/* The name at *sql, NULL when there is none. */
static char *
globals_name(const char **sql)
{
    struct sql_token token;

    if (sql_next_word(sql, &token) < 0 || token.kind != SQL_IDENT)
        return NULL;
    return sql_name(&token);
}

/* Is one of the names at *sql (a, b, …), which moves behind them, new? `ret_first`: the first one. */
static bool
globals_any_new(const struct globals *g, const char **sql, char **ret_first)
{
    bool found = false;

    do {
        char *name = globals_name(sql);

        found = found || (name != NULL && strv_has(&g->new_roles, name));
        if (*ret_first == NULL)
            *ret_first = name;
        else
            free(name);
    } while (globals_word(sql, ","));
    return found;
}

/* Move *sql behind the next `word`. */
static bool
globals_skip_to(const char **sql, const char *word)
{
    struct sql_token token;

    do {
        if (sql_next_word(sql, &token) < 0 || token.kind == SQL_END)
            return false;
    } while (!sql_is(&token, word));
    return true;
}

static void
globals_run(struct globals *g, const char *statement)
{
    strv_add(&g->run, statement);
}

/* Shown up to the first literal: that may be a password. */
static void
globals_leave_out(struct globals *g, const char *statement)
{
    const char *at = statement;
    struct sql_token token = { .kind = SQL_END };
    size_t len = 0;

    while (sql_next(&at, &token) == 0 && token.kind != SQL_END && token.kind != SQL_STRING && len <= 80)
        len = (size_t)(at - statement);
    strv_addf(&g->kept, "left out: '%.*s%s'", (int)len, statement, token.kind == SQL_END ? "" : "…");
}

/* CREATE ROLE name, CREATE TABLESPACE name … */
static void
globals_create(struct globals *g, const char *statement, const char *rest, bool role)
{
    CLEANUP_FREE char *name = globals_name(&rest);

    if (name == NULL) {
        globals_leave_out(g, statement);
    } else if (strv_has(role ? g->roles : g->tablespaces, name)) {
        strv_addf(&g->kept, "%s '%s' exists, kept as it is", role ? "role" : "tablespace", name);
    } else {
        strv_add(role ? &g->new_roles : &g->new_tablespaces, name);
        globals_run(g, statement);
    }
}

/* ALTER, COMMENT ON, SECURITY LABEL ON: only for what the script has made. That an existing one is kept was said at
 * its CREATE; one that is in neither list is named. */
static void
globals_change(struct globals *g, const char *statement, const char *rest, bool role)
{
    CLEANUP_FREE char *name = globals_name(&rest);

    if (name != NULL && strv_has(role ? &g->new_roles : &g->new_tablespaces, name))
        globals_run(g, statement);
    else if (name == NULL || !strv_has(role ? g->roles : g->tablespaces, name))
        globals_leave_out(g, statement);
}

/* GRANT group TO member … */
static void
globals_membership(struct globals *g, const char *statement, const char *rest)
{
    CLEANUP_FREE char *group = NULL;
    CLEANUP_FREE char *member = NULL;
    bool new_group = globals_any_new(g, &rest, &group), new_member;

    if (!globals_word(&rest, "to")) {
        globals_leave_out(g, statement);
        return;
    }
    new_member = globals_any_new(g, &rest, &member);
    if (new_group || new_member)
        globals_run(g, statement);
    else
        strv_addf(&g->kept, "membership of '%s' in '%s' left as it is, both exist", member ? member : "?",
                  group ? group : "?");
}

/* GRANT … ON TABLESPACE x TO y, GRANT … ON PARAMETER x TO y and their REVOKE: on a new tablespace all of them; on what
 * was there before only what is given to a new role. */
static void
globals_right(struct globals *g, const char *statement, const char *rest, bool grant)
{
    CLEANUP_FREE char *object = NULL;
    CLEANUP_FREE char *role = NULL;

    if (globals_word(&rest, "tablespace"))
        object = globals_name(&rest);
    if ((object != NULL && strv_has(&g->new_tablespaces, object)) ||
        (grant && globals_skip_to(&rest, "to") && globals_any_new(g, &rest, &role)))
        globals_run(g, statement);
    else if (object == NULL || !strv_has(g->tablespaces, object))
        globals_leave_out(g, statement);
}

static void
globals_grant(struct globals *g, const char *statement, const char *rest, bool grant)
{
    const char *behind_on = rest;

    if (globals_skip_to(&behind_on, "on"))
        globals_right(g, statement, behind_on, grant);
    else if (grant)
        globals_membership(g, statement, rest);
    else
        globals_leave_out(g, statement);
}

enum globals_kind { GLOBALS_RUN, GLOBALS_CREATE, GLOBALS_CHANGE, GLOBALS_GRANT, GLOBALS_REVOKE };

static const struct globals_rule {
    const char *words;
    enum globals_kind kind;
    bool role;
} globals_rules[] = {
    { "set", GLOBALS_RUN, false },
    { "reset", GLOBALS_RUN, false },
    { "select pg_catalog . set_config", GLOBALS_RUN, false },
    { "create role", GLOBALS_CREATE, true },
    { "create user", GLOBALS_CREATE, true },
    { "create group", GLOBALS_CREATE, true },
    { "create tablespace", GLOBALS_CREATE, false },
    { "alter role", GLOBALS_CHANGE, true },
    { "alter user", GLOBALS_CHANGE, true },
    { "alter tablespace", GLOBALS_CHANGE, false },
    { "comment on role", GLOBALS_CHANGE, true },
    { "comment on tablespace", GLOBALS_CHANGE, false },
    { "grant", GLOBALS_GRANT, false },
    { "revoke", GLOBALS_REVOKE, false },
};

static void
globals_apply(struct globals *g, const struct globals_rule *rule, const char *statement, const char *rest)
{
    switch (rule->kind) {
    case GLOBALS_RUN:
        globals_run(g, statement);
        break;
    case GLOBALS_CREATE:
        globals_create(g, statement, rest, rule->role);
        break;
    case GLOBALS_CHANGE:
        globals_change(g, statement, rest, rule->role);
        break;
    case GLOBALS_GRANT:
    case GLOBALS_REVOKE:
        globals_grant(g, statement, rest, rule->kind == GLOBALS_GRANT);
        break;
    }
}

/* SECURITY LABEL FOR provider ON ROLE name: the words that decide stand behind the provider. */
static bool
globals_label(struct globals *g, const char *statement)
{
    const char *rest = statement;
    bool role;

    if (!globals_words(&rest, "security label") || !globals_skip_to(&rest, "on"))
        return false;
    role = globals_word(&rest, "role");
    if (!role && !globals_word(&rest, "tablespace"))
        return false;
    globals_change(g, statement, rest, role);
    return true;
}

static void
globals_statement(struct globals *g, const char *statement)
{
    for (size_t i = 0; i < ARRAY_LEN(globals_rules); i++) {
        const char *rest = statement;

        if (globals_words(&rest, globals_rules[i].words)) {
            globals_apply(g, &globals_rules[i], statement, rest);
            return;
        }
    }
    if (!globals_label(g, statement))
        globals_leave_out(g, statement);
}

static void
globals_hand_over(struct strv *from, struct strv *to)
{
    for (size_t i = 0; i < from->len; i++)
        strv_take(to, STEAL(from->items[i]));
}

int
globals_plan(const char *script, const struct strv *roles, const struct strv *tablespaces, struct strv *ret_run,
             struct strv *ret_kept)
{
    __attribute__((cleanup(cleanup_globals))) struct globals g = { .roles = roles, .tablespaces = tablespaces };
    CLEANUP_STRV struct strv statements = { 0 };
    int rc = sql_split(script, &statements);

    if (rc < 0)
        return error_context(rc, "globals");
    for (size_t i = 0; i < statements.len; i++)
        globals_statement(&g, statements.items[i]);
    globals_hand_over(&g.run, ret_run);
    globals_hand_over(&g.kept, ret_kept);
    return 0;
}
