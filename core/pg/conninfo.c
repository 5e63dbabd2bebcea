/* SPDX-License-Identifier: PostgreSQL
 *
 * What is in a conninfo, and what of it programs may see. Declared in conn.h.
 */
#include "config.h"

#include "pg/conn.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static int
conninfo_parse(const char *conninfo, PQconninfoOption **ret_options)
{
    char *why = NULL;

    *ret_options = PQconninfoParse(conninfo, &why);
    if (*ret_options != NULL)
        return 0;
    PQfreemem(why); /* it may show the password */
    return error_set(ERROR_USAGE, "conninfo is not a valid connection string");
}

static void
conninfo_add(struct buf *text, const char *key, const char *value)
{
    (void)buf_addf(text, "%s%s='", text->len > 0 ? " " : "", key); /* bounded by what was parsed */
    for (const char *p = value; *p != '\0'; p++)
        (void)buf_addf(text, "%s%c", *p == '\'' || *p == '\\' ? "\\" : "", *p);
    (void)buf_adds(text, "'");
}

int
pg_conninfo(const char *conninfo, const char *database, char **ret_text)
{
    struct buf text = BUF_INIT(16 * 1024 * 1024);
    PQconninfoOption *options;
    int rc = conninfo_parse(conninfo, &options);

    if (rc < 0)
        return rc;
    for (PQconninfoOption *option = options; option->keyword != NULL; option++) {
        if (option->val == NULL || strcmp(option->keyword, "password") == 0)
            continue;
        if (database != NULL && strcmp(option->keyword, "dbname") == 0)
            continue;
        conninfo_add(&text, option->keyword, option->val);
    }
    if (database != NULL)
        conninfo_add(&text, "dbname", database);
    PQconninfoFree(options);
    *ret_text = buf_take(&text);
    return 0;
}

static int
conninfo_get(const char *conninfo, const char *key, char **ret_value)
{
    PQconninfoOption *options;
    int rc = conninfo_parse(conninfo, &options);

    if (rc < 0)
        return rc;
    *ret_value = NULL;
    for (PQconninfoOption *option = options; option->keyword != NULL; option++)
        if (option->val != NULL && strcmp(option->keyword, key) == 0)
            *ret_value = mem_strdup(option->val);
    PQconninfoFree(options);
    return 0;
}

int
pg_conninfo_public(const char *conninfo)
{
    PQconninfoOption *options;
    int rc = conninfo_parse(conninfo, &options);

    if (rc < 0)
        return rc;
    for (PQconninfoOption *option = options; option->keyword != NULL && rc == 0; option++) {
        bool secret = (option->dispchar != NULL && *option->dispchar == '*') || strstr(option->keyword, "secret") != NULL;

        if (option->val == NULL || *option->val == '\0' || !secret)
            continue;
        (void)error_set(ERROR_USAGE, "conninfo holds %s, which would be seen in the arguments of pg_dump", option->keyword);
        rc = error_hint(ERROR_USAGE, "put it into a service file (service = NAME), or use a key without a passphrase");
    }
    PQconninfoFree(options);
    return rc;
}

int
pg_conninfo_password(const char *conninfo, char **ret_password)
{
    return conninfo_get(conninfo, "password", ret_password);
}

int
pg_conninfo_database(const char *conninfo, char **ret_database)
{
    int rc = conninfo_get(conninfo, "dbname", ret_database);

    if (rc == 0 && *ret_database == NULL)
        *ret_database = mem_strdup("postgres");
    return rc;
}
