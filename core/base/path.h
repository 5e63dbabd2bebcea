/* SPDX-License-Identifier: PostgreSQL
 *
 * File names that somebody else wrote.
 */
#ifndef PGCASK_BASE_PATH_H
#define PGCASK_BASE_PATH_H

#include <stdbool.h>

/* Below whatever directory it is put behind: relative, no component empty, "." or "..", no '/' at its end. "" is the directory
 * itself. Symbolic links on the way are not looked at. */
bool path_is_inside(const char *path);
/* Is `path` that directory, or in it? Both absolute and without ".", ".." and empty components: as realpath gives them. */
bool path_is_below(const char *path, const char *directory);

#endif
