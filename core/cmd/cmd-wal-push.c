/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask wal push PATH: PostgreSQL's archive_command.
 */
#include "config.h"

#include "cmd/cmd-wal.h"

#include "base/error.h"
#include "pipeline/repo.h"
#include "pipeline/segment.h"

#include <errno.h>
#include <stdlib.h>

int
cmd_wal_system(const struct cmd_args *args, uint64_t *ret_system_identifier)
{
    const char *text = cmd_arg(args, "system-identifier");
    unsigned long long value = 0;
    char *end;

    if (text != NULL) {
        errno = 0;
        value = strtoull(text, &end, 10);
        if (*text < '1' || *text > '9' || *end != '\0' || errno != 0)
            return error_set(ERROR_USAGE,
                             "--system-identifier: '%s' is none (wanted: the number that pg_controldata shows)", text);
    }
    *ret_system_identifier = value;
    return 0;
}

int
cmd_wal_push(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    struct segment_push_call call = { .alone = cmd_flag(args, "no-ahead") };
    int rc = cmd_words(args, 1, 1);

    if (rc == 0)
        rc = cmd_wal_system(args, &call.system_identifier);
    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = repo_cluster(config, cmd_arg(args, "cluster"), &call.cluster);
    if (rc < 0)
        return rc;
    call.config = config;
    call.path = args->words[0];
    return segment_push(&call);
}
