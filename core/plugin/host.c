/* SPDX-License-Identifier: PostgreSQL
 *
 * Loading a plugin: is the file one that we may run, does it speak our language,
 * and is what it says about itself usable. Where the files are is host-find.c's.
 */
#include "config.h"

#include "plugin/host.h"

#include "base/error.h"
#include "base/mem.h"
#include "config/settings.h"
#include "plugin/host-find.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAME_MAX_BYTES = 64,
    STRUCT_MAX_BYTES = 64 * 1024,     /* a struct of callbacks; more is a wild value */
    OPTION_MAX_COUNT = 1000,          /* likewise */
    OPTION_STRIDE_MAX_BYTES = 4096,   /* likewise */
    SETTINGS_MAX_BYTES = 1024 * 1024, /* likewise */
};

/* What differs between the kinds. */
static const struct {
    const char *word;
    const char *symbol;
    const char *other_symbol;
    size_t least_size; /* up to and with the last required callback: what every plugin ever made has */
} kinds[] = {
    [PLUGIN_STORAGE] = { "storage", "pgcask_storage_plugin_v1", "pgcask_notifier_plugin_v1",
                         offsetof(struct pgcask_storage_plugin, sweep) },
    [PLUGIN_NOTIFIER] = { "notifier", "pgcask_notifier_plugin_v1", "pgcask_storage_plugin_v1",
                          sizeof(struct pgcask_notifier_plugin) },
};

static struct {
    pthread_mutex_t lock; /* held while a plugin is loaded, too */
    struct plugin **plugins;
    size_t len, cap;
} loaded = { .lock = PTHREAD_MUTEX_INITIALIZER };

const char *
plugin_kind_word(enum plugin_kind kind)
{
    return kinds[kind].word;
}

static bool
plugin_name_ok(const char *name)
{
    size_t len = strnlen(name, NAME_MAX_BYTES + 1);

    return name[0] >= 'a' && name[0] <= 'z' && len <= NAME_MAX_BYTES &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static int
plugin_symbol(const char *path, enum plugin_kind kind, void **ret_symbol)
{
    void *library, *symbol;

    (void)dlerror();
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        const char *reason = dlerror();
        size_t len = strlen(path);

        if (strncmp(reason, path, len) == 0 && strncmp(reason + len, ": ", 2) == 0)
            reason += len + 2;
        (void)error_set(ERROR_USAGE, "plugin file '%s' cannot be loaded: %s", path, reason);
        return strstr(reason, "undefined symbol") == NULL && strstr(reason, "No such file") == NULL
                   ? ERROR_USAGE
                   : error_hint(ERROR_USAGE,
                                "'ldd -r' shows what it needs; a service of pgcask that is missing means a "
                                "plugin made for a later pgcask");
    }
    symbol = dlsym(library, kinds[kind].symbol);
    if (symbol == NULL && dlsym(library, kinds[kind].other_symbol) != NULL)
        return error_set(ERROR_USAGE, "plugin file '%s' is of the wrong kind: it has '%s', wanted '%s'", path,
                         kinds[kind].other_symbol, kinds[kind].symbol);
    if (symbol == NULL) {
        (void)error_set(ERROR_USAGE, "plugin file '%s' has no symbol '%s'", path, kinds[kind].symbol);
        return error_hint(ERROR_USAGE, "its source must end with PGCASK_REGISTER_%s(…)",
                          kind == PLUGIN_STORAGE ? "STORAGE" : "NOTIFIER");
    }
    *ret_symbol = symbol;
    return 0;
}

/* Call the entry and copy min(theirs, ours) bytes of what it points to. */
static int
plugin_copy(struct plugin *plugin, void *symbol)
{
    union {
        void *object;
        const void *(*function)(void);
    } entry = { .object = symbol }; /* POSIX: an object pointer of dlsym holds a function */
    bool storage = plugin->kind == PLUGIN_STORAGE;
    size_t ours = storage ? sizeof plugin->storage : sizeof plugin->notifier;
    const void *theirs = entry.function();

    if (theirs == NULL)
        return error_set(ERROR_USAGE, "plugin file '%s': '%s' returned NULL", plugin->path, kinds[plugin->kind].symbol);
    memcpy(&plugin->struct_size, theirs, sizeof plugin->struct_size);
    if (plugin->struct_size < kinds[plugin->kind].least_size || plugin->struct_size > STRUCT_MAX_BYTES) {
        (void)error_set(ERROR_USAGE, "plugin file '%s' says its struct has %zu bytes, wanted %zu to %d", plugin->path,
                        plugin->struct_size, kinds[plugin->kind].least_size, STRUCT_MAX_BYTES);
        return error_hint(ERROR_USAGE, "the struct must begin with PGCASK_%s_INIT", storage ? "STORAGE" : "NOTIFIER");
    }
    memcpy(storage ? (void *)&plugin->storage : (void *)&plugin->notifier, theirs,
           plugin->struct_size < ours ? plugin->struct_size : ours);
    return 0;
}

