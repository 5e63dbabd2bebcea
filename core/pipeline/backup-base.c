/* SPDX-License-Identifier: PostgreSQL
 *
 * A backup whose members are a cluster's files.
 */
#include "config.h"

#include "pipeline/backup-private.h"

#include "base/error.h"

#include <string.h>

/* There is one stream only: besides what the crew works on, one piece is filled, one is drained, one waits. */
enum { BASE_PIECES_MORE = 3 };

static int
backup_base_open(struct backup *backup)
{
    const struct dump_selection *selection = &backup->options->selection;

    if (backup->options->databases != NULL || selection->content != NULL || selection->tables != NULL ||
        selection->exclude_tables != NULL || selection->exclude_table_data != NULL) {
        (void)error_set(ERROR_USAGE, "job '%s' is a base backup, which is always of the whole cluster",
                        backup->job->name);
        return error_hint(ERROR_USAGE, "databases and tables are chosen in jobs of kind = dump");
    }
    backup->base.config = backup->config;
    backup->base.job = backup->job;
    backup->base.cluster = backup->cluster;
    backup->base.writing = &backup->writing;
    backup->base.stores = &backup->stores;
    backup->writing.pieces = backup->writing.streams + BASE_PIECES_MORE;
    return base_open(&backup->base);
}

static int
backup_base_describe(struct backup *backup)
{
    int rc = base_describe(&backup->base);

    return rc < 0 ? rc : base_check_archive(&backup->base);
}

static int
backup_base_write(struct backup *backup)
{
    int rc = base_write(&backup->base);

    if (rc == 0)
        rc = base_wal_wait(&backup->base, &backup->wal_missing);
    if (rc == 0)
        base_kept(&backup->base);
    return rc;
}

static void
backup_base_close(struct backup *backup)
{
    base_close(&backup->base);
}

const struct backup_kind backup_kind_base = {
    .name = KIND_BASE,
    .open = backup_base_open,
    .describe = backup_base_describe,
    .write = backup_base_write,
    .close = backup_base_close,
};
