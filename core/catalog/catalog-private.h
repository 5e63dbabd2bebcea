/* SPDX-License-Identifier: PostgreSQL
 *
 * Between catalog.c and catalog-manifest.c only.
 */
#ifndef PGCASK_CATALOG_CATALOG_PRIVATE_H
#define PGCASK_CATALOG_CATALOG_PRIVATE_H

#include <stddef.h>

/* Which repository each of `count` stores holds; nothing is known at the beginning. */
struct catalog_known;
struct catalog_known *catalog_known_new(size_t count);
void catalog_known_free(struct catalog_known *known, size_t count); /* NULL is fine */

#endif
