/* SPDX-License-Identifier: PostgreSQL
 *
 * Between backup.c, which tells the story of all kinds of backups, and
 * backup-*.c, which know one kind each.
 */
#ifndef PGCASK_PIPELINE_BACKUP_PRIVATE_H
#define PGCASK_PIPELINE_BACKUP_PRIVATE_H

#include "pipeline/backup.h"
#include "pipeline/base.h"
#include "pipeline/dump.h"
#include "pipeline/stores.h"
#include "pipeline/writing.h"

struct backup {
    const struct config *config;
    const struct config_item *job, *cluster;
    const struct backup_options *options;
    const struct backup_kind *kind;
    struct age_recipients *recipients;
    struct age_identities *identities;
    struct stores stores;
    struct outlet *outlet;
    struct crew *crew;
    struct writing writing;
    struct pg_conn *conn;  /* a dump: to conninfo's own database */
    struct dump_run dump;
    struct base_run base;
    struct manifest *manifest;
    char *id, *lease;
    bool *offered;      /* stores that were given the manifest; NULL: not that far */
    bool committed;     /* at least one store has the manifest */
    size_t wal_missing; /* required stores that lack WAL which a base backup needs */
};

struct backup_kind {
    const char *name;
    int (*open)(struct backup *backup);     /* reach the server, before any store is opened */
    int (*describe)(struct backup *backup); /* what the manifest says of the server and of the job */
    int (*write)(struct backup *backup);    /* all members, and what else must be there before the manifest is */
    void (*close)(struct backup *backup);   /* also of what was never opened */
};
extern const struct backup_kind backup_kind_dump, backup_kind_base;

#endif
