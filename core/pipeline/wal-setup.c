/* SPDX-License-Identifier: PostgreSQL
 *
 * A setting is a row of the table of rules; what PostgreSQL says of it decides what is to be done.
 */
#include "config.h"

#include "pipeline/wal-setup.h"

#include "base/error.h"
#include "base/parse.h"
#include "base/program.h"

#include <stdlib.h>
#include <string.h>

/* SQLSTATE */
#define INSUFFICIENT_PRIVILEGE "42501"

enum {
    SENDERS_MIN = 3,               /* a base backup takes two, streaming one */
    VERSION_ALTER_RIGHTS = 150000, /* GRANT … ON PARAMETER */
};

/* When a rule is looked at. */
enum rule_use { RULE_ALWAYS, RULE_PUSH, RULE_RECEIVE, RULE_INCREMENTAL, RULE_SYNCHRONOUS };

struct rule {
    const char *name;
    enum rule_use use;
    const char *wanted; /* NULL: computed */
    const char *good;   /* values that will do, between blanks; NULL: see below */
    int64_t min;        /* good NULL: a number of at least this */
    const char *why;
};

static const struct rule rules[] = {
    { "wal_level", RULE_ALWAYS, "replica", "replica logical", 0, "without it the WAL cannot restore anything" },
    { "full_page_writes", RULE_ALWAYS, "on", "on", 0, "a page torn by a base backup is mended by it" },
    { "max_wal_senders", RULE_ALWAYS, "10", NULL, SENDERS_MIN,
      "base backups and 'pgcask wal receive' take one or two each" },
    { "archive_mode", RULE_PUSH, "on", "on always", 0, "without it nothing is archived" },
    { "archive_library", RULE_PUSH, "", "", 0, "a library would be called instead of the command" },
    { "archive_command", RULE_PUSH, NULL, NULL, 0, "hands each segment to the stores" },
    { "archive_timeout", RULE_PUSH, "60", NULL, 1,
      "a quiet server, too, hands over its segment after that time: what a lost "
      "host may cost" },
    { "max_replication_slots", RULE_RECEIVE, "10", NULL, 1, "the slot keeps WAL that was not received yet" },
    { "synchronous_standby_names", RULE_SYNCHRONOUS, NULL, NULL, 0,
      "commits wait for 'pgcask wal receive'; set it when that runs, or they wait for ever" },
    { "summarize_wal", RULE_INCREMENTAL, "on", "on", 0, "incremental base backups need it" },
};

/* What PostgreSQL says of one setting. */
struct setting {
    const char *value, *context, *source, *file, *line;
    bool pending;
    const char *written, *written_file, *written_line; /* in the files; NULL: nowhere, or the role may not look */
};

static bool
setup_is_incremental(const struct wal_setup_options *options)
{
    for (size_t i = 0; i < options->config->jobs.len; i++) {
        const struct config_job *job = options->config->jobs.items[i].job;

        if (strcmp(job->cluster, options->cluster->name) == 0 && job->chain_max > 0)
            return true;
    }
    return false;
}

static bool
setup_uses(const struct wal_setup_options *options, enum rule_use use)
{
    switch (use) {
    case RULE_PUSH:
        return !options->receive;
    case RULE_RECEIVE:
        return options->receive;
    case RULE_SYNCHRONOUS:
        return options->receive && strcmp(options->cluster->cluster->synchronous, "no") != 0;
    case RULE_INCREMENTAL:
        return setup_is_incremental(options);
    case RULE_ALWAYS:
        return true;
    }
    return true;
}

int
wal_setup_archive_command(const struct config *config, const char *cluster, char **ret_command)
{
    CLEANUP_FREE char *program = NULL, *path = realpath(config->ini->path, NULL), *program_word = NULL,
                      *config_word = NULL;
    int rc =
        path != NULL ? program_path(&program) : error_errno(PGCASK_FAILED, "could not resolve '%s'", config->ini->path);

    if (rc < 0)
        return rc;
    program_word = program_command_word(program);
    config_word = program_command_word(path);
    *ret_command = mem_printf("%s --config %s wal push --cluster %s %%p", program_word, config_word, cluster);
    return 0;
}

static int
rule_wanted(const struct wal_setup_options *options, const struct rule *rule, char **ret_wanted)
{
    const char *application = options->cluster->cluster->application_name;

    if (rule->wanted != NULL)
        *ret_wanted = mem_strdup(rule->wanted);
    else if (rule->use == RULE_PUSH)
        return wal_setup_archive_command(options->config, options->cluster->name, ret_wanted);
    else
        *ret_wanted = mem_strdup(application != NULL ? application : "pgcask");
    return 0;
}

