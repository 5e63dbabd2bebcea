/* SPDX-License-Identifier: PostgreSQL
 *
 * Plugin files: found, checked, loaded, described. Who calls their callbacks:
 * storage.c and notifier.c, nobody else.
 */
#ifndef PGCASK_PLUGIN_HOST_H
#define PGCASK_PLUGIN_HOST_H

#include "base/buf.h"
#include "config/option.h"
#include "pgcask-plugin.h"

#include <pthread.h>

enum plugin_kind { PLUGIN_STORAGE, PLUGIN_NOTIFIER };

/* A loaded plugin; lives until the program ends (libraries register exit handlers and thread destructors,
 * and stacks stay readable: nothing is ever unloaded). */
struct plugin {
    enum plugin_kind kind;
    char *path;
    size_t struct_size;                     /* as the plugin says */
    struct pgcask_storage_plugin storage;   /* our size; what the plugin does not know is NULL */
    struct pgcask_notifier_plugin notifier;
    const char *name, *version, *summary;
    int thread_model;
    pthread_mutex_t *one_call; /* for PGCASK_THREADS_ONE: held during each call into this plugin; NULL: a common one */
    struct option_table table;
};

/* Directories searched in order: $PGCASK_PLUGIN_PATH (':' between them), `extra` of plugin_dir in the config (may be
 * NULL), the built-in one. */
void plugin_set_dir(const char *extra);

/* `name`: a plugin's name, or an absolute path. Loaded once, however often it is asked for. One clear line for each
 * way a plugin can be wrong: not found (with the directories and the nearest name), not a regular file, writable by
 * others, wrong owner, cut off, cannot be loaded, no symbol, wrong kind, NULL or bad name, name other than the file's,
 * struct too small, required callback missing, bad option table, unknown thread model. All are ERROR_USAGE. */
int plugin_load(enum plugin_kind kind, const char *name, const struct plugin **ret_plugin);
/* The paths of all plugin files in the search directories, sorted by name, the first of a name only. */
int plugin_find_all(struct strv *ret_paths);
/* `plugin info` as key=value lines. */
int plugin_describe(const struct plugin *plugin, struct buf *ret_text);

#endif
