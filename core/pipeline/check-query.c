/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/check-query.h"

#include "base/error.h"
#include "base/log.h"

#include <string.h>

int
check_query(struct pg_conn *conn, const char *query, char **ret_result)
{
    int rc = pg_run(conn, "RESET search_path");

    if (rc == 0)
        rc = pg_rows_text(conn, query, ret_result);
    return rc < 0 ? rc : pg_run(conn, "SET search_path TO ''");
}

int
check_compare(struct pg_conn *conn, const struct manifest *manifest, const char *database, size_t *ret_count)
{
    size_t count = 0;

    for (size_t i = 0; i < manifest->check_count; i++) {
        const struct manifest_check *check = &manifest->checks[i];
        CLEANUP_FREE char *result = NULL;
        int rc;

        if (strcmp(check->database, database) != 0)
            continue;
        rc = check_query(conn, check->query, &result);
        if (rc < 0)
            return error_context(rc, "check '%s'", check->name);
        if (strcmp(result, check->result) != 0)
            return error_set(PGCASK_FAILED, "check '%s' gives '%.200s', when the backup was made it gave '%.200s'", check->name,
                             result, check->result);
        log_info("check '%s': as when the backup was made", check->name);
        count++;
    }
    *ret_count = count;
    return 0;
}
