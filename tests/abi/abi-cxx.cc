// SPDX-License-Identifier: PostgreSQL
//
// A notifier in C++: the header compiles, the initialiser is in order, and the entry has a C name.
#include <pgcask-plugin.h>

static int
cxx_open(const void *, unsigned, void **ret_handle)
{
    *ret_handle = nullptr;
    return PGCASK_OK;
}

static int
cxx_notify(void *, const pgcask_event *event)
{
    pgcask_debug("%s", pgcask_event_get(event, "event"));
    return PGCASK_OK;
}

static const pgcask_notifier_plugin cxx = {
    PGCASK_NOTIFIER_INIT,
    .name = "cxx",
    .version = "1",
    .summary = "a notifier in C++",
    .options = nullptr,
    .option_count = 0,
    .settings_size = 0,
    .thread_model = PGCASK_THREADS_PARALLEL,
    .check_settings = nullptr,
    .open = cxx_open,
    .close = nullptr,
    .notify = cxx_notify,
};
PGCASK_REGISTER_NOTIFIER(cxx)
