/* SPDX-License-Identifier: PostgreSQL
 *
 * PostgreSQL's own programs: found by version, started with the cluster's exec
 * prefix, given their connection without a secret in their arguments.
 */
#ifndef PGCASK_PG_TOOLS_H
#define PGCASK_PG_TOOLS_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/process.h"

#include <stdbool.h>

struct pg_tools; /* opaque */

struct pg_tools_spec {
    const char *exec;     /* program and arguments in front, split at blanks; NULL: none */
    const char *bindir;   /* NULL: looked for */
    const char *conninfo; /* what the programs use to connect */
    const char *password; /* NULL: none, or in conninfo */
    int server_version;   /* 150020 */
};

/* Where distributions put the programs of one major, with a '/' at its end, when program `name` is there; else NULL. Owned by
 * the caller. */
char *pg_tools_dir(const char *name, int major);
/* Looks for the server's own major (version 0: the newest there is) in the usual places, then for a newer one, then in PATH; asks pg_dump for its
 * version. ERROR_USAGE when there is none, or only one older than the server. */
int pg_tools_find(const struct pg_tools_spec *spec, struct pg_tools **ret_tools);
void pg_tools_free(struct pg_tools *tools);
CLEANUP_DEFINE(struct pg_tools, pg_tools_free)

const char *pg_tools_version(const struct pg_tools *tools); /* "15.20" */
bool pg_tools_prefixed(const struct pg_tools *tools);       /* they run elsewhere: no files or descriptors of ours */
/* exec prefix, path of `program`. */
void pg_tools_argv(const struct pg_tools *tools, const char *program, struct strv *ret_argv);
/* "--dbname=…" for this database (NULL: the one in conninfo). */
int pg_tools_dbname(const struct pg_tools *tools, const char *database, struct strv *argv);
/* Start `argv` with the password and `options` (PGOPTIONS, may be NULL) in its environment. */
int pg_tools_start(const struct pg_tools *tools, const struct strv *argv, const char *options, enum process_stream in,
                   enum process_stream out, int pass_fd, struct process *ret_process);

#endif
