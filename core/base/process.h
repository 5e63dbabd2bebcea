/* SPDX-License-Identifier: PostgreSQL
 *
 * Other programs: started without a shell, their stderr kept for the message,
 * ended when the run is cancelled.
 */
#ifndef PGCASK_BASE_PROCESS_H
#define PGCASK_BASE_PROCESS_H

#include "base/buf.h"

#include <sys/types.h>

enum { PROCESS_TALK_LIMIT_BYTES = 64 * 1024 }; /* of stderr, more is left out */

enum process_stream {
    PROCESS_NULL, /* /dev/null */
    PROCESS_PIPE, /* our end is in struct process */
    PROCESS_KEEP, /* the same as ours */
};

struct process_spec {
    const char *const *argv;      /* NULL-terminated; argv[0] is looked up in PATH */
    const char *const *env;       /* "NAME=value" added to (or replacing in) our environment; NULL: none */
    enum process_stream in, out;  /* stderr always goes to memory */
    int pass_fd;                  /* a descriptor the child sees as number 3; -1: none. Zero means none, too. */
};

struct process {
    pid_t pid;
    int in_fd, out_fd; /* -1 when not a pipe (or taken with steal_fd) */
    int err_fd;
    char *name; /* argv[0]'s last component */
};

int process_start(const struct process_spec *spec, struct process *ret_process);
/* Close what is open, wait, and return the exit code (0..255, 128 + signal), or an error that cannot happen in
 * practice. What it said on stderr goes to `ret_talk` (owned by the caller, "" when nothing; may be NULL). */
int process_end(struct process *process, char **ret_talk);
/* process_end, and PGCASK_FAILED with the program's words unless it exited with 0. */
int process_finish(struct process *process);
/* End it now: SIGTERM, wait. Harmless on a process that was never started (pid 0). */
void process_kill(struct process *process);

/* Run to the end and collect stdout. */
int process_output(const struct process_spec *spec, struct buf *ret_out);

/* SIGTERM to all that run now; called when the run is cancelled, from any thread. */
void process_kill_all(void);

#endif
