/* SPDX-License-Identifier: PostgreSQL
 *
 * What some store of a job lacks, or has only a bad copy of, is brought there from
 * a store that has it; and so is archived WAL that one of the cluster's stores lacks.
 * Degraded runs end here.
 */
#ifndef PGCASK_PIPELINE_SYNC_H
#define PGCASK_PIPELINE_SYNC_H

#include "config/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sync_options {
    const char *job;  /* only backups of that job; NULL: of all */
    const char *from; /* only from that store; NULL: from all */
    const char *to;   /* only to that store; NULL: to all that the jobs name. With `from`: all that the one has and the other
                         lacks, whatever the jobs say */
    const char *id;   /* only this one, which `to` is to have, whatever the jobs say */
    bool dry_run;     /* only say what would be done */
};

enum sync_outcome {
    SYNC_PLANNED, /* dry run */
    SYNC_DONE,
    SYNC_THERE,   /* another run has done it meanwhile */
    SYNC_FAILED,
    SYNC_COLD,    /* what is needed has to be thawed first */
    SYNC_BUSY,    /* another run is at it */
};

/* One backup to one store. */
struct sync_step {
    char *cluster, *id, *store;
    bool heal;     /* a bad copy is mended; else one is made */
    bool required; /* the store is */
    enum sync_outcome outcome;
    uint64_t size;  /* stored bytes of the backup, 0: not known */
    uint64_t bytes; /* that were copied */
    int64_t ms;
    char *error;    /* NULL: none */
};

/* Archived WAL of one timeline to one store. */
struct sync_wal {
    char *cluster, *system_identifier, *store;
    char *first, *last; /* names of files */
    uint32_t timeline;
    bool required;      /* the store is */
    enum sync_outcome outcome; /* FAILED or COLD: not of all of them */
    size_t files, copied, failed;
    uint64_t size, bytes; /* stored bytes, of them copied */
    int64_t ms;           /* from the first of them to the last */
    char *error;          /* the first; NULL: none */
};

struct sync_result {
    struct sync_step *steps; /* in the order they were done: newest backup first */
    size_t len, cap;
    struct sync_wal *wals;
    size_t wal_len, wal_cap;
    size_t wal_good;                                 /* files that were copied, or are there by now */
    size_t wal_failed_required, wal_failed_optional; /* files */
    size_t wal_disputed; /* names that have two contents: none of them is copied; told as a warning */
    size_t good;             /* done or there */
    size_t failed_required, failed_optional; /* failed, cold or busy */
    size_t cold;             /* of these, and WAL files that have to be thawed first */
    size_t stores_failed_required; /* could not be opened or listed; told as warnings */
};

/* One cluster: its backups, then its WAL, unless `job` or `id` say that only backups are meant. Results are added to `result`.
 * 0 also when steps failed: each was told as a warning. Below 0: nothing could be done at all; ERROR_LOCKED: another sync of
 * this cluster runs on this host. */
int sync_run(const struct config *config, const struct config_item *cluster, const struct sync_options *options,
             struct sync_result *result);
void sync_result_free(struct sync_result *result);
void cleanup_sync_result(struct sync_result *result);
#define CLEANUP_SYNC_RESULT __attribute__((cleanup(cleanup_sync_result)))

#endif
