/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/segment-arrival.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
arrival_open(struct arrival *arrival)
{
    const char *slash = strrchr(arrival->dest, '/');
    CLEANUP_FREE char *dir = slash != NULL ? mem_strndup(arrival->dest, (size_t)(slash - arrival->dest) + 1)
                                           : mem_strdup(".");

    if (access("/proc/self/fd", X_OK) == 0) {
        arrival->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (arrival->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
            return arrival->fd;
    }
    (void)unlink(arrival->temp); /* of a process that had our number and died */
    arrival->fd = open(arrival->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    arrival->named = arrival->fd >= 0;
    return arrival->fd;
}

int
arrival_begin(const char *dest, struct arrival *ret_arrival)
{
    struct arrival arrival = { .fd = -1, .dest = mem_strdup(dest) };

    arrival.temp = mem_printf("%s.pgcask-%d", dest, (int)getpid());
    if (arrival_open(&arrival) < 0) {
        int rc = error_errno(PGCASK_FAILED, "could not create a file beside '%s'", dest);

        free(arrival.dest);
        free(arrival.temp);
        return rc;
    }
    *ret_arrival = arrival;
    return 0;
}

static int
arrival_name(struct arrival *arrival)
{
    char path[64];

    if (!arrival->named) {
        (void)unlink(arrival->temp);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", arrival->fd);
        if (linkat(AT_FDCWD, path, AT_FDCWD, arrival->temp, AT_SYMLINK_FOLLOW) < 0)
            return error_errno(PGCASK_FAILED, "could not create '%s'", arrival->temp);
        arrival->named = true;
    }
    if (rename(arrival->temp, arrival->dest) < 0)
        return error_errno(PGCASK_FAILED, "could not rename '%s' to '%s'", arrival->temp, arrival->dest);
    arrival->named = false;
    return 0;
}

int
arrival_end(struct arrival *arrival, int rc)
{
    if (rc == 0 && fsync(arrival->fd) < 0)
        rc = error_errno(PGCASK_FAILED, "could not sync '%s'", arrival->temp);
    if (rc == 0)
        rc = arrival_name(arrival);
    if (arrival->named)
        (void)unlink(arrival->temp); /* the error that matters is told */
    if (arrival->fd >= 0)
        (void)close(arrival->fd); /* synced, or given up */
    free(arrival->dest);
    free(arrival->temp);
    *arrival = (struct arrival){ .fd = -1 };
    return rc;
}
