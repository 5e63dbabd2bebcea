/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask init: a commented config and a key pair, and what to do next.
 */
#include "config.h"

#include "cmd/cmd.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "paths.h"
#include "stage/age-key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cmd_option options[] = {
    { "dir", 0, "DIR", "where config and key go (default: the directory of the default config)" },
    { "cluster", 0, "NAME", "name of the cluster (default: main)" },
    { "conninfo", 0, "TEXT", "how to connect (default: host=/var/run/postgresql dbname=postgres)" },
    { "database", 'd', "NAME", "database to back up (repeatable; default: all)" },
    { "store", 0, "PATH", "directory of the local store (default: DIR/store or /var/lib/…)" },
    { "state-dir", 0, "PATH", "locks and ledger (default: see pgcask.conf(5))" },
    { NULL, 0, NULL, NULL },
};

static const char *
init_arg(const struct cmd_args *args, const char *name, const char *fallback)
{
    const char *value = cmd_arg(args, name);

    return value ? value : fallback;
}

/* A value as the config reads it: always quoted. */
static int
init_add(struct buf *text, const char *key, const char *value)
{
    int rc = buf_addf(text, "%s = \"", key);

    for (const char *p = value; *p != '\0' && rc == 0; p++)
        rc = buf_addf(text, "%s%c", *p == '"' || *p == '\\' ? "\\" : "", *p);
    return rc < 0 ? rc : buf_adds(text, "\"\n");
}

