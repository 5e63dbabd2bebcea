/* SPDX-License-Identifier: PostgreSQL
 *
 * pgcask-plugin.h: all that a pgcask plugin sees, and all it needs.
 *
 * A plugin is a shared object `pgcask-NAME-storage.so` (or -notifier.so) with one
 * exported symbol: a const struct that names the plugin, lists its options and
 * points to its callbacks. See pgcask-plugin(3) for the guide and plugins/example
 * for a store written to be copied.
 *
 * How this header keeps old plugins loading:
 *   - the symbol carries the kind and the major version (pgcask_storage_plugin_v1);
 *   - the struct carries its own size; the host takes min(theirs, ours) bytes and
 *     reads the rest as absent, so fields may be appended, never moved or removed;
 *   - the option array carries its stride;
 *   - what a plugin fills in or reads is opaque and reached through functions.
 *
 * C99 and C++ clean; needs no other header of pgcask.
 */
#ifndef PGCASK_PLUGIN_H
#define PGCASK_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PGCASK_EXPORT __attribute__((visibility("default")))
#define PGCASK_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define PGCASK_EXPORT
#define PGCASK_PRINTF(format_index, first_index)
#endif

#ifdef __cplusplus
#define PGCASK_C_NAME extern "C"
#else
#define PGCASK_C_NAME
#endif

/* ---------------------------------------------------------------------------
 * Answers. A callback returns one of these; the code says what pgcask may do,
 * the text set by pgcask_error() says what happened. Every answer below 0 must
 * come with a text.
 */
enum {
    PGCASK_OK = 0,
    PGCASK_FAILED = -1,      /* final: asking again would fail again */
    PGCASK_RETRY = -2,       /* passing trouble: pgcask waits and calls again, with back-off, a few times */
    PGCASK_NOT_FOUND = -3,   /* there is no such object */
    PGCASK_EXISTS = -4,      /* an object of that key is there already; nothing was changed */
    PGCASK_COLD = -5,        /* the object is there but must be thawed before it can be read */
    PGCASK_UNSUPPORTED = -6  /* this store cannot do that */
};

/* ---------------------------------------------------------------------------
 * Services of the host, callable from any callback and any thread.
 */

/* Set the text of this thread's error; a later call replaces it. Lower case, no full stop, names in
 * 'quotes', the value seen and the value wanted. Do not name the store: pgcask does. Since 1. */
void pgcask_error(const char *format, ...) PGCASK_PRINTF(1, 2);
/* The same with ": " and the description of errno behind it. errno is kept. Since 1. */
void pgcask_error_errno(const char *format, ...) PGCASK_PRINTF(1, 2);
/* Add the cure, shown as a HINT: line below the error. Call after pgcask_error. Since 1. */
void pgcask_hint(const char *format, ...) PGCASK_PRINTF(1, 2);
/* Something went wrong, the work goes on. One line on stderr. Since 1. */
void pgcask_warn(const char *format, ...) PGCASK_PRINTF(1, 2);
/* Shown with -vv. pgcask puts the store's name before it. Since 1. */
void pgcask_debug(const char *format, ...) PGCASK_PRINTF(1, 2);
/* Not 0 once the run is being stopped: return PGCASK_FAILED soon. Since 1. */
int pgcask_cancelled(void);
/* `bytes` are about to go over the wire: waits as long as the store's `bandwidth` asks for. A plugin that moves its data
 * in small pieces calls it before each; for one that never does, pgcask waits after the whole call. Since 1. */
void pgcask_pace(uint64_t bytes);
/* Add to what this store's use has cost; shown with -v and kept for metrics. Since 1. */
enum {
    PGCASK_COUNT_WRITES = 1, /* requests of the dear kind: put, post, copy, list */
    PGCASK_COUNT_READS,      /* all other requests */
    PGCASK_COUNT_SENT,       /* bytes of bodies */
    PGCASK_COUNT_RECEIVED    /* bytes of bodies */
};
void pgcask_count(int what, uint64_t n);

/* ---------------------------------------------------------------------------
 * Options: one table drives parsing, checks with file:line, redaction, `pgcask
 * plugin info` and the documentation tests.
 */
