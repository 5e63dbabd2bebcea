/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/databases.h"

#include "base/error.h"
#include "base/log.h"
#include "config/option.h"

#include <string.h>

static const char all_databases_sql[] =
    "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
    " AND datconnlimit <> -2" /* left behind by a DROP DATABASE that was interrupted: nobody can connect to it */
    " ORDER BY 1";

int
databases_chosen(struct pg_conn *conn, const char *names, const char *excluded, struct strv *ret_names)
{
    CLEANUP_STRV struct strv known = { 0 }, left_out = { 0 };
    CLEANUP_STRV struct strv words = { 0 };
    int rc;

    option_words(names, &words);
    if (words.len != 1 || strcmp(words.items[0], "all") != 0) {
        for (size_t i = 0; i < words.len; i++)
            strv_add(ret_names, words.items[i]);
        return 0;
    }
    rc = pg_column(conn, all_databases_sql, NULL, 0, &known);
    option_words(excluded, &left_out);
    for (size_t i = 0; i < known.len; i++)
        if (!strv_has(&left_out, known.items[i]))
            strv_add(ret_names, known.items[i]);
    for (size_t i = 0; rc == 0 && i < left_out.len; i++)
        if (!strv_has(&known, left_out.items[i]))
            log_warn("exclude_databases names '%s', and there is no such database", left_out.items[i]);
    if (rc == 0 && ret_names->len == 0)
        rc = error_set(ERROR_USAGE, "no database is left to back up");
    return rc;
}
