/* SPDX-License-Identifier: PostgreSQL
 *
 * The configuration, checked: sections poured into structs, names resolved.
 * What one struct means is in pgcask.conf(5), made from the same tables.
 */
#ifndef PGCASK_CONFIG_SETTINGS_H
#define PGCASK_CONFIG_SETTINGS_H

#include "config/option.h"
#include "config/place.h"

#include <stdint.h>

/* The structs below are filled by option tables: see config/schema.c. LIST values are read with option_words. */

struct config_main { /* [pgcask] */
    const char *recipient;      /* LIST of age1… */
    const char *recipient_file; /* PATH: one age1… a line, # comments */
    const char *identity_file;  /* PATH: AGE-SECRET-KEY-1… lines as written by age-keygen; where restores are made */
    const char *passphrase;     /* SECRET: instead of recipients */
    const char *encrypt;        /* ENUM age|none */
    int64_t compress_level;     /* zstd 1..19, default 3 */
    int64_t jobs;               /* 0: cores, at most 4 */
    const char *state_dir;      /* PATH: locks, ledger, cached manifests */
    const char *plugin_dir;     /* PATH: where plugins are looked for besides the built-in directory */
    int64_t shrink_warn;        /* percent: warn when a backup is smaller than this share of the last good one */
};

struct config_cluster { /* [cluster NAME] */
    const char *conninfo;      /* STRING, required: libpq's, for pgcask itself and its programs */
    const char *password;      /* SECRET */
    const char *exec;          /* STRING: program and arguments put before every PostgreSQL program, split at blanks */
    const char *exec_conninfo; /* STRING: what those programs use to connect instead of conninfo */
    const char *bindir;        /* PATH: where pg_dump and its kin are; default: looked for by version */
    int64_t lock_timeout;      /* DURATION ms, default 5min */
    const char *slot;             /* STRING: physical replication slot of `wal receive` */
    const char *application_name; /* STRING: what `wal receive` calls itself to the server */
    const char *synchronous;      /* ENUM no|spool|stores: when it reports WAL as flushed */
    int64_t partial_interval;     /* DURATION ms, default 10s; 0: only when streaming ends */
    int64_t spool_max;            /* SIZE, default 1GiB: WAL on this host that is not in the stores */
    const char *wal_stores;    /* LIST of [store NAME] that its WAL is archived to; NULL: all of them */
};

struct config_store { /* [store NAME]: these keys are pgcask's, all others the plugin's */
    const char *plugin;   /* STRING, required: a name or an absolute path */
    int required;         /* BOOL, default yes: a failing required store degrades the run, an optional one only warns */
    int64_t retries;      /* INT, default 5: tries after the first for passing trouble */
    int64_t retry_max;    /* DURATION ms, default 30s: longest pause between two tries */
    int64_t parallel;     /* INT 1..64, default 2: calls in flight */
    int64_t bandwidth;    /* SIZE: bytes a second, sent and received together; 0: no limit */
};

struct config_job { /* [job NAME] */
    const char *cluster;            /* STRING, required */
    const char *kind;               /* ENUM dump|base */
    const char *databases;          /* LIST, required with kind = dump: names, or the single word all */
    const char *exclude_databases;  /* LIST: with all */
    const char *content;            /* ENUM all|schema|data */
    const char *tables;             /* LIST of patterns SCHEMA.TABLE with * and ? */
    const char *exclude_tables;     /* LIST */
    const char *exclude_table_data; /* LIST */
    const char *stores;             /* LIST, required */
    const char *checks;             /* LIST of [check NAME]; default: all */
    int globals;                    /* BOOL, default yes: roles and tablespaces */
    const char *settings_files;     /* ENUM try|required|no */
    int64_t keep;                   /* DURATION ms: how long backups are kept; 0: not said */
    int64_t table_size;             /* SIZE: a table at least this large becomes a member of its own; 0: chosen by the
                                       database's size */
    /* kind = base: */
    const char *checkpoint;        /* ENUM fast|spread */
    int64_t max_rate;              /* SIZE: bytes a second that the server reads for it; 0: no limit */
    const char *wal;               /* ENUM archive|include: where the WAL it needs is */
    int64_t wal_timeout;           /* DURATION ms: longest wait for that to be in the stores */
    const char *checksum_failures; /* ENUM fail|record: what bad pages mean */
    const char *wire_compress;     /* ENUM none|zstd|lz4: by the server, for a slow link */
    int64_t chain_max;             /* INT: incremental backups on top of a full one; 0: none */
};

struct config_check { /* [check NAME] */
    const char *query;    /* STRING, required; one SELECT */
    const char *database; /* STRING: only there; default: in every database of the job */
};

/* A section that was filled. */
struct config_item {
    const char *name;
    const struct ini_section *section;
    struct option_set *set;
    union {
        const void *settings;
        const struct config_cluster *cluster;
        const struct config_store *store;
        const struct config_job *job;
        const struct config_check *check;
    };
};

struct config_items {
    struct config_item *items;
    size_t len, cap;
};

struct config {
    struct ini *ini;
    struct option_set *main_set;
    const struct config_main *main;
    struct config_items clusters, stores, jobs, checks;
    char *state_dir; /* resolved: /var/lib/pgcask for root, else $XDG_STATE_HOME/pgcask or ~/.local/state/pgcask */
    int workers;     /* jobs, resolved */
};

/* Read and check. Also refused: a job that names a cluster, store or check that is not there (nearest name
 * suggested); a file that others may write, or that others may read while it holds a secret; neither recipient nor
 * passphrase unless encrypt = none is written out; recipients together with encrypt = none; recipients together with
 * a passphrase; a check that ends in a ';' or is empty.
 * `path` NULL: config_default_path. ERROR_USAGE on anything wrong. */
int config_load(const char *path, struct config **ret_config);
void config_free(struct config *config);
CLEANUP_DEFINE(struct config, config_free)

/* ERROR_USAGE with the nearest name when there is none. `what` is "job", "store", … */
int config_find(const struct config_items *items, const char *what, const char *name,
                const struct config_item **ret_item);
/* Put file, line and the place of `key` (of the section itself when NULL or not written) before the text of the error;
 * ERROR_USAGE. */
int config_context(const struct ini_section *section, const char *key);

/* A connection string as it may be shown: key=value words, whatever form it was written in, *** for each secret.
 * ERROR_USAGE when it is none; the text never holds a password. */
int config_redact_conninfo(const char *conninfo, char **ret_text);
/* ERROR_USAGE unless libpq can read it; whether a password is in it. */
int config_check_conninfo(const char *conninfo, bool *ret_secret);

/* The tables, for `pgcask config`, the sample config and the tests. */
struct config_section_kind {
    const char *kind;          /* "pgcask", "cluster", … */
    bool named;                /* [kind name] */
    struct option_table table;
    const char *help;
};
extern const struct config_section_kind config_kinds[];
extern const size_t config_kind_count;
const struct config_section_kind *config_kind(const char *kind); /* NULL: unknown */

#endif
