/* SPDX-License-Identifier: PostgreSQL
 *
 * The line a terminal shows while something long runs: done, rate, time left.
 * Nothing at all when stderr is no terminal.
 */
#ifndef PGCASK_PIPELINE_PROGRESS_H
#define PGCASK_PIPELINE_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

/* One at a time. `what` is borrowed until progress_end; `total` bytes may be an estimate, 0: not known. */
void progress_begin(const char *what, uint64_t total);
void progress_add(void *unused, size_t bytes); /* from any thread */
uint64_t progress_done(void);                  /* bytes since progress_begin */
void progress_end(void);

#endif
