/* SPDX-License-Identifier: PostgreSQL
 *
 * Bringing a dump back, never over what exists: a whole database beside, checked,
 * then renamed; single tables into a schema of their own; a plain member as a file.
 */
#ifndef PGCASK_PIPELINE_RESTORE_H
#define PGCASK_PIPELINE_RESTORE_H

#include "pg/archive.h"
#include "pg/conn.h"
#include "pg/tools.h"
#include "pipeline/repo.h"
#include "pipeline/thaw.h"
#include "stage/age-key.h"
#include "stage/conveyor.h"
#include "stage/copies.h"

#include <stdbool.h>

/* What all ways of restoring share. */
struct restore {
    const struct config *config;
    const struct config_item *cluster;
    const struct manifest *manifest;
    struct copies *copies;              /* the stores that have it, in the order in which they are asked */
    const struct catalog *catalog;
    const struct catalog_copy **listed; /* what the listing says of each of them */
    const struct thaw_options *thaw;    /* NULL: nothing is cold */
    struct age_identities *identities;  /* NULL: none */
    const char *conninfo;               /* of the server to restore to */
    const char *password;
    unsigned streams;
    struct crew *crew;
};

/* Fill in copies, catalog and listed for restore->manifest: good copies first, whole before others, hot before cold, else
 * in the order of the config. copies and listed are the caller's to free. */
int restore_choose(struct restore *restore, const struct catalog *catalog, const struct catalog_backup *backup);

struct restore_database_options {
    const char *database; /* as named in the backup */
    const char *into;     /* the new name */
    bool globals;         /* create missing roles and tablespaces first */
    bool no_owner;        /* all belongs to the connected role, no grants */
    bool existing;        /* content = data: load into the database `into`, which is there */
    bool analyze;
};

/* The database stands complete under its name, its check queries gave what they gave at backup time; or nothing of it
 * is left. */
int restore_database(struct restore *restore, const struct restore_database_options *options);

/* Tables, each with all that belongs to it, into `schema` of `database` (in one transaction), or as SQL to `out_fd`
 * (>= 0; `schema` NULL keeps the names). */
int restore_tables(struct restore *restore, const char *database, const char *target_database, const struct strv *tables,
                   const char *schema, int out_fd);

/* ---- for the files of this family ---- */

/* Find the member or say that the backup has none. */
int restore_member(const struct restore *restore, const char *role, const char *database,
                   const struct manifest_member **ret_member);
/* To the database in conninfo or, when that one is gone (which may be why there is a restore), to one that every server
 * has: for what is said to the server as a whole. */
int restore_connect(const struct restore *restore, struct pg_conn **ret_conn);
int restore_exists(struct pg_conn *conn, const char *database, bool *ret_exists);
/* A connection that has been idle for so long is made anew. */
enum { RESTORE_STALE_MS = 30 * 1000 };
/* Before anything is touched: can these be read? A copy in which they can is read first from now on. What is cold in all
 * of them is asked for: PGCASK_COLD, or 0 once it is there, as restore->thaw says. */
int restore_ready(struct restore *restore, const struct manifest_member *const *members, size_t count);
/* A small member, whole. */
int restore_read(struct restore *restore, const struct manifest_member *member, struct buf *ret_data);
/* Table of contents of an archive member; when `copy_fd` >= 0 its bytes are written there as well. */
int restore_archive(struct restore *restore, const struct manifest_member *member, int copy_fd,
                    struct archive **ret_archive);
/* All rows of one database, `streams` members and one more at a time. */
int restore_rows(struct restore *restore, const struct pg_tools *tools, const char *database, const char *target,
                 const struct strv *arguments, int server_version);
/* pg_restore over the table of contents in `toc_fd`: what stands before the rows, and what comes behind them. */
int restore_pre_data(const struct pg_tools *tools, int toc_fd, const char *target, const struct strv *arguments,
                     int server_version);
int restore_post_data(const struct restore *restore, const struct pg_tools *tools, const struct archive *archive, int toc_fd,
                      const char *target, const struct strv *arguments, int server_version);
int restore_tools(const struct restore *restore, int server_version, struct pg_tools **ret_tools);

#endif
