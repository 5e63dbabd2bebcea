/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "pipeline/claim.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/label.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Is there anything under that id in a store? */
static int
claim_taken(const struct stores *stores, struct outlet *outlet, const char *cluster, const char *id, bool *ret_taken)
{
    CLEANUP_FREE char *prefix = label_backup(cluster, id);
    bool taken = false;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < stores->len; i++) {
        CLEANUP_STORAGE_LIST struct storage_list list = { 0 };

        if (!outlet_alive(outlet, i, NULL))
            continue;
        rc = storage_list(stores->items[i], prefix, &list);
        taken |= list.len > 0;
    }
    if (rc == 0)
        *ret_taken = taken;
    return rc;
}

void
claim_end(const struct stores *stores, const char *lease)
{
    for (size_t i = 0; lease != NULL && i < stores->len; i++)
        if (storage_remove(stores->items[i], lease) < 0)
            log_slot_warn("the lease stays; a later run removes it");
}

/* Say that we write `id`, then look whether anybody else says so, too: of two that do, at least one sees the other.
 * *ret_lease stays NULL when somebody does. */
static int
claim_try(const struct stores *stores, struct outlet *outlet, const char *cluster, const char *id, char **ret_lease)
{
    CLEANUP_FREE char *text = NULL, *lease = NULL;
    struct error why;
    bool rival = false;
    int rc = stores_lease(cluster, id, &lease, &text);

    if (rc == 0)
        rc = outlet_put(outlet, lease, text, strlen(text));
    for (size_t i = 0; rc == 0 && !rival && i < stores->len; i++)
        if (outlet_alive(outlet, i, NULL))
            rc = stores_rival(stores->items[i], cluster, id, lease, &rival);
    if (rc == 0 && !rival) {
        *ret_lease = STEAL(lease);
        return 0;
    }
    error_take(rc, &why);
    claim_end(stores, lease);
    (void)error_put(&why);
    return rc;
}

int
claim_id(const struct stores *stores, struct outlet *outlet, const char *cluster, const char *job, char **ret_id,
         char **ret_lease)
{
    for (;;) {
        CLEANUP_FREE char *id = label_id(clock_now_s(), job);
        CLEANUP_FREE char *lease = NULL;
        bool taken;
        int rc = claim_taken(stores, outlet, cluster, id, &taken);

        if (rc == 0 && !taken)
            rc = claim_try(stores, outlet, cluster, id, &lease);
        if (rc == 0 && lease == NULL)
            rc = cancel_sleep_ms(1000 + (int64_t)getpid() % 1000); /* not in step with a rival */
        if (rc < 0)
            return rc;
        if (lease != NULL) {
            *ret_id = STEAL(id);
            *ret_lease = STEAL(lease);
            return 0;
        }
    }
}
