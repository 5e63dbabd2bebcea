/* SPDX-License-Identifier: PostgreSQL
 *
 * A whole database, brought back under a temporary name and renamed at the very
 * end: what carries the wanted name is complete and checked.
 *
 *   roles ─► CREATE DATABASE x.restoring ─► pre-data ─► rows, in parallel ─► post-data ─► properties ─► checks ─► rename
 */
#include "config.h"

#include "pipeline/restore.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/parse.h"
#include "catalog/label.h"
#include "pg/globals.h"
#include "pipeline/check-query.h"
#include "pipeline/progress.h"
#include "pipeline/properties.h"
#include "pipeline/verify.h"
#include "stage/member-reader.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SMALL_MEMBER_BYTES = 64 * 1024 * 1024, NAME_BYTES = 63 };
#define TOC_LIMIT_BYTES (UINT64_C(4) << 30)

int
restore_member(const struct restore *restore, const char *role, const char *database,
               const struct manifest_member **ret_member)
{
    *ret_member = manifest_find(restore->manifest, role, database, NULL, NULL);
    if (*ret_member != NULL)
        return 0;
    if (database == NULL)
        return error_set(ERROR_USAGE, "backup '%s' has no member for %s", restore->manifest->id, role);
    (void)error_set(ERROR_USAGE, "backup '%s' has no database '%s'", restore->manifest->id, database);
    return error_hint(ERROR_USAGE, "'pgcask show %s' lists what it has", restore->manifest->id);
}

static int
read_take(void *ctx, const void *data, size_t len)
{
    return buf_add(ctx, data, len);
}

int
restore_read(struct restore *restore, const struct manifest_member *member, struct buf *ret_data)
{
    CLEANUP_FREE char *key = label_object(restore->manifest->cluster, restore->manifest->id, member->object);
    struct member_ref ref = verify_ref(member, key);

    return member_read_all(restore->crew, 2, restore->copies, &ref, restore->identities, read_take, ret_data);
}

struct toc_copy {
    struct member_prefix *prefix;
    int fd;
};

static int
toc_read(void *ctx, void *data, size_t len)
{
    struct toc_copy *copy = ctx;
    int rc = member_prefix_read(copy->prefix, data, len);

    return rc < 0 || copy->fd < 0 ? rc : file_write_all(copy->fd, data, len, "table of contents");
}

int
restore_archive(struct restore *restore, const struct manifest_member *member, int copy_fd, struct archive **ret_archive)
{
    CLEANUP_FREE char *key = label_object(restore->manifest->cluster, restore->manifest->id, member->object);
    struct member_ref ref = verify_ref(member, key);
    CLEANUP(member_prefix_close) struct member_prefix *prefix = NULL;
    struct toc_copy copy = { .fd = copy_fd };
    int rc = member_prefix_open(restore->copies, &ref, restore->identities, false, &prefix);

    if (rc < 0)
        return rc;
    copy.prefix = prefix;
    rc = archive_load(toc_read, &copy, TOC_LIMIT_BYTES, ret_archive);
    return rc < 0 ? error_context(rc, "member '%s'", member->name) : 0;
}

/* ---- roles ---- */

static int
restore_globals(struct restore *restore, struct pg_conn *conn)
{
    CLEANUP_STRV struct strv roles = { 0 }, spaces = { 0 }, run = { 0 }, kept = { 0 };
    CLEANUP_BUF struct buf script = BUF_SECRET_INIT(SMALL_MEMBER_BYTES);
    const struct manifest_member *member;
    int rc = restore_member(restore, ROLE_GLOBALS, NULL, &member);

    if (rc == 0)
        rc = restore_read(restore, member, &script);
    if (rc == 0)
        rc = pg_column(conn, "SELECT rolname FROM pg_roles", NULL, 0, &roles);
    if (rc == 0)
        rc = pg_column(conn, "SELECT spcname FROM pg_tablespace", NULL, 0, &spaces);
    if (rc == 0)
        rc = globals_plan(script.data, &roles, &spaces, &run, &kept);
    for (size_t i = 0; i < kept.len; i++)
        log_info("%s", kept.items[i]);
    for (size_t i = 0; rc == 0 && i < run.len; i++) {
        rc = pg_run(conn, run.items[i]);
        if (rc < 0) /* the statement may hold a password's hash: only what stands before the first literal */
            rc = error_context(rc, "globals: \"%.*s …\"", (int)strcspn(run.items[i], "'\n"), run.items[i]);
    }
    return rc;
}

