/* SPDX-License-Identifier: PostgreSQL
 *
 * Qualified names, as pg_dump writes them and as a user types them.
 */
#include "config.h"

#include "pg/rescue-names.h"

#include "base/error.h"
#include "base/mem.h"
#include "pg/sql.h"

#include <stdlib.h>
#include <string.h>

void
rescue_name_free(struct rescue_name *name)
{
    free(name->schema);
    free(name->name);
    name->schema = name->name = NULL;
}

void
cleanup_rescue_name(struct rescue_name *name)
{
    rescue_name_free(name);
}

int
rescue_name_read(const char **sql, struct rescue_name *ret_name)
{
    const char *text = *sql;
    struct sql_token schema, token;
    int rc = sql_next_word(&text, &schema);

    if (rc == 0 && sql_is(&schema, "only"))
        rc = sql_next_word(&text, &schema);
    if (rc == 0)
        rc = sql_next_word(&text, &token);
    if (rc < 0)
        return rc;
    if (schema.kind != SQL_IDENT || !sql_is(&token, "."))
        return error_set(PGCASK_NOT_FOUND, "no qualified name in SQL at '%.30s…'", *sql);
    rc = sql_next_word(&text, &token);
    if (rc < 0)
        return rc;
    if (token.kind != SQL_IDENT)
        return error_set(PGCASK_NOT_FOUND, "no qualified name in SQL at '%.30s…'", *sql);
    ret_name->schema = sql_name(&schema);
    ret_name->name = sql_name(&token);
    *sql = text;
    return 0;
}

int
rescue_find_word(const char **sql, const char *word)
{
    const char *text = *sql;
    struct sql_token token;
    size_t depth = 0;

    do {
        int rc = sql_next_word(&text, &token);

        if (rc < 0)
            return rc;
        if (sql_is(&token, "(")) {
            depth++;
        } else if (sql_is(&token, ")") && depth > 0) {
            depth--;
        } else if (depth == 0 && sql_is(&token, word)) {
            *sql = text;
            return 0;
        }
    } while (token.kind != SQL_END);
    return error_set(PGCASK_NOT_FOUND, "no '%s' in SQL", word);
}

int
rescue_name_after(const char *sql, const char *word, struct rescue_name *ret_name, const char **ret_rest)
{
    int rc = rescue_find_word(&sql, word);

    if (rc == 0)
        rc = rescue_name_read(&sql, ret_name);
    if (rc == 0 && ret_rest != NULL)
        *ret_rest = sql;
    return rc;
}

/* One part of SCHEMA.TABLE; NULL when it is empty or its quote stays open. */
static char *
rescue_name_part(const char **text)
{
    struct sql_token token = { .kind = SQL_IDENT, .start = *text };
    const char *end = *text;

    if (*end != '"') {
        end += strcspn(end, ".\"");
        *text = end;
        return end == token.start ? NULL : mem_strndup(token.start, (size_t)(end - token.start));
    }
    if (sql_next(&end, &token) < 0 || token.len <= 2)
        return NULL;
    *text = end;
    return sql_name(&token);
}

int
rescue_name_parse(const char *text, struct rescue_name *ret_name)
{
    const char *at = text;
    CLEANUP_FREE char *schema = rescue_name_part(&at);
    CLEANUP_FREE char *name = NULL;

    if (schema != NULL && *at == '.') {
        at++;
        name = rescue_name_part(&at);
    }
    if (name == NULL || *at != '\0') {
        (void)error_set(ERROR_USAGE, "'%s' is not of the form SCHEMA.TABLE", text);
        return error_hint(ERROR_USAGE, "a part that holds a dot or a quote is written in double quotes: "
                                       "public.\"my.table\"");
    }
    ret_name->schema = STEAL(schema);
    ret_name->name = STEAL(name);
    return 0;
}

char *
rescue_name_show(const char *schema, const char *name)
{
    CLEANUP_FREE char *left = strpbrk(schema, ".\"") ? sql_quote_ident(schema) : mem_strdup(schema);
    CLEANUP_FREE char *right = strpbrk(name, ".\"") ? sql_quote_ident(name) : mem_strdup(name);

    return mem_printf("%s.%s", left, right);
}

char *
rescue_name_quote(const char *schema, const char *name)
{
    CLEANUP_FREE char *left = sql_quote_ident(schema);
    CLEANUP_FREE char *right = sql_quote_ident(name);

    return mem_printf("%s.%s", left, right);
}

void
rescue_names_add(struct rescue_names *names, const char *schema, const char *name, size_t entry)
{
    MEM_GROW(names->items, names->len, names->cap);
    names->items[names->len++] = (struct rescue_name){ mem_strdup(schema), mem_strdup(name), entry };
}

static int
rescue_names_compare(const void *a, const void *b)
{
    const struct rescue_name *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : strcmp(left->schema, right->schema);
}

void
rescue_names_sort(struct rescue_names *names)
{
    if (names->len > 1)
        qsort(names->items, names->len, sizeof *names->items, rescue_names_compare);
}

const struct rescue_name *
rescue_names_find(const struct rescue_names *names, const char *schema, const char *name)
{
    char *key_schema, *key_name;
    struct rescue_name key;

    if (schema == NULL || name == NULL || names->len == 0)
        return NULL;
    memcpy(&key_schema, &schema, sizeof schema); /* the key is only read */
    memcpy(&key_name, &name, sizeof name);
    key = (struct rescue_name){ key_schema, key_name, 0 };
    return bsearch(&key, names->items, names->len, sizeof key, rescue_names_compare);
}

void
rescue_names_free(struct rescue_names *names)
{
    for (size_t i = 0; i < names->len; i++)
        rescue_name_free(&names->items[i]);
    free(names->items);
    memset(names, 0, sizeof *names);
}
