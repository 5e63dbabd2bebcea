/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask wal receive: WAL as the server writes it, streamed into the archive.
 */
#include "config.h"

#include "cmd/cmd-wal.h"

#include "base/error.h"
#include "base/log.h"
#include "pipeline/receive.h"
#include "pipeline/repo.h"

#include <stdio.h>

static int
receive_make_slot(const struct config_item *cluster)
{
    bool made = false;
    int rc = receive_slot_make(cluster, &made);

    if (rc < 0)
        return rc;
    (void)printf(made ? "slot '%s' is made: the server keeps its WAL from now on until it is received\n"
                      : "slot '%s' is there already\n",
                 cluster->cluster->slot);
    return 0;
}

static int
receive_drop_slot(const struct config_item *cluster)
{
    int rc = receive_slot_drop(cluster);

    if (rc == 0)
        (void)printf("slot '%s' is dropped: the server no longer keeps WAL for it\n", cluster->cluster->slot);
    return rc;
}

static int
receive_forever(const struct config *config, const struct config_item *cluster, const struct cmd_args *args)
{
    const struct receive_options options = { .accept_gap = cmd_flag(args, "accept-gap") };
    struct receive_result result = { 0 };
    int rc = receive_run(config, cluster, &options, &result);

    if (rc < 0 || result.left == 0)
        return rc;
    log_warn("%zu file%s of WAL could not be stored and stay%s in the spool, for the next start", result.left,
             result.left == 1 ? "" : "s", result.left == 1 ? "s" : "");
    return CMD_DEGRADED;
}

int
cmd_wal_receive(struct cmd_args *args)
{
    CLEANUP(config_free) struct config *config = NULL;
    const struct config_item *cluster = NULL;
    bool make = cmd_flag(args, "create-slot"), drop = cmd_flag(args, "drop-slot");
    int rc = cmd_words(args, 0, 0);

    if (rc == 0 && make + drop + cmd_flag(args, "accept-gap") > 1)
        rc = error_set(ERROR_USAGE, "'--create-slot', '--drop-slot' and '--accept-gap' do not go together");
    if (rc == 0)
        rc = cmd_config(args, &config);
    if (rc == 0)
        rc = repo_cluster(config, cmd_arg(args, "cluster"), &cluster);
    if (rc < 0)
        return rc;
    if (make)
        return receive_make_slot(cluster);
    return drop ? receive_drop_slot(cluster) : receive_forever(config, cluster, args);
}
