/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask restore ID|latest: a database beside the original, tables, files, or a data directory.
 */
#include "config.h"

#include "cmd/cmd-restore.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "pipeline/extract.h"
#include "pipeline/keys.h"
#include "pipeline/swap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cmd_option options[] = {
    { "database", 'd', "NAME", "which one of the backup (needed when it has several)" },
    { "into", 'i', "NAME", "name of the new database; with --table: the database to put them into" },
    { "globals", 'g', NULL, "create the roles and tablespaces that are missing" },
    { "no-owner", 'O', NULL, "all belongs to the connected role, no grants" },
    { "swap", 0, NULL, "when complete, exchange it with the original, which is kept under a dated name" },
    { "swap-back", 0, "NAME", "bring back the database that --swap put aside" },
    { "existing", 0, NULL, "load a --data-only backup into the existing database of --into" },
    { "analyze", 0, NULL, "collect planner statistics at the end (always done for --swap)" },
    { "table", 't', "SCHEMA.TABLE", "this table, by its exact name, with all that belongs to it (repeatable)" },
    { "schema", 0, "NAME", "with --table: the schema to put them into" },
    { "output", 'o', "FILE", "write the plain member (with --table: SQL) to FILE, or - for stdout" },
    { "member", 0, "NAME", "with --output: this member (default: the database's main one)" },
    { "file", 0, "FILE", "with --output: decrypt and decompress a file that was fetched by hand, or - for stdin" },
    { "identity", 0, "FILE", "the private key, instead of the config's" },
    { "conninfo", 0, "TEXT", "restore to this server instead of the cluster's own" },
    { "cluster", 0, "NAME", "of this cluster (needed when the config has several)" },
    { "store", 0, "NAME", "from this store and no other" },
    { "job", 0, "NAME", "with latest: of this job" },
    { "wait", 0, NULL, "wait for what is in cold storage, instead of coming back later" },
    { "tier", 0, "NAME", "how fast to bring it: expedited, standard (default) or bulk" },
    { "thaw-days", 0, "N", "how long it is to be readable (default: 7)" },
    { "poll", 0, "TIME", "with --wait: how often to look (default: 1min)" },
    { "data-dir", 'D', "DIR", "a base backup: make a data directory there, for PostgreSQL to recover in" },
    { "target-time", 0, "TIME", "with --data-dir: recover to that time, such as '2026-11-22 13:22:11+00'" },
    { "target-lsn", 0, "LSN", "… to that position in the write-ahead log" },
    { "target-xid", 0, "NUMBER", "… to that transaction" },
    { "target-name", 0, "NAME", "… to that restore point" },
    { "target", 0, "WORD", "… immediate: only until it is consistent" },
    { "exclusive", 0, NULL, "stop right before that time, LSN or transaction, not behind it" },
    { "target-timeline", 0, "NUMBER", "along that timeline (default: the newest that gets there)" },
    { "target-action", 0, "NAME", "what then: pause (default), promote or shutdown" },
    { "tablespace", 0, "OID=DIR", "put that tablespace there; also OLD=NEW (repeatable)" },
    { "standby", 0, NULL, "make a standby, which goes on following" },
    { "primary", 0, "TEXT", "with --standby: primary_conninfo, where it is to stream from" },
    { "delta", 0, NULL, "into a stopped data directory: write what differs, remove the rest" },
    { "owner", 0, "USER", "whose the files are to be, also USER:GROUP (for root; default: the directory's owner)" },
    { NULL, 0, NULL, NULL },
};

enum { BACKUPS_LOOKED_AT = 10 };

int
command_keys(struct command *command)
{
    const char *path = cmd_arg(command->args, "identity");

    if (path == NULL)
        return keys_identities(command->config, false, &command->restore.identities);
    command->restore.identities = age_identities_new();
    return age_identities_add_file(command->restore.identities, path);
}

/* How to bring what is in cold storage. */
int
command_thaw(struct command *command)
{
    struct cmd_args *args = command->args;
    int rc = thaw_set_tier(&command->thaw, cmd_arg(args, "tier"));

    if (rc < 0)
        return error_context(rc, "--tier");
    rc = thaw_set_days(&command->thaw, cmd_arg(args, "thaw-days"));
    if (rc < 0)
        return error_context(rc, "--thaw-days");
    rc = thaw_set_poll(&command->thaw, cmd_arg(args, "poll"));
    if (rc < 0)
        return error_context(rc, "--poll");
    command->thaw.wait = cmd_flag(args, "wait");
    command->restore.thaw = &command->thaw;
    return 0;
}

