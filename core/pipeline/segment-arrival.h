/* SPDX-License-Identifier: PostgreSQL
 *
 * A file at the place that restore_command names: whole, or what was there before.
 */
#ifndef PGCASK_PIPELINE_SEGMENT_ARRIVAL_H
#define PGCASK_PIPELINE_SEGMENT_ARRIVAL_H

struct arrival {
    int fd;     /* -1: none; for reading and writing */
    char *dest;
    char *temp; /* beside it */
    int named;  /* there is a file called `temp` */
};

/* A new file in the directory of `dest`, without a name where the file system can do that, so that a crash leaves nothing. */
int arrival_begin(const char *dest, struct arrival *ret_arrival);
/* Sync it and give it its name; `rc` below 0: throw it away. Returns rc, or the error of finishing. */
int arrival_end(struct arrival *arrival, int rc);

#endif