static bool
rule_is_good(const struct rule *rule, const char *value, const char *wanted)
{
    CLEANUP_STRV struct strv good = { 0 };
    int64_t number;

    if (value == NULL)
        return false;
    if (rule->use == RULE_SYNCHRONOUS)
        return strstr(value, wanted) != NULL;
    if (rule->min > 0 && parse_int64(value, &number) < 0) {
        error_clear();
        return false;
    }
    if (rule->min > 0)
        return number >= rule->min;
    if (rule->good == NULL || *rule->good == '\0')
        return strcmp(value, wanted) == 0;
    strv_split(&good, rule->good, " ");
    return strv_has(&good, value);
}

/* Another program archives: that is not ours to end. */
static bool
rule_is_foreign(const struct rule *rule, const char *value)
{
    if (strcmp(rule->name, "archive_library") == 0)
        return value != NULL && *value != '\0';
    return strcmp(rule->name, "archive_command") == 0 && value != NULL && *value != '\0' &&
           strcmp(value, "(disabled)") != 0 && strstr(value, " wal push ") == NULL;
}

static enum wal_setup_state
rule_state(const struct rule *rule, const struct setting *setting, const char *wanted)
{
    const char *value = setting->value;

    /* while archive_mode is off, the server shows no command */
    if (strcmp(rule->name, "archive_command") == 0 && strcmp(value, "(disabled)") == 0)
        value = setting->written;
    if (setting->pending && setting->written != NULL)
        value = setting->written; /* what counts from the next restart on */
    if (rule_is_good(rule, value, wanted))
        return rule_is_good(rule, setting->value, wanted) || !setting->pending ? WAL_SETUP_OK : WAL_SETUP_PENDING;
    if (strcmp(setting->source, "command line") == 0)
        return WAL_SETUP_STUCK;
    if (rule->use == RULE_SYNCHRONOUS)
        return WAL_SETUP_ADVICE;
    return rule_is_foreign(rule, value) ? WAL_SETUP_FOREIGN : WAL_SETUP_CHANGE;
}

static char *
setting_source(const struct setting *setting)
{
    const char *file = setting->pending && setting->written_file != NULL ? setting->written_file : setting->file;
    const char *line = setting->pending && setting->written_line != NULL ? setting->written_line : setting->line;
    const char *name = file != NULL ? strrchr(file, '/') : NULL;

    if (file == NULL || line == NULL)
        return mem_strdup(setting->source);
    return mem_printf("%s, line %s", name != NULL ? name + 1 : file, line);
}

static int
setup_add(const struct wal_setup_options *options, const struct rule *rule, const struct setting *setting,
          struct wal_setup *setup)
{
    CLEANUP_FREE char *wanted = NULL;
    int rc = rule_wanted(options, rule, &wanted);
    struct wal_setup_row *row;

    if (rc < 0)
        return rc;
    MEM_GROW(setup->rows, setup->len, setup->cap);
    row = &setup->rows[setup->len++];
    *row = (struct wal_setup_row){ .name = rule->name, .why = rule->why };
    row->state = rule_state(rule, setting, wanted);
    row->restart = strcmp(setting->context, "postmaster") == 0;
    row->current = mem_strdup(setting->value);
    row->next = setting->pending && setting->written != NULL ? mem_strdup(setting->written) : NULL;
    row->source = setting_source(setting);
    row->wanted = STEAL(wanted);
    return 0;
}

/* ---- what PostgreSQL says ---- */