static int
command_copies(struct command *command, const struct catalog_backup *backup)
{
    if (catalog_state(backup) == CATALOG_BAD)
        log_warn("the verification of backup '%s' failed: going on because it was named", backup->id);
    return restore_choose(&command->restore, command->repo.catalog, backup);
}

static int
command_database(struct command *command)
{
    const struct manifest *manifest = command->restore.manifest;
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_FREE char *list = NULL;

    command->database = cmd_arg(command->args, "database");
    if (manifest->base != NULL) {
        (void)error_set(ERROR_USAGE, "backup '%s' is of a whole cluster, not of databases", manifest->id);
        return error_hint(ERROR_USAGE, "--data-dir DIR makes a data directory of it");
    }
    if (command->database == NULL && manifest->database_count == 1)
        command->database = manifest->databases[0].name;
    if (command->database != NULL && manifest_database(manifest, command->database) != NULL)
        return 0;
    for (size_t i = 0; i < manifest->database_count; i++)
        strv_add(&names, manifest->databases[i].name);
    list = strv_join(&names, "', '");
    if (command->database != NULL)
        return error_set(ERROR_USAGE, "backup '%s' has no database '%s' (it has '%s')", manifest->id, command->database, list);
    (void)error_set(ERROR_USAGE, "backup '%s' has %zu databases: which one?", manifest->id, manifest->database_count);
    return error_hint(ERROR_USAGE, "name one with --database: '%s'", list);
}

/* Which databases there are, where the one that was asked for is in no backup. */
static int
command_no_database(struct command *command, const char *job, const char *database, int rc)
{
    struct catalog *catalog = command->repo.catalog;
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_FREE char *list = NULL;
    const char *nearest;
    struct error why;
    size_t looked = 0;

    error_take(rc, &why);
    for (size_t i = catalog->len; i > 0 && looked < BACKUPS_LOOKED_AT; i--) {
        struct catalog_backup *backup = &catalog->backups[i - 1];
        const struct manifest *manifest;

        if (!catalog_exists(backup) || (job != NULL && strcmp(backup->job, job) != 0) ||
            catalog_manifest(catalog, backup, &manifest) < 0)
            continue;
        looked++;
        for (size_t j = 0; j < manifest->database_count; j++)
            if (!strv_has(&names, manifest->databases[j].name))
                strv_add(&names, manifest->databases[j].name);
    }
    (void)error_put(&why);
    if (names.len == 0 || strv_has(&names, database)) /* in one that is no full backup */
        return rc;
    strv_sort(&names);
    list = strv_join(&names, "', '");
    nearest = parse_nearest(database, (const char *const *)names.items, names.len);
    if (nearest != NULL)
        return error_hint(rc, "did you mean '%s'? The newest backups have '%s'", nearest, list);
    return error_hint(rc, "the newest backups have '%s'", list);
}

/* "latest" is the latest that holds the database asked for: another job may be about others. */
static int
command_find(struct command *command, struct catalog_backup **ret_backup)
{
    struct cmd_args *args = command->args;
    const char *job = cmd_arg(args, "job"), *database = cmd_arg(args, "database");
    const char *kind = cmd_arg(args, "member") != NULL ? NULL : KIND_DUMP;
    struct catalog *catalog = command->repo.catalog;
    int rc;

    if (strcmp(args->words[0], "latest") != 0)
        return repo_find(&command->repo, args->words[0], job, ret_backup, &command->restore.manifest);
    rc = catalog_latest(catalog, kind, job, database, ret_backup);
    if (rc == ERROR_USAGE && database != NULL)
        return command_no_database(command, job, database, rc);
    return rc < 0 ? rc : catalog_manifest(catalog, *ret_backup, &command->restore.manifest);
}

static int
command_open(struct command *command)
{
    struct cmd_args *args = command->args;
    struct restore *restore = &command->restore;
    struct catalog_backup *backup;
    int rc = repo_open(command->config, cmd_arg(args, "cluster"), cmd_arg(args, "store"), PGCASK_OPEN_READONLY,
                       &command->repo);

    if (rc == 0)
        rc = command_find(command, &backup);
    if (rc == 0)
        rc = command_copies(command, backup);
    if (rc == 0)
        rc = command_keys(command);
    if (rc < 0)
        return rc;
    restore->config = command->config;
    restore->cluster = command->repo.cluster;
    restore->conninfo = restore->cluster->cluster->conninfo;
    restore->password = restore->cluster->cluster->password;
    if (cmd_arg(args, "conninfo") != NULL) {
        restore->conninfo = cmd_arg(args, "conninfo");
        restore->password = NULL;
    }
    restore->streams = (unsigned)command->config->workers;
    restore->crew = crew_new(restore->streams, 1);
    return 0;
}

