/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct lock {
    int fd;
};

int
lock_take(const char *path, const char *what, struct lock **ret_lock)
{
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    CLEANUP_FREE char *pid = mem_printf("%d\n", (int)getpid());
    char holder[32] = "";

    if (fd < 0)
        return error_errno(PGCASK_FAILED, "could not open lock file '%s'", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            return error_errno(PGCASK_FAILED, "could not lock '%s'", path);
        (void)file_read_up_to(fd, holder, sizeof holder - 1, path); /* only for the message */
        holder[strspn(holder, "0123456789")] = '\0';
        (void)error_set(ERROR_LOCKED, "another run of %s is under way (pid %s)", what, *holder ? holder : "not known");
        return error_hint(ERROR_LOCKED, "wait for it, or end it; the lock '%s' goes with its process", path);
    }
    /* the pid is for a message only: a full file system must not stop a backup that goes elsewhere */
    if (ftruncate(fd, 0) < 0 || file_write_all(fd, pid, strlen(pid), path) < 0)
        error_clear();
    *ret_lock = mem_zalloc(sizeof **ret_lock);
    (*ret_lock)->fd = steal_fd(&fd);
    return 0;
}

void
lock_release(struct lock *lock)
{
    if (lock == NULL)
        return;
    (void)close(lock->fd); /* the file stays: removing it would let two runs lock two files of one name */
    free(lock);
}
