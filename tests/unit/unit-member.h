/* SPDX-License-Identifier: PostgreSQL
 *
 * Whole backups for tests: members written by the real chain into a store in
 * memory, with the manifest that describes them.
 */
#ifndef PGCASK_TESTS_UNIT_MEMBER_H
#define PGCASK_TESTS_UNIT_MEMBER_H

#include <string.h>

#include "base/error.h"
#include "catalog/label.h"
#include "stage/conveyor.h"
#include "stage/member-writer.h"
#include "stage/outlet.h"
#include "stage/source-process.h"
#include "unit-age.h"
#include "unit-fake.h"
#include "unit-manifest.h"
#include "unit.h"

#define RUN "20261122T020000Z-daily"

/* Write one member, and enter it. `whom` NULL: not encrypted. */
static inline struct manifest_member *
write_member(struct fake *fake, struct manifest *manifest, const struct age_recipients *whom, const char *name,
             const char *role, const char *database, const void *data, size_t len)
{
    struct manifest_member *member = manifest_add_member(manifest);
    CLEANUP(crew_free) struct crew *crew = crew_new(1, 1);
    CLEANUP(outlet_free) struct outlet *outlet = NULL;
    CLEANUP_FREE char *key = NULL;
    struct member_writer_spec spec = { .crew = crew, .recipients = whom, .pieces = 3, .size_hint = len };
    struct source_memory source = { .data = data, .len = len };
    struct member_facts facts = { 0 };

    member->name = mem_strdup(name);
    member->object = mem_printf("%s.zst%s", name, whom ? ".age" : "");
    member->role = mem_strdup(role);
    member->database = database ? mem_strdup(database) : NULL;
    member->sealed = whom != NULL;
    spec.key = key = label_object(manifest->cluster, manifest->id, member->object);
    ck_assert_msg(outlet_new(&fake->storage, 1, 1, &outlet) == 0, "%s", error_text());
    spec.outlet = outlet;
    ck_assert_msg(member_write(&spec, source_memory_read, &source, &facts) == 0, "%s", error_text());
    member->plain_size = facts.plain_size;
    member->stored_size = facts.stored_size;
    member->header_size = facts.header_size;
    member->plain_digest = facts.plain_digest;
    member->stored_digest = facts.stored_digest;
    member->header_digest = facts.header_digest;
    return member;
}

static inline struct fake_object *
member_object(const struct fake *fake, const struct manifest *manifest, size_t i)
{
    CLEANUP_FREE char *key = label_object(manifest->cluster, manifest->id, manifest->members[i].object);

    return fake_find(fake, key);
}

/* Bytes that do not compress, and differ from place to place. */
static inline char *
noise(size_t len)
{
    char *data = mem_alloc(len + 1);
    uint64_t state = 88172645463325252;

    for (size_t i = 0; i < len; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        data[i] = (char)state;
    }
    return data;
}

#endif