enum {
    PGCASK_OPTION_STRING = 1, /* const char *; NULL when not given and without fallback */
    PGCASK_OPTION_SECRET,     /* const char *; shown as ***; also accepted as NAME_file, NAME_env and NAME_command */
    PGCASK_OPTION_PATH,       /* const char *; absolute */
    PGCASK_OPTION_BOOL,       /* int: 0 or 1; written yes/no, true/false, on/off, 1/0 */
    PGCASK_OPTION_INT,        /* int64_t, min to max */
    PGCASK_OPTION_SIZE,       /* int64_t, bytes, min to max; written 512, 64KiB, 16MiB, 1GiB, 10MB */
    PGCASK_OPTION_DURATION,   /* int64_t, milliseconds, min to max; written 500ms, 30s, 15min, 12h, 30d */
    PGCASK_OPTION_ENUM,       /* const char *: one of the words in `choices` ("one|two|three") */
    PGCASK_OPTION_LIST        /* const char *: words separated by single blanks; NULL when empty */
};

enum {
    PGCASK_OPTION_REQUIRED = 1 /* in `flags`: refused when not given */
};

/* Zero-initialise what is not named. Array entries may grow at the end: see option_stride. */
struct pgcask_option {
    const char *name;     /* [a-z][a-z0-9_]* */
    int type;             /* PGCASK_OPTION_… */
    int flags;            /* PGCASK_OPTION_REQUIRED or 0 */
    const char *fallback; /* default, written as in the config; NULL: none (0 for numbers) */
    const char *help;     /* one line, no full stop */
    size_t offset;        /* offsetof(struct my_settings, field) */
    int64_t min, max;     /* for INT, SIZE, DURATION; both 0: no limits but >= 0 */
    const char *choices;  /* for ENUM */
};

/* ---------------------------------------------------------------------------
 * Opaque things the host owns.
 */

/* An object about to be written; valid from put_begin until put_commit or put_abort returned. */
struct pgcask_put;
/* Its key: relative to the store's root, '/'-separated, no empty, "." or ".." component, at most 1000
 * bytes, each component at most 250 bytes, no byte below 0x20 or equal to 0x7f. Since 1. */
const char *pgcask_put_key(const struct pgcask_put *put);
/* Bytes expected in all, 0 when not known. An estimate: the real size may be larger or smaller. Since 1. */
uint64_t pgcask_put_size_hint(const struct pgcask_put *put);
/* 1 when the object must always be readable at once (manifests, verdicts), else 0. Since 1. */
int pgcask_put_is_hot(const struct pgcask_put *put);

/* What part sizes a store can take; filled by part_limits. */
struct pgcask_limits;
/* All in bytes, `parts` a count; 0 keeps the default (min 1, preferred 16 MiB, max 5 GiB, parts 10000). Since 1. */
void pgcask_limits_set(struct pgcask_limits *limits, uint64_t min, uint64_t preferred, uint64_t max, uint32_t parts);

/* Collects what list and stat find. */
struct pgcask_listing;
/* One object: its key (copied), size in bytes, time of last change in seconds since 1970 UTC (0: not known). A key
 * that pgcask cannot have written (see pgcask_put_key) is passed over. Not for two threads at once with one listing.
 * Returns 0, or an error that the callback returns as it is (the list is to end here). Since 1. */
int pgcask_listing_add(struct pgcask_listing *listing, const char *key, uint64_t size, int64_t mtime_s);

/* The same for an object in cold storage (or one that was, and can be read for now). Where listings do not tell, list may
 * use pgcask_listing_add and only stat this one. `size` may be 0, for not known, while it is cold or thawing. Since 1. */
enum {
    PGCASK_TIER_HOT = 0,     /* readable at once */
    PGCASK_TIER_COLD = 1,    /* to be thawed first: get answers PGCASK_COLD */
    PGCASK_TIER_THAWING = 2, /* asked for, not readable yet */
    PGCASK_TIER_THAWED = 3   /* readable until `until_s` (seconds since 1970 UTC; 0: not known) */
};
int pgcask_listing_add_tiered(struct pgcask_listing *listing, const char *key, uint64_t size, int64_t mtime_s, int tier,
                              int64_t until_s);

/* What `pgcask check` asks of a store, and where the answers go. */
struct pgcask_check;
/* 1: mend what is safe to mend, 0: only look. Since 1. */
int pgcask_check_fix(const struct pgcask_check *check);
/* How long the shortest-lived backups in this store are kept, in seconds; 0: not known. Since 1. */
int64_t pgcask_check_keep_s(const struct pgcask_check *check);
enum {
    PGCASK_CHECK_OK = 0,    /* as it should be */
    PGCASK_CHECK_FIXED = 1, /* was not, and is now */
    PGCASK_CHECK_WARN = 2,  /* works, with a risk or a cost */
    PGCASK_CHECK_BAD = 3    /* backups or restores will fail */
};
/* One finding; `cure` may be NULL. Since 1. */
void pgcask_check_say(struct pgcask_check *check, int outcome, const char *cure, const char *format, ...)
    PGCASK_PRINTF(4, 5);

