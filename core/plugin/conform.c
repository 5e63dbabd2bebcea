/* SPDX-License-Identifier: PostgreSQL
 *
 * The frame of the conformance suite: settings, opening, running the cases,
 * cleaning up, and TAP. The cases are in conform-write.c and its neighbours.
 */
#include "config.h"

#include "plugin/conform.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/parse.h"
#include "plugin/conform-suite.h"
#include "plugin/instance.h"
#include "plugin/notifier.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A conformance run is no place for patience: what a store cannot do in three tries it does badly. */
static const struct config_store conform_policy = { .required = 1, .retries = 2, .retry_max = 5000, .parallel = 8 };
static const struct notifier_policy conform_notify_policy = { .retries = 2, .retry_max_ms = 5000 };

__attribute__((format(printf, 2, 3))) static void
conform_line(const struct conform *conform, const char *format, ...)
{
    va_list args;
    CLEANUP_FREE char *line = NULL;

    va_start(args, format);
    if (vasprintf(&line, format, args) < 0)
        line = NULL;
    va_end(args);
    conform->spec->print(conform->spec->ctx, line != NULL ? line : "# out of memory");
}

void
conform_note(const struct conform *conform, const char *format, ...)
{
    va_list args;
    CLEANUP_FREE char *text = NULL;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    conform_line(conform, "# %s", text != NULL ? text : "out of memory");
}

/* One TAP line for `rc`, the reason behind it, and an empty slot. */
static void
conform_result(struct conform *conform, const char *title, int rc)
{
    conform->number++;
    if (rc == 0)
        conform_line(conform, "ok %u - %s", conform->number, title);
    else if (rc == CONFORM_SKIPPED)
        conform_line(conform, "ok %u - %s # SKIP %s", conform->number, title, error_text());
    else {
        conform->failed++;
        conform_line(conform, "not ok %u - %s", conform->number, title);
        conform_line(conform, "#   %s", error_text());
        if (error_cure() != NULL)
            conform_line(conform, "#   hint: %s", error_cure());
    }
    error_clear();
}

static void
conform_cases(struct conform *conform, const struct conform_case *cases)
{
    for (; cases->title != NULL && !cancel_requested(); cases++)
        conform_result(conform, cases->title, cases->run(conform));
}

/* Does the word set `option`, in one of the ways a secret can be set? */
static bool
conform_word_sets(const char *word, const char *option)
{
    static const char *const tails[] = { "=", "_file=", "_env=", "_command=" };
    size_t len = strlen(option);

    for (size_t i = 0; i < ARRAY_LEN(tails); i++)
        if (strncmp(word, option, len) == 0 && strncmp(word + len, tails[i], strlen(tails[i])) == 0)
            return true;
    return false;
}

static int
conform_without(const struct conform_spec *spec, const char *option)
{
    const char **words = mem_realloc_array(NULL, spec->word_count, sizeof *words);
    struct option_set *set = NULL;
    size_t count = 0;
    int rc;

    for (size_t i = 0; i < spec->word_count; i++)
        if (!conform_word_sets(spec->words[i], option))
            words[count++] = spec->words[i];
    rc = option_fill_words(&spec->plugin->table, words, count, &set);
    free(words);
    option_set_free(set);
    if (rc == 0)
        return error_set(PGCASK_FAILED, "settings without '%s' were accepted", option);
    if (strstr(error_text(), option) == NULL)
        return error_set(PGCASK_FAILED, "the message does not name '%s': %s", option, error_text());
    error_clear();
    return 0;
}

static int
conform_required(struct conform *conform)
{
    const struct option_table *table = &conform->spec->plugin->table;
    bool any = false;

    for (size_t i = 0; i < table->count; i++) {
        struct pgcask_option option = option_at(table, i);
        int rc;

        if ((option.flags & PGCASK_OPTION_REQUIRED) == 0)
            continue;
        any = true;
        rc = conform_without(conform->spec, option.name);
        if (rc < 0)
            return rc;
    }
    return any ? 0 : error_set(CONFORM_SKIPPED, "no option is required");
}

int
conform_open(struct conform *conform, const char *name, unsigned flags, struct storage **ret_storage)
{
    return storage_open_plugin(name, conform->spec->plugin, conform->set, &conform_policy, flags, ret_storage);
}

struct worker {
    struct conform *conform;
    int (*run)(struct conform *conform, unsigned index, void *ctx);
    void *ctx;
    unsigned index;
    pthread_t thread;
    struct error error;
};

