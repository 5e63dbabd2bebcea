/* SPDX-License-Identifier: PostgreSQL
 *
 * The keys the config names, loaded: for writing and for reading.
 */
#ifndef PGCASK_PIPELINE_KEYS_H
#define PGCASK_PIPELINE_KEYS_H

#include "config/settings.h"
#include "stage/age-key.h"

/* NULL in *ret_recipients: encrypt = none. */
int keys_recipients(const struct config *config, struct age_recipients **ret_recipients);
/* NULL in *ret_identities: this host has none. A file that is named but cannot be used is an error, unless `optional`:
 * then a warning. */
int keys_identities(const struct config *config, bool optional, struct age_identities **ret_identities);

#endif
