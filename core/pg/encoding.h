/* SPDX-License-Identifier: PostgreSQL
 *
 * From a database's own encoding to UTF-8 and back: an archive's names and SQL
 * are in the encoding of the database it was made of.
 */
#ifndef PGCASK_PG_ENCODING_H
#define PGCASK_PG_ENCODING_H

#include "pg/archive.h"

/* PostgreSQL's name of the archive's encoding ("UTF8", "LATIN1"), from its ENCODING entry; owned by the caller. */
char *encoding_of_archive(const struct archive *archive);
/* `text` in another encoding, owned by the caller; names are PostgreSQL's. SQL_ASCII is passed through. ERROR_USAGE when a
 * character does not exist there, PGCASK_UNSUPPORTED for an encoding that this machine does not know. */
int encoding_convert(const char *text, const char *from, const char *to, char **ret_text);

#endif
