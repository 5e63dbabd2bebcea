/* SPDX-License-Identifier: PostgreSQL
 *
 * Looking things up in a manifest. Declared in manifest.h.
 */
#include "config.h"

#include "catalog/manifest.h"

#include <string.h>

static bool
matches(const char *wanted, const char *seen)
{
    return wanted == NULL || (seen != NULL && strcmp(wanted, seen) == 0);
}

const struct manifest_member *
manifest_find(const struct manifest *manifest, const char *role, const char *database, const char *schema,
              const char *table)
{
    for (size_t i = 0; i < manifest->member_count; i++) {
        const struct manifest_member *member = &manifest->members[i];

        if (matches(role, member->role) && matches(database, member->database) && matches(schema, member->schema) &&
            matches(table, member->table))
            return member;
    }
    return NULL;
}

const struct manifest_database *
manifest_database(const struct manifest *manifest, const char *name)
{
    for (size_t i = 0; i < manifest->database_count; i++)
        if (strcmp(manifest->databases[i].name, name) == 0)
            return &manifest->databases[i];
    return NULL;
}

uint64_t
manifest_plain_size(const struct manifest *manifest)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < manifest->member_count; i++)
        sum += manifest->members[i].plain_size;
    return sum;
}

uint64_t
manifest_stored_size(const struct manifest *manifest)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < manifest->member_count; i++)
        sum += manifest->members[i].stored_size;
    return sum;
}

bool
manifest_is_full(const struct manifest *manifest)
{
    return strcmp(manifest->content, "all") == 0 && !manifest->selection;
}