static int
restore_check_roles(const struct properties *properties, struct pg_conn *conn)
{
    CLEANUP_STRV struct strv roles = { 0 }, missing = { 0 };
    const struct strv *needed = properties_roles(properties);
    CLEANUP_FREE char *list = NULL;
    int rc = pg_column(conn, "SELECT rolname FROM pg_roles", NULL, 0, &roles);

    for (size_t i = 0; i < needed->len; i++)
        if (!strv_has(&roles, needed->items[i]))
            strv_add(&missing, needed->items[i]);
    if (rc < 0 || missing.len == 0)
        return rc;
    list = strv_join(&missing, "', '");
    (void)error_set(PGCASK_FAILED, "this server lacks roles that own or use something in the database: '%s'", list);
    return error_hint(PGCASK_FAILED, "--globals creates the missing roles from the backup; --no-owner does without them");
}

/* ---- the database ---- */

/* A name nobody has, that shows what it is. At most 63 bytes, cut between characters. */
static int
restore_temp_name(const char *into, char **ret_name)
{
    unsigned char raw[4];
    CLEANUP_FREE char *random = NULL;
    size_t len = strlen(into);

    if (RAND_bytes(raw, sizeof raw) != 1)
        return error_set(PGCASK_FAILED, "libcrypto has no random bytes");
    random = format_hex(raw, sizeof raw);
    if (len > NAME_BYTES - strlen(".restoring.") - strlen(random))
        len = NAME_BYTES - strlen(".restoring.") - strlen(random);
    while (len > 0 && ((unsigned char)into[len] & 0xc0) == 0x80)
        len--;
    *ret_name = mem_printf("%.*s.restoring.%s", (int)len, into, random);
    return 0;
}

static int
restore_refuse_existing(struct pg_conn *conn, const struct restore_database_options *options)
{
    bool exists;
    int rc;

    if (strlen(options->into) > NAME_BYTES)
        return error_set(ERROR_USAGE, "'%s' is longer than the %d bytes a name may have", options->into, NAME_BYTES);
    rc = restore_exists(conn, options->into, &exists);
    if (rc < 0)
        return rc;
    if (options->existing && !exists)
        return error_set(ERROR_USAGE, "database '%s' does not exist", options->into);
    if (!options->existing && exists) {
        (void)error_set(ERROR_USAGE, "database '%s' exists already", options->into);
        return error_hint(ERROR_USAGE, "nothing is overwritten: choose another name with --into; --swap exchanges it with the "
                                       "original when it is complete");
    }
    return 0;
}

struct target {
    struct restore *restore;
    const struct restore_database_options *options;
    struct pg_conn *conn;
    struct pg_tools *tools;
    struct properties *properties;
    struct archive *archive; /* of the main member */
    struct strv arguments; /* of every pg_restore */
    int toc_fd;
    char *name;            /* the database that is being filled */
};

static int
target_checks(struct target *target)
{
    struct pg_server server = { target->restore->conninfo, target->restore->password };
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    size_t count = 0;
    int rc = pg_connect(&server, target->name, &conn);

    if (rc == 0 && target->options->analyze)
        rc = pg_run(conn, "ANALYZE");
    if (rc == 0 && strcmp(target->restore->manifest->content, "schema") != 0)
        rc = check_compare(conn, target->restore->manifest, target->options->database, &count);
    return rc < 0 ? error_context(rc, "the restored database") : 0;
}

static int
target_fill(struct target *target)
{
    struct restore *restore = target->restore;
    int version = pg_server_version(target->conn);
    const char *content = restore->manifest->content;
    int rc = 0;

    if (strcmp(content, "data") != 0)
        rc = restore_pre_data(target->tools, target->toc_fd, target->name, &target->arguments, version);
    if (rc == 0 && strcmp(content, "schema") != 0)
        rc = restore_rows(restore, target->tools, target->options->database, target->name, &target->arguments, version);
    if (rc == 0 && strcmp(content, "data") != 0) {
        log_info("rows are in: indexes, constraints, triggers");
        progress_begin("indexes, constraints, triggers", 0);
        rc = restore_post_data(restore, target->tools, target->archive, target->toc_fd, target->name, &target->arguments,
                               version);
        progress_end();
    }
    if (rc == PGCASK_FAILED && restore->manifest->selection) /* what a table needs may not be among them */
        return error_hint(rc, "this backup holds a selection of tables: 'pgcask restore %s --table SCHEMA.TABLE --into "
                              "DATABASE' brings single ones back", restore->manifest->id);
    return rc;
}

