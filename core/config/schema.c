/* SPDX-License-Identifier: PostgreSQL
 *
 * The tables of pgcask's own sections: each key with its type, default, limits
 * and one line of help. Parser, messages, `pgcask config`, the man page and the
 * tests of the sample files all read these rows; a key exists when it is here.
 */
#include "config.h"

#include "config/settings.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"

#define REQUIRED PGCASK_OPTION_REQUIRED

static const struct pgcask_option main_options[] = {
    { "recipient", PGCASK_OPTION_LIST, 0, NULL, "who can read the backups: age public keys (age1…)",
      offsetof(struct config_main, recipient) },
    { "recipient_file", PGCASK_OPTION_PATH, 0, NULL, "file with one age public key a line",
      offsetof(struct config_main, recipient_file) },
    { "identity_file", PGCASK_OPTION_PATH, 0, NULL, "file with the secret keys, only on hosts where restores are made",
      offsetof(struct config_main, identity_file) },
    { "passphrase", PGCASK_OPTION_SECRET, 0, NULL, "encrypt with this passphrase instead of to recipients",
      offsetof(struct config_main, passphrase) },
    { "encrypt", PGCASK_OPTION_ENUM, 0, "age", "none stores backups that everybody can read",
      offsetof(struct config_main, encrypt), .choices = "age|none" },
    { "compress_level", PGCASK_OPTION_INT, 0, "3", "zstd level, higher is smaller and slower",
      offsetof(struct config_main, compress_level), .min = 1, .max = 19 },
    { "jobs", PGCASK_OPTION_INT, 0, "0", "workers that dump and compress; 0: one for each core, at most 4",
      offsetof(struct config_main, jobs), .min = 0, .max = 64 },
    { "state_dir", PGCASK_OPTION_PATH, 0, NULL,
      "locks, ledger and cached manifests; not given: /var/lib/pgcask for root, else ~/.local/state/pgcask",
      offsetof(struct config_main, state_dir) },
    { "plugin_dir", PGCASK_OPTION_PATH, 0, NULL, "where plugins are looked for before the built-in directory",
      offsetof(struct config_main, plugin_dir) },
    { "shrink_warn", PGCASK_OPTION_INT, 0, "50",
      "warn when a backup is below this percentage of the last good one; 0: never",
      offsetof(struct config_main, shrink_warn), .min = 0, .max = 100 },
};

static const struct pgcask_option cluster_options[] = {
    { "conninfo", PGCASK_OPTION_STRING, REQUIRED | OPTION_CONNINFO, NULL, "how to connect, as libpq reads it",
      offsetof(struct config_cluster, conninfo) },
    { "password", PGCASK_OPTION_SECRET, 0, NULL,
      "password of the database user; not given: libpq's own ways (~/.pgpass)",
      offsetof(struct config_cluster, password) },
    { "exec", PGCASK_OPTION_STRING, 0, NULL,
      "program and arguments put before each PostgreSQL program, such as docker exec",
      offsetof(struct config_cluster, exec) },
    { "exec_conninfo", PGCASK_OPTION_STRING, OPTION_CONNINFO, NULL,
      "how those programs connect, where conninfo would not work for them",
      offsetof(struct config_cluster, exec_conninfo) },
    { "bindir", PGCASK_OPTION_PATH, 0, NULL,
      "where pg_dump and its kin are; not given: looked for by the server's version",
      offsetof(struct config_cluster, bindir) },
    { "lock_timeout", PGCASK_OPTION_DURATION, 0, "5min", "longest wait for a table that somebody else has locked",
      offsetof(struct config_cluster, lock_timeout), .min = 0,
      .max = INT_MAX }, /* the server's limit for its setting */
    { "slot", PGCASK_OPTION_STRING, 0, NULL, "wal receive: the replication slot that makes the server keep its WAL",
      offsetof(struct config_cluster, slot) },
    { "application_name", PGCASK_OPTION_STRING, 0, NULL,
      "wal receive: its name in synchronous_standby_names; not given: pgcask", offsetof(struct config_cluster, application_name) },
    { "synchronous", PGCASK_OPTION_ENUM, 0, "no",
      "wal receive: commits may wait for it, until WAL is in the spool or in the stores",
      offsetof(struct config_cluster, synchronous), .choices = "no|spool|stores" },
    { "partial_interval", PGCASK_OPTION_DURATION, 0, "10s",
      "wal receive: an unfinished segment is stored at most so often; 0: only when streaming ends",
      offsetof(struct config_cluster, partial_interval), .min = 0, .max = INT64_C(86400000) },
    { "spool_max", PGCASK_OPTION_SIZE, 0, "1GiB", "wal receive: most WAL to hold here while a store does not take it",
      offsetof(struct config_cluster, spool_max), .min = INT64_C(1) << 21, .max = INT64_C(1) << 50 },
    { "wal_stores", PGCASK_OPTION_LIST, 0, NULL,
      "the [store NAME] sections to archive its WAL to; not given: all of them",
      offsetof(struct config_cluster, wal_stores) },
};

