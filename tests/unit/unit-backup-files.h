/* SPDX-License-Identifier: PostgreSQL
 *
 * A backup_manifest for tests, with a right digest of itself.
 */
#ifndef PGCASK_TESTS_UNIT_BACKUP_FILES_H
#define PGCASK_TESTS_UNIT_BACKUP_FILES_H

#include "base/buf.h"
#include "base/digest.h"

#include <stdlib.h>
#include <string.h>

#define FILES_BEGIN "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n"
#define FILES_END                                                                                                      \
    "\n],\n\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n"

/* Behind `text`, which ends with a newline, the line with its digest. */
static inline void
files_sum(struct buf *text)
{
    char *digest = digest_of(DIGEST_SHA256, text->data, text->len);

    (void)buf_addf(text, "\"Manifest-Checksum\": \"%s\"}\n", strchr(digest, ':') + 1);
    free(digest);
}

/* `rows`: the objects of "Files". */
static inline void
files_make(struct buf *ret_text, const char *rows)
{
    (void)buf_addf(ret_text, "%s%s%s", FILES_BEGIN, rows, FILES_END);
    files_sum(ret_text);
}

#endif
