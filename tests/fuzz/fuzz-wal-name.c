/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes, line by line, as names of WAL files, as positions in the log and as the
 * keys of WAL in a store: what is taken can be put together again from its parts.
 */
#include "config.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "catalog/label.h"
#include "pg/wal-name.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
try_segment(const struct wal_name *name)
{
    for (uint64_t bytes = WAL_SEGMENT_MIN_BYTES; bytes <= WAL_SEGMENT_MAX_BYTES; bytes *= 2) {
        uint64_t number = wal_segment_number(name, (uint32_t)bytes);
        struct wal_name again = wal_segment_at(name->timeline, number, (uint32_t)bytes);

        must(wal_segment_size_is_valid(bytes));
        if (wal_segment_check(name, (uint32_t)bytes) == 0)
            must(again.log == name->log && again.piece == name->piece);
    }
}

static void
try_name(const char *text)
{
    struct wal_name name;
    CLEANUP_FREE char *again = NULL;
    int rc = wal_name_parse(text, &name);

    must(rc == 0 || (rc == ERROR_USAGE && error_text()[0] != '\0'));
    if (rc < 0)
        return;
    again = wal_name_text(&name);
    must(strcmp(again, text) == 0 && name.timeline != 0);
    if (name.file != WAL_HISTORY)
        try_segment(&name);
}

static void
try_lsn(const char *text)
{
    CLEANUP_FREE char *again = NULL;
    uint64_t lsn, same;
    int rc = wal_lsn_parse(text, &lsn);

    must(rc == 0 || rc == ERROR_USAGE);
    if (rc < 0)
        return;
    again = wal_lsn_text(lsn);
    must(wal_lsn_parse(again, &same) == 0 && same == lsn);
}

static void
try_key(const char *key)
{
    CLEANUP_LABEL_WAL struct label_wal wal = { 0 };
    CLEANUP_FREE char *again = NULL, *name = NULL, *group = NULL;
    int rc = label_wal_parse("main", key, &wal);

    must(rc == 0 || (rc == ERROR_CORRUPT && wal.file == NULL && error_text()[0] != '\0'));
    if (rc < 0)
        return;
    again = label_wal("main", wal.system_identifier, &wal.name, wal.digest, wal.sealed);
    name = wal_name_text(&wal.name);
    group = label_wal_group("main", wal.system_identifier, &wal.name);
    must(strcmp(again, key) == 0 && strcmp(name, wal.file) == 0);
    must(strncmp(group, key, strlen(group)) == 0);
    must(strlen(wal.digest) == LABEL_DIGEST_CHARS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = mem_strndup((const char *)data, size); /* up to the first NUL */
    CLEANUP_STRV struct strv lines = { 0 };

    strv_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.len; i++) {
        try_name(lines.items[i]);
        try_lsn(lines.items[i]);
        try_key(lines.items[i]);
    }
    error_clear();
    return 0;
}