/* ---- the ways of restoring ---- */

static int
run_database(struct command *command)
{
    struct cmd_args *args = command->args;
    const struct pg_server server = { command->restore.conninfo, command->restore.password };
    CLEANUP_FREE char *name = NULL, *kept = NULL;
    struct restore_database_options wanted = {
        .database = command->database,
        .into = cmd_arg(args, "into"),
        .globals = cmd_flag(args, "globals"),
        .no_owner = cmd_flag(args, "no-owner"),
        .existing = cmd_flag(args, "existing"),
        .analyze = cmd_flag(args, "analyze") || cmd_flag(args, "swap"),
    };
    int rc;

    if (wanted.existing && (wanted.into == NULL || cmd_flag(args, "swap")))
        return error_set(ERROR_USAGE, "--existing needs --into NAME, and no --swap");
    if (wanted.into == NULL) {
        wanted.into = name = swap_dated(command->database, "restored");
    }
    rc = restore_database(&command->restore, &wanted);
    if (rc < 0)
        return rc;
    if (!cmd_flag(args, "swap")) {
        (void)printf("%s\n", wanted.into);
        return 0;
    }
    rc = swap_in(&server, command->database, wanted.into, &kept);
    if (rc < 0) {
        log_warn("the restored database is complete, as '%s'", wanted.into);
        return rc;
    }
    (void)printf("%s\n", command->database);
    if (kept != NULL)
        (void)printf("%s\n", kept);
    return 0;
}

static int
run_tables(struct command *command)
{
    struct cmd_args *args = command->args;
    CLEANUP_STRV struct strv tables = { 0 };
    CLEANUP_FREE char *time = clock_compact(clock_now_s()), *name = mem_printf("restored_%s", time);
    const char *schema = cmd_arg(args, "schema"), *into = cmd_arg(args, "into");
    struct extract_file file;
    int rc;

    cmd_arg_all(args, "table", &tables);
    if (cmd_arg(args, "output") != NULL) {
        rc = extract_begin(cmd_arg(args, "output"), &file);
        if (rc < 0)
            return rc;
        rc = restore_tables(&command->restore, command->database, NULL, &tables, schema, file.fd);
        return extract_end(&file, rc);
    }
    rc = restore_tables(&command->restore, command->database, into ? into : command->database, &tables,
                        schema ? schema : name, -1);
    if (rc == 0)
        (void)printf("%s\n", schema ? schema : name);
    return rc;
}

static int
run_output(struct command *command)
{
    struct cmd_args *args = command->args;
    const char *name = cmd_arg(args, "member");
    struct extract_file file;
    int rc = 0;

    if (name == NULL) {
        const struct manifest_member *member = NULL;

        rc = command_database(command);
        if (rc == 0)
            rc = restore_member(&command->restore, ROLE_MAIN, command->database, &member);
        if (rc < 0)
            return rc;
        name = member->name;
    }
    rc = extract_begin(cmd_arg(args, "output"), &file);
    return rc < 0 ? rc : extract_end(&file, extract_member(&command->restore, name, file.fd));
}

/* A file without its backup: config optional when the key is named. */
static int
run_file(struct command *command)
{
    struct cmd_args *args = command->args;
    struct extract_file file;
    int rc = cmd_words(args, 0, 0);

    if (rc == 0 && cmd_arg(args, "output") == NULL)
        rc = error_set(ERROR_USAGE, "--file needs --output FILE, or --output -");
    if (rc == 0 && cmd_arg(args, "identity") == NULL)
        rc = cmd_config(args, &command->config);
    if (rc == 0)
        rc = command_keys(command);
    if (rc == 0)
        rc = extract_begin(cmd_arg(args, "output"), &file);
    return rc < 0 ? rc : extract_end(&file, extract_foreign(cmd_arg(args, "file"), command->restore.identities, file.fd));
}

static int
run_swap_back(struct command *command)
{
    struct cmd_args *args = command->args;
    const char *conninfo = cmd_arg(args, "conninfo");
    CLEANUP_FREE char *kept = NULL;
    const struct config_item *cluster = NULL;
    struct pg_server server = { conninfo, NULL };
    int rc = cmd_words(args, 0, 0);

    if (rc == 0)
        rc = cmd_config(args, &command->config);
    if (rc == 0 && conninfo == NULL) {
        rc = repo_cluster(command->config, cmd_arg(args, "cluster"), &cluster);
        if (rc == 0)
            server = (struct pg_server){ cluster->cluster->conninfo, cluster->cluster->password };
    }
    if (rc == 0)
        rc = swap_back(&server, cmd_arg(args, "swap-back"), &kept);
    if (rc == 0)
        (void)printf("%s\n%s%s", cmd_arg(args, "swap-back"), kept ? kept : "", kept ? "\n" : "");
    return rc;
}

