/* SPDX-License-Identifier: PostgreSQL
 *
 * One backup, from the lock to the verdict.
 */
#ifndef PGCASK_PIPELINE_BACKUP_H
#define PGCASK_PIPELINE_BACKUP_H

#include "config/settings.h"
#include "pipeline/dump-plan.h"

#include <stdbool.h>

/* What the command line changes in the job; NULL or 0: as the job says. */
struct backup_options {
    const char *databases; /* LIST */
    struct dump_selection selection;
};

struct backup_result {
    char *id;      /* owned by the caller */
    bool degraded; /* a required store does not have it */
};

/* 0 only for a backup that was read back and verified in every store that has it. */
int backup_run(const struct config *config, const struct config_item *job, const struct backup_options *options,
               struct backup_result *ret_result);

#endif