static const struct pgcask_option store_options[] = {
    { "plugin", PGCASK_OPTION_STRING, REQUIRED, NULL, "storage plugin: a name, or the absolute path of its file",
      offsetof(struct config_store, plugin) },
    { "required", PGCASK_OPTION_BOOL, 0, "yes", "a failure here degrades the run; no: it only warns",
      offsetof(struct config_store, required) },
    { "retries", PGCASK_OPTION_INT, 0, "5", "tries after the first one for trouble that may pass",
      offsetof(struct config_store, retries), .min = 0, .max = 100 },
    { "retry_max", PGCASK_OPTION_DURATION, 0, "30s", "longest pause between two tries",
      offsetof(struct config_store, retry_max), .min = 100, .max = 3600000 },
    { "parallel", PGCASK_OPTION_INT, 0, "2", "calls in flight at once, where the plugin can",
      offsetof(struct config_store, parallel), .min = 1, .max = 64 },
    { "bandwidth", PGCASK_OPTION_SIZE, 0, "0", "bytes a second to and from this store, such as 10MiB; 0: no limit",
      offsetof(struct config_store, bandwidth), .min = 0, .max = INT64_C(1) << 40 }, /* as plugin/pace.h */
};

static const struct pgcask_option job_options[] = {
    { "cluster", PGCASK_OPTION_STRING, REQUIRED, NULL, "the [cluster NAME] to back up",
      offsetof(struct config_job, cluster) },
    { "kind", PGCASK_OPTION_ENUM, 0, "dump", "dump: databases, by pg_dump; base: the whole cluster, its files",
      offsetof(struct config_job, kind), .choices = "dump|base" },
    { "databases", PGCASK_OPTION_LIST, 0, NULL, "needed with kind = dump: names, or the word all",
      offsetof(struct config_job, databases) },
    { "exclude_databases", PGCASK_OPTION_LIST, 0, NULL, "with databases = all: but not these",
      offsetof(struct config_job, exclude_databases) },
    { "content", PGCASK_OPTION_ENUM, 0, "all", "definitions and rows, or one of the two",
      offsetof(struct config_job, content), .choices = "all|schema|data" },
    { "tables", PGCASK_OPTION_LIST, 0, NULL, "only these: SCHEMA.TABLE with * and ?",
      offsetof(struct config_job, tables) },
    { "exclude_tables", PGCASK_OPTION_LIST, 0, NULL, "not these: SCHEMA.TABLE with * and ?",
      offsetof(struct config_job, exclude_tables) },
    { "exclude_table_data", PGCASK_OPTION_LIST, 0, NULL, "definitions, but no rows of these: SCHEMA.TABLE with * and ?",
      offsetof(struct config_job, exclude_table_data) },
    { "stores", PGCASK_OPTION_LIST, REQUIRED, NULL, "the [store NAME] sections to write to",
      offsetof(struct config_job, stores) },
    { "checks", PGCASK_OPTION_LIST, 0, NULL, "the [check NAME] sections to record; not given: all of them",
      offsetof(struct config_job, checks) },
    { "globals", PGCASK_OPTION_BOOL, 0, "yes", "save roles and tablespaces, too",
      offsetof(struct config_job, globals) },
    { "settings_files", PGCASK_OPTION_ENUM, 0, "try", "save postgresql.conf, pg_hba.conf and pg_ident.conf, too",
      offsetof(struct config_job, settings_files), .choices = "try|required|no" },
    { "keep", PGCASK_OPTION_DURATION, 0, "0", "how long backups are kept, for 'pgcask check'; 0: not said",
      offsetof(struct config_job, keep) },
    { "table_size", PGCASK_OPTION_SIZE, 0, "0",
      "a table of at least this size is dumped by itself; 0: chosen for the database",
      offsetof(struct config_job, table_size) },
    { "checkpoint", PGCASK_OPTION_ENUM, 0, "fast", "a base backup begins with one: at once, or spread over its usual time",
      offsetof(struct config_job, checkpoint), .choices = "fast|spread" },
    { "max_rate", PGCASK_OPTION_SIZE, 0, "0",
      "bytes a second that the server reads for a base backup, 32KiB to 1GiB; 0: no limit",
      offsetof(struct config_job, max_rate), .min = 0, .max = 1 << 30 },
    { "wal", PGCASK_OPTION_ENUM, 0, "archive", "the WAL that a base backup needs: comes into the archive, or is taken along",
      offsetof(struct config_job, wal), .choices = "archive|include" },
    { "wal_timeout", PGCASK_OPTION_DURATION, 0, "1h", "with wal = archive: longest wait for that WAL to be in the stores",
      offsetof(struct config_job, wal_timeout), .min = 1000, .max = INT64_C(30) * 24 * 3600 * 1000 },
    { "checksum_failures", PGCASK_OPTION_ENUM, 0, "fail",
      "pages whose checksum is wrong end a base backup, or are only recorded with it",
      offsetof(struct config_job, checksum_failures), .choices = "fail|record" },
    { "wire_compress", PGCASK_OPTION_ENUM, 0, "none",
      "have the server compress a base backup for its way to here, PostgreSQL 15 and later",
      offsetof(struct config_job, wire_compress), .choices = "none|zstd|lz4" },
    { "chain_max", PGCASK_OPTION_INT, 0, "0",
      "incremental base backups on top of a full one, PostgreSQL 17 and later; 0: each one is full",
      offsetof(struct config_job, chain_max), .min = 0, .max = 100 },
};

