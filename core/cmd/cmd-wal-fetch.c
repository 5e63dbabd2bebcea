/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask wal fetch NAME DEST: PostgreSQL's restore_command.
 */
#include "config.h"

#include "cmd/cmd-wal.h"

#include "base/error.h"
#include "base/log.h"
#include "pipeline/repo.h"
#include "pipeline/segment.h"

enum { NOT_IN_THE_ARCHIVE = 1 };

int
cmd_wal_fetch(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    struct segment_fetch_call call = { .store = cmd_arg(args, "store"), .alone = cmd_flag(args, "no-ahead") };
    const char *stock = cmd_arg(args, "stock");
    const struct config_item *unused;
    int rc;

    mem_exhausted_code(CMD_WAL_TROUBLE);
    rc = stock != NULL ? cmd_words(args, 1, 1) : cmd_words(args, 2, 2);
    if (rc == 0)
        rc = cmd_wal_system(args, &call.system_identifier);
    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = repo_cluster(config, cmd_arg(args, "cluster"), &call.cluster);
    if (rc == 0 && call.store != NULL)
        rc = config_find(&config->stores, "store", call.store, &unused);
    if (rc < 0)
        return rc;
    call.config = config;
    call.name = args->words[0];
    if (stock != NULL) {
        if (segment_prefetch(&call, stock) < 0)
            log_slot_warn("nothing is fetched ahead");
        return 0; /* nobody waits for it, and whoever inherits it must not be alarmed */
    }
    call.dest = args->words[1];
    rc = segment_fetch(&call);
    if (rc != PGCASK_NOT_FOUND)
        return rc;
    log_info("%s", error_text());
    return NOT_IN_THE_ARCHIVE;
}
