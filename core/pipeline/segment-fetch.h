/* SPDX-License-Identifier: PostgreSQL
 *
 * WAL files out of the stores of a cluster: found, whichever has them, read from
 * the nearest that gives them whole, and looked at before anybody else sees them.
 */
#ifndef PGCASK_PIPELINE_SEGMENT_FETCH_H
#define PGCASK_PIPELINE_SEGMENT_FETCH_H

#include "base/mem.h"
#include "config/settings.h"
#include "pg/wal-name.h"
#include "stage/blob.h"

#include <stdbool.h>
#include <stdint.h>

struct fetcher; /* opaque; for any number of threads at once */

/* `store` NULL: all of the cluster's. `system_identifier` 0: the newest that they have WAL of. A store that cannot be opened
 * is left out with a warning, and so is one that holds no repository: it may not be mounted. */
int fetcher_open(const struct config *config, const struct config_item *cluster, const char *store,
                 uint64_t system_identifier, struct fetcher **ret_fetcher);
void fetcher_close(struct fetcher *fetcher);
CLEANUP_DEFINE(struct fetcher, fetcher_close)
const char *fetcher_system(const struct fetcher *fetcher); /* digits; borrowed */

/* Does one of the stores list it? Listings are kept for a while; `anew`: ask again. */
bool fetcher_has(struct fetcher *fetcher, const struct wal_name *name, bool anew);
/* The one behind it on the same timeline, if a store lists it. */
bool fetcher_next(struct fetcher *fetcher, const struct wal_name *name, struct wal_name *ret_next);

/* The file's bytes into the empty file `fd`; `path` is for messages. PGCASK_NOT_FOUND: every store was asked, and none has
 * it. Not that, but an error, when a store could not be asked and the others do not have it. ERROR_CORRUPT: there are two
 * of that name, or there is no good copy; on any error the file may hold anything.
 * Of several of one .partial the one that reaches farthest is taken. */
int fetcher_get(struct fetcher *fetcher, struct blob_tools *tools, const struct wal_name *name, int fd, const char *path,
                char ret_digest[BLOB_DIGEST_CHARS + 1]);

/* How far the WAL in a segment reaches that may not be whole, in bytes from its beginning: the pages whose headers say that
 * they belong there, one behind the other. 0: it is no segment. */
uint64_t segment_reach(int fd);

#endif
