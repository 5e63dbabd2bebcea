/* SPDX-License-Identifier: PostgreSQL
 *
 * The settings that a server needs so that its WAL comes into the stores: what they are now, where that comes from, and
 * what has to be done. Changes go through ALTER SYSTEM and a reload; the server is never restarted.
 */
#ifndef PGCASK_PIPELINE_WAL_SETUP_H
#define PGCASK_PIPELINE_WAL_SETUP_H

#include "base/buf.h"
#include "config/settings.h"
#include "pg/conn.h"

#include <stdbool.h>

enum wal_setup_state {
    WAL_SETUP_OK,      /* as it should be */
    WAL_SETUP_PENDING, /* written down, and waits for a restart */
    WAL_SETUP_CHANGE,  /* to be set: ALTER SYSTEM can do it */
    WAL_SETUP_FOREIGN, /* set to something else on purpose: only changed when asked to */
    WAL_SETUP_STUCK,   /* given on the server's command line, which ALTER SYSTEM does not reach */
    WAL_SETUP_ADVICE,  /* for somebody to decide */
};

struct wal_setup_row {
    const char *name, *why; /* static */
    enum wal_setup_state state;
    bool restart;           /* a change takes a restart to come into effect */
    char *wanted, *current;
    char *next;             /* what is written down for the next restart; NULL: nothing else */
    char *source;           /* "postgresql.conf, line 12", "default", … */
};

struct wal_setup {
    char *version; /* of the server */
    bool standby;
    struct wal_setup_row *rows;
    size_t len, cap;
    struct strv privileges; /* what the role lacks and what that costs, each with its cure */
    bool may_change;        /* the role may ALTER SYSTEM all that is to be set */
};

struct wal_setup_options {
    const struct config *config;
    const struct config_item *cluster;
    bool receive; /* by `pgcask wal receive`, not by archive_command */
    bool replace; /* another program's archive_command, too */
};

/* Only looks. */
int wal_setup_look(struct pg_conn *conn, const struct wal_setup_options *options, struct wal_setup *ret_setup);
/* Does what WAL_SETUP_CHANGE rows (and WAL_SETUP_FOREIGN ones, when options->replace) say, and has the server read it. */
int wal_setup_apply(struct pg_conn *conn, const struct wal_setup_options *options, const struct wal_setup *setup);
/* Has this row to be changed by wal_setup_apply? */
bool wal_setup_changes(const struct wal_setup_options *options, const struct wal_setup_row *row);
/* "ALTER SYSTEM SET name = 'value'"; owned by the caller. */
int wal_setup_statement(struct pg_conn *conn, const struct wal_setup_row *row, char **ret_sql);
/* "'/usr/bin/pgcask' --config … wal push …"; owned by the caller. */
int wal_setup_archive_command(const struct config *config, const char *cluster, char **ret_command);

void wal_setup_free(struct wal_setup *setup);
void cleanup_wal_setup(struct wal_setup *setup);
#define CLEANUP_WAL_SETUP __attribute__((cleanup(cleanup_wal_setup)))

#endif