static int
target_properties(struct target *target, bool owner)
{
    struct pg_server server = { target->restore->conninfo, target->restore->password };
    CLEANUP(pg_close) struct pg_conn *inside = NULL;
    int rc = pg_connect(&server, target->name, &inside);

    return rc < 0 ? rc : properties_apply(target->properties, target->conn, inside, target->name, owner);
}

static int
target_rename(struct target *target)
{
    CLEANUP_FREE char *from = pg_ident(target->conn, target->name);
    CLEANUP_FREE char *to = pg_ident(target->conn, target->options->into);

    return pg_runf(target->conn, "ALTER DATABASE %s RENAME TO %s", from, to);
}

/* A database with a subscription cannot be dropped; and dropping that one must not reach for its slot on the publisher,
 * which the original's subscription uses. */
static const char drop_subscriptions_sql[] =
    "DO $$ DECLARE name text; BEGIN"
    " FOR name IN SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid"
    "             WHERE datname = current_database() LOOP"
    "  EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', name);"
    "  EXECUTE format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', name);"
    "  EXECUTE format('DROP SUBSCRIPTION %I', name);"
    " END LOOP; END $$";

static int
target_drop_subscriptions(const struct pg_server *server, const char *name)
{
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    int rc = pg_connect(server, name, &conn);

    return rc < 0 ? rc : pg_run_always(conn, drop_subscriptions_sql);
}

/* Best effort, on a new connection: the one at hand may be what failed. */
static void
target_drop(const struct target *target)
{
    struct pg_server server = { target->restore->conninfo, target->restore->password };
    CLEANUP(pg_close) struct pg_conn *conn = NULL;
    CLEANUP_FREE char *ident = pg_ident(target->conn, target->name);
    CLEANUP_FREE char *drop = mem_printf("DROP DATABASE %s WITH (FORCE)", ident);
    CLEANUP_FREE char *plain = mem_printf("ALTER DATABASE %s IS_TEMPLATE false", ident);

    if (restore_connect(target->restore, &conn) == 0 && pg_run_always(conn, plain) == 0 &&
        pg_run_always(conn, drop) == 0)
        return;
    if (conn != NULL && target_drop_subscriptions(&server, target->name) == 0 && pg_run_always(conn, drop) == 0)
        return;
    log_warn("the unfinished database %s stays: %s", ident, error_text());
    error_clear();
}

static int
target_beside(struct target *target)
{
    bool owner = !target->options->no_owner;
    struct error why;
    int rc = restore_temp_name(target->options->into, &target->name);

    if (rc == 0)
        rc = properties_create(target->properties, target->conn, target->name, owner);
    if (rc < 0)
        return rc;
    rc = target_fill(target);
    if (rc == 0)
        rc = target_properties(target, owner);
    if (rc == 0)
        rc = target_checks(target); /* behind the settings: search_path may be one */
    if (rc == 0)
        rc = properties_finish(target->properties, target->conn, target->name);
    if (rc == 0)
        rc = target_rename(target);
    if (rc < 0) {
        error_take(rc, &why);
        target_drop(target);
        (void)error_put(&why);
    }
    return rc;
}

/* All members that this will read. */
static int
target_ready(struct target *target)
{
    const struct manifest *manifest = target->restore->manifest;
    const char *database = target->options->database;
    CLEANUP_FREE const struct manifest_member **members =
        mem_realloc_array(NULL, manifest->member_count + 1, sizeof *members);
    size_t count = 0;

    for (size_t i = 0; i < manifest->member_count; i++) {
        const struct manifest_member *member = &manifest->members[i];
        bool globals = target->options->globals && strcmp(member->role, ROLE_GLOBALS) == 0;

        if (globals || (member->database != NULL && strcmp(member->database, database) == 0))
            members[count++] = member;
    }
    return restore_ready(target->restore, members, count);
}