static int
run_backup(struct command *command)
{
    struct cmd_args *args = command->args;
    bool tables = cmd_flag(args, "table"), output = cmd_flag(args, "output");
    int rc = cmd_words(args, 1, 1);

    if (rc == 0 && cmd_flag(args, "swap") && (tables || output))
        rc = error_set(ERROR_USAGE, "--swap is for whole databases");
    if (rc == 0 && cmd_arg(args, "into") != NULL && *cmd_arg(args, "into") == '\0')
        rc = error_set(ERROR_USAGE, "--into: '' is no name");
    if (rc == 0 && cmd_flag(args, "swap") && cmd_flag(args, "into"))
        rc = error_set(ERROR_USAGE, "--swap puts the database in the place of the original: leave --into away");
    if (rc == 0 && cmd_flag(args, "schema") && !tables)
        rc = error_set(ERROR_USAGE, "--schema needs --table");
    if (rc == 0 && cmd_flag(args, "member") && (tables || !output))
        rc = error_set(ERROR_USAGE, "--member needs --output, and no --table");
    if (rc == 0)
        rc = command_thaw(command);
    if (rc == 0)
        rc = cmd_config(args, &command->config);
    if (rc == 0)
        rc = command_open(command);
    if (rc == 0 && output && !tables)
        return run_output(command);
    if (rc == 0)
        rc = command_database(command);
    if (rc < 0)
        return rc;
    return tables ? run_tables(command) : run_database(command);
}

/* Another copy that may serve where one was found out too late: its store, unless the error names it already. */
static const char *
command_other_store(const struct command *command)
{
    const struct copies *copies = command->restore.copies;

    for (size_t i = 0; copies != NULL && i < copies_count(copies); i++) {
        const char *name = storage_name(copies_store(copies, i));
        CLEANUP_FREE char *named = mem_printf("store '%s'", name);

        if (command->restore.listed[i]->state != CATALOG_BAD && strstr(error_text(), named) == NULL)
            return name;
    }
    return NULL;
}

/* Cures that depend on what was given on the command line. */
static int
command_failed(const struct command *command, int rc)
{
    const char *identity = cmd_arg(command->args, "identity");
    const struct manifest *manifest = command->restore.manifest;
    bool key = rc == ERROR_USAGE && error_cure() != NULL && strstr(error_cure(), "--identity") != NULL;

    if ((rc == ERROR_CORRUPT || rc == PGCASK_NOT_FOUND) && command_other_store(command) != NULL) {
        const char *other = command_other_store(command);

        return error_hint(rc, "another copy is in store '%s': --store %s", other, other);
    }
    if (key && identity != NULL && manifest == NULL)
        return error_hint(rc, "'%s' holds none of the keys it was encrypted for", identity);
    if (key && identity != NULL) {
        CLEANUP_FREE char *recipients = strv_join(&manifest->recipients, "', '");

        return error_hint(rc, "'%s' holds none of the keys the backup was encrypted for: '%s' ('pgcask show %s' has "
                          "them, too)", identity, recipients, manifest->id);
    }
    if (rc == PGCASK_FAILED && cmd_flag(command->args, "conninfo") &&
        (strstr(error_text(), "password authentication failed") != NULL || strstr(error_text(), "no password supplied") != NULL))
        return error_hint(rc, "with --conninfo the password comes from ~/.pgpass or PGPASSWORD: those of [cluster …] are "
                              "not used");
    return rc;
}

static int
restore_run(struct cmd_args *args)
{
    struct command command = { .args = args, .thaw = THAW_OPTIONS_INIT };
    int rc;

    if (cmd_flag(args, "data-dir"))
        rc = command_cluster(&command);
    else if (command_no_cluster(args) < 0)
        rc = ERROR_USAGE;
    else if (cmd_flag(args, "file"))
        rc = run_file(&command);
    else if (cmd_flag(args, "swap-back"))
        rc = run_swap_back(&command);
    else
        rc = run_backup(&command);
    rc = command_failed(&command, rc);
    crew_free(command.restore.crew);
    copies_free(command.restore.copies);
    free(command.restore.listed);
    age_identities_free(command.restore.identities);
    repo_close(&command.repo);
    config_free(command.config);
    return rc;
}

const struct cmd cmd_restore = {
    .name = "restore",
    .usage = "restore ID|latest [--into NAME | --swap] | --table SCHEMA.TABLE … | --output FILE | --data-dir DIR",
    .summary = "Bring back a database, tables, files or a whole cluster, never over what exists",
    .options = options,
    .run = restore_run,
};