/* An event for a notifier. */
struct pgcask_event;
/* A field by name ("event", "outcome", "job", "backup", "cluster", "message", …), borrowed until the callback
 * returns; NULL when this event has no such field or this pgcask does not know it. Since 1. */
const char *pgcask_event_get(const struct pgcask_event *event, const char *field);

/* ---------------------------------------------------------------------------
 * Threads. The tighter of what the plugin declares and what pgcask wants wins.
 */
enum {
    PGCASK_THREADS_ONE = 0,        /* one call at a time into the whole plugin: the safe default */
    PGCASK_THREADS_PER_HANDLE = 1, /* one call at a time for each open handle */
    PGCASK_THREADS_PARALLEL = 2    /* any number of calls at once; pgcask never runs two calls for the same part */
};

enum {
    PGCASK_OPEN_READONLY = 1 /* in open's flags: nothing will be written; the callbacks that write are not called */
};

/* ---------------------------------------------------------------------------
 * A storage plugin. Order of calls:
 *
 *   open ─► part_limits ─┬─► put_begin ─► put_part … ─┬─► put_commit
 *                        │                            └─► put_abort
 *                        ├─► get, stat, list, remove, sweep, thaw …
 *                        └─► close
 *
 * `handle` is what open returned, `upload` what put_begin returned.
 */
struct pgcask_storage_plugin {
    size_t struct_size;   /* sizeof(struct pgcask_storage_plugin) */
    size_t option_stride; /* sizeof(struct pgcask_option); PGCASK_STORAGE_INIT sets both */

    const char *name;    /* [a-z][a-z0-9-]*: the NAME of pgcask-NAME-storage.so and of `plugin = NAME` */
    const char *version; /* free text */
    const char *summary; /* one line */

    const struct pgcask_option *options; /* may be NULL */
    size_t option_count;
    size_t settings_size; /* bytes of the struct the options point into; the host allocates it, zeroed */

    int thread_model; /* PGCASK_THREADS_… */

    /* Rules between options. Called once for each store, before open. Optional. */
    int (*check_settings)(const void *settings);
    /* Make the store usable. `settings` stays valid until close. Required. */
    int (*open)(const void *settings, unsigned flags, void **ret_handle);
    /* Called once for each successful open. Optional. */
    void (*close)(void *handle);
    /* Called once after open. Optional: the defaults of pgcask_limits_set hold. */
    int (*part_limits)(void *handle, struct pgcask_limits *limits);

    /* Begin an object. Nothing of it may be visible to get, stat or list before put_commit returned 0.
     * PGCASK_EXISTS when the key is taken (it may also be answered by put_commit). Required. */
    int (*put_begin)(void *handle, const struct pgcask_put *put, void **ret_upload);
    /* One part. Numbers start at 1 and are all given in the end, in any order and (where the thread model
     * allows) several at once; `offset` is the part's place in the object. All parts but the last are of one
     * size within min and max, until pgcask enlarges them for a very large object. After PGCASK_RETRY the same
     * part comes again with the same bytes. `data` is valid until the call returns. Required. */
    int (*put_part)(void *handle, void *upload, uint32_t number, uint64_t offset, const void *data, size_t size);
    /* All parts (none for an empty object) are there; `size` is their sum. Returns 0 only when the object is
     * durable, visible and confirmed to have that size. Replaces nothing: PGCASK_EXISTS when the key is taken.
     * After PGCASK_RETRY it is called again, after any other error put_abort follows; `upload` is gone after 0.
     * Required. */
    int (*put_commit)(void *handle, void *upload, uint64_t size);
    /* Give up: leave no trace. `upload` is gone afterwards, whatever is returned. Required. */
    int (*put_abort)(void *handle, void *upload);

