/* SPDX-License-Identifier: PostgreSQL
 *
 * A job of kind = base: does the server let us read all of it, and will the WAL
 * be there that goes with it?
 */
#include "config.h"

#include "pipeline/inspect.h"

#include "base/error.h"
#include "pipeline/base.h"

#include <inttypes.h>

int
inspect_base(const struct inspect *inspect, const struct config_item *job, const struct config_item *cluster)
{
    const struct stores none = { 0 };
    struct base_run run = { .config = inspect->config, .job = job, .cluster = cluster, .stores = &none };
    int rc = base_open(&run);

    if (rc == 0)
        rc = base_check_archive(&run);
    if (rc < 0)
        rc = inspect_slot(inspect, "job", job->name, rc, PGCASK_CHECK_BAD, NULL);
    else
        inspect_say(inspect, "job", job->name, PGCASK_CHECK_OK, NULL,
                    "%s on timeline %" PRIu32 " can be read as a base backup", run.standby ? "a standby" : "the server",
                    run.system.timeline);
    base_close(&run);
    return rc;
}