#define PLUGIN_COMMON(plugin, from)                                                                                    \
    do {                                                                                                               \
        (plugin)->name = (from)->name;                                                                                 \
        (plugin)->version = (from)->version != NULL ? (from)->version : "";                                            \
        (plugin)->summary = (from)->summary != NULL ? (from)->summary : "";                                            \
        (plugin)->thread_model = (from)->thread_model;                                                                 \
        (plugin)->table = (struct option_table){ .options = (from)->options, .stride = (from)->option_stride,         \
                                                 .count = (from)->option_count,                                        \
                                                 .settings_size = (from)->settings_size };                             \
    } while (0)

static int
plugin_check_name(const struct plugin *plugin)
{
    CLEANUP_FREE char *wanted = NULL;
    const char *file = strrchr(plugin->path, '/') + 1;

    if (plugin->name == NULL)
        return error_set(ERROR_USAGE, "plugin file '%s' has no name (it is NULL)", plugin->path);
    if (!plugin_name_ok(plugin->name))
        return error_set(ERROR_USAGE, "plugin file '%s' has the name '%.80s', wanted [a-z][a-z0-9-]*, at most %d bytes",
                         plugin->path, plugin->name, NAME_MAX_BYTES);
    wanted = mem_printf("pgcask-%s-%s.so", plugin->name, kinds[plugin->kind].word);
    if (strcmp(file, wanted) != 0)
        return error_set(ERROR_USAGE, "plugin file '%s' has the name '%s', so the file must be called '%s'",
                         plugin->path, plugin->name, wanted);
    return 0;
}

