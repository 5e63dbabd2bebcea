/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as a backup_manifest, whole and in pieces; and once more with the
 * digest of itself made right, so that what lies behind that door is reached, too.
 */
#include "config.h"

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/path.h"
#include "pg/backup-files.h"

#include <stdbool.h>
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

/* What was believed keeps to its promises. */
static void
fuzz_files(const struct backup_files *files)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < files->len; i++) {
        const struct backup_file *file = &files->files[i];

        must(path_is_inside(file->path) && file->path[0] != '\0' && strlen(file->path) <= BACKUP_FILES_PATH_MAX);
        must(i == 0 || strcmp(files->files[i - 1].path, file->path) < 0);
        must((file->kind == BACKUP_SUM_NONE) == (file->sum == NULL));
        must(backup_files_find(files, file->path) == file);
        for (size_t j = 0; j < backup_sum_bytes(file->kind); j++)
            sum += file->sum[j];
    }
    for (size_t i = 0; i < files->range_count; i++)
        must(files->ranges[i].timeline > 0 && files->ranges[i].start_lsn <= files->ranges[i].end_lsn);
    (void)sum;
}

static int
fuzz_read(const void *data, size_t size, size_t step)
{
    CLEANUP(backup_reader_free) struct backup_reader *reader = backup_reader_new();
    CLEANUP(backup_files_free) struct backup_files *files = NULL;
    int rc = 0;

    for (size_t at = 0; rc == 0 && at < size; at += step)
        rc = backup_reader_add(reader, (const char *)data + at, size - at < step ? size - at : step);
    if (rc == 0)
        rc = backup_reader_end(reader, &files);
    if (rc == 0)
        fuzz_files(files);
    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char key[] = "\"Manifest-Checksum\"";
    CLEANUP_BUF struct buf text = BUF_INIT(1 << 26);
    const uint8_t *line = size > 0 ? memmem(data, size, key, sizeof key - 1) : NULL;
    int rc = fuzz_read(data, size, size > 0 ? size : 1);

    must(fuzz_read(data, size, 61) == rc);
    if (line != NULL && line > data && line[-1] == '\n') {
        CLEANUP_FREE char *digest = digest_of(DIGEST_SHA256, data, (size_t)(line - data));

        must(buf_add(&text, data, (size_t)(line - data)) == 0);
        must(buf_addf(&text, "%s: \"%s\"}\n", key, strchr(digest, ':') + 1) == 0);
        (void)fuzz_read(text.data, text.len, text.len);
    }
    error_clear();
    return 0;
}
