/* SPDX-License-Identifier: PostgreSQL
 *
 * What tests that touch files or listen to the log have in common: a directory of
 * their own, and what was said on stderr (or stdout) meanwhile.
 */
#ifndef PGCASK_TESTS_UNIT_SCRATCH_H
#define PGCASK_TESTS_UNIT_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "unit.h"

enum { SCRATCH_LIMIT_BYTES = 16 * 1024 * 1024 };

static char *scratch; /* the directory */

static inline void
scratch_begin(void)
{
    const char *where = getenv("TMPDIR");

    scratch = mem_printf("%s/pgcask-unit.XXXXXX", where != NULL && *where != '\0' ? where : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static inline void
scratch_end(void)
{
    CLEANUP_FREE char *command = mem_printf("rm -rf '%s'", scratch);

    ck_assert_int_eq(system(command), 0);
    free(scratch);
    scratch = NULL;
}

/* Owned by the caller. */
static inline char *
scratch_path(const char *name)
{
    return mem_printf("%s/%s", scratch, name);
}

/* Write a file there; its path, owned by the caller. */
static inline char *
scratch_file(const char *name, const void *data, size_t len, mode_t mode)
{
    char *path = scratch_path(name);

    ck_assert_msg(file_write(path, data, len) == 0, "%s", error_text());
    ck_assert_int_eq(chmod(path, mode), 0);
    return path;
}

static inline char *
scratch_text(const char *name, const char *text)
{
    return scratch_file(name, text, strlen(text), 0600);
}

static inline char *
scratch_script(const char *name, const char *text)
{
    return scratch_file(name, text, strlen(text), 0700);
}

static inline struct buf
scratch_read(const char *path)
{
    struct buf text = BUF_INIT(SCRATCH_LIMIT_BYTES);

    ck_assert_msg(file_read(path, &text) == 0, "%s", error_text());
    return text;
}

/* From talk_begin to talk_end, what `fd` would show is kept. */
struct talk {
    int fd, kept, file;
};

static inline struct talk
talk_begin(int fd)
{
    struct talk talk = { .fd = fd };

    (void)fflush(NULL);
    talk.kept = dup(fd);
    talk.file = memfd_create("talk", MFD_CLOEXEC);
    ck_assert(talk.kept >= 0 && talk.file >= 0);
    ck_assert_int_eq(dup2(talk.file, fd), fd);
    return talk;
}

/* The text, owned by the caller. */
static inline char *
talk_end(struct talk *talk)
{
    struct buf text = BUF_INIT(SCRATCH_LIMIT_BYTES);

    (void)fflush(NULL);
    ck_assert_int_eq(dup2(talk->kept, talk->fd), talk->fd);
    (void)close(talk->kept);
    ck_assert(lseek(talk->file, 0, SEEK_SET) == 0);
    ck_assert_int_eq(file_read_fd(talk->file, "talk", &text), 0);
    (void)close(talk->file);
    return buf_take(&text);
}

#define ck_assert_has(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "'%s' lacks '%s'", (text), (part))
#define ck_assert_lacks(text, part)                                                                                    \
    ck_assert_msg(strstr((text), (part)) == NULL, "'%s' has '%s', which must not be there", (text), (part))

#endif