    /* Exactly `size` (> 0) bytes from `offset` of the object into `data`, or an error. Past the end is
     * PGCASK_FAILED, never a short answer. Required. */
    int (*get)(void *handle, const char *key, uint64_t offset, void *data, size_t size);
    /* Exactly one pgcask_listing_add for the object, or PGCASK_NOT_FOUND. Required. */
    int (*stat)(void *handle, const char *key, struct pgcask_listing *listing);
    /* Every object whose key begins with `prefix` (any bytes, "" for all), each exactly once, in any order;
     * others may be given too and are dropped. None is success. Required. */
    int (*list)(void *handle, const char *prefix, struct pgcask_listing *listing);
    /* Remove an object. A missing one is success. Required. */
    int (*remove)(void *handle, const char *key);
    /* Clean up what uploads begun before `before_s` (seconds since 1970 UTC) and never ended left behind;
     * `ret_count` is how many. Optional: the store leaves nothing. */
    int (*sweep)(void *handle, int64_t before_s, uint64_t *ret_count);

    /* Ask for a cold object to be readable for `days`; tier is "expedited", "standard" or "bulk". Returns 0
     * when it is readable now, PGCASK_COLD when it is on its way, with a text that says how long that takes. Asking
     * again for an object that is on its way is fine. Does not wait. Optional: nothing is ever cold. */
    int (*thaw)(void *handle, const char *key, int days, const char *tier);

    /* A whole object in one call, with all that put_begin, put_part and put_commit promise: size at most the preferred
     * part size, durable, visible and confirmed after 0, no trace after an error. Called for what fits one part.
     * Optional: those three are called. Since 1. */
    int (*put_object)(void *handle, const struct pgcask_put *put, const void *data, size_t size);
    /* Remove `count` (1 to 1000) objects; sets gone[i] to 1 for each that is there no more or never was, and leaves the
     * others alone. 0 when all are gone, else the error of one that is not. After PGCASK_RETRY it is called again with
     * those left. Optional: remove is called for each. Since 1. */
    int (*remove_many)(void *handle, const char *const *keys, size_t count, unsigned char *gone);
    /* Look at what only this store knows of itself: rights, locks, versions, tiering rules. Each finding goes to
     * pgcask_check_say; an error is for a store that could not be asked. That objects can be written, read, listed and
     * removed is tried by pgcask itself. Optional. Since 1. */
    int (*check)(void *handle, struct pgcask_check *check);
};

#define PGCASK_STORAGE_INIT                                                                                            \
    .struct_size = sizeof(struct pgcask_storage_plugin), .option_stride = sizeof(struct pgcask_option)
/* At the end of the plugin's source: PGCASK_REGISTER_STORAGE(the struct), without a ';'. PGCASK_STORAGE_INIT comes
 * first in the initialiser; it needs C99 or C++20 (or set the two fields by hand). */
#define PGCASK_REGISTER_STORAGE(plugin)                                                                                \
    PGCASK_C_NAME PGCASK_EXPORT const struct pgcask_storage_plugin *pgcask_storage_plugin_v1(void);                    \
    PGCASK_C_NAME PGCASK_EXPORT const struct pgcask_storage_plugin *pgcask_storage_plugin_v1(void)                     \
    {                                                                                                                  \
        return &(plugin);                                                                                              \
    }

/* ---------------------------------------------------------------------------
 * A notifier plugin.
 */
struct pgcask_notifier_plugin {
    size_t struct_size;   /* PGCASK_NOTIFIER_INIT sets both */
    size_t option_stride;

    const char *name;    /* the NAME of pgcask-NAME-notifier.so */
    const char *version;
    const char *summary;

    const struct pgcask_option *options;
    size_t option_count;
    size_t settings_size;

    int thread_model;

    int (*check_settings)(const void *settings);                                     /* optional */
    int (*open)(const void *settings, unsigned flags, void **ret_handle);            /* required */
    void (*close)(void *handle);                                                     /* optional */
    /* Tell somebody. A failure is a warning and a metric, never the outcome of a backup. PGCASK_RETRY is
     * tried again. Required. */
    int (*notify)(void *handle, const struct pgcask_event *event);
};

#define PGCASK_NOTIFIER_INIT                                                                                           \
    .struct_size = sizeof(struct pgcask_notifier_plugin), .option_stride = sizeof(struct pgcask_option)
#define PGCASK_REGISTER_NOTIFIER(plugin)                                                                               \
    PGCASK_C_NAME PGCASK_EXPORT const struct pgcask_notifier_plugin *pgcask_notifier_plugin_v1(void);                  \
    PGCASK_C_NAME PGCASK_EXPORT const struct pgcask_notifier_plugin *pgcask_notifier_plugin_v1(void)                   \
    {                                                                                                                  \
        return &(plugin);                                                                                              \
    }

#ifdef __cplusplus
}
#endif

#endif
