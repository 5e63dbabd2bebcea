/* SPDX-License-Identifier: PostgreSQL
 *
 * Talk goes to stderr, one line a call, silent unless asked for. Data goes to
 * stdout and is none of this file's business.
 */
#ifndef PGCASK_BASE_LOG_H
#define PGCASK_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level highest_shown); /* WARN at start; -v: INFO, -vv: DEBUG */
bool log_shows(enum log_level level);

/* ERROR: it failed. WARN: it went on and says so. INFO: a step with its numbers. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Print this thread's error slot as ERROR (or WARN) and its HINT, and empty the slot. */
void log_slot_error(void);
void log_slot_warn(const char *consequence); /* "…, <consequence>" behind the text */

/* A prefix of this thread's lines ("store 'offsite'"), borrowed; NULL ends it. Returns the one before. */
const char *log_prefix(const char *prefix);

/* Foreign text must not be able to steer a terminal or fake a line of its own: control characters become '?', and what
 * follows a newline is indented. Owned by the caller. */
char *log_defuse(const char *text);

/* The line a terminal shows while something long runs; "" takes it away. Never called when stderr is no terminal. */
void log_transient(const char *line);

#endif
