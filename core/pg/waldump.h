/* SPDX-License-Identifier: PostgreSQL
 *
 * pg_waldump, which reads the WAL of its own major version only: found, and run over segments in a directory.
 */
#ifndef PGCASK_PG_WALDUMP_H
#define PGCASK_PG_WALDUMP_H

#include <stdint.h>

enum { WALDUMP_LINE_MAX_BYTES = 16 * 1024 * 1024 /* of a longer line, the rest is left out */ };

/* In `bindir` (NULL: in the usual places of that major, then in PATH); owned by the caller. ERROR_USAGE when there is none,
 * or only one of another major. */
int waldump_find(const char *bindir, int major, char **ret_program);

struct waldump_run {
    const char *program, *dir; /* where the segments are */
    uint32_t timeline;         /* that they are named by */
    uint64_t from_lsn, to_lsn; /* records that begin there or later, and are complete before that */
    void (*line)(void *ctx, const char *line); /* each line it prints, NUL-terminated */
    void *ctx;
};
/* `ret_stop`: what it said when it met a record that it cannot read, and ended there; NULL: it read all. Owned by the
 * caller. */
int waldump_run(const struct waldump_run *run, char **ret_stop);

#endif
