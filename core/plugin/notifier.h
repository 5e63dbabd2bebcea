/* SPDX-License-Identifier: PostgreSQL
 *
 * An opened notifier: the only caller of a notifier plugin's callbacks. Locks, retry and the "notifier 'NAME': "
 * before each error as in storage.h. A failure is for the caller to log as a warning: it never changes the outcome of
 * a backup.
 */
#ifndef PGCASK_PLUGIN_NOTIFIER_H
#define PGCASK_PLUGIN_NOTIFIER_H

#include "plugin/host.h"
#include "plugin/opaque.h"

struct notifier; /* opaque */

struct notifier_policy {
    int64_t retries;      /* tries after the first for passing trouble */
    int64_t retry_max_ms; /* longest pause between two tries */
};

/* Open what [notify NAME] describes. `plugin`: a name or an absolute path; `section` and `ours` (pgcask's own keys in
 * it, may be NULL) as for option_fill. */
int notifier_open(const char *name, const char *plugin, const struct ini_section *section,
                  const struct option_table *ours, const struct notifier_policy *policy,
                  struct notifier **ret_notifier);
/* The same from a loaded plugin and settings; `set` stays the caller's; NULL for a plugin without options. */
int notifier_open_plugin(const char *name, const struct plugin *plugin, const struct option_set *set,
                         const struct notifier_policy *policy, struct notifier **ret_notifier);
void notifier_close(struct notifier *notifier);
CLEANUP_DEFINE(struct notifier, notifier_close)

const char *notifier_name(const struct notifier *notifier);
/* Tell it, with retry. `fields` is borrowed for the time of the call. From any thread. */
int notifier_notify(struct notifier *notifier, const struct event_field *fields, size_t count);

#endif