static void *
worker_thread(void *arg)
{
    struct worker *worker = arg;

    error_take(worker->run(worker->conform, worker->index, worker->ctx), &worker->error);
    return NULL;
}

int
conform_threads(struct conform *conform, int (*run)(struct conform *conform, unsigned index, void *ctx), void *ctx)
{
    struct worker workers[CONFORM_THREADS];
    unsigned started = 0;
    int rc = 0;

    for (; started < CONFORM_THREADS; started++) {
        workers[started] = (struct worker){ .conform = conform, .run = run, .ctx = ctx, .index = started };
        if (pthread_create(&workers[started].thread, NULL, worker_thread, &workers[started]) != 0)
            break;
    }
    if (started < CONFORM_THREADS)
        rc = error_set(PGCASK_FAILED, "could not start %d threads", CONFORM_THREADS);
    for (unsigned i = 0; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        if (rc == 0)
            rc = error_put(&workers[i].error);
        error_free(&workers[i].error);
    }
    return rc;
}

int
conform_remove_all(struct conform *conform, const char *prefix)
{
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    CLEANUP_STRV struct strv keys = { 0 };
    int rc = storage_list(conform->storage, prefix, &list);

    for (size_t i = 0; i < list.len; i++)
        strv_add(&keys, list.objects[i].key);
    return rc < 0 ? rc : storage_remove_many(conform->storage, &keys);
}

/* Whatever the cases left: removed, and then really gone. A remove_many that failed in its own case is not trusted. */
static int
conform_clean(struct conform *conform)
{
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    int rc;

    (void)conform_remove_all(conform, conform->root);
    rc = storage_list(conform->storage, conform->root, &list);
    for (size_t i = 0; rc == 0 && i < list.len; i++)
        rc = storage_remove(conform->storage, list.objects[i].key);
    return rc < 0 ? error_context(rc, "objects may be left below '%s'", conform->root)
                  : conform_count(conform, conform->root, 0);
}

static void
conform_make_root(struct conform *conform)
{
    unsigned char random[8] = { 0 };
    CLEANUP_FREE char *hex = NULL;

    (void)!getrandom(random, sizeof random, 0); /* eight bytes never come short, and the prefix need not be secret */
    hex = format_hex(random, sizeof random);
    conform->root = mem_printf("pgcask-check-%s/", hex);
}

/* The settings are the caller's, so a mistake in them is no result of the suite. */
static int
conform_begin(struct conform *conform, const struct conform_spec *spec)
{
    int rc;

    *conform = (struct conform){ .spec = spec };
    rc = option_fill_words(&spec->plugin->table, spec->words, spec->word_count, &conform->set);
    if (rc < 0)
        return rc;
    conform_line(conform, "TAP version 13");
    conform_line(conform, "# plugin '%s' %s, %s", spec->plugin->name, spec->plugin->version, spec->plugin->path);
    return 0;
}

static int
conform_end(struct conform *conform)
{
    int rc = cancel_check();

    conform_line(conform, "1..%u", conform->number);
    option_set_free(conform->set);
    free(conform->root);
    if (rc < 0 || conform->failed == 0)
        return rc;
    return error_set(PGCASK_FAILED, "plugin '%s': %u of %u checks failed", conform->spec->plugin->name, conform->failed,
                     conform->number);
}

/* What cannot be read back cannot be tried. Trouble is for the cases to tell. */
static void
conform_learn_hot(struct conform *conform)
{
    CLEANUP_FREE char *key = conform_key(conform, "first");
    struct storage_object object;

    if (conform->spec->plugin->storage.thaw != NULL && storage_put_object(conform->storage, key, "first", 5, false) == 0) {
        conform->hot = storage_stat_object(conform->storage, key, &object) == 0 && object.tier == PGCASK_TIER_COLD;
        (void)storage_remove(conform->storage, key); /* all of them are removed at the end */
    }
    error_clear();
    if (conform->hot)
        conform_note(conform, "objects turn cold as soon as they are written: these ask to be readable at once");
}

int
conform_storage(const struct conform_spec *spec)
{
    struct conform conform;
    int rc = conform_begin(&conform, spec);

    if (rc < 0)
        return rc;
    conform_make_root(&conform);
    conform_result(&conform, "settings without a required option are refused with a message that names it",
                   conform_required(&conform));
    rc = conform_open(&conform, "check", 0, &conform.storage);
    conform_result(&conform, "the store opens", rc);
    if (rc == 0) {
        conform.limits = storage_limits(conform.storage);
        conform_learn_hot(&conform);
        conform_cases(&conform, conform_write_cases);
        conform_cases(&conform, conform_read_cases);
        conform_cases(&conform, conform_list_cases);
        conform_cases(&conform, conform_optional_cases);
        conform_cases(&conform, conform_use_cases);
        conform_result(&conform, "everything that was made here is removed", conform_clean(&conform));
        storage_close(conform.storage);
    }
    return conform_end(&conform);
}

