/* SPDX-License-Identifier: PostgreSQL
 *
 * Is all in place for the next backup and the next restore? What can be found out
 * without making one, in findings of the four kinds that plugins have, too.
 */
#ifndef PGCASK_PIPELINE_INSPECT_H
#define PGCASK_PIPELINE_INSPECT_H

#include "config/settings.h"

#include <stdbool.h>

struct finding_told {
    const char *kind, *name; /* what it is about: "store" and its name; name NULL: there is only one of that kind */
    int outcome;             /* PGCASK_CHECK_… */
    const char *text, *cure; /* cure: NULL for none */
};

struct inspect {
    const struct config *config;
    bool fix; /* mend what is safe to mend */
    void (*say)(void *ctx, const struct finding_told *finding); /* at once, in the order of the steps */
    void *ctx;
};

/* All return 0, whatever was found, or ERROR_CANCELLED. */
int inspect_keys(const struct inspect *inspect);
int inspect_state_dir(const struct inspect *inspect);
/* The server, the programs for it, and the jobs that back it up. */
int inspect_cluster(const struct inspect *inspect, const struct config_item *cluster);
/* A store as a plugin gives it: written to where a job does, read, removed from; then what the plugin finds. */
int inspect_store(const struct inspect *inspect, const struct config_item *store, char **ret_repository);
/* Do the stores of each job hold one repository? `repositories`: ids in the order of config->stores; NULL: none or not
 * known. */
int inspect_repositories(const struct inspect *inspect, char *const *repositories);

/* ---- for the files that do it ---- */
void inspect_say(const struct inspect *inspect, const char *kind, const char *name, int outcome, const char *cure,
                 const char *format, ...) __attribute__((format(printf, 6, 7)));
/* The error of this thread as a finding, "<doing>: " before it (NULL: nothing), and an empty slot. Returns ERROR_CANCELLED
 * when that is what `rc` is, else 0. */
int inspect_slot(const struct inspect *inspect, const char *kind, const char *name, int rc, int outcome, const char *doing);
/* The parts of inspect_cluster. */
struct pg_conn;
struct pg_server;
int inspect_job(const struct inspect *inspect, const struct config_item *job, const struct pg_server *server,
                struct pg_conn *conn);
int inspect_base(const struct inspect *inspect, const struct config_item *job, const struct config_item *cluster);

#endif
