/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/program.h"

#include "base/buf.h"
#include "base/error.h"
#include "paths.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

int
program_path(char **ret_path)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);

    if (len < 0)
        return error_errno(PGCASK_FAILED, "could not read '/proc/self/exe'");
    if (len == (ssize_t)sizeof path)
        return error_set(PGCASK_FAILED, "the path of this program is too long (at most %d bytes)", PATH_MAX - 1);
    path[len] = '\0';
    *ret_path = mem_strdup(strcmp(path, PGCASK_LIBEXEC_DIR "/pgcask") == 0 && access(PGCASK_BIN_DIR "/pgcask", X_OK) == 0
                               ? PGCASK_BIN_DIR "/pgcask"
                               : path);
    return 0;
}

char *
program_command_word(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
    bool quoted = *text == '\0' || text[strspn(text, plain)] != '\0';
    struct buf word = BUF_INIT(SIZE_MAX);

    if (quoted)
        (void)buf_adds(&word, "'");
    for (const char *p = text; *p != '\0'; p++)
        if (*p == '\'')
            (void)buf_adds(&word, "'\\''");
        else if (*p == '%')
            (void)buf_adds(&word, "%%");
        else
            (void)buf_add(&word, p, 1);
    if (quoted)
        (void)buf_adds(&word, "'");
    return buf_take(&word);
}