/* Waiting for cold storage takes hours, in which a connection may die, and somebody else create the database. */
static int
target_wait(struct target *target)
{
    int64_t begun_ms = clock_mono_ms();
    int rc = target_ready(target);

    if (rc < 0 || clock_mono_ms() - begun_ms < RESTORE_STALE_MS)
        return rc;
    pg_close(STEAL(target->conn));
    rc = restore_connect(target->restore, &target->conn);
    return rc < 0 ? rc : restore_refuse_existing(target->conn, target->options);
}

/* All that can be refused is refused here, before anything is made. */
static int
target_prepare(struct target *target)
{
    struct restore *restore = target->restore;
    const struct restore_database_options *options = target->options;
    CLEANUP_BUF struct buf json = BUF_INIT(SMALL_MEMBER_BYTES);
    const struct manifest_member *main_member, *properties;
    bool data = strcmp(restore->manifest->content, "data") == 0;
    int rc = restore_member(restore, ROLE_MAIN, options->database, &main_member);

    if (rc == 0)
        rc = restore_member(restore, ROLE_PROPERTIES, options->database, &properties);
    if (rc == 0 && data != options->existing) {
        (void)error_set(ERROR_USAGE, data ? "backup '%s' holds rows only" : "backup '%s' holds definitions, too",
                        restore->manifest->id);
        rc = error_hint(ERROR_USAGE, data ? "name the database to load them into: --existing --into NAME"
                                          : "--existing is for backups made with --data-only");
    }
    if (rc == 0)
        rc = restore_connect(restore, &target->conn);
    if (rc == 0)
        rc = restore_refuse_existing(target->conn, options);
    if (rc == 0)
        rc = restore_tools(restore, pg_server_version(target->conn), &target->tools);
    if (rc == 0)
        rc = target_wait(target);
    if (rc == 0)
        rc = restore_read(restore, properties, &json);
    if (rc == 0)
        rc = properties_read(json.data, json.len, &target->properties);
    if (rc == 0)
        rc = restore_archive(restore, main_member, target->toc_fd, &target->archive);
    if (rc == 0 && options->globals)
        rc = restore_globals(restore, target->conn);
    if (rc == 0 && !options->no_owner && !data)
        rc = restore_check_roles(target->properties, target->conn);
    if (rc == 0 && pg_server_version(target->conn) / 10000 < restore->manifest->server_version / 10000)
        log_warn("this server is older (%d) than the one the backup is of (%d)", pg_server_version(target->conn) / 10000,
                 restore->manifest->server_version / 10000);
    return rc;
}

/* What the server says to who may not, and the cure. */
static const struct {
    const char *words, *hint;
} target_hints[] = {
    { "permission denied to create database",
      "the role needs the right: ALTER ROLE … CREATEDB; or name a role that has it with --conninfo" },
    { "must be member of role",
      "--no-owner gives it all to the role that connects; or name a superuser with --conninfo" },
    { "must be able to SET ROLE",
      "--no-owner gives it all to the role that connects; or name a superuser with --conninfo" },
};

static int
target_failed(int rc)
{
    if (rc != PGCASK_FAILED)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(target_hints); i++)
        if (strstr(error_text(), target_hints[i].words) != NULL)
            return error_hint(rc, "%s", target_hints[i].hint);
    return rc;
}

int
restore_database(struct restore *restore, const struct restore_database_options *options)
{
    CLEANUP_FD int toc_fd = memfd_create("toc", MFD_CLOEXEC);
    struct target target = { .restore = restore, .options = options, .toc_fd = toc_fd };
    int rc;

    if (toc_fd < 0)
        return error_errno(PGCASK_FAILED, "could not make a buffer for the table of contents");
    if (options->no_owner) {
        strv_add(&target.arguments, "--no-owner");
        strv_add(&target.arguments, "--no-acl");
    }
    if (options->existing)
        strv_add(&target.arguments, "--disable-triggers");
    rc = target_prepare(&target);
    if (rc == 0 && options->existing) {
        target.name = mem_strdup(options->into);
        rc = target_fill(&target);
        if (rc == 0)
            rc = target_checks(&target);
    } else if (rc == 0)
        rc = target_beside(&target);
    rc = target_failed(rc);
    pg_close(target.conn);
    pg_tools_free(target.tools);
    properties_free(target.properties);
    archive_free(target.archive);
    strv_free(&target.arguments);
    free(target.name);
    return rc;
}
