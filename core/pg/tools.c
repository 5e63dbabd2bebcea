/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pg/tools.h"

#include "base/error.h"
#include "base/log.h"
#include "pg/conn.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NEWEST_MAJOR = 99 }; /* looked for, not known */

struct pg_tools {
    struct strv prefix;
    char *dir; /* with '/' at its end; "" for PATH */
    char *conninfo;
    char *password;
    char *version;
};

void
pg_tools_free(struct pg_tools *tools)
{
    if (tools == NULL)
        return;
    strv_free(&tools->prefix);
    free(tools->dir);
    free(tools->conninfo);
    if (tools->password != NULL)
        explicit_bzero(tools->password, strlen(tools->password));
    free(tools->password);
    free(tools->version);
    free(tools);
}

char *
pg_tools_dir(const char *name, int major)
{
    static const char *const formats[] = { "/usr/lib/postgresql/", "/usr/pgsql-", "/opt/postgresql/" };

    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        CLEANUP_FREE char *dir = mem_printf("%s%d/bin/", formats[i], major);
        CLEANUP_FREE char *program = mem_printf("%s%s", dir, name);

        if (access(program, X_OK) == 0)
            return STEAL(dir);
    }
    return NULL;
}

static char *
tools_dir(const struct pg_tools_spec *spec)
{
    char *dir = NULL;

    if (spec->bindir != NULL)
        return mem_printf("%s/", spec->bindir);
    if (spec->exec != NULL)
        return mem_strdup("");
    if (spec->server_version == 0) /* no server: only the newest reads the archives of all */
        for (int major = NEWEST_MAJOR; dir == NULL && major > 0; major--)
            dir = pg_tools_dir("pg_dump", major);
    for (int major = NEWEST_MAJOR; spec->server_version == 0 && dir == NULL && major > 0; major--)
        dir = pg_tools_dir("pg_dump", major); /* for archives of any age: the newest */
    for (int major = spec->server_version / 10000; dir == NULL && major <= NEWEST_MAJOR; major++)
        dir = pg_tools_dir("pg_dump", major);
    return dir ? dir : mem_strdup("");
}

void
pg_tools_argv(const struct pg_tools *tools, const char *program, struct strv *ret_argv)
{
    for (size_t i = 0; i < tools->prefix.len; i++)
        strv_add(ret_argv, tools->prefix.items[i]);
    strv_addf(ret_argv, "%s%s", tools->dir, program);
}

bool
pg_tools_prefixed(const struct pg_tools *tools)
{
    return tools->prefix.len > 0;
}

const char *
pg_tools_version(const struct pg_tools *tools)
{
    return tools->version;
}

/* Of "15.20", "18beta1", "9.6.24"; 0 for anything else. */
static int
tools_major(const char *version)
{
    size_t digits = strspn(version, "0123456789");

    return digits == 1 || digits == 2 ? (int)strtol(version, NULL, 10) : 0;
}

/* "pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)" */
static int
tools_version(struct pg_tools *tools, const struct pg_tools_spec *spec)
{
    CLEANUP_STRV struct strv argv = { 0 };
    CLEANUP_BUF struct buf out = BUF_INIT(4096);
    struct process_spec process = { .in = PROCESS_NULL };
    const char *version;
    int major, rc;

    pg_tools_argv(tools, "pg_dump", &argv);
    strv_add(&argv, "--version");
    process.argv = (const char *const *)argv.items;
    rc = process_output(&process, &out);
    if (rc < 0)
        return error_hint(ERROR_USAGE, "install PostgreSQL's client programs of major version %d or newer, or set bindir "
                                       "(and exec) in [cluster …]", spec->server_version / 10000);
    version = strncmp(out.data, "pg_dump ", 8) == 0 ? strstr(out.data, ") ") : NULL;
    major = version != NULL ? tools_major(version + 2) : 0;
    if (major == 0)
        return error_set(ERROR_USAGE, "'%s' does not tell its version: it says '%.*s'", argv.items[argv.len - 2],
                         (int)strcspn(out.data, "\n"), out.data);
    version += 2;
    tools->version = mem_strndup(version, strcspn(version, " \n"));
    if (major < spec->server_version / 10000) {
        (void)error_set(ERROR_USAGE, "'%s' is version %s, older than the server's %d", argv.items[argv.len - 2], tools->version,
                        spec->server_version / 10000);
        return error_hint(ERROR_USAGE, "install PostgreSQL's client programs of major version %d or newer, or set bindir in "
                                       "[cluster …]", spec->server_version / 10000);
    }
    log_debug("%s is version %s", argv.items[argv.len - 2], tools->version);
    return 0;
}

int
pg_tools_find(const struct pg_tools_spec *spec, struct pg_tools **ret_tools)
{
    CLEANUP(pg_tools_free) struct pg_tools *tools = mem_zalloc(sizeof *tools);
    int rc = 0;

    if (spec->exec != NULL)
        strv_split(&tools->prefix, spec->exec, " \t");
    tools->dir = tools_dir(spec);
    tools->conninfo = mem_strdup(spec->conninfo);
    if (spec->password != NULL)
        tools->password = mem_strdup(spec->password);
    else
        rc = pg_conninfo_password(spec->conninfo, &tools->password);
    if (rc == 0)
        rc = tools_version(tools, spec);
    if (rc == 0)
        *ret_tools = STEAL(tools);
    return rc;
}

int
pg_tools_dbname(const struct pg_tools *tools, const char *database, struct strv *argv)
{
    CLEANUP_FREE char *conninfo = NULL;
    int rc = pg_conninfo(tools->conninfo, database, &conninfo);

    if (rc == 0)
        rc = pg_conninfo_public(conninfo);
    if (rc == 0)
        strv_addf(argv, "--dbname=%s", conninfo);
    return rc;
}

int
pg_tools_start(const struct pg_tools *tools, const struct strv *argv, const char *options, enum process_stream in,
               enum process_stream out, int pass_fd, struct process *ret_process)
{
    CLEANUP_STRV struct strv env = { 0 };
    const char *given = getenv("PGOPTIONS");
    struct process_spec spec = { .argv = (const char *const *)argv->items, .in = in, .out = out, .pass_fd = pass_fd };
    int rc;

    strv_add(&env, "PGAPPNAME=pgcask");
    strv_add(&env, "LC_ALL=C"); /* their words are read here, and shown in error messages */
    strv_add(&env, "LANGUAGE=C");
    if (options != NULL)
        strv_addf(&env, "PGOPTIONS=%s%s%s", given ? given : "", given ? " " : "", options);
    if (tools->password != NULL)
        strv_addf(&env, "PGPASSWORD=%s", tools->password);
    spec.env = (const char *const *)env.items;
    rc = process_start(&spec, ret_process);
    if (tools->password != NULL)
        explicit_bzero(env.items[env.len - 1], strlen(env.items[env.len - 1]));
    return rc;
}
