/* SPDX-License-Identifier: PostgreSQL
 *
 * Any bytes as what a store lists: keys that are taken for ours can be put together
 * again from their parts. And any bytes as the names of databases, schemas and
 * tables: what they become is a plain file name, and no two are the same.
 */
#include "config.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "catalog/label.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 63, NAMES = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
try_id(const char *text)
{
    const char *job = NULL;
    int64_t start_s;
    int rc = label_id_parse(text, &start_s, &job);

    must(rc == 0 || (rc == ERROR_USAGE && job == NULL && error_text()[0] != '\0'));
    if (rc == 0) {
        CLEANUP_FREE char *made = label_id(start_s, job);

        must(strcmp(made, text) == 0);
    }
}

static void
try_key(const char *key)
{
    struct label_key parsed = { 0 };
    CLEANUP_FREE char *made = NULL;
    int rc = label_key_parse("main", key, &parsed);

    must(rc == 0 || (rc == ERROR_CORRUPT && parsed.id == NULL && error_text()[0] != '\0'));
    if (rc < 0)
        return;
    made = parsed.verdict ? label_verdict("main", parsed.id, parsed.verdict_s, parsed.good)
                          : label_object("main", parsed.id, parsed.object);
    must(strcmp(made, key) == 0);
    must(!parsed.manifest || strcmp(parsed.object, LABEL_MANIFEST) == 0);
    must(!(parsed.manifest && parsed.verdict));
    must(label_object_check(parsed.object) == 0 && strchr(parsed.object, '/') == NULL);
    try_id(parsed.id);
    free(parsed.id);
}

static const char *
name_at(const struct strv *lines, size_t i)
{
    return i < lines->len && strlen(lines->items[i]) <= NAME_BYTES ? lines->items[i] : NULL;
}

/* Each line is the name of a database; the next two those of a schema and a table in it. No name is longer than
 * PostgreSQL allows. */
static void
try_names(const struct strv *lines)
{
    CLEANUP_STRV struct strv taken = { 0 };

    for (size_t i = 0; i < lines->len && i < NAMES; i++) {
        CLEANUP_FREE char *database = mem_strndup(lines->items[i], strnlen(lines->items[i], NAME_BYTES));
        const char *schema = name_at(lines, i + 1), *table = schema != NULL ? name_at(lines, i + 2) : NULL;
        const char *const parts[] = { database, table != NULL ? schema : NULL, table, NULL };
        size_t before = taken.len;
        CLEANUP_FREE char *name = label_member_name(&taken, parts, ".dump");
        CLEANUP_FREE char *object = mem_printf("%s.zst.age", name);
        CLEANUP_FREE char *key = label_object("main", "20261122T020000Z-daily", object);
        struct label_key parsed;

        must(taken.len == before + 1 && strcmp(taken.items[before], name) == 0);
        for (size_t j = 0; j < before; j++)
            must(strcmp(taken.items[j], name) != 0);
        must(label_key_parse("main", key, &parsed) == 0);
        must(!parsed.manifest && !parsed.verdict && strcmp(parsed.object, object) == 0);
        free(parsed.id);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = mem_strndup((const char *)data, size); /* up to the first NUL */
    CLEANUP_STRV struct strv lines = { 0 };

    strv_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.len; i++) {
        try_key(lines.items[i]);
        try_id(lines.items[i]);
    }
    try_names(&lines);
    error_clear();
    return 0;
}
