/* SPDX-License-Identifier: PostgreSQL
 *
 * An opened store from the inside; for storage.c and the other storage-*.c only.
 */
#ifndef PGCASK_PLUGIN_STORAGE_PRIVATE_H
#define PGCASK_PLUGIN_STORAGE_PRIVATE_H

#include "plugin/instance.h"
#include "plugin/storage.h"

struct storage {
    struct instance base;
    const struct pgcask_storage_plugin *calls;
    void *handle;
    struct option_set *set; /* owned; NULL when it is the caller's */
    bool required;
    bool readonly;
    atomic_bool lost; /* see storage_may_still_come */
    unsigned parallel;
    struct storage_limits limits;
};

/* Refuse what would write into a store that was opened for reading. */
int storage_check_writable(const struct storage *storage);

#endif
