/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/writing.h"

#include "base/error.h"
#include "base/log.h"
#include "catalog/label.h"

#include <inttypes.h>
#include <stdlib.h>

static void
member_free_words(struct manifest_member *member)
{
    free(member->name);
    free(member->role);
    free(member->database);
    free(member->schema);
    free(member->table);
    free(member->tablespace);
}

int
writing_member(struct writing *writing, struct manifest_member *member, member_read *read, void *ctx,
               uint64_t size_hint, pthread_mutex_t *lock)
{
    CLEANUP_FREE char *object = mem_printf("%s.zst%s", member->name, writing->recipients ? ".age" : "");
    CLEANUP_FREE char *key = label_object(writing->cluster, writing->id, object);
    struct member_writer_spec spec = {
        .crew = writing->crew,
        .outlet = writing->outlet,
        .recipients = writing->recipients,
        .pieces = writing->pieces,
        .key = key,
        .size_hint = size_hint,
    };
    struct member_facts facts = { 0 };
    int rc = member_write(&spec, read, ctx, &facts);

    if (rc < 0) {
        (void)error_context(rc, "member '%s'", member->name);
        member_free_words(member);
        return rc;
    }
    member->object = STEAL(object);
    member->sealed = writing->recipients != NULL;
    member->plain_size = facts.plain_size;
    member->stored_size = facts.stored_size;
    member->header_size = facts.header_size;
    member->plain_digest = facts.plain_digest;
    member->stored_digest = facts.stored_digest;
    member->header_digest = facts.header_digest;
    log_info("member '%s': %" PRIu64 " bytes, stored %" PRIu64, member->name, member->plain_size, member->stored_size);
    if (lock != NULL)
        (void)pthread_mutex_lock(lock);
    *manifest_add_member(writing->manifest) = *member;
    if (lock != NULL)
        (void)pthread_mutex_unlock(lock);
    return 0;
}
