/* SPDX-License-Identifier: PostgreSQL
 *
 * This program as others are told to start it: PostgreSQL, by archive_command and restore_command.
 */
#ifndef PGCASK_BASE_PROGRAM_H
#define PGCASK_BASE_PROGRAM_H

#include "base/mem.h"

/* The absolute path of the running program; once installed that of core/front.c, which is quicker. Owned by the caller. */
int program_path(char **ret_path);
/* One word of a command that PostgreSQL hands to the shell: in quotes where it needs them, each '%' doubled. Owned by the
 * caller. */
char *program_command_word(const char *text);

#endif
