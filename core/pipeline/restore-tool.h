/* SPDX-License-Identifier: PostgreSQL
 *
 * pg_restore as a program. For restore-*.c only.
 */
#ifndef PGCASK_PIPELINE_RESTORE_TOOL_H
#define PGCASK_PIPELINE_RESTORE_TOOL_H

#include "base/process.h"
#include "pg/tools.h"

#include <stdbool.h>

/* PGOPTIONS of its sessions: whatever role and database are set to, NULL in an array is a null. */
#define RESTORE_DURABLE_OPTIONS "-c array_nulls=on"
/* Nothing is lost by it: a restore that dies with the server is begun anew, and the renaming at the end, which commits
 * synchronously, makes all before it durable. */
#define RESTORE_SESSION_OPTIONS RESTORE_DURABLE_OPTIONS " -c synchronous_commit=off"

/* pg_restore is lenient unless told otherwise; it is told so, except where it is newer than the server, and would trip
 * over a parameter that it sets. */
bool restore_tool_lenient(const struct pg_tools *tools, int server_version);
int restore_tool_argv(const struct pg_tools *tools, const char *section, const char *target, const struct strv *arguments,
                      bool lenient, struct strv *argv);
/* Wait for it. Being lenient, forgive what is told above and nothing else. */
int restore_tool_finish(struct process *process, bool lenient, const char *section);

#endif
