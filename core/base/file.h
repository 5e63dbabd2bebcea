/* SPDX-License-Identifier: PostgreSQL
 *
 * Files as a backup tool needs them: whole reads with a limit, whole writes
 * that are there completely or not at all.
 */
#ifndef PGCASK_BASE_FILE_H
#define PGCASK_BASE_FILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The whole file (or FIFO), at most buf->limit bytes. PGCASK_NOT_FOUND when it does not exist. */
int file_read(const char *path, struct buf *buf);
/* All bytes until end of file from an open descriptor. `name` is for messages. */
int file_read_fd(int fd, const char *name, struct buf *buf);
/* Refuse (ERROR_USAGE) a file that group or others may read or write, or that somebody else but root owns. */
int file_check_private(const char *path, const char *what);
/* Temporary name, fsync, rename, fsync of the directory; mode 0600. Replaces what was there. */
int file_write(const char *path, const void *data, size_t len);
/* The same without waiting for the disk: after a crash of the machine it may hold anything. For what can be made again. */
int file_write_lazily(const char *path, const void *data, size_t len);
/* As file_write, but PGCASK_EXISTS when `path` is taken. */
int file_create(const char *path, const void *data, size_t len);
/* Append one record with a single write and fsync it; the file is made 0600 when missing. */
int file_append(const char *path, const void *data, size_t len);
/* Make a directory and its missing parents, all 0700. */
int file_mkdirs(const char *path);
int file_sync_dir(const char *path);
bool file_exists(const char *path);

/* Retried on EINTR and short counts; 0 or PGCASK_FAILED with errno's text. */
int file_write_all(int fd, const void *data, size_t len, const char *name);
/* Up to `size` bytes, less only at end of file; the count, or PGCASK_FAILED. */
ssize_t file_read_up_to(int fd, void *data, size_t size, const char *name);

#endif
