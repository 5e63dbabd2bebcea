/* SPDX-License-Identifier: PostgreSQL
 *
 * The layout of a store: the only place that makes or takes apart its keys.
 *
 *   pgcask.json                                         repository: format version, random id
 *   <cluster>/backup/<id>/<object>                      a member: <name>.zst or <name>.zst.age
 *   <cluster>/backup/<id>/manifest.json                 commit record, written last
 *   <cluster>/backup/<id>/verdict-<time>-good.json      outcome of a verify; also -bad
 *   <cluster>/wal/<system identifier>/<timeline>/<16 of its name>/<name>-<digest>.zst     a WAL file; also .zst.age
 *   <cluster>/wal/<system identifier>/<timeline>.history-<digest>.zst                     a timeline's history
 *   <cluster>/lease/<host>-<pid>-<random>.json          work in progress
 *   <cluster>/check/<host>-<pid>-<random>               written and removed again by 'pgcask check'
 *
 * An id is <UTC time>-<job>, such as 20261122T020000Z-daily. The digest of a WAL file is that of its own bytes, so that
 * two that PostgreSQL calls the same are two objects, and a look at the names tells.
 */
#ifndef PGCASK_CATALOG_LABEL_H
#define PGCASK_CATALOG_LABEL_H

#include "base/buf.h"
#include "pg/wal-name.h"

#include <stdbool.h>
#include <stdint.h>

#define LABEL_REPOSITORY "pgcask.json"
#define LABEL_MANIFEST "manifest.json"

/* All made texts are owned by the caller. */
char *label_id(int64_t start_s, const char *job);
/* ERROR_USAGE unless `id` is one; the parts may be NULL. `ret_job` points into `id`. */
int label_id_parse(const char *id, int64_t *ret_start_s, const char **ret_job);
char *label_backups(const char *cluster);                                   /* "<cluster>/backup/" */
char *label_backup(const char *cluster, const char *id);                    /* "<cluster>/backup/<id>/" */
char *label_object(const char *cluster, const char *id, const char *object);
char *label_verdict(const char *cluster, const char *id, int64_t when_s, bool good);
char *label_leases(const char *cluster);                                    /* "<cluster>/lease/" */
char *label_lease(const char *cluster, const char *host, int pid, const char *random);
char *label_checks(const char *cluster);                                    /* "<cluster>/check/" */
char *label_check(const char *cluster, const char *host, int pid, const char *random);

/* What a key under label_backups is. */
struct label_key {
    char *id;
    const char *object; /* into the key */
    bool manifest;
    bool verdict, good; /* verdict-… */
    int64_t verdict_s;
};
/* ERROR_CORRUPT for a key that is none of ours. */
int label_key_parse(const char *cluster, const char *key, struct label_key *ret_key);

/* ---- WAL ---- */
enum { LABEL_DIGEST_CHARS = 32 }; /* XXH3-128, without the name of the algorithm */
char *label_wals(const char *cluster);                                         /* "<cluster>/wal/" */
char *label_wal_cluster(const char *cluster, const char *system_identifier);   /* "<cluster>/wal/<identifier>/" */
/* Where the file and its neighbours are: the segments of 4 GiB of log; for a history only its own. */
char *label_wal_group(const char *cluster, const char *system_identifier, const struct wal_name *name);
/* What the keys of this file begin with, whatever its content. */
char *label_wal_file(const char *cluster, const char *system_identifier, const struct wal_name *name);
char *label_wal(const char *cluster, const char *system_identifier, const struct wal_name *name, const char *digest,
                bool sealed);

struct label_wal {
    char *system_identifier;
    char *file; /* as PostgreSQL calls it */
    struct wal_name name;
    char digest[LABEL_DIGEST_CHARS + 1];
    bool sealed;
};
/* ERROR_CORRUPT for a key that is none of ours. */
int label_wal_parse(const char *cluster, const char *key, struct label_wal *ret_wal);
void label_wal_free(struct label_wal *wal);
void cleanup_label_wal(struct label_wal *wal);
#define CLEANUP_LABEL_WAL __attribute__((cleanup(cleanup_label_wal)))

/* A file name for a member: bytes other than letters, digits, '_' and '-' become %XX, long ones are cut, and it is
 * made different from all in `taken`, to which it is added. `parts` ends with NULL; a '.' comes between them. */
char *label_member_name(struct strv *taken, const char *const *parts, const char *suffix);
/* An object's name in a manifest must be a plain file name, whoever wrote it. */
int label_object_check(const char *object);

#endif
