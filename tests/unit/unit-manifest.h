/* SPDX-License-Identifier: PostgreSQL
 *
 * What the tests of manifests have in common: one with a row of every kind.
 */
#ifndef PGCASK_TESTS_UNIT_MANIFEST_H
#define PGCASK_TESTS_UNIT_MANIFEST_H

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "catalog/manifest.h"
#include "unit.h"

#define REPOSITORY "0123456789abcdef0123456789abcdef"
#define SHA256_TEXT "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define XXH3_TEXT "xxh3-128:0123456789abcdef0123456789abcdef"

static inline struct manifest_member *
made_member(struct manifest *manifest, const char *name, const char *role, const char *database)
{
    struct manifest_member *member = manifest_add_member(manifest);

    member->name = mem_strdup(name);
    member->object = mem_printf("%s.zst.age", name);
    member->role = mem_strdup(role);
    member->database = database ? mem_strdup(database) : NULL;
    member->sealed = true;
    member->plain_size = 3000;
    member->stored_size = 1000;
    member->header_size = 200;
    member->plain_digest = mem_strdup(XXH3_TEXT);
    member->stored_digest = mem_strdup(XXH3_TEXT);
    member->header_digest = mem_strdup(SHA256_TEXT);
    return member;
}

/* Everything but members, databases and checks. */
static inline struct manifest *
made_empty(const char *cluster, const char *id)
{
    struct manifest *manifest = manifest_new();

    manifest->repository = mem_strdup(REPOSITORY);
    manifest->cluster = mem_strdup(cluster);
    manifest->system_identifier = mem_strdup("7123456789012345678");
    manifest->id = mem_strdup(id);
    manifest->job = mem_strdup(strrchr(id, '-') + 1);
    manifest->kind = mem_strdup("dump");
    manifest->content = mem_strdup("all");
    manifest->tool = mem_strdup("pgcask 0.1.0");
    manifest->dump_version = mem_strdup("15.20");
    manifest->server_version = 150020;
    manifest->server_text = mem_strdup("15.20 (Debian 15.20-0+deb12u1)");
    manifest->started_s = 1795312800;  /* 2026-11-22T02:00:00Z */
    manifest->finished_s = 1795312861; /* a minute and a second later */
    return manifest;
}

static inline struct manifest *
made_full(void)
{
    struct manifest *manifest = made_empty("chain", "20261122T020000Z-daily");
    struct manifest_member *member;
    struct manifest_database *database;
    struct manifest_check *check;

    strv_add(&manifest->recipients, "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
    (void)made_member(manifest, "globals.sql", ROLE_GLOBALS, NULL);
    (void)made_member(manifest, "shop.dump", ROLE_MAIN, "shop");
    member = made_member(manifest, "shop.public.order%20line.dump", ROLE_TABLE, "shop");
    member->schema = mem_strdup("public");
    member->table = mem_strdup("order line");
    member = made_member(manifest, "shop.properties.json", ROLE_PROPERTIES, "shop");
    member->sealed = false; /* no backup is half encrypted, but a reader does not care */
    member->object[strlen(member->object) - strlen(".age")] = '\0';
    free(member->stored_digest);
    member->stored_digest = mem_strdup(SHA256_TEXT);
    free(member->header_digest);
    member->header_digest = NULL;
    member->header_size = 0;
    database = manifest_add_database(manifest);
    database->name = mem_strdup("shop");
    database->size = 8000000;
    check = manifest_add_check(manifest);
    check->name = mem_strdup("orders");
    check->database = mem_strdup("shop");
    check->query = mem_strdup("SELECT count(*), 'tab\there' FROM \"order line\"");
    check->result = mem_strdup("42\ttab\\there\n");
    return manifest;
}

/* Of a base backup, with a tablespace of its own. */
static inline struct manifest *
made_base(void)
{
    struct manifest *manifest = made_empty("chain", "20261122T020000Z-full");
    struct manifest_base *base = mem_zalloc(sizeof *base);
    struct manifest_tablespace *tablespace = manifest_add_tablespace(base);

    free(manifest->kind);
    manifest->kind = mem_strdup(KIND_BASE);
    free(manifest->dump_version);
    manifest->dump_version = NULL;
    manifest->base = base;
    base->start_lsn = UINT64_C(0x1AFF000028);
    base->stop_lsn = UINT64_C(0x1B00000100);
    base->timeline = 3;
    base->segment_bytes = 16 << 20;
    base->standby = true;
    base->bad_pages = 2;
    base->parent = mem_strdup("20261121T020000Z-full");
    tablespace->oid = mem_strdup("16385");
    tablespace->location = mem_strdup("/srv/fast disk");
    made_member(manifest, "tablespace-16385.tar", ROLE_TABLESPACE, NULL)->tablespace = mem_strdup("16385");
    (void)made_member(manifest, "base.tar", ROLE_BASE, NULL);
    (void)made_member(manifest, "backup_manifest", ROLE_FILES, NULL);
    return manifest;
}

static inline int
decode_text(const char *text, size_t len, struct manifest **ret_manifest)
{
    CLEANUP_FREE char *exact = mem_alloc(len + 1); /* the sanitizer sees a byte read too far */

    memcpy(exact, text, len);
    return manifest_decode("m.json", exact, len, ret_manifest);
}

#endif