static int
conform_notify(struct conform *conform)
{
    static const struct event_field fields[] = {
        { "event", "test" },
        { "outcome", "success" },
        { "message", "pgcask plugin check: this notifier works" },
    };
    struct notifier *notifier;
    int rc = notifier_open_plugin("check", conform->spec->plugin, conform->set, &conform_notify_policy, &notifier);

    if (rc < 0)
        return rc;
    rc = notifier_notify(notifier, fields, ARRAY_LEN(fields));
    notifier_close(notifier);
    return rc;
}

int
conform_notifier(const struct conform_spec *spec)
{
    struct conform conform;
    int rc = conform_begin(&conform, spec);

    if (rc < 0)
        return rc;
    conform_result(&conform, "settings without a required option are refused with a message that names it",
                   conform_required(&conform));
    conform_result(&conform, "the notifier opens and takes an event", conform_notify(&conform));
    return conform_end(&conform);
}

char *
conform_key(const struct conform *conform, const char *name)
{
    return mem_printf("%s%s", conform->root, name);
}

unsigned char *
conform_data(unsigned seed, size_t size)
{
    unsigned char *data = mem_alloc(size);
    uint64_t x = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1); /* xorshift: fast, and no two places look alike */

    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        data[i] = (unsigned char)(x >> (i % 8 * 8));
    }
    return data;
}

size_t
conform_small_part(const struct conform *conform)
{
    uint64_t part = conform->limits.part_min > 4096 ? conform->limits.part_min : 4096;

    return (size_t)(part < conform->limits.part_max ? part : conform->limits.part_max);
}

int
conform_put(struct conform *conform, const char *key, unsigned seed, size_t size)
{
    CLEANUP_FREE unsigned char *data = conform_data(seed, size);

    return storage_put_object(conform->storage, key, data, size, conform->hot);
}

int
conform_holds(struct conform *conform, struct storage *storage, const char *key, unsigned seed, size_t size)
{
    CLEANUP_FREE unsigned char *wanted = conform_data(seed, size), *got = mem_alloc(size);
    uint64_t stored;
    int rc = storage_stat(storage, key, &stored, NULL);

    (void)conform;
    if (rc < 0)
        return rc;
    if (stored != size)
        return error_set(PGCASK_FAILED, "'%s' has %llu bytes, wanted %zu", key, (unsigned long long)stored, size);
    rc = storage_get(storage, key, 0, got, size);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < size; i++)
        if (got[i] != wanted[i])
            return error_set(PGCASK_FAILED, "byte %zu of '%s' is 0x%02x, wanted 0x%02x", i, key, got[i], wanted[i]);
    return 0;
}

int
conform_count(struct conform *conform, const char *prefix, size_t wanted)
{
    CLEANUP_STORAGE_LIST struct storage_list list = { 0 };
    int rc = storage_list(conform->storage, prefix, &list);

    if (rc < 0)
        return rc;
    if (list.len != wanted)
        return error_set(PGCASK_FAILED, "%zu objects are listed below '%s', wanted %zu%s%s", list.len, prefix, wanted,
                         list.len > 0 ? "; the first is " : "", list.len > 0 ? list.objects[0].key : "");
    return 0;
}

int
conform_expect(int rc, int wanted, const char *doing)
{
    static const char *const words[] = { "success", "PGCASK_FAILED", "PGCASK_RETRY", "PGCASK_NOT_FOUND",
                                         "PGCASK_EXISTS", "PGCASK_COLD", "PGCASK_UNSUPPORTED" };

    if (rc == ERROR_CANCELLED)
        return rc;
    if (rc != wanted && rc == 0)
        return error_set(PGCASK_FAILED, "%s succeeded, wanted %s", doing, words[-wanted]);
    if (rc != wanted)
        return error_context(PGCASK_FAILED, "%s was answered with %s, wanted %s", doing, words[-rc], words[-wanted]);
    if (strstr(error_text(), INSTANCE_NO_REASON) != NULL)
        return error_context(PGCASK_FAILED, "%s failed as it should, but without a text", doing);
    error_clear();
    return 0;
}
