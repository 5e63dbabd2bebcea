/* SPDX-License-Identifier: PostgreSQL
 *
 * A directory of its own for each test: dir_make and dir_remove as a checked
 * fixture, dir_path for what is in it.
 */
#ifndef PGCASK_TESTS_UNIT_DIR_H
#define PGCASK_TESTS_UNIT_DIR_H

#include "base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "unit.h"

static char unit_dir[] = "/tmp/pgcask-unit.XXXXXX";

static inline void
dir_make(void)
{
    memcpy(unit_dir + sizeof unit_dir - 7, "XXXXXX", 7); /* without forks the tests share it */
    ck_assert_ptr_nonnull(mkdtemp(unit_dir));
}

static inline void
dir_remove(void)
{
    CLEANUP_FREE char *command = mem_printf("rm -rf '%s'", unit_dir);

    ck_assert_int_eq(system(command), 0);
}

/* Owned by the caller. */
static inline char *
dir_path(const char *name)
{
    return mem_printf("%s/%s", unit_dir, name);
}

/* How many files are there, of whatever kind. */
static inline unsigned
dir_count(void)
{
    DIR *dir = opendir(unit_dir);
    unsigned count = 0;

    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    ck_assert_int_eq(closedir(dir), 0);
    return count;
}

static inline unsigned
dir_mode(const char *path)
{
    struct stat st;

    ck_assert_int_eq(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

/* A file of that text and mode, made without the code under test. */
static inline void
dir_put(const char *path, const char *text, unsigned mode)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

#endif