/* The LIST of databases: each word in single quotes when it needs them. */
static int
init_databases(const struct cmd_args *args, struct buf *text)
{
    CLEANUP_STRV struct strv names = { 0 };
    CLEANUP_BUF struct buf list = BUF_INIT(64 * 1024);
    int rc = 0;

    cmd_arg_all(args, "database", &names);
    if (names.len == 0)
        return buf_adds(text, "databases = all\n");
    for (size_t i = 0; i < names.len && rc == 0; i++) {
        bool plain = names.items[i][strspn(names.items[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] == '\0';

        rc = buf_addf(&list, "%s%s", i > 0 ? " " : "", plain ? "" : "'");
        for (const char *p = names.items[i]; rc == 0 && *p != '\0'; p++)
            rc = buf_addf(&list, "%s%c", !plain && *p == '\'' ? "'" : "", *p);
        if (rc == 0)
            rc = buf_adds(&list, plain ? "" : "'");
    }
    return rc < 0 ? rc : init_add(text, "databases", list.data);
}

/* Backups do not belong below /etc. */
static char *
init_store(const char *dir)
{
    CLEANUP_FREE char *system = mem_printf("%s/pgcask", PGCASK_SYSCONFDIR);

    return geteuid() == 0 && strcmp(dir, system) == 0 ? mem_strdup("/var/lib/pgcask/store") : mem_printf("%s/store", dir);
}

static int
init_text(const struct cmd_args *args, const char *dir, const char *recipient, struct buf *text)
{
    const char *cluster = init_arg(args, "cluster", "main");
    CLEANUP_FREE char *identity = mem_printf("%s/identity.txt", dir);
    CLEANUP_FREE char *store = init_store(dir);
    int rc = buf_addf(text,
                      "; pgcask configuration; every key is explained in pgcask.conf(5)\n\n"
                      "[pgcask]\n"
                      "; who can read the backups: the public key of identity.txt\n"
                      "recipient = %s\n"
                      "; the private key, for verifying and restoring here. To let this host write backups that it cannot\n"
                      "; read: move the file to where restores are made, and remove this line\n", recipient);

    if (rc == 0)
        rc = init_add(text, "identity_file", identity);
    if (rc == 0 && cmd_arg(args, "state-dir") != NULL)
        rc = init_add(text, "state_dir", cmd_arg(args, "state-dir"));
    if (rc == 0)
        rc = buf_addf(text, "\n[cluster %s]\n", cluster);
    if (rc == 0)
        rc = init_add(text, "conninfo", init_arg(args, "conninfo", "host=/var/run/postgresql dbname=postgres"));
    if (rc == 0)
        rc = buf_adds(text, "; password_file = /etc/pgcask/password\n"
                            "; for a server in a container: exec = docker exec -i NAME\n\n"
                            "[store local]\nplugin = local\n"
                            "; better on another disk, best on another machine\n");
    if (rc == 0)
        rc = init_add(text, "path", init_arg(args, "store", store));
    if (rc == 0)
        rc = buf_addf(text, "create = yes\n\n[job daily]\ncluster = %s\nkind = dump\n", cluster);
    if (rc == 0)
        rc = init_databases(args, text);
    if (rc == 0)
        rc = buf_adds(text, "stores = local\n\n"
                            "; recorded with every backup, compared after every restore\n"
                            "; [check users]\n; query = SELECT count(*) FROM users\n");
    return rc;
}

static int
init_write(const struct cmd_args *args, const char *dir, const char *config_path, const char *identity_path)
{
    CLEANUP(secret_free) struct secret *identity = NULL;
    CLEANUP_FREE char *recipient = NULL, *time = clock_iso(clock_now_s());
    CLEANUP_BUF struct buf key = BUF_SECRET_INIT(4096);
    CLEANUP_BUF struct buf text = BUF_INIT(256 * 1024);
    int rc = age_key_generate(&identity, &recipient);

    if (rc == 0)
        rc = buf_addf(&key, "# created: %s\n# public key: %s\n%s\n", time, recipient, secret_text(identity));
    if (rc == 0)
        rc = init_text(args, dir, recipient, &text);
    if (rc == 0)
        rc = file_mkdirs(dir);
    if (rc == 0)
        rc = file_create(identity_path, key.data, key.len);
    if (rc == 0)
        rc = file_create(config_path, text.data, text.len);
    return rc;
}

/* What was asked for may be no good config: then it is as if nothing had been asked. */
static int
init_check(const char *config_path, const char *identity_path)
{
    CLEANUP(config_free) struct config *config = NULL;
    struct error why;
    int rc = config_load(config_path, &config);

    if (rc == 0)
        rc = cmd_config_check(config);
    if (rc == 0)
        return 0;
    error_take(rc, &why);
    if (unlink(config_path) < 0 || unlink(identity_path) < 0)
        log_warn("'%s' or '%s' stays: remove both", config_path, identity_path);
    return error_context(error_put(&why), "with these options the config would be wrong, nothing is written");
}

static int
init_run(struct cmd_args *args)
{
    CLEANUP_FREE char *default_path = config_default_path();
    CLEANUP_FREE char *dir = NULL, *config_path = NULL, *identity_path = NULL;
    CLEANUP_STRV struct strv databases = { 0 };
    const char *slash = strrchr(default_path, '/');
    bool one;
    int rc = cmd_words(args, 0, 0);

    if (rc < 0)
        return rc;
    dir = cmd_arg(args, "dir") ? mem_strdup(cmd_arg(args, "dir")) : mem_strndup(default_path, (size_t)(slash - default_path));
    if (*dir != '/')
        return error_set(ERROR_USAGE, "--dir: '%s' is not an absolute path", dir);
    config_path = mem_printf("%s/pgcask.ini", dir);
    identity_path = mem_printf("%s/identity.txt", dir);
    if (file_exists(config_path) || file_exists(identity_path)) {
        (void)error_set(ERROR_USAGE, "'%s' exists already", file_exists(config_path) ? config_path : identity_path);
        return error_hint(ERROR_USAGE, "nothing is overwritten: name another directory with --dir");
    }
    rc = init_write(args, dir, config_path, identity_path);
    if (rc == 0)
        rc = init_check(config_path, identity_path);
    if (rc < 0)
        return rc;
    cmd_arg_all(args, "database", &databases);
    one = databases.len == 1 && strcmp(databases.items[0], "all") != 0;
    (void)printf("%s\n%s\n\n", config_path, identity_path);
    (void)printf("Next:\n"
                 "  1. Copy %s to a safe place off this machine: without it no backup can be read.\n"
                 "  2. Look at %s: connection, databases, the store's path.\n"
                 "  3. pgcask -c %s config      checks it\n"
                 "  4. pgcask -c %s backup      makes and verifies the first backup\n"
                 "  5. pgcask -c %s restore latest%s --into NEW_NAME     brings it back beside the original\n",
                 identity_path, config_path, config_path, config_path, config_path, one ? "" : " --database NAME");
    return 0;
}

const struct cmd cmd_init = {
    .name = "init",
    .usage = "init [--dir DIR] [options]",
    .summary = "Write a commented config and a key pair",
    .options = options,
    .run = init_run,
};
