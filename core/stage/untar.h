/* SPDX-License-Identifier: PostgreSQL
 *
 * A tar stream taken apart while it comes by: headers are looked at, contents are handed on from where they lie. What
 * PostgreSQL's BASE_BACKUP writes is understood (ustar headers, sizes in octal or base 256, files, directories, symbolic
 * links); all else is refused by its name. Knows nothing of what is done with the files. Foreign bytes, fuzzed.
 *
 *   begin file ─► bytes, bytes, … ─► end      begin directory      begin symlink      in the order of the stream
 *
 * Source of the format: POSIX pax, "ustar Interchange Format"; PostgreSQL's src/port/tar.c, which writes it.
 */
#ifndef PGCASK_STAGE_UNTAR_H
#define PGCASK_STAGE_UNTAR_H

#include "base/mem.h"

#include <stddef.h>
#include <stdint.h>

enum {
    UNTAR_BLOCK_BYTES = 512,
    UNTAR_NAME_MAX = 256, /* characters: 155 of the prefix, '/', 100 of the name */
};

enum untar_type { UNTAR_FILE, UNTAR_DIRECTORY, UNTAR_SYMLINK };

/* Borrowed until `begin` returns. */
struct untar_entry {
    enum untar_type type;
    const char *name;   /* relative, without "." or ".." or empty components, no '/' at its end */
    const char *target; /* of a symbolic link, as written: anything; else NULL */
    unsigned mode;      /* permission bits */
    uint64_t size;      /* bytes that follow; 0 unless a file */
    int64_t mtime_s;
};

/* Each returns 0 to go on; below 0 ends the reading and is returned by untar_add. */
struct untar_ops {
    int (*begin)(void *ctx, const struct untar_entry *entry);
    int (*bytes)(void *ctx, const void *data, size_t len); /* of the file begun last: pieces of what untar_add was given */
    int (*end)(void *ctx);                                 /* of each file, also of an empty one; not of other entries */
};

struct untar; /* opaque */

/* `ops` is borrowed. Memory: one block, whatever the stream says. */
struct untar *untar_new(const struct untar_ops *ops, void *ctx);
void untar_free(struct untar *untar);
CLEANUP_DEFINE(struct untar, untar_free)

/* The next bytes, in pieces of any size. ERROR_CORRUPT: no tar, a wrong header checksum, a name that leaves the directory;
 * PGCASK_UNSUPPORTED: a kind of entry that BASE_BACKUP does not write. After an error only untar_free may follow. Of the type
 * member_take. */
int untar_add(void *untar, const void *data, size_t len);
/* Behind the last byte: ERROR_CORRUPT when it is cut within an entry. The two blocks of zeros at the end may be missing, as
 * PostgreSQL 13 and 14 send it. */
int untar_end(struct untar *untar);

#endif
