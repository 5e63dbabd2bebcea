/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as a custom-format archive: its table of contents, the rows of every
 * entry that has some, and the plan to rescue each of its tables.
 */
#include "config.h"

#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "pg/archive.h"
#include "pg/rescue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_ENTRIES = 8 }; /* that are looked at one by one, so that large inputs stay fast */

struct fuzz_bytes {
    const uint8_t *data;
    size_t left;
};

static int
fuzz_read(void *ctx, void *data, size_t len)
{
    struct fuzz_bytes *bytes = ctx;

    if (len > bytes->left)
        return error_set(PGCASK_FAILED, "no more bytes");
    memcpy(data, bytes->data, len);
    bytes->data += len;
    bytes->left -= len;
    return 0;
}

static int
fuzz_rows(void *ctx, const void *data, size_t len)
{
    uint64_t *sum = ctx;
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++)
        *sum += bytes[i]; /* every byte given must be readable */
    return 0;
}

static void
fuzz_plan(const struct archive *archive, const struct strv *tables, const char *target)
{
    struct rescue_plan plan = { 0 };

    if (rescue_plan_make(archive, tables, target, &plan) == 0)
        rescue_plan_free(&plan);
}

static void
fuzz_table(const struct archive *archive, const struct archive_entry *entry, struct strv *all)
{
    CLEANUP_STRV struct strv one = { 0 };

    if (entry->schema == NULL || entry->tag == NULL)
        return;
    strv_addf(&one, "%s.%s", entry->schema, entry->tag);
    strv_add(all, one.items[0]);
    fuzz_plan(archive, &one, "rescue \"x\"");
    fuzz_plan(archive, &one, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(archive_free) struct archive *archive = NULL;
    CLEANUP_STRV struct strv all = { 0 };
    struct fuzz_bytes bytes = { data, size };
    uint64_t sum = 0;

    if (archive_load(fuzz_read, &bytes, size, &archive) == 0) {
        for (size_t i = 0; i < archive->len && i < FUZZ_ENTRIES; i++) {
            struct fuzz_bytes rest = { data + archive->toc_size, size - archive->toc_size };

            (void)archive_data(archive, fuzz_read, &rest, archive->entries[i].dump_id, fuzz_rows, &sum);
            fuzz_table(archive, &archive->entries[i], &all);
        }
        fuzz_plan(archive, &all, "r");
    }
    error_clear();
    return 0;
}
