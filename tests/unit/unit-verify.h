/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of verify have in common: a backup of three members, encrypted,
 * written by the real chain into a store in memory.
 */
#ifndef PGCASK_TESTS_UNIT_VERIFY_H
#define PGCASK_TESTS_UNIT_VERIFY_H

#include "pipeline/verify.h"

#include <signal.h>

#include "unit-dir.h"
#include "unit-member.h"

enum { GLOBALS, MAIN, ROWS, MEMBERS, MAIN_BYTES = 300000 };

static struct fake *fake;
static struct manifest *manifest;
static struct age_recipients *recipients;
static struct age_identities *identities;
static struct verify_spec spec;

/* The manifest belongs to what is read. */
static inline void
commit(void)
{
    CLEANUP_FREE char *key = label_object("chain", RUN, LABEL_MANIFEST), *text = manifest_encode(spec.manifest);

    (void)fake_text(fake, key, text);
}

static inline void
write_backup(const struct age_recipients *whom)
{
    CLEANUP_FREE char *data = noise(MAIN_BYTES);
    struct manifest_member *rows;

    manifest = made_empty("chain", RUN);
    (void)write_member(fake, manifest, whom, "globals.sql", ROLE_GLOBALS, NULL, "CREATE ROLE a;\n", 15);
    (void)write_member(fake, manifest, whom, "shop.dump", ROLE_MAIN, "shop", data, MAIN_BYTES);
    rows = write_member(fake, manifest, whom, "shop.public.t.dump", ROLE_TABLE, "shop", "", 0);
    rows->schema = mem_strdup("public");
    rows->table = mem_strdup("t");
    if (whom != NULL)
        age_recipients_list(whom, &manifest->recipients);
    spec = (struct verify_spec){
        .crew = crew_new(2, 1), .streams = 2, .storage = fake->storage, .manifest = manifest, .identities = identities,
    };
    commit();
}

static inline void
verify_setup(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as main does */
    dir_make();
    recipients = age_recipients_new();
    identities = age_identities_new();
    ck_assert_int_eq(age_recipients_add(recipients, RECIPIENT), 0);
    ck_assert_int_eq(age_identities_add(identities, IDENTITY), 0);
    fake = fake_opened("one");
    write_backup(recipients);
    spec.deep = true;
}

static inline void
verify_teardown(void)
{
    crew_free(spec.crew);
    manifest_free(manifest);
    fake_free(fake);
    age_recipients_free(recipients);
    age_identities_free(identities);
    dir_remove();
}

static inline int
verify(enum verify_depth *ret_depth)
{
    commit();
    return verify_copy(&spec, ret_depth);
}

#endif
