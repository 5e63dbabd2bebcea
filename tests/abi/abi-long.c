/* SPDX-License-Identifier: PostgreSQL
 *
 * A plugin made with a later header: struct and option rows have fields that this pgcask has never heard of.
 * Everything else is the example plugin's.
 */
#include "pgcask-plugin.h"

#undef PGCASK_REGISTER_STORAGE
#define PGCASK_REGISTER_STORAGE(plugin)
#include "../../plugins/example/example.c"

struct later_option {
    struct pgcask_option known;
    const char *unit;
    int64_t since;
};
static struct later_option later_options[sizeof options / sizeof options[0]];

static struct {
    struct pgcask_storage_plugin known;
    int (*copy)(void *handle, const char *from, const char *to);
    uintptr_t more[20];
} later;

PGCASK_EXPORT const struct pgcask_storage_plugin *pgcask_storage_plugin_v1(void);

PGCASK_EXPORT const struct pgcask_storage_plugin *
pgcask_storage_plugin_v1(void)
{
    memset(&later, 0xff, sizeof later);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        later_options[i].known = options[i];
        later_options[i].unit = "furlong";
        later_options[i].since = -1;
    }
    later.known = example;
    later.known.name = "long";
    later.known.struct_size = sizeof later;
    later.known.options = &later_options[0].known;
    later.known.option_stride = sizeof later_options[0];
    return &later.known;
}