static int
plugin_check_callbacks(const struct plugin *plugin)
{
    const struct pgcask_storage_plugin *s = &plugin->storage;
    const struct pgcask_notifier_plugin *n = &plugin->notifier;
    const struct {
        enum plugin_kind kind;
        const char *name;
        bool there;
    } required[] = {
        { PLUGIN_STORAGE, "open", s->open != NULL },
        { PLUGIN_STORAGE, "put_begin", s->put_begin != NULL },
        { PLUGIN_STORAGE, "put_part", s->put_part != NULL },
        { PLUGIN_STORAGE, "put_commit", s->put_commit != NULL },
        { PLUGIN_STORAGE, "put_abort", s->put_abort != NULL },
        { PLUGIN_STORAGE, "get", s->get != NULL },
        { PLUGIN_STORAGE, "stat", s->stat != NULL },
        { PLUGIN_STORAGE, "list", s->list != NULL },
        { PLUGIN_STORAGE, "remove", s->remove != NULL },
        { PLUGIN_NOTIFIER, "open", n->open != NULL },
        { PLUGIN_NOTIFIER, "notify", n->notify != NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(required); i++)
        if (required[i].kind == plugin->kind && !required[i].there)
            return error_set(ERROR_USAGE, "plugin file '%s' lacks the required callback '%s'", plugin->path,
                             required[i].name);
    if (plugin->thread_model < PGCASK_THREADS_ONE || plugin->thread_model > PGCASK_THREADS_PARALLEL)
        return error_set(ERROR_USAGE, "plugin file '%s' has the thread model %d, wanted 0 to 2", plugin->path,
                         plugin->thread_model);
    return 0;
}

/* A [store] section holds pgcask's keys and the plugin's: no name may be both. */
static int
plugin_check_own_keys(const struct option_table *table, const struct option_table *ours)
{
    for (size_t i = 0; i < table->count; i++)
        for (size_t k = 0; k < ours->count; k++)
            if (strcmp(option_at(table, i).name, option_at(ours, k).name) == 0)
                return error_set(ERROR_USAGE, "option '%s' is one of pgcask's own keys", option_at(table, i).name);
    return 0;
}

static int
plugin_check_options(const struct plugin *plugin)
{
    const struct option_table *table = &plugin->table;
    const struct config_section_kind *section = config_kind(plugin->kind == PLUGIN_STORAGE ? "store" : "notify");
    int rc = 0;

    if (table->count == 0)
        return 0;
    if (table->options == NULL)
        rc = error_set(ERROR_USAGE, "there are %zu options, but the table is NULL", table->count);
    else if (table->count > OPTION_MAX_COUNT)
        rc = error_set(ERROR_USAGE, "there are %zu options, at most %d are allowed", table->count, OPTION_MAX_COUNT);
    else if (table->settings_size > SETTINGS_MAX_BYTES)
        rc = error_set(ERROR_USAGE, "the settings have %zu bytes, at most %d are allowed", table->settings_size,
                       SETTINGS_MAX_BYTES);
    else if (table->stride < offsetof(struct pgcask_option, choices) + sizeof(const char *) ||
             table->stride > OPTION_STRIDE_MAX_BYTES || table->stride % _Alignof(struct pgcask_option) != 0) {
        (void)error_set(ERROR_USAGE, "option_stride is %zu, wanted sizeof(struct pgcask_option)", table->stride);
        rc = error_hint(ERROR_USAGE, "the struct must begin with PGCASK_%s_INIT",
                        plugin->kind == PLUGIN_STORAGE ? "STORAGE" : "NOTIFIER");
    } else
        rc = option_table_check(table);
    if (rc == 0 && section != NULL)
        rc = plugin_check_own_keys(table, &section->table);
    return rc < 0 ? error_context(ERROR_USAGE, "plugin file '%s'", plugin->path) : 0;
}

static void
plugin_free(struct plugin *plugin)
{
    if (plugin == NULL)
        return;
    free(plugin->path);
    free(plugin);
}
CLEANUP_DEFINE(struct plugin, plugin_free)

static int
plugin_read(enum plugin_kind kind, const char *path, struct plugin **ret_plugin)
{
    CLEANUP(plugin_free) struct plugin *plugin = mem_zalloc(sizeof *plugin);
    void *symbol = NULL;
    int rc = plugin_symbol(path, kind, &symbol);

    if (rc < 0)
        return rc;
    plugin->kind = kind;
    plugin->path = mem_strdup(path);
    rc = plugin_copy(plugin, symbol);
    if (rc < 0)
        return rc;
    if (kind == PLUGIN_STORAGE)
        PLUGIN_COMMON(plugin, &plugin->storage);
    else
        PLUGIN_COMMON(plugin, &plugin->notifier);
    rc = plugin_check_name(plugin);
    if (rc == 0)
        rc = plugin_check_callbacks(plugin);
    if (rc == 0)
        rc = plugin_check_options(plugin);
    if (rc < 0)
        return rc;
    plugin->one_call = mem_alloc(sizeof *plugin->one_call);
    (void)pthread_mutex_init(plugin->one_call, NULL);
    *ret_plugin = STEAL(plugin);
    return 0;
}

/* Caller holds loaded.lock. */
static int
plugin_load_locked(enum plugin_kind kind, const char *path, const struct plugin **ret_plugin)
{
    struct plugin *plugin;
    int rc;

    for (size_t i = 0; i < loaded.len; i++)
        if (loaded.plugins[i]->kind == kind && strcmp(loaded.plugins[i]->path, path) == 0) {
            *ret_plugin = loaded.plugins[i];
            return 0;
        }
    rc = plugin_read(kind, path, &plugin);
    if (rc < 0)
        return rc;
    MEM_GROW(loaded.plugins, loaded.len, loaded.cap);
    loaded.plugins[loaded.len++] = plugin;
    *ret_plugin = plugin;
    return 0;
}

int
plugin_load(enum plugin_kind kind, const char *name, const struct plugin **ret_plugin)
{
    CLEANUP_FREE char *path = NULL;
    int rc;

    if (name[0] != '/' && !plugin_name_ok(name))
        return error_set(ERROR_USAGE, "'%s' is neither the name of a plugin ([a-z][a-z0-9-]*) nor an absolute path",
                         name);
    rc = plugin_find(kind, name, &path);
    if (rc == 0)
        rc = plugin_check_whole(path);
    if (rc < 0)
        return rc;
    (void)pthread_mutex_lock(&loaded.lock);
    rc = plugin_load_locked(kind, path, ret_plugin);
    (void)pthread_mutex_unlock(&loaded.lock);
    return rc;
}

static int
plugin_describe_callbacks(const struct plugin *plugin, struct buf *text)
{
    const struct {
        const char *name;
        bool there;
    } optional[] = {
        { "check_settings", plugin->storage.check_settings != NULL || plugin->notifier.check_settings != NULL },
        { "close", plugin->storage.close != NULL || plugin->notifier.close != NULL },
        { "part_limits", plugin->storage.part_limits != NULL },
        { "sweep", plugin->storage.sweep != NULL },
        { "thaw", plugin->storage.thaw != NULL },
        { "put_object", plugin->storage.put_object != NULL },
        { "remove_many", plugin->storage.remove_many != NULL },
        { "check", plugin->storage.check != NULL },
    };
    size_t count = plugin->kind == PLUGIN_STORAGE ? ARRAY_LEN(optional) : 2;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = buf_addf(text, "has_%s=%d\n", optional[i].name, optional[i].there);
    return rc;
}

int
plugin_describe(const struct plugin *plugin, struct buf *ret_text)
{
    static const char *const models[] = { "one", "per_handle", "parallel" };
    int rc =
        buf_addf(ret_text,
                 "name=%s\nkind=%s\npath=%s\nversion=%s\nsummary=%s\napi_version=1\nstruct_size=%zu\nthread_model=%s\n",
                 plugin->name, kinds[plugin->kind].word, plugin->path, plugin->version, plugin->summary,
                 plugin->struct_size, models[plugin->thread_model]);

    if (rc == 0)
        rc = plugin_describe_callbacks(plugin, ret_text);
    return rc < 0 ? rc : option_describe(&plugin->table, ret_text);
}