/* NULL for null. */
static const char *
setup_field(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

static int
setup_row_of(const PGresult *result, const char *name)
{
    int found = -1;

    for (int i = 0; result != NULL && i < PQntuples(result); i++)
        if (strcmp(PQgetvalue(result, i, 0), name) == 0)
            found = i; /* the last one in the files counts */
    return found;
}

static struct setting
setup_setting(const PGresult *settings, int row, const PGresult *files)
{
    int written = setup_row_of(files, PQgetvalue(settings, row, 0));

    return (struct setting){
        .value = PQgetvalue(settings, row, 1),
        .context = PQgetvalue(settings, row, 2),
        .source = PQgetvalue(settings, row, 3),
        .file = setup_field(settings, row, 4),
        .line = setup_field(settings, row, 5),
        .pending = *PQgetvalue(settings, row, 6) == 't',
        .written = written < 0 ? NULL : setup_field(files, written, 1),
        .written_file = written < 0 ? NULL : setup_field(files, written, 2),
        .written_line = written < 0 ? NULL : setup_field(files, written, 3),
    };
}

/* The files are for superusers, unless somebody granted it: NULL in *ret_files. */
static int
setup_files(struct pg_conn *conn, PGresult **ret_files)
{
    int rc = pg_query(conn,
                      "SELECT name, setting, sourcefile, sourceline FROM pg_file_settings WHERE error IS NULL"
                      " OR error = 'setting could not be applied' ORDER BY seqno",
                      NULL, 0, ret_files);

    if (rc < 0 && strcmp(pg_sqlstate(conn), INSUFFICIENT_PRIVILEGE) == 0) {
        error_clear();
        return 0;
    }
    return rc;
}

static int
setup_rows(struct pg_conn *conn, const struct wal_setup_options *options, struct wal_setup *setup)
{
    CLEANUP(pg_clear) PGresult *settings = NULL, *files = NULL;
    int rc = pg_query(conn,
                      "SELECT name, setting, context, source, sourcefile, sourceline, pending_restart FROM pg_settings",
                      NULL, 0, &settings);

    if (rc == 0)
        rc = setup_files(conn, &files);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rules); i++) {
        int row = setup_row_of(settings, rules[i].name);

        if (row >= 0 && setup_uses(options, rules[i].use)) { /* else an older server, which has no such setting */
            struct setting setting = setup_setting(settings, row, files);

            rc = setup_add(options, &rules[i], &setting, setup);
        }
    }
    return rc;
}

/* ---- what the role may do ---- */

static int
setup_has(struct pg_conn *conn, const char *sql, bool *ret_has)
{
    CLEANUP_FREE char *value = NULL;
    int rc = pg_value(conn, sql, NULL, 0, &value);

    if (rc == 0)
        *ret_has = value != NULL && *value == 't';
    return rc;
}

/* Of all that is to be set. */
static int
setup_may_change(struct pg_conn *conn, const struct wal_setup_options *options, struct wal_setup *setup)
{
    bool may = false;
    int rc = setup_has(conn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", &may);

    if (rc == 0 && !may && pg_server_version(conn) >= VERSION_ALTER_RIGHTS) {
        may = true;
        for (size_t i = 0; rc == 0 && may && i < setup->len; i++)
            if (wal_setup_changes(options, &setup->rows[i])) {
                const char *params[] = { setup->rows[i].name };
                CLEANUP_FREE char *value = NULL;

                rc = pg_value(conn, "SELECT has_parameter_privilege($1, 'ALTER SYSTEM')", params, 1, &value);
                may = rc == 0 && *value == 't';
            }
        if (rc == 0 && may)
            rc = setup_has(conn, "SELECT has_function_privilege('pg_reload_conf()', 'EXECUTE')", &may);
    }
    setup->may_change = rc == 0 && may;
    return rc;
}

static int
setup_privileges(struct pg_conn *conn, struct wal_setup *setup)
{
    CLEANUP_FREE char *role = pg_ident(conn, PQuser(pg_raw(conn)));
    bool replicates = false, monitors = false;
    int rc =
        setup_has(conn, "SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user", &replicates);

    if (rc == 0)
        rc = setup_has(conn, "SELECT pg_has_role('pg_monitor', 'USAGE')", &monitors);
    if (rc < 0)
        return rc;
    if (!replicates)
        strv_addf(&setup->privileges, "base backups and 'pgcask wal receive' need: ALTER ROLE %s REPLICATION", role);
    if (!monitors)
        strv_addf(&setup->privileges, "to see the backlog and where settings come from: GRANT pg_monitor TO %s", role);
    return 0;
}

int
wal_setup_look(struct pg_conn *conn, const struct wal_setup_options *options, struct wal_setup *ret_setup)
{
    CLEANUP_WAL_SETUP struct wal_setup setup = { 0 };
    int rc = setup_has(conn, "SELECT pg_is_in_recovery()", &setup.standby);

    if (rc == 0)
        rc = setup_rows(conn, options, &setup);
    if (rc == 0)
        rc = setup_may_change(conn, options, &setup);
    if (rc == 0)
        rc = setup_privileges(conn, &setup);
    if (rc < 0)
        return rc;
    setup.version = mem_strdup(PQparameterStatus(pg_raw(conn), "server_version"));
    *ret_setup = setup;
    setup = (struct wal_setup){ 0 };
    return 0;
}

void
wal_setup_free(struct wal_setup *setup)
{
    for (size_t i = 0; i < setup->len; i++) {
        free(setup->rows[i].wanted);
        free(setup->rows[i].current);
        free(setup->rows[i].next);
        free(setup->rows[i].source);
    }
    free(setup->rows);
    free(setup->version);
    strv_free(&setup->privileges);
    *setup = (struct wal_setup){ 0 };
}

void
cleanup_wal_setup(struct wal_setup *setup)
{
    wal_setup_free(setup);
}
