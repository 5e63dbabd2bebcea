/* SPDX-License-Identifier: PostgreSQL
 *
 * The part of a manifest that only base backups have. For manifest.c; what
 * lists backups may want it as JSON, too.
 */
#ifndef PGCASK_CATALOG_MANIFEST_BASE_H
#define PGCASK_CATALOG_MANIFEST_BASE_H

#include "catalog/manifest.h"

#include <jansson.h>

void manifest_base_free(struct manifest_base *base);
json_t *manifest_base_encode(const struct manifest_base *base);
/* ERROR_CORRUPT. */
int manifest_base_decode(const json_t *json, struct manifest_base **ret_base);
/* Do the members of a decoded manifest fit its kind? ERROR_CORRUPT. */
int manifest_base_check(const struct manifest *manifest);

#endif
