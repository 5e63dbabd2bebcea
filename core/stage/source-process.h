/* SPDX-License-Identifier: PostgreSQL
 *
 * Sources of members: the output of a program, or bytes in memory.
 */
#ifndef PGCASK_STAGE_SOURCE_PROCESS_H
#define PGCASK_STAGE_SOURCE_PROCESS_H

#include "base/process.h"

#include <stdint.h>

struct source_process {
    struct process process;
    void (*progress)(void *ctx, size_t len); /* may be NULL */
    void *progress_ctx;
    void (*ended)(void *ctx); /* the program has ended well; may be NULL */
    void *ended_ctx;
};

/* Of the type member_read. At the end of its output the program must have ended well, or this returns its error. */
int source_process_read(void *source_process, void *data, size_t size, size_t *ret_len);

struct source_memory {
    const void *data;
    size_t len, pos;
};
int source_memory_read(void *source_memory, void *data, size_t size, size_t *ret_len);

#endif
