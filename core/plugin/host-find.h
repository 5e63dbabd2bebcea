/* SPDX-License-Identifier: PostgreSQL
 *
 * Where plugin files are, and whether they are safe to run. For host.c.
 */
#ifndef PGCASK_PLUGIN_HOST_FIND_H
#define PGCASK_PLUGIN_HOST_FIND_H

#include "plugin/host.h"

/* The real path (owned by the caller) of the file that `name` stands for: a plugin's name, or an absolute path.
 * ERROR_USAGE when there is none or it must not be run. */
int plugin_find(enum plugin_kind kind, const char *name, char **ret_path);
/* Refuse (ERROR_USAGE) a file that is shorter than its headers say; other damage is for dlopen to find. */
int plugin_check_whole(const char *path);
const char *plugin_kind_word(enum plugin_kind kind); /* "storage", "notifier" */

#endif
