/* SPDX-License-Identifier: PostgreSQL
 *
 * Opening a notifier, telling it, closing it; see notifier.h.
 */
#include "config.h"

#include "plugin/notifier.h"

#include "base/error.h"
#include "base/mem.h"
#include "plugin/instance.h"

#include <stdlib.h>

struct notifier {
    struct instance base;
    const struct pgcask_notifier_plugin *calls;
    void *handle;
    struct option_set *set; /* owned; NULL when it is the caller's */
};

static void
notifier_free(struct notifier *notifier)
{
    option_set_free(notifier->set);
    instance_free(&notifier->base);
    free(notifier);
}

int
notifier_open_plugin(const char *name, const struct plugin *plugin, const struct option_set *set,
                     const struct notifier_policy *policy, struct notifier **ret_notifier)
{
    struct notifier *notifier = mem_zalloc(sizeof *notifier);
    const struct pgcask_notifier_plugin *calls = &plugin->notifier;
    const void *settings = set != NULL ? option_settings(set) : NULL;
    int rc = 0;

    instance_init(&notifier->base, "notifier", name, plugin, policy->retries, policy->retry_max_ms);
    notifier->calls = calls;
    if (calls->check_settings != NULL)
        rc = INSTANCE_CALL(&notifier->base, "check_settings", calls->check_settings(settings));
    if (rc == 0)
        rc = INSTANCE_CALL(&notifier->base, "open", calls->open(settings, 0, &notifier->handle));
    if (rc < 0) {
        rc = instance_failed(&notifier->base, rc);
        notifier_free(notifier);
        return rc;
    }
    *ret_notifier = notifier;
    return 0;
}

int
notifier_open(const char *name, const char *plugin, const struct ini_section *section, const struct option_table *ours,
              const struct notifier_policy *policy, struct notifier **ret_notifier)
{
    const struct plugin *found;
    CLEANUP(option_set_free) struct option_set *set = NULL;
    int rc = plugin_load(PLUGIN_NOTIFIER, plugin, &found);

    if (rc < 0)
        return error_context(rc, "notifier '%s'", name);
    rc = option_fill(&found->table, ours, section, &set);
    if (rc < 0)
        return rc; /* the text begins with path:line: [notify NAME] */
    rc = notifier_open_plugin(name, found, set, policy, ret_notifier);
    if (rc < 0)
        return rc;
    (*ret_notifier)->set = STEAL(set);
    return 0;
}

void
notifier_close(struct notifier *notifier)
{
    struct error kept; /* as in storage_close */
    const char *before;

    if (notifier == NULL)
        return;
    if (notifier->calls->close != NULL) {
        error_take(PGCASK_FAILED, &kept);
        before = instance_enter(&notifier->base);
        notifier->calls->close(notifier->handle);
        (void)instance_leave(&notifier->base, before, "close", 0);
        (void)error_put(&kept);
    }
    notifier_free(notifier);
}

const char *
notifier_name(const struct notifier *notifier)
{
    return notifier->base.name;
}

int
notifier_notify(struct notifier *notifier, const struct event_field *fields, size_t count)
{
    struct pgcask_event event = { .fields = fields, .count = count };
    int rc = INSTANCE_CALL(&notifier->base, "notify", notifier->calls->notify(notifier->handle, &event));

    return rc < 0 ? instance_failed(&notifier->base, rc) : 0;
}
