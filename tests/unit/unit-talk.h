/* SPDX-License-Identifier: PostgreSQL
 *
 * Listening: what goes to stderr (or stdout) between talk_begin and talk_end.
 */
#ifndef PGCASK_TESTS_UNIT_TALK_H
#define PGCASK_TESTS_UNIT_TALK_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "unit.h"

enum { TALK_TEXT_LIMIT_BYTES = 16 * 1024 * 1024 };

struct talk {
    int fd;   /* whose words are kept */
    int kept; /* where they went before */
    int file;
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
talk_end(const struct talk *talk)
{
    struct buf text = BUF_INIT(TALK_TEXT_LIMIT_BYTES);

    (void)fflush(NULL);
    ck_assert_int_eq(dup2(talk->kept, talk->fd), talk->fd);
    ck_assert_int_eq(close(talk->kept), 0);
    ck_assert_int_eq(lseek(talk->file, 0, SEEK_SET), 0);
    ck_assert_int_eq(file_read_fd(talk->file, "talk", &text), 0);
    ck_assert_int_eq(close(talk->file), 0);
    return buf_take(&text);
}

#define ck_assert_has(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "'%s' lacks '%s'", (text), (part))
#define ck_assert_lacks(text, part)                                                                                    \
    ck_assert_msg(strstr((text), (part)) == NULL, "'%s' has '%s', which must not be there", (text), (part))

#endif
