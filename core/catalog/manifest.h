/* SPDX-License-Identifier: PostgreSQL
 *
 * The manifest: what one backup is, in JSON, with a digest over itself. See
 * docs/format.md. Reading is strict: foreign bytes, fuzzed.
 */
#ifndef PGCASK_CATALOG_MANIFEST_H
#define PGCASK_CATALOG_MANIFEST_H

#include "base/buf.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

enum { MANIFEST_FORMAT = 1, MANIFEST_LIMIT_BYTES = 64 * 1024 * 1024 };

/* What a member is for. */
#define ROLE_GLOBALS "globals"       /* pg_dumpall --globals-only */
#define ROLE_SETTINGS "settings"     /* a settings file of the server */
#define ROLE_PROPERTIES "properties" /* a database's own properties, JSON */
#define ROLE_MAIN "main"             /* pg_dump custom archive of a database */
#define ROLE_TABLE "table"           /* the same of one table's rows */
#define ROLE_BASE "base"             /* tar of a data directory */
#define ROLE_TABLESPACE "tablespace" /* tar of a tablespace outside of it */
#define ROLE_FILES "backup_manifest" /* what PostgreSQL says of the files in those */

#define KIND_DUMP "dump"
#define KIND_BASE "base"

struct manifest_member {
    char *name, *object, *role;
    char *database;       /* NULL for those of the cluster */
    char *schema, *table; /* ROLE_TABLE */
    char *tablespace;     /* ROLE_TABLESPACE: its OID */
    bool sealed;
    uint64_t plain_size, stored_size, header_size;
    char *plain_digest, *stored_digest, *header_digest;
};

struct manifest_check {
    char *name, *database, *query;
    char *result; /* rows as text: fields separated by tabs, rows by newlines */
};

struct manifest_database {
    char *name;
    uint64_t size; /* pg_database_size when it was dumped */
};

struct manifest_tablespace {
    char *oid, *location;
};

/* kind = base */
struct manifest_base {
    uint64_t start_lsn, stop_lsn; /* consistent once the WAL in between is replayed */
    uint32_t timeline, segment_bytes;
    bool wal_included;            /* the WAL in between is in the tar, too; else in the archive only */
    bool standby;                 /* read from one */
    int64_t bad_pages;            /* the server's checksum failures, where they are only recorded */
    char *parent;                 /* id of the backup that an incremental one builds on; NULL: full */
    struct manifest_tablespace *tablespaces;
    size_t len, cap;
};

struct manifest {
    char *repository, *cluster, *system_identifier, *id, *job, *kind;
    struct manifest_base *base; /* NULL: a dump */
    char *content;         /* all, schema or data; of a dump */
    bool selection;        /* not all tables */
    char *tool;            /* "pgcask 0.1.0" */
    char *dump_version;    /* of pg_dump; NULL: no dump */
    int server_version;    /* 150020 */
    char *server_text;     /* "15.20 (Debian …)" */
    int64_t started_s, finished_s;
    struct strv recipients; /* public keys, or "passphrase" */
    struct manifest_database *databases;
    size_t database_count, database_cap;
    struct manifest_member *members;
    size_t member_count, member_cap;
    struct manifest_check *checks;
    size_t check_count, check_cap;
};

struct manifest *manifest_new(void);
void manifest_free(struct manifest *manifest);
CLEANUP_DEFINE(struct manifest, manifest_free)

/* The next row of each array, zeroed; its texts belong to the manifest from then on. */
struct manifest_member *manifest_add_member(struct manifest *manifest);
struct manifest_check *manifest_add_check(struct manifest *manifest);
struct manifest_database *manifest_add_database(struct manifest *manifest);
struct manifest_tablespace *manifest_add_tablespace(struct manifest_base *base);

char *manifest_encode(const struct manifest *manifest); /* owned by the caller */
/* ERROR_CORRUPT for anything that manifest_encode would not have written; PGCASK_UNSUPPORTED for a newer format. */
int manifest_decode(const char *name, const void *data, size_t len, struct manifest **ret_manifest);

/* NULL: none. `database` and the rest may be NULL to match any. */
const struct manifest_member *manifest_find(const struct manifest *manifest, const char *role, const char *database,
                                            const char *schema, const char *table);
const struct manifest_database *manifest_database(const struct manifest *manifest, const char *name);
uint64_t manifest_plain_size(const struct manifest *manifest);
uint64_t manifest_stored_size(const struct manifest *manifest);
/* Everything of its databases, so that `latest` may mean it. */
bool manifest_is_full(const struct manifest *manifest);

#endif