static const struct pgcask_option check_options[] = {
    { "query", PGCASK_OPTION_STRING, REQUIRED, NULL, "one SELECT; its result is recorded with the backup",
      offsetof(struct config_check, query) },
    { "database", PGCASK_OPTION_STRING, 0, NULL, "only in this database; not given: in each one of the job",
      offsetof(struct config_check, database) },
};

const struct config_section_kind config_kinds[] = {
    { "pgcask", false, OPTION_TABLE(main_options, struct config_main),
      "what holds for all: encryption, compression, places" },
    { "cluster", true, OPTION_TABLE(cluster_options, struct config_cluster),
      "a PostgreSQL server and how to reach it" },
    { "store", true, OPTION_TABLE(store_options, struct config_store),
      "a place for backups; its plugin adds keys of its own" },
    { "job", true, OPTION_TABLE(job_options, struct config_job), "what to back up, and where to" },
    { "check", true, OPTION_TABLE(check_options, struct config_check), "a query whose result proves a restore" },
};
const size_t config_kind_count = ARRAY_LEN(config_kinds);

const struct config_section_kind *
config_kind(const char *kind)
{
    for (size_t i = 0; i < config_kind_count; i++)
        if (strcmp(config_kinds[i].kind, kind) == 0)
            return &config_kinds[i];
    return NULL;
}
