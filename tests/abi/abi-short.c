/* SPDX-License-Identifier: PostgreSQL
 *
 * A plugin made with an earlier, shorter struct: it ends behind `remove`, and what lies behind it in memory is not
 * zero. Everything else is the example plugin's.
 */
#include "pgcask-plugin.h"

#undef PGCASK_REGISTER_STORAGE
#define PGCASK_REGISTER_STORAGE(plugin)
#include "../../plugins/example/example.c"

static union {
    struct pgcask_storage_plugin aligned;
    unsigned char bytes[sizeof(struct pgcask_storage_plugin)];
} cut;

PGCASK_EXPORT const struct pgcask_storage_plugin *pgcask_storage_plugin_v1(void);

PGCASK_EXPORT const struct pgcask_storage_plugin *
pgcask_storage_plugin_v1(void)
{
    struct pgcask_storage_plugin shorter = example;

    shorter.name = "short";
    shorter.struct_size = offsetof(struct pgcask_storage_plugin, sweep);
    memset(cut.bytes, 0xff, sizeof cut.bytes);
    memcpy(cut.bytes, &shorter, shorter.struct_size);
    return &cut.aligned;
}
