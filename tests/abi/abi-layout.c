/* SPDX-License-Identifier: PostgreSQL
 *
 * Where every field of version 1 is, and what its numbers are. Built with the frozen header and with today's, it must
 * print the same: fields may be appended to a struct, never moved.
 */
#include "pgcask-plugin.h"

#include <stdio.h>

#define STORAGE(field) (void)printf("storage.%s %zu\n", #field, offsetof(struct pgcask_storage_plugin, field))
#define NOTIFIER(field) (void)printf("notifier.%s %zu\n", #field, offsetof(struct pgcask_notifier_plugin, field))
#define OPTION(field) (void)printf("option.%s %zu\n", #field, offsetof(struct pgcask_option, field))
#define NUMBER(name) (void)printf("%s %d\n", #name, (int)(name))

static void
layout_storage(void)
{
    STORAGE(struct_size);
    STORAGE(option_stride);
    STORAGE(name);
    STORAGE(version);
    STORAGE(summary);
    STORAGE(options);
    STORAGE(option_count);
    STORAGE(settings_size);
    STORAGE(thread_model);
    STORAGE(check_settings);
    STORAGE(open);
    STORAGE(close);
    STORAGE(part_limits);
    STORAGE(put_begin);
    STORAGE(put_part);
    STORAGE(put_commit);
    STORAGE(put_abort);
    STORAGE(get);
    STORAGE(stat);
    STORAGE(list);
    STORAGE(remove);
    STORAGE(sweep);
    STORAGE(thaw);
}

static void
layout_notifier(void)
{
    NOTIFIER(struct_size);
    NOTIFIER(option_stride);
    NOTIFIER(name);
    NOTIFIER(version);
    NOTIFIER(summary);
    NOTIFIER(options);
    NOTIFIER(option_count);
    NOTIFIER(settings_size);
    NOTIFIER(thread_model);
    NOTIFIER(check_settings);
    NOTIFIER(open);
    NOTIFIER(close);
    NOTIFIER(notify);
}

static void
layout_option(void)
{
    OPTION(name);
    OPTION(type);
    OPTION(flags);
    OPTION(fallback);
    OPTION(help);
    OPTION(offset);
    OPTION(min);
    OPTION(max);
    OPTION(choices);
}

static void
layout_numbers(void)
{
    NUMBER(PGCASK_OK);
    NUMBER(PGCASK_FAILED);
    NUMBER(PGCASK_RETRY);
    NUMBER(PGCASK_NOT_FOUND);
    NUMBER(PGCASK_EXISTS);
    NUMBER(PGCASK_COLD);
    NUMBER(PGCASK_UNSUPPORTED);
    NUMBER(PGCASK_OPTION_STRING);
    NUMBER(PGCASK_OPTION_SECRET);
    NUMBER(PGCASK_OPTION_PATH);
    NUMBER(PGCASK_OPTION_BOOL);
    NUMBER(PGCASK_OPTION_INT);
    NUMBER(PGCASK_OPTION_SIZE);
    NUMBER(PGCASK_OPTION_DURATION);
    NUMBER(PGCASK_OPTION_ENUM);
    NUMBER(PGCASK_OPTION_LIST);
    NUMBER(PGCASK_OPTION_REQUIRED);
    NUMBER(PGCASK_THREADS_ONE);
    NUMBER(PGCASK_THREADS_PER_HANDLE);
    NUMBER(PGCASK_THREADS_PARALLEL);
    NUMBER(PGCASK_OPEN_READONLY);
}

int
main(void)
{
    layout_storage();
    layout_notifier();
    layout_option();
    layout_numbers();
    return 0;
}
