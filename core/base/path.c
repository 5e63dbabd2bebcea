/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/path.h"

#include <stddef.h>
#include <string.h>

bool
path_is_inside(const char *path)
{
    while (*path != '\0') {
        size_t len = strcspn(path, "/");

        if (len == 0 || (len == 1 && path[0] == '.') || (len == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        path += len;
        if (*path == '/' && *++path == '\0')
            return false;
    }
    return true;
}

bool
path_is_below(const char *path, const char *directory)
{
    size_t len = strlen(directory);

    while (len > 0 && directory[len - 1] == '/')
        len--; /* of "/" itself nothing is left: everything is below */
    return strncmp(path, directory, len) == 0 && (path[len] == '/' || path[len] == '\0');
}
